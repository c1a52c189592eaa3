//! Labels: which spans of which device were abnormal, from a file in one of two forms.
//!
//! - **CSV** with the columns `start` and `end` and, where there are several devices, `device`; other columns are passed
//!   over, so that a label may bear a remark.
//! - **JSON** as the Numenta Anomaly Benchmark writes its windows: `{"folder/file.csv": [["start", "end"], …], …}`.
//!
//! Which form it is, its first character tells. Times are ISO 8601; no zone is UTC.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use evaluation::Span;

use crate::options;
use crate::ui::Ui;

/// Largest file of labels, in bytes.
const BYTES_MAX: u64 = 64 << 20;

/// Labelled spans and whose they are.
#[derive(Debug)]
pub(super) struct Labels {
    file: PathBuf,
    spans: Vec<Labelled>,
}

#[derive(Debug)]
struct Labelled {
    whose: Whose,
    span: Span,
    /// Where it stands, for messages.
    place: String,
    /// Whether there is a recording of it, and whether one covers its time.
    is_known: bool,
    is_covered: bool,
}

/// Whose span it is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Whose {
    /// The only device's of the only recording.
    TheOnlyOne,
    /// This device's.
    Device(String),
    /// The only device's of the recording of this index.
    Recording(usize),
}

impl Labels {
    /// Reads the labels of these recordings.
    ///
    /// # Errors
    /// The file cannot be read or is in another form, a span ends before it begins, there is no span, or it is not clear
    /// which recording a span belongs to: with the place.
    pub(super) fn read(file: &Path, recordings: &[PathBuf], ui: &Ui) -> anyhow::Result<Self> {
        let shown = file.display();
        let bytes = fs::metadata(file).map(|found| found.len());
        let bytes = bytes.with_context(|| format!("cannot read the labels `{shown}`: give the path of a file"))?;
        if bytes > BYTES_MAX {
            bail!("the labels `{shown}` have {bytes} bytes, the limit is {BYTES_MAX}: is it another file?");
        }
        let text = fs::read_to_string(file)
            .with_context(|| format!("cannot read the labels `{shown}`: they must be a file of UTF-8 text"))?;
        let text = text.trim_start_matches('\u{feff}').trim_start();
        let spans = if text.starts_with('{') { windows(file, text, recordings, ui) } else { listed(file, text) }?;
        if spans.is_empty() {
            bail!("the labels `{shown}` have not one span for these recordings: there is nothing to judge against");
        }
        if let ([_, _, ..], Some(span)) = (recordings, spans.iter().find(|span| span.whose == Whose::TheOnlyOne)) {
            let (place, given) = (&span.place, recordings.len());
            bail!("{place}: the span is of no device, and {given} recordings are given: add a column `device`");
        }
        Ok(Self { file: file.to_owned(), spans })
    }

    /// The spans of a device of a recording, those that share an instant with the time `covered` by it.
    ///
    /// # Errors
    /// The span belongs to the recording as a whole, and the recording has other devices, too.
    pub(super) fn of(
        &mut self,
        recording: usize,
        device: &str,
        is_alone: bool,
        covered: Span,
    ) -> anyhow::Result<Vec<Span>> {
        let mut spans = Vec::new();
        for labelled in &mut self.spans {
            let is_whole = match &labelled.whose {
                Whose::TheOnlyOne => true,
                Whose::Recording(index) if *index == recording => true,
                Whose::Device(name) if name == device => false,
                Whose::Recording(_) | Whose::Device(_) => continue,
            };
            if is_whole && !is_alone {
                let place = &labelled.place;
                bail!("{place}: the recording has several devices: write the labels as CSV with a column `device`");
            }
            labelled.is_known = true;
            if labelled.span.overlaps(covered) {
                labelled.is_covered = true;
                spans.push(labelled.span);
            }
        }
        Ok(spans)
    }

    /// Looks back, once every recording was asked for: warns of spans that lie outside of their recording's time.
    ///
    /// # Errors
    /// A span of a device that is in no recording, or no span within the time of a recording.
    pub(super) fn look_back(&self, ui: &Ui) -> anyhow::Result<()> {
        if let Some(Labelled { whose: Whose::Device(device), place, .. }) =
            self.spans.iter().find(|span| !span.is_known)
        {
            bail!(
                "{place}: the device `{}` is in no recording given: correct its name, give its recording, or remove \
                   its labels",
                device.escape_debug()
            );
        }
        let outside: Vec<&Labelled> = self.spans.iter().filter(|span| !span.is_covered).collect();
        if let [first, ..] = outside[..] {
            let (shown, place) = (self.file.display(), &first.place);
            if outside.len() == self.spans.len() {
                bail!("`{shown}`: every span is outside of the time of its recording, the first at {place}");
            }
            ui.warn(format_args!(
                "`{shown}`: spans outside of the time of their recording were left out: {} of {}, the first at {place}",
                outside.len(),
                self.spans.len()
            ));
        }
        Ok(())
    }
}

