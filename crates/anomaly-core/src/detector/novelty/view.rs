//! One quantised view of a metric: what is usual at this time of the day, and which courses were seen.

use serde::{Deserialize, Serialize};

use super::histogram::{Histogram, Place};

/// Readings of one block: only its largest counts.
const BLOCK: u8 = 8;
/// Half a reading, in blocks: nothing is rarer than what was never seen.
const HALF: f64 = 0.5 / 8.0;
/// Weight of the course beside the residual.
const COURSE_WEIGHT: f64 = 0.45;
/// How fast a bucket's mean follows once it was visited often.
const FOLLOW: f64 = 0.2;
/// Mean of a metric that has seen no day yet, a reading.
const SLOW: f64 = 1.0 / 300.0;
/// Courses that are remembered.
const PROTOTYPES: usize = 32;
/// How much of a count is left after a reading, and how small the unit may become before the counts are made anew.
const FADE: f32 = 0.9995;
const SCALE_MIN: f32 = 0.01;
/// A course so many times further than usual is a new one; so many times further replaces the weakest.
const NEW: f64 = 2.0;
const REPLACES: f64 = 8.0;

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Prototype {
    course: [f32; 4],
    /// How often it was seen, in units of the view's scale.
    count: f32,
}

/// State of one view.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct View {
    seen: u32,
    shift: f32,
    spans: [f32; 4],
    /// Means by time of day and how many visits made them.
    usual: Vec<(f64, u8)>,
    /// The bucket that is being visited, and the sum and count of the visit.
    visit: Option<(u8, f64, u32)>,
    slow: f64,
    course: [f64; 4],
    prototypes: Vec<Prototype>,
    /// What a count of 1 stands for: fades with every reading, instead of all the counts.
    scale: f32,
    distance: f64,
    above: Histogram,
    below: Histogram,
    distances: Histogram,
    blocks: f32,
    /// Largest residual above, below, and distance of the block that goes on.
    block: [f64; 3],
    in_block: u8,
}

impl View {
    /// A view with so many buckets a day, shifted by a part of a bucket, and courses over these spans.
    pub(super) fn new(buckets: usize, shift: f32, spans: [f32; 4]) -> Self {
        Self {
            seen: 0,
            shift,
            spans,
            usual: vec![(0.0, 0); buckets],
            visit: None,
            slow: 0.0,
            course: [0.0; 4],
            prototypes: Vec::new(),
            scale: 1.0,
            distance: 0.0,
            above: Histogram::default(),
            below: Histogram::default(),
            distances: Histogram::default(),
            blocks: 0.0,
            block: [0.0; 3],
            in_block: 0,
        }
    }

    /// Takes a reading at a part of the day (0 to 1). `course` is its compressed value; residuals below `nothing` are none.
    /// Returns how rare it is, as minus the logarithm to base 10 of its rank.
    pub(super) fn observe(&mut self, day: f64, value: f64, course: f64, nothing: f64) -> f64 {
        let residual = self.residual(day, value);
        let residual = if residual.abs() < nothing { 0.0 } else { residual };
        let distance = self.follow_course(course);
        let surprise = self.rank(residual, distance);
        self.count(residual, distance);
        self.seen = self.seen.saturating_add(1);
        surprise
    }

    fn rate(&self, slowest: f64) -> f64 {
        (1.0 / (f64::from(self.seen) + 1.0)).max(slowest)
    }

    /// Departure from the nearest of what is usual at this time of the day and just before and after it.
    fn residual(&mut self, day: f64, value: f64) -> f64 {
        let buckets = self.usual.len();
        let bucket = (day * buckets as f64 + f64::from(self.shift)) as usize % buckets;
        match &mut self.visit {
            Some((visited, sum, count)) if usize::from(*visited) == bucket => {
                *sum += value;
                *count += 1;
            }
            visit => {
                if let Some((left, sum, count)) = visit.replace((bucket as u8, value, 1)) {
                    let (mean, visits) = &mut self.usual[usize::from(left)];
                    *visits = visits.saturating_add(1);
                    let rate = (1.0 / f64::from(*visits)).max(FOLLOW);
                    *mean += rate * (sum / f64::from(count) - *mean);
                }
            }
        }
        self.slow += self.rate(SLOW) * (value - self.slow);
        let near = [bucket + buckets - 1, bucket, bucket + 1].map(|bucket| self.usual[bucket % buckets]);
        let residuals = near.into_iter().filter(|(_, visits)| *visits > 0).map(|(mean, _)| value - mean);
        residuals.min_by(|a, b| a.abs().total_cmp(&b.abs())).unwrap_or(value - self.slow)
    }

