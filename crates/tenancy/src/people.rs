//! What is asked of the tenant's topic: who is told.

use std::future::Future;

use account::Trouble;

/// Somebody who is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// Such as `email`.
    pub protocol: String,
    /// Such as an address.
    pub endpoint: String,
    /// Whether it was agreed to; until then nothing is sent.
    pub is_confirmed: bool,
}

/// A topic's subscriptions.
pub trait People {
    /// Those of a topic.
    fn subscriptions(&self, topic: &str) -> impl Future<Output = Result<Vec<Subscription>, Trouble>>;
    /// Subscribes an address. The service sends it a mail with a link that confirms.
    fn subscribe(&self, topic: &str, email: &str) -> impl Future<Output = Result<(), Trouble>>;
}
