//! `model batch`: what SageMaker batch transform would leave in `inference/{tenant}/{job}/`.
//!
//! Rows go to parts of the input, and payload by payload through the model, here or at an endpoint, as batch transform cuts
//! them (`SplitType: Line`, `BatchStrategy: MultiRecord`): whole lines, as many as fit. The description is written last, so that
//! nobody analyses half a job. Writing the same job again changes nothing.

use std::mem;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use anomaly_core::Timestamp;
use anyhow::{Context as _, anyhow, bail};
use batch_analyzer::job::{JobId, VERSION};
use model_server::data::{DataError, Format, Recordings, Unused};
use model_server::media::Media;
use model_server::model::Loaded;
use model_server::request::answer;
use model_server::row::{Columns, Row};
use platform::embedded::Local;
use platform::model::Key;
use platform::ports::{PutError, PutIfAbsent as _};
use serde_json::json;

use super::shelf::{Store, Which};
use crate::options;
use crate::ui::{Ui, Usage};

/// Longest payload, in bytes: batch transform's default.
const PAYLOAD_BYTES_MAX: usize = 6 << 20;
/// Longest answer, in bytes: of a payload of the shortest rows, each with an error.
const ANSWER_BYTES_MAX: u64 = 256 << 20;
/// Most bytes of one input part.
const PART_BYTES: usize = 64 << 20;

const EXAMPLES: &str = "\
Examples:
  millrace model batch pumps --job acme/week-47 --tenant acme millrace-data/lake --from 2026-11-16 --until 2026-11-23
  millrace model batch pumps.millrace --job demo/try week.csv --endpoint http://127.0.0.1:8080
  millrace model analyze demo/try";

/// What `model batch` is asked.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    which: Which,
    /// Recordings, or folders of a lake, as `millrace model train` reads them
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// The job to write: tenant/job
    #[arg(long, value_name = "TENANT/JOB", value_parser = job)]
    job: JobId,
    #[command(flatten)]
    store: Store,
    /// Only rows from this time on
    #[arg(long, value_name = "TIME", value_parser = options::instant)]
    from: Option<Timestamp>,
    /// Only rows before this time
    #[arg(long, value_name = "TIME", value_parser = options::instant)]
    until: Option<Timestamp>,
    /// Columns of CSV without a head
    #[arg(long, value_name = "NAMES")]
    columns: Option<String>,
    /// Ask a server for the scores, such as `millrace model serve` or a container, instead of scoring here
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
}

/// A job's name.
pub(super) fn job(text: &str) -> Result<JobId, String> {
    JobId::parse(text).map_err(|error| error.to_string())
}

/// Writes the job.
pub(super) async fn run(args: &Args, ui: &Ui) -> anyhow::Result<()> {
    let model = args.which.load(&args.store.dir).await?;
    let id = &args.job;
    if id.tenant != model.card.tenant {
        let (name, tenant) = (model.card.full_name(), &model.card.tenant);
        return Err(Usage(format!("`{name}` is a model of `{tenant}`, the job is of `{}`", id.tenant)).into());
    }
    let columns = args.columns.as_ref().map(|names| {
        Columns::new(names.split(',')).map_err(|mistakes| Usage(format!("--columns: {}", mistakes.join("; "))))
    });
    let recordings = Recordings {
        paths: args.files.clone(),
        format: Format::Auto,
        columns: columns.transpose()?,
        tenant: id.tenant.clone(),
    };
    let local = Local::open(&args.store.dir)?;
    let mut names = Vec::new();
    let (mut rows, mut failed) = (0, 0);
    let (parts, reader) = read(recordings, args.from, args.until);
    for part in parts {
        let name = format!("part-{:05}.jsonl", names.len());
        put(&local, id, &format!("input/{name}"), part.as_bytes()).await?;
        let results = transform(args, &model, &part)?;
        rows += part.lines().count();
        failed += results.lines().filter(|line| !line.starts_with("{\"score\"")).count();
        put(&local, id, &format!("output/{name}.out"), results.as_bytes()).await?;
        names.push(name);
    }
    let unused = reader.join().map_err(|_| anyhow!("reading the rows has panicked"))??;
    if unused.refused > 0 {
        let first = unused.first_refusal.unwrap_or_default();
        ui.warn(format_args!("{} lines are no rows; the first: {first}", unused.refused));
    }
    if names.is_empty() {
        bail!("there is no row of tenant `{}` in that time", id.tenant);
    }
    let description = json!({
        "version": VERSION,
        "model": model.card.full_name(),
        "format": "jsonl",
        "parts": names,
        "devices": model.card.devices,
        "lines": model.card.lines,
    });
    put(&local, id, "job.json", &serde_json::to_vec_pretty(&description)?).await?;
    ui.note(format_args!("{id}: {rows} rows in {} parts, {failed} without a score", names.len()));
    Ok(())
}

