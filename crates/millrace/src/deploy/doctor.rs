//! `doctor`: what is missing before an environment can be deployed, each with its remedy.

use std::path::PathBuf;

use deployment::aws::{Aws, account};
use deployment::doctor::{Finding, Health, machine};

use super::{Where, block_on};
use crate::output::Cell;
use crate::ui::Ui;

const EXIT_CODES: &str = "Exit codes: 0 nothing is missing, 1 something is. What cannot be found out is not missing.";

/// What `doctor` is asked.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Args {
    /// Folder of the zips that `cargo xtask package` builds
    #[arg(long, value_name = "DIR", default_value = "target/lambda")]
    code: PathBuf,
    #[command(flatten)]
    place: Where,
}

/// Looks, and lists what was found.
///
/// # Errors
/// Something is missing, or standard output cannot be written.
pub(crate) fn run(args: &Args, ui: &Ui) -> anyhow::Result<()> {
    let mut findings = machine(&args.code, std::env::var_os("PATH").as_deref());
    findings.extend(block_on(async {
        Ok(match Aws::connect(&args.place.place()).await {
            Ok(aws) => account(&aws).await,
            Err(error) => vec![Finding::amiss(Health::Missing, "Region", "none is set", &error.to_string())],
        })
    })?);
    let mut rows = ui.rows(vec!["check", "health", "found", "remedy"])?;
    for finding in &findings {
        let remedy = Some(finding.remedy.as_str()).filter(|remedy| !remedy.is_empty());
        let cells = [
            Cell::text(&finding.check),
            Cell::text(finding.health.word()),
            Cell::text(&finding.found),
            Cell::perhaps(remedy),
        ];
        rows.push(&cells)?;
    }
    rows.finish()?;
    let missing: Vec<&str> = findings
        .iter()
        .filter(|finding| finding.health == Health::Missing)
        .map(|finding| finding.check.as_str())
        .collect();
    if missing.is_empty() { Ok(()) } else { anyhow::bail!("missing: {}", missing.join(", ")) }
}
