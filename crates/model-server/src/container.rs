//! The folders of SageMaker's containers below `/opt/ml`, and a training among them.
//!
//! | path | is |
//! |---|---|
//! | `input/config/hyperparameters.json` | texts by name |
//! | `input/config/inputdataconfig.json` | channels by name, and how they come |
//! | `input/data/{channel}/` | the files of a channel |
//! | `model/` | the artifact: written by a training, read by a server |
//! | `output/failure` | why a training failed; SageMaker shows the first 1,024 characters |
//!
//! (SageMaker Developer Guide, "How Amazon SageMaker AI Provides Training Information" and "How Amazon SageMaker AI Processes
//! Training Output".) The channels are `train`, `validation` if wanted, and `profile` with the tenant's `profile.toml` if there is
//! one: a hyperparameter is too short for it.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use telemetry::profile::PROFILE_BYTES_MAX;

use crate::artifact::{ARTIFACT_BYTES_MAX, Artifact, ArtifactError, FILE_NAME};
use crate::card::Card;
use crate::data::{DataError, files_of};
use crate::hyperparameters::{HyperparameterErrors, Hyperparameters};
use crate::training::{Plan, TrainError, train};

/// Where SageMaker puts everything.
pub const ROOT_DEFAULT: &str = "/opt/ml";
/// Most characters of a failure: SageMaker shows no more.
const FAILURE_CHARS_MAX: usize = 1_024;
/// Longest file of configuration, in bytes: 100 hyperparameters of 2,500 characters have less.
const CONFIG_BYTES_MAX: u64 = 1 << 20;
/// The channels.
const CHANNELS: [&str; 3] = ["train", "validation", "profile"];

/// Why a training failed, or a model cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ContainerError {
    /// A file cannot be read or written.
    #[error("`{}`: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file of configuration is not JSON of its form.
    #[error("`{}` is not as SageMaker writes it: {source}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// The hyperparameters have mistakes.
    #[error(transparent)]
    Hyperparameters(#[from] HyperparameterErrors),
    /// The channels have mistakes.
    #[error("channels: {}", .0.join("; "))]
    Channels(Vec<String>),
    /// A channel cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// There is no model.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// The model cannot be packed, or is none.
    #[error("`{}`: {source}", path.display())]
    Artifact {
        /// The file.
        path: PathBuf,
        /// Why.
        source: ArtifactError,
    },
}

/// A channel, as far as it matters here.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Channel {
    training_input_mode: Option<String>,
    record_wrapper_type: Option<String>,
}

/// The folder with everything.
#[derive(Debug, Clone)]
pub struct Container {
    root: PathBuf,
}

impl Container {
    /// Usually below [`ROOT_DEFAULT`].
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Trains and writes the artifact; where it fails, writes why.
    ///
    /// # Errors
    /// [`ContainerError`]. No artifact is written then: half a model must not be taken for one.
    pub fn train(&self, stop: &AtomicBool) -> Result<Card, ContainerError> {
        let trained = self.plan().and_then(|plan| Ok(train(&plan, stop)?)).and_then(|artifact| {
            self.write(&artifact)?;
            Ok(artifact.card)
        });
        if let Err(error) = &trained {
            self.tell_failure(error);
        }
        trained
    }

    /// Reads the model.
    ///
    /// # Errors
    /// There is none, or it is not of this release.
    pub fn load(&self) -> Result<Artifact, ContainerError> {
        load(&self.model_path())
    }

    fn model_path(&self) -> PathBuf {
        self.root.join("model").join(FILE_NAME)
    }

