//! A message as people read it: a subject, a line, a body. Every part is cleaned here, whatever it came from.

use std::fmt::Write as _;

use anomaly_core::{Severity, Timestamp};
use url::Url;

use super::{Course, Digest, EXPLANATION_MAX, Finding, METRICS_TOLD_MAX, Message, News, SAMPLE_MAX, ascii, clean};

/// Bound of a subject: SNS takes no longer one (API reference, Publish).
pub const SUBJECT_CHARS_MAX: usize = 100;

/// Bound of a text message: one SMS, whichever alphabet carries it as 7 bits a character, less what SNS may put before it.
pub const SMS_CHARS_MAX: usize = 140;

/// Bound of the line for a console.
pub const ONE_LINE_CHARS_MAX: usize = 500;

/// Metrics in a headline.
const HEADLINE_METRICS_MAX: usize = 3;

/// Bounds of single parts, in characters.
const NAME_CHARS_MAX: usize = 128;
const SENTENCE_CHARS_MAX: usize = 400;
const LINK_CHARS_MAX: usize = 1_000;

impl Message {
    /// What happened, without the severity: `pump-7 is abnormal: temperature, vibration`.
    #[must_use]
    pub fn headline(&self) -> String {
        match &self.news {
            News::Incident(course, finding) => {
                let device = finding.shown_device();
                match course {
                    Course::Opened => format!("{device} is abnormal{}", finding.of_what()),
                    Course::Worse => format!("{device} got worse{}", finding.of_what()),
                    Course::Better => format!("{device} got better{}", finding.of_what()),
                    Course::Flapping => format!("{device} is flapping{}", finding.of_what()),
                    Course::Steady => format!("{device} stopped flapping{}", finding.of_what()),
                    Course::Escalated => format!("{device} still waits for somebody{}", finding.of_what()),
                    Course::Acknowledged => format!("{device} is being taken care of{}", finding.of_what()),
                    Course::Resolved => format!("{device} is normal again"),
                }
            }
            News::Digest(digest) => format!("{} incidents opened at {}", digest.count, self.shown_tenant()),
            News::Test => format!("message for {}", self.shown_tenant()),
        }
    }

    /// What the message is called out as: its severity, unless it is good news or none.
    pub(crate) fn label(&self) -> &'static str {
        match (&self.news, self.severity) {
            (News::Incident(Course::Resolved, _), _) => "RESOLVED",
            (News::Test, _) => "TEST",
            (_, Severity::Critical) => "CRITICAL",
            (_, Severity::Warning) => "WARNING",
            (_, Severity::Info) => "INFO",
        }
    }

    /// Label and headline: printable ASCII, at most 100 characters, begins with a letter.
    #[must_use]
    pub fn subject(&self) -> String {
        ascii(&format!("{} {}", self.label(), self.headline()), SUBJECT_CHARS_MAX)
    }

    /// The subject and how to see more, in printable ASCII of at most 140 characters.
    #[must_use]
    pub fn sms(&self) -> String {
        let tail = format!(" / {}", self.command());
        let room = SMS_CHARS_MAX.saturating_sub(tail.len());
        if room < SMS_CHARS_MAX / 2 { self.subject() } else { ascii(&self.subject(), room) + &tail }
    }

    /// Everything in one line of at most 500 characters.
    #[must_use]
    pub fn one_line(&self) -> String {
        let (label, tenant, headline) = (self.label(), self.shown_tenant(), self.headline());
        let (summary, command) = (self.shown_summary(), self.command());
        let whole = format!("{} {label} [{tenant}] {headline} - {summary} ({command})", second(self.at));
        clean(&whole, ONE_LINE_CHARS_MAX)
    }

    /// The whole message as text, lines ended by `\n`.
    #[must_use]
    pub fn body(&self) -> String {
        let mut body = format!("{}: {}\n{}\n\n", self.label(), self.headline(), self.shown_summary());
        for (name, value) in self.facts() {
            let _ = writeln!(body, "{:<11}{value}", format!("{name}:"));
        }
        let why = self.reasons();
        if !why.is_empty() {
            body.push_str("\nWhy:\n");
            for sentence in why {
                let _ = writeln!(body, "- {sentence}");
            }
        }
        let _ = write!(body, "\nTo see more:\n  {}\n", self.command());
        if let Some(link) = self.shown_link() {
            let _ = writeln!(body, "  {link}");
        }
        body
    }

    /// The facts beside the sentence: a name and what stands there, in the order of reading.
    pub(crate) fn facts(&self) -> Vec<(&'static str, String)> {
        let mut facts = vec![("Tenant", self.shown_tenant())];
        match &self.news {
            News::Incident(_, finding) => {
                facts.push(("Device", finding.shown_device()));
                if !finding.metrics.is_empty() {
                    facts.push(("Metrics", finding.shown_metrics()));
                }
                if finding.score.is_finite() {
                    facts.push(("Score", format!("{:.2} (the alarm line is 1)", finding.score)));
                }
                facts.push(("Detector", clean(&finding.detector, NAME_CHARS_MAX)));
            }
            News::Digest(digest) => facts.extend(digest.facts()),
            News::Test => {}
        }
        facts.push(("Incident", clean(&self.incident, NAME_CHARS_MAX)));
        facts.push(("Opened", second(self.opened)));
        facts.push(("Now", format!("{}{}", second(self.at), later(self.opened, self.at))));
        facts
    }

    /// The sentences of the explanation.
    pub(crate) fn reasons(&self) -> Vec<String> {
        self.finding()
            .into_iter()
            .flat_map(|finding| &finding.explanation)
            .take(EXPLANATION_MAX)
            .map(|s| sentence(s))
            .collect()
    }

    pub(crate) fn shown_tenant(&self) -> String {
        clean(&self.tenant, NAME_CHARS_MAX)
    }

    pub(crate) fn shown_summary(&self) -> String {
        sentence(&self.summary)
    }

    /// The link, if it is an address of the web.
    pub(crate) fn shown_link(&self) -> Option<String> {
        let link = Url::parse(self.link.as_deref()?).ok()?;
        let shown = link.to_string();
        (matches!(link.scheme(), "http" | "https") && shown.len() <= LINK_CHARS_MAX).then_some(shown)
    }
}

