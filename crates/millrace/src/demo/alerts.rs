//! The demo's incidents: the fan-out beside the scorer, in the plant's time.
//!
//! What the scorer commits is played minute by minute, as far as every shard has come; in between the clock jumps to what is
//! due next. How far it has come is kept in the store. A demo that was killed plays what it had not noted as played again,
//! which changes nothing: every anomaly has its witness, and every message its delivery. Nothing is sent to anybody.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use alert_fanout::channel::{Receipt, SendError};
use alert_fanout::config::Config;
use alert_fanout::dispatch::Dispatch;
use alert_fanout::fanout::Fanout;
use alert_fanout::message::Message;
use alert_fanout::place;
use alert_fanout::tenants::profile_key;
use anomaly_core::Timestamp;
use anomaly_core::incident::ChannelSettings;
use anyhow::Context as _;
use indicatif::ProgressBar;
use platform::embedded::Local;
use platform::model::{Change, Entry, EntryChange, EntryKey, Image};
use platform::ports::{
    ChangeEntries as _, FindDue as _, ForgetChanges as _, GetDeviceState as _, LoadCheckpoint as _, LoadEntry as _,
    PutError, PutIfAbsent as _, ReadChanges as _, StoreError,
};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use super::TENANT;
use super::as_of::AsOf;
use super::feed::{TRAVEL_MS, shards};
use crate::ui::say;

/// The demo's profile, where there is none.
const PROFILE: &str = "\
# What people are told of this plant. The demo sends nothing, whatever channels are here: `millrace alerts list` shows what
# would have been told, `millrace alerts test-channel console` sends.
[channels.console]
type = \"console\"

[[alerts.routes]]
channels = [\"console\"]
";
const MINUTE_MS: i64 = 60_000;
/// Changes that are read at a time.
const PAGE: usize = 1_000;
/// Changes that are kept before those that are done with are forgotten.
const FORGET_EVERY: u64 = 5_000;
/// Tries at something that may pass, and the pause between them.
const ATTEMPTS_MAX: u32 = 8;
const PAUSE: Duration = Duration::from_millis(50);
/// Nobody limits how long the demo may send.
const TIME: Duration = Duration::from_hours(1);

/// How the feed tells that there is something to follow. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Wake(Arc<Waking>);

#[derive(Debug, Default)]
struct Waking {
    committed: Notify,
    is_over: AtomicBool,
}

impl Wake {
    /// A batch is committed.
    pub(super) fn committed(&self) {
        self.0.committed.notify_one();
    }

    /// The last one was.
    pub(super) fn over(&self) {
        self.0.is_over.store(true, Ordering::Release);
        self.0.committed.notify_one();
    }
}

/// Takes every message over, and shows it to those who want to see everything.
pub(super) struct Shown {
    /// `None`: nobody does.
    pub(super) above: Option<ProgressBar>,
}

impl Dispatch for Shown {
    async fn dispatch(&self, _: &str, _: &str, _: &ChannelSettings, message: &Message) -> Result<Receipt, SendError> {
        if let Some(bar) = &self.above {
            bar.suspend(|| say(message.one_line()));
        }
        Ok(Receipt::default())
    }
}

/// How far it has come, as it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Position {
    /// Everything up to this number is played.
    through: u64,
    /// The plant's time, milliseconds.
    clock: i64,
}

/// What follows.
pub(super) struct Alerts {
    local: Local,
    world: AsOf,
    fanout: Fanout<AsOf, Shown>,
    /// By time and number: what was read and is not played.
    waiting: BTreeMap<(i64, u64), Change>,
    read: u64,
    clock: i64,
    /// When something is due next.
    due: Option<i64>,
    kept: (Position, Option<u64>),
    forgotten: u64,
    /// The end of the plant, as its messages arrive.
    end: i64,
}

