//! The other Region's registry after a sync: the same devices are let in, whatever call it was cut off at.

use std::collections::{BTreeMap, BTreeSet};

use account::Trouble;
use tenancy::folder::Files;
use tenancy::issue::bring_on;
use tenancy::names::Tenant;
use tenancy::registry::{Registry as _, Status};
use tenancy::sync::{Mode, Step, sync};

use crate::world::{Cut, World};

const CALLS_MAX: u32 = 200;

/// Three devices, one of whose certificates is revoked, and one inactive.
async fn source() -> World {
    let world = World::default();
    let acme = Tenant::new("dev", "acme").unwrap();
    world.policies.borrow_mut().insert(acme.device_policy(), "{}".to_owned());
    let dir = tempfile::tempdir().unwrap();
    for (device, status) in [("pump-1", Status::Active), ("pump-2", Status::Revoked), ("pump-3", Status::Inactive)] {
        bring_on(&world, &acme, device, &Files::of(dir.path(), "acme", device)).await.unwrap();
        let id = world.principals(device).await.unwrap().remove(0);
        world.set_status(&id, status).await.unwrap();
    }
    world
}

fn target() -> World {
    let world = World::default();
    world.policies.borrow_mut().insert(Tenant::new("dev", "acme").unwrap().device_policy(), "{}".to_owned());
    world
}

/// What devices see of a registry.
fn seen(world: &World) -> BTreeMap<String, (Status, BTreeSet<String>, BTreeSet<String>)> {
    let all = world.certificates.borrow();
    all.values()
        .map(|kept| {
            (kept.certificate.id.clone(), (kept.certificate.status, kept.things.clone(), kept.policies.clone()))
        })
        .collect()
}

async fn synced(from: &World, to: &World, is_dry: bool) -> Result<Vec<Step>, Trouble> {
    let (mut steps, policies) = (Vec::new(), BTreeSet::new());
    let mode = if is_dry { Mode::Dry { policies: &policies } } else { Mode::Do };
    sync(from, to, "dev", mode, |step| steps.push(step)).await?;
    Ok(steps)
}

#[tokio::test]
async fn the_other_region_lets_the_same_devices_in_and_the_second_time_nothing_is_done() {
    let (from, to) = (source().await, target());
    let would = synced(&from, &to, true).await.unwrap();
    assert!(to.things.borrow().is_empty() && to.certificates.borrow().is_empty(), "a dry run did something");
    let did = synced(&from, &to, false).await.unwrap();
    assert_eq!(would, did);
    assert_eq!((seen(&from), &*from.things.borrow()), (seen(&to), &*to.things.borrow()));
    let changes = to.changes.get();
    assert!(synced(&from, &to, false).await.unwrap().is_empty());
    assert_eq!(to.changes.get(), changes);
}

#[tokio::test]
async fn cut_off_at_any_call_on_either_side_the_same_again_ends_the_same() {
    for is_source in [false, true] {
        for is_done in [false, true] {
            for call in 0..CALLS_MAX {
                let (from, to) = (source().await, target());
                let cut = if is_source { &from } else { &to };
                cut.cut(Some(Cut { call, is_done }));
                let first = synced(&from, &to, false).await;
                cut.cut(None);
                for (id, (status, things, policies)) in seen(&to) {
                    let is_whole = !things.is_empty() && !policies.is_empty();
                    assert!(status != Status::Active || is_whole, "{id} lets in with half of it, cut at {call}");
                }
                synced(&from, &to, false).await.unwrap();
                assert_eq!(seen(&from), seen(&to), "cut at {call}");
                if first.is_ok() {
                    break;
                }
                assert!(call + 1 < CALLS_MAX, "it never came to its end");
            }
        }
    }
}

#[tokio::test]
async fn what_is_revoked_anywhere_is_not_made_active_and_what_is_missing_is_named() {
    let (from, to) = (source().await, target());
    synced(&from, &to, false).await.unwrap();
    let active = from.principals("pump-1").await.unwrap().remove(0);
    to.set_status(&active, Status::Revoked).await.unwrap();
    assert_eq!(synced(&from, &to, false).await.unwrap(), [Step::RevokedThere { id: active.clone() }]);
    assert_eq!(to.certificate(&active).await.unwrap().unwrap().status, Status::Revoked);
    // Revoked in the source afterwards, while it is active in the target.
    to.set_status(&active, Status::Active).await.unwrap();
    from.set_status(&active, Status::Revoked).await.unwrap();
    synced(&from, &to, false).await.unwrap();
    assert_eq!(to.certificate(&active).await.unwrap().unwrap().status, Status::Revoked);

    let bare = World::default();
    let steps = synced(&from, &bare, false).await.unwrap();
    let left: Vec<&Step> = steps.iter().filter(|step| step.is_left()).collect();
    assert!(matches!(left[..], [Step::NoStack { tenant, .. }] if tenant == "acme"), "{left:?}");
    assert!(left[0].to_string().contains("millrace deploy --tenant acme"));
}
