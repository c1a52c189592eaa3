//! An emission as bytes: the JSON shapes in which devices send, and the same shapes spoilt on purpose.
//!
//! Numbers are written with the fixed number of digits that the sensor resolves, so that parsing a payload gives the
//! emission's value back exactly. Nothing is allocated beyond the caller's buffer.

use std::io::Write;

use serde::{Deserialize, Serialize};

use crate::emission::Emission;
use crate::metric::Metric;
use crate::poison::PoisonKind;

/// Levels of nesting in [`PoisonKind::TooDeep`].
const DEPTH: usize = 300;
/// Length of the name in [`PoisonKind::NameTooLong`].
const LONG_NAME_BYTES: usize = 400;
/// The time in [`PoisonKind::ImpossibleTime`], beyond any calendar whether read as seconds or milliseconds.
const IMPOSSIBLE_TIME: i64 = 999_999_999_999_999_999;

/// The JSON shape of a payload.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PayloadFormat {
    /// `{"topic":"tenants/demo/devices/pump-00001/telemetry","ts":1767571200000,"temperature":43.27,…}`: what the rule of
    /// the telemetry topic routes.
    #[default]
    Topic,
    /// `{"device_id":"pump-00001","ts":1767571200000,"temp":43.27,…}`
    DeviceId,
    /// `{"deviceId":"pump-00001","sensorType":"temperature","value":43.27,"timestamp":1767571200000}`: a payload a metric.
    Single,
}

impl Emission {
    /// How many payloads this emission is in that format: one, or one a metric unless it is poison.
    #[must_use]
    pub fn payload_count(&self, format: PayloadFormat) -> usize {
        match (format, self.poison) {
            (PayloadFormat::Single, None) => self.values.len(),
            _ => 1,
        }
    }

    /// Overwrites `out` with this emission's payload. The several payloads of [`PayloadFormat::Single`] are separated by
    /// line feeds, and no payload contains one, whatever its poison.
    pub fn payload(&self, format: PayloadFormat, tenant: &str, out: &mut Vec<u8>) {
        out.clear();
        for index in 0..self.payload_count(format) {
            if index > 0 {
                out.push(b'\n');
            }
            self.append(format, tenant, index, out);
        }
    }

    /// Calls `each` with every payload of this emission, built in `scratch`.
    pub fn for_each_payload(
        &self,
        format: PayloadFormat,
        tenant: &str,
        scratch: &mut Vec<u8>,
        mut each: impl FnMut(&[u8]),
    ) {
        for index in 0..self.payload_count(format) {
            scratch.clear();
            self.append(format, tenant, index, scratch);
            each(scratch);
        }
    }

