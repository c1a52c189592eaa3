//! MQTT topics that say whose reading it is.
//!
//! A topic is where a message arrived, so it is believed before what the message says. This reads the levels only; whether
//! the names in them are allowed is checked where they are used.

/// What a topic tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic<'t> {
    /// `tenants/{tenant}/devices/{device}/telemetry`, or `sensor/{device}/data` without a tenant.
    Device {
        /// The tenant level, if the topic has one.
        tenant: Option<&'t str>,
        /// The device level.
        device: &'t str,
    },
    /// `tenants/{tenant}/…` of another form: the device is told by the payload.
    Tenant(&'t str),
    /// A Sparkplug B topic, with or without `tenants/{tenant}/` before it.
    Sparkplug(SparkplugTopic<'t>),
    /// Any other topic; it tells nothing.
    Other,
}

/// `spBv1.0/{group}/{message type}/{node}[/{device}]` (Sparkplug 3.0, chapter 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SparkplugTopic<'t> {
    /// From `tenants/{tenant}/` before the namespace.
    pub tenant: Option<&'t str>,
    /// The group.
    pub group: &'t str,
    /// The edge node.
    pub node: &'t str,
    /// The device behind the node; none for the node itself.
    pub device: Option<&'t str>,
    /// What kind of message it is.
    pub message: SparkplugMessage,
}

/// The message types of Sparkplug B, as far as reading telemetry tells them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SparkplugMessage {
    /// NBIRTH, DBIRTH: names, aliases, types and values of all metrics.
    Birth,
    /// NDATA, DDATA: values that changed.
    Data,
    /// NDEATH, DDEATH: what the BIRTH told holds no more.
    Death,
    /// NCMD, DCMD, STATE: no readings.
    Command,
}

impl<'t> Topic<'t> {
    /// Reads the levels of `topic`. Never fails: an unknown form is [`Topic::Other`].
    #[must_use]
    pub fn parse(topic: &'t str) -> Self {
        if let Some(rest) = topic.strip_prefix("tenants/") {
            let (tenant, rest) = level(rest);
            if let Some(rest) = rest.strip_prefix("devices/") {
                let (device, _) = level(rest);
                return Self::Device { tenant: Some(tenant), device };
            }
            return SparkplugTopic::parse(rest, Some(tenant)).map_or(Self::Tenant(tenant), Self::Sparkplug);
        }
        if let Some(device) = topic.strip_prefix("sensor/").and_then(|rest| rest.strip_suffix("/data")) {
            return Self::Device { tenant: None, device };
        }
        SparkplugTopic::parse(topic, None).map_or(Self::Other, Self::Sparkplug)
    }

    /// The tenant that the topic names.
    #[must_use]
    pub fn tenant(&self) -> Option<&'t str> {
        match self {
            Self::Device { tenant, .. } => *tenant,
            Self::Tenant(tenant) => Some(tenant),
            Self::Sparkplug(topic) => topic.tenant,
            Self::Other => None,
        }
    }
}

/// The first level and what follows it. Levels are short and every message has them: a plain search is half the work of the
/// one that the standard library sets up for texts of any length.
fn level(text: &str) -> (&str, &str) {
    match text.bytes().position(|byte| byte == b'/') {
        Some(end) => (&text[..end], &text[end + 1..]),
        None => (text, ""),
    }
}

impl<'t> SparkplugTopic<'t> {
    fn parse(topic: &'t str, tenant: Option<&'t str>) -> Option<Self> {
        let mut levels = topic.strip_prefix("spBv1.0/")?.split('/');
        let (group, kind) = (levels.next()?, levels.next()?);
        if group == "STATE" {
            return Some(Self { tenant, group, node: kind, device: None, message: SparkplugMessage::Command });
        }
        let (node, device) = (levels.next()?, levels.next());
        let message = match kind {
            "NBIRTH" | "DBIRTH" => SparkplugMessage::Birth,
            "NDATA" | "DDATA" => SparkplugMessage::Data,
            "NDEATH" | "DDEATH" => SparkplugMessage::Death,
            "NCMD" | "DCMD" => SparkplugMessage::Command,
            _ => return None,
        };
        let of_device = kind.starts_with('D');
        (levels.next().is_none() && of_device == device.is_some()).then_some(Self {
            tenant,
            group,
            node,
            device,
            message,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_tells_tenant_and_device() {
        let both = Topic::Device { tenant: Some("acme"), device: "pump-7" };
        assert_eq!(Topic::parse("tenants/acme/devices/pump-7/telemetry"), both);
        assert_eq!(Topic::parse("sensor/d1/data"), Topic::Device { tenant: None, device: "d1" });
        assert_eq!(Topic::parse("tenants/acme/other"), Topic::Tenant("acme"));
        assert_eq!(Topic::parse("tenants/acme"), Topic::Tenant("acme"));
        for other in ["", "sensor/d1", "line/3", "spBv1.0", "spBv1.0/g/NDATA", "spBv1.0/g/XDATA/n"] {
            assert_eq!(Topic::parse(other), Topic::Other, "{other}");
        }
    }

    #[test]
    fn a_sparkplug_topic_tells_group_node_and_device() {
        let check = |topic: &str, tenant, device, message| {
            let node = SparkplugTopic { tenant, group: "g", node: "n", device, message };
            assert_eq!(Topic::parse(topic), Topic::Sparkplug(node), "{topic}");
        };
        check("spBv1.0/g/NBIRTH/n", None, None, SparkplugMessage::Birth);
        check("spBv1.0/g/DDATA/n/d", None, Some("d"), SparkplugMessage::Data);
        check("tenants/acme/spBv1.0/g/NDEATH/n", Some("acme"), None, SparkplugMessage::Death);
        check("spBv1.0/g/NCMD/n", None, None, SparkplugMessage::Command);
        assert!(matches!(
            Topic::parse("spBv1.0/STATE/host"),
            Topic::Sparkplug(SparkplugTopic { message: SparkplugMessage::Command, .. })
        ));
        for wrong in ["spBv1.0/g/NDATA/n/d", "spBv1.0/g/DDATA/n", "spBv1.0/g/DDATA/n/d/e"] {
            assert_eq!(Topic::parse(wrong), Topic::Other, "{wrong}");
        }
    }
}
