//! Objects of the lake, one after the other, each record once.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};

use anomaly_core::TenantName;

use super::error::{HistoryError, Problem};
use super::{Defaults, Form, HistoryRow, HistoryValue, Pool};
use crate::bronze::{BronzeReader, LakeError};
use crate::payload::{Context, Decoder, Message};
use crate::sequence::SequenceNumber;
use crate::silver::SilverReader;
use crate::sparkplug::Births;

/// Largest object, in bytes.
pub(super) const OBJECT_BYTES_MAX: u64 = 512 << 20;

/// Most that an object may unpack to, in bytes.
const UNPACKED_BYTES_MAX: usize = 2 << 30;

/// What begins a zstd frame (RFC 8878, section 3.1.1).
const ZSTD_MAGIC: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

/// Rows of a lake's objects.
pub(super) struct LakeRows {
    folder: PathBuf,
    form: Form,
    /// Objects that are still to be read, the last one first.
    objects: Vec<PathBuf>,
    shards: BTreeMap<PathBuf, Shard>,
    tenant: String,
    decoder: Decoder,
    pool: Pool,
    refused: u64,
    ready: VecDeque<HistoryRow>,
}

/// What was read of one shard.
#[derive(Debug, Default)]
struct Shard {
    last: Option<SequenceNumber>,
    births: Births,
}

impl std::fmt::Debug for LakeRows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LakeRows").field("folder", &self.folder).field("form", &self.form).finish_non_exhaustive()
    }
}

impl LakeRows {
    /// `objects` in the order in which they are to be read.
    pub(super) fn new(folder: &Path, form: Form, mut objects: Vec<PathBuf>, defaults: &Defaults<'_>) -> Self {
        objects.reverse();
        Self {
            folder: folder.to_owned(),
            form,
            objects,
            shards: BTreeMap::new(),
            tenant: defaults.tenant.as_str().to_owned(),
            decoder: Decoder::new(),
            pool: Pool::default(),
            refused: 0,
            ready: VecDeque::new(),
        }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn form(&self) -> Form {
        self.form
    }

    pub(super) fn refused(&self) -> u64 {
        self.refused
    }

    /// The next row; none after the last.
    pub(super) fn next(&mut self) -> Result<Option<HistoryRow>, HistoryError> {
        while self.ready.is_empty() {
            let Some(object) = self.objects.pop() else { return Ok(None) };
            let bytes = read_bounded(&object)?;
            let read = match self.form {
                Form::Silver => self.silver(&object, bytes),
                _ => self.bronze(&object, bytes),
            };
            read.map_err(|error| HistoryError::of(&object, error.into()))?;
        }
        Ok(self.ready.pop_front())
    }

    fn bronze(&mut self, object: &Path, bytes: Vec<u8>) -> Result<(), LakeError> {
        let reader = if bytes.starts_with(ZSTD_MAGIC) {
            BronzeReader::new(&bytes, UNPACKED_BYTES_MAX)?
        } else {
            BronzeReader::from_text(bytes)
        };
        let shard = self.shards.entry(shard(object)).or_default();
        let Ok(default_tenant) = TenantName::new(&self.tenant) else { return Ok(()) };
        let (pool, ready, refused) = (&mut self.pool, &mut self.ready, &mut self.refused);
        for record in reader.records() {
            let record = record?;
            if shard.last.is_some_and(|last| record.seq <= last) {
                continue;
            }
            shard.last = Some(record.seq);
            let partition_key = &*record.partition_key;
            let context = Context { stream_tenant: None, default_tenant, arrived: record.arrived, partition_key };
            self.decoder.decode(&record.data, &context, &mut shard.births, &mut |message: Message<'_>| match message
                .result
            {
                Ok(observations) => ready.extend(observations.iter().map(|observation| pool.row(observation))),
                Err(_) => *refused += 1,
            });
        }
        Ok(())
    }

    fn silver(&mut self, object: &Path, bytes: Vec<u8>) -> Result<(), LakeError> {
        let reader = SilverReader::new(bytes, UNPACKED_BYTES_MAX)?;
        let shard = self.shards.entry(shard(object)).or_default();
        let before = shard.last;
        let mut open = None;
        for row in reader.rows().filter(|row| before.is_none_or(|last| row.seq > last)) {
            shard.last = shard.last.max(Some(row.seq));
            let of = (row.seq, row.sub, row.at, row.tenant, row.device);
            if open != Some(of) {
                open = Some(of);
                self.ready.push_back(HistoryRow {
                    tenant: self.pool.get(row.tenant),
                    device: self.pool.get(row.device),
                    at: row.at,
                    arrived: row.arrived,
                    values: Vec::new(),
                    number: 0,
                });
            }
            let value = Some(row.value).filter(|value| value.is_finite());
            let value = HistoryValue { metric: self.pool.get(row.metric), value, quality: row.quality };
            if let Some(row) = self.ready.back_mut() {
                row.values.push(value);
            }
        }
        Ok(())
    }
}

/// The folder of the object without its partition (`dt=…/hour=…`): an object lies in the folder of its shard.
fn shard(object: &Path) -> PathBuf {
    let folder = object.parent().unwrap_or(object);
    folder.components().filter(|part| !part.as_os_str().to_string_lossy().contains('=')).collect()
}

fn read_bounded(object: &Path) -> Result<Vec<u8>, HistoryError> {
    let io = |error: std::io::Error| HistoryError::of(object, error.into());
    let bytes = fs::metadata(object).map_err(io)?.len();
    if bytes > OBJECT_BYTES_MAX {
        return Err(HistoryError::of(object, Problem::TooLarge { bytes, bytes_max: OBJECT_BYTES_MAX }));
    }
    fs::read(object).map_err(io)
}
