//! The event as Lambda writes it: flat objects of plain texts and numbers, whatever their order and white space.
//!
//! Gives what the derived reader gives, or `None`, and then the event is read by that.

use std::borrow::Cow;

use super::field::Field;
use super::{EVENT_RECORDS_MAX, EventError, KinesisRecord, WireKinesis, WireRecord};
use crate::json::scan::Scanner;

/// Bytes of an event for each record that is made room for; a record of one small reading has some 780.
const RECORD_BYTES: usize = 700;

/// The records, or what is wrong with one of them.
pub(super) fn event(text: &str) -> Option<Result<Vec<KinesisRecord<'_>>, EventError>> {
    let mut scanner = Scanner::new(text);
    scanner.expect(b'{')?;
    if scanner.text()? != "Records" {
        return None;
    }
    scanner.expect(b':')?;
    scanner.expect(b'[')?;
    let mut records = Vec::with_capacity((text.len() / RECORD_BYTES).min(EVENT_RECORDS_MAX));
    let (mut count, mut wrong) = (0, None);
    let mut repeated = Repeated::default();
    if scanner.peek()? == b']' {
        scanner.expect(b']')?;
    } else {
        loop {
            let wire = repeated.record(&mut scanner).map_or_else(|| record(&mut scanner), Some)?;
            // Reading goes on to the end all the same: what is no event at all is said before what is wrong with a record.
            match KinesisRecord::new(wire) {
                Ok(record) => records.push(record),
                Err(source) => _ = wrong.get_or_insert(EventError::Sequence { index: count, source }),
            }
            count += 1;
            if !scanner.more(b']')? {
                break;
            }
        }
    }
    scanner.expect(b'}')?;
    let wrong = if count > EVENT_RECORDS_MAX { Some(EventError::TooManyRecords { records: count }) } else { wrong };
    scanner.is_at_end().then_some(wrong.map_or(Ok(records), Err))
}

/// What nearly every record of an event has in common with the one before it.
#[derive(Default)]
struct Repeated<'e> {
    /// From the end of the sequence number in `eventID` to the end of the record.
    end: &'e str,
    /// The shard in `eventID`, with its colon.
    shard: &'e str,
    arn: &'e str,
}

