//! People's side: takes messages, drops what it has already, and fails when it is told to.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use alert_fanout::channel::{Receipt, SendError};
use alert_fanout::dispatch::Dispatch;
use alert_fanout::message::Message;
use anomaly_core::incident::ChannelSettings;

/// A message as it came in: over which channel, and its key on it.
#[derive(Debug, Clone)]
pub(crate) struct Got {
    pub(crate) channel: String,
    pub(crate) key: String,
    pub(crate) message: Message,
}

/// What happens to the next messages, the last first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    /// Taken, and said so.
    Takes,
    /// Taken, but the answer is lost.
    TakesSilently,
    /// Not taken: try again.
    Busy,
}

#[derive(Debug, Default)]
struct Inside {
    got: Vec<Got>,
    moods: Vec<Mood>,
}

/// Where all channels lead. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Receiver(Arc<Mutex<Inside>>);

impl Receiver {
    /// What happens to the next messages; after that all are taken.
    pub(crate) fn be(&self, mut moods: Vec<Mood>) {
        moods.reverse();
        self.0.lock().unwrap().moods = moods;
    }

    /// Everything that came in, in order, repetitions too.
    pub(crate) fn got(&self) -> Vec<Got> {
        self.0.lock().unwrap().got.clone()
    }

    /// What somebody sees whose side drops what it has already, in order.
    pub(crate) fn seen(&self) -> Vec<Got> {
        let mut keys = std::collections::BTreeSet::new();
        self.got().into_iter().filter(|got| keys.insert(got.key.clone())).collect()
    }

    /// The states that were told of each incident over one channel, in order, each once.
    pub(crate) fn courses(&self, channel: &str) -> BTreeMap<String, Vec<&'static str>> {
        let mut courses: BTreeMap<String, Vec<&'static str>> = BTreeMap::new();
        for got in self.seen().into_iter().filter(|got| got.channel == channel) {
            courses.entry(got.message.incident.clone()).or_default().push(got.message.state());
        }
        courses
    }
}

impl Dispatch for Receiver {
    async fn dispatch(
        &self,
        _: &str,
        channel: &str,
        _: &ChannelSettings,
        message: &Message,
    ) -> Result<Receipt, SendError> {
        // As a network does: whoever sends is not alone until the answer is there.
        tokio::task::yield_now().await;
        let mut inside = self.0.lock().unwrap();
        let mood = inside.moods.pop().unwrap_or(Mood::Takes);
        if mood != Mood::Busy {
            let key = message.idempotency_key(channel);
            inside.got.push(Got { channel: channel.to_owned(), key, message: message.clone() });
        }
        match mood {
            Mood::Takes => Ok(Receipt::default()),
            Mood::TakesSilently | Mood::Busy => Err(SendError::unanswered(channel)),
        }
    }
}
