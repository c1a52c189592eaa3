//! Maintenance windows: hours of the week, by the clock on the wall of the plant.
//!
//! A window begins on one of its days and is as long as the clock on the wall says. In the night in which clocks change it is
//! never shorter than that, except by time that does not exist: a start that is skipped is the instant of the change, a
//! start that comes twice is the first, and an end that comes twice is the second. A window from 02:00 to 03:00 in a night that goes
//! from 02:00 straight to 03:00 does not take place; in a night in which that hour comes twice it lasts two hours.
//!
//! Which zone a name means is looked up by the caller: the database is large, and most programs that read a profile tell nobody.

use std::fmt;

use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};
use jiff::{Span, ToSpan as _};

use crate::Timestamp;
use crate::profile::matches_pattern;

/// A time on the wall, in minutes of the day, 00:00 to 24:00.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WallTime(u16);

impl WallTime {
    /// 24:00, the end of a day.
    pub const END: Self = Self(24 * 60);

    /// Reads `HH:MM`. `None` for anything else, and after 24:00.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (hours, minutes) = text.split_once(':')?;
        let number = |digits: &str| {
            let is_plain = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
            digits.parse::<u16>().ok().filter(|_| is_plain)
        };
        let (hours, minutes) = (number(hours)?, number(minutes)?);
        let wall = Self(hours * 60 + minutes);
        (minutes < 60 && wall <= Self::END).then_some(wall)
    }

    /// On a day. 24:00 is the start of the next one; `None` at the end of the calendar.
    fn on(self, date: Date) -> Option<DateTime> {
        let midnight = date.to_datetime(Time::midnight());
        midnight.checked_add(Span::new().minutes(i64::from(self.0))).ok()
    }
}

impl fmt::Display for WallTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

/// Hours in which nothing is told of some devices, as the profile has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MaintenanceWindow {
    /// Name, for people.
    pub name: String,
    /// The days on which it begins; none stands for every day.
    pub days: Vec<Weekday>,
    /// When it begins.
    pub from: WallTime,
    /// When it ends; on the next day if not after `from`.
    pub until: WallTime,
    /// Name of the time zone in the IANA database, for example `Europe/Berlin`.
    pub zone: String,
    /// Patterns of device names; none stands for every device.
    pub devices: Vec<String>,
}

/// A window whose zone is known.
#[derive(Debug, Clone)]
pub struct ZonedWindow<'a> {
    window: &'a MaintenanceWindow,
    zone: TimeZone,
}

impl<'a> ZonedWindow<'a> {
    /// A window by the clocks of `zone`, which must be the one that it names.
    #[must_use]
    pub fn new(window: &'a MaintenanceWindow, zone: TimeZone) -> Self {
        Self { window, zone }
    }

    /// The window's name.
    #[must_use]
    pub fn name(&self) -> &'a str {
        &self.window.name
    }

    /// When the window ends in which `device` is at `now`; `None` if it is in none.
    #[must_use]
    pub fn until(&self, device: &str, now: Timestamp) -> Option<Timestamp> {
        let devices = &self.window.devices;
        if !devices.is_empty() && !devices.iter().any(|pattern| matches_pattern(pattern, device)) {
            return None;
        }
        let today = self.zone.to_datetime(jiff::Timestamp::from_millisecond(now.millis()).ok()?).date();
        // One that began yesterday may last; one of tomorrow may have begun where clocks went back over midnight.
        let days = [today.yesterday().ok(), Some(today), today.tomorrow().ok()];
        let ends = days.into_iter().flatten().filter_map(|date| {
            let (from, until) = self.on(date)?;
            (from <= now && now < until).then_some(until)
        });
        ends.max()
    }

    /// Start and end of the window that begins on a date.
    fn on(&self, date: Date) -> Option<(Timestamp, Timestamp)> {
        let MaintenanceWindow { days, from, until, .. } = self.window;
        if !days.is_empty() && !days.contains(&date.weekday()) {
            return None;
        }
        let last = if until > from { date } else { date.checked_add(1.day()).ok()? };
        Some((self.instant(from.on(date)?, Side::First)?, self.instant(until.on(last)?, Side::Last)?))
    }

    /// The instant at which the wall shows a time.
    fn instant(&self, wall: DateTime, side: Side) -> Option<Timestamp> {
        let at = |offset: Offset| offset.to_timestamp(wall).ok();
        let instant = match (self.zone.to_ambiguous_timestamp(wall).offset(), side) {
            (AmbiguousOffset::Unambiguous { offset }, _) => at(offset),
            (AmbiguousOffset::Fold { before, .. }, Side::First) => at(before),
            (AmbiguousOffset::Fold { after, .. }, Side::Last) => at(after),
            // Read by the clock that is already ahead, the time is before the change.
            (AmbiguousOffset::Gap { after, .. }, _) => {
                self.zone.following(at(after)?).next().map(|change| change.timestamp())
            }
        };
        Timestamp::from_millis(instant?.as_millisecond()).ok()
    }
}

