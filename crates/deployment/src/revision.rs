//! A name for the code and the settings of a stack's function.
//!
//! A version of a function never changes, so that a change of anything has to publish another one. CloudFormation publishes when
//! a property of the version's resource changes, and looks at nothing else: the template hands it this name. It is made of all
//! there is, the template's text and the value of every parameter, so that nothing can be forgotten. What changes the name and
//! not the function, such as the number of shards, costs a version and a cold start. It must not fail: Lambda refuses to publish
//! a function that has not changed, which is why the template writes the name into the function, too.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

/// The parameter that takes the name.
pub const PARAMETER: &str = "Revision";

/// The name: 64 bits of a SHA-256, in hexadecimal digits. `values` are those of all parameters, whether they are given, kept or the
/// template's defaults.
#[must_use]
pub fn revision(body: &str, values: &BTreeMap<String, String>) -> String {
    let mut hash = Sha256::new();
    let mut take = |text: &str| {
        // The length before the text: two parts can never be mistaken for two others.
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    };
    take(body);
    for (name, value) in values.iter().filter(|(name, _)| *name != PARAMETER) {
        take(name);
        take(value);
    }
    let mut name = String::new();
    for byte in &hash.finalize()[..8] {
        let _written = write!(name, "{byte:02x}");
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{FUNCTIONS, TEMPLATES};

    /// Law: another value of any parameter, or another template, is another revision; the revision itself does not count.
    #[test]
    fn nothing_of_a_function_can_change_under_the_same_revision() {
        for template in TEMPLATES.iter().filter(|template| FUNCTIONS.iter().any(|(of, _)| *of == template.name)) {
            let parameters = template.parameters();
            assert!(parameters.iter().any(|parameter| parameter.name == PARAMETER), "{}", template.name);
            let values: BTreeMap<String, String> =
                parameters.iter().map(|parameter| (parameter.name.clone(), "a".to_owned())).collect();
            let before = revision(template.body, &values);
            assert_eq!(before, revision(template.body, &values));
            assert_ne!(before, revision(&format!("{}#", template.body), &values));
            for name in values.keys() {
                let mut others = values.clone();
                others.insert(name.clone(), "b".to_owned());
                assert_eq!(
                    before == revision(template.body, &others),
                    name == PARAMETER,
                    "{name} of {}",
                    template.name
                );
            }
        }
    }

    #[test]
    fn a_value_cannot_pass_for_a_name() {
        let one = BTreeMap::from([("A".to_owned(), "B".to_owned()), ("C".to_owned(), String::new())]);
        let other = BTreeMap::from([("A".to_owned(), String::new()), ("BC".to_owned(), String::new())]);
        assert_ne!(revision("", &one), revision("", &other));
    }
}
