//! One check from the ledger to the report.
//!
//! 1. The ledger says which canary comes next, and which ones have not been seen yet.
//! 2. Canaries are written and watched, while both sides are looked at.
//! 3. What was seen is compared, and the other Region's checker is asked when it last checked.
//! 4. The report is stored, and the ledger last: a process that is lost before forgets its canaries, and they are written over.
//!
//! A ledger that cannot be read is not written over: no canary is sent, and their checks are unknown.

use std::collections::BTreeSet;

use account::{Kind as TroubleKind, Trouble};
use anomaly_core::Timestamp;

use crate::canary::{Channel, Lane, Ledger, judge};
use crate::check::{Check, Direction, Kind, Verdict};
use crate::compare::compare;
use crate::gather::within;
use crate::ground::{Ground, Names};
use crate::limits::Limits;
use crate::look::{Scope, Sight, look};
use crate::ports::{Looked, Region};
use crate::report::Report;
use crate::watch::{Looks, Watch};

/// Largest ledger, in bytes: 600 canaries have some 150 KB.
const LEDGER_BYTES_MAX: usize = 1 << 20;

/// One side of the pair.
#[derive(Debug)]
pub struct Side<R> {
    /// Where it is.
    pub ground: Ground,
    /// Who is asked.
    pub region: R,
}

/// A pair, and what is checked of it.
#[derive(Debug)]
pub struct Checker<R> {
    /// Who checks: the Region's name for its function, another name for a person, so that they do not use each other's places.
    pub name: String,
    /// The side that keeps ledger and reports.
    pub here: Side<R>,
    /// The other one.
    pub there: Side<R>,
    /// The environment.
    pub names: Names,
    /// Its stream.
    pub stream: String,
    /// From when on something is late or missing.
    pub limits: Limits,
    /// What is checked.
    pub kinds: BTreeSet<Kind>,
    /// Whether the other Region has a function that checks, and is missing if it does not.
    pub has_peer: bool,
    /// Whether it only looks: then no canary is sent, and neither report nor ledger is kept.
    pub is_dry: bool,
}

/// What came of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// The report.
    pub report: Report,
    /// Lags that this check has learned, by what copies, milliseconds.
    pub lags_ms: Vec<(Channel, Vec<i64>)>,
    /// How long ago the last check before this one was, of this checker or of the other Region's, whichever is older;
    /// milliseconds, `None` where neither ever was.
    pub check_age_ms: Option<i64>,
    /// What could not be stored.
    pub unstored: Vec<Trouble>,
}

impl<R: Region> Checker<R> {
    /// Checks once. Never fails as a whole: what cannot be seen is in the report as unknown, what cannot be stored beside it.
    ///
    /// `tell` hears of each check once, as soon as its verdict is known: of canaries last, which are waited for.
    pub async fn check(&self, now: impl Fn() -> Timestamp + Copy, tell: impl Fn(&[Check])) -> Done {
        let began = now();
        let ledger = self.ledger(&self.here, &self.name).await;
        let mut kept = ledger.as_ref().ok().cloned().flatten().unwrap_or_default();
        let scope = Scope {
            names: self.names.clone(),
            stream: self.stream.clone(),
            kinds: self.kinds.clone(),
            turn: kept.next,
        };
        let is_sent = |channel: &Channel| !self.is_dry && self.kinds.contains(&channel.kind());
        let channels: Vec<Channel> = Channel::ALL.into_iter().filter(is_sent).collect();
        let former = kept.checked;
        let watching = async {
            match &ledger {
                Ok(_) => Ok(self.watch(&channels).run(&mut kept, now).await),
                Err(trouble) => Err(trouble.clone()),
            }
        };
        let comparing = async {
            let look = |side| Box::pin(self.look(side, &scope, began));
            let (left, right, peer) = tokio::join!(look(&self.here), look(&self.there), self.peer_checked());
            let mut checks = compare(&left, &right, &self.stream, &self.limits, began);
            checks.extend(self.of_peer(peer.as_ref(), began));
            tell(&checks);
            (checks, peer)
        };
        let (looks, (compared, peer)) = tokio::join!(watching, comparing);
        let mut checks = self.canaries(&channels, &looks, &kept, began);
        tell(&checks);
        checks.extend(compared);
        let seen = [former, peer.and_then(Result::ok).flatten()];
        let check_age_ms = seen.into_iter().flatten().map(|at| (began.millis() - at.millis()).max(0)).max();
        let sides = [self.here.ground.region.as_str(), self.there.ground.region.as_str()];
        let mut report = Report::of(&self.name, sides, began, now().millis() - began.millis(), checks);
        let is_canary = |kind: &Kind| Channel::ALL.iter().any(|channel| channel.kind() == *kind);
        let is_skipped = |kind: &&Kind| !self.kinds.contains(kind) || (self.is_dry && is_canary(kind));
        report.skipped = Kind::ALL.iter().filter(is_skipped).map(|kind| kind.word().to_owned()).collect();
        let lags_ms = channels.iter().map(|channel| (*channel, kept.lags_ms(*channel, began))).collect();
        let mut unstored = Vec::new();
        if !self.is_dry {
            unstored = self.store(&report, former).await;
            if ledger.is_ok() {
                kept.checked = Some(began);
                unstored.extend(self.keep(&kept).await.err());
            }
        }
        Done { report, lags_ms, check_age_ms, unstored }
    }

