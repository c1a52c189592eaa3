//! Two Regions: a pair of emulators, each of which plays one, and can be lost in the middle of whatever it does.
//!
//! A Region that is killed is gone with all that was not carried over; started again it is empty. One that is frozen answers
//! nobody, and goes on later where it was, with all that it believed. [`crate::Link`] carries over what AWS would.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::emulator::{Emulator, Wanted, free_addresses};
use crate::functions;
use crate::world::World;

/// One of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// Where everything runs until something happens.
    Primary,
    /// Where it is to go on.
    Other,
}

impl Side {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::Primary, Self::Other];

    /// Its Region.
    #[must_use]
    pub const fn region(self) -> &'static str {
        match self {
            Self::Primary => "us-east-1",
            Self::Other => "eu-west-1",
        }
    }

    /// The other one.
    #[must_use]
    pub const fn across(self) -> Self {
        match self {
            Self::Primary => Self::Other,
            Self::Other => Self::Primary,
        }
    }

    const fn place(self) -> usize {
        match self {
            Self::Primary => 0,
            Self::Other => 1,
        }
    }
}

/// How the pair is played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Playing {
    /// Whether policies are enforced; functions then have their roles' credentials.
    pub policies: bool,
    /// Whether each Region has a broker of MQTT over mutual TLS.
    pub brokers: bool,
}

/// Whether a Region answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// It does.
    Up,
    /// It does not, and has all that it had.
    Frozen,
    /// It is gone.
    Gone,
}

/// What is known of a Region while it is used by several.
#[derive(Default)]
pub(crate) struct Pulse(AtomicU8);

impl Pulse {
    pub(crate) fn state(&self) -> State {
        match self.0.load(Ordering::SeqCst) {
            0 => State::Up,
            1 => State::Frozen,
            _ => State::Gone,
        }
    }

    fn set(&self, state: State) {
        let number = match state {
            State::Up => 0,
            State::Frozen => 1,
            State::Gone => 2,
        };
        self.0.store(number, Ordering::SeqCst);
    }
}

struct Region {
    emulator: Mutex<Option<Emulator>>,
    wanted: Wanted,
    pulse: Arc<Pulse>,
    world: World,
}

/// Two Regions.
pub struct Pair {
    regions: [Region; 2],
}

/// The account where policies are enforced. Elsewhere it is the one of callers that name none.
const ACCOUNT: &str = "100000000002";

impl Pair {
    /// Starts both; `None`, with a notice, where the run has no emulator. `name` is of the folder of their logs in the record.
    ///
    /// # Errors
    /// An emulator cannot be started or does not answer.
    #[expect(clippy::print_stderr, reason = "a skipped test must say so")]
    pub async fn start(name: &str, playing: Playing) -> Result<Option<Self>> {
        if World::python().is_none() || World::record().is_none() {
            eprintln!("SKIPPED: MILLRACE_TEST_PYTHON and MILLRACE_TEST_RECORD are not set; run `cargo xtask e2e`");
            return Ok(None);
        }
        let [here, there, own_broker, other_broker] = free_addresses()?;
        let Some(primary) = region(name, playing, Side::Primary, here, own_broker, there) else { return Ok(None) };
        let Some(other) = region(name, playing, Side::Other, there, other_broker, here) else { return Ok(None) };
        let pair = Self { regions: [primary, other] };
        tokio::try_join!(pair.start_again(Side::Primary), pair.start_again(Side::Other))?;
        Ok(Some(pair))
    }

    /// Starts a Region that is not there, empty, at its former address.
    ///
    /// # Errors
    /// It is there, or cannot be started.
    pub async fn start_again(&self, side: Side) -> Result<()> {
        let region = self.region(side);
        if region.emulator.lock().unwrap_or_else(PoisonError::into_inner).is_some() {
            bail!("{} is there", side.region());
        }
        let emulator = Emulator::start(region.wanted.clone()).await?;
        *region.emulator.lock().unwrap_or_else(PoisonError::into_inner) = Some(emulator);
        region.pulse.set(State::Up);
        Ok(())
    }

    /// The Region as a world of its own: clients, and the environment of commands, which know where the other Region is.
    #[must_use]
    pub fn world(&self, side: Side) -> &World {
        &self.region(side).world
    }

    /// Ends a Region and its functions at once, with what they have in hand. What was not carried over is lost.
    ///
    /// # Errors
    /// It is not there, or cannot be ended.
    pub fn kill(&self, side: Side) -> Result<()> {
        let region = self.region(side);
        let mut emulator = region.emulator.lock().unwrap_or_else(PoisonError::into_inner);
        // First: nothing is carried out of it from now on.
        region.pulse.set(State::Gone);
        emulator.take().with_context(|| format!("{} is not there", side.region()))?.kill()
    }

    /// Stops a Region and its functions where they are. Who calls it waits in vain.
    ///
    /// # Errors
    /// It is not there, or cannot be stopped.
    pub fn freeze(&self, side: Side) -> Result<()> {
        self.region(side).pulse.set(State::Frozen);
        self.signal(side, Signal::STOP, functions::stop_all)
    }

    /// Lets a frozen Region go on: it knows nothing of what happened since.
    ///
    /// # Errors
    /// It is not there, or cannot be continued.
    pub fn thaw(&self, side: Side) -> Result<()> {
        self.signal(side, Signal::CONT, functions::continue_all)?;
        self.region(side).pulse.set(State::Up);
        Ok(())
    }

    fn signal(&self, side: Side, signal: Signal, of_functions: fn(&str) -> Result<usize>) -> Result<()> {
        let emulator = self.region(side).emulator.lock().unwrap_or_else(PoisonError::into_inner);
        let emulator = emulator.as_ref().with_context(|| format!("{} is not there", side.region()))?;
        let pid = i32::try_from(emulator.pid()).ok().and_then(Pid::from_raw).context("no process")?;
        // The functions last when stopped: none is begun by an emulator that is.
        kill_process(pid, signal).context("cannot signal the emulator")?;
        of_functions(&emulator.mark_of_functions()).map(drop)
    }

    pub(crate) fn pulse(&self, side: Side) -> Arc<Pulse> {
        Arc::clone(&self.region(side).pulse)
    }

    fn region(&self, side: Side) -> &Region {
        &self.regions[side.place()]
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        for side in Side::BOTH {
            // One that is frozen could not end in an orderly way. Nobody is left to be told that it cannot be continued.
            if self.region(side).pulse.state() == State::Frozen {
                let _thawed = self.thaw(side);
            }
        }
    }
}

fn region(
    name: &str,
    playing: Playing,
    side: Side,
    gateway: SocketAddr,
    broker: SocketAddr,
    peer: SocketAddr,
) -> Option<Region> {
    let broker = playing.brokers.then_some(broker);
    let wanted = Wanted {
        name: format!("{name}-{}", side.region()),
        gateway,
        functions_call: gateway,
        broker,
        is_enforcing: playing.policies,
        region: side.region().to_owned(),
        peer: Some((side.across().region().to_owned(), peer)),
    };
    let account = playing.policies.then_some(ACCOUNT);
    let broker = broker.map(|address| address.to_string());
    let mut world = World::of_region(&format!("http://{gateway}"), side.region(), broker, account)?;
    world.peer_endpoint = Some(format!("http://{peer}"));
    let pulse = Arc::new(Pulse::default());
    pulse.set(State::Gone);
    Some(Region { emulator: Mutex::new(None), wanted, pulse, world })
}
