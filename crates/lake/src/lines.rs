//! JSON lines as columns, a batch at a time.
//!
//! As Athena's JSON `SerDe` reads them: keys by name, what is missing is NULL, and a column of text over anything that is no
//! text has its JSON. What it does not do: guess a schema, or pass over a line that cannot be read.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read as _};
use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayBuilder, ArrayRef, BooleanBuilder, Float64Builder, Int32Builder, Int64Builder, RecordBatch, StringBuilder,
};
use datafusion::arrow::datatypes::SchemaRef;
use serde_json::value::RawValue;

use crate::error::LakeError;
use crate::table::{Table, Type};

/// Longest line, in bytes: twice what bronze and quarantine write at most.
const LINE_BYTES_MAX: u64 = 32 << 20;
/// Rows of a batch.
const ROWS: usize = 8_192;
/// Bytes of lines of a batch, from which on it is handed over.
const BYTES: usize = 4 << 20;

/// An object that is read.
pub(crate) struct Lines {
    place: String,
    columns: &'static [(&'static str, Type)],
    schema: SchemaRef,
    source: Box<dyn BufRead + Send>,
    line: u64,
}

impl Lines {
    /// # Errors
    /// The object cannot be opened.
    pub(crate) fn open(path: &Path, table: &Table) -> Result<Self, LakeError> {
        let place = path.display().to_string();
        let damaged = |error: std::io::Error| damaged(&place, 0, &error.to_string());
        let file = File::open(path).map_err(damaged)?;
        let packed = path.extension().is_some_and(|extension| extension == "zst");
        let source: Box<dyn BufRead + Send> = if packed {
            Box::new(BufReader::new(zstd::stream::Decoder::new(file).map_err(damaged)?))
        } else {
            Box::new(BufReader::new(file))
        };
        Ok(Self { place, columns: table.columns, schema: table.file_schema(), source, line: 0 })
    }

    /// The next rows; `None` at the end.
    ///
    /// # Errors
    /// A line that cannot be read, with its place.
    pub(crate) fn batch(&mut self) -> Result<Option<RecordBatch>, LakeError> {
        let mut builders: Vec<Builder> = self.columns.iter().map(|(_, of)| Builder::new(*of)).collect();
        let (mut rows, mut bytes, mut line) = (0, 0, Vec::new());
        while rows < ROWS && bytes < BYTES {
            line.clear();
            self.line += 1;
            let read = (&mut self.source).take(LINE_BYTES_MAX).read_until(b'\n', &mut line);
            let read = read.map_err(|error| damaged(&self.place, self.line, &error.to_string()))?;
            if read == 0 {
                break;
            }
            if line.last() != Some(&b'\n') && read as u64 == LINE_BYTES_MAX {
                let reason = format!("the line has {LINE_BYTES_MAX} bytes or more, the limit");
                return Err(damaged(&self.place, self.line, &reason));
            }
            if line.trim_ascii().is_empty() {
                continue;
            }
            self.append(&line, &mut builders)?;
            rows += 1;
            bytes += read;
        }
        if rows == 0 {
            return Ok(None);
        }
        let arrays = builders.into_iter().map(Builder::finish).collect();
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), arrays);
        batch.map(Some).map_err(|error| damaged(&self.place, self.line, &error.to_string()))
    }

    fn append(&self, line: &[u8], builders: &mut [Builder]) -> Result<(), LakeError> {
        let object: HashMap<Cow<'_, str>, &RawValue> =
            serde_json::from_slice(line).map_err(|error| damaged(&self.place, self.line, &error.to_string()))?;
        for ((name, of), builder) in self.columns.iter().zip(builders) {
            let value = object.get(*name).map(|value| value.get()).filter(|text| *text != "null");
            if !builder.append(value) {
                let reason = format!("`{name}` is not of type {}", of.glue());
                return Err(damaged(&self.place, self.line, &reason));
            }
        }
        Ok(())
    }
}

fn damaged(place: &str, line: u64, reason: &str) -> LakeError {
    let place = if line == 0 { place.to_owned() } else { format!("{place}` line `{line}") };
    LakeError::Damaged { place, reason: format!("{reason}; restore the object from a backup or an older version") }
}

