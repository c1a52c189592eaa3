//! The hands of the link: what is read from one emulator's outbox and given to the other one.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::{Carried, Change, Direction, Line, Stranded, now_us};
use crate::pair::{Pair, Pulse, Side, State};
use crate::stack::every;

/// How long an answer may take: longer than an emulator waits for something to tell.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often is looked whether a Region is back.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// Most items of one request.
const ITEMS_MAX: usize = 64;
/// Headers of an object that its copy has, too.
const HEADERS: [&str; 5] =
    ["content-type", "content-encoding", "content-disposition", "content-language", "cache-control"];

/// From where to where.
#[derive(Clone)]
pub(super) struct Carrier {
    pub(super) source: Arc<Pulse>,
    target: Arc<Pulse>,
    source_endpoint: String,
    target_endpoint: String,
    source_region: &'static str,
    target_region: &'static str,
    agent: ureq::Agent,
}

/// What came of a line.
enum Outcome {
    Delivered,
    Overtaken,
    Refused(String),
}

impl Carrier {
    pub(super) fn between(pair: &Pair, from: Side) -> Self {
        let agent = ureq::Agent::config_builder().timeout_global(Some(PATIENCE)).http_status_as_error(false).build();
        Self {
            source: pair.pulse(from),
            target: pair.pulse(from.across()),
            source_endpoint: pair.world(from).endpoint.clone(),
            target_endpoint: pair.world(from.across()).endpoint.clone(),
            source_region: from.region(),
            target_region: from.across().region(),
            agent: agent.new_agent(),
        }
    }

    /// The outbox' identity, and how many lines it has had.
    pub(super) fn end_of_outbox(&self) -> Result<(String, u64)> {
        let answer = self.agent.get(format!("{}/_regions/end", self.source_endpoint)).call()?;
        let answer: Value = serde_json::from_str(&answer.into_body().read_to_string()?)?;
        Ok((answer["id"].as_str().unwrap_or_default().to_owned(), answer["end"].as_u64().unwrap_or_default()))
    }

    fn outbox(&self, id: &str, after: u64) -> Result<Value> {
        let path = format!("{}/_regions/outbox?id=-{id}&after={after}", self.source_endpoint);
        let answer = self.agent.get(path).call()?;
        let status = answer.status();
        let text = answer.into_body().read_to_string()?;
        ensure!(status.is_success(), "{status}: {text}");
        Ok(serde_json::from_str(&text)?)
    }

    /// Gives lines to an emulator, which answers what became of each.
    fn hand_over(&self, endpoint: &str, lines: &[&Value]) -> Result<Vec<String>> {
        let body = serde_json::to_string(lines)?;
        let answer = self.agent.post(format!("{endpoint}/_regions/apply")).send(body)?;
        let status = answer.status();
        let text = answer.into_body().read_to_string()?;
        ensure!(status.is_success(), "{status}: {text}");
        Ok(serde_json::from_str(&text)?)
    }

    /// Carries lines over: several that are no objects, or one that is.
    fn deliver(&self, lines: &[Line]) -> Result<Vec<Outcome>> {
        if let [line] = lines
            && line.carried == Carried::Lake
        {
            return Ok(vec![self.copy(line)?]);
        }
        let raw: Vec<&Value> = lines.iter().map(|line| &line.raw).collect();
        let answers = self.hand_over(&self.target_endpoint, &raw)?;
        let outcome = |answer: String| match answer.as_str() {
            "delivered" => Outcome::Delivered,
            "overtaken" | "taken" => Outcome::Overtaken,
            _ => Outcome::Refused(answer),
        };
        Ok(answers.into_iter().map(outcome).collect())
    }

