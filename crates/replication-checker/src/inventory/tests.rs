use account::{Kind as TroubleKind, Trouble};
use proptest::prelude::*;

use super::*;

const NOW_MS: i64 = 1_790_000_000_000;

fn at(ago_seconds: i64) -> Timestamp {
    Timestamp::from_millis(NOW_MS - ago_seconds * 1_000).unwrap()
}

fn inventory(items: &[(&str, &str, Option<i64>)]) -> Inventory {
    let item = |&(name, form, ago): &(&str, &str, Option<i64>)| {
        (name.to_owned(), Item { form: form.to_owned(), since: ago.map(at) })
    };
    Inventory { items: items.iter().map(item).collect(), horizon: Horizon::Whole }
}

fn compared(here: &Looked<Inventory>, there: &Looked<Inventory>) -> Vec<Check> {
    let limits = Limits::default();
    let question =
        Question { kind: Kind::Policy, subject: "", here: "west", there: "east", limits: &limits, now: at(0) };
    compare(&question, here, there)
}

fn verdicts(here: &[(&str, &str, Option<i64>)], there: &[(&str, &str, Option<i64>)]) -> Vec<(Verdict, String)> {
    let checks = compared(&Ok(inventory(here)), &Ok(inventory(there)));
    checks.into_iter().map(|check| (check.verdict, check.direction.to_string())).collect()
}

fn found(verdict: Verdict, direction: &str) -> Vec<(Verdict, String)> {
    vec![(verdict, direction.to_owned())]
}

#[test]
fn two_equal_sides_are_one_ok() {
    let side = [("a", "1", None), ("b", "2", Some(10_000))];
    assert_eq!(verdicts(&side, &side), found(Verdict::Ok, "west ↔ east"));
    assert_eq!(verdicts(&[], &[]), found(Verdict::Ok, "west ↔ east"));
}

#[test]
fn what_is_on_one_side_alone_is_missing_on_the_other_once_it_is_old_enough() {
    for (ago, expected) in [
        (None, (Verdict::Missing, "west → east")),
        (Some(901), (Verdict::Missing, "west → east")),
        (Some(301), (Verdict::Late, "west → east")),
        (Some(299), (Verdict::Ok, "west ↔ east")),
    ] {
        assert_eq!(verdicts(&[("a", "1", ago)], &[]), found(expected.0, expected.1), "{ago:?}");
    }
    assert_eq!(verdicts(&[], &[("a", "1", None)]), found(Verdict::Missing, "east → west"));
}

#[test]
fn what_differs_has_drifted_unless_it_changed_just_now() {
    let old = [("a", "1", Some(9_000))];
    assert_eq!(verdicts(&[("a", "2", Some(1_000))], &old), found(Verdict::Drifted, "west → east"));
    assert_eq!(verdicts(&[("a", "2", Some(400))], &old), found(Verdict::Late, "west → east"));
    assert_eq!(verdicts(&old, &[("a", "2", Some(10))]), found(Verdict::Ok, "west ↔ east"));
    assert_eq!(verdicts(&[("a", "1", None)], &[("a", "2", None)]), found(Verdict::Drifted, "west ↔ east"));
}

#[test]
fn the_evidence_names_the_things_and_shows_where_they_begin_to_differ() {
    let long = "x".repeat(200);
    let (a, b) = (format!("{long}left"), format!("{long}right"));
    let checks = compared(&Ok(inventory(&[("a", &a, None)])), &Ok(inventory(&[("a", &b, None)])));
    assert!(checks[0].evidence.contains("xleft`") && checks[0].evidence.contains("xright`"), "{}", checks[0].evidence);
    assert!(checks[0].evidence.len() < 200, "{}", checks[0].evidence);
    let names: Vec<String> = (0..9).map(|number| format!("thing-{number}")).collect();
    let many: Vec<(&str, &str, Option<i64>)> = names.iter().map(|name| (name.as_str(), "", None)).collect();
    let checks = compared(&Ok(inventory(&many)), &Ok(inventory(&[])));
    assert!(checks[0].evidence.starts_with("9 in west and not in east: thing-0"), "{}", checks[0].evidence);
    assert!(checks[0].evidence.ends_with("and 4 more"), "{}", checks[0].evidence);
}

