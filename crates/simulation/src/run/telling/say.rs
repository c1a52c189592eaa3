//! Who tells people is moved after the stream: at once, or when the region that tells is at rest and all it has written has
//! arrived.

use alert_fanout::active;

use super::super::{REGIONS, Run};

impl Run {
    /// Gives the say to the first region, in both: that is what is stored before there is anything to tell.
    pub(in super::super) async fn begin_telling(&mut self) {
        if self.regions.len() < 2 {
            return;
        }
        let (store, now) = (self.regions[0].site.store.clone(), self.now());
        if let Err(error) = active::switch(&store, REGIONS[0], now).await {
            self.violate("telling", format!("the say is not given: {error}"));
        }
        for written in store.written() {
            self.regions[1].site.store.receive(written);
        }
    }

    /// The say is to move away from this region, which is waited for.
    pub(super) fn is_moving_from(&self, region: usize) -> bool {
        !self.plan.telling.is_sudden && self.telling.say == region && self.telling.wanted != region
    }

    /// Moves the say after the stream.
    pub(super) async fn move_say(&mut self) {
        self.telling.wanted = self.live;
        let (from, to) = (self.telling.say, self.telling.wanted);
        if from == to || self.regions[to].down {
            return;
        }
        let is_sudden = self.plan.telling.is_sudden;
        let busy = self.telling.tasks.iter().any(|task| task.region == from);
        let late = self.regions[from].site.store.late() > 0;
        let is_at_rest = !self.regions[from].down && !busy && !late && self.replication.is_idle();
        if !is_sudden && !is_at_rest {
            return;
        }
        // Calmly it is the one that told who gives it away; at once it is the other one who takes it.
        let place = if is_sudden { to } else { from };
        let (store, now) = (self.regions[place].site.store.clone(), self.now());
        self.telling.told.was_sudden |= is_sudden;
        self.note(&format!("from here on {} tells people", REGIONS[to]));
        match active::switch(&store, REGIONS[to], now).await {
            Ok(_) => self.telling.say = to,
            Err(error) => self.violate("telling", format!("the say is not moved: {error}")),
        }
    }
}