    /// Copies an object as it is now, and tells its source what became of that.
    fn copy(&self, line: &Line) -> Result<Outcome> {
        let text = |name: &str| line.raw[name].as_str().unwrap_or_default();
        let (bucket, key, account) = (text("bucket"), text("key"), text("account"));
        let place = format!("{}/{bucket}/{}", self.source_endpoint, encoded(key));
        let read = |url: &str| {
            self.agent.get(url).header("Authorization", signature(account, self.source_region, "s3")).call()
        };
        let mut found = read(&place)?;
        if found.status() == 404 {
            return Ok(Outcome::Overtaken);
        }
        ensure!(found.status().is_success(), "GET {key}: {}", found.status());
        let body = found.body_mut().with_config().limit(u64::MAX).read_to_vec()?;
        let tags = read(&format!("{place}?tagging"))?.into_body().read_to_string()?;
        let pairs = every(&tags, "Key").zip(every(&tags, "Value"));
        let tags: Vec<String> = pairs.map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect();

        let copied = format!("{} {} {}", line.at_us, text("by"), text("modified"));
        let mut put = self
            .agent
            .put(format!("{}/{}/{}", self.target_endpoint, text("to"), encoded(key)))
            .header("Authorization", signature(account, self.target_region, "s3"))
            .header("x-taught-copy", copied);
        if !tags.is_empty() {
            put = put.header("x-amz-tagging", tags.join("&"));
        }
        for (name, value) in found.headers() {
            if HEADERS.contains(&name.as_str()) || name.as_str().starts_with("x-amz-meta-") {
                put = put.header(name, value);
            }
        }
        let answer = put.send(&body)?;
        let (status, outcome) = if answer.headers().contains_key("x-taught-overtaken") {
            ("COMPLETED", Outcome::Overtaken)
        } else if answer.status().is_success() {
            ("COMPLETED", Outcome::Delivered)
        } else {
            let status = answer.status();
            ("FAILED", Outcome::Refused(format!("{status}: {}", answer.into_body().read_to_string()?)))
        };
        let mark = json!({
            "kind": "mark", "account": account, "to": self.source_region, "bucket": bucket, "key": key,
            "tag": text("tag"), "status": status,
        });
        self.hand_over(&self.source_endpoint, &[&mark])?;
        Ok(outcome)
    }
}

/// Reads the outbox for as long as the link is held.
pub(super) fn fetch(carrier: &Carrier, direction: &Direction) {
    loop {
        let (id, after) = {
            let mut desk = direction.desk();
            if desk.is_over {
                return;
            }
            if carrier.source.state() == State::Gone {
                for line in std::mem::take(&mut desk.under_way) {
                    desk.ways.entry(line.carried).or_default().told.stranded += 1;
                    desk.stranded.push(Stranded { change: line.change, at_us: line.at_us });
                }
            }
            (desk.outbox_id.clone(), desk.fetched)
        };
        if carrier.source.state() != State::Up {
            std::thread::sleep(LOOK_EVERY);
            continue;
        }
        let answer = carrier.outbox(&id, after);
        let mut desk = direction.desk();
        match answer {
            Ok(answer) => {
                let first = answer["first"].as_u64().unwrap_or_default();
                let id = answer["id"].as_str().unwrap_or_default();
                let already = if id == desk.outbox_id { after.saturating_sub(first) } else { 0 };
                let lines = answer["lines"].as_array().map(Vec::as_slice).unwrap_or_default();
                id.clone_into(&mut desk.outbox_id);
                desk.fetched = first + lines.len() as u64;
                for raw in lines.iter().skip(usize::try_from(already).unwrap_or(usize::MAX)) {
                    desk.places += 1;
                    let place = desk.places;
                    match line(place, raw) {
                        Ok(line) => desk.under_way.push(line),
                        Err(error) => desk.troubles.push(format!("{raw}: {error:#}")),
                    }
                }
                direction.wake.notify_all();
            }
            // A Region may be lost, or stopped, while it is asked.
            Err(error) if carrier.source.state() == State::Up => {
                desk.troubles.push(format!("the outbox of {}: {error:#}", carrier.source_region));
                drop(desk);
                std::thread::sleep(LOOK_EVERY);
            }
            Err(_) => {}
        }
    }
}

fn line(place: u64, raw: &Value) -> Result<Line> {
    let text = |name: &str| raw[name].as_str().map(str::to_owned).with_context(|| format!("no {name}"));
    let kind = text("kind")?;
    let (carried, change) = if kind == "object" {
        (Carried::Lake, Change::Object { bucket: text("bucket")?, key: text("key")? })
    } else {
        let table = text("table")?;
        let carried = if table.ends_with("-checkpoints") { Carried::Checkpoints } else { Carried::Results };
        let change = if kind == "table" {
            Change::Table { table }
        } else {
            let image = Some(raw["image"].clone()).filter(|image| !image.is_null());
            Change::Item { table, key: (text("pk")?, text("sk")?), image }
        };
        (carried, change)
    };
    let at_us = raw["at"].as_u64().context("no time")?;
    Ok(Line { place, carried, at_us, change, raw: raw.clone() })
}

