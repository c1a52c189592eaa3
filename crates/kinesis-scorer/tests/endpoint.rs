//! The scorer beside a second model that is reached through the real SDK by real HTTP: right, failing, wrong, hanging, not there.
#![expect(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anomaly_core::Timestamp;
use kinesis_scorer::opinion::OpinionSettings;
use kinesis_scorer::{Config, Invocation, Scorer};
use platform::aws::{Endpoint, from_environment};
use platform::metrics::{BatchMetrics, EmitMetrics, OpinionMetrics};
use platform::ports::{AskErrorKind, AskModel as _};
use platform::sim::SimWorld;
use telemetry::kinesis::{RecordOut, Source, write_event};

const ROWS: usize = 5;
const T0: i64 = 1_790_000_000_000;

/// A request as it came: its first line, its headers, its body.
struct Request {
    line: String,
    headers: String,
    body: Vec<u8>,
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let (mut line, mut headers) = (String::new(), String::new());
    reader.read_line(&mut line).ok().filter(|bytes| *bytes > 0)?;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        if header.trim().is_empty() {
            break;
        }
        headers.push_str(&header.to_ascii_lowercase());
    }
    let length = headers.lines().find_map(|header| header.strip_prefix("content-length:"))?.trim().parse().ok()?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request { line, headers, body })
}

/// A server that answers each request with a status, an error's code and a body; with `None` it never answers. It ends with
/// the test.
fn serve(answer: impl Fn(&Request) -> Option<(u16, &'static str, String)> + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut waiting = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let Some(request) = read(&stream) else { continue };
            let Some((status, code, body)) = answer(&request) else {
                waiting.push(stream);
                continue;
            };
            let head = format!(
                "HTTP/1.1 {status} -\r\ncontent-type: application/json\r\nx-amzn-errortype: {code}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                body.len()
            );
            // A client that has gone is none of the server's business.
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes()));
        }
    });
    address
}

fn endpoint(address: SocketAddr) -> Endpoint {
    let lookup = |name: &str| match name {
        "AWS_REGION" => Some("eu-west-1".to_owned()),
        "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" => Some("made-up".to_owned()),
        "AWS_ENDPOINT_URL" => Some(format!("http://{address}")),
        _ => None,
    };
    Endpoint::from_config(&from_environment(lookup).unwrap(), "pumps-7")
}

#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<BatchMetrics>>>);

impl EmitMetrics for Kept {
    async fn emit(&self, metrics: &BatchMetrics, _: &str, _: Timestamp) {
        self.0.lock().unwrap().push(*metrics);
    }
}

