//! A run: the rows of a product of an hour under a name of their own, then the marker that makes them count.
//!
//! The name follows from what goes in, so that a run that was killed is gone on with: it writes the same objects again, and finds
//! them there. Where something else lies under the name, left by another release, the next name is taken. The marker is written
//! last and once. What it does not do: remove the rows of runs that do not count.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch, StringArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::arrow::error::ArrowError;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::arrow::arrow_writer::ArrowWriterOptions;
use datafusion::parquet::basic::{Compression, ZstdLevel};
use datafusion::parquet::errors::ParquetError;
use datafusion::parquet::file::properties::WriterProperties;
use platform::model::{ContentHash, Key};
use platform::ports::{PutError, StoreError, Stored};
use serde::{Deserialize, Serialize};

use crate::engine::{Answer, Engine};
use crate::error::LakeError;
use crate::hour::Hour;
use crate::place;
use crate::question::Question;
use crate::rollup;
use crate::seal::{self, Sealed};
use crate::table::{ANOMALIES, READINGS, SUMMARY, Type};
use crate::world::LakeWorld;

/// Rows of one object: with silver's columns about 20 MB, which is held in memory while it is written.
const OBJECT_ROWS_MAX: usize = 1_000_000;
/// Rows of a group in an object: what a reader takes at once.
const GROUP_ROWS_MAX: usize = 131_072;
/// What the file says of its writer: a constant, so that a new release writes the same bytes.
const CREATED_BY: &str = "millrace gold version 1.0.0";
/// Names that are tried: each that is taken is what a release has left that wrote other bytes.
const NAMES_MAX: u32 = 100;
/// Largest marker, in bytes.
const MARKER_BYTES_MAX: usize = 64 << 10;
/// Objects of one run.
const RUN_OBJECTS_MAX: usize = 100_000;
/// Counts up when a product's rows are to be others; then it is another product, and its runs have other names.
const VERSION: u32 = 1;

/// Days that what is usual is taken from, the judged one included.
const USUAL_DAYS: i64 = 7;
/// What `zscore_robust.sql` advises for machines.
const USUAL_READINGS_MIN: &str = "100";
const USUAL_WIDTHS_MIN: &str = "6";

/// What is made of an hour, or of a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Product {
    /// Silver's rows of the objects in the list: each reading once.
    Readings,
    /// The rollup in parts.
    Summary,
    /// Of a day: readings far from what the week up to it has as usual.
    Anomalies,
}

impl Product {
    /// All of them, each after those that it reads.
    pub const ALL: [Self; 3] = [Self::Readings, Self::Summary, Self::Anomalies];

    /// Its name in markers, and its folder in gold.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Readings => "readings",
            Self::Summary => "summary",
            Self::Anomalies => "anomalies",
        }
    }

    /// Whether it is made of whole days; its hour is then the last of the day.
    #[must_use]
    pub const fn is_daily(self) -> bool {
        matches!(self, Self::Anomalies)
    }

    const fn question(self) -> Question<'static> {
        Question::new(match self {
            Self::Readings => include_str!("../../../infra/sql/readings.sql"),
            Self::Summary => include_str!("../../../infra/sql/summary_hour.sql"),
            Self::Anomalies => include_str!("../../../infra/sql/zscore_robust.sql"),
        })
    }

    const fn columns(self) -> &'static [(&'static str, Type)] {
        match self {
            Self::Readings => READINGS,
            Self::Summary => SUMMARY,
            Self::Anomalies => ANOMALIES,
        }
    }
}

/// Which run of a product counts, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    /// The product's name.
    pub product: String,
    /// The run.
    pub run: String,
    /// Its rows.
    pub row_count: u64,
    /// Its objects.
    pub object_count: u64,
}

/// One product of one hour, or of one day, of one Region.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Task {
    /// The Region.
    pub region: String,
    /// The hour; of a product of a day its last.
    pub hour: Hour,
    /// The product.
    pub product: Product,
}

impl Task {
    /// The marker, if there is one.
    ///
    /// # Errors
    /// [`LakeError::Damaged`], and the store's.
    pub async fn marker<W: LakeWorld>(&self, world: &W) -> Result<Option<Marker>, LakeError> {
        let key = self.done()?;
        let Some(bytes) = world.get_object(&key, MARKER_BYTES_MAX).await? else { return Ok(None) };
        serde_json::from_slice(&bytes).map(Some).map_err(|error| LakeError::Damaged {
            place: key.to_string(),
            reason: format!("{error}; restore it from a backup or an older version"),
        })
    }

    /// Where its runs lie; ends with `/`.
    pub(crate) fn folder(&self) -> String {
        let name = self.product.name();
        let partition = if self.product.is_daily() { self.hour.day() } else { self.hour.partition() };
        format!("gold/{name}/{partition}/region={}/", self.region)
    }

