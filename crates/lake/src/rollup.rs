//! What is to be done to a lake, in order: lists, then readings, then summaries, then what is far from usual on days that are over.
//!
//! A plan is made by looking; each of its steps is safe to repeat, and to be killed in. So who goes through a plan, is killed, and
//! goes through the plan of a second look comes to the same objects as who was not. What is done already is in no plan.

use std::collections::{BTreeMap, BTreeSet};

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
    let mut sealed = seal::sealed(world).await?;
    sealed.extend(sealable.iter().map(|one| (one.hour, one.region.clone())));
    let hours: Vec<&(Hour, String)> = sealed.iter().filter(|(hour, _)| window.has(*hour)).collect();
    let days = days(&sealed, &hours);
    let of = |(hour, region): &(Hour, String), product: Product| Task { region: region.clone(), hour: *hour, product };
    // A day looks back upon the readings of others, so that days come last.
    let hourly = hours.iter().flat_map(|one| products.iter().filter(|it| !it.is_daily()).map(|it| of(one, *it)));
    let daily = days.iter().flat_map(|one| products.iter().filter(|it| it.is_daily()).map(|it| of(one, *it)));
    let is_open = |task: &Task| !done.contains(&(task.hour, task.region.clone(), task.product.name().to_owned()));
    Ok(Plan { tasks: hourly.chain(daily).filter(is_open).collect(), sealable, waiting })
}

/// Last hours of the days that are over: all of their hours have a list, those before the Region's first one left out.
fn days(sealed: &BTreeSet<(Hour, String)>, hours: &[&(Hour, String)]) -> Vec<(Hour, String)> {
    let mut firsts: BTreeMap<&str, Hour> = BTreeMap::new();
    for (hour, region) in sealed {
        firsts.entry(region).or_insert(*hour);
    }
    let is_whole = |(last, region): &(Hour, String)| {
        let from = firsts.get(region.as_str()).map_or(*last, |first| (*first).max(last.before(23)));
        let mut of_day = std::iter::successors(Some(from), |hour| Some(hour.next())).take_while(|hour| hour <= last);
        of_day.all(|hour| sealed.contains(&(hour, region.clone())))
    };
    hours.iter().filter(|(hour, _)| hour.of_day() == 23).filter(|one| is_whole(one)).map(|one| (*one).clone()).collect()
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
