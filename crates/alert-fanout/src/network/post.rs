//! One POST over one connection of its own, its answer read up to a bound. Redirects are answers like any other.

use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{
    CONNECTION, CONTENT_TYPE, DATE, HOST, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT,
};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use jiff::fmt::rfc2822;

use super::{DialError, Endpoint, Outbound, Wire};
use crate::channel::SendError;

/// What is read of an answer's head and of its body, each.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// How long is waited for the rest of an answer whose status is known.
const BODY_TIMEOUT: Duration = Duration::from_secs(1);

/// Header lines of an answer.
const HEADERS_MAX: usize = 100;

/// What is posted.
#[derive(Debug)]
pub(crate) struct Body {
    /// Media type.
    pub(crate) media: &'static str,
    /// A header beside the usual ones.
    pub(crate) header: Option<(HeaderName, HeaderValue)>,
    /// The bytes.
    pub(crate) bytes: Vec<u8>,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    status: u16,
    retry_after: Option<Duration>,
    body: Vec<u8>,
}

impl Outbound {
    /// Posts once. An answer of any status is `Ok`. There is no time-out for the whole here: the channel has one.
    pub(crate) async fn post(&self, channel: &str, to: &Endpoint, body: Body) -> Result<Answer, SendError> {
        let in_channel = |error: DialError| error.in_channel(channel);
        let stream = self.connect(to.host(), to.port(), to.reach()).await.map_err(in_channel)?;
        let wire: Box<dyn Wire> = if to.is_encrypted() {
            self.encrypt(stream, to.host()).await.map_err(in_channel)?
        } else {
            Box::new(stream)
        };
        let request = request(to, body).map_err(|error| {
            SendError::misconfigured(
                channel,
                format!("the request cannot be written: {error}"),
                "see the channel's address",
            )
        })?;
        exchange(wire, request).await.map_err(|error| {
            let what = format!("{} broke off before it answered: {}", to.host(), what_broke(&error));
            SendError::retry(channel, None, what, "nothing, unless it stays")
        })
    }
}

fn request(to: &Endpoint, body: Body) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
    let mut request = Request::post(to.target())
        .header(HOST, to.authority())
        .header(CONTENT_TYPE, body.media)
        .header(USER_AGENT, concat!("millrace/", env!("CARGO_PKG_VERSION")))
        .header(CONNECTION, "close");
    if let Some((name, value)) = body.header {
        request = request.header(name, value);
    }
    request.body(Full::new(Bytes::from(body.bytes)))
}

/// Request and answer, while the connection is driven beside them.
async fn exchange(wire: Box<dyn Wire>, request: Request<Full<Bytes>>) -> Result<Answer, hyper::Error> {
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(ANSWER_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .handshake(TokioIo::new(wire))
        .await?;
    let talk = pin!(async move {
        let answer = sender.send_request(request).await?;
        Ok(read(answer).await)
    });
    match select(talk, pin!(connection)).await {
        Either::Left((answer, _)) => answer,
        // The connection's own error is that of the request too.
        Either::Right((_, talk)) => talk.await,
    }
}

/// The status decides; of the body, what comes soon and fits is kept.
async fn read(answer: Response<Incoming>) -> Answer {
    let status = answer.status().as_u16();
    let retry_after = retry_after(answer.headers());
    let mut incoming = answer.into_body();
    let mut body = Vec::new();
    let filling = async {
        while let Some(Ok(frame)) = incoming.frame().await {
            let Some(data) = frame.data_ref() else { continue };
            let room = ANSWER_BYTES_MAX - body.len();
            body.extend_from_slice(&data[..data.len().min(room)]);
            if data.len() >= room {
                break;
            }
        }
    };
    // Late or broken, the rest is missing and the status stands.
    let _ = tokio::time::timeout(BODY_TIMEOUT, filling).await;
    Answer { status, retry_after, body }
}

/// `Retry-After`: seconds, or a date that is compared with the answer's own (RFC 9110, 10.2.3).
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let asked = text(RETRY_AFTER)?.trim();
    if let Ok(seconds) = asked.parse::<u32>() {
        return Some(Duration::from_secs(seconds.into()));
    }
    let until = rfc2822::parse(asked).ok()?.timestamp();
    let now = rfc2822::parse(text(DATE)?.trim()).ok()?.timestamp();
    Duration::try_from(until.duration_since(now)).ok()
}

/// hyper's kinds of failure in words. Its messages may quote what came.
fn what_broke(error: &hyper::Error) -> &'static str {
    if error.is_parse() {
        "its answer is not HTTP/1.1, or has a head of more than 64 KiB"
    } else if error.is_timeout() {
        "it took too long"
    } else {
        "the connection was closed"
    }
}

impl Answer {
    pub(crate) fn status(&self) -> u16 {
        self.status
    }

    /// The first 64 KiB of the body, as far as they came within a second.
    pub(crate) fn body(&self) -> &[u8] {
        &self.body
    }

    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// What a status means that says the message was not taken over. `said` is what the far side says of it, cleaned.
    pub(crate) fn failure(&self, channel: &str, said: Option<&str>) -> SendError {
        let mut what = format!("HTTP status {}", self.status);
        if let Some(said) = said {
            what = format!("{what}, `{said}`");
        }
        match self.status {
            408 | 425 | 429 | 500.. => SendError::retry(channel, self.retry_after, what, "nothing, unless it stays"),
            401 | 403 => SendError::auth(channel, what, "renew the channel's key, here and there"),
            404 | 410 => {
                SendError::misconfigured(channel, what, "nobody receives at this address any more: set the current one")
            }
            300..=399 => SendError::misconfigured(
                channel,
                what,
                "redirects are not followed: set the address that it redirects to",
            ),
            _ => SendError::refused(channel, what, "see the receiver's log for what it did not take"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(retry_after_is: &str, date: Option<&str>) -> Option<u64> {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, retry_after_is.parse().unwrap());
        if let Some(date) = date {
            headers.insert(DATE, date.parse().unwrap());
        }
        retry_after(&headers).map(|after| after.as_secs())
    }

    #[test]
    fn retry_after_is_read_in_both_its_forms() {
        assert_eq!(asked("30", None), Some(30));
        assert_eq!(asked("Sat, 21 Nov 2026 10:00:30 GMT", Some("Sat, 21 Nov 2026 10:00:00 GMT")), Some(30));
        assert_eq!(asked("Sat, 21 Nov 2026 10:00:00 GMT", Some("Sat, 21 Nov 2026 10:00:30 GMT")), None);
        assert_eq!(asked("Sat, 21 Nov 2026 10:00:30 GMT", None), None);
        assert_eq!(asked("soon", None), None);
        assert_eq!(asked("-5", None), None);
    }
}
