//! Where the keys of channels come from: by reference, kept for five minutes, looked up anew when one is refused.
//!
//! A [`Secret`] is not printed, compared with `==` in time that tells, or left in memory that was given back: it can only
//! be [revealed](Secret::reveal) where it is used. What it does not do: create or rotate keys.

#[cfg(feature = "aws")]
pub mod aws;
pub mod environment;
pub mod folder;
mod keyring;

use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::config::SecretsPlace;

pub use keyring::{CACHED_FOR, Keyring};

/// Bound of a secret: that of AWS Secrets Manager (quotas, "Secret value size").
pub const SECRET_BYTES_MAX: usize = 65_536;

/// Bound of a reference: that of an ARN in Secrets Manager (API reference, `SecretId`).
pub const REFERENCE_BYTES_MAX: usize = 2_048;

/// Looks a secret up.
pub trait Secrets: Send + Sync {
    /// The current content of the secret. Each call asks whoever keeps it.
    fn secret(&self, reference: &SecretRef) -> impl Future<Output = Result<Secret, SecretError>> + Send;
}

/// Any of the places where secrets are kept.
#[derive(Debug)]
pub enum AnySecrets {
    /// The environment.
    Environment(environment::EnvironmentSecrets),
    /// A folder.
    Folder(folder::FolderSecrets),
    /// AWS Secrets Manager.
    #[cfg(feature = "aws")]
    Aws(aws::SecretsManager),
}

/// Keys are to come from Secrets Manager, but nothing else is on AWS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "MILLRACE_SECRETS says `aws`, but the store is a folder: set it to `environment` or `folder:PATH`, or leave it out"
)]
pub struct SecretsOnAws;

impl AnySecrets {
    /// Secrets where the stores are a folder. `lookup` gives a variable's content, as for
    /// [`environment::EnvironmentSecrets::from_lookup`].
    ///
    /// # Errors
    /// [`SecretsOnAws`].
    pub fn beside_a_folder(
        place: &SecretsPlace,
        lookup: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
    ) -> Result<Self, SecretsOnAws> {
        match place {
            SecretsPlace::Environment => Ok(Self::Environment(environment::EnvironmentSecrets::from_lookup(lookup))),
            SecretsPlace::Folder(path) => Ok(Self::Folder(folder::FolderSecrets::new(path))),
            SecretsPlace::Aws => Err(SecretsOnAws),
        }
    }
}

impl Secrets for AnySecrets {
    async fn secret(&self, reference: &SecretRef) -> Result<Secret, SecretError> {
        match self {
            Self::Environment(secrets) => secrets.secret(reference).await,
            Self::Folder(secrets) => secrets.secret(reference).await,
            #[cfg(feature = "aws")]
            Self::Aws(secrets) => secrets.secret(reference).await,
        }
    }
}

/// The name of a secret: in Secrets Manager, of a file, or the end of an environment variable's name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretRef(String);

impl SecretRef {
    /// A reference of ASCII letters, digits and `/_+=.@:-`, at most 2,048 of them.
    ///
    /// # Errors
    /// Any other text.
    pub fn new(text: &str) -> Result<Self, SecretError> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "/_+=.@:-".contains(c);
        if text.is_empty() || text.len() > REFERENCE_BYTES_MAX || !text.chars().all(allowed) {
            return Err(SecretError::BadReference { bytes: text.len() });
        }
        Ok(Self(text.to_owned()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A key. Clones share it; the last one wipes it.
#[derive(Clone)]
pub struct Secret(Arc<Zeroizing<String>>);

impl Secret {
    /// Takes over the text, without the line break that an editor leaves at its end.
    ///
    /// # Errors
    /// Empty, or longer than [`SECRET_BYTES_MAX`].
    pub fn new(reference: &SecretRef, text: String) -> Result<Self, SecretError> {
        let mut text = Zeroizing::new(text);
        let end = text.trim_end_matches(['\n', '\r']).len();
        text.truncate(end);
        match text.len() {
            0 => Err(SecretError::Empty { reference: reference.clone() }),
            bytes if bytes > SECRET_BYTES_MAX => Err(SecretError::TooLong { reference: reference.clone() }),
            _ => Ok(Self(Arc::new(text))),
        }
    }

    /// The text, for where it is used.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether both are the same text.
    fn is_same(&self, other: &Self) -> bool {
        *self.0 == *other.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(not shown)")
    }
}

/// A secret that could not be had. Holds no content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// Nobody keeps a secret under such a name.
    #[error(
        "a secret's reference of {bytes} bytes; allowed are ASCII letters, digits and `/_+=.@:-`, 1 to {REFERENCE_BYTES_MAX}"
    )]
    BadReference {
        /// Its length.
        bytes: usize,
    },
    /// It is not there.
    #[error("secret `{reference}` is not there; {remedy}")]
    NotFound {
        /// Which.
        reference: SecretRef,
        /// How to put it there.
        remedy: String,
    },
    /// It may not be read, or may be read by too many.
    #[error("secret `{reference}` is not used: {why}; {remedy}")]
    NotAllowed {
        /// Which.
        reference: SecretRef,
        /// What is wrong with it.
        why: String,
        /// How to set it right.
        remedy: String,
    },
    /// Nothing is in it.
    #[error("secret `{reference}` is empty; store the key in it")]
    Empty {
        /// Which.
        reference: SecretRef,
    },
    /// There is more in it than a key.
    #[error("secret `{reference}` has more than {SECRET_BYTES_MAX} bytes; store the key alone in it")]
    TooLong {
        /// Which.
        reference: SecretRef,
    },
    /// Whoever keeps it does not answer.
    #[error("secret `{reference}` cannot be had now: {why}")]
    Unavailable {
        /// Which.
        reference: SecretRef,
        /// What happened.
        why: String,
    },
}

impl SecretError {
    /// Whether it may be there the next time.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_shown() {
        let reference = SecretRef::new("slack/ops").unwrap();
        let secret = Secret::new(&reference, "https://hooks.example/T0/B0/x\n".to_owned()).unwrap();
        assert_eq!(secret.reveal(), "https://hooks.example/T0/B0/x");
        assert_eq!(format!("{secret:?}"), "Secret(not shown)");
    }

    #[test]
    fn a_reference_that_is_no_name_is_refused() {
        for text in ["", "a b", "ä", "a\n", "$(id)", &"x".repeat(2_049)] {
            assert!(SecretRef::new(text).is_err(), "{text}");
        }
        assert!(
            SecretRef::new("arn:aws:secretsmanager:eu-central-1:123456789012:secret:millrace/slack-AbCdEf").is_ok()
        );
    }

    #[test]
    fn an_empty_or_endless_secret_is_refused() {
        let reference = SecretRef::new("k").unwrap();
        assert!(matches!(Secret::new(&reference, "\n".to_owned()), Err(SecretError::Empty { .. })));
        assert!(matches!(Secret::new(&reference, "x".repeat(65_537)), Err(SecretError::TooLong { .. })));
    }

    #[test]
    fn beside_a_folder_keys_come_from_this_machine() {
        let secrets = |place: &SecretsPlace| AnySecrets::beside_a_folder(place, |_| None);
        assert!(matches!(secrets(&SecretsPlace::Environment), Ok(AnySecrets::Environment(_))));
        assert!(matches!(secrets(&SecretsPlace::Folder("keys".to_owned())), Ok(AnySecrets::Folder(_))));
        let error = secrets(&SecretsPlace::Aws).unwrap_err().to_string();
        assert!(error.contains("set it to `environment` or `folder:PATH`"), "{error}");
    }
}
