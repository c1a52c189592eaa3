//! What takes the events, as options.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use event_source::source::Source;
use event_source::target::{Bootstrap, BootstrapSettings, InvokeUrl, Logs, Target};

use super::in_process::InProcess;
use crate::ui::{Ui, Usage};

/// The target.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Target")]
pub(crate) struct TargetOptions {
    /// Invoke a function at an address: `cargo lambda watch`, or an emulator
    #[arg(long, value_name = "URL")]
    invoke_url: Option<String>,
    /// Start a function here: its bootstrap, or the zip that is deployed
    #[arg(long, value_name = "PATH")]
    bootstrap: Option<PathBuf>,
    /// Run Millrace's scorer in this process, over the folder --dir
    #[arg(long)]
    in_process: bool,
    /// A variable for the bootstrap, beside those that Lambda sets: NAME=VALUE, or NAME to hand on yours; it sees no others
    #[arg(long, value_name = "NAME=VALUE", requires = "bootstrap", value_parser = variable)]
    env: Vec<Variable>,
    /// Most processes of the bootstrap at once: its reserved concurrency
    #[arg(long, value_name = "N", default_value = "10", requires = "bootstrap",
        value_parser = clap::value_parser!(u32).range(1..=1000))]
    concurrency: u32,
    /// Name of the function [default: that of the file]
    #[arg(long, value_name = "NAME", requires = "bootstrap")]
    function_name: Option<String>,
    /// Append what the bootstrap prints to this file [default: standard error, or nowhere with --quiet]
    #[arg(long, value_name = "FILE", requires = "bootstrap")]
    logs: Option<PathBuf>,
    /// The folder of --in-process
    #[arg(long, value_name = "DIR", default_value = "millrace-data")]
    dir: PathBuf,
}

/// A variable, and its value where one is given.
#[derive(Debug, Clone)]
struct Variable {
    name: String,
    value: Option<String>,
}

fn variable(text: &str) -> Result<Variable, String> {
    let (name, value) = text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value.to_owned())));
    if name.is_empty() {
        return Err("expected NAME=VALUE or NAME".to_owned());
    }
    Ok(Variable { name: name.to_owned(), value })
}

/// What kind of target was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TargetKind {
    InvokeUrl,
    Bootstrap,
    InProcess,
    /// A dry run.
    Nothing,
}

/// A target that is open.
pub(super) enum Opened {
    Url(Arc<InvokeUrl>),
    Bootstrap(Arc<Bootstrap>),
    InProcess(InProcess),
}

impl TargetOptions {
    pub(super) fn kind(&self) -> TargetKind {
        match (&self.invoke_url, &self.bootstrap, self.in_process) {
            (Some(_), ..) => TargetKind::InvokeUrl,
            (_, Some(_), _) => TargetKind::Bootstrap,
            (.., true) => TargetKind::InProcess,
            _ => TargetKind::Nothing,
        }
    }

    /// Opens it for the records of `source`.
    pub(super) async fn open(&self, source: &Source, ui: &Ui) -> anyhow::Result<Opened> {
        if let Some(url) = &self.invoke_url {
            let url = InvokeUrl::parse(url).map_err(|error| Usage(format!("--invoke-url: {error}")))?;
            return Ok(Opened::Url(Arc::new(url)));
        }
        if let Some(path) = &self.bootstrap {
            let settings = BootstrapSettings {
                function: self.function_name.clone(),
                variables: self.variables()?,
                concurrency: self.concurrency,
                logs: match &self.logs {
                    Some(file) => Logs::File(file.clone()),
                    None if ui.is_quiet() => Logs::Nowhere,
                    None => Logs::Stderr,
                },
            };
            return Ok(Opened::Bootstrap(Arc::new(Bootstrap::new(path, settings)?)));
        }
        Ok(Opened::InProcess(InProcess::open(&self.dir, source, ui).await?))
    }

    fn variables(&self) -> anyhow::Result<Vec<(OsString, OsString)>> {
        let read = |variable: &Variable| {
            let given = variable.value.clone().map(OsString::from);
            // Asked for by name on the command line: this is the rim.
            let value = given.or_else(|| std::env::var_os(&variable.name)).ok_or_else(|| {
                Usage(format!("--env {0}: there is no variable of that name to hand on; give {0}=VALUE", variable.name))
            })?;
            Ok((variable.name.clone().into(), value))
        };
        self.env.iter().map(read).collect()
    }
}

impl Opened {
    pub(super) fn target(&self) -> Target {
        match self {
            Self::Url(url) => Target::Url(Arc::clone(url)),
            Self::Bootstrap(bootstrap) => Target::Bootstrap(Arc::clone(bootstrap)),
            Self::InProcess(scorer) => Target::Handler(scorer.handler()),
        }
    }

    pub(super) fn function_arn(&self) -> String {
        match self {
            Self::Url(_) => "arn:aws:lambda:local:000000000000:function:invoke-url".to_owned(),
            Self::Bootstrap(bootstrap) => bootstrap.function_arn().to_owned(),
            Self::InProcess(_) => "arn:aws:lambda:local:000000000000:function:kinesis-scorer".to_owned(),
        }
    }

    /// Writes what is only in memory yet.
    pub(super) async fn close(&self) {
        if let Self::InProcess(scorer) = self {
            scorer.close().await;
        }
    }
}