/// A column that grows.
enum Builder {
    Text(StringBuilder),
    Double(Float64Builder),
    Int(Int32Builder),
    Long(Int64Builder),
    Truth(BooleanBuilder),
}

impl Builder {
    fn new(of: Type) -> Self {
        match of {
            Type::Double => Self::Double(Float64Builder::new()),
            Type::Int => Self::Int(Int32Builder::new()),
            Type::Long => Self::Long(Int64Builder::new()),
            Type::Truth => Self::Truth(BooleanBuilder::new()),
            // A test holds that tables of lines have no other types.
            Type::Text | Type::Bytes | Type::Instant | Type::Float => Self::Text(StringBuilder::new()),
        }
    }

    /// `false`: the JSON is not of the column's type.
    fn append(&mut self, value: Option<&str>) -> bool {
        // What does not parse is told apart from what is not there.
        macro_rules! parsed {
            ($column:ident) => {
                match value.map(str::parse).transpose() {
                    Ok(value) => $column.append_option(value),
                    Err(_) => return false,
                }
            };
        }
        match self {
            Self::Text(column) => match value {
                Some(text) if text.starts_with('"') => {
                    let Ok(text) = serde_json::from_str::<Cow<'_, str>>(text) else { return false };
                    column.append_value(text);
                }
                other => column.append_option(other),
            },
            Self::Double(column) => parsed!(column),
            Self::Int(column) => parsed!(column),
            Self::Long(column) => parsed!(column),
            Self::Truth(column) => parsed!(column),
        }
        true
    }

    fn finish(self) -> ArrayRef {
        fn boxed(mut builder: impl ArrayBuilder) -> ArrayRef {
            builder.finish()
        }
        match self {
            Self::Text(column) => boxed(column),
            Self::Double(column) => boxed(column),
            Self::Int(column) => boxed(column),
            Self::Long(column) => boxed(column),
            Self::Truth(column) => boxed(column),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use datafusion::arrow::array::{Array as _, AsArray as _};
    use datafusion::arrow::datatypes::Int64Type;

    use super::*;
    use crate::table::{Form, TABLES, table};

    fn read(name: &str, text: &str) -> Result<Vec<RecordBatch>, LakeError> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        let mut lines = Lines::open(file.path(), table(name).unwrap())?;
        std::iter::from_fn(|| lines.batch().transpose()).collect()
    }

    #[test]
    fn a_text_is_its_content_and_anything_else_its_json() {
        let text = "{\"seq\":\"7\",\"arrived\":5,\"pk\":\"a\\\"b\",\"json\":{\"t\": 1.50}}\n\n{\"arrived\":6,\"b64\":\"AA==\"}\n";
        let batches = read("bronze", text).unwrap();
        let batch = &batches[0];
        let texts = |column: usize| batch.column(column).as_string::<i32>().iter().collect::<Vec<_>>();
        assert_eq!(batch.column(1).as_primitive::<Int64Type>().values(), &[5, 6]);
        assert_eq!(texts(2), [Some("a\"b"), None]);
        assert_eq!(texts(3), [Some("{\"t\": 1.50}"), None]);
        assert_eq!(texts(4), [None, Some("AA==")]);
        assert!(batch.column(0).is_null(1));
    }

    #[test]
    fn a_line_that_cannot_be_read_is_named() {
        for (text, part) in [("{}\n{\"arrived\":\"x\"}\n", "arrived"), ("{}\n{\"arrived\":1\n", "EOF")] {
            let error = read("bronze", text).unwrap_err().to_string();
            assert!(error.contains("line `2") && error.contains(part), "{error}");
        }
    }

    #[test]
    fn tables_of_lines_have_types_that_lines_have() {
        for table in TABLES.iter().filter(|table| table.form != Form::Parquet) {
            for (name, of) in table.columns {
                assert!(!matches!(of, Type::Bytes | Type::Instant | Type::Float), "{}.{name}", table.name);
            }
        }
    }
}
