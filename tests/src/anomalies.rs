//! What the two tables hold.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context, Result, anyhow};
use aws_sdk_dynamodb::types::AttributeValue;

use crate::stack::Stack;
use crate::world::World;

type Item = HashMap<String, AttributeValue>;

/// A stored anomaly, as far as the tests look at it: nothing that depends on when or how it was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Anomaly {
    /// `{tenant}#{device}`
    pub device: String,
    /// `A#{onset}#{id}`
    pub sort_key: String,
    /// The id.
    pub id: String,
    /// When it began, in milliseconds since 1970.
    pub onset_ms: i64,
    /// The metrics that speak for it.
    pub metrics: Vec<String>,
    /// The detector that spoke loudest.
    pub detector: String,
    /// In units of the alarm line.
    pub score: f64,
    /// Why, as a sentence.
    pub why: String,
}

/// The anomalies of a stack, in order of device and onset.
///
/// # Errors
/// The table cannot be read, or an item lacks something.
pub async fn anomalies(stack: &Stack) -> Result<Vec<Anomaly>> {
    let mut found = Vec::new();
    for item in items(stack, "ResultsTableName").await? {
        let sort_key = text(&item, "sk")?;
        if !sort_key.starts_with("A#") {
            continue;
        }
        let explanation = field(&item, "explanation")?.as_m().map_err(|_| anyhow!("`explanation` is no map"))?;
        let metrics = field(&item, "metrics")?.as_l().map_err(|_| anyhow!("`metrics` is no list"))?;
        found.push(Anomaly {
            device: text(&item, "pk")?,
            id: text(&item, "id")?,
            onset_ms: number(&item, "onset")? as i64,
            metrics: metrics.iter().filter_map(|metric| metric.as_s().ok().cloned()).collect(),
            detector: text(&item, "detector")?,
            score: number(&item, "score")?,
            why: text(explanation, "summary")?,
            sort_key,
        });
    }
    found.sort_by(|a, b| (&a.device, &a.sort_key).cmp(&(&b.device, &b.sort_key)));
    Ok(found)
}

/// An alert, as far as a judge looks at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Raised {
    /// `{tenant}#{device}`
    pub device: String,
    /// The detector that spoke loudest.
    pub detector: String,
    /// When the reading arrived that raised it, in milliseconds since 1970.
    pub detected_ms: i64,
}

/// When which anomalies were found.
///
/// # Errors
/// As [`anomalies`].
pub async fn raised(stack: &Stack) -> Result<Vec<Raised>> {
    let items = items(stack, "ResultsTableName").await?;
    let mut found = Vec::new();
    for item in items.iter().filter(|item| text(item, "sk").is_ok_and(|key| key.starts_with("A#"))) {
        let detected_ms = number(item, "detected_at")? as i64;
        found.push(Raised { device: text(item, "pk")?, detector: text(item, "detector")?, detected_ms });
    }
    Ok(found)
}

/// The status of every device that has one: `{tenant}#{device}` → `normal`, `abnormal`, …
///
/// # Errors
/// As [`anomalies`].
pub async fn device_states(stack: &Stack) -> Result<BTreeMap<String, String>> {
    let mut states = BTreeMap::new();
    for item in items(stack, "ResultsTableName").await? {
        if text(&item, "sk")? == "S" {
            states.insert(text(&item, "pk")?, text(&item, "status")?);
        }
    }
    Ok(states)
}

/// How far each shard is: its name → the last sequence number that was committed, without leading zeros.
///
/// # Errors
/// As [`anomalies`].
pub async fn checkpoints(stack: &Stack) -> Result<BTreeMap<String, String>> {
    let mut checkpoints = BTreeMap::new();
    for item in items(stack, "CheckpointsTableName").await? {
        let key = text(&item, "pk")?;
        let shard = key.rsplit('#').next().unwrap_or_default();
        checkpoints.insert(shard.to_owned(), text(&item, "last_seq")?.trim_start_matches('0').to_owned());
    }
    Ok(checkpoints)
}

/// Where an anomaly was found, and by what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// `region/stream/shard`
    pub shard: String,
    /// The detector that spoke loudest.
    pub detector: String,
}

/// Which anomalies a table of a Region has, by partition key and sort key.
///
/// # Errors
/// As [`anomalies`].
pub async fn found_in(world: &World, table: &str) -> Result<BTreeMap<(String, String), Found>> {
    let items = items_of(world, table).await?;
    let found = items.iter().filter(|item| text(item, "sk").is_ok_and(|key| key.starts_with("A#")));
    let one = |item: &Item| -> Result<_> {
        let found = Found { shard: text(item, "shard")?, detector: text(item, "detector")? };
        Ok(((text(item, "pk")?, text(item, "sk")?), found))
    };
    found.map(one).collect()
}

async fn items(stack: &Stack, table: &str) -> Result<Vec<Item>> {
    items_of(stack.world(), stack.output(table)).await
}

async fn items_of(world: &World, table: &str) -> Result<Vec<Item>> {
    let items = world.dynamodb.scan().table_name(table).consistent_read(true).into_paginator().items().send();
    items.try_collect().await.with_context(|| format!("cannot read the table {table}"))
}

fn field<'item>(item: &'item Item, name: &str) -> Result<&'item AttributeValue> {
    item.get(name).with_context(|| format!("no `{name}` in {item:?}"))
}

fn text(item: &Item, name: &str) -> Result<String> {
    field(item, name)?.as_s().cloned().map_err(|other| anyhow!("`{name}` is no text but {other:?}"))
}

fn number(item: &Item, name: &str) -> Result<f64> {
    let digits = field(item, name)?.as_n().map_err(|other| anyhow!("`{name}` is no number but {other:?}"))?;
    digits.parse().with_context(|| format!("`{name}` is {digits}"))
}
