//! One value of a profile: of the right type and within its bound, or a mistake at its place.

use std::ops::{Range, RangeInclusive};

use anomaly_core::MetricName;
use toml::Spanned;
use toml::de::{DeArray, DeString, DeTable, DeValue};

use super::mistake::{Mistakes, instead, quoted};
use super::{ASSET_BYTES_MAX, ENTRIES_MAX, PATTERN_BYTES_MAX, SENSITIVITY_MAX, SENSITIVITY_MIN, UNIT_BYTES_MAX};

/// A value and where it stands.
pub(super) type Value<'t> = Spanned<DeValue<'t>>;

/// A value and its place, once it has been checked.
pub(super) type Placed<T> = (T, Range<usize>);

pub(super) fn wrong_type(mistakes: &mut Mistakes, value: &Value<'_>, what: &str, expected: &str) {
    let found = match value.get_ref().type_str() {
        kind @ ("integer" | "array") => format!("an {kind}"),
        kind => format!("a {kind}"),
    };
    mistakes.at(&value.span(), format!("{what} must be {expected}, this is {found}"));
}

pub(super) fn table<'v, 't>(
    mistakes: &mut Mistakes,
    value: &'v Value<'t>,
    what: &str,
    example: &str,
) -> Option<&'v DeTable<'t>> {
    let table = value.get_ref().as_table();
    if table.is_none() {
        wrong_type(mistakes, value, what, &format!("a table, as in `{example}`"));
    }
    table
}

/// A list of at most `max` values; a longer one is not looked into.
pub(super) fn list<'v, 't>(
    mistakes: &mut Mistakes,
    value: &'v Value<'t>,
    (what, example): (&str, &str),
    max: usize,
) -> Option<&'v DeArray<'t>> {
    let Some(list) = value.get_ref().as_array() else {
        wrong_type(mistakes, value, what, &format!("a list, as in `{example}`"));
        return None;
    };
    if list.len() > max {
        mistakes.at(&value.span(), format!("{what} has {} entries, the limit is {max}", list.len()));
        return None;
    }
    Some(list)
}

pub(super) fn text<'v>(mistakes: &mut Mistakes, value: &'v Value<'_>, what: &str, example: &str) -> Option<&'v str> {
    let text = value.get_ref().as_str();
    if text.is_none() {
        wrong_type(mistakes, value, what, &format!("a text in quotes, as in `{example}`"));
    }
    text
}

/// A finite number, written with or without a point.
pub(super) fn number(mistakes: &mut Mistakes, value: &Value<'_>, what: &str) -> Option<f64> {
    let number = match value.get_ref() {
        DeValue::Integer(digits) => i64::from_str_radix(digits.as_str(), digits.radix()).ok().map(|whole| whole as f64),
        DeValue::Float(digits) => digits.as_str().parse().ok(),
        _ => {
            wrong_type(mistakes, value, what, "a number without quotes and unit");
            return None;
        }
    };
    let number = number.filter(|number| number.is_finite());
    if number.is_none() {
        mistakes.at(
            &value.span(),
            format!("{what} must be a finite number below 9.2e18 as a whole or 1.8e308 with a point"),
        );
    }
    number
}

/// A whole number within its bounds, `min` to `max` of a unit.
pub(super) fn whole(
    mistakes: &mut Mistakes,
    value: &Value<'_>,
    (what, unit): (&str, &str),
    bounds: RangeInclusive<u32>,
) -> Option<u32> {
    let DeValue::Integer(digits) = value.get_ref() else {
        wrong_type(mistakes, value, what, "a whole number without quotes and unit");
        return None;
    };
    let whole = u32::from_str_radix(digits.as_str(), digits.radix()).ok().filter(|whole| bounds.contains(whole));
    if whole.is_none() {
        let (min, max) = bounds.into_inner();
        let message = format!("{what} must be {min} to {max} {unit}, this is {}", quoted(digits.as_str()));
        mistakes.at(&value.span(), message);
    }
    whole
}

