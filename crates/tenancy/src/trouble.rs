//! What AWS answered when it did not do what it was asked.

/// Why AWS did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{action} `{subject}`: {message}{}", .kind.hint())]
pub struct Trouble {
    /// What was asked, as the service names it.
    pub action: &'static str,
    /// The thing, certificate, bucket, table, …
    pub subject: String,
    /// What to make of it.
    pub kind: Kind,
    /// In the service's words.
    pub message: String,
}

/// What to make of a trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Too many calls, or nobody answered: may be asked again.
    Transient,
    /// There is no such thing.
    Missing,
    /// There is such a thing already.
    AlreadyThere,
    /// The credentials do not allow it, or are not valid.
    Forbidden,
    /// The request cannot be fulfilled.
    Refused,
}

impl Kind {
    fn hint(self) -> &'static str {
        match self {
            Self::Transient => " (tried several times; run the command again)",
            Self::Forbidden => " (`millrace doctor` tells which credentials are used)",
            Self::Missing | Self::AlreadyThere | Self::Refused => "",
        }
    }
}
