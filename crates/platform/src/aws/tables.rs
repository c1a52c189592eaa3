//! Checkpoints, anomalies and states in DynamoDB.

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{AttributeValue, CancellationReason, ConditionCheck, Put, TransactWriteItem};

use super::Aws;
use super::failure::Call;
use super::items::{self, Item, text};
use crate::model::{
    AnomalyRecord, Checkpoint, CheckpointChange, CheckpointGuard, StateRecord, TRANSACTION_ITEMS_MAX, Transaction,
};
use crate::ports::{AnomalyQuery, CommitError, StoreError, StoreErrorKind};

impl Aws {
    pub(super) fn checkpoints<'a>(&self, verb: &'static str, action: &'static str, target: &'a str) -> Call<'a> {
        let resource = format!("table `{}`", self.settings.checkpoints_table);
        Call { verb, target, action, resource, setting: "MILLRACE_CHECKPOINTS_TABLE" }
    }

    pub(super) fn results<'a>(&self, verb: &'static str, action: &'static str, target: &'a str) -> Call<'a> {
        let resource = format!("table `{}`", self.settings.results_table);
        Call { verb, target, action, resource, setting: "MILLRACE_RESULTS_TABLE" }
    }

    pub(super) async fn get_checkpoint(&self, pk: &str) -> Result<Option<Checkpoint>, StoreError> {
        let call = self.checkpoints("load checkpoint", "dynamodb:GetItem", pk);
        let get = self.dynamodb.get_item().table_name(&self.settings.checkpoints_table).key("pk", text(pk));
        let output = get.consistent_read(true).send().await.map_err(|error| call.failed(error))?;
        output.item.map(items::record).transpose().map_err(|error| call.unreadable(error))
    }

    pub(super) async fn get_state(&self, pk: &str) -> Result<Option<StateRecord>, StoreError> {
        let call = self.results("get device state", "dynamodb:GetItem", pk);
        let get = self.dynamodb.get_item().table_name(&self.settings.results_table);
        let get = get.key("pk", text(pk)).key("sk", text(StateRecord::SORT_KEY)).consistent_read(true);
        let output = get.send().await.map_err(|error| call.failed(error))?;
        output.item.map(items::record).transpose().map_err(|error| call.unreadable(error))
    }

    /// The SDK gives each call a token of its own, so that its own repetitions count once.
    pub(super) async fn write_transaction(&self, transaction: &Transaction<'_>) -> Result<(), CommitError> {
        if !(1..=TRANSACTION_ITEMS_MAX).contains(&transaction.len()) {
            return Err(CommitError::Size(transaction.len()));
        }
        let pk = transaction.checkpoint.map(|change| change.shard.partition_key());
        let call = match &pk {
            Some(pk) => self.checkpoints("commit", "dynamodb:PutItem", pk),
            None => self.results("commit", "dynamodb:PutItem", "results"),
        };
        let puts = self.puts(transaction, &call)?;
        let guard = transaction.guard.map(|guard| self.guard(&guard, &call)).transpose()?;
        let epoch = transaction.epoch.map(|guard| self.epoch_guard(&guard, &call)).transpose()?;
        let checks = guard.into_iter().chain(epoch);
        let checks = checks.map(|check| TransactWriteItem::builder().condition_check(check).build());
        let puts = puts.into_iter().map(|put| TransactWriteItem::builder().put(put).build());
        let items = checks.chain(puts).collect();
        match self.dynamodb.transact_write_items().set_transact_items(Some(items)).send().await {
            Ok(_) => Ok(()),
            Err(error) => Err(why_canceled(&error, transaction, &call).unwrap_or_else(|| call.failed(error).into())),
        }
    }

    fn guard(&self, guard: &CheckpointGuard<'_>, call: &Call<'_>) -> Result<ConditionCheck, StoreError> {
        let check = ConditionCheck::builder()
            .table_name(&self.settings.checkpoints_table)
            .key("pk", text(guard.shard.partition_key()));
        let check = match guard.expected {
            None => check.condition_expression("attribute_not_exists(pk)"),
            Some(version) => check
                .condition_expression("#version = :version")
                .expression_attribute_names("#version", "version")
                .expression_attribute_values(":version", AttributeValue::N(version.to_string())),
        };
        check.build().map_err(|error| call.permanent(error.to_string()))
    }

    /// In the order of the transaction: checkpoint, anomalies, states.
    fn puts(&self, transaction: &Transaction<'_>, call: &Call<'_>) -> Result<Vec<Put>, StoreError> {
        let mut puts = Vec::with_capacity(transaction.len());
        if let Some(change) = &transaction.checkpoint {
            puts.push(self.checkpoint_put(change, call)?);
        }
        for anomaly in &transaction.anomalies {
            let item = items::anomaly(anomaly).map_err(|error| call.unreadable(error))?;
            puts.push(self.result_put(item, "attribute_not_exists(pk)", None, call)?);
        }
        for state in &transaction.states {
            puts.push(if transaction.epoch.is_some() {
                self.state_put_in_epoch(state, call)?
            } else {
                let item = items::state(state).map_err(|error| call.unreadable(error))?;
                let seq = Some(state.seq.to_string());
                self.result_put(item, "attribute_not_exists(pk) OR #seq < :seq", seq, call)?
            });
        }
        Ok(puts)
    }

    fn checkpoint_put(&self, change: &CheckpointChange<'_>, call: &Call<'_>) -> Result<Put, StoreError> {
        let item = items::checkpoint(call.target, change.next).map_err(|error| call.unreadable(error))?;
        let put = Put::builder().table_name(&self.settings.checkpoints_table).set_item(Some(item));
        let put = match change.expected {
            None => put.condition_expression("attribute_not_exists(pk)"),
            Some(version) => put
                .condition_expression("#version = :version")
                .expression_attribute_names("#version", "version")
                .expression_attribute_values(":version", AttributeValue::N(version.to_string())),
        };
        put.build().map_err(|error| call.permanent(error.to_string()))
    }

    fn result_put(&self, item: Item, condition: &str, seq: Option<String>, call: &Call<'_>) -> Result<Put, StoreError> {
        let mut put = Put::builder().table_name(&self.settings.results_table).set_item(Some(item));
        if let Some(seq) = seq {
            put = put.expression_attribute_names("#seq", "seq").expression_attribute_values(":seq", text(seq));
        }
        put.condition_expression(condition).build().map_err(|error| call.permanent(error.to_string()))
    }

    pub(super) async fn query_anomalies(
        &self,
        query: &AnomalyQuery,
        count_max: usize,
    ) -> Result<Vec<AnomalyRecord>, StoreError> {
        let base = self.dynamodb.query().table_name(&self.settings.results_table).scan_index_forward(false);
        let (key, base, page) = match query {
            AnomalyQuery::Device { tenant, device } => {
                let base = base
                    .key_condition_expression("pk = :key AND begins_with(sk, :anomalies)")
                    .expression_attribute_values(":anomalies", text("A#"))
                    .consistent_read(true);
                (format!("{tenant}#{device}"), base, Page::Whole)
            }
            AnomalyQuery::Day { tenant, day } => {
                // Entries of the day are in the index as well.
                let base = base
                    .index_name("by_day")
                    .key_condition_expression("#day = :key")
                    .expression_attribute_names("#day", "day")
                    .filter_expression("#kind = :kind")
                    .expression_attribute_names("#kind", items::KIND)
                    .expression_attribute_values(":kind", text(items::ANOMALY));
                (format!("{tenant}#{day}"), base, Page::Filtered)
            }
        };
        let call = self.results("find anomalies", "dynamodb:Query", &key);
        let base = base.expression_attribute_values(":key", text(&key));
        let found = query_items(&base, page, count_max, &call).await?;
        found.into_iter().map(|item| items::record(item).map_err(|error| call.unreadable(error))).collect()
    }
}

