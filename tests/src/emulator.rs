//! An emulator of a test's own, started and ended by the test.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::functions;
use crate::wait::until;
use crate::world::World;

const STARTED_WITHIN: Duration = Duration::from_mins(1);

/// What an emulator is to be.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    /// Of its folder in the run's record, with its log.
    pub name: String,
    /// Where it listens.
    pub gateway: SocketAddr,
    /// Where its functions call: the gateway, or a proxy before it.
    pub functions_call: SocketAddr,
    /// Of its broker of MQTT over mutual TLS, if it is to have one.
    pub broker: Option<SocketAddr>,
    /// Whether policies are enforced.
    pub is_enforcing: bool,
    /// The Region that it plays where a caller names none.
    pub region: String,
    /// The Region that another emulator plays, to which this one is to copy, and where that one listens.
    pub peer: Option<(String, SocketAddr)>,
}

/// A running one. Dropped, it ends, and with it the functions it runs.
pub(crate) struct Emulator {
    wanted: Wanted,
    process: Child,
}

impl Emulator {
    /// Starts one and waits until it answers.
    ///
    /// # Errors
    /// It cannot be started, ends at once, or does not answer; the message says where its log is.
    pub(crate) async fn start(wanted: Wanted) -> Result<Self> {
        let python = World::python().context("MILLRACE_TEST_PYTHON is not set; run `cargo xtask e2e`")?;
        let record = World::record().context("MILLRACE_TEST_RECORD is not set; run `cargo xtask e2e`")?;
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let scratch = record.join(&wanted.name);
        std::fs::create_dir_all(&scratch).with_context(|| format!("cannot make {}", scratch.display()))?;
        let log_path = scratch.join("ministack.log");
        let log = std::fs::File::create(&log_path).context("cannot write the emulator's log")?;
        // An environment of its own making: the functions inherit it.
        let mut command = Command::new(python);
        command
            .arg(root.join("crates/xtask/emulator.py").canonicalize().context("where is emulator.py?")?)
            .current_dir(&scratch)
            .env_clear()
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", &scratch)
            .env("TMPDIR", &scratch)
            .env("BIND_HOST", wanted.gateway.ip().to_string())
            .env("GATEWAY_PORT", wanted.gateway.port().to_string())
            .env("AWS_ENDPOINT_URL", format!("http://{}", wanted.functions_call))
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AUTH", wanted.is_enforcing.to_string())
            .env("MINISTACK_REGION", &wanted.region)
            .env("IOT_MTLS_ENABLED", wanted.broker.is_some().to_string())
            .env("SFTP_ENABLED", "0");
        if let Some(broker) = wanted.broker {
            command.env("IOT_MTLS_PORT", broker.port().to_string());
        }
        if let Some((peer, gateway)) = &wanted.peer {
            command.env("PEER_REGIONS", peer).env("PEER_GATEWAY", gateway.to_string());
        }
        let process = command
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("cannot start the emulator")?;
        let mut emulator = Self { wanted, process };
        let health = format!("{}/_ministack/health", emulator.endpoint());
        let has_broker = emulator.wanted.broker.is_some();
        until("the emulator answers", STARTED_WITHIN, || {
            let ended = emulator.process.try_wait();
            let answer = ureq::get(&health).call().ok().and_then(|mut answer| answer.body_mut().read_to_string().ok());
            let answers = answer.is_some_and(|said| !has_broker || said.contains("\"iot_mtls\": \"listening\""));
            let log_path = &log_path;
            async move {
                let ended = ended?;
                ensure!(ended.is_none(), "the emulator ended at once; {} says why", log_path.display());
                Ok(answers.then_some(()))
            }
        })
        .await?;
        Ok(emulator)
    }

    /// `http://127.0.0.1:PORT`.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.wanted.gateway)
    }

    /// The process.
    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// What the functions that it runs have among their variables, and no other's.
    pub(crate) fn mark_of_functions(&self) -> String {
        format!("AWS_ENDPOINT_URL=http://{}", self.wanted.functions_call)
    }

    /// Ends it and its functions at once, whatever they are doing.
    ///
    /// # Errors
    /// It cannot be ended, or the process table cannot be listed.
    pub(crate) fn kill(&mut self) -> Result<()> {
        self.process.kill().context("cannot end the emulator")?;
        self.process.wait().context("the emulator does not end")?;
        functions::kill_all(&self.mark_of_functions())?;
        Ok(())
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        // Closing its input asks the emulator to end, and with it the functions it runs.
        drop(self.process.stdin.take());
        let _status = self.process.wait();
    }
}

/// Addresses nobody listens on now, all different. Another program may take one before the emulator does, which then ends at once.
pub(crate) fn free_addresses<const N: usize>() -> Result<[SocketAddr; N]> {
    let mut addresses = [SocketAddr::from((Ipv4Addr::LOCALHOST, 0)); N];
    let mut held = Vec::with_capacity(N);
    for address in &mut addresses {
        let listener = TcpListener::bind(*address).context("no free port")?;
        *address = listener.local_addr()?;
        held.push(listener);
    }
    Ok(addresses)
}
