//! A job of batch inference whose faults are known: three devices, a row a minute.

use std::fmt::Write as _;
use std::io::Write as _;

use anomaly_core::Timestamp;
use batch_analyzer::handler::{JobError, Outcome, Request, run};
use batch_analyzer::job::JobId;
use batch_analyzer::report::Report;
use platform::model::Key;
use platform::sim::SimWorld;

/// Minutes of a job.
pub(crate) const MINUTES: i64 = 3_000;
/// Midnight before the first row.
const BEGIN_MS: i64 = 1_793_491_200_000;
pub(crate) const DEVICES: [&str; 3] = ["pump-1", "pump-2", "oven-1"];

/// How results are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Csv,
    JsonLines,
    JoinedCsv,
    JoinedJsonLines,
}

pub(crate) fn id() -> JobId {
    JobId::new("acme", "week-47").unwrap()
}

pub(crate) fn at(minute: i64) -> Timestamp {
    Timestamp::from_millis(BEGIN_MS + minute * 60_000).unwrap()
}

pub(crate) fn key(name: &str) -> Key {
    Key::new(format!("inference/acme/week-47/{name}")).unwrap()
}

/// A row: what the machine was like, and the model's score.
#[derive(Debug, Clone)]
pub(crate) struct PlantRow {
    pub(crate) device: String,
    pub(crate) minute: i64,
    pub(crate) temperature: f64,
    pub(crate) vibration: f64,
    pub(crate) score: f64,
}

/// All rows of a quiet plant, in order of time. Scores are skewed, as those of a forest are: the faults are not in them yet.
pub(crate) fn quiet() -> Vec<PlantRow> {
    let mut rows = Vec::new();
    let mut state = 1_u64;
    let mut chance = || {
        // The generator of Knuth, MMIX; the upper half of its bits.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 33) as f64 + 0.5) / f64::from(1_u32 << 31)
    };
    for minute in 0..MINUTES {
        for device in DEVICES {
            let wave = (minute as f64 / 229.0).sin();
            rows.push(PlantRow {
                device: device.to_owned(),
                minute,
                temperature: 60.0 + wave + chance(),
                vibration: 2.0 + 0.2 * chance(),
                score: 0.8 - 0.1 * chance().ln(),
            });
        }
    }
    rows
}

/// Makes the rows of a device faulty from one minute up to another.
pub(crate) fn break_down(rows: &mut [PlantRow], device: &str, minutes: std::ops::Range<i64>) {
    for row in rows.iter_mut().filter(|row| row.device == device && minutes.contains(&row.minute)) {
        row.temperature += 25.0;
        row.score = 4.0;
    }
}

/// With a fault that ends, one that goes on, and one row that is far off.
pub(crate) fn faulty() -> Vec<PlantRow> {
    let mut rows = quiet();
    break_down(&mut rows, "pump-1", 1_000..1_030);
    break_down(&mut rows, "pump-2", MINUTES - 20..MINUTES);
    break_down(&mut rows, "oven-1", 2_000..2_001);
    rows
}

impl PlantRow {
    fn input(&self, form: Form) -> String {
        let Self { device, minute, temperature, vibration, .. } = self;
        let ts = at(*minute);
        match form {
            Form::Csv | Form::JoinedCsv => format!("{device},{ts},{temperature},{vibration}"),
            Form::JsonLines | Form::JoinedJsonLines => format!(
                r#"{{"device":"{device}","ts":{},"temperature":{temperature},"vibration":{vibration}}}"#,
                ts.millis()
            ),
        }
    }

    fn output(&self, form: Form) -> String {
        let (input, score) = (self.input(form), self.score);
        match form {
            Form::Csv => score.to_string(),
            Form::JsonLines => format!(r#"{{"score":{score}}}"#),
            Form::JoinedCsv => format!("{input},{score}"),
            Form::JoinedJsonLines => {
                format!(r#"{},"SageMakerOutput":{{"scores":[{{"score":{score}}}]}}}}"#, input.trim_end_matches('}'))
            }
        }
    }
}

/// Puts a job of two parts into a world, the second one compressed.
pub(crate) fn place(world: &SimWorld, rows: &[PlantRow], form: Form) {
    let (format, columns) = match form {
        Form::Csv | Form::JoinedCsv => ("csv", r#""columns":["device","ts","temperature","vibration"],"#),
        Form::JsonLines | Form::JoinedJsonLines => ("jsonl", ""),
    };
    let joined = matches!(form, Form::JoinedCsv | Form::JoinedJsonLines);
    let description = format!(
        r#"{{"version":1,"model":"pumps-7","format":"{format}",{columns}"joined":{joined},"parts":["a","b"],
            "devices":["pump-*","oven-*"]}}"#
    );
    world.place_object(key("job.json"), description);
    let (first, second) = rows.split_at(rows.len() / 2);
    for (part, rows, is_packed) in [("a", first, false), ("b", second, true)] {
        let (mut input, mut output) = (String::new(), String::new());
        for row in rows {
            writeln!(input, "{}", row.input(form)).unwrap();
            writeln!(output, "{}", row.output(form)).unwrap();
        }
        let pack = |text: String| if is_packed { gzip(text.as_bytes()) } else { text.into_bytes() };
        world.place_object(key(&format!("input/{part}")), pack(input));
        world.place_object(key(&format!("output/{part}.out")), pack(output));
    }
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// Replaces the lines of a part's object by what `change` makes of them.
pub(crate) fn rewrite(world: &SimWorld, name: &str, change: impl FnOnce(&mut Vec<String>)) {
    let text = String::from_utf8(world.object(&key(name)).unwrap()).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    change(&mut lines);
    world.remove_object(&key(name));
    world.place_object(key(name), lines.join("\n"));
}

pub(crate) async fn analyze(world: &SimWorld) -> Result<Outcome, JobError> {
    let id = id();
    let request = Request { id: &id, accepts_missing: false, ttl_days: 90, now: at(MINUTES + 60) };
    run(world, &request, || true).await
}

/// The report of a job that is analysed now.
pub(crate) async fn report(world: &SimWorld) -> Report {
    match analyze(world).await.unwrap() {
        Outcome::Analyzed(report, _) => *report,
        other => panic!("{other:?}"),
    }
}