impl<'e> Repeated<'e> {
    /// A record to the letter as Lambda writes it, without a space and in its order; else the scanner stays where it is.
    fn record(&mut self, scanner: &mut Scanner<'e>) -> Option<WireRecord<'e>> {
        let mut ahead = *scanner;
        ahead.word(r#"{"kinesis":{"kinesisSchemaVersion":"1.0","partitionKey":"#)?;
        let partition_key = ahead.text()?;
        ahead.word(r#","sequenceNumber":"#)?;
        let sequence_number = ahead.text()?;
        ahead.word(r#","data":"#)?;
        let data = ahead.text()?;
        ahead.word(r#","approximateArrivalTimestamp":"#)?;
        let arrival = ahead.number()?;
        ahead.word(r#"},"eventSource":"aws:kinesis","eventVersion":"1.0","eventID":"#)?;
        let event_id = self.event_id(&mut ahead, sequence_number)?;
        *scanner = ahead;
        let text = |text| Field::Text(Cow::Borrowed(text));
        Some(WireRecord {
            kinesis: WireKinesis {
                partition_key: text(partition_key),
                sequence_number: text(sequence_number),
                data: text(data),
                approximate_arrival_timestamp: Field::Number(arrival),
            },
            event_id: text(event_id),
            arn: text(self.arn),
        })
    }

    /// Reads `eventID` and all that comes after it, by comparing it with the record before.
    fn event_id(&mut self, scanner: &mut Scanner<'e>, sequence: &str) -> Option<&'e str> {
        let mut ahead = *scanner;
        if !self.end.is_empty()
            && ahead.word("\"").is_some()
            && ahead.word(self.shard).is_some()
            && ahead.word(sequence).is_some()
            && ahead.word(self.end).is_some()
        {
            let event_id = scanner.up_to(&ahead)?.get(1..=self.shard.len() + sequence.len())?;
            *scanner = ahead;
            return Some(event_id);
        }
        let event_id = scanner.text()?;
        let end = *scanner;
        scanner.word(r#","eventName":"aws:kinesis:record","invokeIdentityArn":"#)?;
        scanner.text()?;
        scanner.word(r#","awsRegion":"#)?;
        scanner.text()?;
        scanner.word(r#","eventSourceARN":"#)?;
        self.arn = scanner.text()?;
        scanner.word("}")?;
        // What follows the number: the quote that ends the text, and the rest.
        self.shard = event_id.strip_suffix(sequence).unwrap_or_default();
        self.end = if self.shard.is_empty() { "" } else { end.after_quote(scanner)? };
        Some(event_id)
    }
}

fn record<'e>(scanner: &mut Scanner<'e>) -> Option<WireRecord<'e>> {
    let (mut kinesis, mut event_id, mut arn) = (None, None, None);
    scanner.expect(b'{')?;
    loop {
        let key = scanner.text()?;
        scanner.expect(b':')?;
        match key {
            "kinesis" => set(&mut kinesis, envelope(scanner)?)?,
            "eventID" => set(&mut event_id, field(scanner)?)?,
            "eventSourceARN" => set(&mut arn, field(scanner)?)?,
            _ => _ = field(scanner)?,
        }
        if !scanner.more(b'}')? {
            let (event_id, arn) = (event_id.unwrap_or_default(), arn.unwrap_or_default());
            return Some(WireRecord { kinesis: kinesis.unwrap_or_default(), event_id, arn });
        }
    }
}

fn envelope<'e>(scanner: &mut Scanner<'e>) -> Option<WireKinesis<'e>> {
    let (mut partition_key, mut sequence_number, mut data, mut arrival) = (None, None, None, None);
    scanner.expect(b'{')?;
    loop {
        let key = scanner.text()?;
        scanner.expect(b':')?;
        let value = field(scanner)?;
        match key {
            "partitionKey" => set(&mut partition_key, value)?,
            "sequenceNumber" => set(&mut sequence_number, value)?,
            "data" => set(&mut data, value)?,
            "approximateArrivalTimestamp" => set(&mut arrival, value)?,
            _ => {}
        }
        if !scanner.more(b'}')? {
            return Some(WireKinesis {
                partition_key: partition_key.unwrap_or_default(),
                sequence_number: sequence_number.unwrap_or_default(),
                data: data.unwrap_or_default(),
                approximate_arrival_timestamp: arrival.unwrap_or_default(),
            });
        }
    }
}

/// A key that stands twice is for the other reader to refuse.
fn set<T>(place: &mut Option<T>, value: T) -> Option<()> {
    place.replace(value).is_none().then_some(())
}

fn field<'e>(scanner: &mut Scanner<'e>) -> Option<Field<'e>> {
    match scanner.peek()? {
        b'"' => scanner.text().map(|text| Field::Text(Cow::Borrowed(text))),
        b'-' | b'0'..=b'9' => scanner.number().map(Field::Number),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{KinesisEvent, WireEvent};
    use super::*;

    fn shown(records: Result<Vec<KinesisRecord<'_>>, EventError>) -> String {
        records.map_or_else(|error| format!("{error:?}"), |records| format!("{records:#?}"))
    }

    fn read_otherwise(text: &str) -> Option<String> {
        Some(shown(KinesisEvent::records_of(serde_json::from_str::<WireEvent<'_>>(text).ok()?)))
    }

    #[test]
    fn the_events_of_the_repository_are_plain() {
        for path in ["kinesis-good", "kinesis-poison", "kinesis-kpl", "kinesis-empty"] {
            let path = format!("{}/../../events/{path}.json", env!("CARGO_MANIFEST_DIR"));
            let text = std::fs::read_to_string(&path).unwrap();
            let plain = event(&text).unwrap_or_else(|| panic!("{path} is not read as plain"));
            assert_eq!(Some(shown(plain)), read_otherwise(&text), "{path}");
        }
    }

    /// Events that are nearly plain: keys in any order, twice, unknown, values of other types, texts with escapes.
    fn nearly() -> impl Strategy<Value = String> {
        let value = prop::sample::select(vec![
            r#""text""#,
            r#""a\nb""#,
            "1764000000.25",
            "1e3",
            "-7",
            "01",
            r#""49""#,
            "null",
            "[1]",
            r#"{"a":1}"#,
            r#""é""#,
            "\"\u{1}\"",
        ]);
        let key = prop::sample::select(vec![
            "partitionKey",
            "sequenceNumber",
            "data",
            "approximateArrivalTimestamp",
            "eventID",
            "eventSourceARN",
            "other",
        ]);
        let fields = || prop::collection::vec((key.clone(), value.clone()), 0..5);
        let record = (fields(), fields(), any::<bool>()).prop_map(|(envelope, rest, first)| {
            let object = |fields: &[(&str, &str)]| {
                fields.iter().map(|(key, value)| format!("\"{key}\" : {value}")).collect::<Vec<_>>().join(",")
            };
            let (kinesis, rest) = (format!("\"kinesis\":{{{}}}", object(&envelope)), object(&rest));
            match (rest.is_empty(), first) {
                (true, _) => format!("{{{kinesis}}}"),
                (false, true) => format!("{{{kinesis},{rest}}}"),
                (false, false) => format!("{{{rest}\n,{kinesis}}}"),
            }
        });
        prop::collection::vec(record, 0..4).prop_map(|records| format!("{{\"Records\":[{}]}}", records.join(", ")))
    }

    proptest! {
        #[test]
        fn what_is_read_as_plain_is_what_the_other_reader_reads(text in nearly()) {
            if let Some(plain) = event(&text) {
                prop_assert_eq!(Some(shown(plain)), read_otherwise(&text), "{}", text);
            }
        }
    }
}