fn event() -> Vec<u8> {
    let source = Source {
        partition: "aws",
        region: "eu-west-1",
        account: "123456789012",
        stream: "plant",
        shard: "shardId-000000000000",
    };
    let payloads: Vec<String> = (0..ROWS as i64)
        .map(|index| {
            let ts = T0 + index * 60_000;
            format!(r#"{{"topic":"tenants/acme/devices/pump-1/telemetry","ts":{ts},"temperature":{}}}"#, 50 + index)
        })
        .collect();
    let records = payloads.iter().zip(1..).map(|(payload, index)| RecordOut {
        sequence: format!("{index}").parse().unwrap(),
        partition_key: "pump-1",
        data: payload.as_bytes(),
        arrived: Timestamp::from_millis(T0 + index * 60_000).unwrap(),
    });
    let mut event = Vec::new();
    write_event(records, &source, &mut event);
    event
}

/// One batch beside a model; what was counted, and how many opinions are recorded.
fn score_beside(model: Endpoint, budget_ms: u32) -> (OpinionMetrics, usize) {
    let opinion = OpinionSettings { watch: 0.0, budget_ms, ..OpinionSettings::new("pumps-7") };
    let config = Config { opinion: Some(opinion), ..Config::local("unused") };
    let (world, kept) = (SimWorld::new(), Kept::default());
    let scorer = Scorer::new(world.clone(), kept.clone(), config).with_second_opinion(Some(model));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let now = Timestamp::from_millis(T0).unwrap();
    let invocation = Invocation { now, remaining: &|| Duration::from_mins(1), request_id: "test" };
    let response = runtime.block_on(scorer.handle(&event(), &invocation)).unwrap();
    assert!(response.batch_item_failures.is_empty(), "the batch is committed whatever the model does");
    let metrics = kept.0.lock().unwrap()[0];
    assert_eq!(metrics.readings, ROWS as u64);
    let silver = world.objects().into_iter().find(|(key, _)| key.as_str().starts_with("silver/")).unwrap().1;
    let reader = telemetry::silver::SilverReader::new(silver, 1 << 20).unwrap();
    (metrics.opinions.unwrap(), reader.rows().filter(|row| row.opinion.is_some()).count())
}

fn kind_of(model: &Endpoint, within: Duration) -> AskErrorKind {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let error = runtime.block_on(model.ask_model(b"{}\n", within)).unwrap_err();
    assert!(error.to_string().starts_with("ask model `pumps-7`: "), "{error}");
    error.kind
}

const NONE: (OpinionMetrics, usize) =
    (OpinionMetrics { asked: ROWS as u64, answered: 0, failed: ROWS as u64, skipped: 0 }, 0);
/// Enough for a machine that does other things too.
const PLENTY: Duration = Duration::from_secs(5);

#[test]
fn a_right_answer_is_recorded() {
    let address = serve(|request| {
        assert!(request.line.starts_with("POST /endpoints/pumps-7/invocations "), "{}", request.line);
        for header in ["content-type: application/jsonlines", "accept: application/jsonlines"] {
            assert!(request.headers.contains(header), "{header}: {}", request.headers);
        }
        let rows = request.body.split(|byte| *byte == b'\n').filter(|row| !row.is_empty()).count();
        Some((200, "", "{\"score\":3,\"line\":2.5}\n".repeat(rows)))
    });
    let found = score_beside(endpoint(address), 5_000);
    assert_eq!(found, (OpinionMetrics { asked: 5, answered: 5, failed: 0, skipped: 0 }, ROWS));
}

#[test]
fn a_server_that_fails_leaves_the_batch_without_opinions() {
    for (status, code, expected) in [
        (500, "InternalFailure", AskErrorKind::Unreachable),
        (503, "ServiceUnavailable", AskErrorKind::Unreachable),
        (424, "ModelError", AskErrorKind::Model),
        (429, "ModelNotReadyException", AskErrorKind::Unreachable),
        (400, "ThrottlingException", AskErrorKind::Throttled),
        (400, "ValidationError", AskErrorKind::Refused),
        (403, "AccessDeniedException", AskErrorKind::Refused),
    ] {
        let model = endpoint(serve(move |_| Some((status, code, "{\"Message\":\"no\"}".to_owned()))));
        assert_eq!(kind_of(&model, PLENTY), expected, "{code}");
        assert_eq!(score_beside(model, 5_000), NONE, "{code}");
    }
}

#[test]
fn an_answer_that_is_none_leaves_the_batch_without_opinions() {
    for body in ["", "<html>", "{\"score\":1}\n", "{\"score\":NaN}\n{}\n{}\n{}\n{}\n"] {
        assert_eq!(score_beside(endpoint(serve(|_| Some((200, "", body.to_owned())))), 5_000), NONE, "{body}");
    }
}

#[test]
fn a_server_that_hangs_costs_the_budget() {
    let model = endpoint(serve(|_| None));
    assert_eq!(kind_of(&model, Duration::from_millis(100)), AskErrorKind::Slow);
    assert_eq!(score_beside(model, 200), NONE);
}

#[test]
fn where_nobody_listens_the_batch_goes_without_opinions() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().expect("it was bound");
    let model = endpoint(address);
    assert_eq!(kind_of(&model, PLENTY), AskErrorKind::Unreachable);
    assert_eq!(score_beside(model, 5_000), NONE);
}
