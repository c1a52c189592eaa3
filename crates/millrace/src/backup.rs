//! `backup`: all that is kept, copied elsewhere, verified, brought back.
//!
//! What is done is the matter of the crate `backup`; here are the options, the places, and the words.

#[cfg(feature = "aws")]
mod aws;
mod listed;
mod made;
mod place;
mod pruned;
mod restored;
mod verified;

use backup::Step;
use indicatif::ProgressBar;

use crate::ui::Ui;
use crate::warnings;

/// What is to be done with backups.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Make a backup: what the place has already is not copied again, and a run that was cut off is taken up
    Create(made::Args),
    /// List the backups of a place
    List(listed::Args),
    /// Prove that a backup is whole, or compare it with what is live
    Verify(verified::Args),
    /// Bring a backup back into an empty environment or folder
    Restore(restored::Args),
    /// Remove old backups, and the contents that no other has
    Prune(pruned::Args),
}

/// Does it.
///
/// # Errors
/// What the crate `backup` says; the place or what is to be copied cannot be reached.
pub(crate) fn run(command: &Command, ui: &Ui) -> anyhow::Result<()> {
    warnings::listen("backup");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        match command {
            Command::Create(args) => made::run(args, ui).await,
            Command::List(args) => listed::run(args, ui).await,
            Command::Verify(args) => verified::run(args, ui).await,
            Command::Restore(args) => restored::run(args, ui).await,
            Command::Prune(args) => pruned::run(args, ui).await,
        }
    })
}

/// A line that is written anew with each step.
fn bar(ui: &Ui) -> ProgressBar {
    ui.progress(None, "{elapsed_precise} {wide_msg}")
}

fn show(bar: &ProgressBar, step: &Step<'_>) {
    let size = if step.bytes > 0 { format!(", {}", size(step.bytes)) } else { String::new() };
    bar.set_message(format!("{}: {}{size}", step.what, step.count));
    bar.tick();
}

/// Bytes for people, in powers of 1024.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut number = bytes as f64;
    let mut unit = 0;
    while number >= 1024.0 && unit + 1 < UNITS.len() {
        number /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{number:.1} {}", UNITS[unit]) }
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn sizes_are_told_in_the_unit_that_fits() {
        assert_eq!([0, 1023, 1536, 5 << 30].map(size), ["0 B", "1023 B", "1.5 KiB", "5.0 GiB"]);
    }
}
