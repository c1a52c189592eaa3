//! A person's desk: a folder, the command, and what is copied between the folder and the bucket.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use aws_sdk_s3::primitives::ByteStream;
use tempfile::TempDir;

use crate::stack::Stack;
use crate::world::World;

/// A folder in which the command is typed. It goes with the desk.
pub struct Desk {
    world: World,
    cli: PathBuf,
    folder: TempDir,
}

impl Desk {
    /// An empty one, or `None`, with a notice, where the run has built no command that knows the lake.
    ///
    /// # Errors
    /// There is no room for a folder, or the command cannot be started.
    #[expect(clippy::print_stderr, reason = "a skipped test must say so")]
    pub fn new(world: &World) -> Result<Option<Self>> {
        let Some(cli) = world.cli.clone() else {
            eprintln!("SKIPPED: MILLRACE_TEST_CLI is not set; run `cargo xtask e2e`");
            return Ok(None);
        };
        let desk = Self { world: world.clone(), cli, folder: tempfile::tempdir().context("no room for a folder")? };
        if desk.command(&["lake", "--help"]).output()?.status.success() {
            return Ok(Some(desk));
        }
        eprintln!("SKIPPED: MILLRACE_TEST_CLI is built without the feature `lake`; run `cargo xtask e2e`");
        Ok(None)
    }

    /// Something in the folder.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The command, to be run in the folder as this world's caller.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.world.command(&self.cli);
        command.args(arguments).current_dir(self.folder.path()).stdin(Stdio::null());
        command
    }

    /// What the command printed; it is to succeed.
    ///
    /// # Errors
    /// It does not; the message has what it said.
    pub fn run(&self, arguments: &[&str]) -> Result<String> {
        let output = self.command(arguments).output().context("cannot start the command")?;
        let words = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "`millrace {}`: {words}", arguments.join(" "));
        String::from_utf8(output.stdout).context("what the command prints is text")
    }

    /// Files of the folder `from` and those below it, put into the lake under the same names below `to`, in their order.
    ///
    /// # Errors
    /// A file cannot be read, or a call fails.
    pub async fn upload(&self, from: &str, stack: &Stack, to: &str) -> Result<usize> {
        let folder = self.path(from);
        let mut files = Vec::new();
        collect(&folder, &mut files)?;
        files.sort();
        for file in &files {
            let name = file.strip_prefix(&folder)?.to_str().context("names in a lake are text")?;
            let body = ByteStream::from_path(file).await.with_context(|| format!("cannot read {}", file.display()))?;
            let put = stack.world().s3.put_object().bucket(stack.output("LakeBucketName"));
            let key = format!("{to}{name}");
            put.key(&key).body(body).send().await.with_context(|| format!("cannot put {key}"))?;
        }
        Ok(files.len())
    }

    /// Objects of the lake whose names begin with `from`, as files of the folder `to`.
    ///
    /// # Errors
    /// A file cannot be written, or a call fails.
    pub async fn download(&self, stack: &Stack, from: &str, to: &str) -> Result<usize> {
        let (s3, bucket) = (&stack.world().s3, stack.output("LakeBucketName"));
        let mut pages = s3.list_objects_v2().bucket(bucket).prefix(from).into_paginator().send();
        let mut count = 0;
        while let Some(page) = pages.next().await {
            for object in page.context("cannot list the lake")?.contents() {
                let key = object.key().context("an object without a key")?;
                let got = s3.get_object().bucket(bucket).key(key).send().await.with_context(|| format!("get {key}"))?;
                let bytes = got.body.collect().await.with_context(|| format!("read {key}"))?.into_bytes();
                let file = self.path(to).join(key);
                fs::create_dir_all(file.parent().context("a file lies in a folder")?)?;
                fs::write(&file, bytes).with_context(|| format!("cannot write {}", file.display()))?;
                count += 1;
            }
        }
        Ok(count)
    }
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() { collect(&path, files)? } else { files.push(path) }
    }
    Ok(())
}

/// A process that goes with the test.
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