/// What a page of a query holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Page {
    /// All that is read.
    Whole,
    /// What a filter leaves of what is read: the limit of a page counts what is read (Amazon DynamoDB API Reference,
    /// `Query`).
    Filtered,
}

/// Items that a page with a filter reads at least, so that a call does not find one item at a time.
const FILTERED_PAGE_ITEMS: usize = 250;

/// At most so many items, page by page.
pub(super) async fn query_items(
    query: &QueryFluentBuilder,
    page: Page,
    count_max: usize,
    call: &Call<'_>,
) -> Result<Vec<Item>, StoreError> {
    let mut found = Vec::new();
    let mut start: Option<Item> = None;
    while found.len() < count_max {
        let rest = count_max - found.len();
        let limit = if page == Page::Filtered { rest.max(FILTERED_PAGE_ITEMS) } else { rest };
        let limit = i32::try_from(limit).unwrap_or(i32::MAX);
        let answer = query.clone().limit(limit).set_exclusive_start_key(start.take()).send().await;
        let answer = answer.map_err(|error| call.failed(error))?;
        found.extend(answer.items.unwrap_or_default());
        start = answer.last_evaluated_key;
        if start.is_none() {
            break;
        }
    }
    found.truncate(count_max);
    Ok(found)
}

/// Why DynamoDB canceled a transaction; `None` when something else went wrong.
fn why_canceled(
    error: &SdkError<TransactWriteItemsError>,
    transaction: &Transaction<'_>,
    call: &Call<'_>,
) -> Option<CommitError> {
    let TransactWriteItemsError::TransactionCanceledException(canceled) = error.as_service_error()? else {
        return None;
    };
    Some(of_reasons(canceled.cancellation_reasons(), transaction, call))
}

