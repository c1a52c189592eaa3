//! Writes this check's canaries, and looks for them and for former ones that were not seen yet.
//!
//! In both directions, by one process and one clock. It looks once for each former canary, and again and again for its own until
//! all are there or the time of watching is over; what comes later is found by the next check. What this does not do: judge.

use std::collections::BTreeMap;
use std::time::Duration;

use account::{Kind as TroubleKind, Trouble};
use anomaly_core::Timestamp;
use futures_util::future::join_all;

use crate::canary::{CANARY_BYTES_MAX, Canary, Channel, Ledger, Place, Sent};
use crate::limits::{AT_ONCE, Limits};
use crate::ports::{Items, Looked, Objects};

/// Where canaries are written and looked for, by whom.
#[derive(Debug)]
pub struct Watch<'a, R> {
    /// Who checks.
    pub checker: &'a str,
    /// The two Regions with their names.
    pub sides: [(&'a str, &'a R); 2],
    /// What copies, of what is looked at.
    pub channels: &'a [Channel],
    /// How long and how often.
    pub limits: &'a Limits,
}

/// Whether writing and looking worked, by channel and origin.
pub type Looks = BTreeMap<(Channel, String), Looked<()>>;

/// Why a canary could not be looked for the last time, by channel, origin and counter.
type Troubles = BTreeMap<(Channel, String, u64), Trouble>;

impl<R: Objects + Items + Sync> Watch<'_, R> {
    /// Writes and looks. The ledger has what came of it.
    pub async fn run(&self, ledger: &mut Ledger, now: impl Fn() -> Timestamp + Copy) -> Looks {
        let began = now();
        let counter = ledger.next;
        ledger.next += 1;
        ledger.forget_old();
        let lanes =
            || self.channels.iter().flat_map(|channel| self.sides.map(|(origin, side)| (*channel, origin, side)));
        let written = join_all(lanes().map(|(channel, origin, side)| async move {
            let canary = Canary { counter, written: now() };
            let place = Place::of(self.checker, origin, counter);
            (channel, origin, canary, write(side, channel, &place, &canary).await)
        }));
        let mut looks = Looks::new();
        for (channel, origin, canary, done) in written.await {
            // One whose fate is not known is not waited for.
            if done.is_ok() {
                let origin = origin.to_owned();
                ledger.sent.push(Sent { channel, origin, canary, unseen: canary.written, seen: None });
            }
            looks.insert((channel, origin.to_owned()), done);
        }
        let mut troubles = Troubles::new();
        // Counted as well as timed: a clock that is set back must not make it wait for ever.
        let pauses_max = self.limits.watch.as_millis() / self.limits.poll.as_millis().max(1);
        for pauses in 0..=pauses_max {
            let is_wanted = |sent: &Sent| sent.seen.is_none() && (pauses == 0 || sent.canary.counter == counter);
            self.look(ledger, is_wanted, &mut troubles, now).await;
            let is_waiting = ledger.sent.iter().any(|sent| sent.seen.is_none() && sent.canary.counter == counter);
            let waited_ms = now().millis() - began.millis();
            let waited = Duration::from_millis(u64::try_from(waited_ms).unwrap_or(0));
            if !is_waiting || waited + self.limits.poll > self.limits.watch {
                break;
            }
            tokio::time::sleep(self.limits.poll).await;
        }
        for ((channel, origin, _), trouble) in troubles {
            let look = looks.entry((channel, origin)).or_insert(Ok(()));
            if look.is_ok() {
                *look = Err(trouble);
            }
        }
        looks
    }

    /// Looks once for each that is wanted.
    async fn look(
        &self,
        ledger: &mut Ledger,
        is_wanted: impl Fn(&Sent) -> bool,
        troubles: &mut Troubles,
        now: impl Fn() -> Timestamp + Copy,
    ) {
        let known = |sent: &Sent| self.channels.contains(&sent.channel) && self.target(&sent.origin).is_some();
        let wanted: Vec<usize> = ledger
            .sent
            .iter()
            .enumerate()
            .filter(|(_, sent)| known(sent) && is_wanted(sent))
            .map(|(place, _)| place)
            .collect();
        let mut overtaken = Vec::new();
        for some in wanted.chunks(AT_ONCE) {
            let sent = &ledger.sent;
            let seen = join_all(some.iter().map(|&at| async move {
                let (asked, found) = (now(), self.find(&sent[at]).await);
                (at, asked, found, now())
            }));
            for (at, asked, found, answered) in seen.await {
                let sent = &mut ledger.sent[at];
                let which = (sent.channel, sent.origin.clone(), sent.canary.counter);
                if found.is_ok() {
                    troubles.remove(&which);
                }
                match found {
                    Ok(Some(canary)) if canary == sent.canary => sent.seen = Some(answered),
                    // Somebody used the place at the same time, and wrote later.
                    Ok(Some(canary)) if canary.written > sent.canary.written => overtaken.push(at),
                    Ok(_) => sent.unseen = sent.unseen.max(asked),
                    Err(trouble) => drop(troubles.insert(which, trouble)),
                }
            }
        }
        for at in overtaken.into_iter().rev() {
            ledger.sent.remove(at);
        }
    }

    /// The side that is not the origin.
    fn target(&self, origin: &str) -> Option<&R> {
        let [(here, left), (there, right)] = self.sides;
        if origin == here {
            Some(right)
        } else if origin == there {
            Some(left)
        } else {
            None
        }
    }

    async fn find(&self, sent: &Sent) -> Looked<Option<Canary>> {
        let place = Place::of(self.checker, &sent.origin, sent.canary.counter);
        match self.target(&sent.origin) {
            Some(side) => read(side, sent.channel, &place).await,
            None => Ok(None),
        }
    }
}

async fn write<R: Objects + Items>(side: &R, channel: Channel, place: &Place, canary: &Canary) -> Looked<()> {
    match channel {
        Channel::Lake => {
            let body = serde_json::to_vec(canary).map_err(|error| no_canary(place, &error))?;
            side.put(&place.key(), body).await
        }
        Channel::Table(table) => side.put_canary(table, place, canary).await,
    }
}

async fn read<R: Objects + Items>(side: &R, channel: Channel, place: &Place) -> Looked<Option<Canary>> {
    match channel {
        Channel::Lake => {
            let Some(bytes) = side.get(&place.key(), CANARY_BYTES_MAX).await? else { return Ok(None) };
            serde_json::from_slice(&bytes).map(Some).map_err(|error| no_canary(place, &error))
        }
        Channel::Table(table) => side.canary(table, place).await,
    }
}

fn no_canary(place: &Place, error: &serde_json::Error) -> Trouble {
    let message = format!("what is there is no canary ({error}); delete it");
    Trouble { action: "ReadCanary", subject: place.key(), kind: TroubleKind::Refused, message }
}
