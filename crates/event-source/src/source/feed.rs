//! Files into a stream: recorded events as they were, everything else put anew, with splits and merges on the way.

use std::io::{BufRead, Read as _};

use anomaly_core::Timestamp;
use platform::clock;
use platform::embedded::stream::{AppendError, PutRecordError, Stream, StreamHandle};
use tokio::runtime::Handle;

use super::events::Recorded;
use super::lines::{self, Put};
use super::{Filling, Input, Read, STREAM_BYTES_MAX, Source, SourceError};

/// Most bytes of a line. An event of 6 MB may be one.
const LINE_BYTES_MAX: usize = 16 << 20;

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Form {
    /// Told by looking: a document with `Records` is an event, a first line with a partition key and data are records,
    /// anything else is lines.
    #[default]
    Auto,
    /// Recorded events of Lambda, one a file.
    Events,
    /// A record a line: `{"partition_key": …, "data": …}`.
    Records,
    /// A payload a line.
    Lines,
}

/// When records arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Arrival {
    /// As the file says; now, where it does not.
    #[default]
    Recorded,
    /// Now.
    Now,
}

/// How files are read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FileSettings {
    /// What they hold.
    pub form: Form,
    /// JSON pointer to the partition key of plain lines.
    pub partition_key_field: Option<String>,
    /// When records arrived.
    pub arrival: Arrival,
    /// Shards of a new stream; `None`: recorded events keep theirs, the rest goes to one.
    pub shards: Option<u32>,
    /// Name of a new stream.
    pub stream: String,
    /// Splits the shard of the record put last, after so many records.
    pub split_after: Option<u64>,
    /// Merges the first two neighbours, after so many records.
    pub merge_after: Option<u64>,
}

impl FileSettings {
    /// Whether records are put into a new stream even if they were recorded with a shard and a number.
    fn puts_anew(&self) -> bool {
        self.shards.is_some()
            || self.split_after.is_some()
            || self.merge_after.is_some()
            || self.arrival == Arrival::Now
    }
}

/// Opens files as one stream, in their order.
///
/// # Errors
/// [`SourceError`] when one cannot be opened, holds something else than it should, or events are mixed with records.
pub async fn open_files(inputs: Vec<Input>, settings: FileSettings) -> Result<Source, SourceError> {
    let opened = tokio::task::spawn_blocking(move || Opened::new(inputs, settings)).await;
    let opened = opened.map_err(|error| SourceError::Stopped(error.to_string()))??;
    let runtime = Handle::current();
    Ok(match opened {
        Opened::Recorded(recorded) => {
            let stream = StreamHandle::new(recorded.mirror());
            Source::spawn(stream, |filling| tokio::spawn(append(recorded, filling)))
        }
        Opened::Anew(recorded, lines, settings) => {
            let stream = Stream::new(&settings.stream, settings.shards.unwrap_or(1), STREAM_BYTES_MAX);
            Source::spawn(StreamHandle::new(stream), move |filling| {
                tokio::task::spawn_blocking(move || Putting::new(filling, &settings, runtime).all(recorded, lines))
            })
        }
    })
}

/// Files whose form is known.
enum Opened {
    /// Events, which keep shards and numbers.
    Recorded(Recorded),
    /// Records of events, and inputs of lines, for a new stream.
    Anew(Recorded, Vec<Lines>, FileSettings),
}

/// An input of lines.
struct Lines {
    input: Input,
    /// Its first line, which was read to know the form.
    first: Vec<u8>,
    rest: Box<dyn BufRead + Send>,
    are_records: bool,
}

