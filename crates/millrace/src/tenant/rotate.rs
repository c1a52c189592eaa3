//! `tenant rotate`: new keys and certificates, in two steps with a visit to the device in between.

use tenancy::folder::Files;
use tenancy::issue::Done;
use tenancy::onboard::write_down;
use tenancy::revoke::devices;
use tenancy::rotate::{Prover, begin, finish};
use tenancy::verify::{Answer, Line as _};

use super::desk::{Desk, short};
use super::{Folder, Of, device, verify};
use crate::deploy::block_on;
use crate::output::Cell;
use crate::ui::Ui;

/// What `rotate` is asked.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    of: Of,
    /// A device; more than once for more [default: all whose files are here]
    #[arg(long = "device", value_name = "NAME", value_parser = device)]
    devices: Vec<String>,
    #[command(flatten)]
    folder: Folder,
    /// Prove the new certificates, put their files in place, and delete the old ones
    #[arg(long)]
    finish: bool,
    #[command(flatten)]
    broker: super::Broker,
    /// Show what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
}

/// Connects as the device, to see that its new certificate lets it in.
struct Proof<'a> {
    desk: &'a Desk,
    asked: &'a super::Broker,
}

impl Prover for Proof<'_> {
    async fn connects(&self, device: &str, files: &Files) -> Result<(), String> {
        let line = verify::line(self.desk, self.asked, files).await.map_err(|error| format!("{error:#}"))?;
        match line.connect(device).await? {
            Answer::Granted(_) => Ok(()),
            Answer::Refused(how) => Err(format!("the broker {how}")),
        }
    }
}

/// Begins or finishes a rotation.
///
/// # Errors
/// There is no such device, a new certificate does not let it in, or AWS refuses.
pub(crate) fn run(args: &Args, ui: &Ui) -> anyhow::Result<()> {
    block_on(async {
        let desk = Desk::open(&args.of).await?;
        let facts = desk.facts().await?;
        let tenant = &desk.tenant;
        let files_of = |name: &str| Files::of(&args.folder.certificates, &tenant.name, name);
        let mut chosen = args.devices.clone();
        if chosen.is_empty() {
            chosen = devices(&desk.aws, tenant).await?;
            chosen.retain(|name| files_of(name).key_path().exists());
        }
        let mut lines = Vec::new();
        for name in &chosen {
            let files = files_of(name);
            if args.dry_run {
                let words = match (args.finish, files.next().key_path().exists()) {
                    (false, false) => "would get a second certificate",
                    (false, true) => "has a second certificate already",
                    (true, true) => "would be proven with its second certificate, and its first one deleted",
                    (true, false) => "has nothing to finish",
                };
                ui.note(format_args!("device {name} {words}"));
            } else if args.finish {
                let proof = Proof { desk: &desk, asked: &args.broker };
                match finish(&desk.aws, &proof, tenant, name, &files).await? {
                    Some(done) => {
                        for id in &done.retired {
                            ui.note(format_args!("device {name}: certificate {} is deleted", short(id)));
                        }
                        lines.push((name, done.certificate.id, "in force", files.dir().to_owned()));
                    }
                    None => ui.note(format_args!("device {name}: there is nothing to finish")),
                }
            } else {
                let issued = begin(&desk.aws, tenant, name, &files).await?;
                let state = match issued.done {
                    Done::Unchanged => "was there, valid beside the old one",
                    _ => "valid beside the old one",
                };
                lines.push((name, issued.certificate.id, state, files.next().dir().to_owned()));
            }
        }
        if chosen.is_empty() {
            ui.note(format_args!("no device has its files in {}", args.folder.certificates.display()));
        }
        if !args.dry_run {
            write_down(&desk.aws, tenant, &facts, &args.folder.certificates, None).await?;
        }
        if !args.finish && !lines.is_empty() {
            ui.note("bring the new files to the devices, then run the same with --finish: only that ends the old certificates");
        }
        let mut rows = ui.rows(vec!["device", "certificate", "state", "files"])?;
        for (name, id, state, dir) in &lines {
            let dir = dir.display().to_string();
            rows.push(&[Cell::text(name.as_str()), Cell::text(id), Cell::text(*state), Cell::text(dir)])?;
        }
        Ok(rows.finish()?)
    })
}
