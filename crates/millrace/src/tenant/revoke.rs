//! `tenant revoke`: a certificate that must not let anybody in any more.

use tenancy::onboard::write_down;
use tenancy::revoke::{choose, revoke, sweep};

use super::desk::{Desk, short};
use super::{Of, device};
use crate::deploy::{Clerk, block_on};
use crate::output::Cell;
use crate::ui::Ui;

/// What `revoke` is asked.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    of: Of,
    /// The device
    #[arg(long, value_name = "NAME", value_parser = device)]
    device: String,
    /// The certificate's id, or its beginning [default: the device's only one]
    #[arg(long, value_name = "ID", value_parser = id)]
    certificate: Option<String>,
    #[command(flatten)]
    folder: super::Folder,
    /// Show what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(long, short, conflicts_with = "dry_run")]
    yes: bool,
}

fn id(text: &str) -> Result<String, String> {
    let is_id = (4..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_id { Ok(text.to_ascii_lowercase()) } else { Err("expected 4 to 64 hexadecimal digits".to_owned()) }
}

/// Revokes it.
///
/// # Errors
/// There is no such device or certificate, nobody agrees, or AWS refuses.
pub(crate) fn run(args: &Args, ui: &Ui) -> anyhow::Result<()> {
    let (certificate, swept) = block_on(async {
        let desk = Desk::open(&args.of).await?;
        let facts = desk.facts().await?;
        let tenant = &desk.tenant;
        let swept = if args.dry_run { Vec::new() } else { sweep(&desk.aws, tenant).await? };
        for id in &swept {
            ui.note(format_args!("certificate {}, which was revoked, is deleted", short(id)));
        }
        let chosen = choose(&desk.aws, tenant, &args.device, args.certificate.as_deref()).await?;
        if chosen.is_none() {
            ui.note(format_args!("`{}` has no certificate: nobody gets in as it", args.device));
        }
        if let Some(certificate) = &chosen {
            let words = format!("certificate {} of `{}` ({})", certificate.id, args.device, certificate.status.word());
            if args.dry_run {
                ui.note(format_args!("{words} would be revoked and deleted"));
                return Ok((None, swept));
            }
            let question = format!("{words} is revoked and deleted, for good: the device gets in no more. Do it?");
            if !Clerk::new(ui, args.yes).ask(&question, "--yes").map_err(anyhow::Error::msg)? {
                anyhow::bail!("nothing was changed: it was not agreed to");
            }
            revoke(&desk.aws, &args.device, certificate).await?;
            // The documentation's words are in `tenancy::revoke`.
            ui.note(
                "no connection is accepted with it from now on; one that is open is closed by AWS IoT within a few minutes, and \
                 until then it can publish",
            );
        }
        write_down(&desk.aws, tenant, &facts, &args.folder.certificates, None).await?;
        Ok((chosen, swept))
    })?;
    let mut rows = ui.rows(vec!["certificate", "device", "state"])?;
    let ids = swept.iter().chain(certificate.as_ref().map(|certificate| &certificate.id));
    for id in ids {
        rows.push(&[Cell::text(id), Cell::text(&args.device), Cell::text("deleted")])?;
    }
    Ok(rows.finish()?)
}
