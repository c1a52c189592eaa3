//! The Runtime API and the Extensions API of one execution environment, on a port of its own.
//!
//! Paths, headers and answers: AWS Lambda Developer Guide, "Using the Lambda runtime API for custom runtimes" and "Using
//! the Lambda Extensions API to create extensions". Not here: response streaming, the Telemetry API.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, server};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, JoinSet};

/// Most bytes of an answer (AWS Lambda Developer Guide, "Lambda quotas").
const ANSWER_BYTES_MAX: usize = 6 * 1024 * 1024;
/// Most extensions of a function, internal ones included.
const EXTENSIONS_MAX: usize = 10;

/// What a process does.
#[derive(Debug)]
pub(super) enum Event {
    /// It asks for an event.
    Next(oneshot::Sender<Work>),
    /// It has answered the invocation under way.
    Answered(Vec<u8>),
    /// It has failed the invocation under way.
    Failed(Vec<u8>),
    /// It cannot start.
    InitFailed(Vec<u8>),
}

/// An event for the process.
#[derive(Debug, Clone)]
pub(super) struct Work {
    pub(super) request_id: String,
    pub(super) event: Bytes,
    pub(super) deadline_ms: i64,
    pub(super) function_arn: String,
}

/// The two APIs, listening. Dropping it closes all connections.
#[derive(Debug)]
pub(super) struct Api {
    pub(super) address: SocketAddr,
    pub(super) events: mpsc::UnboundedReceiver<Event>,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    function: String,
    events: mpsc::UnboundedSender<Event>,
    /// The invocation under way.
    current: Mutex<Option<String>>,
    extensions: Mutex<Vec<Extension>>,
}

#[derive(Debug)]
struct Extension {
    id: String,
    wants: BTreeSet<String>,
    outbox: mpsc::UnboundedSender<String>,
    inbox: Arc<tokio::sync::Mutex<mpsc::UnboundedReceiver<String>>>,
}

impl Drop for Api {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Api {
    /// Listens on a free port of the loopback interface.
    pub(super) async fn listen(function: &str) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (sender, events) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            function: function.to_owned(),
            events: sender,
            current: Mutex::default(),
            extensions: Mutex::default(),
        });
        let serving = tokio::spawn(serve(listener, Arc::clone(&shared)));
        Ok(Self { address, events, shared, serving })
    }

    /// Says which invocation is under way from now on, and tells extensions that asked to be told.
    pub(super) fn begin(&self, work: &Work) {
        *lock(&self.shared.current) = Some(work.request_id.clone());
        self.tell(
            "INVOKE",
            &json!({
                "eventType": "INVOKE",
                "deadlineMs": work.deadline_ms,
                "requestId": work.request_id,
                "invokedFunctionArn": work.function_arn,
            }),
        );
    }

    /// Tells extensions that asked to be told of the end.
    pub(super) fn announce_shutdown(&self, reason: &str, deadline_ms: i64) {
        let event = json!({"eventType": "SHUTDOWN", "shutdownReason": reason, "deadlineMs": deadline_ms});
        self.tell("SHUTDOWN", &event);
    }

    /// Whether an extension has registered: only then is a process told of its end.
    pub(super) fn has_extensions(&self) -> bool {
        !lock(&self.shared.extensions).is_empty()
    }

    fn tell(&self, kind: &str, event: &serde_json::Value) {
        for extension in lock(&self.shared.extensions).iter().filter(|extension| extension.wants.contains(kind)) {
            // The receiver lives as long as the extension.
            let _told = extension.outbox.send(event.to_string());
        }
    }
}

/// Every change is complete before the lock is let go.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                // A connection that failed before it was accepted is its client's affair.
                let Ok((connection, _)) = accepted else { continue };
                let shared = Arc::clone(&shared);
                let service = service_fn(move |request| {
                    let shared = Arc::clone(&shared);
                    async move { Ok::<_, Infallible>(respond(&shared, request).await) }
                });
                let serving = server::conn::http1::Builder::new().serve_connection(TokioIo::new(connection), service);
                connections.spawn(async move { drop(serving.await) });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

type Answer = Response<Full<Bytes>>;

