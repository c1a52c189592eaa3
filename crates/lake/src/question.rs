//! Questions with parameters: a text of SQL whose header says what it asks for, as those of `infra/sql` do.
//!
//! ```text
//! --   {dt}      text     UTC date of the lake's partition, 2026-11-22
//! SELECT count(*) FROM readings WHERE dt = {dt}
//! ```
//!
//! A value becomes a literal of its type, so that it cannot become SQL. The rest of the text is left as it is, comments too: a
//! mistake is where the author sees it. What it does not do: understand SQL.

use crate::error::LakeError;

/// What a parameter takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Any text, which becomes a literal in quotes.
    Text,
    /// A whole number.
    Integer,
    /// A number.
    Number,
}

/// A parameter of the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parameter<'q> {
    /// Its name.
    pub name: &'q str,
    /// What it takes.
    pub kind: Kind,
}

/// A text of SQL.
#[derive(Debug, Clone, Copy)]
pub struct Question<'q> {
    text: &'q str,
}

/// Begins a line of the header that describes a parameter.
const DESCRIBES: &str = "--   {";

impl<'q> Question<'q> {
    /// Takes a text.
    #[must_use]
    pub const fn new(text: &'q str) -> Self {
        Self { text }
    }

    /// The parameters in the order of the header.
    ///
    /// # Errors
    /// A parameter has no type that there is.
    pub fn parameters(&self) -> Result<Vec<Parameter<'q>>, LakeError> {
        let described = self.text.lines().filter_map(|line| line.strip_prefix(DESCRIBES)?.split_once('}'));
        described
            .map(|(name, rest)| {
                let kind = match rest.split_whitespace().next() {
                    Some("text") => Kind::Text,
                    Some("integer") => Kind::Integer,
                    Some("number") => Kind::Number,
                    other => {
                        let reason = format!(
                            "the header gives `{{{name}}}` the type `{}`; there are text, integer and number",
                            other.unwrap_or_default()
                        );
                        return Err(LakeError::Parameter(reason));
                    }
                };
                Ok(Parameter { name, kind })
            })
            .collect()
    }

    /// The text with literals in place of the parameters.
    ///
    /// # Errors
    /// A value for no parameter, a parameter without a value or without a description, a value of another type.
    pub fn bind(&self, values: &[(&str, &str)]) -> Result<String, LakeError> {
        let parameters = self.parameters()?;
        for (name, _) in values {
            if !parameters.iter().any(|parameter| parameter.name == *name) {
                let known = listed(parameters.iter().map(|parameter| parameter.name));
                return Err(LakeError::Parameter(format!("the question has no parameter `{name}`; it has {known}")));
            }
        }
        let given = |name: &str| values.iter().rev().find(|(of, _)| *of == name).map(|(_, value)| *value);
        let missing = parameters.iter().map(|parameter| parameter.name).filter(|name| given(name).is_none());
        let missing: Vec<&str> = missing.collect();
        if !missing.is_empty() {
            let all = listed(missing.into_iter());
            return Err(LakeError::Parameter(format!("the question asks for {all}: give each with --set NAME=VALUE")));
        }
        let literal = |name: &str| {
            let parameter = parameters.iter().find(|parameter| parameter.name == name).ok_or_else(|| {
                LakeError::Parameter(format!(
                    "`{{{name}}}` is not described: put a line `--   {{{name}}}  text  what it is` into the header"
                ))
            })?;
            literal(*parameter, given(name).unwrap_or_default())
        };
        let mut bound = String::with_capacity(self.text.len());
        for line in self.text.split_inclusive('\n') {
            if line.trim_start().starts_with("--") {
                bound.push_str(line);
            } else {
                replace(line, &mut bound, |name, out| literal(name).map(|text| out.push_str(&text)))?;
            }
        }
        Ok(bound)
    }

    /// The text as Athena's saved queries have it: of the comments the parameters' lines alone, and a question mark for each
    /// parameter.
    ///
    /// # Errors
    /// None where [`Self::parameters`] has none.
    pub fn for_athena(&self) -> Result<String, LakeError> {
        let _checked = self.parameters()?;
        let (described, body): (Vec<&str>, Vec<&str>) = self
            .text
            .lines()
            .filter(|line| line.starts_with(DESCRIBES) || !line.trim_start().starts_with("--"))
            .partition(|line| line.starts_with(DESCRIBES));
        let mut text = described.join("\n");
        for line in body {
            text.push('\n');
            replace(line, &mut text, |_, out| {
                out.push('?');
                Ok(())
            })?;
        }
        Ok(text.trim_start_matches('\n').to_owned())
    }

    /// Names in the text, comments left out, in their order.
    #[must_use]
    pub fn placeholders(&self) -> Vec<&'q str> {
        let body = self.text.lines().filter(|line| !line.trim_start().starts_with("--"));
        body.flat_map(|line| placeholders(line).map(|(_, name)| name)).collect()
    }
}

