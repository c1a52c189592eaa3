//! Where records come from, as options.

use std::path::Path;

use event_source::source::{Arrival, FileSettings, Form, Input, Source, open_files};
use platform::embedded::stream::{SHARDS_MAX, StartingPosition};

use crate::options;
use crate::ui::{Ui, Usage};

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum InputFormat {
    /// Told by its content
    Auto,
    /// A recorded Lambda event
    Events,
    /// A record a line, with its partition key
    Records,
    /// A payload a line
    Lines,
}

/// When records arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum ArrivalOption {
    /// As the file says; now, where it does not
    Recorded,
    /// Now
    Now,
}

/// The source.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Source")]
pub(crate) struct InputOptions {
    /// Files of events, records or lines, read as one stream; `-` is standard input
    #[arg(value_name = "FILE")]
    files: Vec<String>,
    /// What the files hold
    #[arg(long, value_enum, default_value = "auto", conflicts_with = "stream")]
    input_format: InputFormat,
    /// JSON pointer to the partition key of plain lines, such as /deviceId [default: the line's number is the key]
    #[arg(long, value_name = "POINTER", value_parser = pointer, conflicts_with = "stream")]
    partition_key_field: Option<String>,
    /// When records arrived, which --maximum-record-age goes by
    #[arg(long, value_enum, default_value = "recorded", conflicts_with = "stream")]
    arrival: ArrivalOption,
    /// Put the records into a new stream of so many shards [default: 1; recorded events keep theirs]
    #[arg(long, value_name = "N", conflicts_with = "stream",
        value_parser = clap::value_parser!(u32).range(1..=i64::from(SHARDS_MAX)))]
    shards: Option<u32>,
    /// Rehearse resharding: split the shard that took the Nth record, after it
    #[arg(long, value_name = "N", conflicts_with = "stream", value_parser = clap::value_parser!(u64).range(1..))]
    split_after: Option<u64>,
    /// Rehearse resharding: merge the first two shards after the Nth record
    #[arg(long, value_name = "N", conflicts_with = "stream", value_parser = clap::value_parser!(u64).range(1..))]
    merge_after: Option<u64>,
    /// Name of the new stream [default: that of the first file]
    #[arg(long, value_name = "NAME", value_parser = stream_name, conflicts_with = "stream")]
    stream_name: Option<String>,
    /// A Kinesis stream, all its shards; credentials and region are what the environment says
    #[arg(long, value_name = "NAME", conflicts_with = "files")]
    stream: Option<String>,
    /// Address of Kinesis, where it is not that of AWS
    #[arg(long, value_name = "URL", requires = "stream")]
    endpoint_url: Option<String>,
    /// Stop when every shard of the Kinesis stream has been read to its tip
    #[arg(long, requires = "stream")]
    until_caught_up: bool,
    /// Where to begin: trim-horizon, latest (--stream only), or at-timestamp=2026-01-31T08:00:00Z
    #[arg(long, value_name = "POSITION", default_value = "trim-horizon", value_parser = position)]
    starting_position: StartingPosition,
}

impl InputOptions {
    /// Where to begin.
    pub(super) fn position(&self) -> StartingPosition {
        self.starting_position
    }

    /// Opens the files or the stream.
    pub(super) async fn open(&self, ui: &Ui) -> anyhow::Result<Source> {
        if let Some(stream) = &self.stream {
            return self.kinesis(stream, ui).await;
        }
        if self.starting_position == StartingPosition::Latest {
            let why = "--starting-position latest needs --stream: nothing comes after the end of a file";
            return Err(Usage(why.to_owned()).into());
        }
        let settings = FileSettings {
            form: match self.input_format {
                InputFormat::Auto => Form::Auto,
                InputFormat::Events => Form::Events,
                InputFormat::Records => Form::Records,
                InputFormat::Lines => Form::Lines,
            },
            partition_key_field: self.partition_key_field.clone(),
            arrival: match self.arrival {
                ArrivalOption::Recorded => Arrival::Recorded,
                ArrivalOption::Now => Arrival::Now,
            },
            shards: self.shards,
            stream: self.stream_name.clone().unwrap_or_else(|| self.named_by_file()),
            split_after: self.split_after,
            merge_after: self.merge_after,
        };
        Ok(open_files(self.files.iter().map(|name| Input::named(name)).collect(), settings).await?)
    }

