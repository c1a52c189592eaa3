//! What holds of every request, whatever is in it.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::sync::atomic::AtomicBool;

use model_server::hyperparameters::Hyperparameters;
use model_server::media::Media;
use model_server::model::Loaded;
use model_server::request::answer;
use model_server::training::{Plan, train};
use proptest::prelude::*;

use crate::plant::{HYPERPARAMETERS, Ml};

fn loaded(hyperparameters: &str) -> Loaded {
    let ml = Ml::new(hyperparameters);
    let texts: BTreeMap<String, String> = serde_json::from_str(hyperparameters).unwrap();
    let hyperparameters = Hyperparameters::new(&texts).unwrap();
    let files = model_server::data::files_of(&ml.path("input/data/train")).unwrap();
    let plan = Plan { hyperparameters, texts, train: files, validation: Vec::new(), profile: None };
    Loaded::new(train(&plan, &AtomicBool::new(false)).unwrap()).unwrap()
}

static MODELS: LazyLock<[Loaded; 2]> =
    LazyLock::new(|| [loaded(HYPERPARAMETERS), loaded(&HYPERPARAMETERS.replace("forest", "engine"))]);

fn ask(model: usize, media: Media, accepted: Media, body: &[u8]) -> Result<String, String> {
    let model = &MODELS[model];
    let answered = answer(model, model.columns().as_ref(), media, accepted, body);
    answered.map(|text| String::from_utf8(text).unwrap()).map_err(|error| error.to_string())
}

/// Results, each a score or none.
fn results(media: Media, text: &str) -> Vec<Option<f64>> {
    let of = |value: &serde_json::Value| {
        assert_ne!(value.get("score").is_some(), value.get("error").is_some_and(serde_json::Value::is_string));
        value.get("score").map(|score| score.as_f64().unwrap())
    };
    match media {
        Media::Csv => text.lines().map(|line| line.parse().ok().filter(|score: &f64| !score.is_nan())).collect(),
        Media::JsonLines => text.lines().map(|line| of(&serde_json::from_str(line).unwrap())).collect(),
        Media::Json => {
            let body: serde_json::Value = serde_json::from_str(text).unwrap();
            body["scores"].as_array().unwrap().iter().map(of).collect()
        }
    }
}

fn media() -> impl Strategy<Value = Media> {
    prop_oneof![Just(Media::Csv), Just(Media::JsonLines), Just(Media::Json)]
}

/// Something like a line: a row, a row with a flaw, or noise without an end of line.
fn line() -> impl Strategy<Value = Vec<u8>> {
    let noise = prop::collection::vec(any::<u8>().prop_filter("no end of line", |byte| *byte != b'\n'), 0..40);
    let device = prop_oneof![Just("pump-1"), Just("oven-1"), Just("nobody"), Just("a/b"), Just("")];
    let number = prop_oneof![
        any::<f64>().prop_map(|number| number.to_string()),
        "-?[0-9]{1,4}",
        Just(String::new()),
        Just("1e999".to_owned())
    ];
    let second = prop_oneof![1_793_577_600_i64..1_793_600_000, any::<i64>()];
    let csv = (device.clone(), second.clone(), number.clone(), number.clone(), "(,|\"|,x)?")
        .prop_map(|(device, second, a, b, rest)| format!("{device},{second},{a},{b}{rest}").into_bytes());
    let json = (device, second, number, "(\\}|,|\"x\":\\[\\[)?").prop_map(|(device, second, a, rest)| {
        format!(r#"{{"device":"{device}","ts":{second},"temperature":{a},"features":[1,2]{rest}}}"#).into_bytes()
    });
    let object = (1_793_577_600_i64..1_793_600_000, -5.0..90.0)
        .prop_map(|(second, a)| format!(r#"{{"device":"pump-1","ts":{second},"temperature":{a}}}"#).into_bytes());
    prop_oneof![noise, csv, json, object]
}

fn is_row(line: &[u8]) -> bool {
    !line.trim_ascii().is_empty()
}

proptest! {
    #[test]
    fn any_lines_have_as_many_results(
        lines in prop::collection::vec(line(), 0..30),
        is_csv in any::<bool>(),
        accepted in media(),
        model in 0..2_usize,
    ) {
        let media = if is_csv { Media::Csv } else { Media::JsonLines };
        let rows = lines.iter().filter(|line| is_row(line)).count();
        let text = ask(model, media, accepted, &lines.join(&b'\n')).unwrap();
        prop_assert_eq!(results(accepted, &text).len(), rows, "{}", text);
    }

    #[test]
    fn any_bytes_have_an_answer_or_a_reason(
        body in prop::collection::vec(any::<u8>(), 0..400),
        media in media(),
        accepted in media(),
        model in 0..2_usize,
    ) {
        match ask(model, media, accepted, &body) {
            Ok(text) => drop(results(accepted, &text)),
            Err(reason) => prop_assert!(reason.contains("instances")),
        }
    }

    #[test]
    fn instances_have_as_many_results_in_every_form(
        temperatures in prop::collection::vec(-10.0..100.0, 0..20),
        accepted in media(),
    ) {
        let row = |(n, t): (usize, &f64)| format!(r#"{{"device":"pump-1","ts":{},"temperature":{t}}}"#, 1_793_577_600 + n);
        let rows: Vec<String> = temperatures.iter().enumerate().map(row).collect();
        let text = ask(0, Media::Json, accepted, format!(r#"{{"instances":[{}]}}"#, rows.join(",")).as_bytes()).unwrap();
        let found = results(accepted, &text);
        prop_assert!(found.len() == rows.len() && found.iter().all(Option::is_some), "{}", text);
        let lines = ask(0, Media::JsonLines, accepted, rows.join("\n").as_bytes()).unwrap();
        prop_assert_eq!(results(accepted, &lines), found, "an object is a row in either form");
    }

    #[test]
    fn a_forest_gives_a_row_the_same_score_wherever_the_request_is_cut(
        temperatures in prop::collection::vec(20.0..80.0, 1..20),
        cut in 0..20_usize,
    ) {
        let row = |(n, t): (usize, &f64)| format!("pump-1,{},{t},2\n", 1_793_577_600 + n);
        let rows: Vec<String> = temperatures.iter().enumerate().map(row).collect();
        let ask = |rows: &[String]| ask(0, Media::Csv, Media::Csv, rows.concat().as_bytes()).unwrap();
        let (early, late) = rows.split_at(cut.min(rows.len()));
        prop_assert_eq!(ask(early) + &ask(late), ask(&rows));
    }
}
