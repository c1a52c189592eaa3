//! A plant under way: what `millrace simulate` makes of healthy machines, sent in real time as devices send it, with one machine
//! after the other running hot for a minute of plant time; and what is known of every reading.
//!
//! Devices publish to both Regions, or to the one that they were told, and keep what a Region did not take until it does. Those that
//! publish to one keep the last minute of what was taken as well, and send once more what the word of a move asks for.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::PutRecordsRequestEntry;
use serde_json::Value;

use crate::device::Device;
use crate::identity::Identity;
use crate::pair::Side;
use crate::twins::Twins;
use crate::world::World;

/// Between two rounds, in each of which every device sends one reading.
const ROUND: Duration = Duration::from_millis(200);
/// Plant time of a round, milliseconds.
const ROUND_MS: i64 = 10_000;
/// How long a machine runs hot, in rounds.
const HOT_ROUNDS: usize = 6;
/// The first machine that does, and how many rounds later each next one.
const HOT_FROM: usize = 70;
const HOT_EVERY: usize = 4;
/// Temperature of a machine that runs hot, °C: above the built-in limit of 80.
const HOT: f64 = 95.0;
/// Longest wait for a stream's answer. A Region that is frozen gives none.
const ANSWER: Duration = Duration::from_millis(400);
/// Between two tries of a device to connect.
const RECONNECT: Duration = Duration::from_millis(200);
/// How long devices look for a Region that takes what they have kept, when they have nothing more to say.
const FOUND_WITHIN: Duration = Duration::from_mins(1);
/// How long devices keep what was taken, in case that a Region is lost with it.
const KEPT_FOR_MS: i64 = 60_000;
/// How long a Region that gave no answer is not asked.
const REST: Duration = Duration::from_secs(2);

/// A reading: device and time.
pub type Reading = (String, i64);

/// To whom devices publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Publishing {
    /// To both Regions.
    Both,
    /// To the one that they were told, the primary at first.
    Told,
}

/// What is known so far.
#[derive(Debug, Default, Clone)]
pub struct Ledger {
    /// Readings that each Region has taken, and when.
    pub taken: [BTreeMap<Reading, Instant>; 2],
    /// Devices that ran hot, and since when.
    pub hot: BTreeMap<String, Instant>,
    /// Readings that are to be taken yet, for each Region that is to.
    pub kept: usize,
    /// Readings that were sent once more after a move.
    pub resent: usize,
    /// When devices were told of a Region, in order.
    pub told: Vec<(Side, Instant)>,
}

/// The plant.
pub struct Load {
    shared: Arc<Shared>,
    sender: Option<JoinHandle<Result<()>>>,
}

struct Shared {
    ledger: Mutex<Ledger>,
    is_over: AtomicBool,
    current: AtomicUsize,
    /// From when on devices are to send once more what they have sent, milliseconds since 1970.
    resend_from: Mutex<Option<i64>>,
}

impl Shared {
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Clone)]
struct Record {
    reading: Reading,
    payload: Vec<u8>,
    /// When it was sent, by the clock of its device, milliseconds since 1970; 0 before.
    sent_ms: i64,
}

impl Load {
    /// Begins to send: so many rounds of so many devices of a tenant, fewer if it is stopped before.
    ///
    /// # Errors
    /// The plant cannot be made, or a thread not started.
    pub fn begin(twins: &Twins, tenant: &str, devices: usize, rounds: usize, publishing: Publishing) -> Result<Self> {
        let cli =
            twins.world(Side::Primary).cli.clone().context("MILLRACE_TEST_CLI is not set; run `cargo xtask e2e`")?;
        let plant = plant(&cli, tenant, devices, rounds)?;
        let shared = Arc::new(Shared {
            ledger: Mutex::default(),
            is_over: AtomicBool::new(false),
            current: AtomicUsize::new(0),
            resend_from: Mutex::default(),
        });
        if publishing == Publishing::Told {
            for side in Side::BOTH {
                listen(twins, side, tenant, &shared)?;
            }
        }
        let worlds = Side::BOTH.map(|side| twins.world(side).clone());
        let (stream, of_thread) = (twins.named("telemetry"), Arc::clone(&shared));
        let sender = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(send(plant, &worlds, &stream, publishing, &of_thread))
        });
        Ok(Self { shared, sender: Some(sender) })
    }

    /// What is known now.
    #[must_use]
    pub fn ledger(&self) -> Ledger {
        self.shared.ledger().clone()
    }

    /// Waits until everything was sent and taken.
    ///
    /// # Errors
    /// A record was refused, or the sender panicked.
    pub fn finish(mut self) -> Result<Ledger> {
        let sender = self.sender.take().context("it was begun")?;
        sender.join().map_err(|_| anyhow::anyhow!("the sender panicked"))??;
        self.shared.is_over.store(true, Ordering::SeqCst);
        Ok(self.ledger())
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::SeqCst);
    }
}

