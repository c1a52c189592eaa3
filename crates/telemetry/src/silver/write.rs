//! Rows to columns to bytes.

use anomaly_core::{Outcome, Quality, Timestamp};
use std::io;
use std::iter::repeat_n;
use std::ops::Range;

use super::encode::{Runs, deltas, deltas32, shared, streams};
use super::file::{Encoding, FileWriter, SEQ_LEVEL};
use super::names::Names;
use super::opinions::Opinions;
use super::schema::columns;
use super::values::Values;
use super::{SilverRow, cut_expected, cut_score, packed, quality_name};
use crate::bronze::LakeError;
use crate::sequence::SequenceNumber;

/// What the readings of one device and instant have in common.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SilverHead<'a> {
    /// Whose device it is.
    pub tenant: &'a str,
    /// The device.
    pub device: &'a str,
    /// When they were measured.
    pub at: Timestamp,
    /// Strength of the alert raised with them; 0 for none.
    pub alert: f32,
    /// The record they came in.
    pub seq: SequenceNumber,
    /// Which user record of an aggregate, from 0.
    pub sub: u32,
    /// When Kinesis took the record.
    pub arrived: Timestamp,
}

/// One of them. Units and meaning are those of [`SilverRow`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SilverCell<'a> {
    /// The metric.
    pub metric: &'a str,
    /// The value.
    pub value: f64,
    /// How strongly it speaks for a fault.
    pub score: f32,
    /// What was expected.
    pub expected: f64,
    /// What became of it.
    pub outcome: Outcome,
    /// What the source said of it.
    pub quality: Quality,
}

/// Collects the rows of a batch column by column. Its buffers are kept from batch to batch: nothing is allocated for a
/// row, and for a name only once a batch.
#[derive(Debug, Default)]
pub struct SilverWriter {
    tenant: Texts,
    device: Texts,
    metric: Texts,
    ts: Vec<i64>,
    value: Values,
    score: Vec<f32>,
    alert: Vec<f32>,
    expected: Vec<f64>,
    outcome: Marks<Outcome>,
    quality: Marks<Quality>,
    seq: Sequences,
    sub: Vec<i64>,
    arrived: Vec<i64>,
    opinions: Opinions,
    file: FileWriter,
    scratch: Scratch,
}

/// One column of texts, by number.
#[derive(Debug, Default)]
struct Texts {
    names: Names,
    rows: Runs,
}

impl Texts {
    fn push(&mut self, text: &str, count: u32) {
        let number = self.names.number(text);
        self.rows.push(number, count);
    }

    fn clear(&mut self) {
        self.names.clear();
        self.rows.clear();
    }
}

/// One column of a few marks by their names; nearly always the one before.
#[derive(Debug)]
struct Marks<T> {
    texts: Texts,
    last: Option<(T, u32)>,
}

impl<T> Default for Marks<T> {
    fn default() -> Self {
        Self { texts: Texts::default(), last: None }
    }
}

impl<T: Copy + PartialEq> Marks<T> {
    fn push(&mut self, mark: T, name: impl Fn(T) -> &'static str) {
        let number = match self.last {
            Some((last, number)) if last == mark => number,
            _ => self.texts.names.number(name(mark)),
        };
        self.last = Some((mark, number));
        self.texts.rows.push(number, 1);
    }

    fn clear(&mut self) {
        self.texts.clear();
        self.last = None;
    }
}

/// The column of sequence numbers: how many bytes each shares with the one before, and the others.
#[derive(Debug, Default)]
struct Sequences {
    last: [u8; packed::BYTES],
    shared: Vec<i64>,
    own: Vec<i64>,
    bytes: Vec<u8>,
}

impl Sequences {
    fn push(&mut self, seq: &SequenceNumber, count: usize) {
        let packed = packed::pack(seq);
        let shared = if self.shared.is_empty() {
            0
        } else {
            packed.iter().zip(&self.last).take_while(|(new, old)| new == old).count()
        };
        self.bytes.extend_from_slice(&packed[shared..]);
        self.shared.push(shared as i64);
        self.own.push((packed::BYTES - shared) as i64);
        self.shared.extend(repeat_n(packed::BYTES as i64, count - 1));
        self.own.extend(repeat_n(0, count - 1));
        self.last = packed;
    }

    fn clear(&mut self) {
        self.shared.clear();
        self.own.clear();
        self.bytes.clear();
    }
}

