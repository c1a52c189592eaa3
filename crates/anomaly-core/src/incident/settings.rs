//! What a tenant's profile says of alerts: the policy, who is told over which channel, and when nobody is.
//!
//! An empty profile is complete: incidents open and close, and as there is no route nobody is told. Secrets are never here,
//! only the names under which they are kept.

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;

use super::{AlertPolicy, MaintenanceWindow, Notice, NoticeKind, ZonedWindow};
use crate::Severity;
use crate::profile::matches_pattern;

/// Everything a tenant has set about alerts.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertSettings {
    /// When incidents close, get worse and are told again.
    pub policy: AlertPolicy,
    /// Who is told. Every route that fits applies.
    pub routes: Vec<Route>,
    /// When nobody is told.
    pub maintenance: Vec<MaintenanceWindow>,
    /// The ways to tell somebody, by name.
    pub channels: BTreeMap<String, ChannelSettings>,
    /// More openings than this in a minute are told in one digest, 1 to 1000.
    pub storm_openings: u32,
    /// Beyond so many messages in an hour all that is not critical is told in a digest, 1 to 10000.
    pub messages_per_hour: u32,
}

impl Default for AlertSettings {
    fn default() -> Self {
        Self {
            policy: AlertPolicy::default(),
            routes: Vec::new(),
            maintenance: Vec::new(),
            channels: BTreeMap::new(),
            storm_openings: 10,
            messages_per_hour: 60,
        }
    }
}

/// Who is told of what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Names of channels.
    pub channels: Vec<String>,
    /// The least severity that is told.
    pub severity_min: Severity,
    /// Patterns of device names; none stands for every device.
    pub devices: Vec<String>,
    /// From which level of escalation on it is told; 0 from the start.
    pub level: u8,
}

impl Default for Route {
    fn default() -> Self {
        Self { channels: Vec::new(), severity_min: Severity::Info, devices: Vec::new(), level: 0 }
    }
}

impl Route {
    /// Whether a notice about a device goes this way. An escalation goes to its level alone; all else to every level that has
    /// heard of it. Who heard that it is urgent hears the end, however harmless it has become.
    #[must_use]
    pub fn covers(&self, device: &str, notice: &Notice) -> bool {
        let is_level = match notice.kind {
            NoticeKind::Escalated { to } => self.level == to,
            _ => self.level <= notice.level,
        };
        is_level && self.severity_min <= notice.reach && self.covers_device(device)
    }

    fn covers_device(&self, device: &str) -> bool {
        self.devices.is_empty() || self.devices.iter().any(|pattern| matches_pattern(pattern, device))
    }
}

/// How a channel reaches people. Addresses are as the profile has them; the sender checks what they lead to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChannelSettings {
    /// Amazon SNS.
    Sns {
        /// ARN of the topic.
        topic: String,
    },
    /// A Slack incoming webhook.
    Slack {
        /// Name of the secret that holds its URL.
        secret: String,
    },
    /// PagerDuty Events, version 2.
    PagerDuty {
        /// Name of the secret that holds the routing key.
        secret: String,
        /// Endpoint, where it is not the usual one.
        url: Option<String>,
    },
    /// A signed event (`CloudEvents` 1.0) over HTTP.
    Webhook {
        /// Where to.
        url: String,
        /// Name of the secret that messages are signed with.
        secret: Option<String>,
        /// It may lead into a private network, and without TLS.
        allow_private: bool,
    },
    /// Mail.
    Smtp {
        /// Host of the server.
        server: String,
        /// Port; `None` is the usual one for `tls`.
        port: Option<u16>,
        /// How the connection is protected.
        tls: SmtpTls,
        /// Sender's address.
        from: String,
        /// Addresses of those who are told, 1 and more.
        to: Vec<String>,
        /// Whom to sign in as; set together with `secret`.
        username: Option<String>,
        /// Name of the secret that holds the password.
        secret: Option<String>,
    },
    /// The log, or the terminal.
    Console,
}

/// How a connection to a mail server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SmtpTls {
    /// It begins in the open and has to change over (port 587).
    #[default]
    StartTls,
    /// It is protected from the start (port 465).
    Implicit,
    /// It is not: only to this machine itself (port 25).
    None,
}

impl ChannelSettings {
    /// The name of its type in the profile.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Sns { .. } => "sns",
            Self::Slack { .. } => "slack",
            Self::PagerDuty { .. } => "pagerduty",
            Self::Webhook { .. } => "webhook",
            Self::Smtp { .. } => "smtp",
            Self::Console => "console",
        }
    }

    /// Name of the secret it needs.
    #[must_use]
    pub fn secret(&self) -> Option<&str> {
        match self {
            Self::Slack { secret } | Self::PagerDuty { secret, .. } => Some(secret),
            Self::Webhook { secret, .. } | Self::Smtp { secret, .. } => secret.as_deref(),
            Self::Sns { .. } | Self::Console => None,
        }
    }
}

/// A time zone that nobody knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "maintenance window `{window}` is in the time zone `{zone}`, which this release does not know; write another name"
)]
pub struct UnknownZone {
    /// Name of the window.
    pub window: String,
    /// The zone it names.
    pub zone: String,
}

impl AlertSettings {
    /// The names of the channels over which a notice about a device is told, each once.
    #[must_use]
    pub fn channels_for(&self, device: &str, notice: &Notice) -> BTreeSet<&str> {
        let routes = self.routes.iter().filter(|route| route.covers(device, notice));
        routes.flat_map(|route| route.channels.iter().map(String::as_str)).collect()
    }

    /// The names of the channels over which a digest is told whose worst incident is this urgent: those that would have been
    /// told of an opening of some device. A digest does not look at devices, as it may hold any.
    #[must_use]
    pub fn channels_for_digest(&self, worst: Severity) -> BTreeSet<&str> {
        let routes = self.routes.iter().filter(|route| route.level == 0 && route.severity_min <= worst);
        routes.flat_map(|route| route.channels.iter().map(String::as_str)).collect()
    }

    /// The maintenance windows by their clocks. `find` looks a zone up by its name.
    ///
    /// # Errors
    /// [`UnknownZone`] for the first that it does not find.
    pub fn windows(&self, find: impl Fn(&str) -> Option<TimeZone>) -> Result<Vec<ZonedWindow<'_>>, UnknownZone> {
        let zoned = |window: &'_ MaintenanceWindow| {
            find(&window.zone).ok_or_else(|| UnknownZone { window: window.name.clone(), zone: window.zone.clone() })
        };
        self.maintenance.iter().map(|window| Ok(ZonedWindow::new(window, zoned(window)?))).collect()
    }
}
