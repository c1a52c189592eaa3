//! Documents kept under a version, in the results table of DynamoDB.

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{AttributeValue, CancellationReason, Put, TransactWriteItem};

use super::failure::Call;
use super::items::{self, Item, text};
use super::json::{entry, is_of_kind, read_entry};
use super::tables::{Page, of_code, query_items};
use super::{Aws, Timestamp};
use crate::model::{Entry, EntryChange, EntryKey};
use crate::ports::{ChangeError, Order, StoreError, check_changes};

/// The verb, as errors name it.
const CHANGE: &str = "change entries";

const ABSENT: &str = "attribute_not_exists(pk)";
const AS_EXPECTED: &str = "#version = :version";

impl Aws {
    pub(super) async fn get_entry(&self, key: &EntryKey) -> Result<Option<Entry>, StoreError> {
        let target = key.to_string();
        let call = self.results("load entry", "dynamodb:GetItem", &target);
        let get = self.dynamodb.get_item().table_name(&self.settings.results_table);
        let get = get.key("pk", text(&key.pk)).key("sk", text(&key.sk)).consistent_read(true);
        let output = get.send().await.map_err(|error| call.failed(error))?;
        let found = output.item.filter(|item| is_of_kind(item, items::ENTRY));
        found.map(read_entry).transpose().map_err(|error| call.unreadable(error))
    }

    pub(super) async fn query_entries(
        &self,
        pk: &str,
        sk_prefix: &str,
        order: Order,
        count_max: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        let call = self.results("list entries", "dynamodb:Query", pk);
        let query = self
            .dynamodb
            .query()
            .table_name(&self.settings.results_table)
            .consistent_read(true)
            .scan_index_forward(order == Order::OldestFirst)
            .expression_attribute_values(":pk", text(pk))
            .filter_expression("#kind = :kind")
            .expression_attribute_names("#kind", items::KIND)
            .expression_attribute_values(":kind", text(items::ENTRY));
        // A key is never compared with an empty text.
        let query = if sk_prefix.is_empty() {
            query.key_condition_expression("pk = :pk")
        } else {
            query
                .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
                .expression_attribute_values(":prefix", text(sk_prefix))
        };
        // Only anomalies and the state are filtered out, and these only where the beginning leaves them in.
        let page = if sk_prefix.is_empty() { Page::Filtered } else { Page::Whole };
        all(query_items(&query, page, count_max, &call).await?, &call)
    }

    pub(super) async fn query_due(
        &self,
        queue: &str,
        until: Timestamp,
        count_max: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        let call = self.results("find due", "dynamodb:Query", queue);
        let query = self
            .dynamodb
            .query()
            .table_name(&self.settings.results_table)
            .index_name("by_due")
            .key_condition_expression("#queue = :queue AND #due <= :until")
            .expression_attribute_names("#queue", "queue")
            .expression_attribute_names("#due", "due")
            .expression_attribute_values(":queue", text(queue))
            .expression_attribute_values(":until", text(until.to_string()));
        all(query_items(&query, Page::Whole, count_max, &call).await?, &call)
    }

    pub(super) async fn query_day(
        &self,
        day: &str,
        sk_prefix: &str,
        count_max: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        let call = self.results("list day", "dynamodb:Query", day);
        let query = self
            .dynamodb
            .query()
            .table_name(&self.settings.results_table)
            .index_name("by_day")
            .scan_index_forward(false)
            .key_condition_expression("#day = :day")
            .expression_attribute_names("#day", "day")
            .expression_attribute_values(":day", text(day))
            .expression_attribute_names("#kind", items::KIND)
            .expression_attribute_values(":kind", text(items::ENTRY));
        let query = if sk_prefix.is_empty() {
            query.filter_expression("#kind = :kind")
        } else {
            query
                .filter_expression("#kind = :kind AND begins_with(sk, :prefix)")
                .expression_attribute_values(":prefix", text(sk_prefix))
        };
        all(query_items(&query, Page::Filtered, count_max, &call).await?, &call)
    }

