//! Canaries: what is written on one side to be seen on the other, the memory of them, and what they say.
//!
//! A canary has a counter and its writer's time. Who writes it also looks for it on the other side, so that both ends of a lag
//! are of one clock. Places are used in turn ([`CANARIES_KEPT`]), so that canaries need no sweeping; the ledger knows which one
//! is where and when it was seen. What this does not do: write, read, or wait ([`crate::watch`]).

use std::fmt::Write as _;

use anomaly_core::Timestamp;
use serde::{Deserialize, Serialize};

use crate::check::{Check, Direction, Kind, Lag, Oldest, Verdict};
use crate::limits::{CANARIES_KEPT, Limits};
use crate::ports::{Looked, Table};

/// Version of the ledger's form.
pub const VERSION: u32 = 1;
/// Prefix of canaries in the lake, and, behind a `#`, of their keys in the tables. No Region's and no tenant's name begins with `#`.
pub const CANARY: &str = "canary";
/// Largest canary, in bytes.
pub const CANARY_BYTES_MAX: usize = 1 << 10;

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Canary {
    /// Counts the checks of one checker.
    pub counter: u64,
    /// The writer's clock, before it was written.
    pub written: Timestamp,
}

/// Where it is written: by whom, on which side, and in which of the places that are used in turn.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Who checks: a Region's function by the Region's name, or a person.
    pub checker: String,
    /// The Region that it is written in.
    pub origin: String,
    /// The place.
    pub slot: u64,
}

impl Place {
    /// Of a counter.
    #[must_use]
    pub fn of(checker: &str, origin: &str, counter: u64) -> Self {
        Self { checker: checker.to_owned(), origin: origin.to_owned(), slot: counter % CANARIES_KEPT }
    }

    /// Its key in the lake, `canary/{checker}/{origin}/{slot}.json`.
    #[must_use]
    pub fn key(&self) -> String {
        format!("{CANARY}/{}/{}/{:03}.json", self.checker, self.origin, self.slot)
    }

    /// Its partition in the results table.
    #[must_use]
    pub fn partition(&self) -> String {
        format!("#{CANARY}#{}#{}", self.checker, self.origin)
    }

    /// Its sort key there.
    #[must_use]
    pub fn sort_key(&self) -> String {
        format!("C#{:03}", self.slot)
    }

    /// Its key in the checkpoints table, which has no sort key.
    #[must_use]
    pub fn checkpoint_key(&self) -> String {
        format!("{}#{:03}", self.partition(), self.slot)
    }
}

/// What copies a canary to the other side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// S3 replication.
    Lake,
    /// A global table.
    Table(Table),
}

impl Channel {
    /// All.
    pub const ALL: [Self; 3] = [Self::Lake, Self::Table(Table::Results), Self::Table(Table::Checkpoints)];

    /// The kind of its checks.
    #[must_use]
    pub const fn kind(self) -> Kind {
        match self {
            Self::Lake => Kind::LakeCanary,
            Self::Table(Table::Results) => Kind::ResultsCanary,
            Self::Table(Table::Checkpoints) => Kind::CheckpointsCanary,
        }
    }
}

/// A canary that was written, and what is known of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// What copies it.
    pub channel: Channel,
    /// Where it was written.
    pub origin: String,
    /// What was written.
    pub canary: Canary,
    /// When it was last known not to have arrived: the time of writing, or that of the last look.
    pub unseen: Timestamp,
    /// When it was first seen.
    pub seen: Option<Timestamp>,
}

impl Sent {
    /// At most so late, milliseconds.
    fn lag_ms(&self) -> Option<i64> {
        self.seen.map(|seen| (seen.millis() - self.canary.written.millis()).max(0))
    }

    /// At least so late.
    fn lag_at_least_ms(&self) -> i64 {
        (self.unseen.millis() - self.canary.written.millis()).max(0)
    }
}

/// What a checker knows of its canaries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// Version of the form.
    pub version: u32,
    /// The counter of the next check.
    pub next: u64,
    /// When the last check was done.
    pub checked: Option<Timestamp>,
    /// The canaries, oldest first.
    pub sent: Vec<Sent>,
}

impl Default for Ledger {
    fn default() -> Self {
        Self { version: VERSION, next: 1, checked: None, sent: Vec::new() }
    }
}

/// Why a ledger is not taken.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// It is no JSON of this form.
    #[error("the ledger cannot be read ({0}): delete the object, and the checker begins anew")]
    Form(#[from] serde_json::Error),
    /// Another version.
    #[error("the ledger has version {0}, this release knows {VERSION}: deploy the same release in both Regions")]
    Version(u32),
}

impl Ledger {
    /// Where a checker keeps it.
    #[must_use]
    pub fn key(checker: &str) -> String {
        format!("{}{checker}/ledger.json", crate::report::PREFIX)
    }

