//! What the tests stand on: a folder, rules, a run and its account.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use event_source::destination::FailureRecord;
use event_source::rules::Rules;
use event_source::source::{FileSettings, Form, Input, Source, open_files};
use event_source::target::{Bootstrap, BootstrapSettings, Logs, Target};
use event_source::{Ended, Invoked, Observer, RunSettings};
use serde_json::Value;

/// Longer than anything here takes.
const BOUND: Duration = Duration::from_mins(2);

/// What was observed.
#[derive(Default)]
pub(crate) struct Seen {
    /// The words of each event.
    pub(crate) events: Vec<String>,
    pub(crate) documents: Vec<Value>,
    pub(crate) cold_starts: usize,
    pub(crate) memory_bytes: Option<u64>,
}

impl Observer for Seen {
    fn invoked(&mut self, invoked: &Invoked<'_>) {
        let words = invoked.invocation.records.iter().map(|record| String::from_utf8_lossy(&record.data).into_owned());
        self.events.push(words.collect::<Vec<_>>().join(" "));
        self.cold_starts += usize::from(invoked.done.init.is_some());
        self.memory_bytes = self.memory_bytes.max(invoked.done.memory_bytes_max);
    }

    fn discarded(&mut self, record: &FailureRecord) {
        self.documents.push(serde_json::to_value(record).unwrap());
    }
}

/// A folder that goes away with the test.
pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn file(&self, name: &str, content: &str) -> PathBuf {
        std::fs::write(self.path(name), content).unwrap();
        self.path(name)
    }

    /// This binary as a function, with these variables.
    pub(crate) fn function(&self, variables: &[(&str, &str)]) -> Target {
        let bootstrap = super::function::bootstrap(self.0.path());
        Target::Bootstrap(Arc::new(Bootstrap::new(&bootstrap, self.settings(variables)).unwrap()))
    }

    pub(crate) fn settings(&self, variables: &[(&str, &str)]) -> BootstrapSettings {
        let seen = self.path("seen").into_os_string();
        let given = variables.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        BootstrapSettings {
            function: None,
            variables: [("SEEN".into(), seen)].into_iter().chain(given).collect(),
            concurrency: 10,
            logs: Logs::File(self.path("log")),
        }
    }

    /// What the function did, in order, without the processes.
    pub(crate) fn done(&self) -> Vec<String> {
        self.lines().iter().map(|line| line.rsplit(' ').next().unwrap_or_default().to_owned()).collect()
    }

    /// What the function wrote.
    pub(crate) fn lines(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.path("seen")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// What each process did.
    pub(crate) fn by_process(&self) -> BTreeMap<String, Vec<String>> {
        let mut processes: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for line in self.lines() {
            let (process, word) = line.split_once(' ').unwrap();
            processes.entry(process.to_owned()).or_default().push(word.to_owned());
        }
        processes
    }
}

/// Rules in which tests end soon.
pub(crate) fn rules() -> Rules {
    Rules {
        report_batch_item_failures: true,
        retry_pause: Duration::from_millis(1),
        timeout: Duration::from_secs(30),
        ..Rules::default()
    }
}

/// The words as records of one stream, each its own partition key.
pub(crate) async fn words(folder: &Folder, words: &str, settings: FileSettings) -> Source {
    let lines: Vec<String> = words
        .split_whitespace()
        .map(|word| serde_json::json!({"partition_key": word, "data": word}).to_string())
        .collect();
    let file = folder.file("words.ndjson", &lines.join("\n"));
    let settings = FileSettings { form: Form::Records, stream: "plant".to_owned(), ..settings };
    open_files(vec![Input::File(file)], settings).await.unwrap()
}

/// Runs to the end.
pub(crate) async fn run(source: Source, rules: &Rules, target: Target) -> (Ended, Seen) {
    let mut seen = Seen::default();
    let checked = rules.check().unwrap();
    let settings = RunSettings { unreachable_max: Duration::from_millis(200), ..RunSettings::default() };
    let run = event_source::run(source, &checked, target, settings, &mut seen, std::future::pending());
    let ended = tokio::time::timeout(BOUND, run).await.unwrap();
    (ended, seen)
}

/// Runs words through this binary as a function.
pub(crate) async fn deliver(folder: &Folder, text: &str, rules: &Rules) -> (Ended, Seen) {
    let source = words(folder, text, FileSettings::default()).await;
    run(source, rules, folder.function(&[])).await
}
