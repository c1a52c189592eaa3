//! `lake`: the folder's lake asked in SQL, rolled up and verified.
//!
//! The texts are those of `infra/sql`, which Athena answers where the data outgrows a machine. Nothing here changes or removes what
//! was written: hours are sealed and products made of them, once. What it does not do: ask S3.

mod asked;
mod made;
mod verified;

use std::num::NonZeroU32;
use std::path::PathBuf;

use anomaly_core::Timestamp;
use lake::engine::Means;
use lake::seal::Window;
use lake::{Engine, Hour};
use platform::embedded::{Local, OpenError};

use crate::options;
use crate::ui::Ui;

/// Which question about the lake.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Ask in SQL: every layer of the lake is a table
    Query(asked::Args),
    /// Seal the hours that are over, and make of each its readings, once each, and its summary
    Rollup(made::RollupArgs),
    /// Seal the hours that are over, and make few large objects of silver's many small ones
    Compact(made::CompactArgs),
    /// Read back all that was committed: is it there, unchanged, each record once; is gold what was made of it
    Verify(verified::Args),
}

/// Answers.
pub(crate) fn run(command: &Command, ui: &Ui) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        match command {
            Command::Query(args) => asked::run(args, ui).await,
            Command::Rollup(args) => made::rollup(args, ui).await,
            Command::Compact(args) => made::compact(args, ui).await,
            Command::Verify(args) => verified::run(args, ui).await,
        }
    })
}

/// Where the lake is.
#[derive(Debug, clap::Args)]
struct Folder {
    /// The folder that keeps everything, as of `millrace demo`
    #[arg(long, default_value = "millrace-data")]
    dir: PathBuf,
}

impl Folder {
    /// The folder of the lake, if there is one.
    fn lake(&self) -> Result<PathBuf, OpenError> {
        let lake = self.dir.join("lake");
        if lake.is_dir() { Ok(lake) } else { Err(OpenError::NoData(self.dir.clone())) }
    }

    fn look(&self) -> Result<Local, OpenError> {
        Local::open_read_only(&self.dir)
    }

    /// To write. A folder that is not there is not made.
    fn open(&self) -> Result<Local, OpenError> {
        self.lake()?;
        Local::open(&self.dir)
    }
}

/// What the engine may take.
#[derive(Debug, clap::Args)]
struct Memory {
    /// Memory for sorts, groups and joins, in MiB; what outgrows it goes to temporary files where it can
    #[arg(long, value_name = "MIB", default_value = "1024")]
    memory_mib: NonZeroU32,
}

impl Memory {
    fn engine(&self, folder: &Folder, threads: usize) -> anyhow::Result<Engine> {
        let memory_bytes = (self.memory_mib.get() as usize).saturating_mul(1 << 20);
        Ok(Engine::open(&folder.lake()?, Means { memory_bytes, threads })?)
    }
}

/// Which hours.
#[derive(Debug, clap::Args)]
struct Hours {
    /// Only hours of arrival from the one on that this is in
    #[arg(long, value_name = "TIME", value_parser = options::instant)]
    from: Option<Timestamp>,
    /// Only hours of arrival before the one that this is in
    #[arg(long, value_name = "TIME", value_parser = options::instant)]
    until: Option<Timestamp>,
    /// A stream, or a shard as STREAM/SHARD, that will never send again: it is not waited for; may be given several times
    #[arg(long, value_name = "NAME")]
    without: Vec<String>,
}

impl Hours {
    fn window(&self) -> Window {
        Window { from: self.from.map(Hour::of), until: self.until.map(Hour::of), without: self.without.clone() }
    }
}
