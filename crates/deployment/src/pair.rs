//! The other Region of a pair, as the stacks of this one have to know it: which of the two made the tables, what the lake over there
//! is called, where the replica's stream is.
//!
//! All of it is asked of the Regions: of the other one its storage's stack, of this one the table. Nobody has to look up outputs.
//! What this does not do: deploy; a Region is deployed by a plan of its own.

use std::fmt;

use crate::cloud::{Cloud, Stack, Trouble};
use crate::plan::stack_name;
use crate::template::STORAGE;
use crate::watch::patiently;

/// Which of the two Regions of a pair this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Standing {
    /// Its storage makes the tables of both.
    #[default]
    Primary,
    /// Its tables are replicas.
    Dr,
}

impl Standing {
    /// As the template has it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Dr => "dr",
        }
    }

    /// That of the other Region.
    #[must_use]
    pub const fn across(self) -> Self {
        match self {
            Self::Primary => Self::Dr,
            Self::Dr => Self::Primary,
        }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl std::str::FromStr for Standing {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Primary, Self::Dr].into_iter().find(|standing| standing.word() == text).ok_or_else(|| {
            let (primary, dr) = (Self::Primary, Self::Dr);
            format!("expected {primary} or {dr}, got `{}`", text.escape_debug())
        })
    }
}

/// The other Region, and what is known of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Peer {
    /// Its name.
    pub region: String,
    /// What *this* Region is.
    pub standing: Standing,
    /// Its lake, once there is one.
    pub lake: Option<String>,
    /// The stream of the results table of *this* Region, where that is a replica.
    pub results_stream: Option<String>,
    /// Where its services are found, if not at AWS.
    pub endpoint: Option<String>,
}

impl Peer {
    /// A Region of which nothing is known yet.
    #[must_use]
    pub fn unseen(region: &str) -> Self {
        Self { region: region.to_owned(), ..Self::default() }
    }
}

/// Why a pair cannot be deployed so.
#[derive(Debug, thiserror::Error)]
pub enum PairError {
    /// AWS refused.
    #[error(transparent)]
    Trouble(#[from] Trouble),
    /// A Region is no pair with itself.
    #[error("nothing was changed, because the other Region of {0} cannot be {0} itself: say another --peer")]
    Itself(String),
    /// The stack says something else than was asked.
    #[error(
        "nothing was changed, because the storage of {region} is `{has}` and would be `{asked}`: tables cannot change hands by a \
         deployment; leave out --standing"
    )]
    Changed {
        /// This Region.
        region: String,
        /// What its stack says.
        has: Standing,
        /// What it was to be.
        asked: Standing,
    },
    /// Both made tables, or neither.
    #[error(
        "nothing was changed, because the storages of {here} and {there} are both `{both}`, and exactly one of a pair is \
         `primary`: two environments that were apart cannot become a pair with their tables; deploy one of them anew"
    )]
    Same {
        /// This Region.
        here: String,
        /// The other one.
        there: String,
        /// What both are.
        both: Standing,
    },
    /// There are no replicas yet.
    #[error(
        "nothing was changed, because there is no replica of the results table in {here} yet: run \
         `millrace deploy --region {there} --peer {here}` first, or say --both"
    )]
    NoReplica {
        /// This Region.
        here: String,
        /// The other one.
        there: String,
    },
}

/// What the first of two Regions is, each with its name. `asked` is what somebody has said.
///
/// Without a word, and without a stack that says it, this is the primary, unless the other Region's storage is.
///
/// # Errors
/// See [`PairError`]. Nothing was changed.
pub async fn standing(
    regions: [(&impl Cloud, &str); 2],
    environment: &str,
    asked: Option<Standing>,
) -> Result<Standing, PairError> {
    Ok(look(regions, environment, asked).await?.0)
}

/// That, and the other Region's storage.
async fn look(
    [(here, here_name), (there, there_name)]: [(&impl Cloud, &str); 2],
    environment: &str,
    asked: Option<Standing>,
) -> Result<(Standing, Option<Stack>), PairError> {
    if here_name == there_name {
        return Err(PairError::Itself(here_name.to_owned()));
    }
    let storage = stack_name(&STORAGE, environment);
    let own = patiently(|| here.stack(&storage)).await?;
    let other = patiently(|| there.stack(&storage)).await?;
    let standing_of = |stack: &Option<Stack>| {
        stack.as_ref().and_then(|stack| stack.parameters.get("Standing")?.parse::<Standing>().ok())
    };
    let has = standing_of(&own);
    if let (Some(has), Some(asked)) = (has, asked)
        && has != asked
    {
        return Err(PairError::Changed { region: here_name.to_owned(), has, asked });
    }
    let across = standing_of(&other);
    let standing = has.or(asked).or_else(|| across.map(Standing::across)).unwrap_or_default();
    if across == Some(standing) {
        let (here, there) = (here_name.to_owned(), there_name.to_owned());
        return Err(PairError::Same { here, there, both: standing });
    }
    Ok((standing, other))
}

/// Finds out what there is to know before the first of two Regions is deployed, as in [`standing`].
///
/// # Errors
/// See [`PairError`]. Nothing was changed.
pub async fn find(
    [(here, here_name), (there, there_name)]: [(&impl Cloud, &str); 2],
    environment: &str,
    asked: Option<Standing>,
) -> Result<Peer, PairError> {
    let (standing, other) = look([(here, here_name), (there, there_name)], environment, asked).await?;
    let output = |name: &str| other.as_ref().and_then(|stack| stack.outputs.get(name)).cloned();
    let results_stream = match standing {
        Standing::Primary => None,
        Standing::Dr => {
            let absent = || PairError::NoReplica { here: here_name.to_owned(), there: there_name.to_owned() };
            let table = output("ResultsTableName").ok_or_else(absent)?;
            Some(patiently(|| here.table_stream(&table)).await?.ok_or_else(absent)?)
        }
    };
    Ok(Peer { region: there_name.to_owned(), standing, lake: output("LakeBucketName"), results_stream, endpoint: None })
}
