//! What a training is told: SageMaker's hyperparameters, which are all texts.
//!
//! | name | means | default |
//! |---|---|---|
//! | `kind` | `engine` or `forest` | none: it must be told |
//! | `model` | its name, 1 to 40 letters, digits and dashes | none: it must be told |
//! | `version` | its version, 1 to 20 letters, digits, dashes and dots | `1` |
//! | `tenant` | whose rows they are | none: it must be told |
//! | `columns` | columns of CSV without a head: `device`, `ts`, metrics, `tenant`, `-` for what is passed over | none |
//! | `format` | `auto`, `csv`, `jsonl` or `history` | `auto` |
//! | `devices` | patterns of the devices to learn from, with commas between them | all |
//! | `trees` | of a forest, 10 to 500 | 100 |
//! | `sample` | rows that a tree keeps, 32 to 4096 | 256 |
//! | `seed` | of a forest | 1 |
//!
//! All are checked, and every mistake is told at once; one that is not known is a mistake, because a misspelt one would do
//! nothing.

use std::collections::BTreeMap;

use anomaly_core::TenantName;
use anomaly_core::profile::matches_pattern;
use telemetry::profile::PATTERN_BYTES_MAX;

use crate::card::Kind;
use crate::data::Format;
use crate::row::Columns;

/// Longest name of a model, in bytes. With a version behind it, it is the `model` of a job of batch inference.
const MODEL_BYTES_MAX: usize = 40;
/// Longest version, in bytes.
const VERSION_BYTES_MAX: usize = 20;
/// Most patterns.
const PATTERNS_MAX: usize = 256;
/// What may be told.
const NAMES: [&str; 10] =
    ["kind", "model", "version", "tenant", "columns", "format", "devices", "trees", "sample", "seed"];

/// What a training is told, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hyperparameters {
    /// What kind of model.
    pub kind: Kind,
    /// Its name.
    pub model: String,
    /// Its version.
    pub version: String,
    /// Whose rows it learns from.
    pub tenant: String,
    /// The columns of CSV without a head.
    pub columns: Option<Columns>,
    /// How files are read.
    pub format: Format,
    /// Patterns of the devices that it learns from; empty for all.
    pub devices: Vec<String>,
    /// How a forest is grown.
    pub forest: ForestSettings,
}

/// How a forest is grown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ForestSettings {
    /// Trees.
    pub trees: u32,
    /// Rows that a tree keeps.
    pub sample: u32,
    /// Chooses cuts and rows.
    pub seed: u64,
}

impl Default for ForestSettings {
    fn default() -> Self {
        Self { trees: 100, sample: 256, seed: 1 }
    }
}

/// Everything that is wrong with them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("hyperparameters: {}", .0.join("; "))]
pub struct HyperparameterErrors(pub Vec<String>);

/// Whether this can be the name of a model.
#[must_use]
pub fn is_model_name(text: &str) -> bool {
    is_word(text, MODEL_BYTES_MAX, b"-")
}

/// Whether this can be the version of a model.
#[must_use]
pub fn is_version(text: &str) -> bool {
    is_word(text, VERSION_BYTES_MAX, b"-.")
}

fn is_word(text: &str, bytes_max: usize, also: &[u8]) -> bool {
    (1..=bytes_max).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || also.contains(&byte))
        && text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric())
}

impl Hyperparameters {
    /// Reads them.
    ///
    /// # Errors
    /// [`HyperparameterErrors`] with every mistake.
    pub fn new(texts: &BTreeMap<String, String>) -> Result<Self, HyperparameterErrors> {
        let mut read = Reading { texts, mistakes: Vec::new() };
        for name in texts.keys().filter(|name| !NAMES.contains(&name.as_str())) {
            read.mistakes.push(format!("`{}` is not known; there are {}", name.escape_debug(), NAMES.join(", ")));
        }
        let kinds = [("engine", Kind::Engine), ("forest", Kind::Forest)];
        let formats =
            [("auto", Format::Auto), ("csv", Format::Csv), ("jsonl", Format::JsonLines), ("history", Format::History)];
        let defaults = ForestSettings::default();
        let hyperparameters = Self {
            kind: read.one_of("kind", &kinds, None).unwrap_or(Kind::Forest),
            model: read.word("model", None, MODEL_BYTES_MAX, is_model_name),
            version: read.word("version", Some("1"), VERSION_BYTES_MAX, is_version),
            tenant: read.tenant(),
            columns: read.columns(),
            format: read.one_of("format", &formats, Some(Format::Auto)).unwrap_or_default(),
            devices: read.devices(),
            forest: ForestSettings {
                trees: read.number("trees", 10, 500, u64::from(defaults.trees)) as u32,
                sample: read.number("sample", 32, 4_096, u64::from(defaults.sample)) as u32,
                seed: read.number("seed", 0, u64::MAX, defaults.seed),
            },
        };
        if hyperparameters.format == Format::Csv && hyperparameters.columns.is_none() && !texts.contains_key("columns")
        {
            read.mistakes.push("`format` is `csv`, which needs `columns`".to_owned());
        }
        if read.mistakes.is_empty() { Ok(hyperparameters) } else { Err(HyperparameterErrors(read.mistakes)) }
    }

    /// Whether the model learns from this device.
    #[must_use]
    pub fn covers(&self, device: &str) -> bool {
        self.devices.is_empty() || self.devices.iter().any(|pattern| matches_pattern(pattern, device))
    }
}

struct Reading<'t> {
    texts: &'t BTreeMap<String, String>,
    mistakes: Vec<String>,
}

