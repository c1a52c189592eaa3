//! The cold path from end to end: a clean fortnight is learned, a faulty week is scored by a real server over HTTP and analysed, and
//! what was found is judged beside the warm path's.
//!
//! `cargo nextest run -p millrace --test cold_path --no-capture` prints the figures. Floors are modest: they say that nothing is
//! broken, not how good it is.

#![expect(clippy::unwrap_used, reason = "a helper of a test ends the test")]

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use anomaly_core::{
    DeviceName, Engine, Finite, MetricName, Observation, ProfileSet, Quality, Reading, Scored, TenantName, Timestamp,
};
use platform::embedded::Local;
use platform::model::{AnomalyRecord, Transaction};
use platform::ports::CommitTransaction as _;
use simulator::{Emission, Plant, PlantConfig};

const PROFILE: &str = "[assets.pump]\ndevices = [\"pump-*\"]\n[assets.press]\ndevices = [\"press-*\"]\n\
    [assets.compressor]\ndevices = [\"compressor-*\"]\n";
const DAY_MS: i64 = 86_400_000;
/// What both recordings are made with; the longer one goes on as the shorter one.
const PLANT: [&str; 14] = [
    "simulate",
    "--devices",
    "10",
    "--cadence",
    "300",
    "--fault-free-days",
    "14",
    "--faults-per-week",
    "2",
    "--stops-per-week",
    "1",
    "--format",
    "csv",
    "--out",
];

struct Room(tempfile::TempDir);

impl Room {
    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_millrace"));
        command.args(arguments).current_dir(self.0.path()).stdin(Stdio::null());
        command
    }

    #[track_caller]
    fn run(&self, arguments: &[&str]) -> String {
        let Output { status, stdout, stderr } = self.command(arguments).output().unwrap();
        assert!(status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&stderr));
        String::from_utf8(stdout).unwrap()
    }
}

/// A server that goes with the test.
struct Server(Child, String);

impl Server {
    fn start(room: &Room, model: &str) -> Self {
        let arguments = ["model", "serve", model, "--dir", "data", "--port", "0"];
        let mut child = room.command(&arguments).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim().rsplit(" at ").next().unwrap().to_owned();
        assert!(url.starts_with("http://127.0.0.1:"), "{line}");
        Self(child, url)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The rows of a CSV under a head, by the first column.
fn table(text: &str) -> BTreeMap<String, BTreeMap<String, String>> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let rows = reader.deserialize::<BTreeMap<String, String>>().map(Result::unwrap);
    rows.map(|row| (row.get("who").or(row.get("asset")).unwrap().clone(), row)).collect()
}

/// The same plant through the engine of the warm path, its alerts of the last week put where the scorer would put them.
fn warm_path(dir: &Path) {
    let config = PlantConfig {
        devices: 10,
        cadence_ms: 300_000,
        quiet_ms: 14 * DAY_MS,
        duration_ms: 21 * DAY_MS,
        fault_rate: 2.0,
        stops_per_week: 1.0,
        ..PlantConfig::default()
    };
    let judged_from = config.start + 14 * DAY_MS;
    let (mut plant, profiles) = (Plant::new(config).unwrap(), ProfileSet::default());
    let (mut engine, mut scored, mut emission) = (Engine::default(), Scored::default(), Emission::default());
    let tenant = TenantName::new("demo").unwrap();
    let mut found = Vec::new();
    while plant.next_into(&mut emission) {
        let at = Timestamp::from_millis(emission.at_ms).unwrap();
        let mut keep = |anomaly| {
            if emission.at_ms >= judged_from {
                let seq = found.len().to_string().parse().unwrap();
                let (shard, profiles) = ("local/demo/0".to_owned(), "0".to_owned());
                found.push(AnomalyRecord { anomaly, detected_at: at, seq, shard, profiles, expires_at: i64::MAX });
            }
        };
        engine.look_for_silence(at, &profiles, |anomaly, _| keep(anomaly));
        let reading = |(name, value): &(&'static str, f64)| {
            let (metric, value) = (MetricName::new(name).unwrap(), Finite::try_from(*value).unwrap());
            Reading { metric, value, quality: Quality::Good }
        };
        let readings: Vec<_> = emission.values.iter().map(reading).collect();
        let device = DeviceName::new(&emission.device_name).unwrap();
        let observation = Observation { tenant, device, at, arrived: at, readings: &readings };
        engine.observe(&observation, &profiles, &mut scored).unwrap();
        if let Some(anomaly) = scored.alert.take() {
            keep(*anomaly);
        }
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let local = Local::open(dir).unwrap();
        for chunk in found.chunks(25) {
            let anomalies = chunk.iter().collect();
            local.commit(&Transaction { anomalies, ..Transaction::default() }).await.unwrap();
        }
    });
}

impl Room {
    /// The same job without what training has found, judged.
    fn without_lines(&self, kind: &str) -> String {
        let (job, jobs) = (format!("{kind}-alone"), self.path("data/lake/inference/demo"));
        let (from, to) = (jobs.join(kind), jobs.join(&job));
        for part in ["input/part-00000.jsonl", "output/part-00000.jsonl.out"] {
            std::fs::create_dir_all(to.join(part).parent().unwrap()).unwrap();
            std::fs::copy(from.join(part), to.join(part)).unwrap();
        }
        let text = std::fs::read(from.join("job.json")).unwrap();
        let mut description: BTreeMap<String, serde_json::Value> = serde_json::from_slice(&text).unwrap();
        assert!(description.remove("lines").is_some(), "`model batch` writes what the card has");
        std::fs::write(to.join("job.json"), serde_json::to_vec(&description).unwrap()).unwrap();
        let job = format!("demo/{job}");
        self.run(&["model", "analyze", &job, "--dir", "data"]);
        self.run(&["model", "evaluate", &job, "--truth", "truth.json", "--dir", "data", "--output", "csv"])
    }
}

