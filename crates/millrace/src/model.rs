//! `model`: models of the cold path on this machine, from training to a second opinion.
//!
//! What SageMaker does in the cloud is done here with the same code: `model-server`'s library trains, scores and serves,
//! `batch-analyzer`'s analyses. Published models and jobs of batch inference lie in the folder of the embedded store, at the
//! same keys as in the bucket.

mod analyze;
mod batch;
mod evaluate;
mod publish;
mod serve;
mod shelf;
mod train;

use crate::ui::Ui;

/// What `model` is asked.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Train a model on recordings or a lake, into one file
    Train(Box<train::Args>),
    /// List published models
    List(publish::ListArgs),
    /// Put a trained model into the lake, under its name and version
    Publish(publish::Args),
    /// Answer requests for scores by HTTP, as SageMaker's containers do
    Serve(serve::Args),
    /// Run a model over recordings: a job of batch inference, as SageMaker batch transform would leave it
    Batch(batch::Args),
    /// Draw the alarm line of a job of batch inference, and tell what lies beyond it
    Analyze(analyze::Args),
    /// Judge an analysed job against the truth, beside the warm path and together with it
    Evaluate(evaluate::Args),
}

/// Does it.
///
/// # Errors
/// Something cannot be read or written, or the model does not fit what it is asked.
pub(crate) fn run(command: &Command, ui: &Ui) -> anyhow::Result<()> {
    match command {
        Command::Train(args) => train::run(args, ui),
        Command::List(args) => wait(publish::list(args, ui)),
        Command::Publish(args) => wait(publish::run(args, ui)),
        Command::Serve(args) => serve::run(args, ui),
        Command::Batch(args) => wait(batch::run(args, ui)),
        Command::Analyze(args) => wait(analyze::run(args, ui)),
        Command::Evaluate(args) => wait(evaluate::run(args, ui)),
    }
}

fn wait(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}
