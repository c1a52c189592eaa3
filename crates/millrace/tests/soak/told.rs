//! Whether the incidents of a folder and what was told of them are whole: every anomaly in one incident, once, and every
//! incident told as open and as over in turn.
//!
//! Which incidents there are depends on where batches were cut, because a batch tells the last state of a device alone; that
//! nothing is lost or told twice does not.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use rusqlite::Connection;
use serde_json::Value;

/// What a folder has of it.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// Anomalies that are in an incident.
    witnessed: BTreeSet<String>,
    /// How many anomalies the incidents count.
    counted: u64,
    /// Incident → its notices that went over a channel, in order.
    courses: BTreeMap<String, Vec<(u64, String)>>,
    /// Deliveries that are not sent, and when they are due.
    unsent: Vec<(String, Option<i64>)>,
    /// Up to here the plant's time was played, milliseconds.
    clock: i64,
}

impl Told {
    pub(crate) fn read(tables: &Connection) -> Result<Self> {
        let mut told = Self::default();
        let mut select = tables.prepare("SELECT sk, body, due FROM entries ORDER BY pk, sk")?;
        let entries =
            select.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get(2)?)))?;
        for entry in entries {
            let (key, entry, due) = entry?;
            let entry: Value = serde_json::from_str(&entry)?;
            let body = &entry["body"];
            match key.split('#').next() {
                Some("W") => {
                    told.witnessed.insert(key.trim_start_matches("W#").to_owned());
                }
                Some("I") => told.counted += body["anomalies"].as_u64().unwrap_or(0),
                Some("D") => {
                    let message = &body["message"];
                    let incident = message["incident"].as_str().unwrap_or_default().to_owned();
                    let what = message["news"]["incident"][0].as_str().unwrap_or("digest").to_owned();
                    told.courses.entry(incident).or_default().push((message["notice"].as_u64().unwrap_or(0), what));
                    if body["state"]["state"] != "sent" {
                        told.unsent.push((key, due));
                    }
                }
                Some("demo") => told.clock = body["clock"].as_i64().unwrap_or(0),
                _ => {}
            }
        }
        Ok(told)
    }

    /// What is wrong wherever a run was killed.
    pub(crate) fn differences_so_far(&self) -> Vec<String> {
        let mut found = Vec::new();
        if self.counted != self.witnessed.len() as u64 {
            found.push(format!("incidents count {} anomalies, {} are in one", self.counted, self.witnessed.len()));
        }
        for (incident, course) in &self.courses {
            let numbers: BTreeSet<u64> = course.iter().map(|(number, _)| *number).collect();
            // What comes and goes is told in other words.
            let is_plain = course.iter().all(|(_, what)| !matches!(what.as_str(), "flapping" | "steady"));
            let turns: Vec<&str> = course
                .iter()
                .map(|(_, what)| what.as_str())
                .filter(|what| matches!(*what, "opened" | "resolved"))
                .collect();
            let is_doubled = is_plain && turns.windows(2).any(|pair| pair[0] == pair[1]);
            if numbers.len() < course.len() || is_doubled {
                found.push(format!("incident {incident} was told twice: {course:?}"));
            }
        }
        found
    }

    /// What is wrong after a run has ended that found these anomalies.
    pub(crate) fn differences<'a>(&self, anomalies: impl Iterator<Item = &'a str>) -> Vec<String> {
        let mut found = self.differences_so_far();
        let anomalies: BTreeSet<&str> = anomalies.collect();
        let lost = anomalies.iter().find(|anomaly| !self.witnessed.contains(**anomaly));
        found.extend(lost.map(|anomaly| format!("anomaly {anomaly} is in no incident")));
        let strange = self.witnessed.iter().find(|anomaly| !anomalies.contains(anomaly.as_str()));
        found.extend(strange.map(|anomaly| format!("an incident has the anomaly {anomaly}, which is not there")));
        // One whose sender was killed in the last minutes of the plant waits for its claim to run out.
        let late = self.unsent.iter().find(|(_, due)| due.is_none_or(|due| due <= self.clock));
        found.extend(late.map(|(delivery, _)| format!("{delivery} was not sent")));
        found
    }
}
