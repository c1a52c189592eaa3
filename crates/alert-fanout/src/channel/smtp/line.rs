//! The line to a relay: bounded in what is read from it, and encrypted after `STARTTLS` (RFC 3207).
//!
//! The words before encryption are spoken here, not by the client that mails: what comes with the answer to `STARTTLS` but
//! before encryption is an injection, and the only safe thing to do with it is to hang up.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use lettre::transport::smtp::client::AsyncTokioStream;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;

use crate::network::Wire;

/// What is read of all answers of a relay.
const READ_BYTES_MAX: usize = 64 * 1024;

/// Bound of one answer before encryption.
const REPLY_BYTES_MAX: usize = 8 * 1024;

/// A connection that gives first what was read of it already, and no more than its bound.
#[derive(Debug)]
pub(super) struct Line {
    wire: Box<dyn Wire>,
    unread: Vec<u8>,
    room: usize,
}

impl Line {
    /// `unread` is the greeting, which a relay does not repeat after `STARTTLS`.
    pub(super) fn new(wire: Box<dyn Wire>, unread: Vec<u8>) -> Self {
        Self { wire, unread, room: READ_BYTES_MAX }
    }
}

impl AsyncRead for Line {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.unread.is_empty() {
            let count = self.unread.len().min(buf.remaining());
            buf.put_slice(&self.unread[..count]);
            self.unread.drain(..count);
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.wire).poll_read(cx, buf))?;
        let read = buf.filled().len() - before;
        match self.room.checked_sub(read) {
            Some(room) => self.room = room,
            None => return Poll::Ready(Err(io::Error::other("more than 64 KiB of answers"))),
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Line {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.wire).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_shutdown(cx)
    }
}

impl AsyncTokioStream for Line {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Err(io::Error::from(io::ErrorKind::Unsupported))
    }
}

/// A relay with which no encryption was agreed.
#[derive(Debug, thiserror::Error)]
pub(super) enum LineError {
    #[error("the line broke: {}", .0.kind())]
    Broken(#[from] io::Error),
    #[error("it does not offer STARTTLS, and nothing is sent without encryption")]
    NotOffered,
    #[error("it offers STARTTLS and does not do it now")]
    Unwilling,
    #[error("it spoke out of turn before encryption began")]
    OutOfTurn,
}

/// Asks for encryption. Returns the stream, ready for the handshake, and the greeting.
pub(super) async fn start_tls(mut stream: TcpStream, hello: &str) -> Result<(TcpStream, Vec<u8>), LineError> {
    let greeting = reply(&mut stream).await?;
    if !greeting.starts_with(b"220") {
        return Err(LineError::Unwilling);
    }
    stream.write_all(format!("EHLO {hello}\r\n").as_bytes()).await?;
    let offers = reply(&mut stream).await?;
    if !lines(&offers).any(|line| line.get(4..).is_some_and(|word| word.eq_ignore_ascii_case(b"STARTTLS"))) {
        return Err(LineError::NotOffered);
    }
    stream.write_all(b"STARTTLS\r\n").await?;
    if !reply(&mut stream).await?.starts_with(b"220") {
        return Err(LineError::Unwilling);
    }
    Ok((stream, greeting))
}

/// One answer of one or more lines: the last has a space after its code (RFC 5321, 4.2.1). Nothing may come with it.
async fn reply(stream: &mut TcpStream) -> Result<Vec<u8>, LineError> {
    let mut answer = Vec::new();
    loop {
        if stream.read_buf(&mut answer).await? == 0 {
            return Err(LineError::Broken(io::ErrorKind::UnexpectedEof.into()));
        }
        if answer.len() > REPLY_BYTES_MAX {
            return Err(LineError::OutOfTurn);
        }
        let last = lines(&answer).position(|line| line.get(3) != Some(&b'-'));
        match last {
            Some(last) if last + 1 < lines(&answer).count() || !answer.ends_with(b"\r\n") => {
                return Err(LineError::OutOfTurn);
            }
            Some(_) => return Ok(answer),
            None => {}
        }
    }
}

/// The whole lines, without their ends.
fn lines(answer: &[u8]) -> impl Iterator<Item = &[u8]> {
    let whole = answer.windows(2).rposition(|pair| pair == b"\r\n").map_or(0, |end| end + 2);
    answer[..whole]
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
}
