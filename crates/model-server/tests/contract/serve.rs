//! `model-server serve`.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;

use model_server::archive::{self, pack};

use crate::image::{Server, train};
use crate::plant::{BEGIN, HYPERPARAMETERS, Ml, csv};

const CSV: (&str, &str) = ("content-type", "text/csv");

fn trained(hyperparameters: &str) -> Ml {
    let ml = Ml::new(hyperparameters);
    assert_eq!(train(&ml), Some(0));
    ml
}

fn served() -> (Ml, Server) {
    let ml = trained(HYPERPARAMETERS);
    let server = Server::start(&ml, &[]);
    (ml, server)
}

fn numbers(text: &str) -> Vec<f64> {
    text.lines().map(|line| line.parse().unwrap()).collect()
}

#[test]
fn a_loaded_model_answers_a_ping_and_how_to_ask() {
    let ml = trained(HYPERPARAMETERS);
    let told = [("SAGEMAKER_MAX_PAYLOAD_IN_MB", "2"), ("SAGEMAKER_MAX_CONCURRENT_TRANSFORMS", "3")];
    let server = Server::start(&ml, &told);
    assert_eq!(server.get("/ping").0, 200);
    let (status, form, body) = server.get("/execution-parameters");
    assert_eq!((status, form.as_str()), (200, "application/json"));
    let expected =
        serde_json::json!({"MaxConcurrentTransforms": 3, "BatchStrategy": "MULTI_RECORD", "MaxPayloadInMB": 2});
    assert_eq!(serde_json::from_str::<serde_json::Value>(&body).unwrap(), expected);
    let longer = vec![b'1'; (2 << 20) + 1];
    let (status, _, body) = server.ask("/invocations", &[CSV], &longer);
    assert!(status == 413 && body.contains("2097152 bytes"), "{body}");
}

