//! What the stores of the regions do while nobody calls: late writes land, and what was committed is noted.

use super::site::Committed;
use super::{Run, STREAM};

impl Run {
    pub(super) fn late(&self) -> usize {
        self.regions.iter().map(|region| region.site.store.late()).sum()
    }

    /// Notes what was committed, before anything arrives from the other region.
    pub(super) fn note_commits(&mut self) {
        for region in &mut self.regions {
            let new = region.site.store.commits_from(region.commits_seen);
            region.commits_seen += new.len();
            let (index, epoch) = (region.site.region, region.site.store.epoch(STREAM));
            self.commits.extend(new.into_iter().map(|commit| Committed {
                region: index,
                commit,
                at_ms: self.now_ms,
                epoch: epoch.clone(),
            }));
        }
    }

    pub(super) fn land_everything(&mut self) {
        while self.late() > 0 {
            self.land(0);
        }
    }

    /// A late write lands, counted over all regions.
    pub(super) fn land(&mut self, mut index: usize) {
        self.note("a late write lands");
        for region in &self.regions {
            let late = region.site.store.late();
            if index < late {
                return region.site.store.land_one(index);
            }
            index -= late;
        }
    }
}
