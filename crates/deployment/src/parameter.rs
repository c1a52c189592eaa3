//! A parameter of a template, and what may be its value: checked before anything has changed.
//!
//! CloudFormation checks the same, but a stack at a time: the fourth stack's mistake would be found when three are deployed.

use std::fmt::Write as _;

/// A parameter.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Parameter {
    /// Name.
    pub name: String,
    /// Value where none is given; without one it has to be given.
    pub default: Option<String>,
    allowed: Vec<String>,
    pattern: Option<String>,
    min: Option<String>,
    max: Option<String>,
    remark: Option<String>,
}

impl Parameter {
    pub(crate) fn named(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// Takes a line of the template. What is not about values is passed over.
    pub(crate) fn learn(&mut self, key: &str, value: &str) {
        match key {
            "Default" => self.default = Some(scalar(value)),
            "AllowedPattern" => self.pattern = Some(scalar(value)),
            "MinValue" => self.min = Some(scalar(value)),
            "MaxValue" => self.max = Some(scalar(value)),
            "ConstraintDescription" => self.remark = Some(scalar(value)),
            "AllowedValues" => {
                let list = value.trim_start_matches('[').trim_end_matches(']');
                self.allowed = list.split(',').map(|one| scalar(one.trim())).collect();
            }
            _ => {}
        }
    }

    /// What is wrong with a value, or `None` for one that CloudFormation would take.
    #[must_use]
    pub fn objection(&self, value: &str) -> Option<String> {
        let mut words = String::new();
        if !self.allowed.is_empty() && !self.allowed.iter().any(|allowed| allowed == value) {
            let _written = write!(words, "must be one of {}", self.allowed.join(", "));
        } else if let Some(pattern) = &self.pattern
            && !regex_lite::Regex::new(&format!("^(?:{pattern})$")).is_ok_and(|pattern| pattern.is_match(value))
        {
            let _written = write!(words, "must be {}", self.remark.as_ref().unwrap_or(pattern));
        } else if !self.is_within(value) {
            let (min, max) = (self.min.as_deref().unwrap_or("any"), self.max.as_deref().unwrap_or("any"));
            let _written = write!(words, "must be a number from {min} to {max}");
        }
        (!words.is_empty()).then(|| format!("{words}, got `{value}`"))
    }

    fn is_within(&self, value: &str) -> bool {
        let number = |text: &str| text.parse::<f64>().ok().filter(|number| number.is_finite());
        let bound = |bound: &Option<String>| bound.as_deref().and_then(number);
        let (min, max) = (bound(&self.min), bound(&self.max));
        (min.is_none() && max.is_none())
            || number(value)
                .is_some_and(|value| min.is_none_or(|min| min <= value) && max.is_none_or(|max| value <= max))
    }
}

/// A scalar of YAML: quoted as JSON would, or plain.
fn scalar(text: &str) -> String {
    serde_json::from_str(text).ok().filter(|_| text.starts_with('"')).unwrap_or_else(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use crate::template;

    #[track_caller]
    fn check(template: &template::Template, name: &str, value: &str, words: Option<&str>) {
        let parameter = template.parameters().into_iter().find(|parameter| parameter.name == name).unwrap();
        let said = parameter.objection(value);
        assert_eq!(said.is_some(), words.is_some(), "{said:?}");
        assert!(words.is_none_or(|words| said.as_ref().unwrap().contains(words)), "{said:?}");
    }

    #[test]
    fn a_value_outside_its_bounds_is_refused_with_the_bounds() {
        check(&template::STORAGE, "SnapshotDays", "30", None);
        check(&template::STORAGE, "SnapshotDays", "6", Some("7 to 3650, got `6`"));
        check(&template::STORAGE, "SnapshotDays", "many", Some("7 to 3650"));
        check(&template::STORAGE, "Standing", "third", Some("primary, dr"));
        check(&template::STORAGE, "Environment", "Prod", Some("1 to 11 of a-z"));
        check(&template::OBSERVABILITY, "AlarmEmail", "duty@example.com", None);
        check(&template::OBSERVABILITY, "AlarmEmail", "duty at example.com", Some("one address"));
        check(&template::PIPELINE, "LogDays", "7", None);
        check(&template::ALERTS, "LogLevel", "off", None);
    }

    #[test]
    fn every_default_is_allowed_by_its_own_template() {
        for template in crate::plan::TEMPLATES {
            let parameters = template.parameters();
            assert_eq!(parameters.is_empty(), template.name == "artifacts", "{}", template.name);
            for parameter in parameters {
                let said = parameter.default.as_ref().and_then(|default| parameter.objection(default));
                assert_eq!(said, None, "{} of {}", parameter.name, template.name);
            }
        }
    }
}