impl Opened {
    fn new(inputs: Vec<Input>, settings: FileSettings) -> Result<Self, SourceError> {
        let (mut recorded, mut lines) = (Recorded::default(), Vec::new());
        let mut events = 0;
        for input in inputs {
            let mut reader = input.open()?;
            let mut first = Vec::new();
            if settings.form != Form::Events {
                read_line(&input, &mut reader, &mut first)?;
            }
            if is_event(settings.form, &first) {
                let rest = reader.read_to_end(&mut first);
                rest.map_err(|source| SourceError::Io { path: input.name(), source })?;
                recorded.add(&input, &first)?;
                events += 1;
                continue;
            }
            let are_records = match settings.form {
                Form::Records => true,
                Form::Lines | Form::Events => false,
                Form::Auto => {
                    settings.partition_key_field.is_none() && std::str::from_utf8(&first).is_ok_and(lines::is_record)
                }
            };
            lines.push(Lines { input, first, rest: reader, are_records });
        }
        if lines.is_empty() && !settings.puts_anew() {
            return Ok(Self::Recorded(recorded));
        }
        if events > 0 && !settings.puts_anew() {
            let why = "recorded events keep their shards and numbers, lines have none: give --shards N to put all of them \
                       into a new stream, or give them one after the other";
            return Err(SourceError::Settings(why.to_owned()));
        }
        Ok(Self::Anew(recorded, lines, settings))
    }
}

/// Reads a line, or one byte more than a line may have.
fn read_line(input: &Input, reader: &mut dyn BufRead, line: &mut Vec<u8>) -> Result<(), SourceError> {
    let read = reader.take(LINE_BYTES_MAX as u64 + 1).read_until(b'\n', line);
    read.map(drop).map_err(|source| SourceError::Io { path: input.name(), source })
}

/// A recorded event may be laid out over many lines: then its first line is the beginning of an object, and no JSON.
fn is_event(form: Form, first_line: &[u8]) -> bool {
    match form {
        Form::Events => true,
        Form::Records | Form::Lines => false,
        Form::Auto => {
            let first = std::str::from_utf8(first_line).unwrap_or_default().trim();
            let one_line = || {
                let value = serde_json::from_str::<serde_json::Value>(first);
                value.is_ok_and(|value| value.get("Records").is_some_and(serde_json::Value::is_array))
            };
            let opens = || first.strip_prefix('{').is_some_and(|rest| rest.trim_start().starts_with("\"Records\""));
            first == "{" || opens() || one_line()
        }
    }
}

async fn append(recorded: Recorded, filling: Filling) -> Result<Read, SourceError> {
    let (records, mut read) = recorded.into_records();
    for (shard, record) in records {
        let full = filling.stream.try_append(&shard, record.clone());
        let appended = match full {
            Err(AppendError::Put(PutRecordError::Full { .. })) => {
                filling.begin();
                filling.stream.append(&shard, record).await
            }
            appended => appended,
        };
        match appended {
            Ok(()) => read.records += 1,
            // The run was stopped.
            Err(AppendError::Put(PutRecordError::Ended)) => break,
            Err(error) => return Err(SourceError::Stopped(error.to_string())),
        }
    }
    Ok(read)
}

/// Puts records into a new stream.
struct Putting {
    filling: Filling,
    runtime: Handle,
    arrival: Arrival,
    key: Option<String>,
    split_after: Option<u64>,
    merge_after: Option<u64>,
    read: Read,
}

/// The run was stopped: nobody reads on.
struct Ended;

impl Putting {
    fn new(filling: Filling, settings: &FileSettings, runtime: Handle) -> Self {
        let &FileSettings { arrival, split_after, merge_after, .. } = settings;
        let key = settings.partition_key_field.clone();
        Self { filling, runtime, arrival, key, split_after, merge_after, read: Read::default() }
    }

    fn all(mut self, recorded: Recorded, lines: Vec<Lines>) -> Result<Read, SourceError> {
        let (records, read) = recorded.into_records();
        self.read = read;
        for (_, record) in records {
            let data = record.data.to_vec();
            let put = Put { partition_key: record.partition_key.to_string(), data, arrived: Some(record.arrived) };
            if let Err(Ended) = self.put(&put, || "a recorded event".to_owned())? {
                return Ok(self.read);
            }
        }
        for lines in lines {
            if let Err(Ended) = self.lines(lines)? {
                break;
            }
        }
        Ok(self.read)
    }