/// One reason an item, in their order (Amazon DynamoDB API Reference, `TransactWriteItems`). The guard and the checkpoint go
/// first. A conflict or a throttle hides what the conditions would say, so it goes before the items.
fn of_reasons(reasons: &[CancellationReason], transaction: &Transaction<'_>, call: &Call<'_>) -> CommitError {
    let code = |reason: &CancellationReason| reason.code().unwrap_or("None").to_owned();
    let codes: Vec<String> = reasons.iter().map(code).collect();
    let refused = |code: Option<&String>| code.is_some_and(|code| code == "ConditionalCheckFailed");
    // Guard, epoch, checkpoint: those that there are.
    let guards = usize::from(transaction.guard.is_some());
    let epochs = usize::from(transaction.epoch.is_some());
    let checkpoints = guards + epochs + usize::from(transaction.checkpoint.is_some());
    let moved = |index: &usize| refused(codes.get(*index));
    if (0..guards).chain(guards + epochs..checkpoints).any(|index| moved(&index)) {
        return CommitError::CheckpointMoved;
    }
    if (guards..guards + epochs).any(|index| moved(&index)) {
        return CommitError::EpochMoved;
    }
    let other = codes.iter().find(|code| !matches!(code.as_str(), "None" | "ConditionalCheckFailed"));
    if let Some(code) = other {
        return CommitError::Store(of_code(code, reasons, call));
    }
    let from = |start: usize, count: usize| (0..count).filter(|i| refused(codes.get(start + i))).collect::<Vec<_>>();
    let anomalies = from(checkpoints, transaction.anomalies.len());
    let states = from(checkpoints + transaction.anomalies.len(), transaction.states.len());
    if anomalies.is_empty() && states.is_empty() {
        return CommitError::Store(call.permanent("the transaction was canceled without a reason".to_owned()));
    }
    CommitError::AlreadyThere { anomalies, states }
}

