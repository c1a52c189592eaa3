//! A table of the lake as `DataFusion` sees it.
//!
//! Partitions are told from the path, before any object is opened; a question with dates in it looks at those alone. Which object
//! a row is of stands in the column `$path`, as on Athena. What it does not do: keep anything from one question to the next.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use datafusion::arrow::array::{Array as _, ArrayRef, AsArray as _, BooleanArray, RecordBatch};
use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::{DFSchema, Statistics, plan_err};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use datafusion::scalar::ScalarValue;
use futures_util::stream;

use crate::error::LakeError;
use crate::lines::Lines;
use crate::table::{Form, Table, Type};

/// Most objects that one question looks at.
const OBJECTS_MAX: usize = 2_000_000;
/// What a row takes in an object of silver, about, and once it is unpacked: for the order of joins.
const ROW_BYTES: (u64, usize) = (16, 160);

/// A table in a folder.
#[derive(Debug)]
pub(crate) struct Provider {
    table: &'static Table,
    folder: PathBuf,
    schema: SchemaRef,
    beside: Vec<Field>,
}

/// An object, and the values of its partitions and of the path.
#[derive(Debug, Clone)]
struct Object {
    path: PathBuf,
    bytes: u64,
    values: Vec<ScalarValue>,
}

/// A folder of a partition, and its values.
struct Partition {
    folder: PathBuf,
    values: Vec<ScalarValue>,
}

impl Provider {
    /// `lake` is the folder of the lake; it need not have anything of the table.
    pub(crate) fn new(table: &'static Table, lake: &Path) -> Self {
        let beside = table.beside();
        let file = table.file_schema();
        let fields: Vec<Field> =
            file.fields().iter().map(|field| field.as_ref().clone()).chain(beside.clone()).collect();
        Self {
            table,
            folder: lake.join(table.folder.trim_end_matches('/')),
            schema: Arc::new(Schema::new(fields)),
            beside,
        }
    }

    /// The partitions that are there, in order.
    fn partitions(&self) -> Result<Vec<Partition>> {
        let mut found = vec![Partition { folder: self.folder.clone(), values: Vec::new() }];
        for name in self.table.partitions {
            let mut next = Vec::new();
            for partition in found {
                for (text, folder) in entries(&partition.folder)? {
                    let Some(value) = text.strip_prefix(name).and_then(|rest| rest.strip_prefix('=')) else { continue };
                    let value = match Table::partition_type(name) {
                        Type::Int => value.parse().ok().map(|number| ScalarValue::Int32(Some(number))),
                        _ => Some(ScalarValue::Utf8(Some(value.to_owned()))),
                    };
                    // People put folders there, too.
                    let Some(value) = value else { continue };
                    next.push(Partition { folder, values: [&partition.values[..], &[value]].concat() });
                }
            }
            found = next;
        }
        Ok(found)
    }

    /// The objects that the filters leave, in order of name.
    fn objects(&self, state: &dyn Session, filters: &[Expr]) -> Result<Vec<Object>> {
        let mut partitions = self.partitions()?;
        let fields = &self.beside[..self.table.partitions.len()];
        if !filters.is_empty() && !partitions.is_empty() {
            let kept = kept(state, filters, fields, &partitions)?;
            let mut at = 0..;
            partitions.retain(|_| at.next().is_none_or(|at| kept.value(at)));
        }
        let mut objects = Vec::new();
        for partition in partitions {
            descend(&partition.folder, &mut |path, bytes| {
                let shown = ScalarValue::Utf8(Some(path.to_string_lossy().into_owned()));
                objects.push(Object { values: [&partition.values[..], &[shown]].concat(), path, bytes });
                if objects.len() <= OBJECTS_MAX {
                    return Ok(());
                }
                plan_err!(
                    "`{}` has more than {OBJECTS_MAX} objects in what is asked for, the limit: ask for fewer dates (dt)",
                    self.table.name
                )
            })?;
        }
        objects.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        Ok(objects)
    }

    fn parquet(
        &self,
        state: &dyn Session,
        objects: Vec<Object>,
        projection: Option<&Vec<usize>>,
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let bytes: u64 = objects.iter().map(|object| object.bytes).sum();
        let files: Vec<PartitionedFile> = objects.into_iter().map(Object::file).collect::<Result<_>>()?;
        let mut statistics = Statistics::new_unknown(&self.schema);
        let rows = usize::try_from(bytes / ROW_BYTES.0).unwrap_or(usize::MAX);
        statistics.num_rows = Precision::Inexact(rows);
        statistics.total_byte_size = Precision::Inexact(rows.saturating_mul(ROW_BYTES.1));
        let schema = TableSchema::builder(self.table.file_schema())
            .with_table_partition_cols(self.beside.iter().cloned().map(Arc::new).collect::<Vec<_>>())
            .build();
        let groups = FileGroup::new(files).split_files(state.config().target_partitions());
        let config =
            FileScanConfigBuilder::new(ObjectStoreUrl::local_filesystem(), Arc::new(ParquetSource::new(schema)))
                .with_file_groups(groups)
                .with_statistics(statistics)
                .with_projection_indices(projection.cloned())?
                .with_limit(limit)
                .build();
        Ok(DataSourceExec::from_data_source(config))
    }

