//! The fields of one line of CSV (RFC 4180). A field holds no end of a line: SageMaker, and whoever else cuts payloads, cuts them
//! there.

use csv_core::{ReadRecordResult, Reader};

/// Most fields of a line.
pub const FIELDS_MAX: usize = 1_024;

/// Splits lines; its memory is used again for each.
#[derive(Debug)]
pub struct Fields {
    reader: Reader,
    text: Vec<u8>,
    ends: Vec<usize>,
    count: usize,
}

impl Default for Fields {
    fn default() -> Self {
        Self { reader: Reader::new(), text: Vec::new(), ends: vec![0; FIELDS_MAX], count: 0 }
    }
}

impl Fields {
    /// Splits a line without its end. `false`: it has more than [`FIELDS_MAX`] fields, or a quote that is not closed.
    #[must_use]
    pub fn split(&mut self, line: &[u8]) -> bool {
        self.reader.reset();
        self.count = 0;
        self.text.resize(self.text.len().max(line.len() + 1), 0);
        let (result, taken, given, ended) = self.reader.read_record(line, &mut self.text, &mut self.ends);
        let (result, more) = match result {
            // The reader wants to see the line's end; no input at all would be the end of everything.
            ReadRecordResult::InputEmpty if !line.is_empty() => {
                let (ends, text) = (&mut self.ends[ended..], &mut self.text[given..]);
                let (result, _, _, more) = self.reader.read_record(b"\n", text, ends);
                (result, more)
            }
            // A carriage return is an end, too: behind it there must be nothing.
            ReadRecordResult::Record if taken == line.len() => (result, 0),
            _ => return false,
        };
        let is_whole = matches!(result, ReadRecordResult::Record);
        self.count = if is_whole { ended + more } else { 0 };
        is_whole
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether the line had none, or could not be split.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// A field without blanks around it. `None`: there is none, or it is not UTF-8.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&str> {
        let end = *self.ends[..self.count].get(index)?;
        let from = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        std::str::from_utf8(&self.text[from..end]).ok().map(str::trim)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(line: &str) -> Option<Vec<String>> {
        let mut fields = Fields::default();
        assert!(fields.split(b"what,was,before"));
        fields.split(line.as_bytes()).then(|| (0..fields.len()).map(|i| fields.get(i).unwrap().to_owned()).collect())
    }

    #[test]
    fn fields_end_at_commas_outside_of_quotes() {
        for (line, expected) in [
            ("a, b ,,\"c,d\",\"e\"\"f\"", vec!["a", "b", "", "c,d", "e\"f"]),
            ("a,", vec!["a", ""]),
            ("1", vec!["1"]),
            ("\"\"", vec![""]),
        ] {
            assert_eq!(split(line).unwrap(), expected, "{line}");
        }
        assert_eq!(split(&vec!["x"; FIELDS_MAX].join(",")).unwrap().len(), FIELDS_MAX);
    }

    #[test]
    fn what_is_no_line_of_csv_is_told() {
        assert_eq!(split("a,\"b"), None);
        assert_eq!(split(&vec!["x"; FIELDS_MAX + 1].join(",")), None);
    }
}
