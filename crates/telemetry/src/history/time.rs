//! Times as recordings write them: with or without a zone, or as a number.

use anomaly_core::Timestamp;

use crate::json::time::from_number;

/// Reads ISO 8601 with `T` or a space, with or without seconds, fraction and zone (none is UTC), a bare date, or seconds or
/// milliseconds since 1970. None for anything else, and outside 1980 to 2200.
#[must_use]
pub fn parse_time(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if let Ok(number) = text.parse::<f64>() {
        return time_of_number(number);
    }
    let at = match text.parse::<jiff::Timestamp>() {
        Ok(at) => at,
        // A civil time would be read from a text with a zone as well, and the zone passed over.
        Err(_) if has_zone(text) => return None,
        Err(_) => text.parse::<jiff::civil::DateTime>().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp(),
    };
    Timestamp::from_millis(at.as_millisecond()).ok()
}

/// Seconds or milliseconds since 1970, told apart by their size. None outside 1980 to 2200.
#[must_use]
pub fn time_of_number(number: f64) -> Option<Timestamp> {
    from_number(number).ok()
}

fn has_zone(text: &str) -> bool {
    let after_date = text.get(10..).unwrap_or_default();
    after_date.contains(['Z', 'z', '+', '-', '['])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_instant_in_every_form() {
        let at = Timestamp::from_millis(1_583_077_446_250).unwrap();
        for text in [
            "2020-03-01 15:44:06.250",
            "2020-03-01T15:44:06.25",
            "2020-03-01T15:44:06.250Z",
            " 2020-03-01 15:44:06.250Z ",
            "2020-03-01T16:44:06.25+01:00",
            "2020-03-01 10:44:06.250-05:00",
            "1583077446.25",
            "1583077446250",
            "1.58307744625e12",
        ] {
            assert_eq!(parse_time(text), Some(at), "{text}");
        }
        let midnight = Timestamp::from_millis(1_583_020_800_000).unwrap();
        for text in ["2020-03-01", "2020-03-01 00:00", "2020-03-01T00:00:00"] {
            assert_eq!(parse_time(text), Some(midnight), "{text}");
        }
    }

    #[test]
    fn other_texts_are_no_time() {
        for text in [
            "",
            "now",
            "2020-13-01",
            "2020-02-30 00:00:00",
            "01.03.2020",
            "03/01/2020",
            "1970-01-01",
            "0",
            "nan",
            "inf",
            "1583077446250000",
            "2020-03-01 15:44:06+99:00",
            "2020-03-01 25:00:00",
            "83.2",
            "2020-03-01 15:44:06 PST",
        ] {
            assert_eq!(parse_time(text), None, "{text}");
        }
    }
}
