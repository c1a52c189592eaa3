//! Where all channels lead: people who note what they hear, and by which address.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use alert_fanout::channel::{Receipt, SendError};
use alert_fanout::dispatch::Dispatch;
use alert_fanout::message::Message;
use anomaly_core::incident::ChannelSettings;
use platform::ports::LoadEntry as _;
use platform::sim::{Fault, SimWorld};

use crate::gate::Gate;

/// A message that was heard.
#[derive(Debug, Clone, PartialEq)]
pub struct Heard {
    /// From which region.
    pub region: usize,
    /// Whether that region had the say, as far as it could know.
    pub has_say: bool,
    /// The tenant in whose name it was sent.
    pub tenant: String,
    /// Over which channel.
    pub channel: String,
    /// Where that leads.
    pub address: String,
    /// By which a far side knows it again.
    pub key: String,
    /// What was said.
    pub message: Message,
}

#[derive(Debug, Default)]
struct Inside {
    heard: Vec<Heard>,
    is_down: bool,
}

/// The far side of every channel. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Desk(Arc<Mutex<Inside>>);

impl Desk {
    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nobody answers, or somebody does again.
    pub fn set_down(&self, is_down: bool) {
        self.inside().is_down = is_down;
    }

    /// How much was heard.
    #[must_use]
    pub fn count(&self) -> usize {
        self.inside().heard.len()
    }

    /// Everything that was heard.
    #[must_use]
    pub fn heard(&self) -> Vec<Heard> {
        self.inside().heard.clone()
    }
}

/// The way out of one process.
pub struct Sender {
    desk: Desk,
    gate: Gate,
    store: SimWorld,
    process: u32,
    region: (usize, &'static str),
    had_say: Arc<AtomicBool>,
}

impl Sender {
    /// The way out of a process of a region. `had_say` is set by whoever starts its invocations.
    #[must_use]
    pub fn new(
        (desk, gate, store): (&Desk, &Gate, &SimWorld),
        process: u32,
        region: (usize, &'static str),
        had_say: &Arc<AtomicBool>,
    ) -> Self {
        let (desk, gate, store) = (desk.clone(), gate.clone(), store.clone());
        Self { desk, gate, store, process, region, had_say: Arc::clone(had_say) }
    }
}

/// The region that has the say, as a store knows it; `None` where there is only one.
pub async fn who_tells(store: &SimWorld) -> Option<String> {
    let active = store.load_entry(&alert_fanout::place::active()).await.ok().flatten()?;
    active.body.get("region").and_then(|region| region.as_str()).map(str::to_owned)
}

impl Dispatch for Sender {
    async fn dispatch(
        &self,
        tenant: &str,
        channel: &str,
        settings: &ChannelSettings,
        message: &Message,
    ) -> Result<Receipt, SendError> {
        let target = format!("{} {} of {tenant} to {channel}", message.state(), message.notice);
        let (fault, ticket) = self.gate.ask(self.process, "send", &target).await;
        let is_down = self.desk.inside().is_down;
        let is_heard = !is_down && !matches!(fault, Some(Fault::Throttle | Fault::Unavailable));
        if is_heard {
            let has_say = self.had_say.load(Ordering::Relaxed)
                || who_tells(&self.store).await.is_none_or(|region| region == self.region.1);
            let address = match settings {
                ChannelSettings::Webhook { url, .. } => url.clone(),
                other => other.kind().to_owned(),
            };
            let heard = Heard {
                region: self.region.0,
                has_say,
                tenant: tenant.to_owned(),
                channel: channel.to_owned(),
                address,
                key: message.idempotency_key(channel),
                message: message.clone(),
            };
            self.desk.inside().heard.push(heard);
        }
        ticket.hear().await;
        if is_down || fault.is_some() { Err(SendError::unanswered(channel)) } else { Ok(Receipt::default()) }
    }
}
