//! The two tables of an environment, item by item.

use std::time::Duration;

use account::Trouble;
use anomaly_core::Timestamp;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes};
use platform::ports::StoreError;

use super::export::Exports;
use super::{failed, value};
use crate::item::{self, Item};
use crate::objects::Objects;
use crate::place::Id;
use crate::scan::{self, ItemStore, Over, Table, keys};
use crate::tables::{TakeTables, Taken};
use crate::{BackupError, Watch};

/// How often keys are asked for again that a full answer left out.
const ROUNDS_MAX: u32 = 10;
/// Pause before the second round; longer before each further one.
const PAUSE: Duration = Duration::from_millis(100);

/// Results and checkpoints. Clones share connections.
#[derive(Debug, Clone)]
pub struct Tables {
    pub(super) dynamodb: aws_sdk_dynamodb::Client,
    results: String,
    checkpoints: String,
    /// Where DynamoDB can export to.
    pub(super) exports: Option<Exports>,
}

impl Tables {
    /// Tables of these names. `exports` is the place of the backup, where it is a bucket.
    #[must_use]
    pub fn new(dynamodb: aws_sdk_dynamodb::Client, results: &str, checkpoints: &str, exports: Option<Exports>) -> Self {
        Self { dynamodb, results: results.to_owned(), checkpoints: checkpoints.to_owned(), exports }
    }

    pub(super) fn name(&self, table: Table) -> &str {
        match table {
            Table::Checkpoints => &self.checkpoints,
            Table::Results => &self.results,
        }
    }

    fn attributes(&self, verb: &'static str, table: Table, item: &Item) -> Result<value::Attributes, StoreError> {
        let wrong = || {
            let remedy = format!("`{}` has a value that is none of DynamoDB's", item::name(item));
            StoreError::permanent(verb, self.name(table), remedy)
        };
        value::of_item(item).ok_or_else(wrong)
    }

    fn item(&self, verb: &'static str, table: Table, attributes: value::Attributes) -> Result<Item, StoreError> {
        value::to_item(attributes).map_err(|reason| StoreError::permanent(verb, self.name(table), reason))
    }
}

impl ItemStore for Tables {
    async fn scan(
        &self,
        table: Table,
        segment: (u32, u32),
        after: Option<Item>,
    ) -> Result<(Vec<Item>, Option<Item>), StoreError> {
        let name = self.name(table);
        let after = after.map(|item| self.attributes("Scan", table, &item)).transpose()?;
        let scan = self.dynamodb.scan().table_name(name).consistent_read(true).set_exclusive_start_key(after);
        let whole = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
        let scan = if segment.1 > 1 { scan.segment(whole(segment.0)).total_segments(whole(segment.1)) } else { scan };
        let page = scan.send().await.map_err(|error| failed(Trouble::of("Scan", name, &error)))?;
        let items = page.items.unwrap_or_default().into_iter().map(|item| self.item("Scan", table, item));
        let next = page.last_evaluated_key.map(|key| self.item("Scan", table, key)).transpose()?;
        Ok((items.collect::<Result<_, _>>()?, next))
    }

    async fn get(&self, table: Table, wanted: Vec<Item>) -> Result<Vec<Item>, StoreError> {
        let name = self.name(table);
        let mut open: Vec<value::Attributes> =
            wanted.iter().map(|key| self.attributes("BatchGetItem", table, key)).collect::<Result<_, _>>()?;
        let mut found = Vec::new();
        for round in 1..=ROUNDS_MAX {
            if open.is_empty() {
                return Ok(found);
            }
            let keys = KeysAndAttributes::builder().set_keys(Some(std::mem::take(&mut open))).consistent_read(true);
            let keys = keys.build().map_err(|error| StoreError::permanent("BatchGetItem", name, error.to_string()))?;
            let answer = self.dynamodb.batch_get_item().request_items(name, keys).send().await;
            let answer = answer.map_err(|error| failed(Trouble::of("BatchGetItem", name, &error)))?;
            for item in answer.responses.unwrap_or_default().into_values().flatten() {
                found.push(self.item("BatchGetItem", table, item)?);
            }
            // An answer holds 16 MB; the rest is to be asked for again (Amazon DynamoDB API Reference, `BatchGetItem`).
            open = answer.unprocessed_keys.unwrap_or_default().into_values().flat_map(|rest| rest.keys).collect();
            if !open.is_empty() {
                tokio::time::sleep(PAUSE * round).await;
            }
        }
        if open.is_empty() {
            return Ok(found);
        }
        let remedy = format!("it left {} keys out {ROUNDS_MAX} times: run the same command again later", open.len());
        Err(StoreError::permanent("BatchGetItem", name, remedy))
    }

    async fn put(&self, table: Table, item: &Item, over: Over) -> Result<bool, StoreError> {
        let name = self.name(table);
        let attributes = self.attributes("PutItem", table, item)?;
        let put = self.dynamodb.put_item().table_name(name).set_item(Some(attributes));
        let put = match over {
            Over::Anything => put,
            Over::Nothing => put.condition_expression("attribute_not_exists(pk)"),
            Over::Version(version) => put
                .condition_expression("#version = :version")
                .expression_attribute_names("#version", "version")
                .expression_attribute_values(":version", AttributeValue::N(version.to_string())),
        };
        match put.send().await {
            Ok(_) => Ok(true),
            Err(error) if error.as_service_error().is_some_and(PutItemError::is_conditional_check_failed_exception) => {
                Ok(false)
            }
            Err(error) => Err(failed(Trouble::of("PutItem", &item::name(&keys(table, item)), &error))),
        }
    }
}

impl TakeTables for Tables {
    async fn take<P: Objects + Sync>(
        &self,
        place: &P,
        id: &Id,
        begun: Timestamp,
        watch: Watch<'_>,
    ) -> Result<Taken, BackupError> {
        match self.export(place, id, begun, watch).await? {
            Some(taken) => Ok(taken),
            None => scan::take(self, place, id, begun, watch).await,
        }
    }
}