    /// Reads it.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, LedgerError> {
        let ledger: Self = serde_json::from_slice(bytes)?;
        if ledger.version == VERSION { Ok(ledger) } else { Err(LedgerError::Version(ledger.version)) }
    }

    /// Forgets what is older than the places that are used in turn.
    pub fn forget_old(&mut self) {
        let first = self.next.saturating_sub(CANARIES_KEPT);
        self.sent.retain(|sent| sent.canary.counter >= first);
    }

    /// Those of one channel and origin, oldest first.
    pub fn of(&self, channel: Channel, origin: &str) -> impl Iterator<Item = &Sent> {
        self.sent.iter().filter(move |sent| sent.channel == channel && sent.origin == origin)
    }

    /// Lags that this check has learned, milliseconds: of what arrived since it began, and of what has not arrived, which is
    /// at least so late.
    #[must_use]
    pub fn lags_ms(&self, channel: Channel, began: Timestamp) -> Vec<i64> {
        let own = self.sent.iter().filter(|sent| sent.channel == channel);
        own.filter_map(|sent| match sent.seen {
            Some(seen) if seen < began => None,
            Some(_) => sent.lag_ms(),
            None => Some(sent.lag_at_least_ms()),
        })
        .collect()
    }
}

/// One channel in one direction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lane<'a> {
    /// What copies.
    pub channel: Channel,
    /// From where.
    pub origin: &'a str,
    /// To where.
    pub target: &'a str,
    /// Whether this check's canary was written, and the looks for it and former ones worked.
    pub looked: &'a Looked<()>,
}

/// What the canaries of a lane say. `began` is when the check began: what arrived before it was told by a former one.
#[must_use]
pub fn judge(lane: &Lane<'_>, ledger: &Ledger, limits: &Limits, began: Timestamp) -> Check {
    let sent: Vec<&Sent> = ledger.of(lane.channel, lane.origin).collect();
    let waiting: Vec<&Sent> = sent.iter().copied().filter(|sent| sent.seen.is_none()).collect();
    let new = sent.iter().filter(|sent| sent.seen.is_some_and(|seen| seen >= began));
    let of_new = new.map(|sent| limits.of_age(sent.lag_at_least_ms()).min(Verdict::Late));
    let of_waiting = waiting.iter().map(|sent| limits.of_age(sent.lag_at_least_ms()));
    let of_look = lane.looked.as_ref().err().map(Verdict::of_trouble);
    let verdict = of_new.chain(of_waiting).chain(of_look).max().unwrap_or(Verdict::Ok);
    let lag = lag(&sent);
    let mut evidence = match &lag {
        Some(lag) => {
            format!("{} of {} canaries have arrived, the slowest within {} ms", lag.arrived, sent.len(), lag.max_ms)
        }
        None => format!("none of {} canaries has arrived yet", sent.len()),
    };
    let oldest = waiting.iter().min_by_key(|sent| sent.canary.counter);
    if let Some(oldest) = oldest {
        let Canary { counter, written } = oldest.canary;
        let _ = write!(
            evidence,
            "; {} under way, the oldest is number {counter} of {written}, not there at {}",
            waiting.len(),
            oldest.unseen
        );
    }
    if let Err(trouble) = lane.looked {
        let _ = write!(evidence, "; {trouble}");
    }
    let direction = Direction::one_way(lane.origin, lane.target);
    let mut check = Check::new(lane.channel.kind(), "", direction, verdict, evidence);
    check.lag = lag;
    check.oldest_missing =
        oldest.map(|sent| Oldest { name: format!("number {}", sent.canary.counter), since: Some(sent.canary.written) });
    check
}

