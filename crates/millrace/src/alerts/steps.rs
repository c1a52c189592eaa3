//! The course of one incident: each notice, and what became of it on each channel.

use alert_fanout::delivery::{Delivery, DeliveryState};
use alert_fanout::place;
use anomaly_core::Timestamp;
use anomaly_core::incident::Incident;
use anyhow::Context as _;
use platform::ports::{ListEntries, Order};
use serde::Serialize;

/// Most deliveries of one incident that are looked at.
const DELIVERIES_MAX: usize = 10_000;

/// One notice on one channel, or one that went over none.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Step {
    /// Number of the notice within the incident.
    pub(crate) notice: u32,
    /// When it was decided; `None` where that is not kept.
    pub(crate) at: Option<Timestamp>,
    /// What was told, such as `opened`; empty where that is not kept.
    pub(crate) what: String,
    /// How urgent it was then.
    pub(crate) severity: Option<&'static str>,
    /// Over which channel; `None`: over none.
    pub(crate) channel: Option<String>,
    /// Where it stands: `sent`, `under way`, `to be tried again`, `failed`, `waiting`, or `not told on its own`.
    pub(crate) state: &'static str,
    /// When the far side has taken it over, or when it was given up.
    pub(crate) done: Option<Timestamp>,
    /// How often it was tried.
    pub(crate) tries: u32,
    /// When it is tried next.
    pub(crate) next_try: Option<Timestamp>,
    /// What the far side calls it.
    pub(crate) receipt: Option<String>,
    /// Why the last try failed, or who was left out.
    pub(crate) error: Option<String>,
}

/// Where a delivery stands, in a word or some.
pub(crate) fn word(delivery: &Delivery) -> &'static str {
    match (&delivery.state, &delivery.error) {
        (DeliveryState::Sent { .. }, _) => "sent",
        (DeliveryState::Failed { .. }, _) => "failed",
        (DeliveryState::Pending, None) => "under way",
        (DeliveryState::Pending, Some(_)) => "to be tried again",
    }
}

/// The course of an incident, in the order of its notices.
///
/// # Errors
/// The store's; or something that is stored is no delivery.
pub(crate) async fn of<W: ListEntries + Sync>(world: &W, incident: &Incident) -> anyhow::Result<Vec<Step>> {
    let pk = place::of_device(&incident.tenant, &incident.device);
    let prefix = format!("{}{}#", place::DELIVERIES, incident.id);
    let entries = world.list_entries(&pk, &prefix, Order::OldestFirst, DELIVERIES_MAX).await?;
    let mut steps = Vec::new();
    for entry in entries {
        let delivery: Delivery = serde_json::from_value(entry.body).with_context(|| {
            format!("`{}` is no delivery that this millrace knows: was it stored by a newer one?", entry.key)
        })?;
        let next_try = entry.due.filter(|_| delivery.state == DeliveryState::Pending).map(|due| due.at);
        steps.push(step(delivery, next_try));
    }
    for number in 1..=incident.numbered {
        if steps.iter().any(|step| step.notice == number) {
            continue;
        }
        let waiting = incident.notices.iter().find(|notice| notice.number == number);
        steps.push(Step {
            notice: number,
            at: waiting.map(|notice| notice.at),
            what: waiting.map_or(String::new(), |notice| notice.kind.as_str().to_owned()),
            severity: waiting.map(|notice| notice.severity.as_str()),
            channel: None,
            state: if waiting.is_some() { "waiting" } else { "not told on its own" },
            done: None,
            tries: 0,
            next_try: None,
            receipt: None,
            error: None,
        });
    }
    steps.sort_by(|a, b| (a.notice, &a.channel).cmp(&(b.notice, &b.channel)));
    Ok(steps)
}

fn step(delivery: Delivery, next_try: Option<Timestamp>) -> Step {
    let state = word(&delivery);
    let what = delivery.message.state().to_owned();
    let (done, receipt) = match delivery.state {
        DeliveryState::Pending => (None, None),
        DeliveryState::Sent { at, receipt } => (Some(at), receipt),
        DeliveryState::Failed { at } => (Some(at), None),
    };
    Step {
        notice: delivery.message.notice,
        at: Some(delivery.message.at),
        what,
        severity: Some(delivery.message.severity.as_str()),
        channel: Some(delivery.channel),
        state,
        done,
        tries: delivery.tries,
        next_try,
        receipt,
        error: delivery.error,
    }
}
