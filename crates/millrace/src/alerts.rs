//! `alerts`: incidents and what people were told of them, looked at and taken care of.
//!
//! Looking opens the store beside a process that writes; what changes an incident goes through the fan-out's own path, so that
//! a person's word and a finding that comes at the same time cannot undo each other. Nothing here sends, but for
//! `alerts test-channel` and `alerts tick`.

mod channel;
mod desk;
mod find;
mod list;
mod person;
mod show;
mod silence;
pub(crate) mod steps;
mod tick;
mod trouble;

use crate::ui::Ui;
use crate::warnings;
use desk::{Access, Desk, Opened, StoreOptions};
use platform::ports::AlertWorld;

/// What `alerts` is asked.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// List incidents, newest first, or messages that did not arrive
    List(list::Args),
    /// Show the course of one incident: what was told over which channel, its anomalies, who takes care of it
    Show(show::Args),
    /// Say that you take care of an incident, so that it is not escalated
    Ack(person::Ack),
    /// Say that an incident is over
    Resolve(person::Resolve),
    /// Hear nothing of some incidents for a while
    Silence(silence::Args),
    /// End a silence; what it kept back and is still open is told
    Unsilence(silence::End),
    /// List the silences that are in force
    Silences(silence::List),
    /// Send a test message over a channel of the profile
    TestChannel(channel::Args),
    /// Do once what is due: closings, escalations, tries again, digests. For one machine, where no schedule runs
    Tick(tick::Args),
}

impl Command {
    fn store(&self) -> &StoreOptions {
        match self {
            Self::List(args) => &args.store,
            Self::Show(args) => &args.store,
            Self::Ack(args) => &args.store,
            Self::Resolve(args) => &args.store,
            Self::Silence(args) => &args.store,
            Self::Unsilence(args) => &args.store,
            Self::Silences(args) => &args.store,
            Self::TestChannel(args) => &args.store,
            Self::Tick(args) => &args.store,
        }
    }

    fn access(&self) -> Access {
        let is_dry = match self {
            Self::List(_) | Self::Show(_) | Self::Silences(_) | Self::TestChannel(_) => true,
            Self::Ack(args) => args.dry_run,
            Self::Resolve(args) => args.dry_run,
            Self::Silence(args) => args.dry_run,
            Self::Unsilence(args) => args.dry_run,
            Self::Tick(args) => args.dry_run,
        };
        if is_dry { Access::Look } else { Access::Change }
    }
}

/// Answers.
///
/// # Errors
/// The store cannot be opened, read or changed, there is no such incident, silence or channel, or standard output cannot be
/// written.
pub(crate) fn run(command: &Command, ui: &Ui) -> anyhow::Result<()> {
    if let Command::Silence(args) = command {
        args.check()?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        warnings::listen("alert_fanout");
        match command.store().open(command.access()).await? {
            Opened::Folder(desk) => Box::pin(answer(command, desk, ui)).await,
            #[cfg(feature = "aws")]
            Opened::Aws(desk) => Box::pin(answer(command, desk, ui)).await,
        }
    })
}

async fn answer<W: AlertWorld>(command: &Command, desk: Desk<W>, ui: &Ui) -> anyhow::Result<()> {
    match command {
        Command::List(args) => list::run(args, &desk, ui).await,
        Command::Show(args) => show::run(args, &desk, ui).await,
        Command::Ack(args) => person::acknowledge(args, desk, ui).await,
        Command::Resolve(args) => person::resolve(args, desk, ui).await,
        Command::Silence(args) => silence::begin(args, &desk, ui).await,
        Command::Unsilence(args) => silence::end(args, &desk, ui).await,
        Command::Silences(_) => silence::list(&desk, ui).await,
        Command::TestChannel(args) => channel::run(args, &desk, ui).await,
        Command::Tick(args) => tick::run(args, desk, ui).await,
    }
}
