//! Values on the command line: checked as they are read, so that a mistake is a usage error that names the option.

use anomaly_core::{DeviceName, Severity, TenantName, Timestamp};

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

/// An id of an incident or its beginning.
pub(crate) fn incident_id(text: &str) -> Result<String, String> {
    let digits = text.chars().all(|c| c.is_ascii_hexdigit());
    if digits && (4..=32).contains(&text.len()) {
        Ok(text.to_ascii_lowercase())
    } else {
        Err("expected 4 to 32 hexadecimal digits, as `millrace alerts list` shows them".to_owned())
    }
}

/// Longest name of a person, reason and note, in bytes: what is stored of them.
const TEXT_BYTES_MAX: usize = 1_024;

/// What a person says: a name, a reason, a note.
pub(crate) fn words(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err("must not be empty".to_owned());
    }
    if text.len() > TEXT_BYTES_MAX {
        return Err(format!("has {} bytes, the limit is {TEXT_BYTES_MAX}", text.len()));
    }
    Ok(text.to_owned())
}

/// A pattern of names, in which `*` stands for any run of characters.
pub(crate) fn pattern(text: &str) -> Result<String, String> {
    let max = telemetry::profile::PATTERN_BYTES_MAX;
    if (1..=max).contains(&text.len()) { Ok(text.to_owned()) } else { Err(format!("must have 1 to {max} bytes")) }
}

/// A severity.
pub(crate) fn severity(text: &str) -> Result<Severity, String> {
    let known = [Severity::Info, Severity::Warning, Severity::Critical];
    let found = known.into_iter().find(|severity| severity.as_str() == text);
    found.ok_or_else(|| "expected info, warning or critical".to_owned())
}

/// A long span of time, such as `90m`, `2h`, `7d` or `2w`, of days of 24 hours. In milliseconds, a minute to `DAYS_MAX` days.
pub(crate) fn long_span_ms<const DAYS_MAX: i64>(text: &str) -> Result<i64, String> {
    let expected = || format!("expected a span such as 90m, 2h or 7d, a minute to {DAYS_MAX} days");
    let span: jiff::Span = text.parse().map_err(|_| expected())?;
    let days = jiff::SpanRelativeTo::days_are_24_hours();
    let millis = span.total((jiff::Unit::Millisecond, days)).map_err(|_| expected())? as i64;
    if (60_000..=DAYS_MAX * 86_400_000).contains(&millis) { Ok(millis) } else { Err(expected()) }
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

    #[test]
    fn a_long_span_has_a_unit_and_bounds() {
        for (text, hours) in [("2h", 2), ("7d", 168), ("2w", 336), ("1d 12h", 36), ("120m", 2), ("30d", 720)] {
            assert_eq!(long_span_ms::<30>(text), Ok(hours * 3_600_000), "{text}");
        }
        for text in ["31d", "59s", "-2h", "1mo", "2", "soon", ""] {
            assert!(long_span_ms::<30>(text).unwrap_err().contains("30 days"), "{text}");
        }
    }
}
