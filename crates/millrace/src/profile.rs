//! `--profile`: a tenant's settings from a file, every mistake with its line.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anomaly_core::ProfileSet;
use anyhow::{Context as _, bail};
use telemetry::profile::{PROFILE_BYTES_MAX, ProfileBundle};

/// The profiles for a replay: `path` for `tenant`, the defaults for everybody else.
///
/// # Errors
/// The file cannot be read, or has mistakes: all of them, with file, line and column.
pub(crate) fn load(path: Option<&Path>, tenant: &str) -> anyhow::Result<ProfileSet> {
    let Some(path) = path else { return Ok(ProfileSet::default()) };
    let shown = path.display();
    let bytes = fs::metadata(path).map(|file| file.len());
    let bytes = bytes.with_context(|| format!("cannot read the profile `{shown}`: give the path of a profile.toml"))?;
    if bytes > PROFILE_BYTES_MAX as u64 {
        bail!("the profile `{shown}` has {bytes} bytes, the limit is {PROFILE_BYTES_MAX}: is it another file?");
    }
    let text = fs::read_to_string(path)
        .with_context(|| format!("cannot read the profile `{shown}`: it must be a file of UTF-8 text"))?;
    let mut bundle = ProfileBundle::default();
    if let Err(errors) = bundle.replace(tenant, &text) {
        let mistakes = errors.mistakes();
        let mut report = format!("the profile `{shown}` has {} mistake(s) and was not used:", mistakes.len());
        for mistake in mistakes {
            // Writing to a String cannot fail.
            let _written = write!(report, "\n  {shown}:{}:{}: {}", mistake.line, mistake.column, mistake.message);
        }
        bail!(report);
    }
    Ok(bundle.compile()?)
}
