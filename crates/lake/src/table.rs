//! What tables there are and what they hold: the same as in `infra/analytics.yaml`, which a test compares.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// UTF-8. In JSON lines also anything that is no text: then its JSON.
    Text,
    /// Bytes.
    Bytes,
    /// Milliseconds of UTC.
    Instant,
    /// Binary64.
    Double,
    /// Binary32.
    Float,
    /// 32 bits with a sign.
    Int,
    /// 64 bits with a sign.
    Long,
    /// True or false.
    Truth,
}

impl Type {
    /// Its name in Glue's catalogue.
    #[must_use]
    pub const fn glue(self) -> &'static str {
        match self {
            Self::Text => "string",
            Self::Bytes => "binary",
            Self::Instant => "timestamp",
            Self::Double => "double",
            Self::Float => "float",
            Self::Int => "int",
            Self::Long => "bigint",
            Self::Truth => "boolean",
        }
    }

    pub(crate) fn arrow(self) -> DataType {
        match self {
            Self::Text => DataType::Utf8,
            Self::Bytes => DataType::Binary,
            Self::Instant => DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
            Self::Double => DataType::Float64,
            Self::Float => DataType::Float32,
            Self::Int => DataType::Int32,
            Self::Long => DataType::Int64,
            Self::Truth => DataType::Boolean,
        }
    }
}

/// How rows are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Columns.
    Parquet,
    /// A JSON object a line, packed with zstd where the name ends so.
    Lines,
    /// As `Lines`, of few rows: they are read whole, so that the engine knows how few they are when it joins.
    FewLines,
}

/// A table.
#[derive(Debug, Clone, Copy)]
pub struct Table {
    /// Its name in SQL.
    pub name: &'static str,
    /// Where it lies in the lake; ends with `/`.
    pub folder: &'static str,
    /// Names of its partitions, in the order of the path.
    pub partitions: &'static [&'static str],
    /// Columns in the objects.
    pub columns: &'static [(&'static str, Type)],
    /// How they are stored.
    pub form: Form,
}

/// The column that says which object a row is of; Athena has it, too.
pub(crate) const PATH: &str = "$path";

impl Table {
    /// The type of a partition's value.
    #[must_use]
    pub fn partition_type(name: &str) -> Type {
        if name == "hour" { Type::Int } else { Type::Text }
    }

    pub(crate) fn file_schema(&self) -> SchemaRef {
        Arc::new(Schema::new(
            self.columns.iter().map(|(name, of)| Field::new(*name, of.arrow(), true)).collect::<Vec<_>>(),
        ))
    }

    /// The partitions, and the path.
    pub(crate) fn beside(&self) -> Vec<Field> {
        let of = |name: &&str| Field::new(*name, Self::partition_type(name).arrow(), false);
        self.partitions.iter().map(of).chain([Field::new(PATH, DataType::Utf8, false)]).collect()
    }
}

use Type::{Bytes, Double, Float, Instant, Int, Long, Text, Truth};

const HOURLY: &[&str] = &["dt", "hour"];
const HOURLY_OF_REGION: &[&str] = &["dt", "hour", "region"];

/// The columns of `telemetry::silver::SCHEMA`, and the one of its objects with second opinions; the others have nothing there.
pub(crate) const SILVER: &[(&str, Type)] = &[
    ("tenant", Text),
    ("device", Text),
    ("metric", Text),
    ("ts", Instant),
    ("value", Double),
    ("score", Float),
    ("alert", Float),
    ("expected", Double),
    ("outcome", Text),
    ("quality", Text),
    ("seq", Bytes),
    ("sub", Int),
    ("arrived", Instant),
    ("opinion", Float),
];

/// Those of every object, and the run.
pub(crate) const READINGS: &[(&str, Type)] = &[
    ("tenant", Text),
    ("device", Text),
    ("metric", Text),
    ("ts", Instant),
    ("value", Double),
    ("score", Float),
    ("alert", Float),
    ("expected", Double),
    ("outcome", Text),
    ("quality", Text),
    ("seq", Bytes),
    ("sub", Int),
    ("arrived", Instant),
    ("run", Text),
];