    fn plan(&self) -> Result<Plan, ContainerError> {
        let config = self.root.join("input/config");
        let texts: BTreeMap<String, String> = read_json(&config.join("hyperparameters.json"))?;
        let hyperparameters = Hyperparameters::new(&texts)?;
        let channels: BTreeMap<String, Channel> = read_json(&config.join("inputdataconfig.json"))?;
        check(&channels)?;
        let files = |channel: &str| {
            if channels.contains_key(channel) {
                files_of(&self.root.join("input/data").join(channel))
            } else {
                Ok(Vec::new())
            }
        };
        let profile = match &files("profile")?[..] {
            [] => None,
            [file] => Some(read_bounded(file, PROFILE_BYTES_MAX as u64)?),
            files => {
                return Err(ContainerError::Channels(vec![format!("`profile` has {} files, not one", files.len())]));
            }
        };
        Ok(Plan { hyperparameters, texts, train: files("train")?, validation: files("validation")?, profile })
    }

    fn write(&self, artifact: &Artifact) -> Result<(), ContainerError> {
        let path = self.model_path();
        let bytes = artifact.to_bytes().map_err(|source| ContainerError::Artifact { path: path.clone(), source })?;
        write_whole(&path, &bytes).map_err(|source| ContainerError::Io { path, source })
    }

    fn tell_failure(&self, error: &ContainerError) {
        let text: String = error.to_string().chars().take(FAILURE_CHARS_MAX).collect();
        let path = self.root.join("output/failure");
        let written = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&path, text));
        if let Err(error) = written {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, path = %path.display(), "why the training failed cannot be written");
        }
    }
}

/// Reads a model.
///
/// # Errors
/// It cannot be read, or is not of this release.
pub fn load(path: &Path) -> Result<Artifact, ContainerError> {
    let bytes = read_bytes(path, ARTIFACT_BYTES_MAX as u64)?;
    Artifact::from_bytes(&bytes).map_err(|source| ContainerError::Artifact { path: path.to_owned(), source })
}

/// Writes a file under another name first, so that a killed process leaves none that is cut off.
///
/// # Errors
/// Those of the file system.
pub fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder)?;
    }
    let mut incoming = path.as_os_str().to_owned();
    incoming.push(".incoming");
    let mut file = fs::File::create(&incoming)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&incoming, path)
}

fn check(channels: &BTreeMap<String, Channel>) -> Result<(), ContainerError> {
    let mut mistakes = Vec::new();
    if !channels.contains_key("train") {
        mistakes.push("there is no `train`".to_owned());
    }
    for (name, channel) in channels {
        if !CHANNELS.contains(&name.as_str()) {
            mistakes.push(format!("`{}` is not known; there are {}", name.escape_debug(), CHANNELS.join(", ")));
        }
        let mode = channel.training_input_mode.as_deref().unwrap_or("File");
        if !matches!(mode, "File" | "FastFile") {
            mistakes.push(format!("`{name}` comes as `{mode}`: set its TrainingInputMode to File or FastFile"));
        }
        let wrapper = channel.record_wrapper_type.as_deref().unwrap_or("None");
        if wrapper != "None" {
            mistakes.push(format!("`{name}` is wrapped as `{wrapper}`: set its RecordWrapperType to None"));
        }
    }
    if mistakes.is_empty() { Ok(()) } else { Err(ContainerError::Channels(mistakes)) }
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, ContainerError> {
    let text = read_bounded(path, CONFIG_BYTES_MAX)?;
    serde_json::from_str(&text).map_err(|source| ContainerError::Config { path: path.to_owned(), source })
}

fn read_bounded(path: &Path, bytes_max: u64) -> Result<String, ContainerError> {
    String::from_utf8(read_bytes(path, bytes_max)?).map_err(|error| ContainerError::Io {
        path: path.to_owned(),
        source: io::Error::new(ErrorKind::InvalidData, error),
    })
}

fn read_bytes(path: &Path, bytes_max: u64) -> Result<Vec<u8>, ContainerError> {
    let failed = |source| ContainerError::Io { path: path.to_owned(), source };
    let bytes = fs::metadata(path).map_err(failed)?.len();
    if bytes > bytes_max {
        return Err(failed(io::Error::new(
            ErrorKind::FileTooLarge,
            format!("{bytes} bytes, the limit is {bytes_max}"),
        )));
    }
    fs::read(path).map_err(failed)
}
