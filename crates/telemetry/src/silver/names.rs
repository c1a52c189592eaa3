//! Texts that repeat, kept once a batch and named by a number.

use std::collections::HashMap;

/// The distinct texts of one column.
///
/// Telemetry is periodic: the metrics of a device, and the devices of a gateway, come round in the same order. So the text
/// that followed the last one before is tried first, and most lookups are one comparison.
#[derive(Debug, Default)]
pub(super) struct Names {
    texts: Vec<Box<str>>,
    index: HashMap<Box<str>, u32>,
    followed_by: Vec<u32>,
    last: u32,
}

impl Names {
    pub(super) fn number(&mut self, text: &str) -> u32 {
        let guess = self.followed_by.get(self.last as usize).copied().unwrap_or_default();
        if self.texts.get(guess as usize).is_some_and(|known| **known == *text) {
            self.last = guess;
            return guess;
        }
        let number = self.index.get(text).copied().unwrap_or_else(|| self.add(text));
        if let Some(next) = self.followed_by.get_mut(self.last as usize) {
            *next = number;
        }
        self.last = number;
        number
    }

    fn add(&mut self, text: &str) -> u32 {
        let number = self.texts.len() as u32;
        self.texts.push(text.into());
        self.followed_by.push(number);
        self.index.insert(text.into(), number);
        number
    }

    /// The texts in the order of their numbers.
    pub(super) fn texts(&self) -> impl Iterator<Item = &str> {
        self.texts.iter().map(|text| &**text)
    }

    pub(super) fn len(&self) -> usize {
        self.texts.len()
    }

    pub(super) fn clear(&mut self) {
        self.texts.clear();
        self.index.clear();
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
}