    fn lines(
        &self,
        objects: Vec<Object>,
        projection: Option<&Vec<usize>>,
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let of = |object| LinesOf { table: self.table, schema: Arc::clone(&self.schema), object };
        if self.table.form == Form::FewLines {
            let batches: Vec<RecordBatch> =
                objects.into_iter().flat_map(|object| of(object).batches()).collect::<Result<_>>()?;
            let schema = Arc::clone(&self.schema);
            return Ok(MemorySourceConfig::try_new_exec(&[batches], schema, projection.cloned())?);
        }
        let streams = objects.into_iter().map(|object| Arc::new(of(object)) as Arc<dyn PartitionStream>).collect();
        let schema = Arc::clone(&self.schema);
        Ok(Arc::new(StreamingTableExec::try_new(schema, streams, projection, None, false, limit)?))
    }
}

#[async_trait::async_trait]
impl TableProvider for Provider {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let objects = self.objects(state, filters)?;
        if objects.is_empty() {
            // The engine's plans are for one stream of rows at least.
            let schema = match projection {
                Some(columns) => Arc::new(self.schema.project(columns)?),
                None => Arc::clone(&self.schema),
            };
            return Ok(Arc::new(EmptyExec::new(schema)));
        }
        match self.table.form {
            Form::Parquet => self.parquet(state, objects, projection, limit),
            Form::Lines | Form::FewLines => self.lines(objects, projection, limit),
        }
    }

    /// What speaks of partitions alone chooses among them.
    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let of_partitions = |filter: &&Expr| {
            let columns = filter.column_refs();
            !columns.is_empty() && columns.iter().all(|column| self.table.partitions.contains(&column.name.as_str()))
        };
        let answer = |filter| {
            if of_partitions(filter) {
                TableProviderFilterPushDown::Exact
            } else {
                TableProviderFilterPushDown::Unsupported
            }
        };
        Ok(filters.iter().map(answer).collect())
    }
}

/// Which partitions all filters leave.
fn kept(state: &dyn Session, filters: &[Expr], fields: &[Field], partitions: &[Partition]) -> Result<BooleanArray> {
    let schema = Arc::new(Schema::new(fields.to_vec()));
    let columns: Vec<ArrayRef> = (0..fields.len())
        .map(|at| ScalarValue::iter_to_array(partitions.iter().map(|partition| partition.values[at].clone())))
        .collect::<Result<_>>()?;
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns)?;
    let schema = DFSchema::try_from(schema)?;
    let mut kept = vec![true; partitions.len()];
    for filter in filters {
        let values =
            state.create_physical_expr(filter.clone(), &schema)?.evaluate(&batch)?.into_array(batch.num_rows())?;
        let values = values.as_boolean();
        kept.iter_mut().enumerate().for_each(|(at, kept)| *kept &= values.is_valid(at) && values.value(at));
    }
    Ok(BooleanArray::from(kept))
}

/// Names and paths of the folders right below, in order.
fn entries(folder: &Path) -> Result<Vec<(String, PathBuf)>> {
    let found = match fs::read_dir(folder) {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let mut folders = Vec::new();
    for entry in found {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            folders.push((entry.file_name().to_string_lossy().into_owned(), entry.path()));
        }
    }
    folders.sort_unstable();
    Ok(folders)
}

/// All files below.
fn descend(folder: &Path, take: &mut impl FnMut(PathBuf, u64) -> Result<()>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            descend(&entry.path(), take)?;
        } else if kind.is_file() {
            take(entry.path(), entry.metadata()?.len())?;
        }
    }
    Ok(())
}

impl Object {
    fn file(self) -> Result<PartitionedFile> {
        let location = datafusion::object_store::path::Path::from_filesystem_path(&self.path)
            .map_err(|error| DataFusionError::External(error.into()))?;
        let mut file = PartitionedFile::new(String::new(), self.bytes).with_partition_values(self.values);
        file.object_meta.location = location;
        Ok(file)
    }
}

/// One object of JSON lines.
#[derive(Debug)]
struct LinesOf {
    table: &'static Table,
    schema: SchemaRef,
    object: Object,
}

impl LinesOf {
    /// Rows as they are read, with the values of the partitions and the path.
    fn batches(self) -> impl Iterator<Item = Result<RecordBatch>> {
        let mut lines = Some(Lines::open(&self.object.path, self.table));
        let mut open: Option<Lines> = None;
        std::iter::from_fn(move || {
            match lines.take() {
                Some(Ok(lines)) => open = Some(lines),
                Some(Err(error)) => return Some(Err(external(error))),
                None => {}
            }
            match open.as_mut()?.batch() {
                Ok(Some(batch)) => Some(self.whole(&batch)),
                Ok(None) => None,
                Err(error) => {
                    open = None;
                    Some(Err(external(error)))
                }
            }
        })
    }

    fn whole(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let rows = batch.num_rows();
        let beside = self.object.values.iter().map(|value| value.to_array_of_size(rows)).collect::<Result<Vec<_>>>()?;
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), [batch.columns(), &beside].concat())?)
    }
}

fn external(error: LakeError) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

impl PartitionStream for LinesOf {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let own = Self { table: self.table, schema: Arc::clone(&self.schema), object: self.object.clone() };
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), stream::iter(own.batches())))
    }
}