async fn respond(shared: &Shared, request: Request<Incoming>) -> Answer {
    let (parts, body) = request.into_parts();
    let body = match Limited::new(body, ANSWER_BYTES_MAX).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => return too_large(shared),
        Err(_) => return refusal(StatusCode::BAD_REQUEST, "InvalidRequest", "the body ended early"),
    };
    let path: Vec<&str> = parts.uri.path().trim_matches('/').split('/').collect();
    match (&parts.method, path.as_slice()) {
        (&Method::GET, ["2018-06-01", "runtime", "invocation", "next"]) => next(shared).await,
        (&Method::POST, ["2018-06-01", "runtime", "invocation", id, "response"]) => {
            finish(shared, id, Event::Answered(body.to_vec()))
        }
        (&Method::POST, ["2018-06-01", "runtime", "invocation", id, "error"]) => {
            finish(shared, id, Event::Failed(body.to_vec()))
        }
        (&Method::POST, ["2018-06-01", "runtime", "init", "error"]) => {
            emit(shared, Event::InitFailed(body.to_vec()));
            accepted()
        }
        (&Method::POST, ["2020-01-01", "extension", "register"]) => {
            let name = parts.headers.get("Lambda-Extension-Name").and_then(|name| name.to_str().ok());
            register(shared, name.unwrap_or_default(), &body)
        }
        (&Method::GET, ["2020-01-01", "extension", "event", "next"]) => {
            let id = parts.headers.get("Lambda-Extension-Identifier").and_then(|id| id.to_str().ok());
            next_of_extension(shared, id.unwrap_or_default()).await
        }
        (&Method::POST, ["2020-01-01", "extension", "init" | "exit", "error"]) => accepted(),
        _ => refusal(StatusCode::NOT_FOUND, "NotFound", "there is no such path in this Runtime API"),
    }
}

fn answer(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    answer
}

