//! The documented behaviours, one sentence each.

mod behaviour;
mod driving;
mod laws;
mod mirror;
mod position;
mod shards;

use super::*;

/// A stream, a mapping over it, and a time that the test moves.
struct Bench {
    stream: Stream,
    mapping: Mapping,
    now: Timestamp,
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000 + seconds * 1000).unwrap()
}

fn settings() -> MappingSettings {
    MappingSettings { batch_size: 10, report_batch_item_failures: true, ..MappingSettings::default() }
}

fn text(record: &Record) -> String {
    String::from_utf8(record.data.to_vec()).unwrap()
}

impl Bench {
    fn new(shards: u32, settings: MappingSettings) -> Self {
        let stream = Stream::new("plant", shards, 64 << 20);
        Self { stream, mapping: Mapping::new(settings).unwrap(), now: at(0) }
    }

    /// A bench of one shard with a record for each word.
    fn with_words(words: &str, settings: MappingSettings) -> Self {
        let mut bench = Self::new(1, settings);
        bench.put(words);
        bench
    }

    /// Puts each word under itself as the partition key.
    fn put(&mut self, words: &str) {
        for word in words.split_whitespace() {
            self.stream.put(word, word.as_bytes(), self.now).unwrap();
        }
    }

    fn poll(&mut self) -> Option<Invocation> {
        self.mapping.poll(&self.stream, self.now)
    }

    /// Polls and says which words came.
    fn next(&mut self) -> Option<(Invocation, String)> {
        let invocation = self.poll()?;
        let words: Vec<String> = invocation.records.iter().map(text).collect();
        Some((invocation, words.join(" ")))
    }

    fn complete(&mut self, invocation: &Invocation, outcome: Outcome) {
        self.mapping.complete(invocation, self.now, outcome).unwrap();
    }

    /// Delivers until nothing is due, with a function that fails on every event that contains `bad`. Gives what came.
    fn deliver_failing_on(&mut self, bad: &str) -> Vec<String> {
        let mut came = Vec::new();
        while let Some((invocation, words)) = self.next() {
            let fails = words.split(' ').any(|word| word == bad);
            came.push(words);
            self.complete(&invocation, if fails { failure() } else { Outcome::Success });
            assert!(came.len() < 200, "it does not end: {came:?}");
        }
        came
    }

    /// Discarded words with reason and attempts.
    fn discarded(&mut self) -> Vec<(String, DiscardReason, u32)> {
        let discarded = self.mapping.take_discarded();
        let words = |one: &Discarded| one.records.iter().map(text).collect::<Vec<_>>().join(" ");
        discarded.iter().map(|one| (words(one), one.reason, one.attempts)).collect()
    }
}

fn failure() -> Outcome {
    Outcome::Failure { error: "no".to_owned() }
}
