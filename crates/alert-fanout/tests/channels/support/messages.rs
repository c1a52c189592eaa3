//! Messages of one incident, and of one storm.

use alert_fanout::message::{Course, Digest, Finding, Message, News};
use anomaly_core::{Severity, Timestamp};

/// 2026-11-21 10:15:00 UTC.
const OPENED: i64 = 1_795_256_100_000;

fn after(minutes: i64) -> Timestamp {
    Timestamp::from_millis(OPENED + minutes * 60_000).unwrap()
}

/// The incident of pump-7, `course` being its newest turn.
pub(crate) fn incident(course: Course) -> Message {
    let turn = Course::ALL.iter().position(|one| *one == course).unwrap();
    let severity = if course == Course::Better { Severity::Warning } else { Severity::Critical };
    Message {
        tenant: "acme".to_owned(),
        incident: "3f9c2a7be1d04c55a1b2c3d4e5f60718".to_owned(),
        notice: turn as u32 + 1,
        severity,
        opened: after(0),
        at: after(turn as i64 * 25),
        summary: "Bearing temperature of 92.4 °C where 61 ± 3 °C is usual, & vibration follows".to_owned(),
        link: Some("https://millrace.example/incidents?id=3f9c&tab=course".to_owned()),
        news: News::Incident(
            course,
            Finding {
                device: "pump-7".to_owned(),
                score: 2.314,
                metrics: vec!["bearing_temp".to_owned(), "Öldruck".to_owned()],
                detector: "joint".to_owned(),
                explanation: vec![
                    "bearing_temp was 92.4 °C, 61 ± 3 °C was expected".to_owned(),
                    "Öldruck was 1.9 bar, <2.4 bar was not seen in 14 days".to_owned(),
                ],
            },
        ),
    }
}

/// A storm as one message.
pub(crate) fn digest() -> Message {
    Message {
        tenant: "acme".to_owned(),
        incident: "digest-2026-11-21T10:15Z".to_owned(),
        notice: 1,
        severity: Severity::Critical,
        opened: after(0),
        at: after(1),
        summary: "10000 devices became abnormal within a minute; a cause in common is likely".to_owned(),
        link: None,
        news: News::Digest(Digest {
            count: 10_000,
            critical: 14,
            warning: 9_986,
            info: 0,
            devices: (1..=30).map(|n| format!("pump-{n}")).collect(),
        }),
    }
}

/// A person's try.
pub(crate) fn test() -> Message {
    Message {
        summary: "If you read this, the channel works".to_owned(),
        incident: "test-1".to_owned(),
        news: News::Test,
        severity: Severity::Info,
        link: None,
        ..digest()
    }
}

/// An incident whose every text was written by somebody who means harm.
pub(crate) fn hostile() -> Message {
    let text = "x\r\nBcc: all@evil.example\r\n\r\n<!channel> <https://evil.example|ok> *bold* \u{202e}\u{1b}[2J `id`"
        .to_owned();
    let mut message = incident(Course::Opened);
    message.tenant.clone_from(&text);
    "$(reboot); --help".clone_into(&mut message.incident);
    message.summary.clone_from(&text);
    message.link = Some("javascript:alert(1)".to_owned());
    if let News::Incident(_, finding) = &mut message.news {
        finding.device.clone_from(&text);
        finding.detector.clone_from(&text);
        finding.metrics = vec![text.clone(); 400];
        finding.explanation = vec![text.repeat(50); 40];
        finding.score = f64::NAN;
    }
    message
}
