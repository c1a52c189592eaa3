//! Chance from a seed: `SplitMix64` (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014).

/// A sequence that its seed decides.
#[derive(Debug, Clone)]
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// True this often: 0.0 never, 1.0 always.
    pub(crate) fn happens(&mut self, rate: f64) -> bool {
        // 53 bits: every value is exact, and below 1.
        ((self.next() >> 11) as f64) / ((1_u64 << 53) as f64) < rate
    }

    /// An identity in the form of a UUID of version 4.
    pub(crate) fn uuid(&mut self) -> String {
        let (high, low) = (self.next(), self.next());
        let (first, second, third) = (high >> 32, (high >> 16) & 0xffff, high & 0x0fff);
        let (variant, node) = (((low >> 48) & 0x3fff) | 0x8000, low & 0xffff_ffff_ffff);
        format!("{first:08x}-{second:04x}-4{third:03x}-{variant:04x}-{node:012x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_kept_and_a_seed_decides() {
        let count = |seed, rate| {
            let mut chance = Chance::new(seed);
            (0..10_000).filter(|_| chance.happens(rate)).count()
        };
        assert_eq!((count(1, 0.0), count(1, 1.0)), (0, 10_000));
        assert!((2_300..2_700).contains(&count(7, 0.25)));
        assert_eq!(count(7, 0.25), count(7, 0.25));
    }

    #[test]
    fn an_identity_looks_like_a_uuid() {
        let mut chance = Chance::new(3);
        let (first, second) = (chance.uuid(), chance.uuid());
        assert_eq!(first.len(), 36);
        assert_eq!(first.as_bytes()[14], b'4');
        assert_ne!(first, second);
    }
}
