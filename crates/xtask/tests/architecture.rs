//! Dependencies point one way: `anomaly-core ← telemetry ← platform ← function ← Lambdas, edge-agent, model-server ← lake ← millrace,
//! e2e`.
//!
//! The test walks what cargo knows of the workspace and names each arrow that should not be there. A new crate has to be
//! given its place here before it may depend on, or be depended on by, any other.

use std::fmt;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};

/// Where a crate stands. A crate may depend on those of a lower place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    /// The engine.
    Core,
    /// Bytes and readings.
    Wire,
    /// Ports and who provides them.
    World,
    /// What every function shares.
    Frame,
    /// What runs: functions and services. They do not know each other.
    Service,
    /// What reads what services have written, or tells them where to go on.
    Reader,
    /// What brings everything together.
    Top,
}

/// The crate's place, or `None` for one that stands apart.
fn place(package: &str) -> Option<Place> {
    Some(match package {
        "anomaly-core" | "evaluation" => Place::Core,
        "telemetry" => Place::Wire,
        "platform" => Place::World,
        "account" | "function" => Place::Frame,
        "kinesis-scorer"
        | "alert-fanout"
        | "batch-analyzer"
        | "deployment"
        | "replication-checker"
        | "edge-agent"
        | "event-source"
        | "model-server"
        | "tenancy" => Place::Service,
        "backup" | "failover" | "lake" => Place::Reader,
        "millrace" | "e2e" | "simulation" | "fuzzing" | "cost-model" => Place::Top,
        _ => return None,
    })
}

/// A dependency of one of our crates on another.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Arrow {
    from: String,
    to: String,
    only_in_tests: bool,
}

impl fmt::Display for Arrow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> {}{}", self.from, self.to, if self.only_in_tests { " (in tests)" } else { "" })
    }
}

/// Why the arrow should not be there, or `None` for one that may.
fn objection(arrow: &Arrow) -> Option<&'static str> {
    match (arrow.from.as_str(), arrow.to.as_str()) {
        ("xtask", _) => return Some("xtask must build when nothing else does"),
        (_, "xtask") => return Some("nothing may need the chores"),
        ("simulator", _) => return Some("the simulator is a plant: it knows nothing of what watches it"),
        // Anybody may let a plant send to it, the engine only to be tested.
        (from, "simulator") if place(from) > Some(Place::Core) || arrow.only_in_tests => return None,
        (_, "simulator") => return Some("the engine is not built on invented data"),
        _ => {}
    }
    match (place(&arrow.from), place(&arrow.to)) {
        (None, _) | (_, None) => Some("one of the two has no place yet: give it one in this test"),
        (Some(from), Some(to)) if from > to => None,
        (Some(Place::Service), Some(Place::Service)) => Some("services never depend on each other"),
        _ => Some("it points up"),
    }
}

fn workspace() -> Metadata {
    MetadataCommand::new().no_deps().exec().unwrap_or_else(|error| panic!("cargo metadata: {error}"))
}

fn arrows_of_the_workspace() -> Vec<Arrow> {
    let metadata = workspace();
    let ours: Vec<String> = metadata.packages.iter().map(|package| package.name.to_string()).collect();
    metadata
        .packages
        .iter()
        .flat_map(|package| package.dependencies.iter().map(move |dependency| (package, dependency)))
        .filter(|(_, dependency)| ours.contains(&dependency.name))
        .map(|(package, dependency)| Arrow {
            from: package.name.to_string(),
            to: dependency.name.clone(),
            only_in_tests: dependency.kind == DependencyKind::Development,
        })
        .collect()
}

fn arrow(from: &str, to: &str) -> Arrow {
    Arrow { from: from.to_owned(), to: to.to_owned(), only_in_tests: false }
}

#[test]
fn every_dependency_points_down() {
    let objections: Vec<String> = arrows_of_the_workspace()
        .iter()
        .filter_map(|arrow| objection(arrow).map(|why| format!("  {arrow}: {why}")))
        .collect();
    assert!(objections.is_empty(), "these dependencies should not be there:\n{}", objections.join("\n"));
}

#[test]
fn the_walk_sees_the_workspace() {
    let metadata = workspace();
    for member in ["anomaly-core", "xtask", "e2e"] {
        assert!(metadata.packages.iter().any(|package| package.name == member), "{member} is not a workspace member");
    }
}

#[test]
fn arrows_that_point_up_or_sideways_are_named() {
    for (from, to) in [
        ("anomaly-core", "telemetry"),
        ("telemetry", "platform"),
        ("platform", "function"),
        ("platform", "kinesis-scorer"),
        ("function", "kinesis-scorer"),
        ("kinesis-scorer", "alert-fanout"),
        ("alert-fanout", "kinesis-scorer"),
        ("kinesis-scorer", "millrace"),
        ("kinesis-scorer", "lake"),
        ("simulator", "anomaly-core"),
        ("anomaly-core", "simulator"),
        ("xtask", "telemetry"),
        ("millrace", "xtask"),
        ("e2e", "millrace"),
        ("simulation", "millrace"),
        ("newcomer", "telemetry"),
    ] {
        assert!(objection(&arrow(from, to)).is_some(), "{from} -> {to} was let through");
    }
    let in_tests = Arrow { only_in_tests: true, ..arrow("platform", "kinesis-scorer") };
    assert!(objection(&in_tests).is_some(), "a test's dependency points up just as well");
}

#[test]
fn arrows_that_point_down_are_let_through() {
    for (from, to) in [
        ("telemetry", "anomaly-core"),
        ("platform", "telemetry"),
        ("kinesis-scorer", "anomaly-core"),
        ("kinesis-scorer", "function"),
        ("function", "platform"),
        ("millrace", "kinesis-scorer"),
        ("lake", "kinesis-scorer"),
        ("millrace", "lake"),
        ("millrace", "simulator"),
        ("kinesis-scorer", "simulator"),
        ("e2e", "platform"),
        ("simulation", "kinesis-scorer"),
    ] {
        assert_eq!(objection(&arrow(from, to)), None, "{from} -> {to}");
    }
    let in_tests = Arrow { only_in_tests: true, ..arrow("anomaly-core", "simulator") };
    assert_eq!(objection(&in_tests), None);
}