    #[cfg(feature = "aws")]
    async fn kinesis(&self, stream: &str, ui: &Ui) -> anyhow::Result<Source> {
        use event_source::source::{KinesisSettings, open_kinesis};
        ui.detail(format_args!("looking for the stream `{stream}`"));
        let settings = KinesisSettings {
            stream: stream.to_owned(),
            endpoint_url: self.endpoint_url.clone(),
            position: self.starting_position,
            until_caught_up: self.until_caught_up,
        };
        Ok(open_kinesis(settings).await?)
    }

    #[cfg(not(feature = "aws"))]
    #[expect(clippy::unused_async, reason = "with feature `aws` it waits for the service")]
    async fn kinesis(&self, _: &str, _: &Ui) -> anyhow::Result<Source> {
        let why = "--stream reads Kinesis, and this build has no AWS in it: build one with \
                   `cargo build --release -p millrace --features aws`";
        Err(Usage(why.to_owned()).into())
    }

    /// The first file's name as that of a stream, in characters that a stream may have.
    fn named_by_file(&self) -> String {
        let stem = self.files.first().filter(|name| *name != "-").and_then(|name| Path::new(name).file_stem());
        let stem = stem.map_or_else(|| "esm".into(), std::ffi::OsStr::to_string_lossy);
        let safe = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') { c } else { '-' };
        stem.chars().map(safe).take(STREAM_NAME_CHARS_MAX).collect()
    }
}

/// Longest name of a stream (Amazon Kinesis API Reference, `CreateStream`).
const STREAM_NAME_CHARS_MAX: usize = 128;

fn stream_name(text: &str) -> Result<String, String> {
    let safe = text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'));
    if safe && (1..=STREAM_NAME_CHARS_MAX).contains(&text.len()) && text.bytes().any(|b| b != b'.') {
        Ok(text.to_owned())
    } else {
        Err(format!("expected 1 to {STREAM_NAME_CHARS_MAX} letters, digits, `_`, `-` or `.`"))
    }
}

fn pointer(text: &str) -> Result<String, String> {
    if text.starts_with('/') {
        Ok(text.to_owned())
    } else {
        Err("expected a JSON pointer such as /deviceId".to_owned())
    }
}

fn position(text: &str) -> Result<StartingPosition, String> {
    match text {
        "trim-horizon" => Ok(StartingPosition::TrimHorizon),
        "latest" => Ok(StartingPosition::Latest),
        _ => match text.strip_prefix("at-timestamp=") {
            Some(instant) => options::instant(instant).map(StartingPosition::AtTimestamp),
            None => Err("expected trim-horizon, latest or at-timestamp=2026-01-31T08:00:00Z".to_owned()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_one_of_three() {
        assert_eq!(position("trim-horizon"), Ok(StartingPosition::TrimHorizon));
        assert_eq!(position("latest"), Ok(StartingPosition::Latest));
        let at = position("at-timestamp=2023-11-14T22:13:20Z").unwrap();
        assert!(matches!(at, StartingPosition::AtTimestamp(at) if at.millis() == 1_700_000_000_000));
        assert!(position("TRIM_HORIZON").is_err() && position("at-timestamp=noon").is_err());
    }

    #[test]
    fn a_stream_has_a_safe_name() {
        assert!(stream_name("plant-1.a_b").is_ok());
        assert!(["", "a b", "a/b", "..", &"x".repeat(129)].iter().all(|bad| stream_name(bad).is_err()));
    }
}
