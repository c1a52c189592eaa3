//! What a run is to be: settings, workload, changes of shards and profiles, and which faults at which rates.
//!
//! Every run draws its own mixture, most faults absent from most runs: a rare sequence of two kinds of fault is found
//! sooner where the other kinds are silent (Groce et al.: "Swarm Testing", 2012).

mod pair;
mod telling;

use std::time::Duration;

use kinesis_scorer::Config;
use kinesis_scorer::opinion::OpinionSettings;
use platform::embedded::stream::MappingSettings;

use crate::chance::Chance;
use crate::workload::{self, Planned, Shape, TENANTS};
pub use pair::PairPlan;
pub use telling::{TellingPlan, TenantPlan, address};

/// Streams of chance, one a purpose.
pub(crate) mod purpose {
    pub(crate) const PLAN: u64 = 1;
    pub(crate) const WORKLOAD: u64 = 2;
    pub(crate) const ORDER: u64 = 3;
    pub(crate) const FAULTS: u64 = 4;
    pub(crate) const PAIR: u64 = 5;
    pub(crate) const PAIRING: u64 = 6;
    pub(crate) const REPLICATION: u64 = 7;
    pub(crate) const TELLING: u64 = 8;
    pub(crate) const TELLING_ORDER: u64 = 9;
    pub(crate) const TELLING_FAULTS: u64 = 10;
    pub(crate) const OPINION: u64 = 11;
    /// And one more for each further region.
    pub(crate) const ANSWERS: u64 = 12;
}

/// What can go wrong, as the run draws it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    /// A call is throttled.
    Throttle,
    /// A call gets no answer and has no effect.
    Unavailable,
    /// A write happens, its caller is told that there was no answer.
    LostAnswer,
    /// A write happens some time after its caller was told that there was no answer.
    LandsLater,
    /// The process dies before the call's effect.
    CrashBefore,
    /// The process dies after the call's effect.
    CrashAfter,
    /// The process stands still at a call, for minutes or hours, and the mapping gives it up: a zombie.
    Zombie,
    /// The mapping gives an invocation up that goes on.
    GiveUp,
    /// A process dies between calls, or while nothing is under way.
    Kill,
    /// A process is told to end.
    ShutDown,
    /// Records that were delivered come again, cut at random, to any process.
    Redeliver,
    /// The mapping starts over from an earlier position, with other settings.
    Rewind,
    /// Time runs out in the middle of a batch.
    Deadline,
    /// A second invocation runs in a process that has one.
    Concurrent,
}

impl Trouble {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::Throttle,
        Self::Unavailable,
        Self::LostAnswer,
        Self::LandsLater,
        Self::CrashBefore,
        Self::CrashAfter,
        Self::Zombie,
        Self::GiveUp,
        Self::Kill,
        Self::ShutDown,
        Self::Redeliver,
        Self::Rewind,
        Self::Deadline,
        Self::Concurrent,
    ];
}

/// Something that changes on purpose, before the record of an index is put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// An open shard is split at the hash key of one of the devices.
    Split {
        /// Chooses the shard.
        shard: u64,
        /// Chooses the place.
        at: u64,
    },
    /// Two neighbours are merged.
    Merge {
        /// Chooses them.
        shard: u64,
    },
    /// The stream is moved to the second region.
    FailOver {
        /// When the first has done all its work and all of it has arrived.
        calm: bool,
        /// The first is lost, until the stream is moved again or the troubles end.
        lost: bool,
    },
    /// The stream is moved back to the first region.
    FailBack {
        /// When the second has done all its work and all of it has arrived.
        calm: bool,
        /// The second is lost.
        lost: bool,
    },
    /// A tenant's profile is written, or taken away.
    Profile {
        /// Whose.
        tenant: String,
        /// `None`: the object is removed.
        text: Option<String>,
    },
}

/// A run, before it runs.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The seed it was drawn from.
    pub seed: u64,
    /// The records, in order.
    pub records: Vec<Planned>,
    /// So many of the last records are put only after everything else has come to rest.
    pub tail: usize,
    /// What changes before which record, in order.
    pub changes: Vec<(usize, Change)>,
    /// Shards at the beginning.
    pub shards: u32,
    /// Settings of the mapping.
    pub mapping: MappingSettings,
    /// Settings of every process.
    pub config: Config,
    /// Probability of each trouble at each occasion; absent ones do not happen.
    pub troubles: Vec<(Trouble, f64)>,
    /// How wrong the clocks of processes are, at most, in milliseconds.
    pub skew_ms: i64,
    /// How many processes there are at most.
    pub processes: usize,
    /// The second region, where there is one.
    pub pair: Option<PairPlan>,
    /// How people are told of it.
    pub telling: TellingPlan,
    /// How readily records are put rather than calls let through: the higher, the larger the batches.
    pub eagerness: f64,
}

/// Valid profiles, and bad ones; none of them fits another tenant's text.
const PROFILES: [&str; 5] = [
    "[metrics.temperature]\nhigh = 85\n",
    "[metrics.temperature]\nhigh = 95\nlow = 20\n",
    "[metrics.vibration]\nhigh = 2.2\n",
    "[metrics.temperature]\nhigh = \"hot\"\n",
    "this is no profile",
];

