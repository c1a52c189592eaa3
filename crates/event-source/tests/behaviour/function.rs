//! The function under test: this binary, run as a bootstrap that does what its records say.
//!
//! A record's word says what happens: `error` fails the invocation, `bad…` is named in `batchItemFailures`, `crash` ends the
//! process, `slow` takes too long; with `-once` at its end only when the process sees it for the first time; anything else
//! works. What was done is written to the file `SEEN`, a line a record, with the number of the process.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::{Value, json};
use telemetry::kinesis::KinesisEvent;

/// Writes a script that runs this binary as a function.
pub(crate) fn bootstrap(folder: &Path) -> PathBuf {
    let program = std::env::current_exe().unwrap();
    let path = folder.join("bootstrap");
    let script =
        format!("#!/bin/sh\nexec '{}' --exact function::serve --ignored --nocapture --quiet\n", program.display());
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn variable(name: &str) -> Option<String> {
    std::env::var_os(name).and_then(|value| value.into_string().ok())
}

fn note(line: &str) {
    let seen = variable("SEEN").unwrap();
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(seen).unwrap();
    // One write a line: processes append to this file beside each other.
    file.write_all(format!("{line}\n").as_bytes()).unwrap();
}

/// Not a test: the process that the tests start.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "it is the function that other tests run"]
async fn serve() {
    assert!(variable("BROKEN").is_none(), "it is broken");
    if variable("EXTENSION").is_some() {
        let extension = lambda_extension::Extension::new()
            .with_events(&[])
            .with_extension_name("internal")
            .register()
            .await
            .unwrap();
        tokio::spawn(async move { extension.run().await });
        let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).unwrap();
        tokio::spawn(async move {
            terminate.recv().await;
            note("SIGTERM");
            std::process::exit(0);
        });
    }
    let known = Mutex::new(BTreeSet::new());
    lambda_runtime::run(service_fn(|event: LambdaEvent<Value>| handle(event, &known))).await.unwrap();
}

async fn handle(event: LambdaEvent<Value>, known: &Mutex<BTreeSet<String>>) -> Result<Value, Error> {
    let text = event.payload.to_string();
    let parsed = KinesisEvent::parse(text.as_bytes())?;
    for record in &parsed.records {
        let mut bytes = Vec::new();
        record.payload_bytes(&mut bytes).unwrap();
        let word = String::from_utf8(bytes)?;
        let again = !known.lock().unwrap().insert(word.clone());
        let action = match word.strip_suffix("-once") {
            Some(_) if again => "",
            Some(action) => action,
            None => word.as_str(),
        };
        match action {
            "error" => return Err("it says no".into()),
            "crash" => std::process::exit(3),
            "slow" => tokio::time::sleep(Duration::from_mins(1)).await,
            bad if bad.starts_with("bad") => {
                let item = json!({"itemIdentifier": record.sequence.trimmed()});
                return Ok(json!({"batchItemFailures": [item]}));
            }
            _ => {}
        }
        note(&format!("{} {word}", std::process::id()));
    }
    let deadline = event.context.deadline;
    assert!(deadline > 1_700_000_000_000, "the deadline is an instant of our time: {deadline}");
    Ok(json!({"batchItemFailures": []}))
}
