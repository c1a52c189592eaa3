//! `alerts ack` and `alerts resolve`: what a person says of an incident.

use alert_fanout::draft::Happening;
use anomaly_core::incident::Incident;
use anyhow::{Context as _, bail};
use platform::ports::AlertWorld;

use super::desk::{Desk, StoreOptions};
use super::find::{self, Kept};
use super::show::{acknowledged, closed};
use crate::options;
use crate::ui::Ui;

/// What `alerts ack` is asked.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  millrace alerts ack 5b1f03c2 --by jo --note 'bearing ordered'")]
pub(crate) struct Ack {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    pub(super) store: StoreOptions,
    /// What you say of it
    #[arg(long, value_name = "TEXT", value_parser = options::words)]
    note: Option<String>,
    /// Say what would be done, and do nothing
    #[arg(long)]
    pub(super) dry_run: bool,
}

/// What `alerts resolve` is asked.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  millrace alerts resolve 5b1f03c2 --by jo")]
pub(crate) struct Resolve {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    pub(super) store: StoreOptions,
    /// Say what would be done, and do nothing
    #[arg(long)]
    pub(super) dry_run: bool,
}

/// Which incident, and who speaks.
#[derive(Debug, clap::Args)]
struct Which {
    /// The incident's id, or enough of its beginning to tell it from others (at least 4 digits)
    #[arg(value_parser = options::incident_id)]
    id: String,
    /// Your name, as others shall read it
    #[arg(long, value_name = "NAME", value_parser = options::words)]
    by: String,
    /// Look among the incidents of this device alone
    #[arg(long, value_name = "NAME", value_parser = options::device)]
    device: Option<String>,
}

/// Somebody takes care of it.
pub(super) async fn acknowledge<W: AlertWorld>(args: &Ack, desk: Desk<W>, ui: &Ui) -> anyhow::Result<()> {
    let incident = newest(&args.which, &desk).await?;
    let of = of(&incident);
    if let Some(words) = acknowledged(&incident) {
        bail!("{of} is acknowledged already, {words}: the first one stands");
    }
    if args.dry_run {
        ui.note(format_args!("would acknowledge {of} in the name of {}", args.which.by));
        return Ok(());
    }
    let happening = Happening::Acknowledged { by: args.which.by.clone(), note: args.note.clone() };
    let now = said(desk, &incident, happening).await?;
    match &now.acknowledged {
        Some(by) if by.by == args.which.by => done(&format!("{of} is acknowledged by {}", by.by), ui),
        Some(by) => bail!("{} was quicker: {of} is acknowledged already", by.by),
        None => bail!("{of} was closed meanwhile: there is nothing to take care of"),
    }
    Ok(())
}

/// Somebody says that it is over.
pub(super) async fn resolve<W: AlertWorld>(args: &Resolve, desk: Desk<W>, ui: &Ui) -> anyhow::Result<()> {
    let incident = newest(&args.which, &desk).await?;
    let of = of(&incident);
    if args.dry_run {
        ui.note(format_args!("would resolve {of} in the name of {}", args.which.by));
        return Ok(());
    }
    let now = said(desk, &incident, Happening::Resolved { by: args.which.by.clone() }).await?;
    if now.is_open() {
        bail!("{of} came back while it was resolved: look at it, and resolve it again");
    }
    done(&format!("{of} is resolved"), ui);
    Ok(())
}

/// The incident that is meant. It must be open, and its device's newest, which is the only one that can change.
async fn newest<W: AlertWorld>(which: &Which, desk: &Desk<W>) -> anyhow::Result<Incident> {
    let Kept { incident, .. } = find::by_id(desk, &which.id, which.device.as_deref()).await?;
    if let Some(words) = closed(&incident) {
        bail!("{} is closed since {words}", of(&incident));
    }
    let newest = find::of_device(desk, &incident.device, 1).await?.pop();
    match newest {
        Some(newest) if newest.incident.id != incident.id => bail!(
            "{} is not the newest of its device, that is {}: only that one can change",
            of(&incident),
            newest.incident.id
        ),
        _ => Ok(incident),
    }
}

async fn said<W: AlertWorld>(desk: Desk<W>, incident: &Incident, happening: Happening) -> anyhow::Result<Incident> {
    let now = desk.now;
    let after = desk.into_fanout().person(&incident.tenant, &incident.device, happening, now).await?;
    let after = after.with_context(|| format!("{} is gone", of(incident)))?;
    if after.id != incident.id {
        bail!("a new incident of `{}` began meanwhile, {}: that one was meant by nobody", after.device, after.id);
    }
    Ok(after)
}

fn of(incident: &Incident) -> String {
    format!("incident {} of `{}`", incident.id, incident.device)
}

fn done(words: &str, ui: &Ui) {
    ui.note(format_args!("{words}; who was told of it hears that with the next tick"));
}
