//! Incidents in DynamoDB: the function's own variables, and options in their place.

use alert_fanout::config::Config;
use alert_fanout::lambda::{Connected, connect};
use platform::aws::Aws;
use platform::clock;

use super::{Desk, environment};

/// Where the tables and the lake are. What is not named is what the function's variables say; credentials come from the
/// environment.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "On AWS, in place of a folder")]
pub(super) struct Options {
    /// The lake, which has the profiles [variable: `MILLRACE_BUCKET`]
    #[arg(long, value_name = "NAME", conflicts_with = "dir")]
    bucket: Option<String>,
    /// Anomalies, states, incidents [variable: `MILLRACE_RESULTS_TABLE`]
    #[arg(long, value_name = "NAME", conflicts_with = "dir")]
    results_table: Option<String>,
    /// Checkpoints [variable: `MILLRACE_CHECKPOINTS_TABLE`]
    #[arg(long, value_name = "NAME", conflicts_with = "dir")]
    checkpoints_table: Option<String>,
    /// The region [variable: `AWS_REGION`]
    #[arg(long, value_name = "NAME", conflicts_with = "dir")]
    region: Option<String>,
    /// Another endpoint for every service, such as that of an emulator [variable: `AWS_ENDPOINT_URL`]
    #[arg(long, value_name = "URL", conflicts_with = "dir")]
    endpoint: Option<String>,
}

impl Options {
    /// The desk, where anything says that incidents are on AWS: one of the options, or `MILLRACE_RESULTS_TABLE`.
    ///
    /// # Errors
    /// Every setting that is missing or wrong.
    pub(super) fn open(&self, tenant: &str) -> anyhow::Result<Option<Desk<Aws>>> {
        let is_named = self.bucket.is_some() || self.results_table.is_some() || self.checkpoints_table.is_some();
        if !is_named && environment("MILLRACE_RESULTS_TABLE").is_none() {
            return Ok(None);
        }
        // The clients keep the lookup for as long as the process lives.
        let options: &'static Self = Box::leak(Box::new(self.clone()));
        let lookup = |name: &str| options.variable(name).or_else(|| environment(name));
        let config = Config::from_lookup(lookup)?;
        let Connected { world, peer, channels } = connect(&config, lookup)?;
        let place = format!("in the table `{}`", lookup("MILLRACE_RESULTS_TABLE").unwrap_or_default());
        let desk =
            Desk { world, peer, channels, config, tenant: tenant.to_owned(), place, now: clock::now(), newest: None };
        Ok(Some(desk))
    }

    /// What an option says in a variable's place.
    fn variable(&self, name: &str) -> Option<String> {
        match name {
            "MILLRACE_BUCKET" => self.bucket.clone(),
            "MILLRACE_RESULTS_TABLE" => self.results_table.clone(),
            "MILLRACE_CHECKPOINTS_TABLE" => self.checkpoints_table.clone(),
            "AWS_REGION" | "MILLRACE_REGION" => self.region.clone(),
            "AWS_ENDPOINT_URL" => self.endpoint.clone(),
            // Whoever names another endpoint means one that has no bucket in its host's name.
            "MILLRACE_S3_PATH_STYLE" => self.endpoint.as_ref().map(|_| "true".to_owned()),
            // Nobody means a folder who names tables.
            "MILLRACE_DIR" => Some(String::new()),
            _ => None,
        }
    }
}