/// `true` or `false`.
pub(super) fn flag(mistakes: &mut Mistakes, value: &Value<'_>, what: &str) -> Option<bool> {
    let DeValue::Boolean(flag) = value.get_ref() else {
        wrong_type(mistakes, value, what, "`true` or `false` without quotes");
        return None;
    };
    Some(*flag)
}

pub(super) fn sensitivity(mistakes: &mut Mistakes, value: &Value<'_>) -> Option<f64> {
    let number = number(mistakes, value, "`sensitivity`")?;
    if (SENSITIVITY_MIN..=SENSITIVITY_MAX).contains(&number) {
        return Some(number);
    }
    let message = format!(
        "`sensitivity` must be {SENSITIVITY_MIN} to {SENSITIVITY_MAX} false alerts a device and week, this is {number}; \
         more finds smaller faults sooner, and left out it is 0.3"
    );
    mistakes.at(&value.span(), message);
    None
}

/// One of a few words.
pub(super) fn word<T: Copy>(mistakes: &mut Mistakes, value: &Value<'_>, what: &str, known: &[(&str, T)]) -> Option<T> {
    let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
    let found = text(mistakes, value, what, names.first().copied().unwrap_or_default())?;
    let meant = known.iter().find(|(name, _)| *name == found).map(|(_, meant)| *meant);
    if meant.is_none() {
        mistakes.at(&value.span(), format!("{what} does not know {}; {}", quoted(found), instead(found, &names)));
    }
    meant
}

pub(super) fn unit(mistakes: &mut Mistakes, value: &Value<'_>) -> Option<String> {
    let unit = text(mistakes, value, "`unit`", "°C")?;
    if unit.len() > UNIT_BYTES_MAX || unit.chars().any(char::is_control) {
        let message = format!(
            "`unit` must be at most {UNIT_BYTES_MAX} bytes without control characters, this is {}",
            quoted(unit)
        );
        mistakes.at(&value.span(), message);
    }
    Some(unit.to_owned())
}

/// A name that a device may send.
pub(super) fn metric_name(mistakes: &mut Mistakes, name: &str, place: &Range<usize>) -> Option<String> {
    match MetricName::new(name) {
        Ok(name) => Some(name.as_str().to_owned()),
        Err(error) => {
            mistakes.at(place, error.to_string());
            None
        }
    }
}

/// A name that the profile itself gives, as the key of a table.
pub(super) fn plain_name(mistakes: &mut Mistakes, key: &Spanned<DeString<'_>>, what: &str) {
    let name = key.get_ref().as_ref();
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if name.is_empty() || name.len() > ASSET_BYTES_MAX || !name.chars().all(fits) {
        let message = format!(
            "{what} is named by 1 to {ASSET_BYTES_MAX} ASCII letters, digits, `_` and `-`, this is {}",
            quoted(name)
        );
        mistakes.at(&key.span(), message);
    }
}

/// Patterns of device names. `None` if it is no list.
pub(super) fn patterns(mistakes: &mut Mistakes, value: &Value<'_>) -> Option<Vec<String>> {
    let list = list(mistakes, value, ("`devices`", r#"devices = ["pump-*"]"#), ENTRIES_MAX)?;
    Some(list.iter().filter_map(|entry| pattern(mistakes, entry)).collect())
}

/// A pattern that can match a device name.
pub(super) fn pattern(mistakes: &mut Mistakes, value: &Value<'_>) -> Option<String> {
    let pattern = text(mistakes, value, "a device pattern", "pump-*")?;
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ':' | '@' | '*');
    if pattern.is_empty() || pattern.len() > PATTERN_BYTES_MAX || !pattern.chars().all(fits) {
        let message = format!(
            "a device pattern must be 1 to {PATTERN_BYTES_MAX} ASCII letters, digits, `_`, `-`, `.`, `:`, `@` and `*` for any \
             run of them, this is {}",
            quoted(pattern)
        );
        mistakes.at(&value.span(), message);
        return None;
    }
    Some(pattern.to_owned())
}
