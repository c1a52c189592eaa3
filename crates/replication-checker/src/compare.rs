//! Two sights of one pair, compared. Pure: nothing is asked any more.

use account::Trouble;
use anomaly_core::Timestamp;

use crate::check::{Check, Direction, Kind, Oldest, Verdict};
use crate::inventory::{self, Question, unseen};
use crate::limits::{Limits, NAMED_MAX};
use crate::look::Sight;
use crate::ports::{Copying, Looked, Sample, StreamState, Table, TableState};

/// Everything that both sides say of each other, in the order of the report.
#[must_use]
pub fn compare(here: &Sight, there: &Sight, stream: &str, limits: &Limits, now: Timestamp) -> Vec<Check> {
    let ask = |kind, subject| Question { kind, subject, here: &here.region, there: &there.region, limits, now };
    let mut checks = Vec::new();
    for (prefix, seen) in &here.days {
        if let Some(other) = there.days.get(prefix) {
            checks.extend(inventory::compare(&ask(Kind::LakeListing, prefix), seen, other));
        }
    }
    checks.extend(copying(here, &there.region, limits, now));
    checks.extend(copying(there, &here.region, limits, now));
    for table in Table::ALL {
        if let (Some(seen), Some(other)) = (here.tables.get(&table), there.tables.get(&table)) {
            checks.extend(tables(&ask(Kind::Replica, table.word()), seen, other));
        }
    }
    if let (Some(seen), Some(other)) = (&here.stream, &there.stream) {
        checks.extend(streams(&ask(Kind::Stream, stream), seen, other));
    }
    for (kind, seen) in &here.inventories {
        if let Some(other) = there.inventories.get(kind) {
            checks.extend(inventory::compare(&ask(*kind, ""), seen, other));
        }
    }
    checks
}

/// What S3 says of the objects that were asked for.
fn copying(side: &Sight, other: &str, limits: &Limits, now: Timestamp) -> Option<Check> {
    let question = |verdict, evidence| {
        Check::new(Kind::LakeStatus, "bronze/", Direction::one_way(&side.region, other), verdict, evidence)
    };
    let asked = match side.copying.as_ref()? {
        Ok(asked) => asked,
        Err(trouble) => {
            let evidence = format!("could not look at {}: {trouble}", side.region);
            return Some(question(Verdict::of_trouble(trouble), evidence));
        }
    };
    let mut worst = Verdict::Ok;
    let mut told = Vec::new();
    let mut oldest: Option<Oldest> = None;
    for Sample { key, since, copying } in asked {
        let (verdict, word) = match copying {
            // None: gone since the listing.
            None | Some(Copying::Completed | Copying::Replica) => continue,
            Some(Copying::Failed) => (Verdict::Missing, "S3 has given it up"),
            Some(Copying::Pending) => (limits.since(*since, now), "pending"),
            Some(Copying::None) => (limits.since(*since, now), "no replication rule took it"),
        };
        if verdict == Verdict::Ok {
            continue;
        }
        worst = worst.max(verdict);
        told.push(format!("{key} (since {since}): {word}"));
        if oldest.as_ref().is_none_or(|oldest| oldest.since > Some(*since)) {
            oldest = Some(Oldest { name: key.clone(), since: Some(*since) });
        }
    }
    let mut evidence =
        format!("{} of {} that were asked for are as they should be", asked.len() - told.len(), asked.len());
    for line in told.iter().take(NAMED_MAX) {
        evidence.push_str("; ");
        evidence.push_str(line);
    }
    let mut check = question(worst, evidence);
    check.oldest_missing = oldest;
    Some(check)
}

/// Both answers, or a check for each that there is none of.
fn both<'a, T>(
    question: &Question<'_>,
    here: &'a Looked<Option<T>>,
    there: &'a Looked<Option<T>>,
) -> Result<(&'a T, &'a T), Vec<Check>> {
    let trouble = |looked: &'a Looked<Option<T>>| -> Option<&'a Trouble> { looked.as_ref().err() };
    let failed = unseen(question, trouble(here), trouble(there));
    if !failed.is_empty() {
        return Err(failed);
    }
    match (here.as_ref().ok().and_then(Option::as_ref), there.as_ref().ok().and_then(Option::as_ref)) {
        (Some(here), Some(there)) => Ok((here, there)),
        (left, right) => {
            let gone =
                [(left.is_none(), question.there, question.here), (right.is_none(), question.here, question.there)];
            let gone = gone.into_iter().filter(|(is_gone, ..)| *is_gone);
            Err(gone.map(|(_, from, to)| one_way(question, from, to, Verdict::Missing, "there is none")).collect())
        }
    }
}

