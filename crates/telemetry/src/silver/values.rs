//! The column of measured values: a dictionary while it is small.
//!
//! Sensors have few digits, so values repeat, and a dictionary is half the size of anything else. Past
//! [`DICTIONARY_MAX`] distinct values in a batch it no longer is: the rest of the batch goes without.

use super::encode::Runs;

/// Most entries of the dictionary.
pub(super) const DICTIONARY_MAX: usize = 4096;

/// Slots of the table: a quarter full at most, so that most lookups end at once.
const SLOTS: usize = 4 * DICTIONARY_MAX;

/// Values in the order of the rows.
#[derive(Debug, Default)]
pub(super) struct Values {
    /// Distinct values in the order in which they came first.
    pub(super) dictionary: Vec<f64>,
    /// The first rows, by number.
    pub(super) numbered: Runs,
    /// How many rows that are.
    pub(super) numbered_rows: usize,
    /// The rows after them.
    pub(super) plain: Vec<f64>,
    /// Number of an entry plus one by hash; 0 is free.
    slots: Vec<u16>,
}

impl Values {
    pub(super) fn push(&mut self, value: f64) {
        if !self.plain.is_empty() {
            return self.plain.push(value);
        }
        match self.number(value) {
            Some(number) => {
                self.numbered.push(number, 1);
                self.numbered_rows += 1;
            }
            None => self.plain.push(value),
        }
    }

    /// The entry that has the very bits of `value`; `None` if it is not there and there is no room.
    fn number(&mut self, value: f64) -> Option<u32> {
        if self.slots.is_empty() {
            self.slots.resize(SLOTS, 0);
        }
        // Fibonacci hashing (Knuth, The Art of Computer Programming, volume 3, 6.4): the upper bits of the product.
        let hash = value.to_bits().wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (u64::BITS - SLOTS.trailing_zeros());
        let mut slot = hash as usize;
        loop {
            let entry = self.slots[slot];
            if entry == 0 {
                break;
            }
            let number = usize::from(entry - 1);
            if self.dictionary[number].to_bits() == value.to_bits() {
                return Some(number as u32);
            }
            slot = (slot + 1) % SLOTS;
        }
        if self.dictionary.len() == DICTIONARY_MAX {
            return None;
        }
        self.dictionary.push(value);
        self.slots[slot] = self.dictionary.len() as u16;
        Some(self.dictionary.len() as u32 - 1)
    }

    pub(super) fn clear(&mut self) {
        self.dictionary.clear();
        self.numbered.clear();
        self.numbered_rows = 0;
        self.plain.clear();
        self.slots.fill(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_repeats_is_kept_once_and_the_rest_goes_without_a_dictionary_when_it_is_full() {
        let mut values = Values::default();
        for round in 0..2 {
            for value in 0..DICTIONARY_MAX {
                values.push(value as f64 / 10.0);
            }
            assert_eq!(values.numbered_rows, DICTIONARY_MAX * (round + 1));
        }
        for value in [-1.0, 0.1] {
            values.push(value);
        }
        assert_eq!((values.dictionary.len(), values.plain.as_slice()), (DICTIONARY_MAX, [-1.0, 0.1].as_slice()));
        values.clear();
        values.push(0.0);
        values.push(-0.0);
        assert_eq!(values.dictionary.len(), 2, "zeros differ by their sign");
    }
}
