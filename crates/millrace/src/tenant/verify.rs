//! `tenant verify`: a reading followed from the device to the end.

use std::time::Duration;

use account::Place;
use anyhow::Context as _;
use tenancy::aws::Aws;
use tenancy::folder::Files;
use tenancy::names::BROKER_PORT;
use tenancy::onboard::write_down;
use tenancy::registry::Registry as _;
use tenancy::verify::{Broker, Case, StepResult, verify};

use super::desk::{Desk, now};
use super::{Folder, Of, device};
use crate::deploy::block_on;
use crate::output::Cell;
use crate::ui::Ui;

const HELP: &str = "\
The reading is sent as the device TENANT-verify, which `add` makes, so that no machine is disturbed. With --device it is sent as
that machine: its connection is taken over for a moment, and it gets a metric more.

Results: ok; failed; unknown, what could not be looked at; warning, readings arrive all the same; not checked, a step before it
failed. Exit codes: 0 all that is needed is ok, 1 it is not.";

/// What `verify` is asked.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Args {
    #[command(flatten)]
    of: Of,
    /// The device to speak as [default: TENANT-verify]
    #[arg(long, value_name = "NAME", value_parser = device)]
    device: Option<String>,
    #[command(flatten)]
    folder: Folder,
    #[command(flatten)]
    broker: super::Broker,
    /// Longest wait for each step that takes time, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    timeout: u64,
}

/// Verifies, and lists the steps.
///
/// # Errors
/// A step that is needed is not well, or nothing could be begun.
pub(crate) fn run(args: &Args, ui: &Ui) -> anyhow::Result<()> {
    let validation = block_on(async {
        let desk = Desk::open(&args.of).await?;
        let facts = desk.facts().await?;
        let name = args.device.clone().unwrap_or_else(|| desk.tenant.verify_device());
        let files = Files::of(&args.folder.certificates, &desk.tenant.name, &name);
        let line = line(&desk, &args.broker, &files).await?;
        let other = match &facts.peer {
            Some(peer) => {
                let place = args.of.place.place();
                let place = Place { region: Some(peer.clone()), endpoint: place.endpoint, profile: place.profile };
                Some(Aws::connect(&place).await?)
            }
            None => None,
        };
        let patience = Duration::from_secs(args.timeout);
        let case = Case { tenant: &desk.tenant, device: &name, files: &files, facts: &facts, patience, at: now() };
        ui.note(format_args!("a reading of `{name}` is on its way; each step is waited for up to {} s", args.timeout));
        // Many steps, each with its calls: too large for the stack of whoever waits.
        let validation = Box::pin(verify(&desk.aws, other.as_ref(), &line, case)).await;
        let written = write_down(&desk.aws, &desk.tenant, &facts, &args.folder.certificates, Some(validation.clone()));
        if let Err(error) = written.await {
            ui.warn(format_args!("the onboarding record does not have this validation: {error}"));
        }
        Ok(validation)
    })?;
    let mut rows = ui.rows(vec!["step", "expected", "seen", "milliseconds", "result", "remedy"])?;
    for step in &validation.steps {
        let remedy = Some(step.remedy.as_str()).filter(|remedy| !remedy.is_empty());
        rows.push(&[
            Cell::text(&step.step),
            Cell::text(&step.expected),
            Cell::text(&step.seen),
            Cell::Number(step.milliseconds as f64),
            Cell::text(step.result.word()),
            Cell::perhaps(remedy),
        ])?;
    }
    rows.finish()?;
    if validation.is_good() {
        return Ok(());
    }
    let bad = validation.steps.iter().filter(|step| matches!(step.result, StepResult::Failed | StepResult::Unknown));
    let bad: Vec<String> = bad.map(|step| format!("{} ({})", step.step, step.result.word())).collect();
    anyhow::bail!("not proven: {}", bad.join(", "))
}

/// The line of the device with these files.
pub(super) async fn line(desk: &Desk, asked: &super::Broker, files: &Files) -> anyhow::Result<Broker> {
    let (host, port) = match &asked.broker {
        Some(place) => place.clone(),
        None => (desk.aws.endpoint().await?, BROKER_PORT),
    };
    let ca = asked
        .ca
        .as_ref()
        .map(|path| std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display())));
    Ok(Broker::new(&host, port, files, ca.transpose()?.as_deref())?)
}
