//! What one region writes arrives in the other: each item and object on its own, late, in any order.

use platform::sim::Written;

use super::Run;
use crate::chance::Chance;

/// Something on its way.
struct Piece {
    from: usize,
    due_ms: i64,
    written: Written,
}

/// What is on its way between the regions.
pub(super) struct Replication {
    pieces: Vec<Piece>,
    chance: Chance,
    late_ms: i64,
}

impl Replication {
    pub(super) fn new(chance: Chance, late_ms: i64) -> Self {
        Self { pieces: Vec::new(), chance, late_ms }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.pieces.is_empty()
    }
}

impl Run {
    /// Sends what was written and delivers what is due. A region that is lost neither sends nor gets anything; what it has
    /// written goes on its way when it is back.
    pub(super) fn replicate(&mut self) {
        if self.regions.len() < 2 {
            return;
        }
        let Replication { pieces, chance, late_ms } = &mut self.replication;
        for from in 0..self.regions.len() {
            for written in self.regions[from].site.store.written() {
                // Mostly soon, some much later than others.
                let most = if chance.happens(0.2) { *late_ms } else { *late_ms / 10 };
                pieces.push(Piece { from, due_ms: self.now_ms + chance.within(0, most), written });
            }
        }
        if self.regions.iter().any(|region| region.down) {
            return;
        }
        let now_ms = self.now_ms;
        for piece in pieces.extract_if(.., |piece| piece.due_ms <= now_ms) {
            self.regions[1 - piece.from].site.store.receive(piece.written);
        }
    }

    /// Everything arrives, whenever it was due.
    pub(super) fn replicate_everything(&mut self) {
        self.replicate();
        for piece in std::mem::take(&mut self.replication.pieces) {
            self.regions[1 - piece.from].site.store.receive(piece.written);
        }
    }
}
