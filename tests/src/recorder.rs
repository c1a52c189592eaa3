//! What the functions really call: a proxy that their clients are pointed at, in front of an emulator of its own that
//! enforces policies.
//!
//! A proxy and not an interceptor in the SDK's clients: it sees the zip that is deployed, unchanged, with everything that
//! goes over the wire, retries and answers included; a client that somebody adds and forgets to register is seen all the same. The
//! emulator gives each function the credentials of its role, by which a call is known as one of that function.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};

use crate::emulator::{Emulator, Wanted, free_addresses};
use crate::world::{REGION, World};

/// One call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The function that made it.
    pub function: String,
    /// As its signature names it, such as `dynamodb`.
    pub service: String,
    /// Where it went, as its signature says.
    pub region: String,
    /// `X-Amz-Target`, where the service speaks in that way.
    pub target: Option<String>,
    /// `GET`, `PUT`, …
    pub method: String,
    /// Path and query.
    pub path: String,
    /// The body.
    pub body: Vec<u8>,
    /// What the answer's status was.
    pub status: u16,
}

/// An emulator that enforces policies, and whose functions are listened to.
pub struct Recorder {
    /// `http://127.0.0.1:PORT` of the emulator, past the proxy.
    pub endpoint: String,
    _emulator: Emulator,
    heard: Arc<Heard>,
}

#[derive(Default)]
struct Heard {
    calls: Mutex<Vec<Call>>,
    /// Functions by the key of their role's session.
    functions: Mutex<BTreeMap<String, String>>,
}

impl Recorder {
    /// Starts both, with a folder of that name in the run's record; `None`, with a notice, where the run has not said with which interpreter.
    ///
    /// # Errors
    /// The emulator cannot be started or does not answer.
    #[expect(clippy::print_stderr, reason = "a skipped test must say so")]
    pub async fn start(name: &str) -> Result<Option<Self>> {
        if World::python().is_none() || World::record().is_none() {
            eprintln!("SKIPPED: MILLRACE_TEST_PYTHON and MILLRACE_TEST_RECORD are not set; run `cargo xtask e2e`");
            return Ok(None);
        }
        let proxy = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
        let [gateway] = free_addresses()?;
        let emulator = Emulator::start(Wanted {
            name: name.to_owned(),
            gateway,
            functions_call: proxy.local_addr()?,
            broker: None,
            is_enforcing: true,
            region: REGION.to_owned(),
            peer: None,
        })
        .await?;
        let heard = Arc::new(Heard::default());
        let listening = Arc::clone(&heard);
        std::thread::spawn(move || listen(&proxy, gateway, &listening));
        let recorder = Self { endpoint: emulator.endpoint(), _emulator: emulator, heard };
        Ok(Some(recorder))
    }

    /// The world of this emulator: `like`, an account where policies are enforced, with clients of the other emulator. They
    /// go past the proxy.
    #[must_use]
    pub fn world(&self, like: &World) -> World {
        like.at(&self.endpoint)
    }

    /// What was called so far.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.heard.calls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn listen(proxy: &TcpListener, emulator: SocketAddr, heard: &Arc<Heard>) {
    for client in proxy.incoming() {
        let Ok(client) = client else { return };
        let heard = Arc::clone(heard);
        // A connection that ends in the middle of a request or an answer is the end of it, here as there.
        std::thread::spawn(move || drop(serve(client, emulator, &heard)));
    }
}

/// Carries requests over and answers back, one after the other, for as long as the client stays.
fn serve(client: TcpStream, emulator: SocketAddr, heard: &Heard) -> Result<()> {
    let upstream = TcpStream::connect(emulator).context("the emulator does not listen")?;
    let (mut to_client, mut to_emulator) = (client.try_clone()?, upstream.try_clone()?);
    let (mut from_client, mut from_emulator) = (BufReader::new(client), BufReader::new(upstream));
    while let Some(request) = message(&mut from_client, &mut to_client, false)? {
        to_emulator.write_all(&request.bytes)?;
        let is_head = request.head.starts_with("HEAD ");
        let answer = loop {
            let answer = message(&mut from_emulator, &mut std::io::sink(), is_head)?.context("no answer")?;
            if !answer.head.starts_with("HTTP/1.1 1") {
                break answer;
            }
        };
        // First noted, then answered: what a function has done is here when its invocation ends.
        note(&request, &answer, heard);
        to_client.write_all(&answer.bytes)?;
    }
    Ok(())
}

