//! The fields of one line of CSV (RFC 4180). None holds the end of a line: SageMaker splits its input at each.

use csv_core::{ReadRecordResult, Reader};

/// The fields of a line. What it holds is kept from line to line.
#[derive(Debug)]
pub(crate) struct Fields {
    reader: Reader,
    line: Vec<u8>,
    text: Vec<u8>,
    ends: Vec<usize>,
    count: usize,
}

impl Default for Fields {
    fn default() -> Self {
        Self { reader: Reader::new(), line: Vec::new(), text: Vec::new(), ends: vec![0; 16], count: 0 }
    }
}

impl Fields {
    /// Splits a line.
    pub(crate) fn split(&mut self, line: &[u8]) {
        self.line.clear();
        self.line.extend_from_slice(line);
        self.line.push(b'\n');
        self.text.resize(self.text.len().max(self.line.len()), 0);
        loop {
            self.reader.reset();
            let (result, _, _, count) = self.reader.read_record(&self.line, &mut self.text, &mut self.ends);
            self.count = count;
            if !matches!(result, ReadRecordResult::OutputEndsFull) {
                break;
            }
            let room = 2 * self.ends.len();
            self.ends.resize(room, 0);
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// A field without blanks around it; empty where there is none, or where it is not UTF-8.
    pub(crate) fn get(&self, index: usize) -> &str {
        if index >= self.count {
            return "";
        }
        let from = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        std::str::from_utf8(&self.text[from..self.ends[index]]).unwrap_or_default().trim()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(line: &str) -> Vec<String> {
        let mut fields = Fields::default();
        fields.split(b"what,was,before");
        fields.split(line.as_bytes());
        (0..fields.len()).map(|index| fields.get(index).to_owned()).collect()
    }

    #[test]
    fn fields_are_split_at_commas_outside_quotes() {
        assert_eq!(split("a, b ,,\"c,d\",\"e\"\"f\""), ["a", "b", "", "c,d", "e\"f"]);
        assert_eq!(split("a,"), ["a", ""]);
        assert_eq!(split("1"), ["1"]);
        let many = vec!["x"; 1000];
        assert_eq!(split(&many.join(",")), many);
    }

    #[test]
    fn a_quote_that_is_not_closed_ends_with_the_line() {
        assert_eq!(split("a,\"b,c"), ["a"], "what comes before it is known");
        assert_eq!(split("d,e"), ["d", "e"]);
    }
}
