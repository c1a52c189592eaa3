//! `alerts list --failed`: messages that did not arrive, and those that did so late or not at everybody.

use alert_fanout::delivery::{Delivery, DeliveryState};
use alert_fanout::place;
use anyhow::Context as _;
use platform::ports::AlertWorld;

use super::desk::Desk;
use super::find::{self, LOOKED_AT_MAX};
use super::steps::word;
use crate::output::Cell;
use crate::ui::Ui;

/// Lists them, the newest first. Those that a try has failed of have a day, no others.
pub(super) async fn list<W: AlertWorld>(desk: &Desk<W>, since: i64, limit: usize, ui: &Ui) -> anyhow::Result<()> {
    let entries = find::of_days(desk, since, place::DELIVERIES, LOOKED_AT_MAX.min(limit + 1)).await?;
    let columns = vec!["created", "device", "what", "channel", "state", "tries", "next_try", "reason", "incident"];
    let mut rows = ui.rows(columns)?;
    for entry in entries.iter().take(limit) {
        let delivery: Delivery = serde_json::from_value(entry.body.clone()).with_context(|| {
            format!("`{}` is no delivery that this millrace knows: was it stored by a newer one?", entry.key)
        })?;
        let message = &delivery.message;
        let due = entry.due.as_ref().filter(|_| delivery.state == DeliveryState::Pending);
        rows.push(&[
            Cell::shown(&delivery.created),
            Cell::perhaps(message.finding().map(|finding| &finding.device)),
            Cell::text(message.state()),
            Cell::text(&delivery.channel),
            Cell::text(word(&delivery)),
            Cell::Number(f64::from(delivery.tries)),
            due.map_or(Cell::Nothing, |due| Cell::shown(&due.at)),
            Cell::perhaps(delivery.error.as_deref()),
            Cell::text(&message.incident),
        ])?;
    }
    rows.finish()?;
    if entries.is_empty() {
        ui.note(format_args!("no message of tenant `{}` {} is in trouble", desk.tenant, desk.place));
    } else if entries.len() > limit {
        ui.note(format_args!("there are more than {limit}; ask for them with --limit"));
    }
    Ok(())
}