/// What `infra/sql/summary_hour.sql` returns, and the run.
pub(crate) const SUMMARY: &[(&str, Type)] = &[
    ("tenant", Text),
    ("device", Text),
    ("metric", Text),
    ("hour_start", Instant),
    ("readings", Long),
    ("left_out", Long),
    ("value_mean", Double),
    ("value_min", Double),
    ("value_max", Double),
    ("value_stddev", Double),
    ("score_max", Float),
    ("abnormal", Long),
    ("anomalies", Long),
    ("run", Text),
];

/// What `infra/sql/zscore_robust.sql` returns, and the run.
pub(crate) const ANOMALIES: &[(&str, Type)] = &[
    ("tenant", Text),
    ("device", Text),
    ("metric", Text),
    ("ts", Instant),
    ("value", Double),
    ("expected", Double),
    ("width", Double),
    ("z", Double),
    ("detector", Text),
    ("readings", Long),
    ("score", Float),
    ("seq", Bytes),
    ("sub", Int),
    ("run", Text),
];

/// All tables.
pub const TABLES: &[Table] = &[
    Table {
        name: "bronze",
        folder: "bronze/",
        partitions: HOURLY,
        columns: &[("seq", Text), ("arrived", Long), ("pk", Text), ("json", Text), ("b64", Text)],
        form: Form::Lines,
    },
    Table {
        name: "quarantine",
        folder: "quarantine/",
        partitions: HOURLY,
        columns: &[
            ("seq", Text),
            ("arrived", Long),
            ("pk", Text),
            ("sub", Int),
            ("reason", Text),
            ("detail", Text),
            ("json", Text),
            ("b64", Text),
        ],
        form: Form::Lines,
    },
    Table { name: "silver", folder: "silver/", partitions: HOURLY, columns: SILVER, form: Form::Parquet },
    Table {
        name: "sealed",
        folder: "gold/sealed/",
        partitions: HOURLY_OF_REGION,
        columns: &[
            ("stream", Text),
            ("shard", Text),
            ("layer", Text),
            ("version", Long),
            ("before", Text),
            ("batch", Text),
            ("key", Text),
        ],
        form: Form::FewLines,
    },
    Table {
        name: "done",
        folder: "gold/done/",
        partitions: HOURLY_OF_REGION,
        columns: &[("product", Text), ("run", Text), ("row_count", Long), ("object_count", Long)],
        form: Form::FewLines,
    },
    Table {
        name: "readings",
        folder: "gold/readings/",
        partitions: HOURLY_OF_REGION,
        columns: READINGS,
        form: Form::Parquet,
    },
    Table {
        name: "gold_summary",
        folder: "gold/summary/",
        partitions: HOURLY_OF_REGION,
        columns: SUMMARY,
        form: Form::Parquet,
    },
    Table {
        name: "gold_anomalies",
        folder: "gold/anomalies/",
        partitions: &["dt", "region"],
        columns: ANOMALIES,
        form: Form::Parquet,
    },
    Table {
        name: "model_findings",
        folder: "gold/model_findings/",
        partitions: &["dt"],
        columns: &[
            ("job", Text),
            ("model", Text),
            ("id", Text),
            ("tenant", Text),
            ("device", Text),
            ("metrics", Text),
            ("detector", Text),
            ("onset", Long),
            ("score", Double),
            ("severity", Text),
            ("explanation", Text),
            ("end", Long),
            ("rows", Long),
            ("is_open", Truth),
            ("model_score", Double),
            ("seen_by", Text),
            ("number", Long),
        ],
        form: Form::Lines,
    },
    Table {
        name: "model_scores",
        folder: "gold/model_scores/",
        partitions: &["dt"],
        columns: &[
            ("tenant", Text),
            ("job", Text),
            ("model", Text),
            ("device", Text),
            ("asset", Text),
            ("rows", Long),
            ("first", Long),
            ("last", Long),
            ("mean", Double),
            ("low", Double),
            ("high", Double),
            ("deviation", Double),
            ("anomalies", Long),
        ],
        form: Form::Lines,
    },
];

/// The table of a name.
#[must_use]
pub fn table(name: &str) -> Option<&'static Table> {
    TABLES.iter().find(|table| table.name == name)
}

/// All names, as a sentence has them.
#[must_use]
pub fn names() -> String {
    TABLES.iter().map(|table| table.name).collect::<Vec<_>>().join(", ")
}