    /// Distance of the recent course from the nearest that was seen.
    fn follow_course(&mut self, value: f64) -> f64 {
        for (average, span) in self.course.iter_mut().zip(self.spans) {
            let rate = (1.0 / (f64::from(self.seen) + 1.0)).max(1.0 / f64::from(span));
            *average += rate * (value - *average);
        }
        let course = self.course.map(|average| average as f32);
        let (mut nearest, mut least) = (None, f32::INFINITY);
        for (index, prototype) in self.prototypes.iter().enumerate() {
            let [a, b, c, d] = prototype.course;
            let distance =
                (a - course[0]).abs() + (b - course[1]).abs() + (c - course[2]).abs() + (d - course[3]).abs();
            if distance < least {
                (nearest, least) = (Some(index), distance);
            }
        }
        let distance = if nearest.is_some() { f64::from(least) } else { 0.0 };
        let fresh = Prototype { course, count: 1.0 / self.scale };
        let is_new = nearest.is_none() || self.seen < 20 || distance > NEW * self.distance;
        if is_new && self.prototypes.len() < PROTOTYPES {
            self.prototypes.push(fresh);
        } else if self.seen > 50 && distance > REPLACES * self.distance {
            let weakest = self.prototypes.iter_mut().min_by(|a, b| a.count.total_cmp(&b.count));
            if let Some(weakest) = weakest {
                *weakest = fresh;
            }
        } else if let Some(index) = nearest {
            let prototype = &mut self.prototypes[index];
            prototype.count += 1.0 / self.scale;
            let rate = (1.0 / (prototype.count * self.scale)).max(0.05);
            for (mine, average) in prototype.course.iter_mut().zip(course) {
                *mine += rate * (average - *mine);
            }
        }
        self.fade();
        self.distance += self.rate(0.005) * (distance - self.distance);
        distance
    }

    /// All courses were seen a little longer ago.
    fn fade(&mut self) {
        self.scale *= FADE;
        if self.scale < SCALE_MIN {
            self.prototypes.iter_mut().for_each(|prototype| prototype.count *= self.scale);
            self.scale = 1.0;
        }
    }

    fn rank(&mut self, residual: f64, distance: f64) -> f64 {
        let size = Place::of(residual.abs());
        let total = f64::from(self.blocks) + 1.0;
        let (above, below) = (self.above.at_least(size), self.below.at_least(size));
        let own = if residual >= 0.0 { above } else { below };
        let one_sided = (2.0 * (own + HALF / 2.0) / total).min(1.0);
        let two_sided = ((above + below + HALF) / total).min(1.0);
        let residuals = -0.5 * libm::log10(one_sided * two_sided);
        let courses = -libm::log10(((self.distances.at_least(Place::of(distance)) + HALF) / total).min(1.0));
        (residuals + COURSE_WEIGHT * courses) / (1.0 + COURSE_WEIGHT)
    }

    fn count(&mut self, residual: f64, distance: f64) {
        let sizes = [residual.max(0.0), (-residual).max(0.0), distance];
        for (largest, size) in self.block.iter_mut().zip(sizes) {
            *largest = largest.max(size);
        }
        self.in_block += 1;
        if self.in_block < BLOCK {
            return;
        }
        let [above, below, distance] = std::mem::take(&mut self.block);
        self.in_block = 0;
        self.above.add(above);
        self.below.add(below);
        self.distances.add(distance);
        self.blocks += 1.0;
        if Histogram::is_full(self.blocks) {
            self.blocks *= 0.5;
            for histogram in [&mut self.above, &mut self.below, &mut self.distances] {
                histogram.halve();
            }
        }
    }
}
