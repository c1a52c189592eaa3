//! From what is decided to what is told: incidents, notices and digests as messages.

use anomaly_core::incident::{Digest as Held, Incident, Notice, NoticeKind};
use anomaly_core::{Severity, Timestamp};

use crate::message::{Course, Digest, EXPLANATION_MAX, Finding, Message, News};

/// One notice of an incident.
#[must_use]
pub fn notice(incident: &Incident, notice: &Notice, link: Option<&str>) -> Message {
    let finding = Finding {
        device: incident.device.clone(),
        score: incident.peak,
        metrics: incident.metric_names().map(str::to_owned).collect(),
        detector: incident.detector.as_str().to_owned(),
        explanation: incident.sentences.iter().take(EXPLANATION_MAX).cloned().collect(),
    };
    Message {
        tenant: incident.tenant.clone(),
        incident: incident.id.to_string(),
        notice: notice.number,
        severity: notice.severity,
        opened: incident.opened,
        at: notice.at,
        summary: incident.summary.clone(),
        link: link.map(str::to_owned),
        news: News::Incident(course(notice.kind), finding),
    }
}

fn course(kind: NoticeKind) -> Course {
    match kind {
        NoticeKind::Opened => Course::Opened,
        NoticeKind::Worse => Course::Worse,
        NoticeKind::Better => Course::Better,
        NoticeKind::Flapping => Course::Flapping,
        NoticeKind::Steady => Course::Steady,
        NoticeKind::Escalated { .. } => Course::Escalated,
        NoticeKind::Acknowledged => Course::Acknowledged,
        NoticeKind::Resolved => Course::Resolved,
    }
}

/// Many openings as one.
#[must_use]
pub fn digest(held: &Held, now: Timestamp, link: Option<&str>) -> Message {
    let devices = held.sample.iter().map(|device| device.device.clone()).collect();
    let incidents = if held.count == 1 { "incident" } else { "incidents" };
    let metrics: Vec<&str> = held.metrics.keys().map(String::as_str).take(8).collect();
    let about = if metrics.is_empty() { String::new() } else { format!(", about {}", metrics.join(", ")) };
    Message {
        tenant: held.tenant.clone(),
        incident: format!("digest-{}", held.from.millis()),
        notice: 1,
        severity: worst(held),
        opened: held.from,
        at: now,
        summary: format!("{} {incidents} opened in a short time{about}", held.count),
        link: link.map(str::to_owned),
        news: News::Digest(Digest {
            count: u64::from(held.count),
            critical: u64::from(held.critical),
            warning: u64::from(held.warning),
            info: u64::from(held.info),
            devices,
        }),
    }
}

/// The most urgent of those that are held.
#[must_use]
pub fn worst(held: &Held) -> Severity {
    match (held.critical, held.warning) {
        (1.., _) => Severity::Critical,
        (0, 1..) => Severity::Warning,
        (0, 0) => Severity::Info,
    }
}