fn accepted() -> Answer {
    answer(StatusCode::ACCEPTED, r#"{"status":"OK"}"#)
}

fn refusal(status: StatusCode, kind: &str, message: &str) -> Answer {
    answer(status, json!({"errorType": kind, "errorMessage": message}).to_string())
}

/// The environment may be gone already; then nobody needs to know.
fn emit(shared: &Shared, event: Event) {
    let _told = shared.events.send(event);
}

async fn next(shared: &Shared) -> Answer {
    let (sender, work) = oneshot::channel();
    emit(shared, Event::Next(sender));
    let Ok(Work { request_id, event, deadline_ms, function_arn }) = work.await else {
        return refusal(StatusCode::INTERNAL_SERVER_ERROR, "Shutdown", "the environment is shutting down");
    };
    let built = Response::builder()
        .header("Content-Type", "application/json")
        .header("Lambda-Runtime-Aws-Request-Id", &request_id)
        .header("Lambda-Runtime-Deadline-Ms", deadline_ms)
        .header("Lambda-Runtime-Invoked-Function-Arn", function_arn)
        .header("Lambda-Runtime-Trace-Id", format!("Root=1-{:08x}-{:0>24};Sampled=0", deadline_ms / 1000, "0"))
        .body(Full::new(event));
    built.unwrap_or_else(|error| refusal(StatusCode::INTERNAL_SERVER_ERROR, "InvalidHeader", &error.to_string()))
}

fn finish(shared: &Shared, id: &str, event: Event) -> Answer {
    if lock(&shared.current).take_if(|current| current == id).is_none() {
        return refusal(StatusCode::BAD_REQUEST, "InvalidRequestID", "this invocation is not under way");
    }
    emit(shared, event);
    accepted()
}

fn too_large(shared: &Shared) -> Answer {
    let message = format!("the answer has more than {ANSWER_BYTES_MAX} bytes");
    if lock(&shared.current).take().is_some() {
        let error = json!({"errorType": "Function.ResponseSizeTooLarge", "errorMessage": message});
        emit(shared, Event::Failed(error.to_string().into_bytes()));
    }
    refusal(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", &message)
}

fn register(shared: &Shared, name: &str, body: &[u8]) -> Answer {
    #[derive(serde::Deserialize)]
    struct Wanted {
        #[serde(default)]
        events: BTreeSet<String>,
    }
    let Ok(Wanted { events: wants }) = serde_json::from_slice(body) else {
        return refusal(StatusCode::BAD_REQUEST, "InvalidRequest", "expected {\"events\":[…]}");
    };
    if name.is_empty() {
        return refusal(StatusCode::BAD_REQUEST, "InvalidExtensionName", "the header Lambda-Extension-Name is missing");
    }
    let mut extensions = lock(&shared.extensions);
    if extensions.len() >= EXTENSIONS_MAX {
        return refusal(StatusCode::FORBIDDEN, "TooManyExtensions", "the limit is 10");
    }
    let id = format!("00000000-0000-4000-8000-{:012}", extensions.len() + 1);
    let (outbox, inbox) = mpsc::unbounded_channel();
    extensions.push(Extension { id: id.clone(), wants, outbox, inbox: Arc::new(tokio::sync::Mutex::new(inbox)) });
    let mut registered = answer(
        StatusCode::OK,
        json!({"functionName": shared.function, "functionVersion": "$LATEST", "handler": "bootstrap"}).to_string(),
    );
    if let Ok(id) = id.parse() {
        registered.headers_mut().insert("Lambda-Extension-Identifier", id);
    }
    registered
}

async fn next_of_extension(shared: &Shared, id: &str) -> Answer {
    let inbox =
        lock(&shared.extensions).iter().find(|extension| extension.id == id).map(|known| Arc::clone(&known.inbox));
    let Some(inbox) = inbox else {
        let message = "register first; Lambda-Extension-Identifier is what the registration has answered";
        return refusal(StatusCode::FORBIDDEN, "InvalidExtensionIdentifier", message);
    };
    let event = inbox.lock().await.recv().await;
    // The sender lives as long as the extension.
    answer(StatusCode::OK, event.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    use super::*;

    /// The whole answer, as it came.
    async fn ask(api: &Api, line: &str, header: &str, body: &str) -> String {
        let mut connection = TcpStream::connect(api.address).await.unwrap();
        let length = body.len();
        let request = format!(
            "{line} HTTP/1.1\r\nHost: api\r\nConnection: close\r\n{header}Content-Length: {length}\r\n\r\n{body}"
        );
        connection.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await.unwrap();
        answer
    }

    fn work() -> Work {
        Work {
            request_id: "r-1".to_owned(),
            event: Bytes::from_static(b"{}"),
            deadline_ms: 1_700_000_000_000,
            function_arn: "arn:f".to_owned(),
        }
    }

    #[tokio::test]
    async fn an_event_is_handed_over_with_its_headers_and_answered_once() {
        let mut api = Api::listen("f").await.unwrap();
        let mut events = mpsc::unbounded_channel().1;
        std::mem::swap(&mut events, &mut api.events);
        api.begin(&work());
        let next = ask(&api, "GET /2018-06-01/runtime/invocation/next", "", "");
        let hand_over = async {
            let Some(Event::Next(waiting)) = events.recv().await else { panic!("it asks for an event") };
            waiting.send(work()).unwrap();
        };
        let (given, ()) = tokio::join!(next, hand_over);
        for part in
            ["200 OK", "lambda-runtime-aws-request-id: r-1", "lambda-runtime-deadline-ms: 1700000000000", "arn:f"]
        {
            assert!(given.contains(part), "{part} is not in {given}");
        }
        let path = "POST /2018-06-01/runtime/invocation/r-1/response";
        assert!(ask(&api, &path.replace("r-1", "r-2"), "", "no").await.contains("400 Bad Request"));
        assert!(ask(&api, path, "", "yes").await.contains("202 Accepted"));
        assert!(ask(&api, path, "", "again").await.contains("InvalidRequestID"));
        assert!(matches!(events.recv().await, Some(Event::Answered(body)) if body == b"yes"));
    }

    #[tokio::test]
    async fn an_answer_above_the_limit_is_a_failure() {
        let mut api = Api::listen("f").await.unwrap();
        api.begin(&work());
        let body = "x".repeat(ANSWER_BYTES_MAX + 1);
        let answer = ask(&api, "POST /2018-06-01/runtime/invocation/r-1/response", "", &body).await;
        assert!(answer.contains("413 Payload Too Large"), "{answer}");
        let Some(Event::Failed(error)) = api.events.recv().await else { panic!("the invocation has failed") };
        assert!(String::from_utf8(error).unwrap().contains("ResponseSizeTooLarge"));
    }

    #[tokio::test]
    async fn an_extension_is_told_what_it_has_registered_for() {
        let api = Api::listen("f").await.unwrap();
        assert!(!api.has_extensions());
        let register = "POST /2020-01-01/extension/register";
        assert!(ask(&api, register, "", "{}").await.contains("InvalidExtensionName"));
        let registered = ask(&api, register, "Lambda-Extension-Name: e\r\n", r#"{"events":["SHUTDOWN"]}"#).await;
        assert!(registered.contains("\"functionName\":\"f\"") && api.has_extensions());
        api.begin(&work());
        api.announce_shutdown("SPINDOWN", 1);
        let next = "GET /2020-01-01/extension/event/next";
        let header = "Lambda-Extension-Identifier: 00000000-0000-4000-8000-000000000001\r\n";
        let told = ask(&api, next, header, "").await;
        assert!(told.contains("SPINDOWN") && !told.contains("INVOKE"), "{told}");
        assert!(ask(&api, next, "", "").await.contains("InvalidExtensionIdentifier"));
        assert!(ask(&api, "GET /elsewhere", "", "").await.contains("404 Not Found"));
    }
}
