//! What there is of one kind on one side, and the comparison of two sides. Pure: everything was seen before.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use anomaly_core::Timestamp;

use crate::check::{Check, Direction, Kind, Oldest, Verdict};
use crate::limits::{Limits, NAMED_MAX};
use crate::ports::{Listed, Looked};

/// Characters of each form that the evidence shows, around the place where they begin to differ.
const SHOWN_CHARS: usize = 60;
/// Of which are equal and stand before it.
const SHOWN_BEFORE: usize = 15;

/// One thing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Item {
    /// What it is, in words that are equal on both sides if the things are.
    pub form: String,
    /// Since when it is so, where that is known.
    pub since: Option<Timestamp>,
}

/// How far a look went.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Horizon {
    /// Everything was seen.
    #[default]
    Whole,
    /// In order, up to this one.
    UpTo(String),
    /// Some, in no order: what is not among them may be there.
    Part,
}

/// What there is of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Inventory {
    /// By the name that it has on both sides.
    pub items: BTreeMap<String, Item>,
    /// How far the look went.
    pub horizon: Horizon,
}

impl Inventory {
    /// Of a list in no particular order: where it was cut, what is not in it may be there.
    #[must_use]
    pub fn of<T>(listed: Listed<T>, mut item: impl FnMut(T) -> (String, Item)) -> Self {
        let horizon = if listed.is_cut { Horizon::Part } else { Horizon::Whole };
        Self { items: listed.all.into_iter().map(&mut item).collect(), horizon }
    }

    /// Whether what is not here is known not to be there.
    fn tells_absence(&self, name: &str) -> bool {
        match &self.horizon {
            Horizon::Whole => true,
            Horizon::UpTo(last) => name <= last.as_str(),
            Horizon::Part => false,
        }
    }

    /// What the bound has left out, in words.
    fn cut(&self, region: &str) -> Option<String> {
        let seen = self.items.len();
        match &self.horizon {
            Horizon::Whole => None,
            Horizon::UpTo(last) => Some(format!("{region}: only the first {seen} were looked at, up to {last}")),
            Horizon::Part => Some(format!("{region}: only {seen} were looked at")),
        }
    }
}

/// What is compared, between whom, and by which limits.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// What.
    pub kind: Kind,
    /// Of which.
    pub subject: &'a str,
    /// The one Region.
    pub here: &'a str,
    /// The other.
    pub there: &'a str,
    /// From when on something is late or missing.
    pub limits: &'a Limits,
    /// When the look began.
    pub now: Timestamp,
}

/// Something that is not as it should be.
struct Finding<'a> {
    name: &'a str,
    since: Option<Timestamp>,
    detail: String,
}

/// Compares two sides: one check for each kind of fault in each direction, or a single one that says that all is well.
///
/// What is on one side alone is missing on the other, unless it is younger than the limits allow, or the other's look did not
/// come that far. What is on both sides and not the same has drifted, unless it changed just now.
#[must_use]
pub fn compare(question: &Question<'_>, here: &Looked<Inventory>, there: &Looked<Inventory>) -> Vec<Check> {
    let Question { kind, subject, .. } = *question;
    let (Ok(left), Ok(right)) = (here, there) else {
        return unseen(question, here.as_ref().err(), there.as_ref().err());
    };
    let mut faults: BTreeMap<(Verdict, Direction), Vec<Finding<'_>>> = BTreeMap::new();
    let (mut equal, mut under_way, mut not_told) = (0_u64, 0_u64, 0_u64);
    let names: BTreeSet<&String> = left.items.keys().chain(right.items.keys()).collect();
    for name in names {
        let judged = match (left.items.get(name), right.items.get(name)) {
            (Some(a), Some(b)) if a.form == b.form => {
                equal += 1;
                continue;
            }
            (Some(a), Some(b)) => Some(drifted(question, a, b)),
            (Some(a), None) => right.tells_absence(name).then(|| absent(question, a, question.here, question.there)),
            (None, Some(b)) => left.tells_absence(name).then(|| absent(question, b, question.there, question.here)),
            (None, None) => None,
        };
        let Some((verdict, direction, since, detail)) = judged else {
            not_told += 1;
            continue;
        };
        if verdict == Verdict::Ok {
            under_way += 1;
        } else {
            faults.entry((verdict, direction)).or_default().push(Finding { name, since, detail });
        }
    }
    let cuts: Vec<String> = [left.cut(question.here), right.cut(question.there)].into_iter().flatten().collect();
    let cut = (!cuts.is_empty()).then(|| cuts.join("; "));
    let mut checks: Vec<Check> = faults
        .into_iter()
        .map(|((verdict, direction), findings)| fault(question, verdict, direction, &findings))
        .collect();
    if checks.is_empty() {
        let mut evidence = format!("{equal} on both sides and equal");
        if under_way > 0 {
            let _ = write!(evidence, ", {under_way} under way for less than {:?}", question.limits.late_after);
        }
        if not_told > 0 {
            let _ = write!(evidence, ", {not_told} beyond what was looked at");
        }
        let direction = Direction::mutual(question.here, question.there);
        checks.push(Check::new(kind, subject, direction, Verdict::Ok, evidence));
    }
    for check in &mut checks {
        check.cut.clone_from(&cut);
    }
    checks
}

