//! The AWS emulator of the test run: started on a free loopback port, waited for, and stopped whatever happens.
//!
//! It gets an environment of its own making. The functions it runs inherit that environment, so nothing of the
//! caller's (credentials, a region, `MILLRACE_*` settings) can reach them. What it lacks of AWS is taught to it before it
//! starts: see `crates/xtask/taught`.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::process::step;
use crate::repository::Repository;
use crate::venv::Venv;

const START_MAX: Duration = Duration::from_mins(1);
const STOP_MAX: Duration = Duration::from_secs(10);
const POLL_EVERY: Duration = Duration::from_millis(50);
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// How much of the log a failure quotes.
const LOG_TAIL_LINES: usize = 20;

/// Whether an emulator asks what a caller may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Policies {
    /// Everybody may do everything, and there is no MQTT.
    Ignored,
    /// Policies of IAM and `IoT` are evaluated, functions run with their role's credentials, and devices connect by MQTT over
    /// mutual TLS.
    Enforced,
}

impl Policies {
    /// Of its files under `target`.
    fn name(self) -> &'static str {
        match self {
            Self::Ignored => "ministack",
            Self::Enforced => "ministack-enforced",
        }
    }
}

/// A running emulator. Dropping it stops the process and the functions it runs.
pub(crate) struct Emulator {
    process: Child,
    policies: Policies,
    address: SocketAddr,
    broker: SocketAddr,
    log: PathBuf,
}

impl Emulator {
    /// Starts the emulator and returns when it answers.
    ///
    /// # Errors
    /// It cannot be started, ends early, or does not answer within a minute; the message quotes the end of its log.
    pub(crate) fn start(repository: &Repository, venv: &Venv, policies: Policies) -> Result<Self> {
        step(&format!("start the emulator ({})", policies.name()), || {
            let log = repository.target(&format!("{}.log", policies.name()));
            // Function code and other scratch files of the emulator; emptied at each start, so it cannot grow.
            let scratch = repository.target(policies.name());
            if scratch.exists() {
                fs::remove_dir_all(&scratch).with_context(|| format!("cannot empty {}", scratch.display()))?;
            }
            fs::create_dir_all(&scratch).with_context(|| format!("cannot make {}", scratch.display()))?;
            let output = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;

            let [address, broker] = free_loopback_addresses()?;
            let is_enforcing = policies == Policies::Enforced;
            let process = Command::new(venv.tool("python"))
                .arg(repository.path("crates/xtask/emulator.py"))
                .current_dir(&scratch)
                .env_clear()
                .env("PATH", venv.path_variable()?)
                .env("HOME", &scratch)
                .env("TMPDIR", &scratch)
                .env("PYTHONUNBUFFERED", "1")
                .env("BIND_HOST", address.ip().to_string())
                .env("GATEWAY_PORT", address.port().to_string())
                // What the functions it starts are told to call.
                .env("AWS_ENDPOINT_URL", format!("http://{address}"))
                .env("AWS_EC2_METADATA_DISABLED", "true")
                .env("AUTH", is_enforcing.to_string())
                // Its broker would take a fixed port; two checkouts could not be tested at once.
                .env("IOT_MTLS_ENABLED", is_enforcing.to_string())
                .env("IOT_MTLS_PORT", broker.port().to_string())
                .env("SFTP_ENABLED", "0")
                .stdin(Stdio::piped())
                .stdout(output.try_clone()?)
                .stderr(output)
                .spawn()
                .context("cannot start the emulator")?;
            let mut emulator = Self { process, policies, address, broker, log };
            emulator.wait_until_it_answers()?;
            eprintln!("    {} (log: {})", emulator.endpoint(), emulator.log.display());
            Ok(emulator)
        })
    }

    /// The address that SDK clients are given.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// `HOST:PORT` of its MQTT broker, which is there where policies are enforced.
    pub(crate) fn broker(&self) -> Option<String> {
        (self.policies == Policies::Enforced).then(|| self.broker.to_string())
    }

    fn wait_until_it_answers(&mut self) -> Result<()> {
        let deadline = Deadline::after(START_MAX);
        loop {
            if let Some(status) = self.process.try_wait()? {
                bail!("the emulator ended at once with {status}; {}", self.log_tail());
            }
            if self.is_healthy() {
                return Ok(());
            }
            if deadline.is_over() {
                bail!("the emulator did not answer within {} s; {}", START_MAX.as_secs(), self.log_tail());
            }
            thread::sleep(POLL_EVERY);
        }
    }

    /// Whether it answers, and its broker listens if there is to be one.
    fn is_healthy(&self) -> bool {
        let ask = || -> std::io::Result<String> {
            let mut connection = TcpStream::connect_timeout(&self.address, ANSWER_MAX)?;
            connection.set_read_timeout(Some(ANSWER_MAX))?;
            write!(
                connection,
                "GET /_ministack/health HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
                self.address
            )?;
            let mut answer = String::new();
            connection.read_to_string(&mut answer)?;
            Ok(answer)
        };
        ask().is_ok_and(|answer| {
            answer.starts_with("HTTP/1.1 200")
                && (self.policies == Policies::Ignored || answer.contains("\"iot_mtls\": \"listening\""))
        })
    }

    fn log_tail(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let tail = lines[lines.len().saturating_sub(LOG_TAIL_LINES)..].join("\n");
        format!("the end of {}:\n{tail}", self.log.display())
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        // Closing its input asks it to stop in an orderly way, in which it also ends the functions it runs.
        drop(self.process.stdin.take());
        let deadline = Deadline::after(STOP_MAX);
        while !deadline.is_over() {
            match self.process.try_wait() {
                Ok(None) => thread::sleep(POLL_EVERY),
                Ok(Some(_)) => return,
                Err(_) => break,
            }
        }
        eprintln!("    the emulator (process {}) did not stop when asked and is killed", self.process.id());
        if let Err(error) = self.process.kill().and_then(|()| self.process.wait()) {
            eprintln!("    killing the emulator (process {}) failed: {error}", self.process.id());
        }
    }
}

/// Addresses nobody listens on now. Another program may take one before the emulator does, which then ends at once or says
/// that its broker does not listen.
fn free_loopback_addresses<const N: usize>() -> Result<[SocketAddr; N]> {
    let mut addresses = [SocketAddr::from((Ipv4Addr::LOCALHOST, 0)); N];
    // Held until all are found, so that no two are the same.
    let mut held = Vec::with_capacity(N);
    for address in &mut addresses {
        let listener = TcpListener::bind(*address).context("no free port on the loopback interface")?;
        *address = listener.local_addr()?;
        held.push(listener);
    }
    Ok(addresses)
}

struct Deadline(Instant);

impl Deadline {
    #[expect(clippy::disallowed_methods, reason = "a bound on waiting for another process")]
    fn after(bound: Duration) -> Self {
        Self(Instant::now() + bound)
    }

    #[expect(clippy::disallowed_methods, reason = "a bound on waiting for another process")]
    fn is_over(&self) -> bool {
        Instant::now() >= self.0
    }
}
