//! One execution environment: a child process and the Runtime API it talks to.
//!
//! Its life is that of the AWS Lambda Developer Guide, "Understanding the Lambda execution environment lifecycle": init of at
//! most 10 s, one event at a time, SIGTERM at the end only where an extension has registered, then SIGKILL. It is not frozen
//! between events.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use bytes::Bytes;
use platform::clock::{self, Stopwatch};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::sync::oneshot;

use super::api::{Api, Event, Work};
use super::{Answer, Call, Done, error_text};

/// How long a process may take before it asks for its first event.
pub(super) const INIT_MAX: Duration = Duration::from_secs(10);
/// How long a process with an internal extension has after SIGTERM.
const SHUTDOWN_MAX: Duration = Duration::from_millis(500);

/// How a process is started.
#[derive(Debug)]
pub(super) struct Recipe {
    pub(super) program: PathBuf,
    pub(super) folder: PathBuf,
    pub(super) function: String,
    pub(super) variables: Vec<(OsString, OsString)>,
    pub(super) log: LogFile,
}

/// Where a process writes what it prints.
#[derive(Debug)]
pub(super) enum LogFile {
    Stderr,
    Nowhere,
    File(std::fs::File),
}

impl LogFile {
    fn stdio(&self) -> io::Result<Stdio> {
        Ok(match self {
            Self::Stderr => io::stderr().into(),
            Self::Nowhere => Stdio::null(),
            Self::File(file) => file.try_clone()?.into(),
        })
    }
}

#[derive(Debug)]
pub(super) struct Environment {
    child: Child,
    api: Api,
    /// It has asked for an event and waits.
    waiting: Option<oneshot::Sender<Work>>,
    since_start: Stopwatch,
    /// Whether it has ever asked for an event.
    is_warm: bool,
}

/// Why an environment is not ready for an event.
#[derive(Debug)]
pub(super) struct NotReady(pub(super) String);

