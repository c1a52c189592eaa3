//! The columns of a silver object.

/// The schema, in Parquet's own words. A stored format: columns may be added at the end, never changed.
///
/// An object of a batch with second opinions has one column more, [`OPINION`]; one without is what it was before there were
/// any, to the byte.
pub const SCHEMA: &str = "message silver {
  REQUIRED BYTE_ARRAY tenant (UTF8);
  REQUIRED BYTE_ARRAY device (UTF8);
  REQUIRED BYTE_ARRAY metric (UTF8);
  REQUIRED INT64 ts (TIMESTAMP(MILLIS,true));
  REQUIRED DOUBLE value;
  REQUIRED FLOAT score;
  REQUIRED FLOAT alert;
  REQUIRED DOUBLE expected;
  REQUIRED BYTE_ARRAY outcome (UTF8);
  REQUIRED BYTE_ARRAY quality (UTF8);
  REQUIRED BYTE_ARRAY seq;
  REQUIRED INT32 sub;
  REQUIRED INT64 arrived (TIMESTAMP(MILLIS,true));
}
";

/// The column that follows the others where a second model was asked: nothing in the rows that it said nothing of.
pub const OPINION: &str = "OPTIONAL FLOAT opinion";

/// What the file says of its writer: a constant, so that a new release writes the same bytes.
pub(super) const CREATED_BY: &str = "millrace silver version 1.0.0";

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Bytes,
    Millis,
    Double,
    Float,
    /// A float or nothing.
    FloatIfAny,
    Int,
}

impl Kind {
    /// The number of the physical type.
    pub(super) const fn physical(self) -> i32 {
        match self {
            Self::Int => 1,
            Self::Millis => 2,
            Self::Float | Self::FloatIfAny => 4,
            Self::Double => 5,
            Self::Text | Self::Bytes => 6,
        }
    }

    /// The number of the repetition: required, or optional.
    pub(super) const fn repetition(self) -> i32 {
        match self {
            Self::FloatIfAny => 1,
            _ => 0,
        }
    }
}

/// Columns that every object has.
const COLUMNS_MIN: usize = 13;

/// The same as [`SCHEMA`] and [`OPINION`], which a test holds.
const COLUMNS: [(&str, Kind); COLUMNS_MIN + 1] = [
    ("tenant", Kind::Text),
    ("device", Kind::Text),
    ("metric", Kind::Text),
    ("ts", Kind::Millis),
    ("value", Kind::Double),
    ("score", Kind::Float),
    ("alert", Kind::Float),
    ("expected", Kind::Double),
    ("outcome", Kind::Text),
    ("quality", Kind::Text),
    ("seq", Kind::Bytes),
    ("sub", Kind::Int),
    ("arrived", Kind::Millis),
    ("opinion", Kind::FloatIfAny),
];

/// The columns of an object, with opinions or without.
pub(super) fn columns(with_opinions: bool) -> &'static [(&'static str, Kind)] {
    if with_opinions { &COLUMNS } else { &COLUMNS[..COLUMNS_MIN] }
}
