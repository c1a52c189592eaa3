//! The columns of a silver object.

/// The schema, in Parquet's own words. A stored format: columns may be added at the end, never changed.
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
    Int,
}

impl Kind {
    /// The number of the physical type.
    pub(super) const fn physical(self) -> i32 {
        match self {
            Self::Int => 1,
            Self::Millis => 2,
            Self::Float => 4,
            Self::Double => 5,
            Self::Text | Self::Bytes => 6,
        }
    }
}

/// The same as [`SCHEMA`], which a test holds.
pub(super) const COLUMNS: [(&str, Kind); 13] = [
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
];