/// Rows as JSON lines, part by part, read ahead by one: a recording may be longer than there is memory.
fn read(
    recordings: Recordings,
    from: Option<Timestamp>,
    until: Option<Timestamp>,
) -> (mpsc::IntoIter<String>, JoinHandle<Result<Unused, DataError>>) {
    let (sender, parts) = mpsc::sync_channel(1);
    let reader = thread::spawn(move || {
        let (mut part, stop) = (String::new(), AtomicBool::new(false));
        // Who asked for the parts has given up: so does the reading.
        let send = |part: String| stop.store(sender.send(part).is_err(), Ordering::Relaxed);
        let unused = recordings.for_each(&stop, |row| {
            if from.is_some_and(|from| row.at < from) || until.is_some_and(|until| row.at >= until) {
                return;
            }
            let line = line(&row);
            if part.len() + line.len() > PART_BYTES {
                send(mem::take(&mut part));
            }
            part.push_str(&line);
        })?;
        if !part.is_empty() {
            send(part);
        }
        Ok(unused)
    });
    (parts.into_iter(), reader)
}

fn line(row: &Row) -> String {
    let mut members = serde_json::Map::new();
    members.insert("device".to_owned(), row.device.as_str().into());
    members.insert("ts".to_owned(), row.at.millis().into());
    for (metric, value) in &row.values {
        members.insert(metric.to_string(), (*value).into());
    }
    let mut line = serde_json::Value::Object(members).to_string();
    line.push('\n');
    line
}

/// Results of a part, a line each.
fn transform(args: &Args, model: &Loaded, part: &str) -> anyhow::Result<String> {
    let mut results = String::new();
    for payload in payloads(part) {
        let answered = if let Some(url) = &args.endpoint {
            invoke(url, payload)?
        } else {
            let columns = model.columns();
            let text = answer(model, columns.as_ref(), Media::JsonLines, Media::JsonLines, payload.as_bytes())?;
            String::from_utf8(text)?
        };
        let (asked, found) = (payload.lines().count(), answered.lines().count());
        if asked != found {
            bail!("{asked} rows were asked for and {found} results came back: the endpoint is no model server");
        }
        results.push_str(&answered);
        if !answered.ends_with('\n') {
            results.push('\n');
        }
    }
    Ok(results)
}

/// Pieces of whole lines that are no longer than a payload may be.
fn payloads(part: &str) -> impl Iterator<Item = &str> {
    let mut rest = part;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = if rest.len() <= PAYLOAD_BYTES_MAX {
            rest.len()
        } else {
            // A row is far shorter than a payload.
            rest.as_bytes()[..PAYLOAD_BYTES_MAX].iter().rposition(|byte| *byte == b'\n').map_or(rest.len(), |at| at + 1)
        };
        let (payload, behind) = rest.split_at(end);
        rest = behind;
        Some(payload)
    })
}

fn invoke(url: &str, payload: &str) -> anyhow::Result<String> {
    let url = format!("{}/invocations", url.trim_end_matches('/'));
    let form = Media::JsonLines.name();
    let request = ureq::post(&url).config().http_status_as_error(false).build();
    let sent = request.header("content-type", form).header("accept", form).send(payload);
    let mut response = sent.with_context(|| format!("cannot ask `{url}`: is a model served there?"))?;
    let text = response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_string();
    let text = text.with_context(|| format!("the answer of `{url}` cannot be read"))?;
    if !response.status().is_success() {
        bail!("`{url}` answered {}: {}", response.status(), text.chars().take(500).collect::<String>().escape_debug());
    }
    Ok(text)
}

async fn put(local: &Local, id: &JobId, name: &str, body: &[u8]) -> anyhow::Result<()> {
    let key: Key = id.key(name)?;
    match local.put_if_absent(&key, body).await {
        Ok(_) => Ok(()),
        Err(PutError::Conflict(key)) => bail!("`{key}` is there with other content: give the job another name"),
        Err(PutError::Store(error)) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_are_whole_lines_and_together_the_part() {
        let part: String = "a line of some length\n".repeat(600_000);
        let payloads: Vec<&str> = payloads(&part).collect();
        assert!(payloads.len() > 1 && payloads.concat() == part);
        assert!(payloads.iter().all(|payload| payload.len() <= PAYLOAD_BYTES_MAX && payload.ends_with('\n')));
    }
}
