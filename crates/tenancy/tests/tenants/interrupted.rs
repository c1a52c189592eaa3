//! Whatever call a command is cut off at, the same command finishes it: with the same end as if it had not been cut off.

use std::cell::Cell;
use std::path::Path;

use crate::world::{Cut, World};
use tenancy::folder::Files;
use tenancy::issue::{DeviceError, Done, Issued, bring_on};
use tenancy::names::Tenant;
use tenancy::registry::{Registry as _, Status};
use tenancy::revoke::{choose, devices, revoke, sweep, take_off};
use tenancy::rotate::{Prover, begin, finish};

const DEVICE: &str = "pump-7";
/// Thing, certificate, policy, attachment, status.
const CHANGES_TO_BRING_ON: u32 = 5;

fn acme() -> Tenant {
    Tenant::new("dev", "acme").unwrap()
}

fn files(dir: &Path) -> Files {
    Files::of(dir, "acme", DEVICE)
}

async fn add(world: &World, dir: &Path) -> Result<Issued, DeviceError> {
    bring_on(world, &acme(), DEVICE, &files(dir)).await
}

/// Lets everybody in, or nobody.
struct Door {
    is_open: bool,
    asked: Cell<u32>,
}

impl Door {
    fn open() -> Self {
        Self { is_open: true, asked: Cell::new(0) }
    }
}

impl Prover for Door {
    async fn connects(&self, _device: &str, files: &Files) -> Result<(), String> {
        self.asked.set(self.asked.get() + 1);
        assert!(files.key().unwrap().unwrap().has(&files.certificate().unwrap().unwrap()));
        if self.is_open { Ok(()) } else { Err("the broker closed the connection".to_owned()) }
    }
}

/// One certificate lets the device in; its key lies here, and nothing else is left in the registry.
#[track_caller]
fn check_whole(world: &World, dir: &Path) {
    let files = files(dir);
    let usable = world.usable(DEVICE);
    let [certificate] = usable.as_slice() else { panic!("usable: {usable:?}") };
    assert_eq!(files.certificate().unwrap().as_deref(), Some(certificate.pem.as_str()));
    assert!(files.key().unwrap().unwrap().has(&certificate.pem));
    assert!(!files.is_unfinished() && !files.next().dir().exists());
    let all = world.certificates.borrow();
    assert_eq!(all.len(), 1, "left behind: {all:?}");
    assert!(all[&certificate.id].policies.contains(&acme().device_policy()));
    let owner = world.things.borrow()[DEVICE].attributes["tenant"].clone();
    assert_eq!(owner, "acme");
}

/// Runs `work` cut off at every call, once before and once after it was done, then once more whole.
async fn at_every_cut<P, F>(prepare: P, work: F, check: impl Fn(&World, &Path))
where
    P: AsyncFn(&World, &Path),
    F: AsyncFn(&World, &Path) -> Result<(), String>,
{
    let mut cuts = 0;
    for call in 0..100 {
        let mut was_cut = false;
        for is_done in [false, true] {
            let (world, dir) = (World::default(), tempfile::tempdir().unwrap());
            prepare(&world, dir.path()).await;
            world.cut(Some(Cut { call, is_done }));
            was_cut |= work(&world, dir.path()).await.is_err();
            world.cut(None);
            work(&world, dir.path()).await.unwrap_or_else(|error| panic!("cut at {call}, {is_done}: {error}"));
            check(&world, dir.path());
            cuts += 1;
        }
        if !was_cut {
            assert!(cuts > 4, "the cuts were never reached");
            return;
        }
    }
    panic!("it never got through");
}

fn words(error: impl std::fmt::Display) -> String {
    error.to_string()
}

#[tokio::test]
async fn bringing_a_device_on_is_finished_whatever_it_was_cut_off_at() {
    let work = async |world: &World, dir: &Path| add(world, dir).await.map(drop).map_err(words);
    at_every_cut(async |_, _| {}, work, check_whole).await;
}