/// Delivers what is due, for as long as the link is held.
pub(super) fn carry(carrier: &Carrier, direction: &Direction) {
    loop {
        let mut desk = direction.desk();
        if desk.is_over {
            return;
        }
        let lines = if carrier.source.state() == State::Up && carrier.target.state() == State::Up {
            due(&mut desk)
        } else {
            Vec::new()
        };
        if lines.is_empty() {
            // Something that is not due yet, or a Region that is not there.
            let waited = direction.wake.wait_timeout(desk, LOOK_EVERY);
            drop(waited);
            continue;
        }
        desk.in_hand = lines.len() as u64;
        drop(desk);
        let outcomes = carrier.deliver(&lines);
        let mut desk = direction.desk();
        desk.in_hand = 0;
        match outcomes {
            Ok(outcomes) => {
                for (line, outcome) in lines.iter().zip(outcomes) {
                    let lag = Duration::from_micros(now_us().saturating_sub(line.at_us));
                    let told = &mut desk.ways.entry(line.carried).or_default().told;
                    match outcome {
                        Outcome::Delivered => {
                            told.delivered += 1;
                            told.lag_max = told.lag_max.max(lag);
                        }
                        Outcome::Overtaken => told.overtaken += 1,
                        Outcome::Refused(why) => {
                            told.refused += 1;
                            desk.troubles.push(format!("{:?}: {why}", line.change));
                        }
                    }
                }
            }
            // It is not there any more, and may be again.
            Err(_) if carrier.source.state() != State::Up || carrier.target.state() != State::Up => {
                desk.under_way.extend(lines);
            }
            Err(error) => {
                let to = carrier.target_region;
                desk.troubles.push(format!("{:?} to {to}: {error:#}; it is tried again", lines[0].change));
                desk.under_way.extend(lines);
                drop(direction.wake.wait_timeout(desk, LOOK_EVERY));
            }
        }
    }
}

/// Takes out what is to be delivered now: in the order of their time, items together, an object alone. What is lost is taken out, too.
fn due(desk: &mut super::Desk) -> Vec<Line> {
    let now = now_us();
    let super::Desk { ways, under_way, .. } = desk;
    let due_us = |line: &Line| {
        let way = ways.get(&line.carried)?;
        let lag = u64::try_from(way.lag.as_micros()).unwrap_or(u64::MAX);
        let disorder = u64::try_from(way.disorder.as_micros()).unwrap_or(u64::MAX);
        // Each line has its own, the same at every look (Knuth, The Art of Computer Programming, volume 3, section 6.4).
        let spread = ((line.place.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) * disorder.min(1 << 31)) >> 32;
        (!way.is_paused).then(|| line.at_us.saturating_add(lag).saturating_add(spread))
    };
    let mut ready: Vec<(u64, usize)> = Vec::new();
    for (index, line) in under_way.iter().enumerate() {
        if let Some(at) = due_us(line).filter(|at| *at <= now) {
            ready.push((at, index));
        }
    }
    ready.sort_unstable();
    let is_object = |index: usize| under_way[index].carried == Carried::Lake;
    let count = match ready.first() {
        None => return Vec::new(),
        Some((_, first)) if is_object(*first) => 1,
        Some(_) => ready.iter().take_while(|(_, index)| !is_object(*index)).take(ITEMS_MAX).count(),
    };
    let mut taken: Vec<usize> = ready[..count].iter().map(|(_, index)| *index).collect();
    let order: Vec<u64> = taken.iter().map(|index| under_way[*index].place).collect();
    taken.sort_unstable();
    let mut lines: Vec<Line> = taken.into_iter().rev().map(|index| under_way.swap_remove(index)).collect();
    lines.sort_by_key(|line| order.iter().position(|place| *place == line.place));
    lines.retain(|line| {
        let Some(way) = ways.get_mut(&line.carried) else { return true };
        let is_lost = way.loses.as_ref().is_some_and(|loses| loses(&line.change));
        way.told.lost += u64::from(is_lost);
        !is_lost
    });
    lines
}

/// Of the root of an account; see [`crate::World`].
fn signature(account: &str, region: &str, service: &str) -> String {
    format!(
        "AWS4-HMAC-SHA256 Credential={account}/20260101/{region}/{service}/aws4_request, SignedHeaders=host, Signature=none"
    )
}

/// As a path or a query has it.
fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}
