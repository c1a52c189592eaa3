//! What a second region needs of the tables: epochs, the checkpoints of a stream, and states in order of epoch.
//!
//! The tables are global ones, so that what another region has written is read here, with the delay of replication.
//! Conditions are evaluated in the region of the call.

use std::collections::HashMap;

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ConditionCheck, Put};

use super::Aws;
use super::failure::Call;
use super::items::{self, text};
use crate::model::{Checkpoint, Epoch, EpochGuard, ShardId, StateRecord};
use crate::ports::StoreError;

/// A state of this epoch may replace one of an older epoch, or one of its own that is older. Items from before the first
/// epoch have no attribute of that name.
const NEWER_IN_EPOCH: &str = "attribute_not_exists(pk) OR attribute_not_exists(#epoch) OR #epoch < :epoch \
                              OR (#epoch = :epoch AND #seq < :seq)";
/// The same before the first epoch.
const NEWER_BEFORE_EPOCHS: &str = "attribute_not_exists(pk) OR (attribute_not_exists(#epoch) AND #seq < :seq)";

fn number(number: u64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

impl Aws {
    /// The whole table is read: its key is one attribute, so that nothing narrower can be asked for. It has one item a shard
    /// that ever was, some kilobytes each, and this is done once a shard and epoch.
    pub(super) async fn scan_checkpoints(
        &self,
        region: &str,
        stream: &str,
    ) -> Result<Vec<(ShardId, Checkpoint)>, StoreError> {
        let any = ShardId { region: region.to_owned(), stream: stream.to_owned(), shard: String::new() };
        let beginning = any.partition_key();
        let call = self.checkpoints("list checkpoints", "dynamodb:Scan", &beginning);
        let scan = self
            .dynamodb
            .scan()
            .table_name(&self.settings.checkpoints_table)
            .filter_expression("begins_with(pk, :beginning)")
            .expression_attribute_values(":beginning", text(&beginning))
            .consistent_read(true);
        let mut found = Vec::new();
        let mut start: Option<HashMap<String, AttributeValue>> = None;
        loop {
            let page = scan.clone().set_exclusive_start_key(start.take()).send().await;
            let page = page.map_err(|error| call.failed(error))?;
            for item in page.items.unwrap_or_default() {
                let shard = match item.get("pk") {
                    Some(AttributeValue::S(pk)) => any.sibling(pk.get(beginning.len()..).unwrap_or_default()),
                    _ => return Err(call.permanent("an item has no text as its key".to_owned())),
                };
                found.push((shard, items::record(item).map_err(|error| call.unreadable(error))?));
            }
            start = page.last_evaluated_key;
            if start.is_none() {
                found.sort_by(|(a, _), (b, _)| a.cmp(b));
                return Ok(found);
            }
        }
    }

    pub(super) async fn get_epoch(&self, stream: &str) -> Result<Option<Epoch>, StoreError> {
        let call = self.checkpoints("load epoch", "dynamodb:GetItem", stream);
        let get = self.dynamodb.get_item().table_name(&self.settings.checkpoints_table);
        let get = get.key("pk", text(Epoch::partition_key(stream))).consistent_read(true);
        let output = get.send().await.map_err(|error| call.failed(error))?;
        output.item.map(items::record).transpose().map_err(|error| call.unreadable(error))
    }

    pub(super) async fn put_epoch(&self, stream: &str, next: &Epoch) -> Result<bool, StoreError> {
        let call = self.checkpoints("begin epoch", "dynamodb:PutItem", stream);
        let item = items::epoch(stream, next).map_err(|error| call.unreadable(error))?;
        let put = self
            .dynamodb
            .put_item()
            .table_name(&self.settings.checkpoints_table)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(pk) OR #epoch < :epoch")
            .expression_attribute_names("#epoch", "epoch")
            .expression_attribute_values(":epoch", number(next.epoch));
        match put.send().await {
            Ok(_) => Ok(true),
            Err(error) if error.as_service_error().is_some_and(PutItemError::is_conditional_check_failed_exception) => {
                Ok(false)
            }
            Err(error) => Err(call.failed(error)),
        }
    }

    pub(super) fn epoch_guard(&self, guard: &EpochGuard<'_>, call: &Call<'_>) -> Result<ConditionCheck, StoreError> {
        let check = ConditionCheck::builder()
            .table_name(&self.settings.checkpoints_table)
            .key("pk", text(Epoch::partition_key(guard.stream)))
            .condition_expression("attribute_not_exists(pk) OR #epoch <= :epoch")
            .expression_attribute_names("#epoch", "epoch")
            .expression_attribute_values(":epoch", number(guard.newest));
        check.build().map_err(|error| call.permanent(error.to_string()))
    }

    pub(super) fn state_put_in_epoch(&self, state: &StateRecord, call: &Call<'_>) -> Result<Put, StoreError> {
        let item = items::state(state).map_err(|error| call.unreadable(error))?;
        let StateRecord { epoch, seq, .. } = *state;
        let mut put = Put::builder()
            .table_name(&self.settings.results_table)
            .set_item(Some(item))
            .condition_expression(if epoch > 0 { NEWER_IN_EPOCH } else { NEWER_BEFORE_EPOCHS })
            .expression_attribute_names("#epoch", "epoch")
            .expression_attribute_names("#seq", "seq")
            .expression_attribute_values(":seq", text(seq.to_string()));
        if epoch > 0 {
            put = put.expression_attribute_values(":epoch", number(epoch));
        }
        put.build().map_err(|error| call.permanent(error.to_string()))
    }
}
