//! Values as people and programs read them.

use datafusion::arrow::array::{Array, AsArray as _, RecordBatch};
use datafusion::arrow::datatypes::{
    DataType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type,
    UInt64Type,
};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};

/// One value of an answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// NULL.
    Nothing,
    /// Text; times as RFC 3339 in UTC, bytes as hexadecimal digits, lists as the engine shows them.
    Text(String),
    /// A number that binary64 holds exactly. Others are text: whole numbers beyond 2⁵³, and what is not finite.
    Number(f64),
    /// True or false.
    Truth(bool),
}

/// Whole numbers up to here are exact in binary64.
const EXACT_MAX: u64 = 1 << 53;

pub(super) fn rows(batch: &RecordBatch) -> Result<Vec<Vec<Cell>>, ArrowError> {
    let columns: Vec<Vec<Cell>> = batch.columns().iter().map(|column| cells(column)).collect::<Result<_, _>>()?;
    let mut columns: Vec<_> = columns.into_iter().map(Vec::into_iter).collect();
    Ok((0..batch.num_rows()).map(|_| columns.iter_mut().filter_map(Iterator::next).collect()).collect())
}

fn cells(column: &dyn Array) -> Result<Vec<Cell>, ArrowError> {
    fn each<T>(values: impl Iterator<Item = Option<T>>, cell: impl Fn(T) -> Cell) -> Vec<Cell> {
        values.map(|value| value.map_or(Cell::Nothing, &cell)).collect()
    }
    Ok(match column.data_type() {
        DataType::Boolean => each(column.as_boolean().iter(), Cell::Truth),
        DataType::Int8 => each(column.as_primitive::<Int8Type>().iter(), |value| Cell::Number(value.into())),
        DataType::Int16 => each(column.as_primitive::<Int16Type>().iter(), |value| Cell::Number(value.into())),
        DataType::Int32 => each(column.as_primitive::<Int32Type>().iter(), |value| Cell::Number(value.into())),
        DataType::Int64 => each(column.as_primitive::<Int64Type>().iter(), |value| whole(&value, value.unsigned_abs())),
        DataType::UInt8 => each(column.as_primitive::<UInt8Type>().iter(), |value| Cell::Number(value.into())),
        DataType::UInt16 => each(column.as_primitive::<UInt16Type>().iter(), |value| Cell::Number(value.into())),
        DataType::UInt32 => each(column.as_primitive::<UInt32Type>().iter(), |value| Cell::Number(value.into())),
        DataType::UInt64 => each(column.as_primitive::<UInt64Type>().iter(), |value| whole(&value, value)),
        // A float is written with its own digits: 0.1, not what binary64 makes of it.
        DataType::Float32 => each(column.as_primitive::<Float32Type>().iter(), |value| {
            number(value.to_string().parse().unwrap_or(f64::NAN))
        }),
        DataType::Float64 => each(column.as_primitive::<Float64Type>().iter(), number),
        DataType::Utf8 => each(column.as_string::<i32>().iter(), |value| Cell::Text(value.to_owned())),
        DataType::LargeUtf8 => each(column.as_string::<i64>().iter(), |value| Cell::Text(value.to_owned())),
        DataType::Utf8View => each(column.as_string_view().iter(), |value| Cell::Text(value.to_owned())),
        _ => shown(column)?,
    })
}

fn whole(value: &impl ToString, size: u64) -> Cell {
    let text = value.to_string();
    if size > EXACT_MAX { Cell::Text(text) } else { text.parse().map_or(Cell::Text(text), Cell::Number) }
}

fn number(value: f64) -> Cell {
    if value.is_finite() { Cell::Number(value) } else { Cell::Text(value.to_string()) }
}

/// What has no form of its own here.
fn shown(column: &dyn Array) -> Result<Vec<Cell>, ArrowError> {
    let options = FormatOptions::new().with_display_error(false);
    let formatter = ArrayFormatter::try_new(column, &options)?;
    (0..column.len())
        .map(
            |row| {
                if column.is_null(row) {
                    Ok(Cell::Nothing)
                } else {
                    formatter.value(row).try_to_string().map(Cell::Text)
                }
            },
        )
        .collect()
}
