//! The tables in DynamoDB.

use std::collections::HashMap;

use account::{Kind, Trouble};
use anomaly_core::Timestamp;
use aws_sdk_dynamodb::types::AttributeValue;

use super::{Aws, there};
use crate::canary::{Canary, Place};
use crate::ports::{Items, Looked, Table, TableState};

/// How long a canary stays where nobody checks any more, seconds. Only the results table forgets.
const KEPT_SECONDS: i64 = 7 * 86_400;

type Item = HashMap<String, AttributeValue>;

fn text(text: String) -> AttributeValue {
    AttributeValue::S(text)
}

fn key(table: Table, place: &Place) -> Item {
    match table {
        Table::Results => {
            [("pk".to_owned(), text(place.partition())), ("sk".to_owned(), text(place.sort_key()))].into()
        }
        Table::Checkpoints => [("pk".to_owned(), text(place.checkpoint_key()))].into(),
    }
}

fn item(table: Table, place: &Place, canary: &Canary) -> Item {
    let written_ms = canary.written.millis();
    let numbers = [
        ("counter", canary.counter.to_string()),
        ("written", written_ms.to_string()),
        ("expires_at", (written_ms / 1_000 + KEPT_SECONDS).to_string()),
    ];
    let mut item = key(table, place);
    item.extend(numbers.map(|(name, number)| (name.to_owned(), AttributeValue::N(number))));
    item
}

fn canary(item: &Item) -> Option<Canary> {
    let number = |name: &str| item.get(name).and_then(|value| value.as_n().ok());
    Some(Canary {
        counter: number("counter")?.parse().ok()?,
        written: Timestamp::from_millis(number("written")?.parse().ok()?).ok()?,
    })
}

impl Aws {
    fn table_name(&self, table: Table) -> &str {
        match table {
            Table::Results => &self.tables.results,
            Table::Checkpoints => &self.tables.checkpoints,
        }
    }
}

impl Items for Aws {
    async fn put_canary(&self, table: Table, place: &Place, canary: &Canary) -> Looked<()> {
        let name = self.table_name(table);
        let put = self.dynamodb.put_item().table_name(name).set_item(Some(item(table, place, canary)));
        put.send().await.map(drop).map_err(|error| Trouble::of("PutItem", name, &error))
    }

    async fn canary(&self, table: Table, place: &Place) -> Looked<Option<Canary>> {
        let name = self.table_name(table);
        let get = self.dynamodb.get_item().table_name(name).set_key(Some(key(table, place))).consistent_read(true);
        let answer = get.send().await.map_err(|error| Trouble::of("GetItem", name, &error))?;
        let Some(item) = answer.item() else { return Ok(None) };
        canary(item).map(Some).ok_or_else(|| {
            let message = "the item is no canary; delete it".to_owned();
            Trouble { action: "GetItem", subject: place.checkpoint_key(), kind: Kind::Refused, message }
        })
    }

    async fn table(&self, table: Table) -> Looked<Option<TableState>> {
        let name = self.table_name(table);
        let answer = self.dynamodb.describe_table().table_name(name).send().await;
        let Some(answer) = there(answer.map_err(|error| Trouble::of("DescribeTable", name, &error)))? else {
            return Ok(None);
        };
        let table = answer.table().ok_or_else(|| Trouble::incomplete("DescribeTable", "no table"))?;
        let replica = |replica: &aws_sdk_dynamodb::types::ReplicaDescription| {
            let status = replica.replica_status().map(|status| status.as_str().to_owned());
            Some((replica.region_name()?.to_owned(), status.unwrap_or_default()))
        };
        Ok(Some(TableState {
            status: table.table_status().map(|status| status.as_str().to_owned()).unwrap_or_default(),
            replicas: table.replicas().iter().filter_map(replica).collect(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_canary_is_read_as_it_was_written_in_both_tables() {
        let place = Place::of("eu-west-1", "eu-central-1", 7);
        let written = Timestamp::from_millis(1_790_000_000_123).unwrap();
        let sent = Canary { counter: 7, written };
        for table in Table::ALL {
            let item = item(table, &place, &sent);
            assert_eq!(canary(&item), Some(sent));
            assert!(key(table, &place).iter().all(|(name, value)| item.get(name) == Some(value)));
        }
        assert_eq!(canary(&key(Table::Results, &place)), None);
    }
}
