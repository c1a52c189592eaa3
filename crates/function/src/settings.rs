//! Settings from one lookup function, every mistake reported at once.
//!
//! A variable that is empty counts as not set: a template cannot leave one out. Who reads a value that is wrong gets the
//! default and goes on, so that the next mistake is found too; [`Settings::finish`] then refuses the whole.

use std::fmt;
use std::ops::RangeInclusive;

use anomaly_core::TenantName;

/// Everything that is wrong with the settings, each in words: which, what it must be, what it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid configuration: {}", .0.join("; "))]
pub struct SettingsError(pub Vec<String>);

/// Reads settings, and collects what is wrong with them.
pub struct Settings<L> {
    lookup: L,
    mistakes: Vec<String>,
}

impl<L> fmt::Debug for Settings<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values are not shown: the lookup also knows keys.
        f.debug_struct("Settings").field("mistakes", &self.mistakes.len()).finish_non_exhaustive()
    }
}

impl<L: Fn(&str) -> Option<String>> Settings<L> {
    /// Settings by `lookup`, which answers a variable's value.
    pub fn new(lookup: L) -> Self {
        Self { lookup, mistakes: Vec::new() }
    }

    /// Any text.
    pub fn optional(&self, name: &str) -> Option<String> {
        (self.lookup)(name).filter(|value| !value.is_empty())
    }

    /// Any text; not to be set is a mistake.
    pub fn required(&mut self, name: &str) -> String {
        self.optional(name).unwrap_or_else(|| {
            self.mistakes.push(format!("{name} is not set"));
            String::new()
        })
    }

    /// A whole number within `bounds`.
    pub fn number(&mut self, name: &str, bounds: RangeInclusive<u32>, default: u32) -> u32 {
        let expected = format!("{} to {}", bounds.start(), bounds.end());
        self.parsed(name, &expected, default, |text| text.parse().ok().filter(|number| bounds.contains(number)))
    }

    /// `true` or `false`.
    pub fn switch(&mut self, name: &str, default: bool) -> bool {
        self.one_of(name, &[("true", true), ("false", false)], default)
    }

    /// One of some words, each with what it means.
    pub fn one_of<T: Copy>(&mut self, name: &str, choices: &[(&str, T)], default: T) -> T {
        let words: Vec<String> = choices.iter().map(|(word, _)| format!("`{word}`")).collect();
        let meaning = |text: &str| choices.iter().find(|(word, _)| *word == text).map(|(_, meaning)| *meaning);
        self.parsed(name, &words.join(" or "), default, meaning)
    }

    /// A region of AWS by its name, as far as the letters tell.
    pub fn region(&mut self, name: &str) -> Option<String> {
        let is_known = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let region = |text: &str| text.bytes().all(is_known).then(|| Some(text.to_owned()));
        self.parsed(name, "a region like `eu-west-1`", None, region)
    }

    /// A tenant's name.
    pub fn tenant(&mut self, name: &str) -> Option<String> {
        let text = self.optional(name)?;
        if let Err(error) = TenantName::new(&text) {
            self.mistakes.push(format!("{name}: {error}"));
        }
        Some(text)
    }

    /// What `parse` makes of the text; where it makes nothing of it, the mistake is that it must be what `expected` says.
    pub fn parsed<T>(&mut self, name: &str, expected: &str, default: T, parse: impl Fn(&str) -> Option<T>) -> T {
        let Some(text) = self.optional(name) else { return default };
        parse(&text).unwrap_or_else(|| {
            self.mistakes.push(format!("{name} must be {expected}, got `{}`", text.escape_debug()));
            default
        })
    }

    /// What was made of the settings, if nothing was wrong with any.
    ///
    /// # Errors
    /// [`SettingsError`] with every mistake, not only the first.
    pub fn finish<T>(self, made: T) -> Result<T, SettingsError> {
        if self.mistakes.is_empty() { Ok(made) } else { Err(SettingsError(self.mistakes)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(set: &[(&'static str, &'static str)]) -> Settings<impl Fn(&str) -> Option<String>> {
        let set = set.to_vec();
        Settings::new(move |name| set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn what_is_set_is_read() {
        let mut read =
            settings(&[("N", "7"), ("S", "true"), ("W", "b"), ("R", "eu-west-1"), ("T", "acme"), ("X", "x")]);
        assert_eq!((read.number("N", 1..=7, 2), read.switch("S", false)), (7, true));
        assert_eq!(read.one_of("W", &[("a", 1), ("b", 2)], 1), 2);
        assert_eq!((read.region("R").as_deref(), read.tenant("T").as_deref()), (Some("eu-west-1"), Some("acme")));
        assert_eq!(read.required("X"), "x");
        assert_eq!(read.finish("made"), Ok("made"));
    }

    #[test]
    fn what_is_not_set_or_empty_is_the_default() {
        let mut read = settings(&[("N", ""), ("R", "")]);
        assert_eq!((read.number("N", 1..=7, 2), read.switch("S", true), read.region("R")), (2, true, None));
        assert_eq!((read.one_of("W", &[("a", 1)], 5), read.tenant("T"), read.optional("X")), (5, None, None));
        assert_eq!(read.finish(()), Ok(()));
    }

    #[test]
    fn every_mistake_is_reported_at_once_with_limit_and_value() {
        let mut read = settings(&[("N", "8"), ("S", "yes"), ("W", "c\n"), ("R", "eu west"), ("T", "a/b"), ("P", "-1")]);
        read.required("X");
        read.number("N", 1..=7, 2);
        read.number("P", 0..=7, 2);
        read.switch("S", false);
        read.one_of("W", &[("a", 1), ("b", 2)], 1);
        read.region("R");
        read.tenant("T");
        let error = read.finish(()).unwrap_err();
        assert_eq!(error.0.len(), 7, "{error}");
        let told = error.to_string();
        assert!(told.starts_with("invalid configuration: X is not set; "), "{told}");
        for part in [
            "N must be 1 to 7, got `8`",
            "P must be 0 to 7, got `-1`",
            "S must be `true` or `false`, got `yes`",
            r"W must be `a` or `b`, got `c\n`",
            "R must be a region like `eu-west-1`, got `eu west`",
            "T: tenant name `a/b`",
        ] {
            assert!(told.contains(part), "{told}");
        }
    }

    #[test]
    fn a_value_is_not_shown_with_the_reader() {
        let read = settings(&[("KEY", "hidden")]);
        assert!(!format!("{read:?}").contains("hidden"));
    }
}