/// Rounds of readings, the last of which is of about now.
fn plant(cli: &Path, tenant: &str, devices: usize, rounds: usize) -> Result<Vec<Vec<Record>>> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("plant.ndjson");
    let hours = rounds as i64 * ROUND_MS / 3_600_000 + 1;
    let made = std::process::Command::new(cli)
        .args(["simulate", "--quiet", "--faults-per-week", "0", "--poison-per-million", "0", "--cadence", "10s"])
        .args(["--tenant", tenant, "--devices", &devices.to_string(), "--hours", &hours.to_string(), "--out"])
        .arg(&file)
        .output()
        .context("the simulator does not run")?;
    ensure!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let text = std::fs::read_to_string(&file).context("the simulator wrote nothing")?;
    let begin_ms = now_ms() - rounds as i64 * ROUND_MS;
    let mut sent: BTreeMap<String, usize> = BTreeMap::new();
    let mut plant: Vec<Vec<Record>> = (0..rounds).map(|_| Vec::with_capacity(devices)).collect();
    for line in text.lines() {
        let mut payload: Value = serde_json::from_str(line).with_context(|| format!("no JSON: {line}"))?;
        let device =
            payload["topic"].as_str().and_then(|topic| topic.split('/').nth(3)).context("no topic")?.to_owned();
        let count = sent.entry(device.clone()).or_insert(0);
        let round = *count;
        *count += 1;
        if round >= rounds {
            continue;
        }
        let at = begin_ms + round as i64 * ROUND_MS;
        payload["ts"] = at.into();
        plant[round].push(Record { reading: (device, at), payload: serde_json::to_vec(&payload)?, sent_ms: 0 });
    }
    let names: BTreeSet<String> = sent.into_keys().collect();
    let turns: BTreeMap<String, usize> = names.into_iter().enumerate().map(|(turn, name)| (name, turn)).collect();
    for (round, records) in plant.iter_mut().enumerate() {
        for record in records.iter_mut().filter(|record| is_hot(turns[&record.reading.0], round)) {
            let mut payload: Value = serde_json::from_slice(&record.payload)?;
            payload["temperature"] = HOT.into();
            record.payload = serde_json::to_vec(&payload)?;
        }
    }
    Ok(plant)
}

/// The clock of a device.
fn now_ms() -> i64 {
    #[expect(clippy::disallowed_methods, reason = "devices have clocks, and the pipeline compares them with arrival")]
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    since.as_millis() as i64
}

fn is_hot(turn: usize, round: usize) -> bool {
    let from = HOT_FROM + turn * HOT_EVERY;
    (from..from + HOT_ROUNDS).contains(&round)
}

/// A device in a Region that hears, whenever it can, where to send.
fn listen(twins: &Twins, side: Side, tenant: &str, shared: &Arc<Shared>) -> Result<()> {
    let world = twins.world(side).clone();
    let policy = format!("{}-device", twins.named(tenant));
    let thing = format!("listener-{}", side.region());
    let identity = Identity::of_thing(&world, &policy, &thing)?;
    let (shared, topic) = (Arc::clone(shared), format!("tenants/{tenant}/region"));
    // It ends with the test: nobody waits for it.
    std::thread::spawn(move || {
        while !shared.is_over.load(Ordering::SeqCst) {
            // A Region that is lost is tried again, as devices do.
            if hear(&world, &identity, &thing, &topic, &shared).is_err() {
                std::thread::park_timeout(RECONNECT);
            }
        }
    });
    Ok(())
}

