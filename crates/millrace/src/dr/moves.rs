//! `dr moves`: what a Region knows of the moves of its environment.

use std::time::Duration;

use account::{Access, Place};
use failover::record::newest;
use failover::{Move, Step};
use platform::aws::Aws;

use super::moving::{GOES_ON, block_on, settings, stream};
use super::timeline;
use crate::deploy::{Environment, Where};
use crate::output::Cell;
use crate::ui::Ui;

const PATIENCE: Duration = Duration::from_secs(5);
const MOVES_MAX: usize = 100;

/// What `moves` is asked.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    environment: Environment,
    /// The steps of the newest one
    #[arg(long)]
    steps: bool,
    #[command(flatten)]
    place: Where,
}

/// Lists moves, the newest first.
///
/// # Errors
/// The Region cannot be asked, or a record was written by another release.
pub(crate) fn run(args: &Args, ui: &Ui) -> anyhow::Result<()> {
    let environment = &args.environment.environment;
    let moves: Vec<Move> = block_on(GOES_ON, async {
        let place: Place = args.place.place();
        let here = Access::find(&place, PATIENCE).await?;
        let stores = Aws::from_config(&here.config, settings(environment, "none".to_owned(), here.is_elsewhere));
        let kept = newest(&stores, &stream(environment), if args.steps { 1 } else { MOVES_MAX }).await?;
        Ok(kept.into_iter().map(|kept| kept.record).collect())
    })?;
    if args.steps {
        return timeline::print(&moves, ui);
    }
    let mut rows = ui.rows(vec!["epoch", "purpose", "from", "to", "began", "ended", "state"])?;
    for record in &moves {
        let next = Step::of(record.purpose).find(|step| record.done(*step).is_none());
        let state = match (record.abandoned, record.ended) {
            (true, _) => "given up".to_owned(),
            (false, Some(_)) => "done".to_owned(),
            (false, None) => format!("unfinished, next is {}", next.map_or("its end", Step::name)),
        };
        rows.push(&[
            Cell::Number(record.epoch as f64),
            Cell::text(record.purpose.name()),
            Cell::text(&record.from),
            Cell::text(&record.to),
            Cell::shown(&record.began),
            Cell::perhaps(record.ended.map(|ended| ended.to_string())),
            Cell::text(state),
        ])?;
    }
    Ok(rows.finish()?)
}
