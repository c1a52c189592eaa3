//! `cost`: what a million readings cost, as the program of that name counts, measures and prices it.

use anyhow::Result;

use crate::process::run;
use crate::repository::Repository;

/// Runs the standard workload, built as the function is that gets deployed; the arguments are those of the program.
///
/// # Errors
/// The program does not build, or the scorer does not take the workload.
pub(crate) fn table(repository: &Repository, arguments: &[String]) -> Result<()> {
    let options = ["run", "--profile", "lambda", "--quiet", "--package", "cost-model", "--"];
    run(repository.cargo().args(options).args(arguments))
}