#[test]
fn what_months_have_taught_is_judged_beside_the_warm_path() {
    let room = Room(tempfile::tempdir().unwrap());
    std::fs::create_dir_all(room.path("data/lake/config/demo")).unwrap();
    std::fs::write(room.path("data/lake/config/demo/profile.toml"), PROFILE).unwrap();
    std::fs::write(room.path("profile.toml"), PROFILE).unwrap();
    room.run(&[&PLANT[..], &["train.csv", "--days", "14"]].concat());
    room.run(&[&PLANT[..], &["plant.csv", "--days", "21", "--truth", "truth.json"]].concat());
    warm_path(&room.path("data"));
    for kind in ["forest", "engine"] {
        let file = format!("{kind}.millrace");
        let trained = [
            "model",
            "train",
            "--kind",
            kind,
            "--name",
            kind,
            "train.csv",
            "--profile",
            "profile.toml",
            "--out",
            &file,
        ];
        // Half of the usual trees: this runs without optimisation.
        room.run(&[&trained[..], &["--trees", "50", "--output", "csv"]].concat());
        room.run(&["model", "publish", &file, "--dir", "data"]);
        room.run(&["model", "publish", &file, "--dir", "data"]);
        let job = format!("demo/{kind}");
        let server = Server::start(&room, kind);
        let week = ["plant.csv", "--from", "2026-01-19", "--dir", "data", "--job", &job];
        room.run(&[&["model", "batch", kind, "--endpoint", &server.1], &week[..]].concat());
        // What a server has said is what the library says: the same job again is no other job.
        room.run(&[&["model", "batch", kind], &week[..]].concat());
        let analyzed = room.run(&["model", "analyze", &job, "--dir", "data", "--output", "csv"]);
        assert_eq!(analyzed, room.run(&["model", "analyze", &job, "--dir", "data", "--output", "csv"]));
        let total = &table(&analyzed)["total"];
        assert_eq!((total["devices"].as_str(), total["refused_lines"].as_str()), ("10", "0"), "{analyzed}");
        assert!(total["rows"].parse::<f64>().unwrap() > 20_000.0, "{analyzed}");
        let judged =
            room.run(&["model", "evaluate", &job, "--truth", "truth.json", "--dir", "data", "--output", "csv"]);
        let own = room.without_lines(kind);
        println!("{kind}\n{analyzed}{judged}by the week's own scores\n{own}");
        let judged = table(&judged);
        let number = |who: &str, column: &str| judged[who][column].parse::<f64>().unwrap_or(0.0);
        assert!(number("warm path", "recall") > 0.4, "{judged:?}");
        assert!(number("both", "found") >= number("warm path", "found"), "who is told more finds no less");
        assert!(number("model", "recall") > 0.2 && number("model", "precision") > 0.3, "{judged:?}");
        let own = table(&own)["model"]["recall"].parse::<f64>().unwrap_or(0.0);
        assert!(kind == "forest" || own > 0.5, "a good model needs nobody to draw its line: {own}");
    }
    let listed = room.run(&["model", "list", "--dir", "data", "--output", "csv"]);
    assert_eq!(listed.lines().count(), 3, "{listed}");
}

#[test]
fn what_cannot_be_is_said_with_what_to_do() {
    let room = Room(tempfile::tempdir().unwrap());
    std::fs::write(room.path("rows.csv"), "p,1793534400,1\n").unwrap();
    let train = ["model", "train", "--kind", "engine", "--name", "m", "--columns", "device,ts,t"];
    room.run(&[&train[..], &["rows.csv", "--out", "m"]].concat());
    room.run(&["model", "publish", "m", "--dir", "data"]);
    std::fs::write(room.path("other.csv"), "p,1793534400,2\n").unwrap();
    room.run(&[&train[..], &["other.csv", "--out", "n"]].concat());
    for (arguments, code, parts) in [
        (
            &["model", "train", "--kind", "x", "--name", "a b", "rows.csv"][..],
            2,
            &["`kind` must be", "`model` must have"][..],
        ),
        (&["model", "publish", "n", "--dir", "data"], 1, &["other content", "--model-version"]),
        (&["model", "publish", "rows.csv", "--dir", "data"], 1, &["no model"]),
        (&["model", "serve", "pumps", "--dir", "data"], 1, &["no model `pumps`", "millrace model list"]),
        (&["model", "batch", "m", "--job", "acme/j", "rows.csv", "--dir", "data"], 2, &["a model of `demo`"]),
        (&["model", "analyze", "demo/none", "--dir", "data"], 1, &["no job `demo/none`", "millrace model batch"]),
        (&["model", "evaluate", "demo/none", "--truth", "t", "--dir", "data"], 1, &["not analysed"]),
    ] {
        let run = room.command(arguments).output().unwrap();
        let told = String::from_utf8(run.stderr).unwrap();
        assert_eq!(run.status.code(), Some(code), "{arguments:?}: {told}");
        for part in parts {
            assert!(told.contains(part), "`{part}` is not in: {told}");
        }
    }
}
