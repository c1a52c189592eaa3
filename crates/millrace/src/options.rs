//! Values on the command line: checked as they are read, so that a mistake is a usage error that names the option.

use anomaly_core::{DeviceName, TenantName, Timestamp};

/// Tenant of every command where none is named: whose plant `demo` and `simulate` make.
pub(crate) const TENANT_DEFAULT: &str = "demo";

/// A tenant.
pub(crate) fn tenant(text: &str) -> Result<String, String> {
    TenantName::new(text).map(|name| name.as_str().to_owned()).map_err(|error| error.to_string())
}

/// A device.
pub(crate) fn device(text: &str) -> Result<String, String> {
    DeviceName::new(text).map(|name| name.as_str().to_owned()).map_err(|error| error.to_string())
}

/// A day of the calendar.
pub(crate) fn day(text: &str) -> Result<String, String> {
    let day: jiff::civil::Date = text.parse().map_err(|_| "expected a day such as 2026-01-31".to_owned())?;
    Ok(day.to_string())
}

/// An id of an anomaly or its beginning.
pub(crate) fn anomaly_id(text: &str) -> Result<String, String> {
    let digits = text.chars().all(|c| c.is_ascii_hexdigit());
    if digits && (4..=32).contains(&text.len()) {
        Ok(text.to_ascii_lowercase())
    } else {
        Err("expected 4 to 32 hexadecimal digits, as `millrace anomalies list` shows them".to_owned())
    }
}

/// An instant: RFC 3339, or a date and time without a zone, which is UTC, or a date, which is its first instant.
pub(crate) fn instant(text: &str) -> Result<Timestamp, String> {
    let zoned = text.parse::<jiff::Timestamp>().ok();
    let millis = zoned.or_else(|| {
        let civil: jiff::civil::DateTime = text.parse().ok()?;
        jiff::tz::TimeZone::UTC.to_timestamp(civil).ok()
    });
    let Some(at) = millis else {
        return Err("expected a time such as 2026-01-31T08:00:00Z or 2026-01-31".to_owned());
    };
    Timestamp::from_millis(at.as_millisecond()).map_err(|error| error.to_string())
}

/// A span of time: `60s`, `1m`, `500ms`, or a plain number of seconds. In milliseconds, at least one.
pub(crate) fn span_ms(text: &str) -> Result<i64, String> {
    let seconds = text.parse::<f64>().ok().filter(|seconds| seconds.is_finite());
    let millis = if let Some(seconds) = seconds {
        (seconds * 1_000.0).round() as i64
    } else {
        let span: jiff::SignedDuration =
            text.parse().map_err(|_| "expected a span such as 60s, 1m or 500ms".to_owned())?;
        i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
    };
    if millis >= 1 { Ok(millis) } else { Err("must be at least 1ms".to_owned()) }
}

/// A number from 0 to `MAX`.
pub(crate) fn at_most<const MAX: u32>(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| (0.0..=f64::from(MAX)).contains(number));
    number.ok_or_else(|| format!("must be a number from 0 to {MAX}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_may_have_a_zone_or_be_utc() {
        for text in
            ["2023-11-14T22:13:20Z", "2023-11-14 22:13:20", "2023-11-14T23:13:20+01:00", "2023-11-14T22:13:20.000"]
        {
            assert_eq!(instant(text).unwrap().millis(), 1_700_000_000_000, "{text}");
        }
        assert_eq!(instant("2023-11-14").unwrap().to_string(), "2023-11-14T00:00:00.000Z");
        assert!(instant("yesterday").is_err() && instant("1970-01-01").is_err());
    }

    #[test]
    fn a_span_has_a_unit_or_is_in_seconds() {
        for (text, millis) in [("60s", 60_000), ("1m", 60_000), ("500ms", 500), ("0.25", 250), ("10", 10_000)] {
            assert_eq!(span_ms(text), Ok(millis), "{text}");
        }
        assert!(span_ms("0").is_err() && span_ms("-1s").is_err() && span_ms("often").is_err());
    }
}