fn lag(sent: &[&Sent]) -> Option<Lag> {
    let mut lags: Vec<i64> = sent.iter().filter_map(|sent| sent.lag_ms()).collect();
    lags.sort_unstable();
    let max_ms = *lags.last()?;
    // The nearest rank: a lag that was measured.
    let percentile = |percent: usize| lags[(lags.len() * percent).div_ceil(100).max(1) - 1];
    let errors = sent.iter().filter_map(|sent| Some(sent.seen?.millis() - sent.unseen.millis()));
    Some(Lag {
        arrived: lags.len(),
        p50_ms: percentile(50),
        p99_ms: percentile(99),
        max_ms,
        error_ms: errors.max().unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use account::{Kind as TroubleKind, Trouble};

    use super::*;

    const BEGAN_MS: i64 = 1_790_000_000_000;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(BEGAN_MS + ms).unwrap()
    }

    /// Written, last not seen, first seen: seconds after the check began.
    fn sent(times: &[(i64, i64, Option<i64>)]) -> Ledger {
        let one = |(number, &(written, unseen, seen)): (usize, &(i64, i64, Option<i64>))| Sent {
            channel: Channel::Lake,
            origin: "west".to_owned(),
            canary: Canary { counter: number as u64 + 1, written: at(written * 1_000) },
            unseen: at(unseen * 1_000),
            seen: seen.map(|seen| at(seen * 1_000)),
        };
        Ledger { next: times.len() as u64 + 1, sent: times.iter().enumerate().map(one).collect(), ..Ledger::default() }
    }

    fn judged(ledger: &Ledger, looked: &Looked<()>) -> Check {
        let lane = Lane { channel: Channel::Lake, origin: "west", target: "east", looked };
        judge(&lane, ledger, &Limits::default(), at(0))
    }

    fn verdict(times: &[(i64, i64, Option<i64>)]) -> Verdict {
        judged(&sent(times), &Ok(())).verdict
    }

    #[test]
    fn a_canary_is_late_and_then_missing_by_the_last_look_that_did_not_find_it() {
        assert_eq!(verdict(&[(0, 20, None)]), Verdict::Ok);
        assert_eq!(verdict(&[(-300, 1, None)]), Verdict::Late);
        assert_eq!(verdict(&[(-900, 1, None)]), Verdict::Missing);
        // Nobody has looked since: it may have arrived.
        assert_eq!(verdict(&[(-5_000, -4_900, None)]), Verdict::Ok);
    }

    #[test]
    fn one_that_arrived_late_is_told_by_the_check_that_sees_it_and_by_no_other() {
        assert_eq!(verdict(&[(-900, -300, Some(1))]), Verdict::Late);
        assert_eq!(verdict(&[(-900, -300, Some(-1))]), Verdict::Ok);
        // It may have arrived one second after it was written.
        assert_eq!(verdict(&[(-900, -899, Some(1))]), Verdict::Ok);
    }

    #[test]
    fn a_look_that_failed_is_unknown_and_hides_nothing_that_is_worse() {
        let (subject, message) = ("canary/".to_owned(), "denied".to_owned());
        let refused = Err(Trouble { action: "GetObject", subject, kind: TroubleKind::Forbidden, message });
        assert_eq!(judged(&sent(&[(-600, -600, Some(-599))]), &refused).verdict, Verdict::Unknown);
        let check = judged(&sent(&[(-5_000, -100, None)]), &refused);
        assert_eq!(check.verdict, Verdict::Missing);
        assert!(check.evidence.contains("denied"), "{}", check.evidence);
    }

    #[test]
    fn lags_are_those_that_were_measured_with_their_error() {
        let mut times: Vec<(i64, i64, Option<i64>)> =
            (1..=98).map(|n| (-n * 300, -n * 300, Some(2 - n * 300))).collect();
        times.extend([(-90_000, -89_990, Some(-89_900)), (-95_000, -94_999, Some(-94_998))]);
        let lag = judged(&sent(&times), &Ok(())).lag.unwrap();
        assert_eq!((lag.arrived, lag.p50_ms, lag.p99_ms, lag.max_ms), (100, 2_000, 2_000, 100_000));
        assert_eq!(lag.error_ms, 90_000);
    }

    #[test]
    fn the_oldest_that_is_missing_is_named_with_its_time() {
        let check = judged(&sent(&[(-5_000, -4_999, Some(-4_990)), (-4_000, 1, None), (-3_000, 1, None)]), &Ok(()));
        let oldest = check.oldest_missing.unwrap();
        assert_eq!((oldest.name.as_str(), oldest.since), ("number 2", Some(at(-4_000_000))));
    }

    #[test]
    fn the_metric_of_lag_has_what_is_under_way_and_nothing_that_was_told() {
        let ledger = sent(&[(-900, -899, Some(-890)), (-600, -300, Some(1)), (-500, 2, None)]);
        assert_eq!(ledger.lags_ms(Channel::Lake, at(0)), [601_000, 502_000]);
        assert!(ledger.lags_ms(Channel::Table(Table::Results), at(0)).is_empty());
    }

    #[test]
    fn the_ledger_forgets_what_has_lost_its_place() {
        let mut ledger = sent(&vec![(0, 0, None); 130]);
        ledger.forget_old();
        assert_eq!((ledger.sent.len(), ledger.sent[0].canary.counter), (100, 31));
        let text = serde_json::to_vec(&ledger).unwrap();
        assert_eq!(Ledger::parse(&text).unwrap(), ledger);
        let newer = String::from_utf8(text).unwrap().replace(r#""version":1"#, r#""version":2"#);
        assert!(matches!(Ledger::parse(newer.as_bytes()), Err(LedgerError::Version(2))));
    }

    #[test]
    fn places_are_used_in_turn_and_belong_to_nobody_else() {
        let place = Place::of("eu-west-1", "eu-central-1", 107);
        assert_eq!(place.key(), "canary/eu-west-1/eu-central-1/007.json");
        assert_eq!(place.checkpoint_key(), "#canary#eu-west-1#eu-central-1#007");
        assert_eq!(place, Place::of("eu-west-1", "eu-central-1", 7));
        assert_ne!(place.key(), Place::of("eu-central-1", "eu-central-1", 107).key());
    }
}
