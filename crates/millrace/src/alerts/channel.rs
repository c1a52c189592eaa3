//! `alerts test-channel`: a message that really goes out, so that a wrong address or key is found out before it matters.

use alert_fanout::channel::Receipt;
use alert_fanout::dispatch::Dispatch as _;
use alert_fanout::message::{Message, News};
use anomaly_core::Severity;
use anomaly_core::incident::ChannelSettings;
use anyhow::bail;
use platform::clock;
use platform::ports::AlertWorld;

use super::desk::{Desk, StoreOptions};
use crate::output::Cell;
use crate::ui::Ui;

/// What `alerts test-channel` is asked.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Keys come from where MILLRACE_SECRETS says: `environment` (MILLRACE_SECRET_…, for a folder if nothing is said), `folder:PATH`, or `aws`.

Examples:
  millrace alerts test-channel hall
  MILLRACE_SECRETS=folder:/run/keys millrace alerts test-channel hall --tenant acme")]
pub(crate) struct Args {
    /// The channel, as the profile calls it
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    pub(super) store: StoreOptions,
    /// Say what would be sent, and send nothing
    #[arg(long)]
    dry_run: bool,
}

/// Sends it.
pub(super) async fn run<W: AlertWorld>(args: &Args, desk: &Desk<W>, ui: &Ui) -> anyhow::Result<()> {
    let known = desk.settings().await?.channels;
    let Some(settings) = known.get(&args.name) else {
        let names: Vec<String> = known.keys().map(|name| format!("`{name}`")).collect();
        let there = if names.is_empty() { "it has none".to_owned() } else { format!("it has {}", names.join(", ")) };
        bail!("the profile of tenant `{}` {} has no channel `{}`; {there}", desk.tenant, desk.place, args.name);
    };
    let now = clock::now();
    let message = Message {
        tenant: desk.tenant.clone(),
        incident: format!("test-{}", now.millis()),
        notice: 1,
        severity: Severity::Info,
        opened: now,
        at: now,
        summary: format!("This is a test of the channel `{}`: nothing is wrong", args.name),
        link: desk.config.link.clone(),
        news: News::Test,
    };
    if args.dry_run {
        ui.note(format_args!("would send over `{}` ({}): {}", args.name, settings.kind(), message.one_line()));
        return Ok(());
    }
    // What went wrong says what to do.
    let receipt = desk.channels.dispatch(&desk.tenant, &args.name, settings, &message).await?;
    // Its line is the output.
    if *settings != ChannelSettings::Console {
        print(&args.name, settings, &receipt, ui)?;
    }
    ui.note(format_args!("`{}` has taken the message over; look whether it arrived where it should", args.name));
    Ok(())
}

fn print(name: &str, settings: &ChannelSettings, receipt: &Receipt, ui: &Ui) -> anyhow::Result<()> {
    let mut rows = ui.rows(vec!["channel", "type", "state", "receipt", "note"])?;
    rows.push(&[
        Cell::text(name),
        Cell::text(settings.kind()),
        Cell::text("sent"),
        Cell::perhaps(receipt.id.as_deref()),
        Cell::perhaps(receipt.note.as_deref()),
    ])?;
    Ok(rows.finish()?)
}
