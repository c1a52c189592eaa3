//! A bootstrap, as many processes of it as events are under way at once.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;

use super::environment::{Environment, LogFile, NotReady, Recipe};
use super::package::Package;
use super::{Answer, Call, Done, TargetError};

/// A process that fails so often in a row before it has ever served is broken.
const INIT_FAILURES_MAX: u32 = 3;
const BUSY_TRIES: u32 = 50;
const BUSY_PAUSE: Duration = Duration::from_millis(10);

/// Where processes write what they print.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Logs {
    /// On our standard error: standard output is for data.
    Stderr,
    /// Nowhere.
    Nowhere,
    /// At the end of a file.
    File(PathBuf),
}

/// How a bootstrap is run.
#[derive(Debug, Clone)]
pub struct BootstrapSettings {
    /// Name of the function; `None`: that of the file.
    pub function: Option<String>,
    /// Variables beside those that Lambda sets.
    pub variables: Vec<(OsString, OsString)>,
    /// Most processes at once (reserved concurrency), at least 1.
    pub concurrency: u32,
    /// What they print.
    pub logs: Logs,
}

/// A bootstrap: a binary, or the zip that is deployed.
#[derive(Debug)]
pub struct Bootstrap {
    recipe: Recipe,
    function_arn: String,
    idle: Mutex<Vec<Environment>>,
    permits: Semaphore,
    init_failures: AtomicU32,
    /// The unpacked zip lives as long as this.
    _package: Option<Package>,
}

impl Bootstrap {
    /// Takes a binary, or a zip with `bootstrap` in it, which is unpacked to a temporary folder. Nothing is started yet.
    ///
    /// # Errors
    /// [`TargetError::Bootstrap`] when it is neither, or the file for logs cannot be written.
    pub fn new(path: &Path, settings: BootstrapSettings) -> Result<Self, TargetError> {
        let refuse = |why: &dyn std::fmt::Display| TargetError::Bootstrap {
            path: path.display().to_string(),
            why: why.to_string(),
        };
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let package = Package::open(path).map_err(|error| refuse(&error))?;
        let program = match &package {
            Some(package) => package.bootstrap(),
            None => path.canonicalize().map_err(|error| refuse(&error))?,
        };
        check_executable(&program).map_err(|why| refuse(&why))?;
        let folder = program.parent().unwrap_or(Path::new("/")).to_owned();
        let log =
            match &settings.logs {
                Logs::Stderr => LogFile::Stderr,
                Logs::Nowhere => LogFile::Nowhere,
                Logs::File(file) => {
                    LogFile::File(OpenOptions::new().create(true).append(true).open(file).map_err(|error| {
                        refuse(&format!("its logs cannot be written to `{}`: {error}", file.display()))
                    })?)
                }
            };
        let function = settings.function.unwrap_or(stem);
        Ok(Self {
            function_arn: format!("arn:aws:lambda:us-east-1:000000000000:function:{function}"),
            recipe: Recipe { program, folder, function, variables: settings.variables, log },
            idle: Mutex::default(),
            permits: Semaphore::new(settings.concurrency.max(1) as usize),
            init_failures: AtomicU32::new(0),
            _package: package,
        })
    }

    /// The ARN that the function is told.
    #[must_use]
    pub fn function_arn(&self) -> &str {
        &self.function_arn
    }

    pub(super) async fn invoke(&self, call: Call) -> Done {
        let ended = |answer| Done { answer, duration: Duration::ZERO, init: None, memory_bytes_max: None };
        let Ok(_permit) = self.permits.acquire().await else {
            return ended(Answer::NotInvoked("the bootstrap is shut down".to_owned()));
        };
        let (mut environment, init) = match self.ready().await {
            Ok(ready) => ready,
            Err(answer) => return ended(answer),
        };
        let (done, usable) = environment.invoke(call, &self.function_arn).await;
        if usable {
            self.idle().push(environment);
        } else {
            environment.kill().await;
        }
        Done { init, ..done }
    }

    /// An environment that waits for an event: a warm one, or a new one.
    async fn ready(&self) -> Result<(Environment, Option<Duration>), Answer> {
        loop {
            let idle = self.idle().pop();
            let mut environment = match idle {
                Some(environment) => environment,
                None => self.start().await.map_err(|error| {
                    Answer::Broken(format!("`{}` cannot be started: {error}", self.recipe.program.display()))
                })?,
            };
            match environment.ready().await {
                Ok(init) => {
                    self.init_failures.store(0, Ordering::Relaxed);
                    return Ok((environment, init));
                }
                // It ended between two events: that fails neither, another takes its place.
                Err(_) if environment.is_warm() => environment.kill().await,
                Err(NotReady(why)) => {
                    environment.kill().await;
                    let failures = self.init_failures.fetch_add(1, Ordering::Relaxed) + 1;
                    let why = format!("`{}` does not start: {why}", self.recipe.program.display());
                    return Err(if failures >= INIT_FAILURES_MAX { Answer::Broken(why) } else { Answer::Crashed(why) });
                }
            }
        }
    }

    /// Starts a process. A file that was written just now may still be open for writing in a process that another thread
    /// is about to start: that passes.
    async fn start(&self) -> io::Result<Environment> {
        for _ in 0..BUSY_TRIES {
            match Environment::start(&self.recipe).await {
                Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy => tokio::time::sleep(BUSY_PAUSE).await,
                started => return started,
            }
        }
        Environment::start(&self.recipe).await
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Environment>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends all processes. No event is taken after this.
    pub(super) async fn shut_down(&self) {
        self.permits.close();
        let idle = std::mem::take(&mut *self.idle());
        for environment in idle {
            environment.shut_down().await;
        }
    }
}

fn check_executable(program: &Path) -> Result<(), String> {
    use std::os::unix::fs::PermissionsExt as _;
    let metadata = File::open(program).and_then(|file| file.metadata()).map_err(|error| error.to_string())?;
    if !metadata.is_file() {
        return Err("it is not a file".to_owned());
    }
    if metadata.permissions().mode() & 0o111 == 0 {
        return Err("it is not executable; `chmod +x` makes it so".to_owned());
    }
    Ok(())
}
