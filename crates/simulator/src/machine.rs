//! A machine and its physics: load drives speed and power, these drive vibration, pressure and heat.
//!
//! Load follows the shift plan, the product being made and a slow wander of its own. Speed is controlled and follows the
//! load at once (on the scale of a step); vibration grows with the square of speed; pressure follows speed and
//! temperature follows power, each through a first-order lag. Everything is discretised exactly for the plant's cadence,
//! so a step costs no transcendental function beyond the season's two sines.
//!
//! A machine that is switched off runs down within minutes: the shaft rests, power falls to standby, vibration to what
//! reaches it through the floor, the housing cools towards the hall, and pressure falls to the head that a closed check
//! valve holds, so that no healthy pressure is below the default limits. Started again, it runs up through the same lags.
//!
//! Faults are not known here, save one: lost cooling, which must pass through the heat balance to be believable.

use crate::calendar;
use crate::change::{Orders, Product};
use crate::metric::{AssetType, METRICS, Metric};
use crate::random::{Purpose, Stream};

const HOUR_MS: f64 = 3_600_000.0;
const MINUTE_MS: f64 = 60_000.0;
/// Time constant of running down and up; the shaft rests after five of them.
const RUN_DOWN_MS: f64 = MINUTE_MS;
/// Below this share of its speed a machine that is switched off has come to rest.
const AT_REST: f64 = 0.01;
/// Vibration of a machine at rest, mm/s: its neighbours', through the floor.
const FLOOR_VIBRATION: f64 = 0.05;
/// No product asks for more than the most that a usual one does.
const ASKED_MAX: f64 = 1.06;

/// What a machine's sensors would see at one step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Signals {
    /// The physical quantities, by [`Metric`].
    pub(crate) level: [f64; METRICS],
    /// What each sensor adds to them at this step.
    pub(crate) noise: [f64; METRICS],
    /// Shaft speed as a share of rated speed.
    pub(crate) speed: f64,
}

/// One machine: what it is and the state it is in.
#[derive(Debug, Clone)]
pub(crate) struct Machine {
    asset: AssetType,
    nature: Nature,
    state: State,
    chance: Stream,
}

/// What distinguishes this machine from another of its type; fixed for its life.
#[derive(Debug, Clone)]
struct Nature {
    /// Load at which it runs in a full shift.
    base_load: f64,
    /// How far it follows the shift plan: 0 runs on regardless, 1 follows it fully.
    shift_depth: f64,
    idle_speed: f64,
    rated_rpm: f64,
    rated_power_kw: f64,
    rated_pressure_psi: f64,
    /// Vibration at rated speed, mm/s.
    bearing: f64,
    /// Temperature above the hall's at rated power, °C.
    heat: f64,
    /// Standard deviation of each sensor's noise.
    noise: [f64; METRICS],
    load_gain: f64,
    heat_gain: f64,
    pressure_gain: f64,
    load_wander: Wander,
    speed_wander: Wander,
    bearing_wander: Wander,
    air_wander: Wander,
    /// Mean time that one product is made, in steps.
    product_steps: f64,
    run_gain: f64,
    /// What the check valve holds, PSI; less than any pressure of a running machine with usual products.
    static_head_psi: f64,
    /// Power at rest as a share of rated power.
    standby: f64,
}

#[derive(Debug, Clone)]
struct State {
    load: f64,
    housing: f64,
    pressure: f64,
    load_wander: f64,
    speed_wander: f64,
    bearing_wander: f64,
    air_wander: f64,
    product: f64,
    /// Steps until the product changes.
    product_left: f64,
    /// 1 when running, 0 at rest; between them on the way.
    turning: f64,
    /// The factor of the product on speed, as far as the controller has followed it.
    pace: f64,
}

/// An Ornstein–Uhlenbeck process of unit standard deviation, discretised exactly.
#[derive(Debug, Clone, Copy)]
struct Wander {
    keep: f64,
    kick: f64,
    sigma: f64,
}

impl Wander {
    fn new(sigma: f64, relaxation_ms: f64, cadence_ms: f64) -> Self {
        let keep = libm::exp(-cadence_ms / relaxation_ms);
        Self { keep, kick: libm::sqrt(1.0 - keep * keep), sigma }
    }

    /// Moves the unit state on and returns the scaled value.
    fn step(self, unit: &mut f64, chance: &mut Stream) -> f64 {
        *unit = self.keep * *unit + self.kick * chance.normal();
        self.sigma * *unit
    }
}

/// The share of the way to its target that a first-order lag goes in one step.
fn lag_gain(time_constant_ms: f64, cadence_ms: f64) -> f64 {
    -libm::expm1(-cadence_ms / time_constant_ms)
}

