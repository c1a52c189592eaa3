//! Whether a payload is what a pattern asks for.
//!
//! A list in the payload is what any of its elements is, as everywhere in this pattern language (Amazon `EventBridge` User
//! Guide, "Creating Amazon `EventBridge` event patterns").

use std::borrow::Cow;
use std::collections::HashMap;

use serde_json::value::RawValue;

use super::rule::{Comparison, Field, Node, Rule};

/// Whether the payload is JSON and matches. Anything else is dropped.
pub(super) fn matches(node: &Node, payload: &[u8]) -> bool {
    serde_json::from_slice::<&RawValue>(payload).is_ok_and(|value| object_matches(node, value))
}

/// A value of the payload, by its first character: the text is known to be JSON.
enum Shape<'v> {
    Object(HashMap<Cow<'v, str>, &'v RawValue>),
    List(Vec<&'v RawValue>),
    Text(String),
    /// `null`, a truth value or a number.
    Plain(&'v str),
}

fn shape(raw: &RawValue) -> Shape<'_> {
    let text = raw.get();
    match text.as_bytes().first() {
        Some(b'{') => Shape::Object(serde_json::from_str(text).unwrap_or_default()),
        Some(b'[') => Shape::List(serde_json::from_str(text).unwrap_or_default()),
        Some(b'"') => Shape::Text(serde_json::from_str(text).unwrap_or_default()),
        _ => Shape::Plain(text),
    }
}

fn object_matches(node: &Node, raw: &RawValue) -> bool {
    match shape(raw) {
        Shape::Object(object) => {
            let get = |name: &str| object.get(name).copied();
            node.fields.iter().all(|(name, field)| field_matches(field, get(name)))
                && (node.alternatives.is_empty() || node.alternatives.iter().any(|other| object_matches(other, raw)))
        }
        Shape::List(elements) => elements.into_iter().filter(|e| !is_list(e)).any(|e| object_matches(node, e)),
        Shape::Text(_) | Shape::Plain(_) => false,
    }
}

fn field_matches(field: &Field, value: Option<&RawValue>) -> bool {
    match (field, value) {
        (Field::Object(node), Some(value)) => object_matches(node, value),
        // Only that something is not there can be true of what is not there.
        (Field::Object(node), None) => is_about_absence(node),
        (Field::AnyOf(rules), value) => rules.iter().any(|rule| rule_matches(rule, value)),
    }
}

fn is_about_absence(node: &Node) -> bool {
    let absent = |(_, field): &(String, Field)| field_matches(field, None);
    node.fields.iter().all(absent) && (node.alternatives.is_empty() || node.alternatives.iter().any(is_about_absence))
}

fn rule_matches(rule: &Rule, value: Option<&RawValue>) -> bool {
    let Some(value) = value else { return *rule == Rule::Exists(false) };
    match shape(value) {
        // `exists` is about leaves.
        Shape::Object(_) => *rule == Rule::Exists(false),
        Shape::List(elements) => {
            let mut elements = elements.into_iter().filter(|element| !is_list(element));
            match rule {
                Rule::Exists(exists) => *exists,
                Rule::AnythingBut(_) => elements.all(|element| rule_matches(rule, Some(element))),
                _ => elements.any(|element| rule_matches(rule, Some(element))),
            }
        }
        Shape::Text(text) => text_matches(rule, &text),
        Shape::Plain(text) => plain_matches(rule, text),
    }
}

/// Lists in lists match nothing: what nests deeply costs no stack.
fn is_list(raw: &RawValue) -> bool {
    raw.get().starts_with('[')
}

fn text_matches(rule: &Rule, found: &str) -> bool {
    match rule {
        Rule::Text(text) => found == text,
        Rule::TextIgnoringCase(text) => found.to_lowercase() == *text,
        Rule::Prefix(prefix) => found.starts_with(prefix.as_str()),
        Rule::Suffix(suffix) => found.ends_with(suffix.as_str()),
        Rule::AnythingBut(rules) => !rules.iter().any(|rule| text_matches(rule, found)),
        Rule::Exists(exists) => *exists,
        Rule::Written(_) | Rule::Numeric(_) => false,
    }
}

fn plain_matches(rule: &Rule, found: &str) -> bool {
    match rule {
        Rule::Written(text) => found == text,
        Rule::Numeric(comparisons) => found.parse::<f64>().is_ok_and(|found| {
            comparisons.iter().all(|(comparison, number)| holds(found, *comparison, number.value()))
        }),
        Rule::AnythingBut(rules) => !rules.iter().any(|rule| plain_matches(rule, found)),
        Rule::Exists(exists) => *exists,
        Rule::Text(_) | Rule::TextIgnoringCase(_) | Rule::Prefix(_) | Rule::Suffix(_) => false,
    }
}

#[expect(clippy::float_cmp, reason = "`=` of the pattern language is equality of numbers")]
fn holds(found: f64, comparison: Comparison, number: f64) -> bool {
    match comparison {
        Comparison::Equal => found == number,
        Comparison::Less => found < number,
        Comparison::LessOrEqual => found <= number,
        Comparison::Greater => found > number,
        Comparison::GreaterOrEqual => found >= number,
    }
}
