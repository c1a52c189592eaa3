//! A Parquet file of one row group: pages, column chunks, footer (Apache Parquet, `parquet.thrift`).
//!
//! What is read is read by the library; what is written is written here, because a batch of the scorer is small and comes
//! every second: a library for files of any shape takes half of a reading's cost, hundreds of allocations and a megabyte of
//! program for it (`docs/adr/0009-silver-is-written-by-hand.md`). The tests read every file back with the library.

use std::io;

use zstd::bulk::Compressor;

use super::schema::{CREATED_BY, Kind};
use super::thrift::{STRUCT, Thrift, structure};

const MAGIC: &[u8; 4] = b"PAR1";

/// zstd's fast level: what the encodings leave is short, and longer searches win 2 % of it.
const LEVEL: i32 = 1;

/// For the one column where a longer search pays: a fifth off the sequence numbers.
pub(super) const SEQ_LEVEL: i32 = 9;

/// Codec of every page.
const ZSTD: i32 = 6;

/// How the values of a page are written, by the format's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Plain = 0,
    Rle = 3,
    DeltaBinaryPacked = 5,
    DeltaByteArray = 7,
    RleDictionary = 8,
    ByteStreamSplit = 9,
}

/// What the footer says of one column.
#[derive(Debug, Default)]
struct Chunk {
    /// Where its first page starts.
    start: usize,
    /// Where its first data page starts.
    data: usize,
    end: usize,
    unpacked: usize,
    values: usize,
    encodings: Vec<i32>,
    /// Whether `least` and `most` say the smallest and largest value, as plain bytes.
    bounded: bool,
    least: Vec<u8>,
    most: Vec<u8>,
}

impl Chunk {
    /// The chunk that is to be written at `start`, with the buffers of the last.
    fn begin(&mut self, start: usize) {
        (self.start, self.data, self.end) = (start, start, start);
        (self.unpacked, self.values, self.bounded) = (0, 0, false);
        self.encodings.clear();
    }
}

/// Writes one file after the other; its buffers are kept.
#[derive(Default)]
pub(super) struct FileWriter {
    out: Vec<u8>,
    /// Pages as they are packed.
    packed: Vec<u8>,
    /// One compressor a level, made when it is first used.
    compressors: Vec<(i32, Compressor<'static>)>,
    columns: &'static [(&'static str, Kind)],
    chunks: Vec<Chunk>,
    /// The column that is being written.
    column: usize,
}

impl std::fmt::Debug for FileWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileWriter").field("chunks", &self.chunks).finish_non_exhaustive()
    }
}

