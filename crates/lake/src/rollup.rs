//! What is to be done to a lake, in order: lists, then readings, then summaries.
//!
//! A plan is made by looking; each of its steps is safe to repeat, and to be killed in. So who goes through a plan, is killed, and
//! goes through the plan of a second look comes to the same objects as who was not. What is done already is in no plan.

use std::collections::BTreeSet;

use platform::model::Key;

use crate::error::LakeError;
use crate::hour::Hour;
use crate::place;
use crate::run::{Product, Task};
use crate::seal::{self, Found, OBJECTS_MAX, Waiting, Window};
use crate::world::LakeWorld;

pub use crate::seal::Sealable;

/// What is to be done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// Hours to seal, each before its products are made.
    pub sealable: Vec<Sealable>,
    /// Products to make, in order; those of the hours above included.
    pub tasks: Vec<Task>,
    /// What the hours that are not over wait for.
    pub waiting: Vec<Waiting>,
}

impl Plan {
    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sealable.is_empty() && self.tasks.is_empty()
    }
}

/// Looks what is to be done for these products.
///
/// # Errors
/// [`LakeError::Gap`], and the store's.
pub async fn plan<W: LakeWorld>(world: &W, window: &Window, products: &[Product]) -> Result<Plan, LakeError> {
    let Found { sealable, waiting } = seal::find(world, window).await?;
    let done = done(world).await?;
    let mut hours = seal::sealed(world).await?;
    hours.retain(|(hour, _)| window.has(*hour));
    hours.extend(sealable.iter().map(|one| (one.hour, one.region.clone())));
    let tasks = hours.into_iter().flat_map(|(hour, region)| {
        products.iter().map(move |product| Task { region: region.clone(), hour, product: *product })
    });
    let tasks = tasks.filter(|task| !done.contains(&(task.hour, task.region.clone(), task.product.name().to_owned())));
    Ok(Plan { sealable, tasks: tasks.collect(), waiting })
}

/// Hours, Regions and products that have a marker.
pub(crate) async fn done<W: LakeWorld>(world: &W) -> Result<BTreeSet<(Hour, String, String)>, LakeError> {
    let of = |key: &Key| {
        let (hour, region, file) = place::gold_place(key, place::DONE)?;
        Some((hour, region.to_owned(), file.strip_suffix(".json")?.to_owned()))
    };
    let listed = world.list_objects(place::DONE, OBJECTS_MAX).await?;
    Ok(listed.iter().filter_map(|one| of(&one.key)).collect())
}
