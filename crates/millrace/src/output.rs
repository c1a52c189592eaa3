//! Rows of data in the four forms that people and programs read.
//!
//! `csv`, `ndjson` and `json` are written as the rows come, in constant memory, with numbers that parse back exactly; a
//! table is collected first, because its columns fit their widest cell, and rounds for the eye. What it does not do: words
//! about the data, those go to standard error through [`crate::ui::Ui`].

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, BufWriter, Write};

use comfy_table::{ColumnConstraint, ContentArrangement, Table, presets};

/// A form of output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// Aligned columns for the eye, numbers rounded
    Table,
    /// One JSON array of objects
    Json,
    /// One JSON object a line
    Ndjson,
    /// Comma-separated values under a header (RFC 4180)
    Csv,
}

/// One value of a row.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cell<'a> {
    /// No value: an empty cell, `null` in JSON.
    Nothing,
    /// Text.
    Text(Cow<'a, str>),
    /// A finite number.
    Number(f64),
    /// True or false.
    #[cfg_attr(not(feature = "lake"), expect(dead_code, reason = "only answers of the lake have it"))]
    Truth(bool),
}

impl<'a> Cell<'a> {
    /// A cell of text.
    pub(crate) fn text(text: impl Into<Cow<'a, str>>) -> Self {
        Self::Text(text.into())
    }

    /// A cell of text, or of nothing.
    pub(crate) fn perhaps(text: Option<impl Into<Cow<'a, str>>>) -> Self {
        text.map_or(Self::Nothing, Self::text)
    }

    /// A cell of what `value` displays.
    pub(crate) fn shown(value: &impl ToString) -> Self {
        Self::Text(Cow::Owned(value.to_string()))
    }
}

/// Where rows go. Call [`Rows::finish`]; a writer that is dropped before leaves a JSON array open and prints no table.
pub(crate) struct Rows<W: Write> {
    columns: Vec<&'static str>,
    /// Reused from cell to cell.
    text: String,
    sink: Sink<W>,
}

enum Sink<W: Write> {
    Csv(Box<csv::Writer<W>>),
    Lines(BufWriter<W>),
    Array { out: BufWriter<W>, rows: u64 },
    Table { out: W, table: Box<Table> },
}

impl<W: Write> Rows<W> {
    /// Starts with the header, where the form has one. A table wraps its cells to `width` columns of the terminal.
    pub(crate) fn new(format: Format, width: Option<u16>, columns: Vec<&'static str>, out: W) -> io::Result<Self> {
        let sink = match format {
            Format::Csv => {
                let mut writer = csv::Writer::from_writer(out);
                writer.write_record(&columns).map_err(into_io)?;
                Sink::Csv(Box::new(writer))
            }
            Format::Ndjson => Sink::Lines(BufWriter::new(out)),
            Format::Json => {
                let mut out = BufWriter::new(out);
                out.write_all(b"[")?;
                Sink::Array { out, rows: 0 }
            }
            Format::Table => {
                let mut table = Table::new();
                table.load_style(presets::UTF8_BORDERS_ONLY).set_header(&columns);
                if let Some(width) = width {
                    table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
                }
                Sink::Table { out, table: Box::new(table) }
            }
        };
        Ok(Self { columns, text: String::new(), sink })
    }