    fn lines(&mut self, lines: Lines) -> Result<Result<(), Ended>, SourceError> {
        let Lines { input, first: mut bytes, mut rest, are_records } = lines;
        if input == Input::Stdin {
            self.filling.begin();
        }
        let mut number = 0_u64;
        while !bytes.is_empty() {
            number += 1;
            if bytes.len() > LINE_BYTES_MAX {
                let why =
                    format!("has a line {number} of more than {LINE_BYTES_MAX} bytes: a record has at most 1 MiB");
                return Err(SourceError::Form { path: input.name(), why });
            }
            let place = || format!("{}, line {number}", input.name());
            let line = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if !line.is_empty() {
                match self.read_line(line, number, are_records) {
                    Ok(put) => {
                        if let Err(Ended) = self.put(&put, place)? {
                            return Ok(Err(Ended));
                        }
                    }
                    Err(why) => self.read.unreadable(format!("{}: {why}", place())),
                }
            }
            bytes.clear();
            read_line(&input, &mut rest, &mut bytes)?;
        }
        Ok(Ok(()))
    }

    fn read_line(&self, line: &[u8], number: u64, are_records: bool) -> Result<Put, String> {
        let text = std::str::from_utf8(line);
        if are_records {
            lines::record(text.map_err(|error| error.to_string())?)
        } else if self.key.is_some() {
            lines::plain(text.map_err(|error| error.to_string())?, number, self.key.as_deref())
        } else {
            // A payload may be anything.
            Ok(Put { partition_key: number.to_string(), data: line.to_vec(), arrived: None })
        }
    }

    fn put(&mut self, put: &Put, place: impl Fn() -> String) -> Result<Result<(), Ended>, SourceError> {
        let recorded = put.arrived.filter(|_| self.arrival == Arrival::Recorded);
        let arrived: Timestamp = recorded.unwrap_or_else(clock::now);
        let Put { partition_key, data, .. } = put;
        let stream = &self.filling.stream;
        let put = match stream.try_put(partition_key, data, arrived) {
            Err(PutRecordError::Full { .. }) => {
                self.filling.begin();
                self.runtime.block_on(stream.put(partition_key, data, arrived))
            }
            put => put,
        };
        match put {
            Ok((shard, _)) => {
                self.read.records += 1;
                self.reshard(&shard)?;
                Ok(Ok(()))
            }
            Err(PutRecordError::Ended) => Ok(Err(Ended)),
            Err(error) => {
                self.read.unreadable(format!("{}: {error}", place()));
                Ok(Ok(()))
            }
        }
    }

    fn reshard(&self, last: &str) -> Result<(), SourceError> {
        let stream = &self.filling.stream;
        let refused = |error: platform::embedded::stream::ReshardError| SourceError::Settings(error.to_string());
        if self.split_after == Some(self.read.records) {
            let middle = stream.shards().iter().find(|shard| shard.shard == last).map(|shard| {
                let (first, last) = shard.hash_range;
                first + (last - first) / 2 + 1
            });
            stream.split(last, middle.unwrap_or_default()).map_err(refused)?;
        }
        if self.merge_after == Some(self.read.records) {
            let open = stream.open_shards();
            let mut shards: Vec<_> =
                stream.shards().into_iter().filter(|shard| open.iter().any(|id| **id == *shard.shard)).collect();
            shards.sort_by_key(|shard| shard.hash_range);
            let [first, second, ..] = shards.as_slice() else {
                let why = "--merge-after needs two open shards: give --shards 2 or more, or --split-after before it";
                return Err(SourceError::Settings(why.to_owned()));
            };
            stream.merge(&first.shard, &second.shard).map_err(refused)?;
        }
        Ok(())
    }
}
