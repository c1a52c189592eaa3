//! SQL over the folder of a lake, in bounded memory.
//!
//! Answers come a batch at a time; sorts and groups that outgrow the memory go to temporary files. Only questions are taken:
//! nothing that SQL could say changes the lake. What it does not do: read S3, where Athena is.

use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::prelude::{SQLOptions, SessionConfig, SessionContext};
use datafusion::sql::parser::{DFParserBuilder, Statement};
use futures_util::StreamExt as _;

use crate::error::LakeError;
use crate::provider::Provider;
use crate::table::{TABLES, names, table};

mod cell;

pub use cell::Cell;

/// What the engine may take.
#[derive(Debug, Clone, Copy)]
pub struct Means {
    /// Bytes that sorts, groups and joins may take before they go to temporary files or fail. Effect: speed, and which
    /// questions can be asked. Objects that are being read come on top, a few MiB a thread.
    pub memory_bytes: usize,
    /// Threads; with one the same question over the same objects gives the same rows in the same order, ties included.
    pub threads: usize,
}

/// The tables of a lake.
pub struct Engine {
    context: SessionContext,
    memory_bytes: usize,
}

impl Engine {
    /// `lake` is the folder that has `silver/`, `gold/` and the others; what is not there is an empty table.
    ///
    /// # Errors
    /// The engine cannot be built, or the folder has no absolute name.
    pub fn open(lake: &Path, means: Means) -> Result<Self, LakeError> {
        let failed = |error: DataFusionError| LakeError::Engine(error.to_string());
        // Paths in the engine are those below the root of the file system.
        let lake = std::path::absolute(lake).map_err(|error| failed(error.into()))?;
        let mut config =
            SessionConfig::new().with_target_partitions(means.threads.max(1)).with_information_schema(false);
        let options = config.options_mut();
        // Where in the text a name is that there is not.
        options.sql_parser.collect_spans = true;
        // Silver's times are UTC.
        options.execution.time_zone = Some("UTC".to_owned());
        let pool = Arc::new(FairSpillPool::new(means.memory_bytes));
        let runtime = RuntimeEnvBuilder::new().with_memory_pool(pool).build_arc().map_err(failed)?;
        let context = SessionContext::new_with_config_rt(config, runtime);
        for table in TABLES {
            context.register_table(table.name, Arc::new(Provider::new(table, &lake))).map_err(failed)?;
        }
        Ok(Self { context, memory_bytes: means.memory_bytes })
    }

    /// Asks.
    ///
    /// # Errors
    /// [`LakeError::Sql`] with its place, [`LakeError::NoTable`], and the engine's.
    pub async fn ask(&self, text: &str) -> Result<Answer, LakeError> {
        let failed = |error| self.meaning(error, text);
        let statement = parse(text).map_err(failed)?;
        let state = self.context.state();
        for asked in state.resolve_table_references(&statement).map_err(failed)? {
            if table(asked.table()).is_none() {
                return Err(LakeError::NoTable { name: asked.table().to_owned(), known: names() });
            }
        }
        let plan = state.statement_to_plan(statement).await.map_err(failed)?;
        let only_questions = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
        only_questions.verify_plan(&plan).map_err(failed)?;
        let frame = self.context.execute_logical_plan(plan).await.map_err(failed)?;
        let stream = frame.execute_stream().await.map_err(failed)?;
        Ok(Answer { stream, memory_bytes: self.memory_bytes })
    }

    fn meaning(&self, error: DataFusionError, text: &str) -> LakeError {
        meaning(error, text, self.memory_bytes)
    }
}

/// One statement.
fn parse(text: &str) -> Result<Statement, DataFusionError> {
    let mut statements = DFParserBuilder::new(text).build()?.parse_statements()?;
    match (statements.pop_front(), statements.is_empty()) {
        (Some(statement), true) => Ok(statement),
        (None, _) => Err(DataFusionError::Plan("there is no question in the text".to_owned())),
        (Some(_), false) => Err(DataFusionError::Plan("there is more than one question: ask one at a time".to_owned())),
    }
}