/// Buffers for encoding.
#[derive(Debug, Default)]
struct Scratch {
    page: Vec<u8>,
    group: Vec<u32>,
}

impl SilverWriter {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a row.
    pub fn push(&mut self, row: &SilverRow<'_>) {
        let SilverRow { tenant, device, at, alert, seq, sub, arrived, .. } = *row;
        let SilverRow { metric, value, score, expected, outcome, quality, .. } = *row;
        let head = SilverHead { tenant, device, at, alert, seq, sub, arrived };
        self.observation(&head, [SilverCell { metric, value, score, expected, outcome, quality }]);
        if let Some(strength) = row.opinion {
            self.opinion(self.len() - 1..self.len(), strength);
        }
    }

    /// Notes what a second model said of rows that were pushed; rows behind those of the opinion before.
    pub fn opinion(&mut self, rows: Range<usize>, strength: f32) {
        debug_assert!(rows.end <= self.len(), "an opinion of rows that are not there");
        self.opinions.push(rows, strength);
    }

    /// Appends the readings of one device and instant; none if there are none.
    pub fn observation<'c>(&mut self, head: &SilverHead<'_>, cells: impl IntoIterator<Item = SilverCell<'c>>) {
        let before = self.score.len();
        for cell in cells {
            self.metric.push(cell.metric, 1);
            self.value.push(cell.value);
            self.score.push(cut_score(cell.score));
            self.expected.push(cut_expected(cell.expected, cell.value));
            self.outcome.push(cell.outcome, Outcome::as_str);
            self.quality.push(cell.quality, quality_name);
        }
        let count = self.score.len() - before;
        if count == 0 {
            return;
        }
        self.tenant.push(head.tenant, count as u32);
        self.device.push(head.device, count as u32);
        self.ts.extend(repeat_n(head.at.millis(), count));
        self.alert.extend(repeat_n(cut_score(head.alert), count));
        self.seq.push(&head.seq, count);
        self.sub.extend(repeat_n(i64::from(head.sub as i32), count));
        self.arrived.extend(repeat_n(head.arrived.millis(), count));
    }

    /// How many rows were pushed since the last object.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ts.len()
    }

    /// Whether none was: then no object is written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ts.is_empty()
    }

    /// The object of what was pushed; the writer is empty afterwards, also when this fails.
    ///
    /// # Errors
    /// [`LakeError::Compress`] when memory runs out.
    pub fn finish(&mut self) -> Result<Vec<u8>, LakeError> {
        let object = self.encode().map_err(|source| LakeError::Compress { what: "silver", source });
        self.clear();
        object
    }

    fn encode(&mut self) -> io::Result<Vec<u8>> {
        let rows = self.len();
        // Some 7 bytes a row, and the footer.
        let has_opinions = !self.opinions.is_empty();
        self.file.begin(rows * 8 + 4096, columns(has_opinions));
        let mut columns = Columns { file: &mut self.file, scratch: &mut self.scratch };
        columns.texts(&self.tenant, rows, true)?;
        columns.texts(&self.device, rows, true)?;
        columns.texts(&self.metric, rows, true)?;
        columns.bounds(&self.ts);
        columns.integers(&self.ts)?;
        columns.values(&self.value)?;
        columns.floats(&self.score)?;
        columns.floats(&self.alert)?;
        columns.doubles(&self.expected)?;
        columns.texts(&self.outcome.texts, rows, false)?;
        columns.texts(&self.quality.texts, rows, false)?;
        columns.sequences(&self.seq)?;
        columns.counts(&self.sub)?;
        columns.integers(&self.arrived)?;
        if has_opinions {
            columns.opinions(&self.opinions, rows)?;
        }
        Ok(self.file.finish(rows))
    }

    /// Forgets what was pushed.
    pub fn clear(&mut self) {
        for texts in [&mut self.tenant, &mut self.device, &mut self.metric] {
            texts.clear();
        }
        self.outcome.clear();
        self.quality.clear();
        self.ts.clear();
        self.value.clear();
        self.score.clear();
        self.alert.clear();
        self.expected.clear();
        self.seq.clear();
        self.sub.clear();
        self.arrived.clear();
        self.opinions.clear();
    }
}

/// The columns, written one after the other in the order of the schema.
struct Columns<'w> {
    file: &'w mut FileWriter,
    scratch: &'w mut Scratch,
}

