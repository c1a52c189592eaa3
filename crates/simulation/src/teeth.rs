//! Whether the checks have teeth: each known bug is seeded, and must be caught.

#[cfg(feature = "teeth")]
use crate::flaw::PortFlaw;
#[cfg(feature = "teeth")]
use crate::run::Variation;
#[cfg(feature = "teeth")]
use crate::shrink::judge;

/// A bug and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bite {
    /// Its name.
    pub bug: &'static str,
    /// Where it sits: at a port, in the scorer, or in the fan-out.
    pub place: &'static str,
    /// Which seed it was caught at, and by which check; `None` when it was not.
    pub caught: Option<(u64, &'static str)>,
}

/// A bug that can be seeded.
#[derive(Debug, Clone, Copy)]
#[cfg(feature = "teeth")]
pub struct Bug {
    name: &'static str,
    place: Place,
}

/// Where a bug sits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg(feature = "teeth")]
enum Place {
    Port(PortFlaw),
    Scorer,
    Fanout,
}

/// Every bug, those at the ports first.
#[must_use]
#[cfg(feature = "teeth")]
pub fn bugs() -> Vec<Bug> {
    let ports = PortFlaw::ALL.iter().map(|flaw| Bug { name: flaw.name(), place: Place::Port(*flaw) });
    let scorer = kinesis_scorer::TEETH.iter().map(|name| Bug { name, place: Place::Scorer });
    let fanout = alert_fanout::TEETH.iter().map(|name| Bug { name, place: Place::Fanout });
    ports.chain(scorer).chain(fanout).collect()
}

/// Seeds one bug in one run after the other until it is caught. On the thread that asks, no other bug is seeded meanwhile.
///
/// # Errors
/// As [`judge`].
#[cfg(feature = "teeth")]
pub fn bite(bug: Bug, seeds: u64) -> anyhow::Result<Bite> {
    let (place, flaw) = match bug.place {
        Place::Port(flaw) => ("port", Some(flaw)),
        Place::Scorer => ("scorer", None),
        Place::Fanout => ("fan-out", None),
    };
    kinesis_scorer::bite((bug.place == Place::Scorer).then_some(bug.name));
    alert_fanout::bite((bug.place == Place::Fanout).then_some(bug.name));
    let variation = Variation { flaw, ..Variation::default() };
    let mut caught = None;
    for seed in 0..seeds {
        if let Some(first) = judge(seed, &variation)?.violations.first() {
            caught = Some((seed, first.check));
            break;
        }
    }
    kinesis_scorer::bite(None);
    alert_fanout::bite(None);
    Ok(Bite { bug: bug.name, place, caught })
}