/// The rows of an answer, as they come.
pub struct Answer {
    stream: SendableRecordBatchStream,
    memory_bytes: usize,
}

impl Answer {
    /// Names of the columns.
    #[must_use]
    pub fn columns(&self) -> Vec<String> {
        self.stream.schema().fields().iter().map(|field| field.name().clone()).collect()
    }

    /// Names and types of the columns, as the engine has them.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        self.stream.schema()
    }

    /// The next rows; `None` at the end.
    ///
    /// # Errors
    /// [`LakeError::Memory`], [`LakeError::Damaged`], and the engine's.
    pub async fn rows(&mut self) -> Result<Option<Vec<Vec<Cell>>>, LakeError> {
        let Some(batch) = self.batch().await? else { return Ok(None) };
        cell::rows(&batch).map(Some).map_err(|error| LakeError::Engine(error.to_string()))
    }

    pub(crate) async fn batch(&mut self) -> Result<Option<RecordBatch>, LakeError> {
        let next = self.stream.next().await.transpose();
        next.map_err(|error| meaning(error, "", self.memory_bytes))
    }
}

/// What an error of the engine means to who asked.
fn meaning(error: DataFusionError, text: &str, memory_bytes: usize) -> LakeError {
    let without_place = |reason: String| LakeError::Sql { reason, line: 0, column: 0, excerpt: String::new() };
    match error {
        DataFusionError::SQL(error, _) => {
            let said = error.to_string();
            let said = said.trim_start_matches("sql parser error: ");
            let Some((reason, line, column)) = place_of(said) else { return without_place(said.to_owned()) };
            LakeError::Sql { reason: reason.to_owned(), line, column, excerpt: excerpt(text, line, column) }
        }
        DataFusionError::Diagnostic(diagnostic, cause) => match diagnostic.span {
            Some(span) => {
                let (line, column) = (span.start.line, span.start.column);
                let reason = match meaning(*cause, "", memory_bytes) {
                    LakeError::Sql { reason, .. } => reason,
                    other => other.to_string(),
                };
                LakeError::Sql { reason, line, column, excerpt: excerpt(text, line, column) }
            }
            None => meaning(*cause, text, memory_bytes),
        },
        DataFusionError::Plan(reason) => without_place(reason),
        DataFusionError::SchemaError(error, _) => without_place(error.to_string()),
        DataFusionError::ResourcesExhausted(_) => LakeError::Memory(memory_bytes),
        DataFusionError::Context(_, cause) => meaning(*cause, text, memory_bytes),
        DataFusionError::External(cause) => match cause.downcast::<LakeError>() {
            Ok(own) => *own,
            Err(other) => LakeError::Engine(other.to_string()),
        },
        DataFusionError::Shared(cause) => match Arc::try_unwrap(cause) {
            Ok(cause) => meaning(cause, text, memory_bytes),
            Err(cause) => LakeError::Engine(cause.to_string()),
        },
        DataFusionError::Collection(mut causes) if !causes.is_empty() => {
            meaning(causes.swap_remove(0), text, memory_bytes)
        }
        other => LakeError::Engine(other.to_string()),
    }
}

/// Splits `… at Line: 1, Column: 8`, which is how the parser says where.
fn place_of(said: &str) -> Option<(&str, u64, u64)> {
    let (reason, place) = said.rsplit_once(" at Line: ")?;
    let (line, column) = place.split_once(", Column: ")?;
    Some((reason, line.parse().ok()?, column.trim_end().parse().ok()?))
}

/// The line and a mark below the column.
fn excerpt(text: &str, line: u64, column: u64) -> String {
    let number = usize::try_from(line).unwrap_or_default();
    let Some(found) = number.checked_sub(1).and_then(|number| text.lines().nth(number)) else { return String::new() };
    let indent = usize::try_from(column).unwrap_or(1).saturating_sub(1).min(found.chars().count());
    format!("  {found}\n  {}^", " ".repeat(indent))
}
