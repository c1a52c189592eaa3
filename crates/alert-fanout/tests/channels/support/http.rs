//! A server of HTTP on 127.0.0.1 that keeps what it receives and answers by rule.

use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::header::HeaderMap;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Received {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// What a server does with a request.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// Answers with status, headers, body.
    Answer(u16, Vec<(&'static str, String)>, String),
    /// Answers with a status and a body that never ends, and counts the chunks of 16 KiB it gives away.
    Endless(u16, Arc<AtomicU64>),
    /// Answers with a status and the beginning of a body, then nothing more.
    Stalling(u16),
    /// Takes the request and says nothing.
    Silence,
    /// Takes the request and hangs up.
    Reset,
}

impl Reply {
    pub(crate) fn status(status: u16) -> Self {
        Self::Answer(status, Vec::new(), String::new())
    }

    pub(crate) fn with_body(status: u16, body: &str) -> Self {
        Self::Answer(status, Vec::new(), body.to_owned())
    }

    pub(crate) fn with_header(status: u16, name: &'static str, value: &str) -> Self {
        Self::Answer(status, vec![(name, value.to_owned())], String::new())
    }
}

type Rule = Arc<dyn Fn(&Received) -> Reply + Send + Sync>;
type Body = UnsyncBoxBody<Bytes, Infallible>;

/// A running server; it ends with the test's runtime.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
    got_one: Arc<Notify>,
}

impl Server {
    pub(crate) async fn start(rule: impl Fn(&Received) -> Reply + Send + Sync + 'static) -> Self {
        Self::listen(None, Arc::new(rule)).await
    }

    pub(crate) async fn start_tls(
        acceptor: TlsAcceptor,
        rule: impl Fn(&Received) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::listen(Some(acceptor), Arc::new(rule)).await
    }

    /// The address of a page on it.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    /// Waits until a request has come.
    pub(crate) async fn got_one(&self) {
        self.got_one.notified().await;
    }

    async fn listen(acceptor: Option<TlsAcceptor>, rule: Rule) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server =
            Self { address: listener.local_addr().unwrap(), received: Arc::default(), got_one: Arc::default() };
        let (received, got_one) = (Arc::clone(&server.received), Arc::clone(&server.got_one));
        tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { return };
                let (rule, received, got_one) = (Arc::clone(&rule), Arc::clone(&received), Arc::clone(&got_one));
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    match acceptor {
                        None => serve(stream, rule, received, got_one).await,
                        // A client that does not trust the certificate has hung up: nothing to serve.
                        Some(acceptor) => {
                            if let Ok(stream) = acceptor.accept(stream).await {
                                serve(stream, rule, received, got_one).await;
                            }
                        }
                    }
                });
            }
        });
        server
    }
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
    rule: Rule,
    received: Arc<Mutex<Vec<Received>>>,
    got_one: Arc<Notify>,
) {
    let service = service_fn(|request: Request<Incoming>| {
        let (rule, received, got_one) = (Arc::clone(&rule), Arc::clone(&received), Arc::clone(&got_one));
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
            let path = head.uri.path_and_query().map_or("", |path| path.as_str()).to_owned();
            let one = Received { path, headers: head.headers, body };
            let reply = rule(&one);
            received.lock().unwrap().push(one);
            got_one.notify_one();
            respond(reply).await
        }
    });
    // A client that hangs up early is part of some tests.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn respond(reply: Reply) -> io::Result<Response<Body>> {
    let chunk = || Ok::<_, Infallible>(Frame::data(Bytes::from(vec![b'x'; 16 * 1024])));
    let (status, headers, body) = match reply {
        Reply::Answer(status, headers, body) => (status, headers, Full::new(Bytes::from(body)).boxed_unsync()),
        Reply::Endless(status, given) => {
            let counted = move || {
                given.fetch_add(1, Ordering::Relaxed);
                chunk()
            };
            (status, Vec::new(), StreamBody::new(futures_util::stream::repeat_with(counted)).boxed_unsync())
        }
        Reply::Stalling(status) => {
            use futures_util::StreamExt as _;
            let body = futures_util::stream::iter([chunk()]).chain(futures_util::stream::pending());
            (status, Vec::new(), StreamBody::new(body).boxed_unsync())
        }
        Reply::Silence => pending().await,
        Reply::Reset => return Err(io::ErrorKind::ConnectionReset.into()),
    };
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(name, value);
    }
    Ok(response.body(body).unwrap())
}

/// A server that answers any connection with these bytes.
pub(crate) async fn raw(answer: Vec<u8>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let Ok((mut stream, _)) = listener.accept().await else { return };
            let answer = answer.clone();
            tokio::spawn(async move {
                // The client may have hung up before all is written.
                let _ = stream.write_all(&answer).await;
                pending::<()>().await;
            });
        }
    });
    address
}

/// An address at which nobody listens.
pub(crate) async fn nobody() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap()
}