/// The CSV form.
fn listed(file: &Path, text: &str) -> anyhow::Result<Vec<Labelled>> {
    let shown = file.display();
    let header = text.lines().next().unwrap_or_default();
    let delimiter = if header.contains(';') && !header.contains(',') { b';' } else { b',' };
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).trim(csv::Trim::All).from_reader(text.as_bytes());
    let header = reader.headers().with_context(|| format!("the labels `{shown}` are not CSV"))?.clone();
    let column = |name: &str| header.iter().position(|found| found.eq_ignore_ascii_case(name));
    let (Some(start), Some(end)) = (column("start"), column("end")) else {
        bail!(
            "the labels `{shown}` have no columns `start` and `end`: the first line must be `device,start,end`, or \
             `start,end` for one device; or the file must be JSON, {{\"file.csv\": [[\"start\", \"end\"]]}}"
        );
    };
    let device = column("device");
    let mut spans = Vec::new();
    for record in reader.records() {
        let record = record.with_context(|| format!("the labels `{shown}` are not CSV"))?;
        let place = format!("{shown}, line {}", record.position().map_or(0, csv::Position::line));
        let whose = match device.map(|column| &record[column]) {
            None => Whose::TheOnlyOne,
            Some("") => bail!("{place}: the cell `device` is empty: name the device"),
            Some(name) => Whose::Device(name.to_owned()),
        };
        let span = span(&record[start], &record[end], &place)?;
        spans.push(Labelled { whose, span, place, is_known: false, is_covered: false });
    }
    Ok(spans)
}

/// The JSON form.
fn windows(file: &Path, text: &str, recordings: &[PathBuf], ui: &Ui) -> anyhow::Result<Vec<Labelled>> {
    let shown = file.display();
    let windows: BTreeMap<String, Vec<(String, String)>> = serde_json::from_str(text).with_context(|| {
        format!("the labels `{shown}` are not windows in JSON, {{\"file.csv\": [[\"start\", \"end\"]]}}")
    })?;
    let (mut spans, mut strangers) = (Vec::new(), Vec::new());
    let mut has_windows = vec![false; recordings.len()];
    for (key, ends) in &windows {
        let named: Vec<usize> = (0..recordings.len()).filter(|index| is_named(&recordings[*index], key)).collect();
        match named[..] {
            [] => strangers.push(key.escape_debug()),
            [index] => {
                has_windows[index] = true;
                for (number, (start, end)) in ends.iter().enumerate() {
                    let place = format!("{shown}, `{}`, window {}", key.escape_debug(), number + 1);
                    let span = span(start, end, &place)?;
                    spans.push(Labelled {
                        whose: Whose::Recording(index),
                        span,
                        place,
                        is_known: false,
                        is_covered: false,
                    });
                }
            }
            [_, _, ..] => bail!(
                "{shown}: `{}` may be {} of the recordings given: write more of its path",
                key.escape_debug(),
                named.len()
            ),
        }
    }
    let without = has_windows.iter().position(|has_windows| !has_windows);
    if let (Some(stranger), Some(without)) = (strangers.first(), without) {
        bail!(
            "{shown}: `{stranger}` is no recording given, and `{}` has no windows: correct the name; a recording without \
             abnormal time has an empty list",
            recordings[without].display()
        );
    }
    if let Some(stranger) = strangers.first() {
        let count = strangers.len();
        ui.note(format_args!("`{shown}`: windows of {count} recordings that are not given, such as `{stranger}`"));
    }
    Ok(spans)
}

/// Whether the key of a window means this recording: one of the two paths ends with the other.
fn is_named(recording: &Path, key: &str) -> bool {
    let plain = |path: &'_ Path| path.strip_prefix(".").map(Path::to_owned).unwrap_or(path.to_owned());
    let (recording, key) = (plain(recording), plain(Path::new(key)));
    recording.ends_with(&key) || key.ends_with(&recording)
}

fn span(start: &str, end: &str, place: &str) -> anyhow::Result<Span> {
    let instant = |text: &str, which: &str| {
        options::instant(text.trim())
            .map_err(|problem| anyhow::anyhow!("{place}: the {which} is `{}`: {problem}", text.escape_debug()))
    };
    let (start, end) = (instant(start, "start")?, instant(end, "end")?);
    Span::new(start.millis(), end.millis()).with_context(|| format!("{place}: {start} to {end}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_names_its_recording_by_as_much_of_the_path_as_both_have() {
        for (recording, key, expected) in [
            ("/data/nab/real/a.csv", "real/a.csv", true),
            ("a.csv", "real/a.csv", true),
            ("./real/a.csv", "real/a.csv", true),
            ("a.csv", "./a.csv", true),
            ("/data/other/a.csv", "real/a.csv", false),
            ("/data/real/ba.csv", "a.csv", false),
        ] {
            assert_eq!(is_named(Path::new(recording), key), expected, "{recording} {key}");
        }
    }

    #[test]
    fn times_of_labels_may_have_fractions_and_no_zone() {
        let found = span("2014-04-10 07:15:00.000000", " 2014-04-10T07:16:00Z", "x").unwrap();
        assert_eq!(found.end_ms() - found.start_ms(), 60_000);
        let error = format!("{:#}", span("2014-04-11", "2014-04-10", "labels.csv, line 2").unwrap_err());
        assert!(error.contains("labels.csv, line 2") && error.contains("before it begins"), "{error}");
    }
}