/// A request or an answer.
struct Message {
    head: String,
    body_at: usize,
    bytes: Vec<u8>,
}

impl Message {
    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// Reads one; `None` where the other side has gone.
fn message(from: &mut impl BufRead, back: &mut impl Write, has_no_body: bool) -> Result<Option<Message>> {
    let mut bytes = Vec::new();
    loop {
        let begun = bytes.len();
        if from.read_until(b'\n', &mut bytes)? == 0 {
            return Ok(None);
        }
        if bytes[begun..] == *b"\r\n" {
            break;
        }
    }
    let head = String::from_utf8_lossy(&bytes).into_owned();
    let mut message = Message { head, body_at: bytes.len(), bytes };
    if message.header("expect").is_some() {
        back.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    let length = message.header("content-length").and_then(|length| length.parse::<u64>().ok());
    let is_chunked = message.header("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"));
    if has_no_body {
    } else if is_chunked {
        loop {
            let begun = message.bytes.len();
            from.read_until(b'\n', &mut message.bytes)?;
            let size = String::from_utf8_lossy(&message.bytes[begun..]).trim().to_owned();
            let size =
                u64::from_str_radix(size.split(';').next().unwrap_or_default(), 16).context("no chunk's size")?;
            from.take(size + 2).read_to_end(&mut message.bytes)?;
            if size == 0 {
                break;
            }
        }
    } else if let Some(length) = length {
        from.take(length).read_to_end(&mut message.bytes)?;
    }
    Ok(Some(message))
}

fn note(request: &Message, answer: &Message, heard: &Heard) {
    // `AWS4-HMAC-SHA256 Credential=KEY/DATE/REGION/SERVICE/aws4_request, …`
    let credential = request.header("authorization").and_then(|text| text.split("Credential=").nth(1));
    let mut parts = credential.unwrap_or_default().split('/');
    let key = parts.next().unwrap_or_default().to_owned();
    let region = parts.nth(1).unwrap_or_default().to_owned();
    let service = parts.next().unwrap_or_default().to_owned();
    let mut functions = heard.functions.lock().unwrap_or_else(PoisonError::into_inner);
    let function =
        functions.entry(key).or_insert_with_key(|key| who_has(&format!("AWS_ACCESS_KEY_ID={key}")).unwrap_or_default());
    let mut words = request.head.split_whitespace();
    let call = Call {
        function: function.clone(),
        service,
        region,
        target: request.header("x-amz-target").map(str::to_owned),
        method: words.next().unwrap_or_default().to_owned(),
        path: words.next().unwrap_or_default().to_owned(),
        body: request.bytes[request.body_at..].to_vec(),
        status: answer.head.split_whitespace().nth(1).and_then(|status| status.parse().ok()).unwrap_or_default(),
    };
    heard.calls.lock().unwrap_or_else(PoisonError::into_inner).push(call);
}

/// The function among whose variables is this one: the emulator runs each as a process of this machine.
fn who_has(variable: &str) -> Option<String> {
    std::fs::read_dir("/proc").ok()?.flatten().find_map(|process| {
        let environment = std::fs::read(process.path().join("environ")).ok()?;
        let mut variables = environment.split(|byte| *byte == 0);
        variables.clone().find(|one| *one == variable.as_bytes())?;
        let name = variables.find_map(|one| one.strip_prefix(b"AWS_LAMBDA_FUNCTION_NAME="))?;
        Some(String::from_utf8_lossy(name).into_owned())
    })
}