impl Plan {
    /// The plan of a seed; with `records_max`, only the beginning of its workload.
    #[must_use]
    pub fn new(seed: u64, records_max: Option<usize>) -> Self {
        let chance = &mut Chance::new(seed, purpose::PLAN);
        let storm = if chance.happens(0.08) { 101 + chance.below(60) } else { 0 };
        let shape = Shape {
            records: if storm > 0 { 2 * storm } else { 30 + chance.below(chance.clone().one_of([60, 120, 250])) },
            stream_tenant: chance.happens(0.3).then(|| TENANTS[1].to_owned()),
            gap_ms: if storm > 0 { 50 } else { chance.one_of([100, 2_000, 15_000, 60_000]) },
            nights: chance.one_of([0.0, 0.0, 0.02]),
            set_back: chance.one_of([0.0, 0.0, 0.05]),
            poison: if storm > 0 { 0.0 } else { chance.one_of([0.0, 0.05, 0.2]) },
            skewed: chance.happens(0.3),
            storm,
        };
        let count = shape.records;
        let mut records = workload::records(&shape, &mut Chance::new(seed, purpose::WORKLOAD));
        let tail = 10.min(count / 4);
        records.truncate(records_max.unwrap_or(usize::MAX));
        let mut troubles = troubles(chance);
        if storm > 0 && chance.happens(0.7) {
            // Findings that go before their checkpoint must not be those of a memory that is out of date, and are there
            // already when their batch comes again.
            let chosen = [(Trouble::Redeliver, 0.2), (Trouble::Rewind, 0.05), (Trouble::CrashAfter, 0.1)];
            troubles.retain(|(trouble, _)| chosen.iter().all(|(known, _)| known != trouble));
            troubles.extend(chosen);
        }
        // A storm's findings go before its checkpoint: what they are must not depend on when a profile is seen.
        let mut changes = changes(chance, count, storm == 0);
        let (shards, mapping) = (chance.one_of([1, 1, 2, 3]), mapping(chance, storm > 0));
        let mut config = config(chance, shape.stream_tenant);
        let of_pair = &mut Chance::new(seed, purpose::PAIR);
        // A batch of a storm whose findings went ahead and that is scored anew with adopted states leaves both.
        let (pair, moves) = if storm > 0 { (None, Vec::new()) } else { pair::draw(of_pair, count) };
        changes.extend(moves);
        changes.sort_by_key(|(index, _)| *index);
        config.adopt_patience_seconds = of_pair.one_of([0, 60, 86_400]);
        config.opinion = opinion(&mut Chance::new(seed, purpose::OPINION), storm > 0);
        Self {
            seed,
            tail: tail.min(records.len()),
            changes,
            pair,
            telling: TellingPlan::draw(&mut Chance::new(seed, purpose::TELLING)),
            shards,
            mapping,
            config,
            troubles,
            skew_ms: chance.one_of([0, 0, 3_600_000]),
            processes: if storm > 0 { 2 + chance.below(3) } else { 1 + chance.below(5) },
            eagerness: chance.one_of([0.1, 0.4, 0.8]),
            records,
        }
    }
}

fn troubles(chance: &mut Chance) -> Vec<(Trouble, f64)> {
    let often = chance.one_of([0.3, 1.0, 3.0]);
    let mut drawn = Vec::new();
    for trouble in Trouble::ALL {
        let happens = chance.happens(0.45);
        let rate = often * chance.one_of([0.003, 0.01, 0.03]);
        if happens {
            drawn.push((trouble, rate));
        }
    }
    drawn
}

pub(crate) fn mapping(chance: &mut Chance, large: bool) -> MappingSettings {
    let batch_size = if large { chance.one_of([120, 200, 400]) } else { chance.one_of([1, 5, 20, 20, 100, 300]) };
    MappingSettings {
        batch_size,
        report_batch_item_failures: true,
        bisect_on_error: chance.happens(if large { 0.8 } else { 0.5 }),
        batch_window: Duration::from_millis(chance.one_of([0, 0, 1_000])),
        retry_pause: Duration::from_millis(chance.one_of([0, 100])),
        ..MappingSettings::default()
    }
}

fn config(chance: &mut Chance, stream_tenant: Option<String>) -> Config {
    Config {
        stream_tenant,
        default_tenant: TENANTS[0].to_owned(),
        profile_refresh_seconds: chance.one_of([1, 60, 300]),
        snapshot_seconds: chance.one_of([1, 60, 900, 86_400]),
        ..Config::local("simulation")
    }
}

/// The workload is too short for detectors to be half-way sure of anything, so whatever is not abnormal is asked about.
fn opinion(chance: &mut Chance, storm: bool) -> Option<OpinionSettings> {
    let rows = if storm { 200 } else { chance.one_of([1, 5, 200]) };
    chance.happens(if storm { 0.7 } else { 0.4 }).then(|| OpinionSettings {
        rows,
        watch: 0.0,
        ..OpinionSettings::new("second")
    })
}

fn changes(chance: &mut Chance, records: usize, profiles: bool) -> Vec<(usize, Change)> {
    let mut drawn = Vec::new();
    if chance.happens(0.5) {
        for _ in 0..=chance.below(5) {
            let shard = chance.bits();
            let splits = chance.happens(0.55);
            let reshard = if splits { Change::Split { shard, at: chance.bits() } } else { Change::Merge { shard } };
            drawn.push((chance.below(records), reshard));
        }
    }
    if chance.happens(0.6) {
        for _ in 0..=chance.below(4) {
            let tenant = chance.one_of(TENANTS).to_owned();
            let text = if chance.happens(0.9) { chance.pick(&PROFILES).map(|text| (*text).to_owned()) } else { None };
            // A storm takes the profiles that are there at its beginning.
            let at = if profiles && chance.happens(0.6) { chance.below(records) } else { 0 };
            drawn.push((at, Change::Profile { tenant, text }));
        }
    }
    drawn.sort_by_key(|(index, _)| *index);
    drawn
}
