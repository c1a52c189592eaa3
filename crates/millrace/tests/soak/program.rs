//! The program under test and the plant that it plays.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// A run that takes longer than this hangs.
pub(crate) const RUN_MAX: Duration = Duration::from_mins(2);

/// `millrace demo` with everything but the folder.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    pub(crate) path: PathBuf,
    pub(crate) devices: u32,
    pub(crate) days: u32,
    /// Words before the program, such as `prlimit --fsize=4096`.
    pub(crate) wrapper: Vec<String>,
}

/// How a run has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Program {
    pub(crate) fn new(path: impl Into<PathBuf>, devices: u32, days: u32) -> Self {
        Self { path: path.into(), devices, days, wrapper: Vec::new() }
    }

    pub(crate) fn start(&self, dir: &Path) -> Result<Running> {
        let mut words = self.wrapper.iter().map(PathBuf::from).chain([self.path.clone()]);
        let mut command = Command::new(words.next().unwrap_or_default());
        command.args(words).args(["demo", "--output", "json", "--poison-per-million", "2000", "--dir"]).arg(dir);
        command.args(["--devices", &self.devices.to_string(), "--days", &self.days.to_string()]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("`{}` cannot be started", self.path.display()))?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let (said, words) = mpsc::channel();
        thread::spawn(move || {
            let stderr = thread::spawn(move || drain(stderr));
            let stdout = drain(stdout);
            // Nobody listens any more when the process was killed.
            let _ = said.send((stdout, stderr.join().unwrap_or_default()));
        });
        Ok(Running { child, words })
    }

    /// Runs to the end, whatever that is.
    ///
    /// # Errors
    /// It cannot be started, or it hangs.
    pub(crate) fn run(&self, dir: &Path) -> Result<Ended> {
        let mut running = self.start(dir)?;
        match running.ends_within(RUN_MAX)? {
            Some(ended) => Ok(ended),
            None => bail!("a run in `{}` has not ended after {} s", dir.display(), RUN_MAX.as_secs()),
        }
    }

    /// Runs to a good end.
    ///
    /// # Errors
    /// Any other end, with its words.
    pub(crate) fn finish(&self, dir: &Path) -> Result<()> {
        let ended = self.run(dir)?;
        if !ended.status.success() {
            bail!("a run ended with {}: {}", ended.status, ended.stderr.trim());
        }
        let report: serde_json::Value = serde_json::from_str(&ended.stdout).context("the report is no JSON")?;
        let (sent, stored) = (&report[0]["messages_sent"], &report[0]["messages_stored_once"]);
        if sent != stored || sent.as_f64().is_none_or(|sent| sent < 1.0) {
            bail!("{sent} messages were sent, {stored} are stored once");
        }
        Ok(())
    }
}

fn drain(pipe: Option<impl Read>) -> String {
    let mut words = Vec::new();
    // What a killed process has not said is no failure of the test.
    let _ = pipe.map(|mut pipe| pipe.read_to_end(&mut words));
    String::from_utf8_lossy(&words).into_owned()
}

/// A process. It is killed when this goes.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) child: Child,
    words: Receiver<(String, String)>,
}

impl Running {
    /// Waits so long at most; `None` when it still runs.
    pub(crate) fn ends_within(&mut self, time: Duration) -> Result<Option<Ended>> {
        match self.words.recv_timeout(time) {
            Ok((stdout, stderr)) => Ok(Some(Ended { status: self.child.wait()?, stdout, stderr })),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => bail!("the words of a run were lost"),
        }
    }

    /// `kill -9`.
    pub(crate) fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
