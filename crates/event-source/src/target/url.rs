//! The Invoke API of an address: `cargo lambda watch`, an emulator, anything that speaks it.
//!
//! What counts as a failure of the function: the header `X-Amz-Function-Error` (AWS Lambda API Reference, `Invoke`), an
//! error document as the answer, and status 500 with an error document, which is how `cargo lambda watch` says it. Other
//! refusals mean that the function was not reached. One connection an invocation; no TLS: these tools listen nearby.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{Request, Response, StatusCode, Uri, body::Incoming, header};
use hyper_util::rt::TokioIo;
use platform::clock::Stopwatch;
use tokio::net::TcpStream;

use super::{Answer, Call, Done, TargetError, error_text, is_error_document};

/// Most bytes of an answer (AWS Lambda Developer Guide, "Lambda quotas").
const ANSWER_BYTES_MAX: usize = 6 * 1024 * 1024;
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// An address to invoke.
#[derive(Debug, Clone)]
pub struct InvokeUrl {
    uri: Uri,
    host: String,
    port: u16,
}

impl InvokeUrl {
    /// Reads an address.
    ///
    /// # Errors
    /// [`TargetError::Url`] when it is none of plain HTTP.
    pub fn parse(url: &str) -> Result<Self, TargetError> {
        let refuse = |why: &str| TargetError::Url { url: url.to_owned(), why: why.to_owned() };
        let uri: Uri = url.parse().map_err(|error: hyper::http::uri::InvalidUri| refuse(&error.to_string()))?;
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") => return Err(refuse("only http is spoken here, tools on this machine need no TLS")),
            _ => return Err(refuse("it does not begin with http://")),
        }
        let host = uri.host().ok_or_else(|| refuse("it names no host"))?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        if uri.path() == "/" {
            return Err(refuse("it names no function"));
        }
        let port = uri.port_u16().unwrap_or(80);
        Ok(Self { uri, host, port })
    }

    pub(super) async fn invoke(&self, call: Call) -> Done {
        let watch = Stopwatch::start();
        let answer = tokio::time::timeout(call.timeout, self.exchange(call.event)).await;
        let answer = answer
            .unwrap_or(Ok(Answer::TimedOut))
            .unwrap_or_else(|why| Answer::NotInvoked(format!("{} cannot be invoked: {why}", self.uri)));
        Done { answer, duration: watch.elapsed(), init: None, memory_bytes_max: None }
    }

    async fn exchange(&self, event: Vec<u8>) -> Result<Answer, String> {
        let connecting = TcpStream::connect((self.host.as_str(), self.port));
        let connection = tokio::time::timeout(CONNECT_MAX, connecting).await;
        let connection = connection.map_err(|_| format!("no connection within {} s", CONNECT_MAX.as_secs()))?;
        let connection = connection.map_err(|error| error.to_string())?;
        let handshake = hyper::client::conn::http1::handshake(TokioIo::new(connection));
        let (mut sender, connection) = handshake.await.map_err(|error| error.to_string())?;
        // Ends with the connection; what goes wrong in it, the request is told.
        let driver = AbortOnDrop(tokio::spawn(async move { drop(connection.await) }));
        let request = Request::post(self.uri.path_and_query().map_or("/", |path| path.as_str()))
            .header(header::HOST, format!("{}:{}", self.host, self.port))
            .header(header::CONTENT_TYPE, "application/json")
            .header("X-Amz-Invocation-Type", "RequestResponse")
            .body(Full::new(Bytes::from(event)))
            .map_err(|error| error.to_string())?;
        let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
        let answer = read(response).await;
        drop(driver);
        answer
    }
}

struct AbortOnDrop(tokio::task::JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn read(response: Response<Incoming>) -> Result<Answer, String> {
    let status = response.status();
    let function_error = response.headers().contains_key("X-Amz-Function-Error");
    let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
    let body = match body {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => {
            let why = format!("the answer has more than {ANSWER_BYTES_MAX} bytes");
            return Ok(Answer::FunctionError(format!("Function.ResponseSizeTooLarge: {why}")));
        }
        Err(error) => return Err(error.to_string()),
    };
    Ok(verdict(status, function_error, &body))
}

fn verdict(status: StatusCode, function_error: bool, body: &[u8]) -> Answer {
    let document = is_error_document(body);
    if function_error || (document && (status.is_success() || status == StatusCode::INTERNAL_SERVER_ERROR)) {
        Answer::FunctionError(error_text(body))
    } else if status.is_success() {
        Answer::Answered(body.to_vec())
    } else {
        let text = error_text(body);
        let remedy = if status == StatusCode::NOT_FOUND { " (is the name of the function right?)" } else { "" };
        Answer::NotInvoked(format!("status {status}{remedy}: {text}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_by_status_header_and_document() {
        let error = br#"{"errorType":"E","errorMessage":"no"}"#;
        let failed = Answer::FunctionError("E: no".to_owned());
        assert_eq!(verdict(StatusCode::OK, false, b"{}"), Answer::Answered(b"{}".to_vec()));
        assert_eq!(verdict(StatusCode::OK, true, error), failed);
        assert_eq!(verdict(StatusCode::OK, false, error), failed);
        assert_eq!(verdict(StatusCode::INTERNAL_SERVER_ERROR, false, error), failed);
        for (status, body) in [(429, &b"slow down"[..]), (500, b"oops"), (503, error), (404, b"")] {
            let status = StatusCode::from_u16(status).unwrap();
            assert!(matches!(verdict(status, false, body), Answer::NotInvoked(_)), "{status}");
        }
    }

    #[test]
    fn an_address_must_be_one() {
        let url = InvokeUrl::parse("http://127.0.0.1:9000/2015-03-31/functions/f/invocations").unwrap();
        assert_eq!((url.host.as_str(), url.port), ("127.0.0.1", 9000));
        for (bad, part) in [
            ("127.0.0.1:9000", "http"),
            ("https://localhost/2015-03-31/functions/f/invocations", "TLS"),
            ("http://localhost:9000", "no function"),
            ("/functions/f", "http://"),
        ] {
            let error = InvokeUrl::parse(bad).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