fn hear(world: &World, identity: &Identity, thing: &str, topic: &str, shared: &Shared) -> Result<()> {
    let mut device = Device::connect(world, identity, thing)?.map_err(|refused| anyhow::anyhow!("{refused:?}"))?;
    device.subscribe(topic)?.map_err(|refused| anyhow::anyhow!("{refused:?}"))?;
    loop {
        let (_, payload) = device.message()?;
        let heard: Value = serde_json::from_str(&payload)?;
        let region = heard["region"].as_str().context("no region")?;
        let side = if region == Side::Primary.region() { Side::Primary } else { Side::Other };
        let place = usize::from(side == Side::Other);
        if shared.current.swap(place, Ordering::SeqCst) != place {
            // Without a time it is all that they keep.
            *shared.resend_from.lock().unwrap_or_else(PoisonError::into_inner) =
                Some(heard["resend_from"].as_i64().unwrap_or(i64::MIN));
            #[expect(clippy::disallowed_methods, reason = "what is measured is when devices hear it")]
            shared.ledger().told.push((side, Instant::now()));
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a plant sends in real time, and what is measured is when")]
async fn send(
    plant: Vec<Vec<Record>>,
    worlds: &[World; 2],
    stream: &str,
    publishing: Publishing,
    shared: &Shared,
) -> Result<()> {
    let mut tick = tokio::time::interval(ROUND);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    // What waits for each Region; for whichever is told, in the first.
    let (mut waiting, mut taken): ([Vec<Record>; 2], Vec<Record>) = Default::default();
    let mut resting: [Option<Instant>; 2] = [None, None];
    let (mut rounds, mut last) = (plant.into_iter(), Instant::now());
    loop {
        tick.tick().await;
        if let Some(round) = rounds.next() {
            last = Instant::now();
            for record in &round {
                if String::from_utf8_lossy(&record.payload).contains(r#""temperature":95.0"#) {
                    shared.ledger().hot.entry(record.reading.0.clone()).or_insert_with(Instant::now);
                }
            }
            if publishing == Publishing::Both {
                waiting[1].extend(round.iter().cloned());
            }
            waiting[0].extend(round);
        } else {
            let kept = shared.ledger().kept;
            if kept == 0 || shared.is_over.load(Ordering::SeqCst) {
                return Ok(());
            }
            ensure!(last.elapsed() < FOUND_WITHIN, "{kept} readings found nobody who takes them");
        }
        send_once_more(&mut waiting[0], &mut taken, shared);
        let now_ms = now_ms();
        for (queue, waiting) in waiting.iter_mut().enumerate() {
            let place = match publishing {
                Publishing::Both => queue,
                Publishing::Told => shared.current.load(Ordering::SeqCst),
            };
            for record in &mut *waiting {
                record.sent_ms = now_ms;
            }
            let (done, rest) = deliver(std::mem::take(waiting), place, worlds, stream, shared, &mut resting).await?;
            *waiting = rest;
            taken.extend(done);
        }
        taken.retain(|record| now_ms - record.sent_ms < KEPT_FOR_MS);
        shared.ledger().kept = waiting.iter().map(Vec::len).sum();
    }
}

/// After a move: before what waits comes what was sent from the time on that the word names, each device's readings in order.
fn send_once_more(waiting: &mut Vec<Record>, taken: &mut Vec<Record>, shared: &Shared) {
    let Some(from) = shared.resend_from.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
    let (again, rest): (Vec<Record>, Vec<Record>) =
        std::mem::take(taken).into_iter().partition(|record| record.sent_ms >= from);
    *taken = rest;
    shared.ledger().resent += again.len();
    waiting.extend(again);
    waiting.sort_by_key(|record| record.reading.1);
}

/// Sends records to a Region; those that it took, and the rest.
#[expect(clippy::disallowed_methods, reason = "what is measured is when a Region took it")]
async fn deliver(
    records: Vec<Record>,
    place: usize,
    worlds: &[World; 2],
    stream: &str,
    shared: &Shared,
    resting: &mut [Option<Instant>; 2],
) -> Result<(Vec<Record>, Vec<Record>)> {
    if resting[place].is_some_and(|since| since.elapsed() < REST) {
        return Ok((Vec::new(), records));
    }
    resting[place] = None;
    let mut is_taken = vec![false; records.len()];
    for (chunk, some) in records.chunks(500).enumerate() {
        let entries = some.iter().map(|record| {
            PutRecordsRequestEntry::builder()
                .partition_key(&record.reading.0)
                .data(Blob::new(record.payload.clone()))
                .build()
        });
        let entries = entries.collect::<std::result::Result<Vec<_>, _>>()?;
        let put = worlds[place].kinesis.put_records().stream_name(stream).set_records(Some(entries)).send();
        let Ok(Ok(answer)) = tokio::time::timeout(ANSWER, put).await else {
            resting[place] = Some(Instant::now());
            break;
        };
        let now = Instant::now();
        for (index, (record, entry)) in some.iter().zip(answer.records()).enumerate() {
            if entry.sequence_number().is_some() {
                is_taken[chunk * 500 + index] = true;
                shared.ledger().taken[place].insert(record.reading.clone(), now);
            }
        }
    }
    let mut is_taken = is_taken.into_iter();
    Ok(records.into_iter().partition(|_| is_taken.next() == Some(true)))
}
