//! What both Regions saw, brought together before the way back.
//!
//! The tables are replicated, so that in the end both have every anomaly; this waits for that end, within a bound, and puts
//! what one of them still lacks there. An anomaly has the same id wherever it is found (ADR 0001), so that what both found is
//! one, and what is put twice is there once.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use anomaly_core::Timestamp;
use platform::model::{AnomalyRecord, TRANSACTION_ITEMS_MAX, Transaction};
use platform::ports::{AnomalyQuery, CommitError, StoreError};
use tokio::time::Instant;

use crate::error::MoveError;
use crate::mover::Mover;
use crate::record::{self, Move, Outcome, Step};
use crate::side::{Reach, Side, Stores};

/// Most anomalies of one tenant and day that are compared.
const DAY_MAX: usize = 100_000;
/// Most days that are compared: what is older has had its time.
const DAYS_MAX: i64 = 92;
const DAY_MS: i64 = 86_400_000;

/// How the anomalies of both compare.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Compared {
    /// In both.
    pub both: usize,
    /// Only in the Region that is left, now put into the other.
    pub only_from: usize,
    /// Only in the Region that takes over, now put into the other.
    pub only_to: usize,
}

impl fmt::Display for Compared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { both, only_from, only_to } = self;
        write!(f, "{both} anomalies in both Regions")?;
        if only_from + only_to > 0 {
            write!(f, "; {only_from} and {only_to} were in one alone and are in both now")?;
        }
        Ok(())
    }
}

type Found = BTreeMap<(String, String), AnomalyRecord>;

impl<S: Stores, R: Reach> Mover<'_, S, R> {
    /// Compares what both have since the Region that takes over had the say last, and puts into each what it lacks.
    pub(crate) async fn reconcile(&self, record: &Move) -> Result<(Outcome, String), MoveError> {
        let unreachable = |cause: StoreError| MoveError::Unreachable {
            region: self.from.region.clone(),
            to: self.to.region.clone(),
            cause: Box::new(cause),
        };
        self.ask_from("load epoch", self.from.stores.load_epoch(&self.stream)).await.map_err(unreachable)?;
        let since = self.left_at(record).await?;
        let tenants = self.tenants().await?;
        let began = Instant::now();
        loop {
            let (from, to) =
                tokio::try_join!(found(self.from, &tenants, since, record), found(self.to, &tenants, since, record))?;
            let keys = |found: &Found| found.keys().cloned().collect::<BTreeSet<_>>();
            let (in_from, in_to) = (keys(&from), keys(&to));
            let both = in_from.intersection(&in_to).count();
            let (only_from, only_to) = (in_from.len() - both, in_to.len() - both);
            if only_from + only_to > 0 && began.elapsed() < self.bounds.drain {
                tokio::time::sleep(self.bounds.look).await;
                continue;
            }
            put(self.to, from.iter().filter(|(key, _)| !in_to.contains(*key)).map(|(_, anomaly)| anomaly)).await?;
            put(self.from, to.iter().filter(|(key, _)| !in_from.contains(*key)).map(|(_, anomaly)| anomaly)).await?;
            let compared = Compared { both, only_from, only_to };
            return Ok((Outcome::Done, format!("{compared}, since {since}")));
        }
    }

    /// When the Region that takes over lost the say.
    async fn left_at(&self, record: &Move) -> Result<Timestamp, StoreError> {
        const MOVES_MAX: usize = 100;
        let mut moves = record::newest(&self.to.stores, &self.stream, MOVES_MAX).await?;
        moves.extend(record::newest(&self.from.stores, &self.stream, MOVES_MAX).await?);
        moves.sort_by_key(|kept| std::cmp::Reverse(kept.record.epoch));
        let former = moves.iter().map(|kept| &kept.record).filter(|moved| moved.epoch < record.epoch);
        // Back to when this Region had the say last: what was begun in between and has not moved anything does not count.
        let is_here = |moved: &&Move| moved.to == record.to && moved.done(Step::TakeOver).is_some();
        let away = former.take_while(|moved| !is_here(moved)).map(|moved| moved.began).min();
        let known = self.from.stores.load_epoch(&self.stream).await?.filter(|epoch| epoch.active != record.to);
        let known = known.map(|epoch| epoch.since).filter(|since| *since > Timestamp::MIN);
        let began = away.into_iter().chain(known).min().unwrap_or(record.began);
        // A fault may have begun before what was found of it: a day.
        let earliest = record.began.millis() - DAYS_MAX * DAY_MS;
        Ok(Timestamp::from_millis((began.millis() - DAY_MS).max(earliest)).unwrap_or(began))
    }
}

async fn found<S: Stores, R>(
    side: &Side<S, R>,
    tenants: &BTreeSet<String>,
    since: Timestamp,
    record: &Move,
) -> Result<Found, StoreError> {
    let mut found = Found::new();
    // A device's clock may be ahead: a day.
    let days =
        (0..).map(|day| since.millis() + day * DAY_MS).take_while(|ms| *ms <= record.began.millis() + 2 * DAY_MS);
    for at in days.filter_map(|ms| Timestamp::from_millis(ms).ok()) {
        for tenant in tenants {
            let query = AnomalyQuery::Day { tenant: tenant.clone(), day: at.date() };
            let of_day = side.stores.find_anomalies(&query, DAY_MAX).await?;
            if of_day.len() >= DAY_MAX {
                let remedy = format!(
                    "it has {DAY_MAX} anomalies or more, too many to compare; `millrace dr failover` goes without"
                );
                return Err(StoreError::permanent("reconcile", format!("{tenant}, {}", at.date()), remedy));
            }
            found.extend(of_day.into_iter().map(|anomaly| ((anomaly.partition_key(), anomaly.sort_key()), anomaly)));
        }
    }
    Ok(found)
}

/// Puts anomalies where they are not.
async fn put<'a, S: Stores, R>(
    side: &Side<S, R>,
    anomalies: impl Iterator<Item = &'a AnomalyRecord>,
) -> Result<(), StoreError> {
    let all: Vec<&AnomalyRecord> = anomalies.collect();
    for some in all.chunks(TRANSACTION_ITEMS_MAX) {
        let mut left = some.to_vec();
        while !left.is_empty() {
            let transaction = Transaction { anomalies: left.clone(), ..Transaction::default() };
            match side.stores.commit(&transaction).await {
                Ok(()) => break,
                // Replication was faster.
                Err(CommitError::AlreadyThere { anomalies, .. }) if !anomalies.is_empty() => {
                    let there: BTreeSet<usize> = anomalies.into_iter().collect();
                    let mut index = 0..;
                    left.retain(|_| index.next().is_none_or(|index| !there.contains(&index)));
                }
                Err(CommitError::Store(error)) => return Err(error),
                Err(other) => {
                    return Err(StoreError::permanent("put anomalies", side.region.clone(), other.to_string()));
                }
            }
        }
    }
    Ok(())
}
