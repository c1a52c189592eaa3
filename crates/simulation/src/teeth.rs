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
    /// Where it sits: at a port, or in the scorer.
    pub place: &'static str,
    /// Which seed it was caught at, and by which check; `None` when it was not.
    pub caught: Option<(u64, &'static str)>,
}

/// A bug that can be seeded.
#[derive(Debug, Clone, Copy)]
#[cfg(feature = "teeth")]
pub struct Bug {
    name: &'static str,
    port: Option<PortFlaw>,
}

/// Every bug, those at the ports first.
#[must_use]
#[cfg(feature = "teeth")]
pub fn bugs() -> Vec<Bug> {
    let ports = PortFlaw::ALL.iter().map(|flaw| Bug { name: flaw.name(), port: Some(*flaw) });
    ports.chain(kinesis_scorer::TEETH.iter().map(|name| Bug { name, port: None })).collect()
}

/// Seeds one bug in one run after the other until it is caught. On the thread that asks, no other bug is seeded meanwhile.
///
/// # Errors
/// As [`judge`].
#[cfg(feature = "teeth")]
pub fn bite(bug: Bug, seeds: u64) -> anyhow::Result<Bite> {
    let place = if bug.port.is_some() { "port" } else { "scorer" };
    kinesis_scorer::bite(bug.port.is_none().then_some(bug.name));
    let variation = Variation { flaw: bug.port, ..Variation::default() };
    let mut caught = None;
    for seed in 0..seeds {
        if let Some(first) = judge(seed, &variation)?.violations.first() {
            caught = Some((seed, first.check));
            break;
        }
    }
    kinesis_scorer::bite(None);
    Ok(Bite { bug: bug.name, place, caught })
}