#[tokio::test]
async fn the_second_time_changes_nothing() {
    let (world, dir) = (World::default(), tempfile::tempdir().unwrap());
    assert_eq!(add(&world, dir.path()).await.unwrap().done, Done::Made);
    let changes = world.changes.get();
    assert_eq!(add(&world, dir.path()).await.unwrap().done, Done::Unchanged);
    assert_eq!(world.changes.get(), changes);
    check_whole(&world, dir.path());
}

#[tokio::test]
async fn a_certificate_whose_key_got_lost_before_it_was_active_is_deleted() {
    let (world, dir) = (World::default(), tempfile::tempdir().unwrap());
    // DescribeThing, CreateThing, ListThingPrincipals, CreateCertificateFromCsr, AttachPolicy, AttachThingPrincipal are done.
    world.cut(Some(Cut { call: 6, is_done: false }));
    add(&world, dir.path()).await.unwrap_err();
    assert!(world.certificates.borrow().values().all(|kept| kept.things.contains(DEVICE)));
    std::fs::remove_dir_all(dir.path().join("acme")).unwrap();
    world.cut(None);
    let issued = add(&world, dir.path()).await.unwrap();
    assert_eq!((issued.done, issued.cleared.len()), (Done::Made, 1));
    check_whole(&world, dir.path());
}

