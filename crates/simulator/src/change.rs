//! Healthy changes of what a machine is asked to do: planned stops and products that it never made before.
//!
//! They are what a detector meets after its first quiet days and must learn to live with. No fault is drawn here, and
//! what a stop or a product does to the readings is in `machine`. Stops and products come from two streams of their own
//! and know nothing of faults: a fault may fall into a stop, where little of it can be seen. As with faults the duration
//! of the run plays no part, and spans are counted in steps of the device's own clock.

use serde::{Deserialize, Serialize};

use crate::config::{DAY_MS, PlantConfig};
use crate::random::{Purpose, Stream};

const HOUR_MS: f64 = 3_600_000.0;
const WEEK_MS: f64 = 7.0 * DAY_MS as f64;
/// Shortest and longest planned stop, in hours.
const STOP_HOURS: (f64, f64) = (1.0, 8.0);
/// A machine that was started runs at least this long before it is stopped again, in hours.
const RUN_HOURS_MIN: f64 = 1.0;
/// Shortest and longest run of a new product, in hours.
const PRODUCT_HOURS: (f64, f64) = (8.0, 72.0);
/// Share of the new products that are made a second time.
const COMES_BACK: f64 = 0.5;
/// Beyond any run; keeps sums of steps far from overflow.
const NEVER: i64 = i64::MAX / 4;

/// What changes while the machine is sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// The machine is switched off and started again.
    Stop,
    /// A product is made for the first time.
    NewProduct,
    /// The latest new product is made for the second time.
    ProductAgain,
}

/// One planned stop or run of a product. It concerns the readings with `start_ms <= at_ms < end_ms`; heat, pressure and
/// load take their time to follow, also after its end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Index of the device.
    pub device: u32,
    /// Name of the device, as in its payloads.
    pub device_name: String,
    /// What changes.
    pub kind: ChangeKind,
    /// Time of the first reading under it, UTC milliseconds.
    pub start_ms: i64,
    /// Time of the first reading after it, UTC milliseconds, or the end of the run if that comes first.
    pub end_ms: i64,
}

/// An operating point of its own: factors on what the machine's usual products ask of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Product {
    /// On the base load, in place of the usual product's factor.
    pub(crate) load: f64,
    /// On the speed that belongs to a load.
    pub(crate) speed: f64,
    /// On the pressure that belongs to a speed.
    pub(crate) pressure: f64,
    /// On the heat that comes of a power.
    pub(crate) heat: f64,
}

impl Product {
    /// What the usual products are measured against; their own factor on the load is drawn by the machine.
    pub(crate) const USUAL: Self = Self { load: 1.0, speed: 1.0, pressure: 1.0, heat: 1.0 };

    fn draw(chance: &mut Stream) -> Self {
        Self {
            load: chance.between(0.75, 1.15),
            speed: chance.between(0.9, 1.08),
            pressure: chance.between(0.85, 1.15),
            heat: chance.between(0.9, 1.1),
        }
    }
}

/// What a machine is told to do at one step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Orders {
    /// Whether it is switched on.
    pub(crate) is_on: bool,
    /// What it makes, unless that is one of its usual products.
    pub(crate) product: Option<Product>,
}

impl Orders {
    /// On, with its usual products.
    pub(crate) const USUAL: Self = Self { is_on: true, product: None };
}

/// A stop or a run of a product, as it will come.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Coming {
    pub(crate) kind: ChangeKind,
    /// First step under it.
    pub(crate) from: i64,
    /// First step after it.
    pub(crate) until: i64,
    product: Product,
}

impl Coming {
    fn covers(&self, step: i64) -> bool {
        (self.from..self.until).contains(&step)
    }
}

/// The endless sequences of one device's stops and of its products.
#[derive(Debug, Clone)]
pub(crate) struct Changes {
    stops: Sequence,
    products: Sequence,
}

impl Changes {
    /// The changes of one device, or `None` where the configuration has none at all.
    pub(crate) fn new(config: &PlantConfig, device: u32) -> Option<Self> {
        let PlantConfig { stops_per_week, new_products_per_week, .. } = *config;
        if stops_per_week <= 0.0 && new_products_per_week <= 0.0 {
            return None;
        }
        // A rate of stops counts all time, so what a stop takes is taken off the wait for it; a rate of products counts
        // the time in which usual ones are made, and one wait in three is for a product that comes back.
        let stop_mean = 0.5 * (STOP_HOURS.0 + STOP_HOURS.1) + RUN_HOURS_MIN;
        let stop_wait_ms = WEEK_MS / stops_per_week - stop_mean * HOUR_MS;
        let product_wait_ms = WEEK_MS / new_products_per_week / (1.0 + COMES_BACK);
        let sequence =
            |purpose, wait_ms, rest_ms, hours| Sequence::new(config, device, purpose, wait_ms, rest_ms, hours);
        Some(Self {
            stops: sequence(Purpose::Stops, stop_wait_ms, RUN_HOURS_MIN * HOUR_MS, STOP_HOURS),
            products: sequence(Purpose::Products, product_wait_ms, 0.0, PRODUCT_HOURS),
        })
    }

    /// What the machine is told at `step`; steps must be asked one after another.
    pub(crate) fn orders(&mut self, step: i64) -> Orders {
        let halt = *self.stops.at(step);
        let made = *self.products.at(step);
        Orders { is_on: !halt.covers(step), product: made.covers(step).then_some(made.product) }
    }

    /// Every change that begins before the step `end`, the stops first. Asks for a device that has not taken a step.
    pub(crate) fn before(&self, end: i64) -> Vec<Coming> {
        let mut all = Vec::new();
        for sequence in [&self.stops, &self.products] {
            let mut sequence = sequence.clone();
            while sequence.next.from < end {
                all.push(sequence.next);
                sequence.draw();
            }
        }
        all
    }
}