pub(super) fn of_code(code: &str, reasons: &[CancellationReason], call: &Call<'_>) -> StoreError {
    let throttled = matches!(
        code,
        "TransactionConflict" | "ThrottlingError" | "ProvisionedThroughputExceeded" | "RequestLimitExceeded"
    );
    let said = reasons.iter().find(|reason| reason.code() == Some(code)).and_then(CancellationReason::message);
    let mut error = call.permanent(format!("the transaction was canceled: {code}, {}", said.unwrap_or("no message")));
    if throttled {
        error.kind = StoreErrorKind::Throttled;
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{EpochGuard, ShardId};

    /// What a transaction of a checkpoint, two anomalies and a state makes of these codes, as text.
    fn verdict(epoch: Option<EpochGuard<'_>>, codes: &[&str]) -> String {
        let shard = ShardId { region: "r".to_owned(), stream: "s".to_owned(), shard: "h".to_owned() };
        let next: Checkpoint = serde_json::from_value(serde_json::json!({
            "version": 1, "last_seq": "1", "stream_time": 1_700_000_000_000_i64, "snapshot": null, "segments": []
        }))
        .unwrap();
        let change = CheckpointChange { shard: &shard, next: &next, expected: None };
        let anomaly: AnomalyRecord = serde_json::from_value(serde_json::json!({
            "id": "0", "tenant": "t", "device": "d", "metrics": [], "detector": "limit", "onset": 1_700_000_000_000_i64,
            "score": 1.0, "severity": "info", "explanation": { "score": 1.0, "summary": "", "contributions": [] },
            "detected_at": 1_700_000_000_000_i64, "seq": "1", "shard": "", "profiles": "", "expires_at": 0
        }))
        .unwrap();
        let state: StateRecord = serde_json::from_value(serde_json::json!({
            "tenant": "t", "device": "d", "status": "normal", "since": 1_700_000_000_000_i64, "score": 1.0, "seq": "1",
            "expires_at": 0
        }))
        .unwrap();
        let transaction = Transaction {
            checkpoint: Some(change),
            guard: None,
            epoch,
            anomalies: vec![&anomaly, &anomaly],
            states: vec![&state],
        };
        let resource = "table `x`".to_owned();
        let call = Call { verb: "commit", target: "k", action: "a", resource, setting: "s" };
        let reasons: Vec<_> = codes.iter().map(|code| CancellationReason::builder().code(*code).build()).collect();
        match of_reasons(&reasons, &transaction, &call) {
            CommitError::CheckpointMoved => "moved".to_owned(),
            CommitError::EpochMoved => "epoch".to_owned(),
            CommitError::AlreadyThere { anomalies, states } => format!("{anomalies:?} {states:?}"),
            CommitError::Store(error) => format!("{:?}", error.kind),
            CommitError::Size(size) => format!("{size}"),
        }
    }

    #[test]
    fn reasons_are_read_by_item_and_the_checkpoint_goes_first() {
        const MET: &str = "None";
        const FAILED: &str = "ConditionalCheckFailed";
        for (codes, expected) in [
            ([FAILED, MET, FAILED, FAILED], "moved"),
            ([FAILED, "TransactionConflict", MET, MET], "moved"),
            ([MET, MET, FAILED, MET], "[1] []"),
            ([MET, FAILED, FAILED, FAILED], "[0, 1] [0]"),
            ([MET, MET, MET, FAILED], "[] [0]"),
            (["TransactionConflict", FAILED, MET, MET], "Throttled"),
            ([MET, "ThrottlingError", MET, FAILED], "Throttled"),
            ([MET, MET, "ProvisionedThroughputExceeded", MET], "Throttled"),
            ([MET, MET, MET, "RequestLimitExceeded"], "Throttled"),
            ([MET, MET, MET, "ValidationError"], "Permanent"),
            ([MET, "ItemCollectionSizeLimitExceeded", MET, MET], "Permanent"),
            ([MET, MET, MET, MET], "Permanent"),
        ] {
            assert_eq!(verdict(None, &codes), expected, "{codes:?}");
        }
        let epoch = Some(EpochGuard { stream: "s", newest: 1 });
        for (codes, expected) in [
            ([FAILED, MET, FAILED, MET, MET], "epoch"),
            ([FAILED, "TransactionConflict", MET, MET, MET], "epoch"),
            ([FAILED, FAILED, MET, MET, MET], "moved"),
            ([MET, MET, FAILED, MET, FAILED], "[0] [0]"),
        ] {
            assert_eq!(verdict(epoch, &codes), expected, "{codes:?}");
        }
    }
}