impl Finding {
    pub(crate) fn shown_device(&self) -> String {
        clean(&self.device, NAME_CHARS_MAX)
    }

    pub(crate) fn shown_metrics(&self) -> String {
        self.first_metrics(METRICS_TOLD_MAX)
    }

    fn first_metrics(&self, max: usize) -> String {
        let mut shown: Vec<String> =
            self.metrics.iter().take(max).map(|metric| clean(metric, NAME_CHARS_MAX)).collect();
        if self.metrics.len() > max {
            shown.push(format!("{} more", self.metrics.len() - max));
        }
        shown.join(", ")
    }

    fn of_what(&self) -> String {
        if self.metrics.is_empty() { String::new() } else { format!(": {}", self.first_metrics(HEADLINE_METRICS_MAX)) }
    }
}

impl Digest {
    fn facts(&self) -> Vec<(&'static str, String)> {
        let severities = [(self.critical, "critical"), (self.warning, "warning"), (self.info, "info")];
        let parts: Vec<String> =
            severities.iter().filter(|(count, _)| *count > 0).map(|(count, name)| format!("{count} {name}")).collect();
        let count = self.count.to_string();
        let mut facts =
            vec![("Incidents", if parts.is_empty() { count } else { format!("{count} ({})", parts.join(", ")) })];
        if !self.devices.is_empty() {
            facts.push(("Devices", self.shown_devices().join(", ")));
        }
        facts
    }

    pub(crate) fn shown_devices(&self) -> Vec<String> {
        self.devices.iter().take(SAMPLE_MAX).map(|device| clean(device, NAME_CHARS_MAX)).collect()
    }
}

fn sentence(text: &str) -> String {
    clean(text, SENTENCE_CHARS_MAX)
}

/// A time to the second: `2026-11-21T10:15:00Z`.
fn second(at: Timestamp) -> String {
    let mut shown = at.to_string();
    if let Some(dot) = shown.find('.') {
        shown.truncate(dot);
        shown.push('Z');
    }
    shown
}

/// How long after the opening, if by a minute or more: ` (2 h 5 min later)`.
fn later(opened: Timestamp, at: Timestamp) -> String {
    match (at.millis() - opened.millis()) / 60_000 {
        ..=0 => String::new(),
        minutes @ 1..60 => format!(" ({minutes} min later)"),
        minutes @ 60..2_880 => format!(" ({} h {} min later)", minutes / 60, minutes % 60),
        minutes => format!(" ({} days later)", minutes / 1_440),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(text: &str, course: usize, at: i64) -> Message {
        let finding = Finding {
            device: text.to_owned(),
            score: f64::INFINITY,
            metrics: vec![text.to_owned(); 20],
            detector: text.to_owned(),
            explanation: vec![text.to_owned(); 20],
        };
        Message {
            tenant: text.to_owned(),
            incident: text.to_owned(),
            notice: 1,
            severity: Severity::Info,
            opened: Timestamp::MIN,
            at: Timestamp::from_millis(Timestamp::MIN.millis() + at).unwrap(),
            summary: text.to_owned(),
            link: Some(text.to_owned()),
            news: News::Incident(Course::ALL[course], finding),
        }
    }

    proptest! {
        #[test]
        fn whatever_it_is_made_of_a_text_keeps_its_bounds(
            text in any::<String>(),
            course in 0..Course::ALL.len(),
            at in 0_i64..1_000_000_000,
        ) {
            let message = message(&text, course, at);
            let (subject, sms, line) = (message.subject(), message.sms(), message.one_line());
            prop_assert!(subject.len() <= SUBJECT_CHARS_MAX && subject.starts_with(|c: char| c.is_ascii_uppercase()));
            prop_assert!(sms.len() <= SMS_CHARS_MAX);
            prop_assert!(subject.bytes().chain(sms.bytes()).all(|byte| (b' '..=b'~').contains(&byte)));
            prop_assert!(line.chars().count() <= ONE_LINE_CHARS_MAX && !line.contains(char::is_control));
            prop_assert!(!message.body().contains(|c: char| c.is_control() && c != '\n'));
            prop_assert!(message.body().lines().count() <= 25, "a name must not add lines");
            prop_assert!(message.command().chars().all(|c| c.is_ascii_alphanumeric() || " -_.:".contains(c)));
        }

        #[test]
        fn a_link_leads_to_the_web_or_nowhere(text in any::<String>()) {
            prop_assert!(message(&text, 0, 0).shown_link().is_none_or(|link| link.starts_with("http")));
        }
    }

    #[test]
    fn a_link_that_runs_something_is_left_out() {
        for link in ["javascript:alert(1)", "data:text/html,x", "file:///etc/passwd", "//evil.example", "x"] {
            assert_eq!(message(link, 0, 0).shown_link(), None, "{link}");
        }
        assert!(message("https://a.example/?q=<x>|y", 0, 0).shown_link().is_some());
    }
}
