//! Anomalies in DynamoDB: the results table of a deployment.
//!
//! Nothing but that table is read, so that whoever may read one tenant's findings and no more (the tenant's `ReaderPolicy`)
//! can use it.

use anomaly_core::Timestamp;
use platform::aws::{Aws, AwsSettings};
use platform::clock;
use platform::model::AnomalyRecord;
use platform::ports::{AnomalyQuery, FindAnomalies as _};

const DAY_MS: i64 = 86_400_000;
/// How far back it is looked for the newest, and for an id. An older one is found by its device or its day.
const DAYS: i64 = 90;
/// Most anomalies of a day that are looked through for an id.
const DAY_COUNT_MAX: usize = 10_000;

/// Where the table is. What is not named is what the functions' variables say; credentials come from the environment.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "On AWS, in place of a folder")]
pub(super) struct Options {
    /// Anomalies, states, incidents [variable: `MILLRACE_RESULTS_TABLE`]
    #[arg(long, value_name = "NAME", conflicts_with = "dir")]
    results_table: Option<String>,
    /// The region [variable: `AWS_REGION`]
    #[arg(long, value_name = "NAME", conflicts_with = "dir")]
    region: Option<String>,
    /// Another endpoint, such as that of an emulator [variable: `AWS_ENDPOINT_URL`]
    #[arg(long, value_name = "URL", conflicts_with = "dir")]
    endpoint: Option<String>,
}

impl Options {
    /// The table, where the option or the variable names one.
    ///
    /// # Errors
    /// The environment says no region or has no credentials.
    pub(super) fn open(&self) -> anyhow::Result<Option<Table>> {
        let named = self.results_table.clone().or_else(|| environment("MILLRACE_RESULTS_TABLE"));
        let Some(name) = named.filter(|name| !name.is_empty()) else { return Ok(None) };
        let lookup = |variable: &str| match variable {
            "AWS_REGION" => self.region.clone().or_else(|| environment(variable)),
            "AWS_ENDPOINT_URL" => self.endpoint.clone().or_else(|| environment(variable)),
            _ => environment(variable),
        };
        let sdk = platform::aws::from_environment(lookup)?;
        // Of the other stores nothing is asked.
        let settings = AwsSettings {
            bucket: String::new(),
            results_table: name.clone(),
            checkpoints_table: String::new(),
            s3_path_style: false,
        };
        Ok(Some(Table { aws: Aws::from_config(&sdk, settings), name, now: clock::now() }))
    }
}

/// A variable. This is the rim; text that is not Unicode counts as not set.
fn environment(name: &str) -> Option<String> {
    std::env::var_os(name)?.into_string().ok()
}

/// The results table.
pub(super) struct Table {
    aws: Aws,
    name: String,
    now: Timestamp,
}

impl Table {
    pub(super) async fn find(&self, query: &AnomalyQuery, count_max: usize) -> anyhow::Result<Vec<AnomalyRecord>> {
        Ok(self.aws.find_anomalies(query, count_max).await?)
    }

    pub(super) async fn newest(&self, tenant: &str, count_max: usize) -> anyhow::Result<Vec<AnomalyRecord>> {
        self.go_back(tenant, |_| true, count_max, count_max).await
    }

    pub(super) async fn beginning_with(
        &self,
        tenant: &str,
        id: &str,
        count_max: usize,
    ) -> anyhow::Result<Vec<AnomalyRecord>> {
        self.go_back(tenant, |record| record.anomaly.id.as_str().starts_with(id), count_max, DAY_COUNT_MAX).await
    }

    pub(super) fn how_far(&self) -> String {
        format!(" of the last {DAYS} days in {}; an older one is found with --device or --day", self.place())
    }

    pub(super) fn place(&self) -> String {
        format!("the table `{}`", self.name)
    }

    /// Day by day from tomorrow, as a device's clock may be ahead, until there are enough.
    async fn go_back(
        &self,
        tenant: &str,
        is_meant: impl Fn(&AnomalyRecord) -> bool,
        count_max: usize,
        of_day_max: usize,
    ) -> anyhow::Result<Vec<AnomalyRecord>> {
        let mut found = Vec::new();
        for day in days(self.now) {
            let query = AnomalyQuery::Day { tenant: tenant.to_owned(), day };
            let of_day = self.aws.find_anomalies(&query, of_day_max).await?;
            found.extend(of_day.into_iter().filter(&is_meant));
            if found.len() >= count_max {
                found.truncate(count_max);
                break;
            }
        }
        Ok(found)
    }
}

/// The days from tomorrow back, `yyyy-mm-dd` in UTC.
fn days(now: Timestamp) -> impl Iterator<Item = String> {
    let today = now.millis().div_euclid(DAY_MS);
    let begins = (today - DAYS..=today + 1).rev().filter_map(|day| Timestamp::from_millis(day * DAY_MS).ok());
    begins.map(|at| at.to_string().chars().take("yyyy-mm-dd".len()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_go_back_from_tomorrow_over_the_ends_of_months() {
        let now = Timestamp::from_millis(1_772_323_200_000).unwrap();
        let gone: Vec<String> = days(now).take(4).collect();
        assert_eq!(gone, ["2026-03-02", "2026-03-01", "2026-02-28", "2026-02-27"]);
        assert_eq!(days(now).count(), 92);
    }
}
