//! `lake query`: SQL in, rows out, as they come.

use std::path::PathBuf;

use anyhow::Context as _;
use lake::engine::Cell as Value;
use lake::question::Question;

use super::{Folder, Memory};
use crate::output::{Cell, Format};
use crate::ui::Ui;

const HELP: &str = "\
Tables: bronze, quarantine, silver as each batch wrote them, with orphans; sealed, done: what counts; readings, gold_summary,
gold_anomalies: rows of runs, to be read together with done; model_findings, model_scores: what batch inference found.
Each has its partitions (dt, hour, region) as columns, by which objects are chosen before any is opened, and \"$path\".

Examples:
  millrace lake query \"SELECT dt, hour, count(*) AS readings FROM silver GROUP BY dt, hour ORDER BY dt, hour\"
  millrace lake query --file infra/sql/summary.sql --set dt_from=2026-01-05 --set dt_to=2026-01-11
  millrace lake query --file infra/sql/zscore_robust.sql --set judged_from=2026-01-11 --set region=local \\
      --set dt_from=2026-01-05 --set dt_to=2026-01-11 --set readings_min=100 --set z_min=6 --output csv";

/// Rows that a table shows: it is held in memory to be laid out.
const TABLE_ROWS_MAX: usize = 10_000;

/// What `lake query` is asked.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Args {
    /// The question
    #[arg(value_name = "SQL", required_unless_present = "file", conflicts_with = "file")]
    sql: Option<String>,
    /// A file with the question, its parameters described in its header as those of infra/sql are
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// A parameter's value; may be given several times
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = assignment)]
    values: Vec<(String, String)>,
    #[command(flatten)]
    folder: Folder,
    #[command(flatten)]
    memory: Memory,
}

fn assignment(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or("expected NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Asks and prints.
pub(super) async fn run(args: &Args, ui: &Ui) -> anyhow::Result<()> {
    let text = match (&args.file, &args.sql) {
        (Some(file), _) => {
            std::fs::read_to_string(file).with_context(|| format!("`{}` cannot be read", file.display()))?
        }
        (None, sql) => sql.clone().unwrap_or_default(),
    };
    let values: Vec<(&str, &str)> = args.values.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let sql = Question::new(&text).bind(&values)?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let engine = args.memory.engine(&args.folder, threads)?;
    let mut answer = engine.ask(&sql).await?;
    // The names live as long as the process, which ends with the answer.
    let columns = answer.columns().into_iter().map(|name| &*name.leak()).collect();
    let mut rows = ui.rows(columns)?;
    let room = if ui.format() == Format::Table { TABLE_ROWS_MAX } else { usize::MAX };
    let mut count = 0;
    while let Some(more) = answer.rows().await? {
        for row in more.iter().take(room - count) {
            rows.push(&row.iter().map(cell).collect::<Vec<_>>())?;
            count += 1;
        }
        if count == room {
            ui.warn(format_args!(
                "a table shows {TABLE_ROWS_MAX} rows and no more: ask with --output csv, or use LIMIT"
            ));
            break;
        }
    }
    rows.finish()?;
    ui.detail(format_args!("{count} rows"));
    Ok(())
}

fn cell(value: &Value) -> Cell<'_> {
    match value {
        Value::Nothing => Cell::Nothing,
        Value::Text(text) => Cell::text(text.as_str()),
        Value::Number(number) => Cell::Number(*number),
        Value::Truth(truth) => Cell::Truth(*truth),
    }
}
