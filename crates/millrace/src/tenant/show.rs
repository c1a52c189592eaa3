//! `tenant show`: what a tenant has now, beside what its record says.

use tenancy::onboard::{gather, recorded};
use tenancy::record::differences;

use super::Of;
use super::desk::Desk;
use crate::deploy::block_on;
use crate::output::{Cell, Format};
use crate::ui::Ui;

/// What `show` is asked.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    of: Of,
}

/// Shows it.
///
/// # Errors
/// There is no such tenant, AWS cannot be asked, or standard output cannot be written.
pub(crate) fn run(args: &Args, ui: &Ui) -> anyhow::Result<()> {
    let (now, record) = block_on(async {
        let desk = Desk::open(&args.of).await?;
        let facts = desk.facts().await?;
        let mut now = gather(&desk.aws, &desk.tenant, &facts).await?;
        let record = recorded(&desk.aws, &desk.tenant, &facts.lake).await?;
        now.validation = record.as_ref().and_then(|record| record.validation.clone());
        Ok((now, record))
    })?;
    let found = record.as_ref().map(|record| differences(record, &now)).unwrap_or_default();
    match &record {
        None => ui.warn("there is no onboarding record: `millrace tenant add` writes it"),
        Some(_) if found.is_empty() => ui.note("as recorded"),
        Some(_) => ui.warn(format_args!("{} differences from the onboarding record", found.len())),
    }
    if matches!(ui.format(), Format::Json | Format::Ndjson) {
        return ui.document(&serde_json::json!({ "now": now, "recorded": record.is_some(), "differences": found }));
    }
    let mut rows = ui.rows(vec!["what", "now", "recorded", "differs"])?;
    let before = record.as_ref().map(tenancy::record::Record::rows).unwrap_or_default();
    for (what, value) in now.rows() {
        let earlier = before.iter().find(|(name, _)| *name == what).map(|(_, value)| value.as_str());
        let differs = found.iter().any(|one| one.what == what).then_some("yes");
        rows.push(&[Cell::text(&what), Cell::text(&value), Cell::perhaps(earlier), Cell::perhaps(differs)])?;
    }
    for gone in found.iter().filter(|one| one.now.is_none()) {
        rows.push(&[
            Cell::text(&gone.what),
            Cell::Nothing,
            Cell::perhaps(gone.recorded.as_deref()),
            Cell::text("yes"),
        ])?;
    }
    Ok(rows.finish()?)
}