    async fn look(&self, side: &Side<R>, scope: &Scope, now: Timestamp) -> Sight {
        look(&side.ground, &side.region, scope, &self.limits, now).await
    }

    fn watch<'a>(&'a self, channels: &'a [Channel]) -> Watch<'a, R> {
        let (here, there) = (&self.here, &self.there);
        let sides = [(here.ground.region.as_str(), &here.region), (there.ground.region.as_str(), &there.region)];
        Watch { checker: &self.name, sides, channels, limits: &self.limits }
    }

    fn canaries(&self, channels: &[Channel], looks: &Looked<Looks>, ledger: &Ledger, began: Timestamp) -> Vec<Check> {
        let (here, there) = (self.here.ground.region.as_str(), self.there.ground.region.as_str());
        let mut checks = Vec::new();
        for channel in channels {
            for (origin, target) in [(here, there), (there, here)] {
                checks.push(match looks {
                    Ok(looks) => {
                        let looked = looks.get(&(*channel, origin.to_owned())).cloned().unwrap_or(Ok(()));
                        judge(&Lane { channel: *channel, origin, target, looked: &looked }, ledger, &self.limits, began)
                    }
                    Err(trouble) => {
                        let evidence = format!("no canary was sent, for the ledger cannot be read: {trouble}");
                        let direction = Direction::one_way(origin, target);
                        Check::new(channel.kind(), "", direction, Verdict::Unknown, evidence)
                    }
                });
            }
        }
        checks
    }

    /// When the other Region's function last checked; `None` where that is not to be known.
    async fn peer_checked(&self) -> Option<Looked<Option<Timestamp>>> {
        if !self.has_peer || !self.kinds.contains(&Kind::Checker) {
            return None;
        }
        let peer = &self.there.ground.region;
        let read = within(&self.limits, "GetObject", &Ledger::key(peer), self.ledger(&self.there, peer)).await;
        Some(read.map(|ledger| ledger.and_then(|ledger| ledger.checked)))
    }

    /// Whether the other Region's checker is at work: if that Region is lost, nobody there tells that nobody checks.
    fn of_peer(&self, peer: Option<&Looked<Option<Timestamp>>>, now: Timestamp) -> Option<Check> {
        let (here, there) = (self.here.ground.region.as_str(), self.there.ground.region.as_str());
        let direction = Direction::one_way(there, here);
        Some(match peer? {
            Err(trouble) => Check::unseen(Kind::Checker, "", here, there, trouble),
            Ok(None) => {
                let evidence = format!("no function has ever checked in {there}: deploy infra/dr.yaml there");
                Check::new(Kind::Checker, "", direction, Verdict::Missing, evidence)
            }
            Ok(Some(at)) => {
                let age_ms = (now.millis() - at.millis()).max(0);
                let is_recent = u128::try_from(age_ms).is_ok_and(|age_ms| age_ms <= self.limits.check_age.as_millis());
                let verdict = if is_recent { Verdict::Ok } else { Verdict::Missing };
                let evidence = format!("the function in {there} last checked at {at}");
                Check::new(Kind::Checker, "", direction, verdict, evidence)
            }
        })
    }

    /// The ledger of a checker. `None`: it has never checked.
    async fn ledger(&self, side: &Side<R>, checker: &str) -> Looked<Option<Ledger>> {
        let key = Ledger::key(checker);
        let Some(bytes) = side.region.get(&key, LEDGER_BYTES_MAX).await? else { return Ok(None) };
        Ledger::parse(&bytes).map(Some).map_err(|error| Trouble {
            action: "ReadLedger",
            subject: key,
            kind: TroubleKind::Refused,
            message: error.to_string(),
        })
    }

    async fn keep(&self, ledger: &Ledger) -> Looked<()> {
        let key = Ledger::key(&self.name);
        let body = serde_json::to_vec(ledger).map_err(|error| unwritten(&key, &error))?;
        self.here.region.put(&key, body).await
    }

    /// Stores the report as the latest; and for good where something is wrong, and once an hour where all is well.
    async fn store(&self, report: &Report, former: Option<Timestamp>) -> Vec<Trouble> {
        let is_new_hour = former.is_none_or(|former| former.hour() != report.at.hour());
        let mut names = vec![Report::latest(&self.name)];
        if report.verdict != Verdict::Ok || is_new_hour {
            names.push(report.kept());
        }
        let json = match serde_json::to_vec(report) {
            Ok(json) => json,
            Err(error) => return vec![unwritten(&names[0], &error)],
        };
        let mut unstored = Vec::new();
        for name in names {
            let markdown = report.markdown().into_bytes();
            for (ending, body) in [("json", json.clone()), ("md", markdown)] {
                unstored.extend(self.here.region.put(&format!("{name}.{ending}"), body).await.err());
            }
        }
        unstored
    }
}

fn unwritten(key: &str, error: &serde_json::Error) -> Trouble {
    Trouble { action: "WriteJson", subject: key.to_owned(), kind: TroubleKind::Refused, message: error.to_string() }
}
