//! The AWS emulator of the test run: started on a free loopback port, waited for, and stopped whatever happens.
//!
//! It gets an environment of its own making. The functions it runs inherit that environment, so nothing of the
//! caller's (credentials, a region, `MILLRACE_*` settings) can reach them.

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

/// A running emulator. Dropping it stops the process and the functions it runs.
pub(crate) struct Emulator {
    process: Child,
    address: SocketAddr,
    log: PathBuf,
}

impl Emulator {
    /// Starts the emulator and returns when it answers.
    ///
    /// # Errors
    /// It cannot be started, ends early, or does not answer within a minute; the message quotes the end of its log.
    pub(crate) fn start(repository: &Repository, venv: &Venv) -> Result<Self> {
        step("start the emulator", || {
            let log = repository.target("ministack.log");
            // Function code and other scratch files of the emulator; emptied at each start, so it cannot grow.
            let scratch = repository.target("ministack");
            if scratch.exists() {
                fs::remove_dir_all(&scratch).with_context(|| format!("cannot empty {}", scratch.display()))?;
            }
            fs::create_dir_all(&scratch).with_context(|| format!("cannot make {}", scratch.display()))?;
            let output = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;

            let address = free_loopback_address()?;
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
                // Its broker would take a fixed port; two checkouts could not be tested at once.
                .env("IOT_MTLS_ENABLED", "0")
                .env("SFTP_ENABLED", "0")
                .stdin(Stdio::piped())
                .stdout(output.try_clone()?)
                .stderr(output)
                .spawn()
                .context("cannot start the emulator")?;
            let mut emulator = Self { process, address, log };
            emulator.wait_until_it_answers()?;
            eprintln!("    {} (log: {})", emulator.endpoint(), emulator.log.display());
            Ok(emulator)
        })
    }

    /// The address that SDK clients are given.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
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

    fn is_healthy(&self) -> bool {
        let ask = || -> std::io::Result<Vec<u8>> {
            let mut connection = TcpStream::connect_timeout(&self.address, ANSWER_MAX)?;
            connection.set_read_timeout(Some(ANSWER_MAX))?;
            write!(
                connection,
                "GET /_ministack/health HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
                self.address
            )?;
            let mut status_line = vec![0; "HTTP/1.1 200".len()];
            connection.read_exact(&mut status_line)?;
            Ok(status_line)
        };
        ask().is_ok_and(|status_line| status_line.ends_with(b" 200"))
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

/// An address nobody listens on now. Another program may take it before the emulator does, which then ends at once.
fn free_loopback_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port on the loopback interface")?;
    Ok(listener.local_addr()?)
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
