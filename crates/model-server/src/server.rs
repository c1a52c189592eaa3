//! HTTP as SageMaker asks for it.
//!
//! | request | answer |
//! |---|---|
//! | `GET /ping` | 200: the model is loaded, or there would be no server; at once, however busy it is |
//! | `POST /invocations` | scores, see [`crate::request`] |
//! | `GET /execution-parameters` | how batch transform should ask |
//!
//! SageMaker gives a container 2 seconds for a ping and 60 for an invocation, and ends one by SIGTERM and, 30 seconds later,
//! SIGKILL (SageMaker Developer Guide, "Custom Inference Code with Hosting Services" and "… with Batch Transform").
//! What is under way when the end is asked for is answered; new connections are refused.
//!
//! Everything has a bound: connections, requests that are read at once, their bytes, rows and time. There is no TLS and nobody is
//! asked who they are: SageMaker stands before it. Elsewhere it listens to this machine alone unless it is told otherwise.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Incoming};
use hyper::header::{ACCEPT, ALLOW, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::media::Media;
use crate::model::Loaded;
use crate::request::{RequestError, answer};
use crate::row::Columns;
use crate::settings::Limits;

/// Connections at once; further ones wait in the system's queue.
const CONNECTIONS_MAX: usize = 512;
/// So long a connection may say nothing.
const IDLE: Duration = Duration::from_mins(5);
/// So long a request waits for its turn. SageMaker gives up after 60 seconds.
const TURN: Duration = Duration::from_secs(30);
/// So long a request's body may take.
const BODY: Duration = Duration::from_secs(30);
/// So long what is under way may take when the end is asked for.
const DRAIN: Duration = Duration::from_secs(25);
/// How long the server rests when the system has no connections to give.
const REST: Duration = Duration::from_millis(50);

/// So much of a body that is too long is read nevertheless.
const PASSED_OVER_BYTES_MAX: usize = 16 << 20;

type Answer = Response<Full<Bytes>>;

/// A model that is asked by HTTP.
#[derive(Debug)]
pub struct Server {
    model: Loaded,
    columns: Option<Columns>,
    limits: Limits,
    turns: Arc<Semaphore>,
}

impl Server {
    /// Of a model.
    #[must_use]
    pub fn new(model: Loaded, limits: Limits) -> Self {
        let columns = limits.columns.clone().or_else(|| model.columns());
        let turns = Arc::new(Semaphore::new(limits.concurrency));
        Self { model, columns, limits, turns }
    }

    /// Answers until `stop` is there, and then what is under way.
    ///
    /// # Errors
    /// None so far: an error of a connection costs only that.
    pub async fn run(self, listener: TcpListener, stop: impl Future<Output = ()>) -> io::Result<()> {
        let (server, graceful) = (Arc::new(self), GracefulShutdown::new());
        let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let mut stop = std::pin::pin!(stop);
        loop {
            let accepted = async {
                let room = Arc::clone(&connections).acquire_owned().await;
                (listener.accept().await, room)
            };
            let (accepted, room) = tokio::select! {
                () = &mut stop => break,
                accepted = accepted => accepted,
            };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of files, or a client that has gone: neither is a reason to end.
                    tracing::warn!(error = &error as &dyn std::error::Error, "a connection cannot be accepted");
                    tokio::time::sleep(REST).await;
                    continue;
                }
            };
            let answering = Arc::clone(&server);
            let service = service_fn(move |request| {
                let server = Arc::clone(&answering);
                async move { Ok::<_, Infallible>(server.respond(request).await) }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(IDLE)
                .serve_connection(TokioIo::new(stream), service);
            let connection = graceful.watch(connection);
            tokio::spawn(async move {
                if let Err(error) = connection.await {
                    tracing::debug!(error = &error as &dyn std::error::Error, "a connection has ended early");
                }
                drop(room);
            });
        }
        drop(listener);
        if timeout(DRAIN, graceful.shutdown()).await.is_err() {
            tracing::warn!("requests under way took too long and are not answered");
        }
        Ok(())
    }

    async fn respond(self: Arc<Self>, request: Request<Incoming>) -> Answer {
        let path = request.uri().path().to_owned();
        match (path.as_str(), request.method()) {
            ("/ping", &Method::GET | &Method::HEAD) => json_answer(StatusCode::OK, &json!({})),
            ("/execution-parameters", &Method::GET | &Method::HEAD) => json_answer(
                StatusCode::OK,
                &json!({
                    "MaxConcurrentTransforms": self.limits.concurrency,
                    "BatchStrategy": "MULTI_RECORD",
                    "MaxPayloadInMB": self.limits.payload_megabytes(),
                }),
            ),
            ("/invocations", &Method::POST) => self.invoke(request).await.unwrap_or_else(Refusal::answer),
            ("/ping" | "/execution-parameters", _) => Refusal::method("GET").answer(),
            ("/invocations", _) => Refusal::method("POST").answer(),
            _ => Refusal::new(
                StatusCode::NOT_FOUND,
                "there are /ping, /invocations and /execution-parameters".to_owned(),
            )
            .answer(),
        }
    }

    async fn invoke(self: Arc<Self>, request: Request<Incoming>) -> Result<Answer, Refusal> {
        let (media, accepted) = forms(request.headers())?;
        let bytes_max = self.limits.payload_bytes_max;
        let server = Arc::clone(&self);
        let Ok(Ok(turn)) = timeout(TURN, Arc::clone(&self.turns).acquire_owned()).await else {
            let busy = format!("{} requests are under way: ask again, or fewer at once", self.limits.concurrency);
            return Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, busy));
        };
        let Ok(body) = timeout(BODY, read(request.into_body(), bytes_max)).await else {
            let slow = format!("the body was not here after {} seconds", BODY.as_secs());
            return Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, slow));
        };
        let body = body?;
        let scored = tokio::task::spawn_blocking(move || {
            let scored = answer(&server.model, server.columns.as_ref(), media, accepted, &body);
            // Held to the end of the work, also for a client that has gone.
            drop(turn);
            scored
        })
        .await;
        let text = scored.map_err(|error| {
            tracing::error!(error = &error as &dyn std::error::Error, "a request could not be scored");
            Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "the request could not be scored: see the logs".to_owned())
        })??;
        let mut response = Response::new(Full::from(text));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(accepted.name()));
        Ok(response)
    }
}