impl Columns<'_> {
    /// Names, each once, and which row has which. With `bounds`, the first and last of them by their bytes.
    fn texts(&mut self, texts: &Texts, rows: usize, bounds: bool) -> io::Result<()> {
        let Scratch { page, group } = &mut *self.scratch;
        page.clear();
        for text in texts.names.texts() {
            page.extend_from_slice(&(text.len() as u32).to_le_bytes());
            page.extend_from_slice(text.as_bytes());
        }
        self.file.dictionary(texts.names.len(), page)?;
        page.clear();
        texts.rows.encode(texts.names.len(), group, page);
        self.file.page_of(rows, page, Encoding::RleDictionary)?;
        if let (true, Some(least), Some(most)) = (bounds, texts.names.texts().min(), texts.names.texts().max()) {
            self.file.bounds(least.as_bytes(), most.as_bytes());
        }
        self.file.next_column();
        Ok(())
    }

    fn values(&mut self, values: &Values) -> io::Result<()> {
        let Scratch { page, group } = &mut *self.scratch;
        page.clear();
        page.extend(values.dictionary.iter().flat_map(|value| value.to_le_bytes()));
        self.file.dictionary(values.dictionary.len(), page)?;
        page.clear();
        values.numbered.encode(values.dictionary.len(), group, page);
        self.file.page_of(values.numbered_rows, page, Encoding::RleDictionary)?;
        if !values.plain.is_empty() {
            page.clear();
            streams(&values.plain, f64::to_le_bytes, page);
            self.file.page_of(values.plain.len(), page, Encoding::ByteStreamSplit)?;
        }
        self.file.next_column();
        Ok(())
    }

    fn bounds(&mut self, values: &[i64]) {
        if let (Some(least), Some(most)) = (values.iter().min(), values.iter().max()) {
            self.file.bounds(&least.to_le_bytes(), &most.to_le_bytes());
        }
    }

    fn integers(&mut self, values: &[i64]) -> io::Result<()> {
        self.scratch.page.clear();
        deltas(values, &mut self.scratch.page);
        self.page(values.len(), Encoding::DeltaBinaryPacked)
    }

    fn counts(&mut self, values: &[i64]) -> io::Result<()> {
        self.scratch.page.clear();
        deltas32(values, &mut self.scratch.page);
        self.page(values.len(), Encoding::DeltaBinaryPacked)
    }

    /// Strengths, with their bounds: none is NaN, and a zero may be of either sign (`parquet.thrift`, `ColumnOrder`).
    fn floats(&mut self, values: &[f32]) -> io::Result<()> {
        let least = values.iter().copied().fold(f32::INFINITY, f32::min);
        let most = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        if values.iter().all(|value| !value.is_nan()) {
            let (least, most) = (if least == 0.0 { -0.0 } else { least }, if most == 0.0 { 0.0 } else { most });
            self.file.bounds(&least.to_le_bytes(), &most.to_le_bytes());
        }
        self.scratch.page.clear();
        streams(values, f32::to_le_bytes, &mut self.scratch.page);
        self.page(values.len(), Encoding::ByteStreamSplit)
    }

    fn doubles(&mut self, values: &[f64]) -> io::Result<()> {
        self.scratch.page.clear();
        streams(values, f64::to_le_bytes, &mut self.scratch.page);
        self.page(values.len(), Encoding::ByteStreamSplit)
    }

    fn sequences(&mut self, seq: &Sequences) -> io::Result<()> {
        let page = &mut self.scratch.page;
        page.clear();
        shared(&seq.shared, &seq.own, &seq.bytes, page);
        self.file.data(seq.shared.len(), page, Encoding::DeltaByteArray, SEQ_LEVEL)?;
        self.file.next_column();
        Ok(())
    }

    /// Without bounds: nobody looks for opinions by their size in so many objects that it would pay.
    fn opinions(&mut self, opinions: &Opinions, rows: usize) -> io::Result<()> {
        let Scratch { page, group } = &mut *self.scratch;
        page.clear();
        opinions.levels(rows).levels(group, page);
        streams(opinions.strengths(), f32::to_le_bytes, page);
        self.page(rows, Encoding::ByteStreamSplit)
    }

    fn page(&mut self, values: usize, encoding: Encoding) -> io::Result<()> {
        self.file.page_of(values, &self.scratch.page, encoding)?;
        self.file.next_column();
        Ok(())
    }
}
