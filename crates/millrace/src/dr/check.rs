//! `dr check`: the checks of the function `replication-checker`, with the credentials of who asks.

mod board;

use std::collections::BTreeSet;
use std::time::Duration;

use platform::clock;
use replication_checker::aws::{Aws, Tables};
use replication_checker::check::Lag;
use replication_checker::ground::{Ground, Names};
use replication_checker::report::Report;
use replication_checker::{Check, Checker, Kind, Limits, Side, Verdict};

use self::board::Board;
use super::regions::{Pair, Region, Regions};
use crate::deploy::block_on;
use crate::output::Cell;
use crate::ui::{Found, Ui};

const EXIT_CODES: &str = "\
Exit codes, by the worst of all checks: 0 ok, 3 late, 4 unknown (it could not be looked at), 5 drifted (not the same), 6 missing;
1 the command failed, 2 it was told nonsense.

Canaries are written to both lakes and tables, and the report is stored as reports/replication/REGION-desk/latest.md.";

/// What `dr check` is asked.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Args {
    #[command(flatten)]
    regions: Regions,
    /// Look at this kind alone; more than once for more
    #[arg(long = "only", value_name = "KIND")]
    only: Vec<Kind>,
    /// Leave this kind out; more than once for more
    #[arg(long = "skip", value_name = "KIND", conflicts_with = "only")]
    skip: Vec<Kind>,
    /// How long to wait for canaries, seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 20, value_parser = clap::value_parser!(u64).range(0..=300))]
    watch: u64,
    /// Look and write nothing: no canaries are sent, and no report is stored
    #[arg(long)]
    dry_run: bool,
}

/// Looks, and lists what was found, the worst first.
///
/// # Errors
/// The Regions cannot be found; or something is not ok, which has an exit code of its own.
pub(crate) fn run(args: &Args, ui: &Ui) -> anyhow::Result<()> {
    let (report, unstored) = block_on(async {
        let pair = args.regions.find().await?;
        let checker = checker(args, &pair);
        let board = Board::new(ui, &checker.kinds);
        let done = Box::pin(checker.check(clock::now, |checks| board.tell(checks))).await;
        board.clear();
        Ok((done.report, done.unstored))
    })?;
    list(&report, ui)?;
    if !report.skipped.is_empty() && args.only.is_empty() {
        ui.note(format_args!("not looked at: {}", report.skipped.join(", ")));
    }
    if let Some(trouble) = unstored.into_iter().next() {
        ui.warn(format_args!("the report could not be stored: {trouble}"));
    }
    let Report { here, there, verdict, .. } = &report;
    let counts: Vec<String> = report
        .counts
        .iter()
        .rev()
        .filter(|(_, count)| **count > 0)
        .map(|(what, count)| format!("{count} {what}"))
        .collect();
    let words = format!("{here} and {there}: {verdict} ({}) in {} ms", counts.join(", "), report.took_ms);
    match verdict {
        Verdict::Ok => {
            ui.note(words);
            Ok(())
        }
        worst => Err(Found { words, code: worst.exit_code() }.into()),
    }
}

fn checker(args: &Args, pair: &Pair) -> Checker<Aws> {
    let regions = &args.regions;
    let tables = Tables { results: regions.named("results"), checkpoints: regions.named("checkpoints") };
    let side = |region: &Region| Side {
        ground: Ground {
            region: region.name.clone(),
            account: Some(pair.account.clone()),
            bucket: region.lake.clone(),
        },
        region: Aws::new(&region.config, &region.lake, tables.clone(), pair.path_style),
    };
    let mut kinds: BTreeSet<Kind> = Kind::ALL.into();
    kinds.retain(|kind| !args.skip.contains(kind) && (args.only.is_empty() || args.only.contains(kind)));
    Checker {
        // Places and a ledger of one's own: the functions check at the same time.
        name: format!("{}-desk", pair.here.name),
        here: side(&pair.here),
        there: side(&pair.there),
        names: Names { environment: regions.environment.environment.clone(), tenant: None },
        stream: regions.named("telemetry"),
        limits: Limits { watch: Duration::from_secs(args.watch), ..Limits::default() },
        kinds,
        has_peer: true,
        is_dry: args.dry_run,
    }
}

fn list(report: &Report, ui: &Ui) -> anyhow::Result<()> {
    let columns = vec!["verdict", "check", "subject", "from", "to", "p50_ms", "p99_ms", "oldest_missing", "evidence"];
    let mut rows = ui.rows(columns)?;
    let mut checks: Vec<&Check> = report.checks.iter().collect();
    checks.sort_by_key(|check| std::cmp::Reverse(check.verdict));
    for check in checks {
        let lag = |of: fn(&Lag) -> i64| check.lag.as_ref().map_or(Cell::Nothing, |lag| Cell::Number(of(lag) as f64));
        let evidence = match &check.cut {
            Some(cut) => format!("{}; {cut}", check.evidence),
            None => check.evidence.clone(),
        };
        rows.push(&[
            Cell::text(check.verdict.word()),
            Cell::text(check.kind.word()),
            Cell::perhaps(Some(check.subject.as_str()).filter(|subject| !subject.is_empty())),
            Cell::text(&check.direction.from),
            Cell::text(&check.direction.to),
            lag(|lag| lag.p50_ms),
            lag(|lag| lag.p99_ms),
            Cell::perhaps(check.oldest_missing.as_ref().map(|oldest| oldest.name.as_str())),
            Cell::text(evidence),
        ])?;
    }
    Ok(rows.finish()?)
}