fn one_way(question: &Question<'_>, from: &str, to: &str, verdict: Verdict, evidence: impl Into<String>) -> Check {
    let direction = Direction::one_way(from, to);
    let mut check = Check::new(question.kind, question.subject, direction, verdict, evidence);
    if verdict == Verdict::Missing {
        check.oldest_missing = Some(Oldest { name: question.subject.to_owned(), since: None });
    }
    check
}

/// Each side must have the other as a replica that follows.
fn tables(
    question: &Question<'_>,
    here: &Looked<Option<TableState>>,
    there: &Looked<Option<TableState>>,
) -> Vec<Check> {
    let (left, right) = match both(question, here, there) {
        Ok(both) => both,
        Err(checks) => return checks,
    };
    let (own, other) = (question.here, question.there);
    let told = |state: &TableState, from: &str, to: &str| {
        let (verdict, evidence) = match state.replicas.get(to).map(String::as_str) {
            None => (Verdict::Missing, format!("the table of {from} has no replica in {to}")),
            // Some describe the replica without its status.
            Some("ACTIVE" | "UPDATING" | "") => (Verdict::Ok, format!("the replica in {to} follows")),
            Some("CREATING") => (Verdict::Late, format!("the replica in {to} is still being made")),
            Some(status) => (Verdict::Missing, format!("the replica in {to} is {status}")),
        };
        let (verdict, evidence) = match state.status.as_str() {
            "ACTIVE" | "UPDATING" | "" => (verdict, evidence),
            status => (verdict.max(Verdict::Drifted), format!("the table of {from} is {status}; {evidence}")),
        };
        one_way(question, from, to, verdict, evidence)
    };
    vec![told(left, own, other), told(right, other, own)]
}

/// Both must take records, and be of one size.
fn streams(
    question: &Question<'_>,
    here: &Looked<Option<StreamState>>,
    there: &Looked<Option<StreamState>>,
) -> Vec<Check> {
    let (left, right) = match both(question, here, there) {
        Ok(both) => both,
        Err(checks) => return checks,
    };
    let (own, other) = (question.here, question.there);
    let mut checks = Vec::new();
    for (state, from, to) in [(left, other, own), (right, own, other)] {
        match state.status.as_str() {
            // While it is resharded it takes records.
            "ACTIVE" | "UPDATING" => {}
            "CREATING" => checks.push(one_way(question, from, to, Verdict::Late, "the stream is still being made")),
            status => checks.push(one_way(question, from, to, Verdict::Missing, format!("the stream is {status}"))),
        }
    }
    let on_demand = left.mode == "ON_DEMAND" && right.mode == "ON_DEMAND";
    let shards = |state: &StreamState| if on_demand { "as needed".to_owned() } else { state.open_shards.to_string() };
    let differences: Vec<String> = [
        ("mode", left.mode.clone(), right.mode.clone()),
        ("open shards", shards(left), shards(right)),
        ("retention in hours", left.retention_hours.to_string(), right.retention_hours.to_string()),
        ("encryption", left.encryption.clone(), right.encryption.clone()),
    ]
    .into_iter()
    .filter(|(_, a, b)| a != b)
    .map(|(what, a, b)| format!("{what}: {own} has {a}, {other} has {b}"))
    .collect();
    let mutual = Direction::mutual(own, other);
    if !differences.is_empty() {
        let evidence = differences.join("; ");
        checks.push(Check::new(question.kind, question.subject, mutual, Verdict::Drifted, evidence));
    } else if checks.is_empty() {
        let evidence = format!("both take records, {} open shards, {} hours", shards(left), left.retention_hours);
        checks.push(Check::new(question.kind, question.subject, mutual, Verdict::Ok, evidence));
    }
    checks
}
