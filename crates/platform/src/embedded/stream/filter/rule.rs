//! The pattern language: what may stand in a pattern.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::FilterError;

/// What a pattern says of an object: each of its fields, and one of its alternatives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) fields: Vec<(String, Field)>,
    /// `$or`: one of these must match, too. Empty: nothing is asked.
    pub(super) alternatives: Vec<Node>,
}

/// What a pattern says of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Field {
    /// It is an object.
    Object(Node),
    /// One of these is true of its value.
    AnyOf(Vec<Rule>),
}

/// What a pattern says of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Rule {
    /// Written just so: `null`, a truth value or a number.
    Written(String),
    Text(String),
    TextIgnoringCase(String),
    Prefix(String),
    Suffix(String),
    /// None of these rules is true.
    AnythingBut(Vec<Rule>),
    /// All comparisons hold.
    Numeric(Vec<(Comparison, Number)>),
    /// Whether there is a value, other than an object.
    Exists(bool),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// A finite number, comparable by its bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Number(u64);

impl Number {
    pub(super) fn value(self) -> f64 {
        f64::from_bits(self.0)
    }
}

impl Comparison {
    fn of(text: &str) -> Option<Self> {
        Some(match text {
            "=" => Self::Equal,
            "<" => Self::Less,
            "<=" => Self::LessOrEqual,
            ">" => Self::Greater,
            ">=" => Self::GreaterOrEqual,
            _ => return None,
        })
    }
}

/// The fields of an object, each value as it is written.
pub(super) fn fields(text: &str) -> serde_json::Result<BTreeMap<String, &RawValue>> {
    serde_json::from_str(text)
}

fn wrong(path: &str, what: &str) -> FilterError {
    FilterError::Rule { path: path.to_owned(), what: what.to_owned() }
}

/// Reads what a pattern says of an object. Depth is bounded by that of `serde_json`, which has read the text before.
pub(super) fn node(raw: &RawValue, path: &str) -> Result<Node, FilterError> {
    let fields = fields(raw.get()).map_err(|error| wrong(path, &error.to_string()))?;
    if fields.is_empty() {
        return Err(wrong(path, "an empty object says nothing: name a field, or leave it out"));
    }
    let mut node = Node { fields: Vec::new(), alternatives: Vec::new() };
    for (name, value) in fields {
        let path = format!("{path}.{name}");
        if name == "$or" {
            node.alternatives = alternatives(value, &path)?;
        } else if value.get().starts_with('{') {
            node.fields.push((name, Field::Object(self::node(value, &path)?)));
        } else {
            node.fields.push((name, Field::AnyOf(rules(value, &path)?)));
        }
    }
    Ok(node)
}

fn alternatives(raw: &RawValue, path: &str) -> Result<Vec<Node>, FilterError> {
    let list = list(raw).ok_or_else(|| wrong(path, "expected a list of objects"))?;
    if list.is_empty() {
        return Err(wrong(path, "the list is empty, so no record would ever pass"));
    }
    list.into_iter().map(|value| node(value, path)).collect()
}

fn list(raw: &RawValue) -> Option<Vec<&RawValue>> {
    serde_json::from_str(raw.get()).ok()
}

fn rules(raw: &RawValue, path: &str) -> Result<Vec<Rule>, FilterError> {
    let list = list(raw).ok_or_else(|| wrong(path, "a value stands in a list, such as [\"temperature\"]"))?;
    if list.is_empty() {
        return Err(wrong(path, "the list is empty, so no record would ever pass"));
    }
    list.into_iter().map(|value| rule(value, path)).collect()
}

fn rule(raw: &RawValue, path: &str) -> Result<Rule, FilterError> {
    if raw.get().starts_with('[') {
        return Err(wrong(path, "a list in a list; expected a value or a rule such as {\"prefix\":\"pump-\"}"));
    }
    if !raw.get().starts_with('{') {
        return Ok(literal(raw));
    }
    let fields = fields(raw.get()).map_err(|error| wrong(path, &error.to_string()))?;
    let mut entries = fields.into_iter();
    let (Some((name, value)), None) = (entries.next(), entries.next()) else {
        return Err(wrong(path, "a rule is an object of one field, such as {\"prefix\":\"pump-\"}"));
    };
    let text = || {
        let text = serde_json::from_str::<String>(value.get()).ok().filter(|text| !text.is_empty());
        text.ok_or_else(|| wrong(path, &format!("`{name}` takes a text of at least one character")))
    };
    Ok(match name.as_str() {
        "prefix" => Rule::Prefix(text()?),
        "suffix" => Rule::Suffix(text()?),
        "equals-ignore-case" => Rule::TextIgnoringCase(text()?.to_lowercase()),
        "exists" => {
            Rule::Exists(serde_json::from_str(value.get()).map_err(|_| wrong(path, "`exists` takes true or false"))?)
        }
        "anything-but" => Rule::AnythingBut(anything_but(value, path)?),
        "numeric" => Rule::Numeric(numeric(value, path)?),
        _ => {
            let known = "`prefix`, `suffix`, `equals-ignore-case`, `exists`, `anything-but`, `numeric`";
            return Err(wrong(path, &format!("there is no rule `{}`; there are {known}", name.escape_debug())));
        }
    })
}

fn literal(raw: &RawValue) -> Rule {
    match serde_json::from_str::<String>(raw.get()) {
        Ok(text) => Rule::Text(text),
        Err(_) => Rule::Written(raw.get().to_owned()),
    }
}

fn anything_but(raw: &RawValue, path: &str) -> Result<Vec<Rule>, FilterError> {
    let values = list(raw).unwrap_or_else(|| vec![raw]);
    let plain = |value: &&RawValue| !value.get().starts_with(['{', '[']);
    if values.is_empty() || !values.iter().all(plain) {
        return Err(wrong(path, "`anything-but` takes a value or a list of values"));
    }
    Ok(values.into_iter().map(literal).collect())
}

fn numeric(raw: &RawValue, path: &str) -> Result<Vec<(Comparison, Number)>, FilterError> {
    const EXPECTED: &str =
        "`numeric` takes a comparison and a number, or two of them for a range, such as [\">\", 0, \"<=\", 80]";
    let list = list(raw).ok_or_else(|| wrong(path, EXPECTED))?;
    let pairs = list.chunks(2).map(|pair| {
        let [comparison, number] = pair else { return None };
        let comparison = Comparison::of(&serde_json::from_str::<String>(comparison.get()).ok()?)?;
        let number = serde_json::from_str::<f64>(number.get()).ok().filter(|number| number.is_finite())?;
        Some((comparison, Number(number.to_bits())))
    });
    let pairs = pairs.collect::<Option<Vec<_>>>().filter(|pairs| matches!(pairs.len(), 1 | 2));
    pairs.ok_or_else(|| wrong(path, EXPECTED))
}
