//! What the lake holds: bronze and quarantine lines, read by the documented format.
//!
//! A segment is zstd over lines of JSON, one a Kinesis record: `seq`, `arrived`, `pk`, and the payload either verbatim
//! under `json` or, where it is not JSON, encoded under `b64`. Quarantine adds `reason` and `detail`.

use anyhow::{Context, Result, anyhow};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::stack::Stack;
use crate::world::World;

/// One record as the lake keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The object it stands in.
    pub key: String,
    /// The shard, as the key names it.
    pub shard: String,
    /// The sequence number without leading zeros.
    pub sequence: String,
    /// The partition key.
    pub partition_key: String,
    /// The payload, byte for byte.
    pub payload: Vec<u8>,
    /// Why it was quarantined; empty in bronze.
    pub reason: String,
    /// What exactly was wrong; empty in bronze.
    pub detail: String,
}

/// Every line of bronze, in no particular order. A re-cut batch may have left one twice, as the lake's readers know.
///
/// # Errors
/// An object cannot be read, or is not what the format says.
pub async fn bronze(stack: &Stack) -> Result<Vec<Line>> {
    lines(stack.world(), stack.output("LakeBucketName"), "bronze/").await
}

/// As [`bronze`], of a lake in a Region: what the other Region has written is in it as far as it was copied.
///
/// # Errors
/// As [`bronze`].
pub async fn bronze_of(world: &World, lake: &str) -> Result<Vec<Line>> {
    lines(world, lake, "bronze/").await
}

/// Every line of quarantine.
///
/// # Errors
/// As [`bronze`].
pub async fn quarantine(stack: &Stack) -> Result<Vec<Line>> {
    lines(stack.world(), stack.output("LakeBucketName"), "quarantine/").await
}

async fn lines(world: &World, bucket: &str, prefix: &str) -> Result<Vec<Line>> {
    let s3 = &world.s3;
    let mut pages = s3.list_objects_v2().bucket(bucket).prefix(prefix).into_paginator().send();
    let mut lines = Vec::new();
    while let Some(page) = pages.next().await {
        for object in page.context("cannot list the lake")?.contents() {
            let key = object.key().context("an object without a key")?;
            let got = s3.get_object().bucket(bucket).key(key).send().await.with_context(|| format!("get {key}"))?;
            let compressed = got.body.collect().await.with_context(|| format!("read {key}"))?.into_bytes();
            let text = zstd::decode_all(&*compressed).with_context(|| format!("{key} is not zstd"))?;
            let text = String::from_utf8(text).with_context(|| format!("{key} is not UTF-8"))?;
            for (number, line) in text.lines().enumerate() {
                lines.push(parse(key, line).with_context(|| format!("{key}, line {}: {line}", number + 1))?);
            }
        }
    }
    Ok(lines)
}

fn parse(key: &str, line: &str) -> Result<Line> {
    // The payload's own spelling counts, so it is taken as text and not as a value.
    let fields: std::collections::HashMap<&str, &RawValue> = serde_json::from_str(line)?;
    let text = |name: &str| -> Result<String> {
        let raw = fields.get(name).with_context(|| format!("no `{name}`"))?;
        let value: Value = serde_json::from_str(raw.get())?;
        value.as_str().map(str::to_owned).ok_or_else(|| anyhow!("`{name}` is not text"))
    };
    let arrived: u64 = fields.get("arrived").context("no `arrived`")?.get().parse().context("`arrived` is no time")?;
    anyhow::ensure!(arrived > 1_500_000_000_000, "`arrived` is {arrived}, which is not milliseconds since 1970");
    let payload = match (fields.get("json"), fields.contains_key("b64")) {
        (Some(json), false) => json.get().as_bytes().to_vec(),
        (None, true) => base64_simd::STANDARD
            .decode_to_vec(text("b64")?)
            .map_err(|error| anyhow!("`b64` is not base64: {error}"))?,
        _ => anyhow::bail!("one of `json` and `b64` is expected"),
    };
    let optional = |name| if fields.contains_key(name) { text(name) } else { Ok(String::new()) };
    // …/{region}/{stream}/{shard}/{name}
    let shard = key.rsplit('/').nth(1).context("the key names no shard")?.to_owned();
    Ok(Line {
        key: key.to_owned(),
        shard,
        sequence: text("seq")?.trim_start_matches('0').to_owned(),
        partition_key: text("pk")?,
        payload,
        reason: optional("reason")?,
        detail: optional("detail")?,
    })
}
