//! Texts that repeat, kept once a batch and named by a number.

use std::hash::BuildHasher as _;

use foldhash::quality::RandomState;

/// The distinct texts of one column, in the order in which they came first. Its room is kept from batch to batch.
///
/// Telemetry is periodic: the metrics of a device, and the devices of a gateway, come round in the same order. So the text
/// that followed the last one before is tried first, and most lookups are one comparison.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// The texts one after the other, and where each ends.
    text: String,
    ends: Vec<usize>,
    /// Number of a text plus one by its hash, 0 where there is none; at most half full. The hash has a seed of the process
    /// against names that were chosen to collide, and nothing follows its order.
    slots: Vec<u32>,
    hash: RandomState,
    followed_by: Vec<u32>,
    last: u32,
}

impl Names {
    pub(super) fn number(&mut self, text: &str) -> u32 {
        let guess = self.followed_by.get(self.last as usize).copied().unwrap_or_default();
        if self.get(guess) == Some(text) {
            self.last = guess;
            return guess;
        }
        let number = self.find_or_add(text);
        if let Some(next) = self.followed_by.get_mut(self.last as usize) {
            *next = number;
        }
        self.last = number;
        number
    }

    fn find_or_add(&mut self, text: &str) -> u32 {
        if self.slots.len() < 2 * (self.ends.len() + 1) {
            self.grow();
        }
        let slot = self.slot(text);
        if let Some(number) = self.slots[slot].checked_sub(1) {
            return number;
        }
        let number = self.ends.len() as u32;
        self.text.push_str(text);
        self.ends.push(self.text.len());
        self.followed_by.push(number);
        self.slots[slot] = number + 1;
        number
    }

    /// Where `text` is, or is to be.
    fn slot(&self, text: &str) -> usize {
        let mask = self.slots.len() - 1;
        let mut slot = self.hash.hash_one(text) as usize & mask;
        while self.slots[slot].checked_sub(1).is_some_and(|number| self.get(number) != Some(text)) {
            slot = (slot + 1) & mask;
        }
        slot
    }

    fn grow(&mut self) {
        let len = (2 * self.slots.len()).max(64);
        self.slots.clear();
        self.slots.resize(len, 0);
        for number in 0..self.ends.len() as u32 {
            let slot = self.slot(self.get(number).unwrap_or_default());
            self.slots[slot] = number + 1;
        }
    }

    fn get(&self, number: u32) -> Option<&str> {
        let end = *self.ends.get(number as usize)?;
        let start = number.checked_sub(1).map_or(0, |before| self.ends[before as usize]);
        self.text.get(start..end)
    }

    /// The texts in the order of their numbers.
    pub(super) fn texts(&self) -> impl Iterator<Item = &str> {
        (0..self.ends.len() as u32).filter_map(|number| self.get(number))
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
        self.slots.fill(0);
        self.followed_by.clear();
        self.last = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_has_one_number_whatever_came_before_it() {
        let mut names = Names::default();
        let numbers: Vec<u32> = ["a", "b", "a", "c", "b", "b", "a"].iter().map(|text| names.number(text)).collect();
        assert_eq!(numbers, [0, 1, 0, 2, 1, 1, 0]);
        assert_eq!(names.texts().collect::<Vec<_>>(), ["a", "b", "c"]);
        names.clear();
        assert_eq!(names.number("z"), 0);
    }

    #[test]
    fn thousands_of_texts_keep_their_numbers() {
        let mut names = Names::default();
        for _ in 0..2 {
            for number in 0..5_000 {
                assert_eq!(names.number(&format!("device-{number}")), number);
            }
        }
        assert_eq!(names.len(), 5_000);
        assert_eq!(names.number(""), 5_000);
    }
}
