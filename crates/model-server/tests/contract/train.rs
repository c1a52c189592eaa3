//! `model-server train`.

use model_server::artifact::{Artifact, ArtifactError, card};
use model_server::card::Kind;

use crate::image::{start_training, train};
use crate::plant::{DEVICES, HYPERPARAMETERS, Ml, csv};

const MODEL: &str = "model/model.millrace";
const ENGINE: &str = r#"{"kind":"engine","model":"plant","tenant":"acme","columns":"device,ts,temperature,vibration"}"#;

#[test]
fn a_model_says_what_it_has_learned_from() {
    for (hyperparameters, kind) in [(HYPERPARAMETERS, Kind::Forest), (ENGINE, Kind::Engine)] {
        let ml = Ml::new(hyperparameters);
        ml.put("input/data/train/c.csv", b"pump-1,yesterday,1,1\n");
        ml.put("input/data/profile/profile.toml", b"[assets.pump]\ndevices = [\"pump-*\"]\n");
        ml.put("input/data/validation/v.csv", csv(1_440..1_500).as_bytes());
        ml.put("input/config/inputdataconfig.json", br#"{"train":{},"validation":{},"profile":{}}"#);
        assert_eq!(train(&ml), Some(0));
        let card = card(&ml.get(MODEL).unwrap()).unwrap();
        assert_eq!((card.kind, card.rows, card.refused, card.late), (kind, 3 * 1_440, 1, 0));
        assert_eq!(card.devices, ["oven-1", "pump-1", "pump-2"]);
        assert_eq!(card.columns, ["device", "ts", "temperature", "vibration"]);
        assert_eq!(
            (card.first.to_string().as_str(), card.last.to_string().as_str()),
            ("2026-11-01T00:00:00.000Z", "2026-11-01T23:59:00.000Z")
        );
        let temperature = card.statistics["pump"]["temperature"];
        assert_eq!(temperature.readings, 2 * 1_440);
        assert!((50.0..51.0).contains(&temperature.mean) && card.statistics["other"]["temperature"].mean > 60.0);
        let (scores, validation) = (card.scores.unwrap(), card.validation.unwrap());
        assert!(scores.p50 <= scores.p90 && scores.p90 <= scores.p99 && scores.p99 <= scores.max);
        assert!(validation.p50 < scores.max, "rows like those that were learned: {validation:?} {scores:?}");
        assert_eq!(ml.get("output/failure"), None);
    }
}

#[test]
fn the_same_data_make_the_same_model_to_the_byte() {
    for hyperparameters in [HYPERPARAMETERS, ENGINE] {
        let [one, other] = [0, 1].map(|_| {
            let ml = Ml::new(hyperparameters);
            assert_eq!(train(&ml), Some(0));
            ml.get(MODEL).unwrap()
        });
        assert!(one == other, "{hyperparameters}");
        let artifact = Artifact::from_bytes(&one).unwrap();
        assert!(artifact.to_bytes().unwrap() == one, "what is read is what was written");
    }
    let seeded = Ml::new(&HYPERPARAMETERS.replace("\"kind\"", "\"seed\":\"2\",\"kind\""));
    let plain = Ml::new(HYPERPARAMETERS);
    assert_eq!((train(&seeded), train(&plain)), (Some(0), Some(0)));
    assert!(seeded.get(MODEL) != plain.get(MODEL));
}

#[test]
fn a_failure_is_told_in_its_file_and_leaves_no_model() {
    let cases: [(&str, &str, &str, &[&str]); 6] = [
        (r#"{"kind":"tree","sed":"1"}"#, "{}", "", &["`kind` must be", "`sed` is not known", "`tenant` is not set"]),
        (HYPERPARAMETERS, r#"{"training":{}}"#, "", &["there is no `train`", "`training` is not known"]),
        (HYPERPARAMETERS, r#"{"train":{"TrainingInputMode":"Pipe"}}"#, "", &["comes as `Pipe`", "File or FastFile"]),
        (HYPERPARAMETERS, r#"{"train":{}"#, "", &["inputdataconfig.json", "not as SageMaker writes it"]),
        (HYPERPARAMETERS, r#"{"train":{}}"#, "ts,device\n", &["no row", "1 lines are no rows", "a.csv, line 1"]),
        (HYPERPARAMETERS, r#"{"train":{}}"#, "p,1793534400,1,1\nx\n", &["1 of 2 lines are no rows", "`columns`"]),
    ];
    for (hyperparameters, channels, rows, parts) in cases {
        let ml = Ml::new(hyperparameters);
        std::fs::remove_file(ml.path("input/data/train/b.csv.zst")).unwrap();
        ml.put("input/config/inputdataconfig.json", channels.as_bytes());
        ml.put("input/data/train/a.csv", rows.as_bytes());
        assert_eq!(train(&ml), Some(1));
        let told = String::from_utf8(ml.get("output/failure").unwrap()).unwrap();
        for part in parts {
            assert!(told.contains(part), "`{part}` is not in: {told}");
        }
        assert!(told.chars().count() <= 1_024 && ml.get(MODEL).is_none());
    }
}

#[test]
fn a_training_that_is_stopped_says_so_and_leaves_no_model() {
    // Told what it is, a file is opened once: a pipe can be read only once.
    let ml = Ml::new(&ENGINE.replace("\"kind\"", "\"format\":\"csv\",\"kind\""));
    // Rows that do not end.
    let pipe = ml.path("input/data/train/c.csv");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0).unwrap();
    let mut child = start_training(&ml);
    // Opening it waits until the training reads it.
    let mut rows = std::fs::OpenOptions::new().write(true).open(&pipe).unwrap();
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::TERM).unwrap();
    let day = csv(1_440..2_880);
    while std::io::Write::write_all(&mut rows, day.as_bytes()).is_ok() {}
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert_eq!(ml.get("output/failure").unwrap(), b"it was stopped before its end");
    assert!(ml.get(MODEL).is_none());
}

#[test]
fn devices_that_are_not_asked_for_are_passed_over() {
    let ml = Ml::new(&HYPERPARAMETERS.replace("\"kind\"", "\"devices\":\"pump-*\",\"kind\""));
    assert_eq!(train(&ml), Some(0));
    let card = card(&ml.get(MODEL).unwrap()).unwrap();
    assert_eq!((card.rows, card.passed_over, card.device_count), (2 * 1_440, 1_440, 2));
    assert_eq!(card.devices, ["pump-*"]);
    assert_eq!(DEVICES.len(), 3);
}

#[test]
fn bytes_that_are_no_model_are_refused_with_the_reason() {
    let ml = Ml::new(HYPERPARAMETERS);
    assert_eq!(train(&ml), Some(0));
    let bytes = ml.get(MODEL).unwrap();
    let read = |bytes: &[u8]| Artifact::from_bytes(bytes).unwrap_err();
    assert!(matches!(read(b"PK\x03\x04 and more than eight"), ArtifactError::NotAModel));
    assert!(matches!(read(&bytes[..20]), ArtifactError::Truncated(20)));
    assert!(matches!(read(&bytes[..bytes.len() - 1]), ArtifactError::Checksum { .. }));
    let changed = |at: usize| {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        read(&changed)
    };
    assert!(matches!(changed(8), ArtifactError::Version { found: 0 }));
    assert!(matches!(changed(10), ArtifactError::StateVersion { .. }));
    for at in [16, 20, 40, bytes.len() / 2, bytes.len() - 1] {
        assert!(matches!(changed(at), ArtifactError::Checksum { .. }), "{at}");
    }
}
