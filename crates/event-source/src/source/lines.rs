//! Records a line: as documents that say their partition key, or as plain lines.

use anomaly_core::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// A record that is to be put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Put {
    pub(super) partition_key: String,
    pub(super) data: Vec<u8>,
    /// When it arrived, if the line says so.
    pub(super) arrived: Option<Timestamp>,
}

/// A line of NDJSON: `{"partition_key": …, "data": …, "arrival": …}`.
#[derive(Deserialize)]
struct Document<'l> {
    #[serde(alias = "partitionKey", alias = "PartitionKey")]
    partition_key: String,
    /// Text as it is; any other JSON as it is written.
    #[serde(borrow, default)]
    data: Option<&'l RawValue>,
    #[serde(default, alias = "dataBase64")]
    data_base64: Option<String>,
    /// Seconds since 1970, as in an event, or RFC 3339.
    #[serde(default, alias = "approximateArrivalTimestamp")]
    arrival: Option<Value>,
}

/// Whether a line looks like a document of a record.
pub(super) fn is_record(line: &str) -> bool {
    document(line).is_ok()
}

fn document(line: &str) -> Result<Document<'_>, String> {
    let document: Document<'_> = serde_json::from_str(line).map_err(|error| error.to_string())?;
    match (&document.data, &document.data_base64) {
        (Some(_), None) | (None, Some(_)) => Ok(document),
        _ => Err("expected either `data` or `data_base64`".to_owned()),
    }
}

/// Reads a document.
pub(super) fn record(line: &str) -> Result<Put, String> {
    let Document { partition_key, data, data_base64, arrival } = document(line)?;
    let data = match (data, data_base64) {
        (_, Some(encoded)) => base64_simd::STANDARD
            .decode_to_vec(encoded)
            .map_err(|_| "`data_base64` is not base64 of the standard alphabet with padding".to_owned())?,
        (Some(data), None) => match serde_json::from_str::<String>(data.get()) {
            Ok(text) => text.into_bytes(),
            Err(_) => data.get().as_bytes().to_vec(),
        },
        (None, None) => Vec::new(),
    };
    Ok(Put { partition_key, data, arrived: arrival.as_ref().map(instant).transpose()? })
}

fn instant(value: &Value) -> Result<Timestamp, String> {
    let millis = match value {
        Value::Number(seconds) => seconds.as_f64().map(|seconds| (seconds * 1_000.0).round() as i64),
        Value::String(text) => text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond),
        _ => None,
    };
    let millis = millis.ok_or_else(|| "`arrival` is neither seconds since 1970 nor RFC 3339".to_owned())?;
    Timestamp::from_millis(millis).map_err(|error| format!("`arrival`: {error}"))
}

/// Takes a line as a payload. `key` is a JSON pointer (RFC 6901) to the partition key; without it the line's number is the
/// key, which spreads lines over shards.
pub(super) fn plain(line: &str, number: u64, key: Option<&str>) -> Result<Put, String> {
    let partition_key = match key {
        None => number.to_string(),
        Some(pointer) => {
            let value: Value = serde_json::from_str(line).map_err(|error| format!("it is not JSON: {error}"))?;
            match value.pointer(pointer) {
                Some(Value::String(text)) => text.clone(),
                Some(value @ (Value::Number(_) | Value::Bool(_))) => value.to_string(),
                _ => return Err(format!("there is no text or number at `{pointer}`")),
            }
        }
    };
    Ok(Put { partition_key, data: line.as_bytes().to_vec(), arrived: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(partition_key: &str, data: &str) -> Put {
        Put { partition_key: partition_key.to_owned(), data: data.as_bytes().to_vec(), arrived: None }
    }

    #[test]
    fn data_is_text_json_or_base64() {
        assert_eq!(record(r#"{"partition_key":"k","data":"a\nb"}"#), Ok(put("k", "a\nb")));
        assert_eq!(record(r#"{"partitionKey":"k","data":{"v":1.50}}"#), Ok(put("k", r#"{"v":1.50}"#)));
        assert_eq!(record(r#"{"partition_key":"k","data_base64":"AQI="}"#), Ok(put("k", "\u{1}\u{2}")));
        for bad in [
            "",
            r#"{"data":"a"}"#,
            r#"{"partition_key":"k"}"#,
            r#"{"partition_key":"k","data":"a","data_base64":"AQI="}"#,
            r#"{"partition_key":"k","data_base64":"*"}"#,
            r#"{"partition_key":"k","data":"a","arrival":"noon"}"#,
        ] {
            assert!(record(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_arrival_is_seconds_or_rfc_3339() {
        for arrival in ["1700000000.5", r#""2023-11-14T22:13:20.5Z""#] {
            let line = format!(r#"{{"partition_key":"k","data":"a","arrival":{arrival}}}"#);
            assert_eq!(record(&line).unwrap().arrived.unwrap().millis(), 1_700_000_000_500);
        }
    }

    #[test]
    fn a_plain_line_takes_its_key_from_where_it_is_told() {
        let line = r#"{"device":{"id":"pump-7"},"n":7}"#;
        assert_eq!(plain(line, 3, None), Ok(put("3", line)));
        assert_eq!(plain(line, 3, Some("/device/id")), Ok(put("pump-7", line)));
        assert_eq!(plain(line, 3, Some("/n")), Ok(put("7", line)));
        assert!(plain(line, 3, Some("/device")).unwrap_err().contains("/device"));
        assert!(plain("x", 3, Some("/n")).unwrap_err().contains("not JSON"));
    }
}