/// The body, of at most so many bytes. One that is somewhat longer is read to its end before it is refused: many clients look
/// for an answer only when they have sent everything.
async fn read(mut body: Incoming, bytes_max: usize) -> Result<Vec<u8>, Refusal> {
    let mut bytes = Vec::with_capacity((body.size_hint().lower() as usize).min(bytes_max));
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame
            .map_err(|error| Refusal::new(StatusCode::BAD_REQUEST, format!("the body cannot be read: {error}")))?;
        let Some(data) = frame.data_ref() else { continue };
        length += data.len();
        if length > bytes_max + PASSED_OVER_BYTES_MAX {
            break;
        }
        if length <= bytes_max {
            bytes.extend_from_slice(data);
        }
    }
    if length > bytes_max { Err(Refusal::too_large(bytes_max)) } else { Ok(bytes) }
}

/// The forms of a request and of its answer.
fn forms(headers: &HeaderMap) -> Result<(Media, Media), Refusal> {
    let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let known = "text/csv, application/jsonlines and application/json";
    if let Some(packed) = text(CONTENT_ENCODING).filter(|packed| !packed.eq_ignore_ascii_case("identity")) {
        let why = format!("Content-Encoding `{}`: send it unpacked", packed.escape_debug());
        return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, why));
    }
    let Some(media) = text(CONTENT_TYPE).and_then(Media::of) else {
        let found = text(CONTENT_TYPE).unwrap_or("none").escape_debug();
        let why = format!("Content-Type is `{found}`; {known} can be read");
        return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, why));
    };
    let Some(accepted) = media.accepted(text(ACCEPT)) else {
        let why = format!("Accept is `{}`; {known} can be written", text(ACCEPT).unwrap_or("none").escape_debug());
        return Err(Refusal::new(StatusCode::NOT_ACCEPTABLE, why));
    };
    Ok((media, accepted))
}

/// Why a request has no answer.
struct Refusal {
    status: StatusCode,
    why: String,
    allow: Option<&'static str>,
}

impl Refusal {
    fn new(status: StatusCode, why: String) -> Self {
        Self { status, why, allow: None }
    }

    fn method(allow: &'static str) -> Self {
        let why = format!("ask with {allow}");
        Self { allow: Some(allow), ..Self::new(StatusCode::METHOD_NOT_ALLOWED, why) }
    }

    fn too_large(bytes_max: usize) -> Self {
        let why = format!(
            "the body has more than {bytes_max} bytes: send fewer rows at once, or raise SAGEMAKER_MAX_PAYLOAD_IN_MB"
        );
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, why)
    }

    fn answer(self) -> Answer {
        let mut answer = json_answer(self.status, &json!({"error": self.why}));
        if let Some(allow) = self.allow {
            answer.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
        }
        answer
    }
}

impl From<RequestError> for Refusal {
    fn from(error: RequestError) -> Self {
        let status = match error {
            RequestError::TooManyRows => StatusCode::PAYLOAD_TOO_LARGE,
            RequestError::NotInstances(_) => StatusCode::BAD_REQUEST,
            RequestError::NoColumns => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        };
        Self::new(status, error.to_string())
    }
}

fn json_answer(status: StatusCode, body: &serde_json::Value) -> Answer {
    let mut response = Response::new(Full::from(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
