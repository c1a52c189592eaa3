//! Secrets from the environment, for one machine: `slack-ops` is `MILLRACE_SECRET_SLACK_OPS`.

use std::fmt;

use super::{Secret, SecretError, SecretRef, Secrets};

/// What every variable's name begins with.
const PREFIX: &str = "MILLRACE_SECRET_";

/// Gives a variable's content.
type Lookup = dyn Fn(&str) -> Option<String> + Send + Sync;

/// Looks variables up.
pub struct EnvironmentSecrets {
    lookup: Box<Lookup>,
}

impl EnvironmentSecrets {
    /// `lookup` gives a variable's content, as `std::env::var(name).ok()` does.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        Self { lookup: Box::new(lookup) }
    }
}

impl Secrets for EnvironmentSecrets {
    async fn secret(&self, reference: &SecretRef) -> Result<Secret, SecretError> {
        let variable = variable(reference);
        match (self.lookup)(&variable) {
            Some(text) => Secret::new(reference, text),
            None => Err(SecretError::NotFound { reference: reference.clone(), remedy: format!("set {variable}") }),
        }
    }
}

impl fmt::Debug for EnvironmentSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnvironmentSecrets").finish_non_exhaustive()
    }
}

/// The variable of a reference: letters in upper case, all but letters and digits as `_`.
fn variable(reference: &SecretRef) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    PREFIX.chars().chain(reference.as_str().chars().map(letter)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_secret_is_the_variable_of_its_name() {
        let secrets =
            EnvironmentSecrets::from_lookup(|name| (name == "MILLRACE_SECRET_SLACK_OPS").then(|| "x".to_owned()));
        let slack = secrets.secret(&SecretRef::new("slack-ops").unwrap()).await.unwrap();
        assert_eq!(slack.reveal(), "x");
        let missing = secrets.secret(&SecretRef::new("smtp/mail").unwrap()).await.unwrap_err();
        assert_eq!(missing.to_string(), "secret `smtp/mail` is not there; set MILLRACE_SECRET_SMTP_MAIL");
    }
}
