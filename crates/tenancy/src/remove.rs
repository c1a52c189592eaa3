//! What is kept of a tenant that goes: a folder with everything that was found about it.
//!
//! Written before anything is taken away. The lake's raw and scored readings are not copied: its objects hold many tenants, and
//! they stay.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::lake::Lake;
use crate::names::Tenant;
use crate::record::Facts;
use crate::results::Results;
use account::Trouble;

/// Days whose results are looked for where the stack does not say how long they are kept.
const DAYS_DEFAULT: u32 = 90;
/// Incidents are kept for so long after they closed, which may be later than the day of their anomaly.
const DAYS_MORE: u32 = 90;
/// The layers of the lake.
const LAYERS: [&str; 5] = ["bronze/", "silver/", "gold/", "quarantine/", "inference/"];
/// Objects of the tenant's own in the lake: a profile and a record.
const OWN_OBJECTS_MAX: usize = 1_000;

/// Why there is no export.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// AWS refused.
    #[error(transparent)]
    Trouble(#[from] Trouble),
    /// The folder cannot be written.
    #[error("nothing was taken away: {} cannot be written", .path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// What was exported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Export {
    /// The folder.
    pub dir: PathBuf,
    /// Items of the results table.
    pub items: u64,
    /// Objects of the tenant's own in the lake.
    pub objects: u64,
}

/// Writes `results.ndjson`, `lake.txt` and the objects under `config/TENANT/` into the folder `DIR/TENANT`.
///
/// # Errors
/// AWS refuses, or the folder cannot be written.
pub async fn export(
    services: &(impl Lake + Results),
    tenant: &Tenant,
    facts: &Facts,
    devices: &[String],
    today: jiff::civil::Date,
    dir: &Path,
) -> Result<Export, ExportError> {
    let dir = dir.join(&tenant.name);
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| ExportError::Io { path, source }
    };
    fs::create_dir_all(&dir).map_err(failed(&dir))?;
    let path = dir.join("results.ndjson");
    let mut out = BufWriter::new(fs::File::create(&path).map_err(failed(&path))?);
    let mut items = 0;
    let mut write = |found: &[Value]| {
        for item in found {
            items += 1;
            writeln!(out, "{item}").map_err(failed(&path))?;
        }
        Ok::<(), ExportError>(())
    };
    // By device everything, and by day what belongs to devices without a thing, such as those behind a gateway.
    for device in devices {
        write(&services.of_device(&facts.results_table, &tenant.name, device).await?)?;
    }
    let known: Vec<String> = devices.iter().map(|device| format!("{}#{device}", tenant.name)).collect();
    let mut day = today;
    for _ in 0..=facts.result_days.unwrap_or(DAYS_DEFAULT) + DAYS_MORE {
        let mut found = services.of_day(&facts.results_table, &tenant.name, &day.to_string()).await?;
        found.retain(|item| item["pk"].as_str().is_none_or(|pk| !known.iter().any(|known| known == pk)));
        write(&found)?;
        let Ok(before) = day.yesterday() else { break };
        day = before;
    }
    out.flush().map_err(failed(&path))?;
    let mut objects = 0;
    for key in services.keys(&facts.lake, &format!("config/{}/", tenant.name), OWN_OBJECTS_MAX).await? {
        if let (Some(bytes), Some(name)) = (services.get(&facts.lake, &key).await?, key.rsplit('/').next()) {
            let path = dir.join(name);
            fs::write(&path, bytes).map_err(failed(&path))?;
            objects += 1;
        }
    }
    let mut list = String::new();
    for layer in LAYERS {
        for folder in services.folders(&facts.lake, layer).await? {
            let _written = writeln!(list, "s3://{}/{folder}", facts.lake);
        }
    }
    let path = dir.join("lake.txt");
    fs::write(&path, list).map_err(failed(&path))?;
    Ok(Export { dir, items, objects })
}

/// Deletes the tenant's own objects in the lake; the bucket keeps their versions for a month.
///
/// # Errors
/// AWS refuses.
pub async fn delete_objects(lake: &impl Lake, tenant: &Tenant, facts: &Facts) -> Result<u64, Trouble> {
    let mut deleted = 0;
    for key in lake.keys(&facts.lake, &format!("config/{}/", tenant.name), OWN_OBJECTS_MAX).await? {
        lake.delete(&facts.lake, &key).await?;
        deleted += 1;
    }
    Ok(deleted)
}
