//! The stream is moved to the other region, and back.

use platform::model::Epoch;

use super::site::{REGIONS, Switch};
use super::{Phase, Run, STREAM};

impl Run {
    /// Moves the stream. `false`: it is to happen calmly, and the region that has the say is still at work.
    pub(super) fn switch(&mut self, to: usize, calm: bool, lost: bool) -> bool {
        if self.regions.len() < 2 || self.live == to {
            return true;
        }
        let from = self.live;
        if calm {
            self.regions[from].down = false;
            let busy = self.tasks.iter().any(|task| task.region == from);
            let region = &self.regions[from];
            let done = region.mapping.is_drained(&region.site.stream) && !busy;
            if !(done && self.replication.is_idle()) {
                return false;
            }
        }
        self.regions[to].down = false;
        self.regions[from].down = lost && self.phase == Phase::Troubled;
        self.live = to;
        let name = REGIONS[to];
        let how = match (calm, lost) {
            (true, _) => ", which has caught up",
            (false, true) => ", the other one is lost",
            (false, false) => "",
        };
        self.note(&format!("the stream is moved to {name}{how}"));
        self.begin_epoch(calm);
        true
    }

    /// The region that records go to is told that it has the say.
    pub(super) fn begin_epoch(&mut self, calm: bool) {
        self.epoch += 1;
        let (epoch, to) = (self.epoch, self.live);
        let next = Epoch { epoch, active: REGIONS[to].to_owned(), is_fenced: false, since: self.now() };
        self.regions[to].site.store.place_epoch(STREAM, &next);
        self.switches.push(Switch { epoch, to, records: self.sent.len(), at_ms: self.now_ms, calm });
    }

    /// Where the next record goes; the region that has the say comes first.
    pub(super) fn targets(&mut self) -> Vec<usize> {
        let (live, other) = (self.live, 1 - self.live);
        let Some(pair) = &self.plan.pair else { return vec![live] };
        let (both, astray) = (self.pairing.happens(pair.dual), self.pairing.happens(pair.stray));
        match (both, astray) {
            _ if self.regions[other].down => vec![live],
            (true, _) => vec![live, other],
            (false, true) => vec![other],
            (false, false) => vec![live],
        }
    }
}