impl FileWriter {
    /// Begins a file of about `bytes` with these columns.
    pub(super) fn begin(&mut self, bytes: usize, columns: &'static [(&'static str, Kind)]) {
        self.out = Vec::with_capacity(bytes);
        self.out.extend_from_slice(MAGIC);
        self.columns = columns;
        self.chunks.resize_with(columns.len(), Chunk::default);
        self.column = 0;
        self.chunks[0].begin(MAGIC.len());
    }

    /// Appends the entries of a dictionary, plain, to the present column.
    pub(super) fn dictionary(&mut self, entries: usize, plain: &[u8]) -> io::Result<()> {
        self.page(plain, LEVEL, Encoding::Plain, |header| {
            header.nested(7, |dictionary| {
                dictionary.i32(1, entries as i32);
                dictionary.i32(2, Encoding::Plain as i32);
            });
        })
    }

    /// Appends `values` values, encoded, to the present column.
    pub(super) fn data(&mut self, values: usize, encoded: &[u8], encoding: Encoding, level: i32) -> io::Result<()> {
        let at = self.out.len();
        self.page(encoded, level, encoding, |header| {
            header.nested(5, |page| {
                page.i32(1, values as i32);
                page.i32(2, encoding as i32);
                // How levels are written. Only the column of opinions has any, at the beginning of its page.
                page.i32(3, Encoding::Rle as i32);
                page.i32(4, Encoding::Rle as i32);
            });
        })?;
        let chunk = &mut self.chunks[self.column];
        if chunk.values == 0 {
            chunk.data = at;
        }
        chunk.values += values;
        Ok(())
    }

    /// Appends a page with the default level.
    pub(super) fn page_of(&mut self, values: usize, encoded: &[u8], encoding: Encoding) -> io::Result<()> {
        self.data(values, encoded, encoding, LEVEL)
    }

    fn page(
        &mut self,
        unpacked: &[u8],
        level: i32,
        encoding: Encoding,
        kind: impl FnOnce(&mut Thrift<'_>),
    ) -> io::Result<()> {
        let known = self.compressors.iter().position(|(known, _)| *known == level);
        let at = if let Some(at) = known {
            at
        } else {
            self.compressors.push((level, Compressor::new(level)?));
            self.compressors.len() - 1
        };
        self.packed.clear();
        self.packed.reserve(zstd::zstd_safe::compress_bound(unpacked.len()));
        self.compressors[at].1.compress_to_buffer(unpacked, &mut self.packed)?;
        let start = self.out.len();
        let size = |bytes: usize| i32::try_from(bytes).map_err(|_| io::Error::other("a page of more than 2 GiB"));
        let (whole, packed) = (size(unpacked.len())?, size(self.packed.len())?);
        let crc = crc32fast::hash(&self.packed);
        structure(&mut self.out, |header| {
            header.i32(1, if encoding == Encoding::Plain { 2 } else { 0 });
            header.i32(2, whole);
            header.i32(3, packed);
            header.i32(4, crc as i32);
            kind(header);
        });
        let chunk = &mut self.chunks[self.column];
        chunk.unpacked += self.out.len() - start + unpacked.len();
        for used in [encoding as i32, Encoding::Rle as i32] {
            if !chunk.encodings.contains(&used) {
                chunk.encodings.push(used);
            }
        }
        self.out.extend_from_slice(&self.packed);
        chunk.end = self.out.len();
        Ok(())
    }

    /// Says the bounds of the present column.
    pub(super) fn bounds(&mut self, least: &[u8], most: &[u8]) {
        let chunk = &mut self.chunks[self.column];
        chunk.bounded = true;
        chunk.least.clear();
        chunk.least.extend_from_slice(least);
        chunk.most.clear();
        chunk.most.extend_from_slice(most);
    }

    /// Goes on to the next column.
    pub(super) fn next_column(&mut self) {
        self.column += 1;
        let start = self.out.len();
        if let Some(chunk) = self.chunks.get_mut(self.column) {
            chunk.begin(start);
        }
    }

    /// The file of `rows` rows; begin again after it.
    pub(super) fn finish(&mut self, rows: usize) -> Vec<u8> {
        let mut out = std::mem::take(&mut self.out);
        let start = out.len();
        structure(&mut out, |footer| self.footer(footer, rows));
        let length = (out.len() - start) as u32;
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(MAGIC);
        out
    }

    fn footer(&self, footer: &mut Thrift<'_>, rows: usize) {
        footer.i32(1, 1);
        footer.list(2, STRUCT, self.columns.len() + 1, |out| {
            structure(out, |root| {
                root.binary(4, b"silver");
                root.i32(5, self.columns.len() as i32);
            });
            for (name, kind) in self.columns {
                structure(out, |element| describe(element, name, *kind));
            }
        });
        footer.i64(3, rows as i64);
        footer.list(4, STRUCT, 1, |out| {
            structure(out, |group| {
                group.list(1, STRUCT, self.columns.len(), |out| {
                    for ((name, kind), chunk) in self.columns.iter().zip(&self.chunks) {
                        structure(out, |column| chunk.describe(column, name, *kind));
                    }
                });
                group.i64(2, self.chunks.iter().map(|chunk| chunk.unpacked as i64).sum());
                group.i64(3, rows as i64);
            });
        });
        footer.binary(6, CREATED_BY.as_bytes());
        // Bounds are in the order that the type defines; a reader does not use them unless that is said.
        footer.list(7, STRUCT, self.columns.len(), |out| {
            for _ in self.columns {
                structure(out, |order| order.nested(1, |_| {}));
            }
        });
    }
}

fn describe(element: &mut Thrift<'_>, name: &str, kind: Kind) {
    element.i32(1, kind.physical());
    element.i32(3, kind.repetition());
    element.binary(4, name.as_bytes());
    match kind {
        Kind::Text => {
            element.i32(6, 0);
            element.nested(10, |logical| logical.nested(1, |_| {}));
        }
        Kind::Millis => {
            element.i32(6, 9);
            element.nested(10, |logical| {
                logical.nested(8, |timestamp| {
                    timestamp.bool(1, true);
                    timestamp.nested(2, |unit| unit.nested(1, |_| {}));
                });
            });
        }
        Kind::Bytes | Kind::Double | Kind::Float | Kind::FloatIfAny | Kind::Int => {}
    }
}

impl Chunk {
    fn describe(&self, column: &mut Thrift<'_>, name: &str, kind: Kind) {
        column.i64(2, 0);
        column.nested(3, |data| {
            data.i32(1, kind.physical());
            data.numbers(2, &self.encodings);
            data.texts(3, &[name]);
            data.i32(4, ZSTD);
            data.i64(5, self.values as i64);
            data.i64(6, self.unpacked as i64);
            data.i64(7, (self.end - self.start) as i64);
            data.i64(9, self.data as i64);
            if self.data > self.start {
                data.i64(11, self.start as i64);
            }
            if self.bounded {
                data.nested(12, |statistics| {
                    statistics.i64(3, 0);
                    statistics.binary(5, &self.most);
                    statistics.binary(6, &self.least);
                });
            }
        });
    }
}