impl Reading<'_> {
    /// A text that is not empty.
    fn text(&self, name: &str) -> Option<&str> {
        self.texts.get(name).map(|text| text.trim()).filter(|text| !text.is_empty())
    }

    fn one_of<T: Copy>(&mut self, name: &str, choices: &[(&str, T)], default: Option<T>) -> Option<T> {
        let text = self.text(name);
        if text.is_none() && default.is_some() {
            return default;
        }
        let found = text.and_then(|text| choices.iter().find(|(word, _)| *word == text));
        if found.is_none() {
            let words: Vec<String> = choices.iter().map(|(word, _)| format!("`{word}`")).collect();
            let (words, found) = (words.join(" or "), said(text));
            self.mistakes.push(format!("`{name}` must be {words}, {found}"));
        }
        found.map(|(_, meaning)| *meaning)
    }

    fn word(&mut self, name: &str, default: Option<&str>, bytes_max: usize, fits: impl Fn(&str) -> bool) -> String {
        let text = self.text(name).or(default);
        if let Some(text) = text.filter(|text| fits(text)) {
            return text.to_owned();
        }
        let found = said(text);
        self.mistakes.push(format!("`{name}` must have 1 to {bytes_max} letters, digits and dashes, {found}"));
        String::new()
    }

    fn tenant(&mut self) -> String {
        let text = self.text("tenant").unwrap_or_default().to_owned();
        if text.is_empty() {
            self.mistakes.push("`tenant` is not set: whose rows are they?".to_owned());
        } else if let Err(error) = TenantName::new(&text) {
            self.mistakes.push(format!("`tenant`: {error}"));
        }
        text
    }

    fn columns(&mut self) -> Option<Columns> {
        let names = self.text("columns")?.to_owned();
        match Columns::new(names.split(',')) {
            Ok(columns) => Some(columns),
            Err(mistakes) => {
                self.mistakes.extend(mistakes.into_iter().map(|mistake| format!("`columns`: {mistake}")));
                None
            }
        }
    }

    fn devices(&mut self) -> Vec<String> {
        let patterns = self.text("devices").unwrap_or_default().split(',').map(str::trim);
        let patterns: Vec<String> = patterns.filter(|pattern| !pattern.is_empty()).map(str::to_owned).collect();
        if patterns.len() > PATTERNS_MAX || patterns.iter().any(|pattern| pattern.len() > PATTERN_BYTES_MAX) {
            let most = format!("at most {PATTERNS_MAX} patterns of at most {PATTERN_BYTES_MAX} bytes");
            self.mistakes.push(format!("`devices` may have {most}"));
        }
        patterns
    }

    fn number(&mut self, name: &str, low: u64, high: u64, default: u64) -> u64 {
        let Some(text) = self.text(name) else { return default };
        if let Some(number) = text.parse().ok().filter(|number| (low..=high).contains(number)) {
            return number;
        }
        let found = said(Some(text));
        self.mistakes.push(format!("`{name}` must be a whole number from {low} to {high}, {found}"));
        default
    }
}

fn said(text: Option<&str>) -> String {
    text.map_or_else(|| "it is not set".to_owned(), |text| format!("got `{}`", text.escape_debug()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(texts: &[(&str, &str)]) -> Result<Hyperparameters, HyperparameterErrors> {
        Hyperparameters::new(&texts.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect())
    }

    #[test]
    fn what_is_told_is_taken_and_the_rest_is_the_default() {
        let least = read(&[("kind", "engine"), ("model", "pumps"), ("tenant", "acme")]).unwrap();
        assert_eq!((least.kind, least.version.as_str(), least.format), (Kind::Engine, "1", Format::Auto));
        assert_eq!((least.forest, least.columns.is_none()), (ForestSettings::default(), true));
        assert!(least.covers("anything"));
        let all = read(&[
            ("kind", "forest"),
            ("model", "pumps"),
            ("version", "2026-11.3"),
            ("tenant", "acme"),
            ("columns", "device, ts, -, t"),
            ("format", "csv"),
            ("devices", "pump-*, oven-1"),
            ("trees", "50"),
            ("sample", "512"),
            ("seed", "18446744073709551615"),
        ])
        .unwrap();
        assert_eq!(all.forest, ForestSettings { trees: 50, sample: 512, seed: u64::MAX });
        assert!(all.covers("pump-9") && all.covers("oven-1") && !all.covers("oven-2"));
        assert_eq!(all.columns.unwrap().names().collect::<Vec<_>>(), ["device", "ts", "-", "t"]);
    }

    #[test]
    fn every_mistake_is_told_at_once() {
        let HyperparameterErrors(mistakes) = read(&[
            ("kind", "tree"),
            ("model", "a/b"),
            ("version", "-1"),
            ("columns", "ts"),
            ("format", "xml"),
            ("trees", "5"),
            ("sample", "1e3"),
            ("seed", "-1"),
            ("sed", "1"),
        ])
        .unwrap_err();
        for part in [
            "`sed` is not known; there are kind, model",
            "`kind` must be `engine` or `forest`, got `tree`",
            "`model` must have 1 to 40",
            "`version` must have 1 to 20",
            "`tenant` is not set",
            "`columns`: `device` is not among them",
            "`columns`: 0 metrics",
            "`format` must be",
            "`trees` must be a whole number from 10 to 500, got `5`",
            "`sample`",
            "`seed`",
        ] {
            assert!(mistakes.iter().any(|mistake| mistake.starts_with(part)), "{part}: {mistakes:#?}");
        }
        assert_eq!(mistakes.len(), 11, "{mistakes:#?}");
        let told = read(&[("kind", "engine"), ("model", "m"), ("tenant", "t"), ("format", "csv")]).unwrap_err();
        assert!(told.to_string().contains("needs `columns`"));
    }
}
