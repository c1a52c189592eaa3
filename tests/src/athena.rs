//! Questions to Athena, by the queries that the template has saved.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::stack::Stack;
use crate::wait::until;

const ANSWERED_WITHIN: Duration = Duration::from_mins(2);
/// Most rows of a page (Amazon Athena API Reference, `GetQueryResults`).
const PAGE_ROWS: u32 = 1_000;

/// Athena over a stack of `analytics`.
pub struct Athena<'s> {
    stack: &'s Stack,
    /// Names and texts of the saved queries.
    saved: BTreeMap<String, String>,
}

/// Names of columns and rows; no value: NULL.
pub type Answer = (Vec<String>, Vec<Vec<Option<String>>>);

impl<'s> Athena<'s> {
    /// Reads the saved queries.
    ///
    /// # Errors
    /// A call fails.
    pub fn new(stack: &'s Stack) -> Result<Self> {
        let mut athena = Self { stack, saved: BTreeMap::new() };
        let listed = athena.call("ListNamedQueries", &json!({ "WorkGroup": stack.output("WorkGroupName") }))?;
        for id in listed["NamedQueryIds"].as_array().context("saved queries are listed")? {
            let found = athena.call("GetNamedQuery", &json!({ "NamedQueryId": id }))?;
            let text = |name: &str| found["NamedQuery"][name].as_str().map(str::to_owned).context("a saved query");
            athena.saved.insert(text("Name")?, text("QueryString")?);
        }
        Ok(athena)
    }

    /// Names of the saved queries.
    pub fn saved(&self) -> impl Iterator<Item = &str> {
        self.saved.keys().map(String::as_str)
    }

    /// Asks a saved query. `values` are literals in the order of its parameters.
    ///
    /// # Errors
    /// There is no such query, or as [`Self::ask`].
    pub async fn ask_saved(&self, name: &str, values: &[String]) -> Result<Answer> {
        let text = self.saved.get(name).with_context(|| format!("no saved query {name}"))?;
        self.ask(text, values).await.with_context(|| format!("{name} with {values:?}"))
    }

    /// Asks.
    ///
    /// # Errors
    /// The question is refused or fails; the message says why.
    pub async fn ask(&self, text: &str, values: &[String]) -> Result<Answer> {
        let mut question = json!({
            "QueryString": text,
            "WorkGroup": self.stack.output("WorkGroupName"),
            "QueryExecutionContext": { "Database": self.stack.output("DatabaseName") },
        });
        // An empty list is none that the service takes.
        if !values.is_empty() {
            question["ExecutionParameters"] = json!(values);
        }
        let asked = self.call("StartQueryExecution", &question)?;
        let id = json!({ "QueryExecutionId": asked["QueryExecutionId"] });
        until("the question is answered", ANSWERED_WITHIN, || async {
            let execution = self.call("GetQueryExecution", &id)?;
            let status = &execution["QueryExecution"]["Status"];
            match status["State"].as_str() {
                Some("SUCCEEDED") => Ok(Some(())),
                Some("QUEUED" | "RUNNING") => Ok(None),
                _ => bail!("the question failed: {}", status["StateChangeReason"]),
            }
        })
        .await?;
        self.rows(&id)
    }

    fn rows(&self, id: &Value) -> Result<Answer> {
        let (mut rows, mut token) = (Vec::new(), Value::Null);
        loop {
            let mut asked = id.clone();
            asked["MaxResults"] = json!(PAGE_ROWS);
            if !token.is_null() {
                asked["NextToken"] = token;
            }
            let mut page = self.call("GetQueryResults", &asked)?;
            for row in page["ResultSet"]["Rows"].as_array().context("an answer has rows")? {
                let cells = row["Data"].as_array().context("a row has cells")?;
                rows.push(cells.iter().map(|cell| cell["VarCharValue"].as_str().map(str::to_owned)).collect());
            }
            token = page["NextToken"].take();
            if token.is_null() {
                break;
            }
        }
        // The first row of the first page has the names.
        let names: Vec<Option<String>> = if rows.is_empty() { Vec::new() } else { rows.remove(0) };
        Ok((names.into_iter().map(Option::unwrap_or_default).collect(), rows))
    }

    fn call(&self, action: &str, body: &Value) -> Result<Value> {
        let target = format!("AmazonAthena.{action}");
        let answer = self.stack.world().rest("athena", "POST", "/", &[("X-Amz-Target", &target)], &body.to_string())?;
        serde_json::from_str(&answer).with_context(|| format!("{action} answers JSON"))
    }
}