impl Environment {
    /// Starts a process.
    ///
    /// # Errors
    /// When there is no port, or the program cannot be executed.
    pub(super) async fn start(recipe: &Recipe) -> io::Result<Self> {
        let api = Api::listen(&recipe.function).await?;
        let mut command = Command::new(&recipe.program);
        command
            .current_dir(&recipe.folder)
            .env_clear()
            .envs(of_the_environment(&recipe.function, &recipe.folder))
            .env("AWS_LAMBDA_RUNTIME_API", api.address.to_string())
            .envs(recipe.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(recipe.log.stdio()?)
            .stderr(recipe.log.stdio()?)
            // Ctrl-C is for us; the process gets its own word.
            .process_group(0)
            .kill_on_drop(true);
        let since_start = Stopwatch::start();
        let child = command.spawn()?;
        Ok(Self { child, api, waiting: None, since_start, is_warm: false })
    }

    /// Whether it has served or could have served before.
    pub(super) fn is_warm(&self) -> bool {
        self.is_warm
    }

    /// Waits until it asks for an event. `Some`: it was its first time, so long after the start.
    pub(super) async fn ready(&mut self) -> Result<Option<Duration>, NotReady> {
        if self.waiting.is_none() {
            self.waiting = Some(self.next().await?);
        }
        let first = !std::mem::replace(&mut self.is_warm, true);
        Ok(first.then(|| self.since_start.elapsed()))
    }

    async fn next(&mut self) -> Result<oneshot::Sender<Work>, NotReady> {
        let limit = tokio::time::sleep(INIT_MAX);
        let mut limit = std::pin::pin!(limit);
        loop {
            tokio::select! {
                // What it said before it ended comes first.
                biased;
                event = self.api.events.recv() => match event {
                    Some(Event::Next(waiting)) => return Ok(waiting),
                    Some(Event::InitFailed(body)) => {
                        return Err(NotReady(format!("it cannot start: {}", error_text(&body))));
                    }
                    // Of an invocation that is settled.
                    Some(Event::Answered(_) | Event::Failed(_)) => {}
                    None => return Err(NotReady("its Runtime API has stopped".to_owned())),
                },
                status = self.child.wait() => return Err(NotReady(format!("it ended with {}", ending(&status)))),
                () = &mut limit => {
                    let seconds = INIT_MAX.as_secs();
                    return Err(NotReady(format!(
                        "it did not ask for an event within {seconds} s; a bootstrap speaks the Lambda Runtime API"
                    )));
                }
            }
        }
    }

    /// Gives it an event and waits for what comes of it. Ready is taken for granted. The second value: whether it can take
    /// another.
    pub(super) async fn invoke(&mut self, call: Call, function_arn: &str) -> (Done, bool) {
        let watch = Stopwatch::start();
        let timeout = i64::try_from(call.timeout.as_millis()).unwrap_or(i64::MAX);
        let work = Work {
            request_id: call.request_id,
            event: Bytes::from(call.event),
            deadline_ms: clock::now().millis().saturating_add(timeout),
            function_arn: function_arn.to_owned(),
        };
        self.api.begin(&work);
        let handed_over = self.waiting.take().is_some_and(|waiting| waiting.send(work).is_ok());
        let (answer, usable) = if handed_over {
            self.answer(call.timeout).await
        } else {
            (Answer::NotInvoked("the process has gone".to_owned()), false)
        };
        let duration = watch.elapsed();
        let memory_bytes_max = self.child.id().and_then(memory_bytes_max);
        (Done { answer, duration, init: None, memory_bytes_max }, usable)
    }

    async fn answer(&mut self, timeout: Duration) -> (Answer, bool) {
        let limit = tokio::time::sleep(timeout);
        let mut limit = std::pin::pin!(limit);
        loop {
            tokio::select! {
                biased;
                event = self.api.events.recv() => match event {
                    Some(Event::Answered(body)) => return (Answer::Answered(body), true),
                    Some(Event::Failed(body)) => return (Answer::FunctionError(error_text(&body)), true),
                    Some(Event::InitFailed(body)) => return (Answer::Crashed(error_text(&body)), false),
                    // Another poll of the same process; it waits for the event after this one.
                    Some(Event::Next(waiting)) => self.waiting = Some(waiting),
                    None => return (Answer::Crashed("its Runtime API has stopped".to_owned()), false),
                },
                status = self.child.wait() => {
                    return (Answer::Crashed(format!("Runtime.ExitError: it ended with {}", ending(&status))), false);
                }
                () = &mut limit => return (Answer::TimedOut, false),
            }
        }
    }

    /// Ends the process at once.
    pub(super) async fn kill(mut self) {
        // It may have ended by itself.
        let _killed = self.child.kill().await;
    }

    /// Asks the process to end if it has registered an extension, waits a little, and ends it.
    pub(super) async fn shut_down(mut self) {
        if self.api.has_extensions() {
            let limit = i64::try_from(SHUTDOWN_MAX.as_millis()).unwrap_or_default();
            self.api.announce_shutdown("SPINDOWN", clock::now().millis() + limit);
            let pid = self.child.id().and_then(|pid| Pid::from_raw(pid.cast_signed()));
            // It may have ended by itself.
            let _asked = pid.map(|pid| kill_process(pid, Signal::TERM));
            let _ended = tokio::time::timeout(SHUTDOWN_MAX, self.child.wait()).await;
        }
        self.kill().await;
    }
}

fn ending(status: &io::Result<ExitStatus>) -> String {
    match status {
        Ok(status) => status.to_string(),
        Err(error) => error.to_string(),
    }
}

/// What every function finds in its environment (AWS Lambda Developer Guide, "Working with Lambda environment variables").
/// Nothing of ours leaks into it.
fn of_the_environment(function: &str, folder: &Path) -> Vec<(OsString, OsString)> {
    let mut variables: Vec<(OsString, OsString)> = [
        ("AWS_LAMBDA_FUNCTION_NAME", function),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512"),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
        ("AWS_LAMBDA_LOG_STREAM_NAME", "local"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
        ("_HANDLER", "bootstrap"),
        ("LANG", "en_US.UTF-8"),
        ("TZ", ":UTC"),
        ("PATH", "/usr/local/bin:/usr/bin:/bin"),
    ]
    .map(|(name, value)| (name.into(), value.into()))
    .into();
    variables.push(("AWS_LAMBDA_LOG_GROUP_NAME".into(), format!("/aws/lambda/{function}").into()));
    variables.push(("LAMBDA_TASK_ROOT".into(), folder.into()));
    variables
}

/// The most memory that a process has had: `VmHWM` of `proc_pid_status(5)`, in KiB there.
fn memory_bytes_max(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}