    fn done(&self) -> Result<Key, StoreError> {
        place::done(self.hour, &self.region, self.product.name())
    }

    /// Makes the product, unless it is there. Safe to repeat, and to be killed anywhere.
    ///
    /// `engine` has to have one thread ([`crate::engine::Means::threads`]), for the same rows to give the same bytes.
    ///
    /// # Errors
    /// [`LakeError`].
    pub async fn perform<W: LakeWorld>(&self, world: &W, engine: &Engine) -> Result<(Marker, Stored), LakeError> {
        if let Some(marker) = self.marker(world).await? {
            return Ok((marker, Stored::AlreadyThere));
        }
        let input = self.input(world).await?;
        for attempt in 0..NAMES_MAX {
            // Readers join on the day and the run, so no two hours may have one name, though nothing arrived in both.
            let text = format!("{} {VERSION} {} {} {input} {attempt}", self.product.name(), self.region, self.hour);
            let run = ContentHash::of(text.as_bytes()).as_str()[..12].to_owned();
            let Some(written) = self.write(world, engine, &run).await? else {
                tracing::info!(run, "something else has the name of the run, taking another");
                continue;
            };
            let name = self.product.name().to_owned();
            let marker =
                Marker { product: name, run, row_count: written.rows, object_count: written.objects.len() as u64 };
            return self.mark(world, marker).await;
        }
        let target = self.folder();
        let remedy = format!("{NAMES_MAX} runs without a marker lie there: remove them");
        Err(StoreError::permanent("write run", target, remedy).into())
    }

    /// What the product is made of: two that are made of the same are the same.
    async fn input<W: LakeWorld>(&self, world: &W) -> Result<String, LakeError> {
        let not_there = |what: &str| {
            let target = format!("{} {} {}", self.product.name(), self.region, self.hour);
            LakeError::from(StoreError::permanent("write run", target, format!("the hour has no {what} yet")))
        };
        match self.product {
            Product::Readings => {
                let list = seal::list(world, self.hour, &self.region).await?;
                let (objects, bytes) = list.ok_or_else(|| not_there("list"))?;
                self.check_there(world, &objects).await?;
                Ok(ContentHash::of(&bytes).to_string())
            }
            Product::Summary => {
                let readings = Self { product: Product::Readings, ..self.clone() };
                readings.marker(world).await?.map(|marker| marker.run).ok_or_else(|| not_there("readings"))
            }
            Product::Anomalies => {
                let mut runs = String::new();
                for (hour, region, _) in rollup::done(world).await?.iter().filter(|(hour, _, product)| {
                    product == Product::Readings.name() && (self.first_usual()..=self.hour).contains(hour)
                }) {
                    let readings = Self { region: region.clone(), hour: *hour, product: Product::Readings };
                    let marker = readings.marker(world).await?.ok_or_else(|| not_there("readings"))?;
                    runs.extend([hour.to_string().as_str(), " ", region, " ", &marker.run, "\n"]);
                }
                Ok(ContentHash::of(runs.as_bytes()).to_string())
            }
        }
    }

    /// A join leaves out what is not there without a word.
    async fn check_there<W: LakeWorld>(&self, world: &W, objects: &[Sealed]) -> Result<(), LakeError> {
        let prefix = format!("silver/{}/{}/", self.hour.partition(), self.region);
        let listed = world.list_objects(&prefix, seal::OBJECTS_MAX).await?;
        let there: BTreeSet<&Key> = listed.iter().map(|one| &one.key).collect();
        match objects.iter().find(|one| one.layer == "silver" && !there.contains(&one.key)) {
            None => Ok(()),
            Some(gone) => Err(platform::ports::gone(&gone.key).into()),
        }
    }

    /// Writes the rows; `None`: other bytes are there.
    async fn write<W: LakeWorld>(&self, world: &W, engine: &Engine, run: &str) -> Result<Option<Written>, LakeError> {
        let (date, hour, first) = (self.hour.date(), self.hour.of_day().to_string(), self.first_usual().date());
        let of_hour = [("dt", date.as_str()), ("hour", &hour), ("region", &self.region)];
        let of_day = [
            ("judged_from", date.as_str()),
            ("region", &self.region),
            ("dt_from", &first),
            ("dt_to", &date),
            ("readings_min", USUAL_READINGS_MIN),
            ("z_min", USUAL_WIDTHS_MIN),
        ];
        let values = if self.product.is_daily() { &of_day[..] } else { &of_hour };
        let sql = self.product.question().bind(values)?;
        let answer = engine.ask(&sql).await?;
        let folder = format!("{}{run}/", self.folder());
        let mut writer =
            Writer { folder: folder.clone(), run, schema: schema(self.product), open: None, done: Written::default() };
        if !writer.take(world, answer).await? {
            return Ok(None);
        }
        let there = world.list_objects(&folder, RUN_OBJECTS_MAX).await?;
        let same = there.iter().map(|one| &one.key).eq(&writer.done.objects);
        Ok(same.then_some(writer.done))
    }