impl Machine {
    /// Draws the machine that stands at place `device`, settled at the load of the instant `at_ms`.
    pub(crate) fn new(seed: u64, device: u32, cadence_ms: i64, noise: f64, at_ms: i64) -> Self {
        let mut draw = Stream::new(seed, device, Purpose::Parameters);
        let asset = AssetType::ALL[draw.index(AssetType::ALL.len())];
        let nature = Nature::draw(&mut draw, cadence_ms as f64, noise);
        let mut chance = Stream::new(seed, device, Purpose::Process);
        let mut state = State {
            load: 0.0,
            housing: 0.0,
            pressure: 0.0,
            load_wander: chance.normal(),
            speed_wander: chance.normal(),
            bearing_wander: chance.normal(),
            air_wander: chance.normal(),
            product: draw_product(&mut chance),
            product_left: nature.product_steps * chance.exponential(),
            turning: 1.0,
            pace: 1.0,
        };
        state.load = nature.asked_load(at_ms, state.product);
        let turning = nature.speed(state.load);
        state.housing = calendar::hall_temperature(at_ms) + nature.heat * power_share(state.load, turning);
        state.pressure = nature.rated_pressure_psi * turning;
        Self { asset, nature, state, chance }
    }

    pub(crate) fn asset(&self) -> AssetType {
        self.asset
    }

    /// Rated speed and power, against which faults are sized.
    pub(crate) fn ratings(&self) -> Ratings {
        Ratings { rpm: self.nature.rated_rpm, power_kw: self.nature.rated_power_kw }
    }

    /// One step on, to the instant `at_ms`. `cooling_lost` is 0 for a sound machine; 1 doubles the resistance to heat.
    /// The number of random draws depends neither on it nor on the `orders`, so a fault leaves no trace but its own, and
    /// the usual orders give to the bit what a machine without stops and new products gives.
    pub(crate) fn step(&mut self, at_ms: i64, cooling_lost: f64, orders: Orders) -> Signals {
        let Self { nature, state, chance, .. } = self;

        state.product_left -= 1.0;
        if state.product_left < 0.0 {
            state.product = draw_product(chance);
            state.product_left = nature.product_steps * (0.3 + 0.7 * chance.exponential());
        }
        let product = orders.product.unwrap_or(Product::USUAL);
        state.run(nature, at_ms, orders);
        let turning = state.turning;
        let load = (state.load + nature.load_wander.step(&mut state.load_wander, chance)).clamp(0.1, 1.2) * turning;

        let speed = nature.speed(load) + nature.speed_wander.step(&mut state.speed_wander, chance);
        let speed = speed * state.pace * turning;
        let power = power_share(load, speed) * turning + nature.standby * (1.0 - turning);
        let roughness = 1.0 + nature.bearing_wander.step(&mut state.bearing_wander, chance);
        let air = calendar::hall_temperature(at_ms) + nature.air_wander.step(&mut state.air_wander, chance);
        state.housing +=
            nature.heat_gain * (air + nature.heat * (1.0 + cooling_lost) * power * product.heat - state.housing);
        let pressure = (nature.rated_pressure_psi * speed * product.pressure).max(nature.static_head_psi);
        state.pressure += nature.pressure_gain * (pressure - state.pressure);

        let mut level = [0.0; METRICS];
        level[Metric::Temperature as usize] = state.housing;
        level[Metric::Vibration as usize] =
            nature.bearing * speed * speed * roughness + 0.15 * load + FLOOR_VIBRATION * (1.0 - turning);
        level[Metric::Pressure as usize] = state.pressure;
        level[Metric::Rpm as usize] = nature.rated_rpm * speed;
        level[Metric::Power as usize] = nature.rated_power_kw * power;
        let mut noise = nature.noise.map(|sigma| sigma * chance.normal());
        for (noise, at_rest) in noise.iter_mut().zip(NOISE_AT_REST) {
            *noise *= turning + at_rest * (1.0 - turning);
        }
        Signals { level, noise, speed }
    }
}

/// What is left of each sensor's noise at rest, by [`Metric`]: a shaft that rests has no revolutions to count wrongly,
/// and small vibrations and powers scatter little.
const NOISE_AT_REST: [f64; METRICS] = [1.0, 0.2, 1.0, 0.0, 0.1];

impl State {
    /// Moves load, product and running a step on, towards what the orders and the shift plan ask for.
    fn run(&mut self, nature: &Nature, at_ms: i64, orders: Orders) {
        let Orders { is_on, product } = orders;
        let asked = nature.asked_load(at_ms, product.map_or(self.product, |product| product.load));
        let pace = product.map_or(1.0, |product| product.speed);
        self.pace += nature.load_gain * (pace - self.pace);
        if is_on {
            self.load += nature.load_gain * (asked - self.load);
            self.turning += nature.run_gain * (1.0 - self.turning);
        } else {
            self.load -= nature.run_gain * self.load;
            self.turning -= nature.run_gain * self.turning;
            if self.turning < AT_REST {
                self.turning = 0.0;
            }
        }
    }
}

