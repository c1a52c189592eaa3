//! How far a shard is done, when parts of it are done out of order.

use std::collections::VecDeque;

use telemetry::sequence::SequenceNumber;

/// The records that were read but are not all done.
#[derive(Debug)]
pub(super) struct Progress {
    /// Everything up to here is done.
    done: Option<SequenceNumber>,
    /// Read after that, in order, and whether each is done.
    read: VecDeque<(SequenceNumber, bool)>,
}

impl Progress {
    pub(super) fn starting_after(done: Option<SequenceNumber>) -> Self {
        Self { done, read: VecDeque::new() }
    }

    /// The position of the reader.
    pub(super) fn read_up_to(&self) -> Option<SequenceNumber> {
        self.read.back().map(|(sequence, _)| *sequence).or(self.done)
    }

    /// Everything up to here is done.
    pub(super) fn done(&self) -> Option<SequenceNumber> {
        self.done
    }

    /// Whether all that was read is done.
    pub(super) fn is_caught_up(&self) -> bool {
        self.read.is_empty()
    }

    pub(super) fn push_read(&mut self, sequence: SequenceNumber) {
        self.read.push_back((sequence, false));
    }

    pub(super) fn mark_done(&mut self, sequence: SequenceNumber) {
        if let Ok(index) = self.read.binary_search_by_key(&sequence, |(read, _)| *read) {
            self.read[index].1 = true;
        }
        while let Some((sequence, _)) = self.read.pop_front_if(|(_, done)| *done) {
            self.done = Some(sequence);
        }
    }
}
