//! Each kind of fault is found by the next check and called by its name, and nothing else is blamed.

use std::collections::BTreeSet;

use replication_checker::ports::{Copying, Table};
use replication_checker::{Check, Done, Kind, Verdict};

use crate::made::policy;
use crate::world::{Lag, REGIONS, State, World, bucket, unwell};

/// What one check finds after the world was well and then changed.
async fn after(change: impl FnOnce(&World)) -> Done {
    let world = World::new(7);
    world.settle().await;
    let before = world.check(0).await;
    assert!(unwell(&before).is_empty(), "{:#?}", unwell(&before));
    world.wait(300).await;
    // The other Region's checker is at work as well.
    world.check(1).await;
    change(&world);
    world.check(0).await
}

async fn after_state(change: impl FnOnce(&mut State)) -> Done {
    after(|world| change(&mut world.state())).await
}

/// Exactly this was found; returns it.
fn only(done: &Done, kind: Kind, verdict: Verdict) -> Check {
    let unwell = unwell(done);
    assert_eq!(unwell.len(), 1, "{unwell:#?}");
    assert_eq!((unwell[0].kind, unwell[0].verdict), (kind, verdict), "{:#?}", unwell[0]);
    assert_eq!(done.report.verdict, verdict);
    unwell[0].clone()
}

#[track_caller]
fn says(check: &Check, parts: &[&str]) {
    for part in parts {
        assert!(check.evidence.contains(part), "`{part}` is not in: {}", check.evidence);
    }
}

#[tokio::test(start_paused = true)]
async fn an_object_that_did_not_arrive_is_named_with_its_age() {
    let done = after(|world| {
        let lost = world.batch(0, world.now_ms() - 1_000_000);
        world.state().lose(1, &lost);
    })
    .await;
    let unwell = unwell(&done);
    let listing = unwell.iter().find(|check| check.kind == Kind::LakeListing).unwrap();
    assert_eq!((listing.verdict, listing.direction.to.as_str()), (Verdict::Missing, REGIONS[1]));
    assert!(listing.oldest_missing.as_ref().unwrap().name.starts_with("bronze/dt="));
    // S3 says the same of it.
    assert!(unwell.iter().all(|check| [Kind::LakeListing, Kind::LakeStatus].contains(&check.kind)), "{unwell:#?}");
}

#[tokio::test(start_paused = true)]
async fn copies_that_have_another_content_have_drifted() {
    let done = after(|world| {
        let key = world.batch(0, world.now_ms() - 2_000_000);
        let later_ms = world.now_ms() - 1_000_000;
        let mut state = world.state();
        state.lags.insert((1, None), Lag::Lost);
        state.put(1, &key, b"other".to_vec(), later_ms);
        state.lags.clear();
    })
    .await;
    says(&only(&done, Kind::LakeListing, Verdict::Drifted), &["5 bytes", "8 bytes", "bronze/dt="]);
}