/// A machine's rated speed and power.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ratings {
    pub(crate) rpm: f64,
    pub(crate) power_kw: f64,
}

impl Nature {
    fn draw(draw: &mut Stream, cadence_ms: f64, noise: f64) -> Self {
        let rated_rpm = [980.0, 1_460.0, 2_950.0][draw.index(3)];
        let rated_power_kw = draw.between(4.0, 45.0);
        let wander = |sigma, relaxation_ms| Wander::new(sigma, relaxation_ms, cadence_ms);
        let mut spread = [0.0; METRICS];
        spread[Metric::Temperature as usize] = 0.15;
        spread[Metric::Vibration as usize] = 0.03;
        spread[Metric::Pressure as usize] = 0.4;
        spread[Metric::Rpm as usize] = 0.001_2 * rated_rpm;
        spread[Metric::Power as usize] = 0.006 * rated_power_kw;
        Self {
            base_load: draw.between(0.85, 1.0),
            shift_depth: draw.between(0.4, 1.0),
            idle_speed: draw.between(0.58, 0.70),
            rated_rpm,
            rated_power_kw,
            rated_pressure_psi: draw.between(80.0, 104.0),
            bearing: draw.between(1.0, 2.6),
            heat: draw.between(22.0, 36.0),
            noise: spread.map(|sigma| noise * sigma * draw.between(0.7, 1.3)),
            load_gain: lag_gain(draw.between(4.0, 12.0) * MINUTE_MS, cadence_ms),
            heat_gain: lag_gain(draw.between(15.0, 40.0) * MINUTE_MS, cadence_ms),
            pressure_gain: lag_gain(draw.between(1.0, 4.0) * MINUTE_MS, cadence_ms),
            load_wander: wander(draw.between(0.01, 0.03), draw.between(0.5, 1.5) * HOUR_MS),
            speed_wander: wander(draw.between(0.001, 0.004), draw.between(3.0, 10.0) * MINUTE_MS),
            bearing_wander: wander(draw.between(0.01, 0.035), draw.between(0.3, 2.0) * HOUR_MS),
            air_wander: wander(draw.between(0.3, 0.8), draw.between(4.0, 8.0) * HOUR_MS),
            product_steps: draw.between(6.0, 18.0) * HOUR_MS / cadence_ms,
            run_gain: lag_gain(RUN_DOWN_MS, cadence_ms),
            // Drawn last, so that what was drawn before there were stops stays what it was.
            static_head_psi: draw.between(35.0, 45.0),
            standby: draw.between(0.01, 0.02),
        }
    }

    fn asked_load(&self, at_ms: i64, product: f64) -> f64 {
        (self.base_load * product).min(ASKED_MAX) * (1.0 - self.shift_depth * (1.0 - calendar::shift_load(at_ms)))
    }

    fn speed(&self, load: f64) -> f64 {
        self.idle_speed + (1.0 - self.idle_speed) * load
    }
}

/// Power taken as a share of rated power: a part for running at all, the rest torque times speed.
fn power_share(load: f64, speed: f64) -> f64 {
    0.2 + 0.8 * load * speed
}

fn draw_product(chance: &mut Stream) -> f64 {
    chance.between(0.88, 1.06)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::DAY_MS;

    const MONDAY: i64 = 1_767_571_200_000;
    const MINUTE: i64 = 60_000;

    #[test]
    fn lost_cooling_heats_the_housing_and_nothing_else() {
        let mut sound = Machine::new(5, 0, MINUTE, 1.0, MONDAY);
        let mut hot = sound.clone();
        for minute in 0..240 {
            let at = MONDAY + 8 * 3_600_000 + minute * MINUTE;
            let (a, b) = (sound.step(at, 0.0, Orders::USUAL), hot.step(at, 0.8, Orders::USUAL));
            let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&a.level[1..]), bits(&b.level[1..]));
            assert_eq!(bits(&a.noise), bits(&b.noise));
            if minute == 239 {
                assert!(b.level[0] > a.level[0] + 8.0, "{} against {}", b.level[0], a.level[0]);
            }
        }
    }

    #[test]
    fn the_cadence_changes_how_often_one_looks_not_what_there_is() {
        let mean = |cadence: i64| {
            let mut machine = Machine::new(9, 4, cadence, 1.0, MONDAY);
            let steps = 5 * DAY_MS / cadence;
            (0..steps).map(|step| machine.step(MONDAY + step * cadence, 0.0, Orders::USUAL).level[0]).sum::<f64>()
                / steps as f64
        };
        let (fine, coarse) = (mean(10_000), mean(300_000));
        assert!((fine - coarse).abs() < 2.0, "{fine} against {coarse}");
    }
}