impl Alerts {
    /// Opens them before anything is fed.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn open(
        local: &Local,
        devices: impl Iterator<Item = String>,
        end: i64,
        shown: Shown,
    ) -> anyhow::Result<Self> {
        match local.put_if_absent(&profile_key(TENANT)?, PROFILE.as_bytes()).await {
            // Whoever has written another one wants another one.
            Ok(_) | Err(PutError::Conflict(_)) => {}
            Err(error) => return Err(error).context("the demo's profile cannot be stored"),
        }
        let world = AsOf::new(local.clone());
        for device in devices {
            world.begin(&device, local.device_state(TENANT, &device).await?);
        }
        let stored = local.load_entry(&position_key()).await?;
        let version = stored.as_ref().map(|entry| entry.version);
        let position: Position = match stored {
            Some(entry) => serde_json::from_value(entry.body).with_context(|| {
                format!("`{}` is damaged: restore the folder, or use another one with --dir", position_key())
            })?,
            None => Position::default(),
        };
        let fanout = Fanout::new(world.clone(), shown, Config::local(&local.dir().to_string_lossy()));
        let mut alerts = Self {
            local: local.clone(),
            world,
            fanout,
            waiting: BTreeMap::new(),
            read: position.through,
            clock: position.clock,
            due: None,
            kept: (position, version),
            forgotten: position.through,
            end,
        };
        alerts.read_what_was_left().await?;
        alerts.due = alerts.next_due().await?;
        Ok(alerts)
    }

    /// Follows until it is over.
    ///
    /// # Errors
    /// The store's, when it does not pass.
    pub(super) async fn follow(mut self, wake: Wake) -> anyhow::Result<()> {
        loop {
            wake.0.committed.notified().await;
            let is_over = wake.0.is_over.load(Ordering::Acquire);
            // What is committed up to here is read below.
            let until = if is_over { i64::MAX } else { self.watermark().await? };
            while self.read_more().await? {}
            self.play(until).await?;
            if is_over {
                self.clock = self.clock.max(self.end);
            }
            self.note(is_over).await?;
            if is_over {
                return Ok(());
            }
        }
    }

    /// The end of the last minute that every shard has passed.
    async fn watermark(&self) -> Result<i64, StoreError> {
        let mut reached = i64::MAX;
        for shard in shards() {
            let checkpoint = self.local.load_checkpoint(&shard).await?;
            reached = reached.min(checkpoint.map_or(0, |checkpoint| checkpoint.stream_time.millis()));
        }
        Ok(reached.div_euclid(MINUTE_MS) * MINUTE_MS - 1)
    }

    /// What a killed run has committed and not played. Devices are as they were before it.
    async fn read_what_was_left(&mut self) -> Result<(), StoreError> {
        while self.read_more().await? {}
        let mut states: Vec<(u64, &Change)> =
            self.waiting.iter().map(|((_, number), change)| (*number, change)).collect();
        states.sort_unstable_by_key(|(number, _)| std::cmp::Reverse(*number));
        for (_, change) in states {
            if let Some(Image::State(state)) = &change.new {
                let before = if let Some(Image::State(before)) = &change.old { Some(before.clone()) } else { None };
                self.world.begin(&state.device, before);
            }
        }
        Ok(())
    }

    /// Reads a page. Whether there may be more.
    async fn read_more(&mut self) -> Result<bool, StoreError> {
        let page = self.local.read_changes(self.read, PAGE).await?;
        let is_full = page.len() == PAGE;
        for change in page {
            self.read = change.number;
            let at = match (&change.change.old, &change.change.new) {
                (None, Some(Image::Anomaly(found))) => found.detected_at.millis(),
                (_, Some(Image::State(state))) => {
                    self.world.expect(state);
                    state.since.millis() + TRAVEL_MS
                }
                // What follows from these.
                _ => continue,
            };
            self.waiting.insert((at, change.number), change.change);
        }
        Ok(is_full)
    }

    /// Plays everything up to a time of the plant; what is due, up to its end.
    async fn play(&mut self, until: i64) -> Result<(), StoreError> {
        loop {
            let found = self.waiting.first_key_value().map(|((at, _), _)| (*at).max(self.clock));
            // What is due still after it was looked at is looked at again in the next minute.
            let due = self.due.map(|due| due.max(self.clock + MINUTE_MS)).filter(|due| *due <= self.end);
            let Some(next) = found.into_iter().chain(due).min().filter(|next| *next <= until) else { return Ok(()) };
            let minute = next.div_euclid(MINUTE_MS) * MINUTE_MS + MINUTE_MS - 1;
            let mut changes = Vec::new();
            self.clock = next;
            while let Some(first) = self.waiting.first_entry().filter(|first| first.key().0 <= minute) {
                self.clock = self.clock.max(first.key().0);
                changes.push(first.remove());
            }
            let now = Timestamp::from_millis(self.clock).unwrap_or(Timestamp::MIN);
            if !changes.is_empty() {
                self.take(&changes, now).await?;
            }
            if self.due.is_some_and(|due| due <= self.clock) {
                again(|| async { self.fanout.tick(now, &|| TIME).await.map(drop) }).await?;
            }
            self.due = self.next_due().await?;
        }
    }

    async fn take(&mut self, changes: &[Change], now: Timestamp) -> Result<(), StoreError> {
        for change in changes {
            if let Some(Image::State(state)) = &change.new {
                self.world.play(&state.device);
            }
        }
        again(|| async {
            let outcome = self.fanout.take(changes, now, &|| TIME).await?;
            outcome.failed.into_iter().next().map_or(Ok(()), |(_, error)| Err(error))
        })
        .await
    }

    async fn next_due(&self) -> Result<Option<i64>, StoreError> {
        let due = self.local.find_due(&place::queue(TENANT), Timestamp::MAX, 1).await?;
        Ok(due.into_iter().next().and_then(|entry| entry.due).map(|due| due.at.millis()))
    }

    /// Keeps how far it has come.
    async fn note(&mut self, is_over: bool) -> anyhow::Result<()> {
        let first = self.waiting.keys().map(|(_, number)| *number).min();
        let position = Position { through: first.map_or(self.read, |first| first - 1), clock: self.clock };
        let (kept, version) = self.kept;
        // Where nothing was played, what has come are changes that follow from others.
        if position.clock != kept.clock || is_over {
            let entry = Entry {
                key: position_key(),
                version: version.unwrap_or(0) + 1,
                due: None,
                day: None,
                expires_at: None,
                body: serde_json::to_value(position)?,
            };
            self.local.change_entries(&[EntryChange { entry: &entry, expected: version }]).await?;
            self.kept = (position, Some(entry.version));
        }
        if is_over || position.through >= self.forgotten + FORGET_EVERY {
            self.local.forget_changes(self.kept.0.through).await?;
            self.forgotten = position.through;
        }
        Ok(())
    }
}

/// Where it is kept how far the incidents of the demo have come. No tenant's name begins with `#`.
fn position_key() -> EntryKey {
    EntryKey::new("#alerts", "demo")
}

/// The plant's time in a folder that a demo made; `None` in any other.
///
/// # Errors
/// The store's.
pub(crate) async fn plant_time(local: &Local) -> Result<Option<Timestamp>, StoreError> {
    let position = local.load_entry(&position_key()).await?;
    let position = position.and_then(|entry| serde_json::from_value::<Position>(entry.body).ok());
    Ok(position.and_then(|position| Timestamp::from_millis(position.clock).ok()))
}

/// Does something until it does not fail with what may pass.
async fn again<F: Future<Output = Result<(), StoreError>>>(mut attempt: impl FnMut() -> F) -> Result<(), StoreError> {
    for _ in 1..ATTEMPTS_MAX {
        match attempt().await {
            Err(error) if error.is_transient() => tokio::time::sleep(PAUSE).await,
            done => return done,
        }
    }
    attempt().await
}