/// Copies a line, with what `put` writes in place of each `{name}`.
fn replace(
    line: &str,
    out: &mut String,
    mut put: impl FnMut(&str, &mut String) -> Result<(), LakeError>,
) -> Result<(), LakeError> {
    let mut from = 0;
    for (at, name) in placeholders(line) {
        out.push_str(&line[from..at]);
        put(name, out)?;
        from = at + name.len() + 2;
    }
    out.push_str(&line[from..]);
    Ok(())
}

/// Each `{name}` of a line and where it begins.
fn placeholders(line: &str) -> impl Iterator<Item = (usize, &str)> {
    line.match_indices('{').filter_map(move |(at, _)| {
        let (name, _) = line[at + 1..].split_once('}')?;
        let named = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        named.then_some((at, name))
    })
}

fn listed<'n>(names: impl Iterator<Item = &'n str>) -> String {
    let quoted: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    if quoted.is_empty() { "none".to_owned() } else { quoted.join(", ") }
}

fn literal(parameter: Parameter<'_>, value: &str) -> Result<String, LakeError> {
    let wrong = |expected: &str| {
        let name = parameter.name;
        Err(LakeError::Parameter(format!("`{name}` is {expected}, got `{}`", value.escape_debug())))
    };
    match parameter.kind {
        Kind::Text => Ok(format!("'{}'", value.replace('\'', "''"))),
        Kind::Integer => value.parse::<i64>().map(|number| number.to_string()).or_else(|_| wrong("a whole number")),
        Kind::Number => match value.parse::<f64>() {
            // With an exponent it is binary64 on every engine, where a plain fraction is a decimal on some.
            Ok(number) if number.is_finite() => Ok(format!("{number:e}")),
            _ => wrong("a number"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "-- About {dt}.\n--   {dt}  text  a date\n--   {z}   number  how far\nSELECT '{Dt}' WHERE dt = {dt}\n    AND z > {z}\n";

    #[test]
    fn values_become_literals_and_lines_stay_where_they_are() {
        let bound = Question::new(TEXT).bind(&[("dt", "it's"), ("z", "3.5")]).unwrap();
        assert_eq!(bound.lines().count(), TEXT.lines().count());
        assert_eq!(
            bound.lines().skip(3).collect::<Vec<_>>(),
            ["SELECT '{Dt}' WHERE dt = 'it''s'", "    AND z > 3.5e0"]
        );
    }

    #[test]
    fn athena_gets_the_parameters_lines_and_question_marks() {
        let text = Question::new(TEXT).for_athena().unwrap();
        let expected = "--   {dt}  text  a date\n--   {z}   number  how far\nSELECT '{Dt}' WHERE dt = ?\n    AND z > ?";
        assert_eq!(text, expected);
    }

    #[test]
    fn what_does_not_fit_is_said() {
        let check = |text: &str, values: &[(&str, &str)], part: &str| {
            let error = Question::new(text).bind(values).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        };
        check(TEXT, &[("dt", "x")], "asks for `z`");
        check(TEXT, &[("dt", "x"), ("z", "1"), ("y", "1")], "no parameter `y`; it has `dt`, `z`");
        check(TEXT, &[("dt", "x"), ("z", "1 OR true")], "`z` is a number, got `1 OR true`");
        check("SELECT {x}", &[], "`{x}` is not described");
        check("--   {x}  date  a\nSELECT {x}", &[("x", "1")], "type `date`");
    }
}