/// One check for each side that could not be looked at.
#[must_use]
pub fn unseen(
    question: &Question<'_>,
    here: Option<&account::Trouble>,
    there: Option<&account::Trouble>,
) -> Vec<Check> {
    let Question { kind, subject, .. } = *question;
    let sides = [(here, question.there, question.here), (there, question.here, question.there)];
    let failed = sides.into_iter().filter_map(|(trouble, other, region)| Some((trouble?, other, region)));
    failed.map(|(trouble, other, region)| Check::unseen(kind, subject, other, region, trouble)).collect()
}

type Judged = (Verdict, Direction, Option<Timestamp>, String);

fn absent(question: &Question<'_>, item: &Item, from: &str, to: &str) -> Judged {
    let verdict = item.since.map_or(Verdict::Missing, |since| question.limits.since(since, question.now));
    (verdict, Direction::one_way(from, to), item.since, String::new())
}

fn drifted(question: &Question<'_>, a: &Item, b: &Item) -> Judged {
    let Question { here, there, limits, now, .. } = *question;
    // The newer one is what has not arrived.
    let direction = match a.since.cmp(&b.since) {
        _ if a.since.is_none() || b.since.is_none() => Direction::mutual(here, there),
        std::cmp::Ordering::Greater => Direction::one_way(here, there),
        std::cmp::Ordering::Less => Direction::one_way(there, here),
        std::cmp::Ordering::Equal => Direction::mutual(here, there),
    };
    let since = a.since.max(b.since);
    let verdict = match since.map(|since| limits.since(since, now)) {
        None | Some(Verdict::Missing) => Verdict::Drifted,
        Some(under_way) => under_way,
    };
    let (left, right) = difference(&a.form, &b.form);
    (verdict, direction, since, format!("{here} has `{left}`, {there} has `{right}`"))
}

/// The two texts around the place where they begin to differ.
fn difference(a: &str, b: &str) -> (String, String) {
    let equal = a.chars().zip(b.chars()).take_while(|(a, b)| a == b).count();
    let from = equal.saturating_sub(SHOWN_BEFORE);
    let shown = |text: &str| {
        let mut shown: String = text.chars().skip(from).take(SHOWN_CHARS).collect();
        if from > 0 {
            shown.insert(0, '…');
        }
        if text.chars().count() > from + SHOWN_CHARS {
            shown.push('…');
        }
        shown
    };
    (shown(a), shown(b))
}

fn fault(question: &Question<'_>, verdict: Verdict, direction: Direction, findings: &[Finding<'_>]) -> Check {
    // Those of unknown age are as old as may be.
    let oldest = findings.iter().min_by_key(|finding| (finding.since, finding.name));
    let mut evidence = match verdict {
        Verdict::Late => format!("{} on the way to {}", findings.len(), direction.to),
        Verdict::Drifted => format!("{} not the same", findings.len()),
        _ => format!("{} in {} and not in {}", findings.len(), direction.from, direction.to),
    };
    for (place, finding) in findings.iter().take(NAMED_MAX).enumerate() {
        evidence.push_str(if place == 0 { ": " } else { ", " });
        evidence.push_str(finding.name);
        if let Some(since) = finding.since {
            let _ = write!(evidence, " (since {since})");
        }
        if !finding.detail.is_empty() {
            let _ = write!(evidence, " ({})", finding.detail);
        }
    }
    if findings.len() > NAMED_MAX {
        let _ = write!(evidence, ", and {} more", findings.len() - NAMED_MAX);
    }
    let mut check = Check::new(question.kind, question.subject, direction, verdict, evidence);
    if verdict != Verdict::Drifted {
        check.oldest_missing = oldest.map(|oldest| Oldest { name: oldest.name.to_owned(), since: oldest.since });
    }
    check
}

#[cfg(test)]
mod tests;