#[test]
fn the_oldest_that_is_missing_is_named() {
    let here = [("new", "", Some(1_000)), ("old", "", Some(5_000)), ("older", "", Some(5_001))];
    let checks = compared(&Ok(inventory(&here)), &Ok(inventory(&[])));
    assert_eq!(checks[0].oldest_missing.as_ref().unwrap().name, "older");
}

#[test]
fn beyond_the_horizon_nothing_is_said_to_be_missing_and_the_cut_is_told() {
    let here = inventory(&[("a", "", None), ("b", "", None), ("z", "", None)]);
    let mut there = inventory(&[("a", "", None)]);
    there.horizon = Horizon::UpTo("c".to_owned());
    let checks = compared(&Ok(here.clone()), &Ok(there.clone()));
    assert_eq!(checks.len(), 1);
    assert!(checks[0].evidence.contains(": b") && !checks[0].evidence.contains('z'), "{}", checks[0].evidence);
    assert!(checks[0].cut.as_ref().unwrap().contains("up to c"));
    there.horizon = Horizon::Part;
    let checks = compared(&Ok(here), &Ok(there));
    assert_eq!(checks[0].verdict, Verdict::Ok);
    assert!(checks[0].evidence.contains("2 beyond what was looked at"), "{}", checks[0].evidence);
    assert!(checks[0].cut.is_some());
}

#[test]
fn a_side_that_could_not_be_looked_at_is_unknown_by_name_even_when_the_other_has_nothing() {
    let refused = || {
        let (subject, message) = ("p".to_owned(), "not authorised".to_owned());
        Err(Trouble { action: "ListPolicies", subject, kind: TroubleKind::Forbidden, message })
    };
    let checks = compared(&Ok(inventory(&[])), &refused());
    assert_eq!((checks.len(), checks[0].verdict, checks[0].direction.to.as_str()), (1, Verdict::Unknown, "east"));
    assert!(checks[0].evidence.contains("east") && checks[0].evidence.contains("ListPolicies"));
    assert_eq!(compared(&refused(), &refused()).len(), 2);
}

fn side() -> impl Strategy<Value = Inventory> {
    let item = ("[ab]", proptest::option::of(0_i64..2_000)).prop_map(|(form, ago)| Item { form, since: ago.map(at) });
    proptest::collection::btree_map("[a-e]", item, 0..5).prop_map(|items| Inventory { items, horizon: Horizon::Whole })
}

proptest! {
    /// Law: a side compared with itself is well, however old its things are.
    #[test]
    fn a_side_equals_itself(side in side()) {
        let checks = compared(&Ok(side.clone()), &Ok(side));
        prop_assert_eq!(checks.len(), 1);
        prop_assert_eq!(checks[0].verdict, Verdict::Ok);
    }

    /// Law: who stands left or right changes the directions and nothing else.
    #[test]
    fn the_order_of_the_sides_does_not_matter(a in side(), b in side()) {
        let limits = Limits::default();
        let forth = Question { kind: Kind::Rule, subject: "", here: "west", there: "east", limits: &limits, now: at(0) };
        let back = Question { here: "east", there: "west", ..forth };
        let told = |checks: Vec<Check>| {
            let mut told: Vec<_> = checks
                .into_iter()
                .map(|check| {
                    let Direction { from, to, is_mutual } = check.direction;
                    let ends = if is_mutual { [from.clone().min(to.clone()), from.max(to)] } else { [from, to] };
                    (check.verdict, ends, check.oldest_missing)
                })
                .collect();
            told.sort_by_key(|(verdict, ends, _)| (*verdict, ends.clone()));
            told
        };
        let (a, b) = (Ok(a), Ok(b));
        prop_assert_eq!(told(compare(&forth, &a, &b)), told(compare(&back, &b, &a)));
    }

    /// Law: nothing is ok if anything differs that is older than the patience or has no age.
    #[test]
    fn an_old_difference_is_always_found(a in side(), b in side()) {
        let stale = |item: &Item| item.since.is_none_or(|since| since < at(900));
        let differs = a.items.iter().any(|(name, item)| {
            stale(item) && b.items.get(name).is_none_or(|other| other.form != item.form && stale(other))
        });
        let checks = compared(&Ok(a), &Ok(b));
        if differs {
            prop_assert!(checks.iter().any(|check| check.verdict >= Verdict::Drifted), "{:?}", checks);
        }
    }
}