    /// One change is a conditional put, which costs half of what it does in a transaction.
    pub(super) async fn write_entries(&self, changes: &[EntryChange<'_>]) -> Result<(), ChangeError> {
        check_changes(changes)?;
        match changes {
            [change] => self.put_entry(change).await,
            changes => self.put_entries(changes).await,
        }
    }

    async fn put_entry(&self, change: &EntryChange<'_>) -> Result<(), ChangeError> {
        let target = change.entry.key.to_string();
        let call = self.results(CHANGE, "dynamodb:PutItem", &target);
        let put = self.dynamodb.put_item().table_name(&self.settings.results_table);
        let put = put.set_item(Some(entry(change.entry)));
        let put = match change.expected {
            None => put.condition_expression(ABSENT),
            Some(version) => put
                .condition_expression(AS_EXPECTED)
                .expression_attribute_names("#version", "version")
                .expression_attribute_values(":version", AttributeValue::N(version.to_string())),
        };
        match put.send().await {
            Ok(_) => Ok(()),
            Err(error) if error.as_service_error().is_some_and(PutItemError::is_conditional_check_failed_exception) => {
                Err(ChangeError::Moved(vec![0]))
            }
            Err(error) => Err(call.failed(error).into()),
        }
    }

    /// The SDK gives each call a token of its own, so that its own repetitions count once.
    async fn put_entries(&self, changes: &[EntryChange<'_>]) -> Result<(), ChangeError> {
        let target = changes.first().map(|change| change.entry.key.to_string()).unwrap_or_default();
        let call = self.results(CHANGE, "dynamodb:PutItem", &target);
        let put = |change| Ok(TransactWriteItem::builder().put(self.entry_put(change, &call)?).build());
        let puts = changes.iter().map(put).collect::<Result<Vec<_>, StoreError>>()?;
        match self.dynamodb.transact_write_items().set_transact_items(Some(puts)).send().await {
            Ok(_) => Ok(()),
            Err(error) => Err(why_canceled(&error, &call).unwrap_or_else(|| call.failed(error).into())),
        }
    }

    fn entry_put(&self, change: &EntryChange<'_>, call: &Call<'_>) -> Result<Put, StoreError> {
        let put = Put::builder().table_name(&self.settings.results_table).set_item(Some(entry(change.entry)));
        let put = match change.expected {
            None => put.condition_expression(ABSENT),
            Some(version) => put
                .condition_expression(AS_EXPECTED)
                .expression_attribute_names("#version", "version")
                .expression_attribute_values(":version", AttributeValue::N(version.to_string())),
        };
        put.build().map_err(|error| call.permanent(error.to_string()))
    }
}

fn all(items: Vec<Item>, call: &Call<'_>) -> Result<Vec<Entry>, StoreError> {
    items.into_iter().map(|item| read_entry(item).map_err(|error| call.unreadable(error))).collect()
}

/// Why DynamoDB canceled a transaction; `None` when something else went wrong.
fn why_canceled(error: &SdkError<TransactWriteItemsError>, call: &Call<'_>) -> Option<ChangeError> {
    let TransactWriteItemsError::TransactionCanceledException(canceled) = error.as_service_error()? else {
        return None;
    };
    Some(of_reasons(canceled.cancellation_reasons(), call))
}

/// One reason an item, in their order. A conflict or a throttle hides what the conditions would say, so it goes first.
fn of_reasons(reasons: &[CancellationReason], call: &Call<'_>) -> ChangeError {
    let code = |reason: &CancellationReason| reason.code().unwrap_or("None").to_owned();
    let codes: Vec<String> = reasons.iter().map(code).collect();
    if let Some(code) = codes.iter().find(|code| !matches!(code.as_str(), "None" | "ConditionalCheckFailed")) {
        return ChangeError::Store(of_code(code, reasons, call));
    }
    let refused = |(index, code): (usize, &String)| (code == "ConditionalCheckFailed").then_some(index);
    let moved: Vec<usize> = codes.iter().enumerate().filter_map(refused).collect();
    if moved.is_empty() {
        return call.permanent("the transaction was canceled without a reason".to_owned()).into();
    }
    ChangeError::Moved(moved)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_read_by_item_and_a_conflict_goes_first() {
        const MET: &str = "None";
        const FAILED: &str = "ConditionalCheckFailed";
        let call = Call { verb: CHANGE, target: "k", action: "a", resource: "table `x`".to_owned(), setting: "s" };
        for (codes, expected) in [
            ([FAILED, MET, FAILED], "[0, 2]"),
            ([MET, FAILED, MET], "[1]"),
            ([MET, "TransactionConflict", FAILED], "Throttled"),
            (["ProvisionedThroughputExceeded", MET, MET], "Throttled"),
            ([MET, MET, "ValidationError"], "Permanent"),
            ([MET, MET, MET], "Permanent"),
        ] {
            let reasons = codes.map(|code| CancellationReason::builder().code(code).build());
            let found = match of_reasons(&reasons, &call) {
                ChangeError::Moved(indexes) => format!("{indexes:?}"),
                ChangeError::Store(error) => format!("{:?}", error.kind),
                ChangeError::Size(size) => format!("{size}"),
            };
            assert_eq!(found, expected, "{codes:?}");
        }
    }
}