/// Changes of one sort, one after another, each drawn from the end of the one before.
#[derive(Debug, Clone)]
struct Sequence {
    chance: Stream,
    purpose: Purpose,
    /// Mean of the random part of the wait for the next one, in steps; infinite when none ever comes.
    wait: f64,
    /// The fixed part of it, in steps.
    rest: f64,
    /// Shortest and longest, in steps.
    length: (f64, f64),
    /// Whether the latest product is to be made again.
    comes_back: bool,
    /// The one that is on or comes next.
    next: Coming,
}

impl Sequence {
    fn new(config: &PlantConfig, device: u32, purpose: Purpose, wait_ms: f64, rest_ms: f64, hours: (f64, f64)) -> Self {
        let cadence = config.cadence_ms as f64;
        let rest = rest_ms / cadence;
        let first = (config.changes_from_ms as f64 / cadence).ceil();
        let until = (first - rest) as i64;
        let mut sequence = Self {
            chance: Stream::new(config.seed, device, purpose),
            purpose,
            wait: wait_ms / cadence,
            rest,
            length: (hours.0 * HOUR_MS / cadence, hours.1 * HOUR_MS / cadence),
            comes_back: false,
            next: Coming { kind: ChangeKind::Stop, from: until, until, product: Product::USUAL },
        };
        sequence.draw();
        sequence
    }

    /// The change that covers `step` or is the first after it.
    fn at(&mut self, step: i64) -> &Coming {
        if step >= self.next.until {
            self.draw();
        }
        &self.next
    }

    fn draw(&mut self) {
        let wait = self.rest + self.wait * self.chance.exponential();
        let length = self.chance.between(self.length.0, self.length.1);
        let again = std::mem::take(&mut self.comes_back);
        let (kind, product) = match self.purpose {
            Purpose::Products if again => (ChangeKind::ProductAgain, self.next.product),
            Purpose::Products => {
                self.comes_back = self.chance.unit() < COMES_BACK;
                (ChangeKind::NewProduct, Product::draw(&mut self.chance))
            }
            _ => (ChangeKind::Stop, Product::USUAL),
        };
        // `as` saturates, so a wait too long to count ends in never.
        let from =
            if self.wait.is_infinite() { NEVER } else { self.next.until.saturating_add(wait.ceil() as i64).min(NEVER) };
        // Rare readings still show it.
        let until = from.saturating_add((length as i64).max(1));
        self.next = Coming { kind, from, until, product };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A_WEEK: i64 = 7 * 24 * 60;

    fn changes(stops: f64, products: f64, from_ms: i64) -> Vec<Coming> {
        let config = PlantConfig {
            stops_per_week: stops,
            new_products_per_week: products,
            changes_from_ms: from_ms,
            ..PlantConfig::default()
        };
        Changes::new(&config, 3).map(|changes| changes.before(500 * A_WEEK)).unwrap_or_default()
    }

    fn of(kind: ChangeKind, all: &[Coming]) -> Vec<Coming> {
        all.iter().filter(|change| change.kind == kind).copied().collect()
    }

    #[test]
    fn stops_come_at_the_rate_asked_for_and_last_one_to_eight_hours() {
        for rate in [2.0, 20.0] {
            let stops = of(ChangeKind::Stop, &changes(rate, 0.0, 0));
            let a_week = stops.len() as f64 / 500.0;
            assert!((a_week / rate - 1.0).abs() < 0.07, "{a_week} stops a week for {rate}");
            assert!(stops.iter().all(|stop| (60..=480).contains(&(stop.until - stop.from))));
            assert!(stops.windows(2).all(|pair| pair[1].from - pair[0].until >= 60), "no hour between two stops");
        }
    }

    #[test]
    fn half_of_the_new_products_are_made_again() {
        let all = changes(0.0, 5.0, 0);
        let new = of(ChangeKind::NewProduct, &all);
        let again = of(ChangeKind::ProductAgain, &all);
        let share = again.len() as f64 / new.len() as f64;
        assert!((0.45..0.55).contains(&share), "{share}");
        assert!(
            all.windows(2).all(|pair| pair[1].kind != ChangeKind::ProductAgain || pair[1].product == pair[0].product)
        );
        assert!(all.iter().all(|run| (480..=72 * 60).contains(&(run.until - run.from))));
        let usual = 500 * A_WEEK - all.iter().map(|run| run.until - run.from).sum::<i64>();
        let a_week = new.len() as f64 / (usual as f64 / A_WEEK as f64);
        assert!((4.6..5.4).contains(&a_week), "{a_week} new products a week of usual ones");
    }

    #[test]
    fn nothing_changes_before_its_time_or_without_a_rate() {
        let all = changes(20.0, 20.0, 3 * DAY_MS);
        assert!(
            all.iter().all(|change| change.from >= 3 * 24 * 60),
            "{:?}",
            all.iter().map(|change| change.from).min()
        );
        assert!(changes(0.0, 0.0, 0).is_empty());
        assert!(of(ChangeKind::NewProduct, &changes(1.0, 0.0, 0)).is_empty());
        assert!(of(ChangeKind::Stop, &changes(0.0, 1.0, 0)).is_empty());
    }

    #[test]
    fn stops_do_not_move_when_products_are_asked_for() {
        let times =
            |all: &[Coming]| of(ChangeKind::Stop, all).iter().map(|stop| (stop.from, stop.until)).collect::<Vec<_>>();
        assert_eq!(times(&changes(3.0, 0.0, 0)), times(&changes(3.0, 9.0, 0)));
    }
}
