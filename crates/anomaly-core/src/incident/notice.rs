//! One thing to tell of an incident, and the box in which it waits until somebody has been told.

use serde::{Deserialize, Serialize};

use super::{Incident, Told};
use crate::{Severity, Timestamp};

/// Most notices that wait in one incident.
///
/// More can only gather while no channel takes any. Then the oldest is folded into the one after it, which takes the higher
/// severity and counts it: "opened" and "worse" become a critical "worse", "opened" and "resolved" a "resolved". What is true
/// in the end is told, what was true in between is counted. An escalation is folded only when there is nothing else, because
/// it goes to other people.
pub const NOTICES_MAX: usize = 16;

/// One thing to tell of an incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// Counted from 1 within the incident, without gaps.
    pub number: u32,
    /// What is told.
    #[serde(flatten)]
    pub kind: NoticeKind,
    /// When it was decided.
    pub at: Timestamp,
    /// How urgent the incident was then.
    pub severity: Severity,
    /// The most urgent it was told to be since it was told as open.
    pub reach: Severity,
    /// The highest level of escalation then.
    #[serde(default, skip_serializing_if = "super::is_zero")]
    pub level: u8,
    /// It is told in a digest with others and not on its own.
    #[serde(default, skip_serializing_if = "super::is_false")]
    pub is_held: bool,
    /// How many earlier notices were folded into this one.
    #[serde(default, skip_serializing_if = "is_none_folded")]
    pub folded: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_none_folded(folded: &u32) -> bool {
    *folded == 0
}

/// What is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum NoticeKind {
    /// It began, or began again.
    Opened,
    /// It is more urgent than was told.
    Worse,
    /// It is less urgent than was told.
    Better,
    /// It comes and goes; until it is steady no opening and no end is told. Stands for an opening where none was told.
    Flapping,
    /// It no longer comes and goes. Where it is over, [`Self::Resolved`] follows.
    Steady,
    /// Nobody acknowledged it in time.
    Escalated {
        /// To whom, counted from 1.
        to: u8,
    },
    /// Somebody takes care of it.
    Acknowledged,
    /// It is over.
    Resolved,
}

impl NoticeKind {
    /// The stored name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Worse => "worse",
            Self::Better => "better",
            Self::Flapping => "flapping",
            Self::Steady => "steady",
            Self::Escalated { .. } => "escalated",
            Self::Acknowledged => "acknowledged",
            Self::Resolved => "resolved",
        }
    }

    /// Whether it breaks out of a digest that the opening was held for.
    fn is_urgent(self) -> bool {
        matches!(self, Self::Worse | Self::Escalated { .. })
    }
}

impl Incident {
    /// Marks what waits as held for a digest, because its tenant has too many openings at once. All that follows is held as
    /// well, until it gets worse, is escalated or opens again.
    pub fn hold(&mut self) {
        for notice in &mut self.notices {
            notice.is_held = true;
        }
        if let Some(told) = &mut self.told {
            told.is_held = true;
        }
    }

    /// Puts a notice into the box. Whatever quiet there was is over.
    pub(super) fn note(&mut self, kind: NoticeKind, told: &mut Told, now: Timestamp) {
        told.is_held &= !kind.is_urgent();
        self.quiet = None;
        self.numbered = self.numbered.saturating_add(1);
        self.notices.push(Notice {
            number: self.numbered,
            kind,
            at: now,
            severity: self.severity,
            reach: told.reach,
            level: self.level,
            is_held: told.is_held,
            folded: 0,
        });
        if self.notices.len() > NOTICES_MAX {
            self.fold();
        }
    }

    fn fold(&mut self) {
        let before_last = self.notices.len() - 1;
        let goes = |notice: &Notice| !matches!(notice.kind, NoticeKind::Escalated { .. });
        let place = self.notices[..before_last].iter().position(goes).unwrap_or(0);
        let old = self.notices.remove(place);
        let next = &mut self.notices[place];
        next.severity = next.severity.max(old.severity);
        next.reach = next.reach.max(old.reach);
        next.is_held &= old.is_held;
        next.folded = next.folded.saturating_add(old.folded).saturating_add(1);
    }
}