    fn append(&self, format: PayloadFormat, tenant: &str, index: usize, out: &mut Vec<u8>) {
        let begin = out.len();
        let time = if self.poison == Some(PoisonKind::ImpossibleTime) { IMPOSSIBLE_TIME } else { self.at_ms };
        out.push(b'{');
        self.append_identity(format, tenant, out);
        if format == PayloadFormat::Single {
            if let Some(&(name, value)) = self.values.get(index) {
                out.extend_from_slice(br#""sensorType":""#);
                append_name(name, self.poison, out);
                out.extend_from_slice(br#"","value":"#);
                append_value(name, value, self.poison, out);
                out.push(b',');
            }
            out.extend_from_slice(br#""timestamp":"#);
            append_integer(time, out);
        } else {
            out.extend_from_slice(br#""ts":"#);
            append_integer(time, out);
            for (index, &(name, value)) in self.values.iter().enumerate() {
                // One spoilt metric is enough to spoil a payload.
                let poison = self.poison.filter(|_| index == 0);
                let short = format == PayloadFormat::DeviceId && name == Metric::Temperature.name();
                out.extend_from_slice(br#",""#);
                append_name(if short { "temp" } else { name }, poison, out);
                out.extend_from_slice(br#"":"#);
                append_value(name, value, poison, out);
            }
        }
        out.push(b'}');
        if self.poison == Some(PoisonKind::NotJson) {
            out.truncate(begin + (out.len() - begin) * 2 / 3);
        }
    }

    /// Who sends: by topic or by name, each followed by a comma.
    fn append_identity(&self, format: PayloadFormat, tenant: &str, out: &mut Vec<u8>) {
        let other_tenant = self.poison == Some(PoisonKind::OtherTenant);
        if other_tenant && format != PayloadFormat::Topic {
            out.extend_from_slice(br#""tenant":""#);
            append_escaped(tenant, out);
            out.extend_from_slice(br#"-other","#);
        }
        if self.poison == Some(PoisonKind::MissingDevice) {
            return;
        }
        match format {
            PayloadFormat::Topic => {
                out.extend_from_slice(br#""topic":"tenants/"#);
                append_escaped(tenant, out);
                if other_tenant {
                    out.extend_from_slice(b"-other");
                }
                out.extend_from_slice(b"/devices/");
                append_escaped(&self.device_name, out);
                out.extend_from_slice(br#"/telemetry","#);
            }
            PayloadFormat::DeviceId | PayloadFormat::Single => {
                let key: &[u8] = if format == PayloadFormat::Single { br#""deviceId":""# } else { br#""device_id":""# };
                out.extend_from_slice(key);
                append_escaped(&self.device_name, out);
                out.extend_from_slice(br#"","#);
            }
        }
    }
}

fn append_name(name: &str, poison: Option<PoisonKind>, out: &mut Vec<u8>) {
    if poison == Some(PoisonKind::NameTooLong) {
        out.resize(out.len() + LONG_NAME_BYTES, b'x');
    } else {
        append_escaped(name, out);
    }
}

fn append_value(name: &str, value: f64, poison: Option<PoisonKind>, out: &mut Vec<u8>) {
    match poison {
        Some(PoisonKind::NotUtf8) => out.extend_from_slice(b"\"\xff\xfe\""),
        Some(PoisonKind::NotFinite) => out.extend_from_slice(b"1e999"),
        Some(PoisonKind::TooDeep) => {
            out.resize(out.len() + DEPTH, b'[');
            out.resize(out.len() + DEPTH, b']');
        }
        _ => append_number(name, value, out),
    }
}

/// Writes a value with the digits of its metric; one that no sensor here could report is written in full.
fn append_number(name: &str, value: f64, out: &mut Vec<u8>) {
    let Some(decimals) = Metric::from_name(name).map(Metric::decimals).filter(|_| value.abs() < 1e12) else {
        return append_display(value, out);
    };
    let scale = 10_u64.pow(decimals);
    let scaled = (value.abs() * scale as f64).round() as u64;
    if value < 0.0 && scaled > 0 {
        out.push(b'-');
    }
    append_digits(scaled / scale, 1, out);
    out.push(b'.');
    append_digits(scaled % scale, decimals as usize, out);
}

fn append_integer(value: i64, out: &mut Vec<u8>) {
    if value < 0 {
        out.push(b'-');
    }
    append_digits(value.unsigned_abs(), 1, out);
}

/// Writes `value` in decimal, padded with zeros to at least `width` digits.
fn append_digits(mut value: u64, width: usize, out: &mut Vec<u8>) {
    let mut digits = [b'0'; 20];
    let mut first = digits.len();
    while value > 0 {
        first -= 1;
        digits[first] = b'0' + (value % 10) as u8;
        value /= 10;
    }
    out.extend_from_slice(&digits[first.min(digits.len() - width)..]);
}

fn append_display(value: f64, out: &mut Vec<u8>) {
    // Writing to a vector cannot fail.
    let written = write!(out, "{value}");
    debug_assert!(written.is_ok());
}

/// Writes text as the inside of a JSON string.
fn append_escaped(text: &str, out: &mut Vec<u8>) {
    if text.bytes().all(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\') {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            0..0x20 => {
                let written = write!(out, "\\u{byte:04x}");
                debug_assert!(written.is_ok());
            }
            _ => out.push(byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(name: &str, value: f64) -> String {
        let mut out = Vec::new();
        append_number(name, value, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_number_has_the_digits_of_its_sensor() {
        assert_eq!(number("temperature", 83.2), "83.20");
        assert_eq!(number("temperature", -0.05), "-0.05");
        assert_eq!(number("temperature", -0.001), "0.00");
        assert_eq!(number("vibration", 1.007), "1.007");
        assert_eq!(number("rpm", 0.0), "0.0");
        assert_eq!(number("humidity", 0.125), "0.125");
    }

    #[test]
    fn names_that_need_it_are_escaped() {
        let emission = Emission { device_name: "a\"\\\n".to_owned(), ..Emission::default() };
        let mut out = Vec::new();
        emission.payload(PayloadFormat::DeviceId, "t", &mut out);
        let parsed: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(parsed["device_id"], "a\"\\\n");
    }
}