#[tokio::test(start_paused = true)]
async fn replication_that_stops_is_late_with_the_next_check_and_missing_after_the_patience() {
    for (of, kind) in [
        (None, Kind::LakeCanary),
        (Some(Table::Results), Kind::ResultsCanary),
        (Some(Table::Checkpoints), Kind::CheckpointsCanary),
    ] {
        let world = World::new(3);
        world.settle().await;
        world.state().lags.insert((1, of), Lag::Lost);
        let mut found = Vec::new();
        for _ in 0..5 {
            let done = world.check(0).await;
            let canaries: Vec<&Check> = unwell(&done).into_iter().filter(|check| check.kind == kind).collect();
            assert!(canaries.iter().all(|check| check.direction.from == REGIONS[1]), "{canaries:#?}");
            assert!(unwell(&done).iter().all(|check| of.is_none() || check.kind == kind), "{:#?}", unwell(&done));
            found.push(canaries.first().map(|check| check.verdict));
            world.wait(300).await;
            world.check(1).await;
        }
        assert_eq!(found[0], None, "nothing is late yet");
        assert_eq!(found[1], Some(Verdict::Late));
        assert_eq!(*found.last().unwrap(), Some(Verdict::Missing), "{found:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_late_and_has_arrived_is_well_again() {
    let world = World::new(3);
    world.settle().await;
    world.state().lags.insert((0, Some(Table::Results)), Lag::Lost);
    world.check(0).await;
    world.wait(400).await;
    world.check(1).await;
    assert_eq!(world.check(0).await.report.verdict, Verdict::Late);
    world.state().lags.clear();
    // Their places are used again, and what is newer there tells that they were overtaken.
    for _ in 0..101 {
        world.wait(60).await;
        world.check(1).await;
        world.check(0).await;
    }
    assert_eq!(world.check(0).await.report.verdict, Verdict::Ok);
}

#[tokio::test(start_paused = true)]
async fn what_s3_has_given_up_is_missing() {
    let check = only(
        &after_state(|state| state.sides[0].copying = Some(Copying::Failed)).await,
        Kind::LakeStatus,
        Verdict::Missing,
    );
    says(&check, &["S3 has given it up", "bronze/dt="]);
    let none = after_state(|state| state.sides[1].copying = Some(Copying::None)).await;
    says(&only(&none, Kind::LakeStatus, Verdict::Missing), &["no replication rule took it"]);
}

#[tokio::test(start_paused = true)]
async fn a_table_without_its_replica_is_missing_in_that_direction() {
    let done = after_state(|state| state.sides[1].tables.get_mut(&Table::Results).unwrap().replicas.clear()).await;
    let check = only(&done, Kind::Replica, Verdict::Missing);
    assert_eq!((check.subject.as_str(), check.direction.to.as_str()), ("results", REGIONS[0]));
    let gone = after_state(|state| drop(state.sides[1].tables.remove(&Table::Checkpoints))).await;
    assert_eq!(only(&gone, Kind::Replica, Verdict::Missing).direction.to, REGIONS[1]);
    let inaccessible = after_state(|state| {
        let replicas = &mut state.sides[0].tables.get_mut(&Table::Results).unwrap().replicas;
        replicas.insert(REGIONS[1].to_owned(), "INACCESSIBLE_ENCRYPTION_CREDENTIALS".to_owned());
    })
    .await;
    says(&only(&inaccessible, Kind::Replica, Verdict::Missing), &["INACCESSIBLE"]);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_stopped_is_missing_and_a_smaller_one_has_drifted() {
    let gone = after_state(|state| state.sides[1].stream = None).await;
    assert_eq!(only(&gone, Kind::Stream, Verdict::Missing).direction.to, REGIONS[1]);
    let stopped = after_state(|state| state.sides[1].stream.as_mut().unwrap().status = "DELETING".to_owned()).await;
    says(&only(&stopped, Kind::Stream, Verdict::Missing), &["DELETING"]);
    let smaller = after_state(|state| state.sides[1].stream.as_mut().unwrap().open_shards = 1).await;
    says(&only(&smaller, Kind::Stream, Verdict::Drifted), &["open shards: eu-west-1 has 4, eu-central-1 has 1"]);
    let plain = after_state(|state| state.sides[0].stream.as_mut().unwrap().encryption = "NONE".to_owned()).await;
    says(&only(&plain, Kind::Stream, Verdict::Drifted), &["encryption: eu-west-1 has NONE"]);
    let short = after_state(|state| state.sides[0].stream.as_mut().unwrap().retention_hours = 24).await;
    says(&only(&short, Kind::Stream, Verdict::Drifted), &["retention"]);
}

#[tokio::test(start_paused = true)]
async fn a_model_of_another_artifact_has_drifted() {
    let image = after_state(|state| state.sides[1].models[0].image = "x@sha256:2".to_owned()).await;
    let kinds: Vec<Kind> = unwell(&image).iter().map(|check| check.kind).collect();
    assert_eq!(kinds, [Kind::Model, Kind::EndpointConfig], "and what serves it");
    assert_eq!(image.report.verdict, Verdict::Drifted);
    says(unwell(&image)[0], &["models/acme/pump/1/model.tar.gz", "sha256:1", "sha256:2"]);
    let older = after_state(|state| {
        let card = br#"{"version":1,"sha256":"cd","bytes":8,"card":{}}"#.to_vec();
        state.lags.insert((1, None), Lag::Lost);
        state.put(1, "models/acme/pump/1/model.json", card, 1_789_999_000_000);
        state.lags.remove(&(1, None));
    })
    .await;
    says(&only(&older, Kind::Artifact, Verdict::Drifted), &["sha256 ab", "sha256 cd"]);
    let without = after_state(|state| state.lose(1, "models/acme/pump/1/model.millrace")).await;
    says(&only(&without, Kind::Artifact, Verdict::Drifted), &["without its artifact"]);
    let not_packed = after_state(|state| state.lose(1, "models/acme/pump/1/model.tar.gz")).await;
    says(&only(&not_packed, Kind::Artifact, Verdict::Drifted), &["an archive of 11 bytes", "no archive"]);
    // As a former release has published it, in both.
    let former =
        after_state(|state| [0, 1].into_iter().for_each(|side| state.lose(side, "models/acme/pump/1/model.tar.gz")))
            .await;
    assert!(unwell(&former).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_model_as_a_former_release_made_it_is_known_by_its_key_and_is_another_one() {
    let former = |side: usize| format!("s3://{}/models/acme/pump/1/model.millrace", bucket(REGIONS[side]));
    let both =
        after_state(|state| [0, 1].into_iter().for_each(|side| state.sides[side].models[0].data = former(side))).await;
    assert!(unwell(&both).is_empty());
    let one = after_state(|state| state.sides[1].models[0].data = former(1)).await;
    let missing = unwell(&one);
    assert!(missing.iter().all(|check| check.verdict == Verdict::Missing), "{missing:?}");
    let kinds: BTreeSet<Kind> = missing.iter().map(|check| check.kind).collect();
    assert_eq!(kinds, [Kind::Model, Kind::EndpointConfig].into());
}

#[tokio::test(start_paused = true)]
async fn a_model_or_endpoint_configuration_that_is_not_there_is_missing() {
    let config = after_state(|state| state.sides[1].configs.clear()).await;
    only(&config, Kind::EndpointConfig, Verdict::Missing);
    let size = after_state(|state| state.sides[1].configs[0].variants[0].2 = 2).await;
    says(&only(&size, Kind::EndpointConfig, Verdict::Drifted), &["1 ml.c7i.large", "2 ml.c7i.large"]);
    // The one of somebody else is none of ours.
    let other = after_state(|state| drop(state.sides[1].models.remove(1))).await;
    assert!(unwell(&other).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_certificate_that_is_missing_or_not_active_is_named() {
    let missing = after_state(|state| {
        state.sides[1].certificates.remove("c2");
        state.sides[1].policies.values_mut().for_each(|(_, holders)| holders.retain(|id| id != "c2"));
    })
    .await;
    let check = only(&missing, Kind::Certificate, Verdict::Missing);
    says(&check, &["c2", REGIONS[1]]);
    let inactive = after_state(|state| {
        state.sides[1].certificates.insert("c1".to_owned(), "INACTIVE".to_owned());
    })
    .await;
    says(&only(&inactive, Kind::Certificate, Verdict::Drifted), &["c1", "INACTIVE"]);
    // There and active, and yet the device is not let in.
    let unattached = after_state(|state| drop(state.sides[1].principals.remove("press-2"))).await;
    says(&only(&unattached, Kind::Attachment, Verdict::Drifted), &["press-2", "no certificate"]);
}

#[tokio::test(start_paused = true)]
async fn a_thing_that_is_missing_is_named() {
    let done = after_state(|state| {
        state.sides[1].things.remove("press-1");
        state.sides[1].principals.remove("press-1");
    })
    .await;
    let kinds: Vec<(Kind, Verdict)> = unwell(&done).iter().map(|check| (check.kind, check.verdict)).collect();
    assert_eq!(kinds, [(Kind::Thing, Verdict::Missing), (Kind::Attachment, Verdict::Missing)]);
    says(unwell(&done)[0], &["press-1"]);
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_says_something_else_has_drifted() {
    let name = "millrace-prod-acme-device";
    for wrong in [policy(REGIONS[1], "*"), policy(REGIONS[0], "client/x")] {
        let done = after_state(|state| state.sides[1].policies.get_mut(name).unwrap().0 = wrong).await;
        says(&only(&done, Kind::Policy, Verdict::Drifted), &[name]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_rule_that_takes_or_does_something_else_has_drifted_and_one_that_rests_has_not() {
    let name = "millrace_prod_acme_telemetry";
    let sql = after_state(|state| state.sides[1].rules.get_mut(name).unwrap().sql.push_str(" WHERE x > 1")).await;
    says(&only(&sql, Kind::Rule, Verdict::Drifted), &[name, "WHERE"]);
    let stream = after_state(|state| {
        state.sides[0].rules.get_mut(name).unwrap().actions[0] =
            r#"{"then":{"kinesis":{"stream":"other"}}}"#.to_owned();
    })
    .await;
    only(&stream, Kind::Rule, Verdict::Drifted);
    let resting = after_state(|state| state.sides[1].rules.get_mut(name).unwrap().is_disabled = false).await;
    assert!(unwell(&resting).is_empty());
    let gone = after_state(|state| state.sides[1].rules.clear()).await;
    only(&gone, Kind::Rule, Verdict::Missing);
}

#[tokio::test(start_paused = true)]
async fn other_code_and_other_profiles_have_drifted() {
    let code = after_state(|state| {
        state.sides[1].functions.get_mut("millrace-prod-kinesis-scorer").unwrap().code_sha256 = "older".to_owned();
    })
    .await;
    says(&only(&code, Kind::Function, Verdict::Drifted), &["millrace-prod-kinesis-scorer", "older"]);
    let profile = after_state(|state| {
        state.lags.insert((0, None), Lag::Lost);
        state.put(0, "config/acme/profile.toml", b"[other]".to_vec(), 1_789_999_000_000);
        state.lags.remove(&(0, None));
    })
    .await;
    let check = only(&profile, Kind::Profile, Verdict::Drifted);
    says(&check, &["acme"]);
    assert_eq!(check.direction.from, REGIONS[0], "the newer one has not arrived");
    let fresh = after(|world| {
        let now_ms = world.now_ms();
        world.state().put(0, "config/acme/profile.toml", b"[new]".to_vec(), now_ms);
    })
    .await;
    assert!(unwell(&fresh).is_empty(), "it is on its way");
}

#[tokio::test(start_paused = true)]
async fn a_checker_that_has_gone_quiet_is_found_by_the_other() {
    let world = World::new(5);
    let first = world.check(0).await;
    let check = only(&first, Kind::Checker, Verdict::Missing);
    says(&check, &["has ever checked", "infra/dr.yaml"]);
    assert_eq!(first.check_age_ms, None);
    world.check(1).await;
    assert!(unwell(&world.check(0).await).is_empty());
    for _ in 0..3 {
        world.wait(299).await;
        assert!(unwell(&world.check(0).await).is_empty());
    }
    world.wait(400).await;
    let done = world.check(0).await;
    only(&done, Kind::Checker, Verdict::Missing);
    assert!(done.check_age_ms.is_some_and(|age_ms| age_ms > 1_200_000), "{:?}", done.check_age_ms);
}
