//! `model train`: the training of the container, on files of this machine.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use anyhow::Context as _;
use model_server::artifact::FILE_NAME;
use model_server::container::write_whole;
use model_server::hyperparameters::Hyperparameters;
use model_server::training::{Plan, train};

use crate::options;
use crate::output::Cell;
use crate::ui::{Ui, Usage};

const EXAMPLES: &str = "\
Recordings are read as `millrace replay` reads them, or as rows: JSON lines with device, ts and metrics, or CSV without a head
(--columns), packed with gzip or zstd or not. A lake is a folder with bronze/ or silver/ in it.

  forest   a random cut forest for each type of asset of the profile, over standardised metrics; needs rows of all that is usual
  engine   the engine of the warm path, warmed up on the history, one state a device

The same rows and options make the same file, to the byte.

Examples:
  millrace model train --kind forest --name pumps --tenant acme millrace-data/lake
  millrace model train --kind engine --name plant october.csv november.csv --profile acme.toml
  millrace model train --kind forest --name pumps --columns device,ts,temperature,vibration rows.csv.gz";

/// What `model train` is asked.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Recordings, or folders of a lake, in the order of time
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// What kind of model: forest or engine
    #[arg(long, value_name = "KIND")]
    kind: String,
    /// Name of the model: 1 to 40 letters, digits and dashes
    #[arg(long, value_name = "NAME")]
    name: String,
    /// Version of the model: 1 to 20 letters, digits, dashes and dots
    #[arg(long, value_name = "VERSION", default_value = "1")]
    model_version: String,
    /// Whose rows it learns from, where files hold several tenants', and whose it scores
    #[arg(long, value_name = "NAME", default_value = options::TENANT_DEFAULT, value_parser = options::tenant)]
    tenant: String,
    /// Profile of the tenant: types of asset, aliases, limits
    #[arg(long, value_name = "FILE")]
    profile: Option<PathBuf>,
    /// Columns of CSV without a head: device, ts, metrics, and `-` for what is passed over
    #[arg(long, value_name = "NAMES")]
    columns: Option<String>,
    /// Only devices that fit one of these patterns, with commas between them
    #[arg(long, value_name = "PATTERNS")]
    devices: Option<String>,
    /// Recordings to score when all is learned, for the spread of the scores; may be given several times
    #[arg(long, value_name = "FILE")]
    validation: Vec<PathBuf>,
    /// Trees of a forest, 10 to 500 [default: 100]
    #[arg(long, value_name = "N")]
    trees: Option<u32>,
    /// Rows that a tree keeps, 32 to 4096 [default: 256]
    #[arg(long, value_name = "N")]
    sample: Option<u32>,
    /// Seed of a forest [default: 1]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// File to write
    #[arg(long, value_name = "FILE", default_value = FILE_NAME)]
    out: PathBuf,
}

impl Args {
    fn texts(&self) -> BTreeMap<String, String> {
        let number = |number: Option<u32>| number.map(|number| number.to_string());
        let told = [
            ("kind", Some(self.kind.clone())),
            ("model", Some(self.name.clone())),
            ("version", Some(self.model_version.clone())),
            ("tenant", Some(self.tenant.clone())),
            ("columns", self.columns.clone()),
            ("devices", self.devices.clone()),
            ("trees", number(self.trees)),
            ("sample", number(self.sample)),
            ("seed", self.seed.map(|seed| seed.to_string())),
        ];
        told.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text?))).collect()
    }
}

/// Trains and writes the model.
pub(super) fn run(args: &Args, ui: &Ui) -> anyhow::Result<()> {
    let texts = args.texts();
    let hyperparameters = Hyperparameters::new(&texts).map_err(|errors| Usage(errors.0.join("; ")))?;
    let profile = args
        .profile
        .as_ref()
        .map(|path| fs::read_to_string(path).with_context(|| format!("cannot read the profile `{}`", path.display())));
    let (train_files, validation) = (args.files.clone(), args.validation.clone());
    let plan = Plan { hyperparameters, texts, train: train_files, validation, profile: profile.transpose()? };
    let artifact = train(&plan, &AtomicBool::new(false))?;
    write_whole(&args.out, &artifact.to_bytes()?).with_context(|| format!("cannot write `{}`", args.out.display()))?;
    let card = artifact.card;
    let columns = ["asset", "metric", "readings", "mean", "deviation", "low", "high"];
    let mut rows = ui.rows(columns.to_vec())?;
    for (asset, metrics) in &card.statistics {
        for (metric, of) in metrics {
            let mut cells = vec![Cell::text(&**asset), Cell::text(&**metric)];
            cells.extend([of.readings as f64, of.mean, of.deviation, of.low, of.high].map(Cell::Number));
            rows.push(&cells)?;
        }
    }
    rows.finish()?;
    ui.note(format_args!(
        "{} learned {} rows of {} devices, {} to {}, into `{}`",
        card.full_name(),
        card.rows,
        card.device_count,
        card.first,
        card.last,
        args.out.display()
    ));
    for (count, what) in [
        (card.refused, "lines are no rows"),
        (card.passed_over, "rows are of another tenant or device"),
        (card.late, "rows are not newer than one before of their device: give files in the order of time"),
    ] {
        if count > 0 {
            ui.warn(format_args!("{count} {what}"));
        }
    }
    if card.scores.is_none() {
        ui.warn("the model was still warming up at the end: it needs more rows");
    }
    Ok(())
}
