//! An environment in both Regions of a pair, deployed by the command as a person would, with what is carried between them.

use std::path::Path;
use std::process::Output;
use std::sync::atomic::{AtomicU8, Ordering};

use anyhow::{Context, Result, ensure};

use crate::link::Link;
use crate::pair::{Pair, Playing, Side};
use crate::world::World;

/// Parameters that an emulator needs.
const SETTINGS: [&str; 6] =
    ["-p", "pipeline:S3PathStyle=true", "-p", "alerts:S3PathStyle=true", "-p", "dr:S3PathStyle=true"];

/// An environment in two Regions.
pub struct Twins {
    /// The Regions. After the link, which must not outlive them.
    link: Link,
    pair: Pair,
    environment: String,
}

impl Twins {
    /// Two Regions without anything in them; `None`, with a notice, where the run has not built what a person at a desk has.
    ///
    /// # Errors
    /// An emulator cannot be started.
    #[expect(clippy::print_stderr, reason = "a skipped test must say so")]
    pub async fn empty(name: &str, playing: Playing) -> Result<Option<Self>> {
        static MADE: AtomicU8 = AtomicU8::new(0);
        let Some(pair) = Pair::start(name, playing).await? else { return Ok(None) };
        if pair.world(Side::Primary).cli.is_none() {
            eprintln!("SKIPPED: MILLRACE_TEST_CLI is not set; run `cargo xtask e2e`");
            return Ok(None);
        }
        let link = Link::begin(&pair)?;
        let letter = char::from(b'p' + MADE.fetch_add(1, Ordering::Relaxed) % 8);
        let environment = format!("{letter}{}", std::process::id() % 1_000_000);
        Ok(Some(Self { link, pair, environment }))
    }

    /// The same with the environment, and one tenant, in both.
    ///
    /// # Errors
    /// As [`Self::empty`], or it cannot be deployed.
    pub async fn deploy(name: &str, playing: Playing, tenant: &str, more: &[&str]) -> Result<Option<Self>> {
        let Some(twins) = Self::empty(name, playing).await? else { return Ok(None) };
        let arguments = [&["--both", "--tenant", tenant], more].concat();
        twins.deploy_with(Side::Primary, &arguments)?;
        Ok(Some(twins))
    }

    /// `millrace deploy` in a Region, with the other as its peer. What it says.
    ///
    /// # Errors
    /// It fails.
    pub fn deploy_with(&self, side: Side, arguments: &[&str]) -> Result<String> {
        let world = self.world(side);
        let zips = world.zip.parent().and_then(Path::parent).context("a zip lies in its function's folder")?;
        let zips = zips.display().to_string();
        let mut all = [&["--peer", side.across().region(), "--code", &zips], &SETTINGS[..], arguments].concat();
        // The emulator does not know beforehand that a lake that begins to be copied stays the same.
        if !arguments.contains(&"--dry-run") {
            all.push("--yes");
        }
        let done = self.millrace(side, &["deploy"], &all)?;
        let words = String::from_utf8_lossy(&done.stderr).into_owned();
        ensure!(done.status.success(), "`millrace deploy {}`: {words}", arguments.join(" "));
        Ok(words)
    }

    /// A command at the desk of a Region: its verb, `--environment`, and what else is said.
    ///
    /// # Errors
    /// It cannot be run.
    pub fn millrace(&self, side: Side, verb: &[&str], arguments: &[&str]) -> Result<Output> {
        let world = self.world(side);
        let program = world.cli.as_ref().context("MILLRACE_TEST_CLI is not set; run `cargo xtask e2e`")?;
        let mut command = world.command(program);
        command.args(verb).args(["--environment", &self.environment]).args(arguments);
        command.output().context("the command does not run")
    }

    /// A Region.
    #[must_use]
    pub fn world(&self, side: Side) -> &World {
        self.pair.world(side)
    }

    /// Both Regions.
    #[must_use]
    pub fn pair(&self) -> &Pair {
        &self.pair
    }

    /// What is carried between them.
    #[must_use]
    pub fn link(&self) -> &Link {
        &self.link
    }

    /// The environment's name.
    #[must_use]
    pub fn environment(&self) -> &str {
        &self.environment
    }

    /// The name of something of the environment.
    #[must_use]
    pub fn named(&self, what: &str) -> String {
        format!("millrace-{}-{what}", self.environment)
    }

    /// The lake of a Region.
    #[must_use]
    pub fn lake(&self, side: Side) -> String {
        format!("millrace-{}-{}-{}", self.environment, self.world(side).account, side.region())
    }
}
