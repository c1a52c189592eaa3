//! The times and numbers by which incidents open, change and close. A tenant's profile may set each.

/// Most levels of escalation.
pub const ESCALATIONS_MAX: usize = 8;
/// Most returns that flapping can ask for.
pub const FLAPS_MAX: usize = 16;

/// When an incident closes, gets worse, and is told again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertPolicy {
    /// So long a device must be normal until its incident is over, minutes, 1 to 1440. Shorter tells the end sooner, and more
    /// often in vain.
    pub close_after_minutes: u32,
    /// An anomaly so soon after the end belongs to the incident that was over, minutes, 0 to 10080; 0 opens a new one.
    pub reopen_minutes: u32,
    /// Without a sign of life for so long an incident is closed although its device never said that it is normal, hours, 1
    /// to 720.
    pub auto_resolve_hours: u32,
    /// From so many metrics on, an incident that is not just information is critical, 0 to 64; 0 never.
    pub critical_metrics: u32,
    /// A warning that nobody acknowledges becomes critical after so long, minutes, 1 to 10080; `None` never.
    pub worse_after_minutes: Option<u32>,
    /// In the same time an information becomes a warning.
    pub worse_info: bool,
    /// Severity falls when only lesser anomalies have come for so long, minutes, 1 to 10080; `None` never, because an anomaly
    /// is raised at the start of a fault and silence after it says nothing.
    pub better_after_minutes: Option<u32>,
    /// A lower severity is told.
    pub tell_better: bool,
    /// So many returns make it flapping, 2 to 16. A return is to be abnormal again after seeming over.
    pub flap_count: u32,
    /// Within so long they have to come, and without one for so long it is steady, minutes, 1 to 1440.
    pub flap_minutes: u32,
    /// So long after it was told, and not acknowledged, it is escalated, to level 1, 2 and so on: minutes, each 1 to 10080 and
    /// more than the one before, at most [`ESCALATIONS_MAX`].
    pub escalate_after_minutes: Vec<u32>,
}

impl Default for AlertPolicy {
    fn default() -> Self {
        Self {
            close_after_minutes: 10,
            reopen_minutes: 30,
            auto_resolve_hours: 24,
            critical_metrics: 4,
            worse_after_minutes: None,
            worse_info: false,
            better_after_minutes: None,
            tell_better: false,
            flap_count: 4,
            flap_minutes: 60,
            escalate_after_minutes: Vec::new(),
        }
    }
}