#[test]
fn a_row_far_off_scores_higher_in_every_form() {
    let (_ml, server) = served();
    let at = BEGIN + 1_441 * 60;
    let (usual, off) = ((50.4, 2.1), (58.0, 2.1));
    let line = |(temperature, vibration): (f64, f64)| format!("pump-1,{at},{temperature},{vibration}\n");
    let (status, form, body) = server.ask("/invocations", &[CSV], [line(usual), line(off)].concat().as_bytes());
    assert_eq!((status, form.as_str()), (200, "text/csv"), "{body}");
    let scores = numbers(&body);
    assert!(scores.len() == 2 && scores[1] > 1.5 * scores[0], "{scores:?}");

    let object = |(temperature, vibration): (f64, f64)| {
        format!(r#"{{"device":"pump-1","ts":{at},"temperature":{temperature},"vibration":{vibration}}}"#)
    };
    let lines = format!("{}\n{}", object(usual), object(off));
    let headers = [("content-type", "application/jsonlines"), ("accept", "*/*")];
    let (_, form, body) = server.ask("/invocations", &headers, lines.as_bytes());
    assert_eq!(form, "application/jsonlines");
    let answers: Vec<serde_json::Value> = body.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let found: Vec<_> = answers.iter().map(|answer| answer["score"].as_f64().unwrap()).collect();
    assert_eq!(found, scores);
    let line = answers[0]["line"].as_f64().unwrap();
    assert!(line > scores[0] && answers[1]["line"] == line, "{body}");

    let features = format!(r#"{{"device":"pump-1","ts":{at},"features":[{},{}]}}"#, off.0, off.1);
    let instances = format!(r#"{{"instances":[{},{features},{{"device":"pump-1"}}]}}"#, object(usual));
    let (_, _, body) = server.ask("/invocations", &[("content-type", "application/json")], instances.as_bytes());
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!((&body["scores"][0]["score"], &body["scores"][1]["score"]), (&scores[0].into(), &scores[1].into()));
    assert!(body["scores"][2]["error"].as_str().unwrap().contains("`ts`"), "{body}");
}

#[test]
fn a_bad_line_has_its_result_at_its_place() {
    let (_ml, server) = served();
    let rows = csv(1_440..1_441).replace("pump-2", "pump/2") + "\n\nnobody,1793534400,1\nlast";
    let (_, _, body) = server.ask("/invocations", &[CSV], rows.as_bytes());
    let lines: Vec<&str> = body.lines().collect();
    assert_eq!(lines.len(), 5, "{body}");
    assert!(lines[0].parse::<f64>().unwrap().is_finite() && lines[2].parse::<f64>().unwrap().is_finite());
    assert_eq!([lines[1], lines[3], lines[4]], ["nan"; 3]);
    let told = server.ask("/invocations", &[CSV, ("accept", "application/jsonlines")], rows.as_bytes()).2;
    assert!(told.lines().nth(3).unwrap().contains("3 fields, 4 columns"), "{told}");
}

#[test]
fn what_cannot_be_answered_says_why_in_json() {
    let (_ml, server) = served();
    for (path, headers, body, status, part) in [
        ("/invocations", vec![], "x", 415, "text/csv, application/jsonlines"),
        ("/invocations", vec![("content-type", "text/plain")], "x", 415, "`text/plain`"),
        ("/invocations", vec![CSV, ("content-encoding", "gzip")], "x", 415, "unpacked"),
        ("/invocations", vec![CSV, ("accept", "image/png")], "x", 406, "image/png"),
        ("/invocations", vec![("content-type", "application/json")], "[1]", 400, "instances"),
        ("/invocations", vec![("content-type", "application/json")], "", 400, "instances"),
        ("/ping", vec![CSV], "x", 405, "GET"),
        ("/elsewhere", vec![CSV], "x", 404, "/invocations"),
    ] {
        let (found, form, body) = server.ask(path, &headers, body.as_bytes());
        let error: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!((found, form.as_str()), (status, "application/json"), "{body}");
        assert!(error["error"].as_str().unwrap().contains(part), "{body}");
    }
    assert_eq!(server.get("/invocations").0, 405);
    assert_eq!(server.ask("/invocations", &[CSV], b""), (200, "text/csv".to_owned(), String::new()));
}

#[test]
fn an_engine_begins_each_request_where_training_ended() {
    let ml =
        trained(r#"{"kind":"engine","model":"plant","tenant":"acme","columns":"device,ts,temperature,vibration"}"#);
    let server = Server::start(&ml, &[]);
    let mut rows = csv(1_440..1_500);
    let hot = BEGIN + 1_500 * 60;
    writeln!(rows, "pump-1,{hot},95,2.1\npump-1,{hot},95,2.1\npump-9,{hot},1,1").unwrap();
    let ask = || server.ask("/invocations", &[CSV], rows.as_bytes()).2;
    let first = ask();
    assert_eq!(first, ask(), "what one request asks is nothing to the next");
    let lines: Vec<&str> = first.lines().collect();
    let (usual, last) = lines.split_at(180);
    assert!(usual.iter().all(|score| score.parse::<f64>().unwrap() < 1.0), "{first}");
    assert!(last[0].parse::<f64>().unwrap() >= 1.0, "above its limit: {last:?}");
    assert_eq!(last[1..], ["nan"; 2], "a row again, and a device that it has never seen");
}

/// What a server says that has seen the head of a request and wants the rest.
const GO_ON: &str = "HTTP/1.1 100 Continue\r\n\r\n";

#[test]
fn a_request_under_way_is_answered_when_the_end_is_asked_for() {
    let (_ml, mut server) = served();
    let rows = csv(1_440..1_450);
    let (early, late) = rows.split_at(rows.len() / 2);
    let mut stream = TcpStream::connect(&server.address).unwrap();
    let length = rows.len();
    write!(
        stream,
        "POST /invocations HTTP/1.1\r\nhost: x\r\ncontent-type: text/csv\r\ncontent-length: {length}\r\n\
         expect: 100-continue\r\n\r\n"
    )
    .unwrap();
    // It says so when it has seen the head and wants the rest (RFC 9110, 10.1.1): from here on the request is under way.
    let mut said = [0; GO_ON.len()];
    stream.read_exact(&mut said).unwrap();
    assert_eq!(std::str::from_utf8(&said), Ok(GO_ON));
    stream.write_all(early.as_bytes()).unwrap();
    server.terminate();
    while TcpStream::connect(&server.address).is_ok() {
        std::thread::yield_now();
    }
    stream.write_all(late.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(numbers(answer.split_once("\r\n\r\n").unwrap().1).len(), 30);
    assert_eq!(server.wait(), ("stopped".to_owned(), Some(0)));
}

#[test]
fn a_model_is_served_from_the_folder_that_its_archive_was_unpacked_to() {
    let (trained, server) = served();
    let ml = Ml::new(HYPERPARAMETERS);
    let artifact = trained.get("model/model.millrace").unwrap();
    ml.put(archive::FILE_NAME, &pack(&artifact).unwrap());
    std::fs::create_dir(ml.path("model")).unwrap();
    let mut unpack = Command::new("tar");
    unpack.arg("-xzf").arg(ml.path(archive::FILE_NAME)).arg("-C").arg(ml.path("model"));
    assert!(unpack.status().unwrap().success());
    let rows = csv(1_440..1_470);
    let answers = [&server, &Server::start(&ml, &[])].map(|server| server.ask("/invocations", &[CSV], rows.as_bytes()));
    assert!(answers[0].0 == 200 && numbers(&answers[0].2).len() == 90, "{answers:?}");
    assert_eq!(answers[0], answers[1]);
}

#[test]
fn without_a_model_there_is_no_server() {
    let ml = Ml::new(HYPERPARAMETERS);
    let run = std::process::Command::new(env!("CARGO_BIN_EXE_model-server"))
        .arg("serve")
        .env("MILLRACE_ML_ROOT", ml.root())
        .output()
        .unwrap();
    let told = String::from_utf8(run.stderr).unwrap();
    assert!(run.status.code() == Some(1) && told.contains("model.millrace"), "{told}");
}
