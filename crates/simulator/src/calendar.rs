//! What the time of day, week and year asks of every machine: the load of the shift and the air of the hall.
//!
//! Times are UTC: the plant has no time zone and no public holidays.

use crate::config::DAY_MS;

/// Shifts change at 06:00, 14:00 and 22:00.
const SHIFT_MS: i64 = 8 * 3_600_000;
/// Handing over from one shift to the next takes this long.
const HANDOVER_MS: i64 = 20 * 60_000;
const WEEK_MS: i64 = 7 * DAY_MS;
/// 1970-01-05T06:00:00Z, the first morning shift of a week.
const MONDAY_MORNING_MS: i64 = 4 * DAY_MS + 6 * 3_600_000;
/// Load of the morning, evening and night shift.
const SHIFT_LOAD: [f64; 3] = [1.0, 0.85, 0.6];
/// What is left of it from Saturday 06:00 to Monday 06:00.
const WEEKEND: f64 = 0.5;
const WEEKEND_FIRST_SHIFT: i64 = 15;
const SHIFTS_A_WEEK: i64 = 21;

/// The load that the shift plan asks for, as a share of full load (0.3 to 1).
pub(crate) fn shift_load(at_ms: i64) -> f64 {
    let into_week = (at_ms - MONDAY_MORNING_MS).rem_euclid(WEEK_MS);
    let (shift, into_shift) = (into_week / SHIFT_MS, into_week % SHIFT_MS);
    let now = level(shift);
    if into_shift >= HANDOVER_MS {
        return now;
    }
    let before = level((shift + SHIFTS_A_WEEK - 1) % SHIFTS_A_WEEK);
    before + (now - before) * (into_shift as f64 / HANDOVER_MS as f64)
}

fn level(shift: i64) -> f64 {
    SHIFT_LOAD[(shift % 3) as usize] * if shift >= WEEKEND_FIRST_SHIFT { WEEKEND } else { 1.0 }
}

/// The usual air temperature of the hall in °C: warmest at 15:00 and in late July.
pub(crate) fn hall_temperature(at_ms: i64) -> f64 {
    let day = at_ms.rem_euclid(DAY_MS) as f64 / DAY_MS as f64;
    // 365.2425 days; only the share of the year matters, so that the argument of the sine stays small.
    let year = at_ms.rem_euclid(31_556_952_000) as f64 / 31_556_952_000.0;
    24.0 + 3.0 * turn(day - 0.375) + 2.0 * turn(year - 0.32)
}

/// The sine of a number of turns.
fn turn(turns: f64) -> f64 {
    libm::sin(turns * std::f64::consts::TAU)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MONDAY: i64 = 1_767_571_200_000;
    const HOUR: i64 = 3_600_000;

    #[test]
    fn three_shifts_have_three_loads_and_the_weekend_half_of_them() {
        let load = |day, hour| (shift_load(MONDAY + day * DAY_MS + hour * HOUR) * 1_000.0).round() as u32;
        assert_eq!([load(0, 10), load(0, 18), load(0, 23), load(1, 3)], [1_000, 850, 600, 600]);
        assert_eq!([load(5, 3), load(5, 10), load(6, 18), load(6, 23)], [600, 500, 425, 300]);
        assert_eq!([load(0, 3), load(7, 3), load(7, 10)], [300, 300, 1_000]);
    }

    #[test]
    fn a_handover_is_a_ramp_without_a_jump() {
        let mut before = shift_load(MONDAY);
        for minute in 1..7 * 24 * 60 {
            let now = shift_load(MONDAY + minute * 60_000);
            assert!((now - before).abs() < 0.04, "minute {minute}: {before} to {now}");
            before = now;
        }
    }

    #[test]
    fn the_afternoon_is_warmer_than_the_night_and_july_than_january() {
        let july = MONDAY + 200 * DAY_MS;
        assert!(hall_temperature(MONDAY + 15 * HOUR) > hall_temperature(MONDAY + 3 * HOUR) + 5.9);
        assert!(hall_temperature(july) > hall_temperature(MONDAY) + 3.5);
    }
}
