//! One payload a line, read as a record of the stream would be.
//!
//! Two things are added for recordings. A payload that names no device is of the default one. And a time without a zone,
//! which a device must not send because nobody knows where it stands, is UTC.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use anomaly_core::{TenantName, Timestamp};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::error::{HistoryError, Problem};
use super::{Defaults, HistoryRow, Pool, time};
use crate::payload::{Context, Decoder, Message};
use crate::poison::{Poison, PoisonReason, RECORD_BYTES_MAX};
use crate::sparkplug::Births;

/// Longest line, with its end.
const LINE_BYTES_MAX: usize = RECORD_BYTES_MAX + 2;

/// The arrival of what has no arrival: before any time that a recording can have. Times up to 2²⁸ seconds after it are
/// relative ones (RFC 8428, section 4.5.3).
const NEVER: Timestamp = Timestamp::MIN;
const RELATIVE_MS: i64 = 1000 << 28;

/// Rows of an NDJSON file.
pub(super) struct NdjsonRows {
    file: PathBuf,
    input: BufReader<File>,
    line: Vec<u8>,
    number: u64,
    tenant: String,
    /// A topic that names the default device.
    topic: String,
    decoder: Decoder,
    births: Births,
    pool: Pool,
    ready: VecDeque<HistoryRow>,
}

impl std::fmt::Debug for NdjsonRows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NdjsonRows").field("file", &self.file).field("number", &self.number).finish_non_exhaustive()
    }
}

impl NdjsonRows {
    pub(super) fn open(file: &Path, input: BufReader<File>, defaults: &Defaults<'_>) -> Self {
        Self {
            file: file.to_owned(),
            input,
            line: Vec::new(),
            number: 0,
            tenant: defaults.tenant.as_str().to_owned(),
            topic: format!("tenants/{}/devices/{}/telemetry", defaults.tenant, defaults.device),
            decoder: Decoder::new(),
            births: Births::default(),
            pool: Pool::default(),
            ready: VecDeque::new(),
        }
    }

    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    /// The next row; none after the last.
    pub(super) fn next(&mut self) -> Result<Option<HistoryRow>, HistoryError> {
        while self.ready.is_empty() {
            if !self.read()? {
                return Ok(None);
            }
            if !self.line.trim_ascii().is_empty() {
                self.take_line().map_err(|problem| HistoryError::line(&self.file, self.number, problem))?;
            }
        }
        Ok(self.ready.pop_front())
    }

    /// Reads a line; false after the last.
    fn read(&mut self) -> Result<bool, HistoryError> {
        self.line.clear();
        self.number += 1;
        let mut bounded = self.input.by_ref().take(LINE_BYTES_MAX as u64 + 1);
        let read = bounded.read_until(b'\n', &mut self.line);
        read.map_err(|error| HistoryError::line(&self.file, self.number, error.into()))?;
        if self.line.len() > LINE_BYTES_MAX {
            let problem = Problem::LineTooLong { bytes_max: LINE_BYTES_MAX };
            return Err(HistoryError::line(&self.file, self.number, problem));
        }
        Ok(!self.line.is_empty())
    }

    fn take_line(&mut self) -> Result<(), Problem> {
        let line = std::mem::take(&mut self.line);
        let taken = self.take(line.trim_ascii());
        self.line = line;
        taken.map_err(Problem::Payload)?;
        let no_time = self.ready.iter().any(|row| row.at.millis() - NEVER.millis() < RELATIVE_MS);
        if no_time { Err(Problem::NoTime) } else { Ok(()) }
    }

    /// Takes a payload as it is, and where it is refused for lack of a device or a zone, once more with each.
    fn take(&mut self, line: &[u8]) -> Result<(), Poison> {
        let mut of_default_device = false;
        let mut zoned = None;
        loop {
            let payload = zoned.as_deref().unwrap_or(line);
            let Err(poison) = self.decode(payload, of_default_device) else { return Ok(()) };
            match poison.reason() {
                PoisonReason::NoDevice if !of_default_device => of_default_device = true,
                PoisonReason::TimeImpossible if zoned.is_none() => {
                    zoned = Some(with_millis(line).ok_or(poison)?);
                }
                _ => return Err(poison),
            }
        }
    }

    /// Adds the rows of a payload to those that are ready.
    fn decode(&mut self, line: &[u8], of_default_device: bool) -> Result<(), Poison> {
        let partition_key = if of_default_device { self.topic.as_str() } else { "" };
        let Ok(default_tenant) = TenantName::new(&self.tenant) else { return Ok(()) };
        let context = Context { stream_tenant: None, default_tenant, arrived: NEVER, partition_key };
        let mut poison = None;
        let (pool, ready) = (&mut self.pool, &mut self.ready);
        self.decoder.decode(line, &context, &mut self.births, &mut |message: Message<'_>| match message.result {
            Ok(observations) => {
                for observation in observations {
                    let mut row = pool.row(observation);
                    row.arrived = row.at;
                    ready.push_back(row);
                }
            }
            Err(found) => poison = poison.take().or(Some(found)),
        });
        poison.map_or(Ok(()), Err)
    }
}

/// The keys of a time, in the order in which a payload's are preferred.
#[derive(Deserialize)]
struct Times<'l> {
    #[serde(borrow)]
    timestamp: Option<&'l RawValue>,
    #[serde(borrow)]
    time: Option<&'l RawValue>,
    #[serde(borrow)]
    ts: Option<&'l RawValue>,
}

/// The payload with its time as milliseconds, if it is a text that a recording may have.
fn with_millis(line: &[u8]) -> Option<Vec<u8>> {
    let times: Times<'_> = serde_json::from_slice(line).ok()?;
    let raw = times.timestamp.or(times.time).or(times.ts)?.get();
    let at = time::parse_time(&serde_json::from_str::<String>(raw).ok()?)?;
    // A raw value is a part of the line, so the distance of their beginnings is its place.
    let place = (raw.as_ptr() as usize).checked_sub(line.as_ptr() as usize)?;
    let (before, after) = (line.get(..place)?, line.get(place + raw.len()..)?);
    Some([before, at.millis().to_string().as_bytes(), after].concat())
}
