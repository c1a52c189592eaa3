//! A message as machines read it. The format is versioned: a field may be added, none changes its meaning under a number.

use serde::Serialize;

use super::{METRICS_TOLD_MAX, Message, News, clean};

/// Version of [`MessageJson`].
const VERSION: u32 = 1;

/// The fields of a message, cleaned and bounded like its text; what does not apply is left out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MessageJson {
    version: u32,
    tenant: String,
    state: &'static str,
    severity: &'static str,
    incident: String,
    notice: u32,
    dedup_key: String,
    opened: String,
    at: String,
    headline: String,
    summary: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    score: Option<f64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    metrics: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detector: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    explanation: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<DigestJson>,
    command: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct DigestJson {
    count: u64,
    critical: u64,
    warning: u64,
    info: u64,
    devices: Vec<String>,
}

impl Message {
    /// The message as JSON.
    #[must_use]
    pub fn json(&self) -> MessageJson {
        let finding = self.finding();
        let digest = match &self.news {
            News::Digest(digest) => Some(DigestJson {
                count: digest.count,
                critical: digest.critical,
                warning: digest.warning,
                info: digest.info,
                devices: digest.shown_devices(),
            }),
            News::Incident(..) | News::Test => None,
        };
        MessageJson {
            version: VERSION,
            tenant: self.shown_tenant(),
            state: self.state(),
            severity: self.severity.as_str(),
            incident: clean(&self.incident, 128),
            notice: self.notice,
            dedup_key: self.dedup_key(),
            opened: self.opened.to_string(),
            at: self.at.to_string(),
            headline: format!("{} {}", self.label(), self.headline()),
            summary: self.shown_summary(),
            device: finding.map(super::Finding::shown_device),
            score: finding.map(|finding| finding.score).filter(|score| score.is_finite()),
            metrics: finding
                .map(|finding| finding.metrics.iter().take(METRICS_TOLD_MAX).map(|metric| clean(metric, 128)).collect())
                .unwrap_or_default(),
            detector: finding.map(|finding| clean(&finding.detector, 128)),
            explanation: self.reasons(),
            digest,
            command: self.command(),
            link: self.shown_link(),
        }
    }
}
