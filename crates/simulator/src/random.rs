//! Chance that is the same on every machine: a stream per device and purpose, and the distributions drawn from it.
//!
//! Not for secrets. A stream is derived from the seed, the device and the purpose, so that neither the number of devices
//! nor what another purpose draws can shift it.

use std::sync::LazyLock;

use rand_pcg::{Pcg64Mcg, rand_core::Rng};

/// What a stream is for. The numbers are part of the output: changing one changes every plant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Parameters = 1,
    Process = 2,
    Faults = 3,
    Poison = 4,
    Phase = 5,
    Stops = 6,
    Products = 7,
}

/// A stream of random numbers.
#[derive(Debug, Clone)]
pub(crate) struct Stream(Pcg64Mcg);

impl Stream {
    pub(crate) fn new(seed: u64, device: u32, purpose: Purpose) -> Self {
        let key = derive(seed, device, purpose);
        Self(Pcg64Mcg::new(u128::from(mix(key)) << 64 | u128::from(mix(key ^ 0x5851_f42d_4c95_7f2d))))
    }

    /// Uniform in `0..2^64`.
    pub(crate) fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Uniform in `[0, 1)`, a multiple of 2⁻⁵³.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 * (1.0 / 9_007_199_254_740_992.0)
    }

    /// Uniform in `[low, high)`.
    pub(crate) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Uniform in `0..count`; `count` is small, so the bias of the multiplication is below 2⁻⁵⁶.
    pub(crate) fn index(&mut self, count: usize) -> usize {
        ((u128::from(self.bits()) * count as u128) >> 64) as usize
    }

    /// Exponential with mean 1.
    pub(crate) fn exponential(&mut self) -> f64 {
        -libm::log(1.0 - self.unit())
    }

    /// Standard normal, by the ziggurat: one draw and one comparison in 99 of 100 cases.
    pub(crate) fn normal(&mut self) -> f64 {
        let layers = &*LAYERS;
        loop {
            let bits = self.bits();
            let layer = (bits & 0xff) as usize;
            let side = (bits >> 11) as f64 * (1.0 / 4_503_599_627_370_496.0) - 1.0;
            let x = side * layers.edge[layer];
            if side.abs() < layers.inner[layer] {
                return x;
            }
            if layer == 0 {
                return if side < 0.0 { -self.normal_tail() } else { self.normal_tail() };
            }
            let (low, high) = (layers.density[layer], layers.density[layer + 1]);
            if low + (high - low) * self.unit() < libm::exp(-0.5 * x * x) {
                return x;
            }
        }
    }

    /// A normal value known to lie beyond the ziggurat's last edge (Marsaglia's method).
    fn normal_tail(&mut self) -> f64 {
        loop {
            let beyond = self.exponential() / TAIL;
            if 2.0 * self.exponential() > beyond * beyond {
                return TAIL + beyond;
            }
        }
    }
}

/// A hash of one device at one step, for a chance that needs no state: the same however one arrived at that step.
pub(crate) fn chance_at(seed: u64, device: u32, purpose: Purpose, step: i64) -> u64 {
    mix(derive(seed, device, purpose).wrapping_add((step as u64).wrapping_mul(GOLDEN)))
}

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

fn derive(seed: u64, device: u32, purpose: Purpose) -> u64 {
    mix(mix(seed.wrapping_add(GOLDEN)) ^ (u64::from(device) << 8 | purpose as u64))
}

/// The finaliser of `SplitMix64` (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Where the tail begins with 256 layers of equal area (Marsaglia and Tsang: "The ziggurat method", 2000).
const TAIL: f64 = 3.654_152_885_361_009;
/// The area of each layer, the base with its tail included.
const AREA: f64 = 0.004_928_673_233_974_655;

/// Layers of equal area under exp(−x²/2), widest first.
struct Layers {
    /// Right edge of each layer; the base is as wide as a rectangle of its area.
    edge: [f64; 257],
    /// The density at each edge; a layer spans from its own to the next one's.
    density: [f64; 257],
    /// The share of a layer's width that lies wholly under the curve.
    inner: [f64; 256],
}

static LAYERS: LazyLock<Layers> = LazyLock::new(|| {
    let curve = |x: f64| libm::exp(-0.5 * x * x);
    let mut edge = [0.0; 257];
    edge[0] = AREA / curve(TAIL);
    edge[1] = TAIL;
    for i in 2..256 {
        let before: f64 = edge[i - 1];
        edge[i] = libm::sqrt(-2.0 * libm::log(AREA / before + curve(before)));
    }
    let density = edge.map(curve);
    let mut inner = [0.0; 256];
    for (i, share) in inner.iter_mut().enumerate() {
        *share = edge[i + 1] / edge[i];
    }
    Layers { edge, density, inner }
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_values_have_the_moments_and_tails_of_a_normal_distribution() {
        let mut stream = Stream::new(7, 0, Purpose::Process);
        let n = 2_000_000;
        let (mut sum, mut squares, mut fourth, mut beyond2, mut beyond37) = (0.0, 0.0, 0.0, 0_u32, 0_u32);
        for _ in 0..n {
            let x = stream.normal();
            sum += x;
            squares += x * x;
            fourth += x * x * x * x;
            beyond2 += u32::from(x.abs() > 2.0);
            beyond37 += u32::from(x.abs() > 3.7);
        }
        let n = f64::from(n);
        assert!((sum / n).abs() < 0.004, "mean {}", sum / n);
        assert!((squares / n - 1.0).abs() < 0.005, "variance {}", squares / n);
        assert!((fourth / n - 3.0).abs() < 0.04, "fourth moment {}", fourth / n);
        assert!((f64::from(beyond2) / n - 0.045_500).abs() < 0.000_8, "beyond 2: {beyond2}");
        assert!((f64::from(beyond37) / n - 0.000_215_6).abs() < 0.000_06, "beyond 3.7: {beyond37}");
    }

    #[test]
    fn streams_of_neighbours_and_purposes_are_uncorrelated() {
        let streams =
            [(1, 0, Purpose::Process), (1, 1, Purpose::Process), (2, 0, Purpose::Process), (1, 0, Purpose::Faults)];
        let series = streams.map(|(seed, device, purpose)| {
            let mut stream = Stream::new(seed, device, purpose);
            (0..20_000).map(|_| stream.normal()).collect::<Vec<_>>()
        });
        for (i, a) in series.iter().enumerate() {
            for b in &series[i + 1..] {
                let product: f64 = a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>() / a.len() as f64;
                assert!(product.abs() < 0.03, "correlation {product}");
            }
        }
    }

    #[test]
    fn an_index_covers_its_whole_range() {
        let mut stream = Stream::new(3, 3, Purpose::Parameters);
        let mut seen = [0_u32; 5];
        for _ in 0..5_000 {
            seen[stream.index(5)] += 1;
        }
        assert!(seen.iter().all(|&count| (850..1_150).contains(&count)), "{seen:?}");
    }
}