#[tokio::test]
async fn a_device_at_work_whose_key_is_elsewhere_is_left_alone() {
    let (world, here, elsewhere) = (World::default(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    add(&world, elsewhere.path()).await.unwrap();
    let changes = world.changes.get();
    assert_eq!(add(&world, here.path()).await.unwrap().done, Done::Elsewhere);
    assert_eq!(world.changes.get(), changes);
    assert!(!files(here.path()).dir().exists());
}

#[tokio::test]
async fn a_thing_of_another_tenant_is_refused() {
    let (world, dir) = (World::default(), tempfile::tempdir().unwrap());
    for (tenant, environment) in [("globex", "dev"), ("acme", "prod")] {
        let other = Tenant::new(environment, tenant).unwrap();
        world.make_thing(DEVICE, &other.attributes()).await.unwrap();
        let error = add(&world, dir.path()).await.unwrap_err().to_string();
        assert!(error.contains(tenant) && error.contains(environment), "{error}");
    }
    assert!(world.certificates.borrow().is_empty() && !files(dir.path()).dir().exists());
}

#[tokio::test]
async fn a_certificate_that_was_switched_off_by_hand_stays_off() {
    let (world, dir) = (World::default(), tempfile::tempdir().unwrap());
    let id = add(&world, dir.path()).await.unwrap().certificate.id;
    world.set_status(&id, Status::Inactive).await.unwrap();
    let error = add(&world, dir.path()).await.unwrap_err().to_string();
    assert!(error.contains("switched off"), "{error}");
    assert!(world.usable(DEVICE).is_empty());
}

#[tokio::test]
async fn both_certificates_are_valid_until_the_new_one_is_proven() {
    let (world, dir) = (World::default(), tempfile::tempdir().unwrap());
    let old = add(&world, dir.path()).await.unwrap().certificate.id;
    let files = files(dir.path());
    let door = Door::open();
    assert!(finish(&world, &door, &acme(), DEVICE, &files).await.unwrap().is_none());
    let new = begin(&world, &acme(), DEVICE, &files).await.unwrap().certificate.id;
    assert_eq!(begin(&world, &acme(), DEVICE, &files).await.unwrap().done, Done::Unchanged);
    assert_eq!(world.usable(DEVICE).len(), 2);

    let closed = Door { is_open: false, asked: Cell::new(0) };
    let error = finish(&world, &closed, &acme(), DEVICE, &files).await.unwrap_err().to_string();
    assert!(error.contains("nothing was changed"), "{error}");
    assert_eq!(world.usable(DEVICE).len(), 2);
    assert!(files.next().dir().exists());

    let done = finish(&world, &door, &acme(), DEVICE, &files).await.unwrap().unwrap();
    assert_eq!((done.certificate.id, done.retired), (new, vec![old]));
    check_whole(&world, dir.path());
    assert!(finish(&world, &door, &acme(), DEVICE, &files).await.unwrap().is_none());
    assert_eq!(door.asked.get(), 1);
}

#[tokio::test]
async fn a_rotation_is_finished_whatever_it_was_cut_off_at() {
    let prepare = async |world: &World, dir: &Path| drop(add(world, dir).await.unwrap());
    let work = async |world: &World, dir: &Path| {
        let files = files(dir);
        if files.retiring().unwrap().is_none() {
            begin(world, &acme(), DEVICE, &files).await.map_err(words)?;
        }
        finish(world, &Door::open(), &acme(), DEVICE, &files).await.map(drop).map_err(words)
    };
    at_every_cut(prepare, work, check_whole).await;
}

#[tokio::test]
async fn what_is_revoked_is_out_at_once_and_gone_in_the_end() {
    let prepare = async |world: &World, dir: &Path| drop(add(world, dir).await.unwrap());
    let work = async |world: &World, _: &Path| {
        sweep(world, &acme()).await.map_err(words)?;
        let Some(certificate) = choose(world, &acme(), DEVICE, None).await.map_err(words)? else { return Ok(()) };
        let done = revoke(world, DEVICE, &certificate).await.map_err(words);
        let has_begun = world.changes.get() > CHANGES_TO_BRING_ON;
        assert!(!has_begun || world.usable(DEVICE).is_empty(), "the first change locks it out");
        done
    };
    at_every_cut(prepare, work, |world, _| assert!(world.certificates.borrow().is_empty())).await;
}

#[tokio::test]
async fn after_a_revocation_the_device_gets_a_new_key() {
    let (world, dir) = (World::default(), tempfile::tempdir().unwrap());
    let first = add(&world, dir.path()).await.unwrap().certificate;
    let before = files(dir.path()).key().unwrap().unwrap();
    revoke(&world, DEVICE, &first).await.unwrap();
    assert_eq!(add(&world, dir.path()).await.unwrap().done, Done::Made);
    assert_ne!(files(dir.path()).key().unwrap().unwrap().pem(), before.pem());
    check_whole(&world, dir.path());
    let aside = files(dir.path()).dir().join(format!("former-{}", &first.id[..12]));
    assert!(aside.join("private.key").exists());
}

#[tokio::test]
async fn of_several_certificates_one_has_to_be_named() {
    let (world, dir) = (World::default(), tempfile::tempdir().unwrap());
    let old = add(&world, dir.path()).await.unwrap().certificate.id;
    begin(&world, &acme(), DEVICE, &files(dir.path())).await.unwrap();
    let error = choose(&world, &acme(), DEVICE, None).await.unwrap_err().to_string();
    assert!(error.contains("--certificate") && error.contains(&old[..12]), "{error}");
    let error = choose(&world, &acme(), DEVICE, Some("none")).await.unwrap_err().to_string();
    assert!(error.contains("begins so"), "{error}");
    assert_eq!(choose(&world, &acme(), DEVICE, Some(&old[..8])).await.unwrap().unwrap().id, old);
}

#[tokio::test]
async fn a_device_is_taken_off_whatever_it_was_cut_off_at() {
    let prepare = async |world: &World, dir: &Path| drop(add(world, dir).await.unwrap());
    let work = async |world: &World, _: &Path| {
        for device in devices(world, &acme()).await.map_err(words)? {
            take_off(world, &acme(), &device).await.map_err(words)?;
        }
        sweep(world, &acme()).await.map(drop).map_err(words)
    };
    let check = |world: &World, _: &Path| {
        assert!(world.certificates.borrow().is_empty() && world.things.borrow().is_empty());
    };
    at_every_cut(prepare, work, check).await;
}