/// Which of two equal times on the wall is meant.
#[derive(Debug, Clone, Copy)]
enum Side {
    First,
    Last,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(days: &[Weekday], from: &str, until: &str) -> MaintenanceWindow {
        MaintenanceWindow {
            name: "night".into(),
            days: days.to_vec(),
            from: WallTime::parse(from).unwrap(),
            until: WallTime::parse(until).unwrap(),
            zone: "Europe/Berlin".into(),
            devices: vec!["pump-*".into()],
        }
    }

    /// Until when a window in Berlin lasts at an instant, as text of UTC.
    fn check(window: &MaintenanceWindow, now: &str, expected: Option<&str>) {
        let zone = TimeZone::get(&window.zone).unwrap();
        let millis = now.parse::<jiff::Timestamp>().unwrap().as_millisecond();
        let until = ZonedWindow::new(window, zone).until("pump-7", Timestamp::from_millis(millis).unwrap());
        assert_eq!(until.map(|at| at.to_string()), expected.map(|text| format!("2026-{text}:00.000Z")), "{now}");
    }

    #[test]
    fn a_window_is_by_the_clock_of_its_zone_in_summer_and_in_winter() {
        let noon = window(&[], "12:00", "13:00");
        check(&noon, "2026-01-15T11:30:00Z", Some("01-15T12:00"));
        check(&noon, "2026-07-15T10:30:00Z", Some("07-15T11:00"));
        check(&noon, "2026-07-15T11:00:00Z", None);
    }

    #[test]
    fn a_window_over_midnight_belongs_to_the_day_on_which_it_begins() {
        let friday = window(&[Weekday::Friday], "22:00", "06:00");
        check(&friday, "2026-01-16T21:30:00Z", Some("01-17T05:00"));
        check(&friday, "2026-01-17T04:59:00Z", Some("01-17T05:00"));
        check(&friday, "2026-01-17T21:30:00Z", None);
        check(&friday, "2026-01-16T04:00:00Z", None);
    }

    #[test]
    fn a_whole_day_ends_at_midnight_of_the_wall() {
        check(&window(&[Weekday::Sunday], "00:00", "24:00"), "2026-01-18T12:00:00Z", Some("01-18T23:00"));
    }

    #[test]
    fn an_hour_that_does_not_exist_has_no_window_and_one_that_overlaps_it_is_cut() {
        // In the night of 29 March 2026 clocks in Berlin go from 02:00 to 03:00, at 01:00 of UTC.
        for now in ["2026-03-29T00:59:59Z", "2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z"] {
            check(&window(&[], "02:00", "03:00"), now, None);
            check(&window(&[], "02:15", "02:45"), now, None);
        }
        check(&window(&[], "02:30", "03:30"), "2026-03-29T01:10:00Z", Some("03-29T01:30"));
        check(&window(&[], "01:30", "02:30"), "2026-03-29T00:45:00Z", Some("03-29T01:00"));
    }

    #[test]
    fn an_hour_that_comes_twice_is_two_hours_of_window() {
        // In the night of 25 October 2026 clocks in Berlin go from 03:00 back to 02:00, at 01:00 of UTC.
        let hour = window(&[], "02:00", "03:00");
        check(&hour, "2026-10-24T23:59:59Z", None);
        check(&hour, "2026-10-25T00:00:00Z", Some("10-25T02:00"));
        check(&hour, "2026-10-25T01:30:00Z", Some("10-25T02:00"));
        check(&window(&[], "01:00", "02:30"), "2026-10-25T00:45:00Z", Some("10-25T01:30"));
    }

    #[test]
    fn other_devices_are_not_meant() {
        let always = window(&[], "00:00", "24:00");
        let zoned = ZonedWindow::new(&always, TimeZone::UTC);
        let now = Timestamp::from_millis(1_700_000_000_000).unwrap();
        assert!(zoned.until("pump-7", now).is_some());
        assert!(zoned.until("fan-7", now).is_none());
    }

    #[test]
    fn a_time_on_the_wall_is_four_digits_and_a_colon() {
        for (text, expected) in [("00:00", Some(0)), ("23:59", Some(1439)), ("24:00", Some(1440))] {
            assert_eq!(WallTime::parse(text).map(|wall| wall.0), expected);
            assert_eq!(WallTime::parse(text).unwrap().to_string(), text);
        }
        for text in ["", "1:00", "01:60", "24:01", "+1:00", "01:00:00", "1e:00", "99:00"] {
            assert_eq!(WallTime::parse(text), None, "{text}");
        }
    }
}