    /// The first hour that what is usual on the day is taken from.
    fn first_usual(&self) -> Hour {
        self.hour.before(USUAL_DAYS * 24 - 1)
    }

    async fn mark<W: LakeWorld>(&self, world: &W, marker: Marker) -> Result<(Marker, Stored), LakeError> {
        let mut line = serde_json::to_vec(&marker).map_err(|error| LakeError::Engine(error.to_string()))?;
        line.push(b'\n');
        match world.put_if_absent(&self.done()?, &line).await {
            Ok(stored) => Ok((marker, stored)),
            // Another process was quicker: its rows count.
            Err(PutError::Conflict(key)) => match self.marker(world).await? {
                Some(marker) => Ok((marker, Stored::AlreadyThere)),
                None => Err(LakeError::Changed(key)),
            },
            Err(PutError::Store(error)) => Err(error.into()),
        }
    }
}

/// The columns of a product's objects.
fn schema(product: Product) -> SchemaRef {
    let fields: Vec<Field> = product.columns().iter().map(|(name, of)| Field::new(*name, of.arrow(), true)).collect();
    Arc::new(Schema::new(fields))
}

/// What was written.
#[derive(Debug, Default)]
struct Written {
    rows: u64,
    objects: Vec<Key>,
}

/// Rows into objects.
struct Writer<'r> {
    folder: String,
    run: &'r str,
    schema: SchemaRef,
    open: Option<(ArrowWriter<Vec<u8>>, usize)>,
    done: Written,
}

impl Writer<'_> {
    /// All rows of an answer. `false`: other bytes are there.
    async fn take<W: LakeWorld>(&mut self, world: &W, mut answer: Answer) -> Result<bool, LakeError> {
        while let Some(batch) = answer.batch().await? {
            let mut batch = self.whole(&batch).map_err(unwritable)?;
            while batch.num_rows() > 0 {
                let (writer, rows) = match &mut self.open {
                    Some(open) => open,
                    none => none.insert((writer(&self.schema).map_err(unwritable)?, 0)),
                };
                let take = batch.num_rows().min(OBJECT_ROWS_MAX - *rows);
                writer.write(&batch.slice(0, take)).map_err(unwritable)?;
                *rows += take;
                let is_full = *rows == OBJECT_ROWS_MAX;
                batch = batch.slice(take, batch.num_rows() - take);
                if is_full && !self.put(world).await? {
                    return Ok(false);
                }
            }
        }
        self.put(world).await
    }

    /// The columns as they are stored, and the run.
    fn whole(&self, batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        let run: ArrayRef = Arc::new(StringArray::from(vec![self.run; batch.num_rows()]));
        let columns = batch.columns().iter().chain([&run]).zip(self.schema.fields());
        let cast = |(column, field): (&ArrayRef, &Arc<Field>)| cast_to(column, field.data_type());
        RecordBatch::try_new(Arc::clone(&self.schema), columns.map(cast).collect::<Result<_, _>>()?)
    }

    /// Ends the object that is open, if one is.
    async fn put<W: LakeWorld>(&mut self, world: &W) -> Result<bool, LakeError> {
        let Some((writer, rows)) = self.open.take() else { return Ok(true) };
        let bytes = writer.into_inner().map_err(unwritable)?;
        let key = place::key(format!("{}part-{:05}.parquet", self.folder, self.done.objects.len()))?;
        match world.put_if_absent(&key, &bytes).await {
            Ok(_) => {
                self.done.rows += rows as u64;
                self.done.objects.push(key);
                Ok(true)
            }
            Err(PutError::Conflict(_)) => Ok(false),
            Err(PutError::Store(error)) => Err(error.into()),
        }
    }
}

fn cast_to(column: &ArrayRef, of: &DataType) -> Result<ArrayRef, ArrowError> {
    if column.data_type() == of { Ok(Arc::clone(column)) } else { cast(column, of) }
}

fn writer(schema: &SchemaRef) -> Result<ArrowWriter<Vec<u8>>, ParquetError> {
    let properties = WriterProperties::builder()
        .set_created_by(CREATED_BY.to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_row_count(Some(GROUP_ROWS_MAX))
        .build();
    let options = ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true);
    ArrowWriter::try_new_with_options(Vec::new(), Arc::clone(schema), options)
}

fn unwritable(error: impl std::fmt::Display) -> LakeError {
    LakeError::Engine(format!("rows cannot be written as Parquet: {error}"))
}