    /// Takes a row of as many cells as there are columns.
    pub(crate) fn push(&mut self, cells: &[Cell<'_>]) -> io::Result<()> {
        debug_assert_eq!(cells.len(), self.columns.len());
        match &mut self.sink {
            Sink::Csv(writer) => {
                for cell in cells {
                    self.text.clear();
                    plain(cell, &mut self.text);
                    writer.write_field(&self.text).map_err(into_io)?;
                }
                writer.write_record(None::<&[u8]>).map_err(into_io)
            }
            Sink::Lines(out) => {
                self.text.clear();
                object(&self.columns, cells, &mut self.text);
                self.text.push('\n');
                out.write_all(self.text.as_bytes())
            }
            Sink::Array { out, rows } => {
                self.text.clear();
                self.text.push_str(if *rows == 0 { "\n" } else { ",\n" });
                object(&self.columns, cells, &mut self.text);
                *rows += 1;
                out.write_all(self.text.as_bytes())
            }
            Sink::Table { table, .. } => {
                table.add_row(cells.iter().map(for_the_eye));
                Ok(())
            }
        }
    }

    /// Ends the output and hands it over to the operating system.
    pub(crate) fn finish(self) -> io::Result<()> {
        match self.sink {
            Sink::Csv(mut writer) => writer.flush(),
            Sink::Lines(mut out) => out.flush(),
            Sink::Array { mut out, rows } => {
                out.write_all(if rows == 0 { b"]\n" } else { b"\n]\n" })?;
                out.flush()
            }
            Sink::Table { mut out, mut table } => {
                if !table.is_empty() {
                    keep_narrow_columns_whole(&mut table);
                    writeln!(out, "{table}")?;
                }
                out.flush()
            }
        }
    }
}

/// Lets only wide columns wrap, such as sentences, where the terminal has the room: a time in two lines reads badly.
fn keep_narrow_columns_whole(table: &mut Table) {
    const NARROW: u16 = 24;
    const ROOM_FOR_THE_OTHERS: u16 = 40;
    const BORDERS: u16 = 3;
    let widths = table.column_max_content_widths();
    let narrow = || widths.iter().enumerate().filter(|(_, width)| **width <= NARROW);
    let taken: u16 = narrow().map(|(_, width)| width + BORDERS).sum();
    if table.width().is_none_or(|width| taken + ROOM_FOR_THE_OTHERS > width) {
        return;
    }
    for (index, _) in narrow() {
        if let Some(column) = table.column_mut(index) {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
}

/// The cause of a write that failed: a CSV writer fails for nothing else.
fn into_io(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}

fn plain(cell: &Cell<'_>, out: &mut String) {
    // Writing to a String cannot fail. `{}` writes the shortest digits that read back as the same number.
    let _written = match cell {
        Cell::Nothing => Ok(()),
        Cell::Text(text) => out.write_str(text),
        Cell::Number(number) => write!(out, "{number}"),
        Cell::Truth(truth) => write!(out, "{truth}"),
    };
}

fn object(columns: &[&str], cells: &[Cell<'_>], out: &mut String) {
    out.push('{');
    for (index, (column, cell)) in columns.iter().zip(cells).enumerate() {
        if index > 0 {
            out.push(',');
        }
        quoted(column, out);
        out.push(':');
        match cell {
            Cell::Nothing => out.push_str("null"),
            Cell::Text(text) => quoted(text, out),
            Cell::Number(_) | Cell::Truth(_) => plain(cell, out),
        }
    }
    out.push('}');
}

fn quoted(text: &str, out: &mut String) {
    // A str always serialises.
    out.push_str(&serde_json::to_string(text).unwrap_or_default());
}

fn for_the_eye(cell: &Cell<'_>) -> String {
    match cell {
        Cell::Nothing => String::new(),
        Cell::Text(text) => text.chars().flat_map(visible).collect(),
        Cell::Number(number) => rounded(*number),
        Cell::Truth(truth) => truth.to_string(),
    }
}

/// Control characters are shown, not obeyed: a name must not be able to move the cursor.
fn visible(c: char) -> impl Iterator<Item = char> {
    let escape = c.is_control() && c != '\n';
    escape.then(|| c.escape_default()).into_iter().flatten().chain((!escape).then_some(c))
}

/// About four significant digits; a whole number is whole.
pub(crate) fn rounded(number: f64) -> String {
    let size = number.abs();
    if number.fract() == 0.0 && size < 1e15 {
        return format!("{number}");
    }
    if size != 0.0 && !(1e-3..1e7).contains(&size) {
        return format!("{number:.3e}");
    }
    let decimals = match size {
        s if s >= 1_000.0 => 0,
        s if s >= 100.0 => 1,
        s if s >= 1.0 => 2,
        _ => 4,
    };
    let text = format!("{number:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn printed(format: Format, rows: &[[Cell<'_>; 2]]) -> String {
        let mut out = Vec::new();
        let mut sink = Rows::new(format, None, vec!["name", "value"], &mut out).unwrap();
        for row in rows {
            sink.push(row).unwrap();
        }
        sink.finish().unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn each_form_says_the_same() {
        let rows = [[Cell::text("a \"b\", c"), Cell::Number(1.5)], [Cell::text("d"), Cell::Nothing]];
        assert_eq!(printed(Format::Csv, &rows), "name,value\n\"a \"\"b\"\", c\",1.5\nd,\n");
        let lines = printed(Format::Ndjson, &rows);
        assert_eq!(lines, "{\"name\":\"a \\\"b\\\", c\",\"value\":1.5}\n{\"name\":\"d\",\"value\":null}\n");
        let array: serde_json::Value = serde_json::from_str(&printed(Format::Json, &rows)).unwrap();
        assert_eq!(array[1]["name"], "d");
        let table = printed(Format::Table, &rows);
        assert!(table.contains("a \"b\", c") && table.contains("1.5"), "{table}");
    }

    #[test]
    fn without_rows_a_csv_has_its_header_and_an_array_is_empty() {
        assert_eq!(printed(Format::Csv, &[]), "name,value\n");
        assert_eq!(printed(Format::Json, &[]), "[]\n");
        assert_eq!(printed(Format::Ndjson, &[]), "");
        assert_eq!(printed(Format::Table, &[]), "");
    }

    #[test]
    fn a_table_shows_control_characters_instead_of_obeying_them() {
        let table = printed(Format::Table, &[[Cell::text("x\u{1b}[2J"), Cell::Nothing]]);
        assert!(!table.contains('\u{1b}') && table.contains(r"\u{1b}"), "{table}");
    }

    proptest! {
        #[test]
        fn numbers_parse_back_exactly(number in proptest::num::f64::NORMAL | proptest::num::f64::ZERO | proptest::num::f64::SUBNORMAL) {
            let csv = printed(Format::Csv, &[[Cell::text("x"), Cell::Number(number)]]);
            let text = csv.trim_end().rsplit(',').next().unwrap();
            prop_assert_eq!(text.parse::<f64>().unwrap().to_bits(), number.to_bits());
            let json: serde_json::Value = serde_json::from_str(&printed(Format::Ndjson, &[[Cell::text("x"), Cell::Number(number)]])).unwrap();
            prop_assert_eq!(json["value"].as_f64().map(f64::to_bits), Some(number.to_bits()));
        }
    }
}
