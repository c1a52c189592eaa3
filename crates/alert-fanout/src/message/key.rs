//! The two keys by which the far side recognises what it has: the incident's, and that of one notice on one channel.

use anomaly_core::TenantName;
use anomaly_core::identity::derive;

use super::Message;

/// `PagerDuty` keeps no more of a `dedup_key` (Events API v2), and nobody else less.
const DEDUP_KEY_CHARS_MAX: usize = 255;

impl Message {
    /// The same for every notice of an incident, and for no other incident: `millrace:{tenant}:{incident}`, or a hash of
    /// both where they do not fit 255 plain characters.
    #[must_use]
    pub fn dedup_key(&self) -> String {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let key = format!("millrace:{}:{}", self.tenant, self.incident);
        let tells_apart = TenantName::new(&self.tenant).is_ok() && self.incident.chars().all(is_plain);
        if tells_apart && key.len() <= DEDUP_KEY_CHARS_MAX {
            key
        } else {
            format!("millrace:{}", derive([&*self.tenant, &self.incident]))
        }
    }

    /// One for each notice and channel, the same whenever it is sent again: 32 hexadecimal digits.
    #[must_use]
    pub fn idempotency_key(&self, channel: &str) -> String {
        let channel = if tooth!("key-without-channel") { "" } else { channel };
        derive([&*self.tenant, &self.incident, &self.notice.to_string(), channel])
    }

    /// What all mails of an incident on a channel refer to: 32 hexadecimal digits.
    pub(crate) fn thread_key(&self, channel: &str) -> String {
        derive(["thread", &self.tenant, &self.incident, channel])
    }
}

#[cfg(test)]
mod tests {
    use anomaly_core::{Severity, Timestamp};
    use proptest::prelude::*;

    use super::*;
    use crate::message::News;

    fn message(tenant: &str, incident: &str, notice: u32) -> Message {
        Message {
            tenant: tenant.to_owned(),
            incident: incident.to_owned(),
            notice,
            severity: Severity::Info,
            opened: Timestamp::MIN,
            at: Timestamp::MIN,
            summary: String::new(),
            link: None,
            news: News::Test,
        }
    }

    #[test]
    fn a_usual_incident_can_be_read_from_its_key() {
        assert_eq!(message("acme", "0f3c", 1).dedup_key(), "millrace:acme:0f3c");
    }

    #[test]
    fn keys_of_names_that_run_into_each_other_differ() {
        for (one, other) in [(("a:b", "c"), ("a", "b:c")), (("ab", "c:"), ("a", "bc:"))] {
            assert_ne!(message(one.0, one.1, 1).dedup_key(), message(other.0, other.1, 1).dedup_key());
            assert_ne!(
                message(one.0, one.1, 1).idempotency_key("x"),
                message(other.0, other.1, 1).idempotency_key("x")
            );
        }
        assert_ne!(message("t", "i", 1).idempotency_key("1x"), message("t", "i", 11).idempotency_key("x"));
    }

    proptest! {
        #[test]
        fn a_dedup_key_is_bounded_and_of_one_incident(a in "[a-z:#\n]{0,300}", b in "[a-z:]{0,12}", c in "[a-z:]{0,12}", d in "[a-z:]{0,12}") {
            prop_assert!(message(&a, &b, 1).dedup_key().len() <= DEDUP_KEY_CHARS_MAX);
            let same = message(&b, &a, 1).dedup_key() == message(&c, &d, 2).dedup_key();
            prop_assert_eq!(same, (&b, &a) == (&c, &d));
        }

        #[test]
        fn an_idempotency_key_is_of_one_notice_on_one_channel(one in 0_u32..4, other in 0_u32..4, channel in "[ab]", another in "[ab]") {
            let same = message("t", "i", one).idempotency_key(&channel) == message("t", "i", other).idempotency_key(&another);
            prop_assert_eq!(same, (one, &channel) == (other, &another));
        }
    }
}
