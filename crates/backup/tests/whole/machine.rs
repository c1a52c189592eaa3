//! One machine's folder: there and back.

use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicUsize;

use anomaly_core::Timestamp;
use backup::BackupError;
use backup::folder::Folder;
use backup::manifest::{self, Subject, choose, ids};
use backup::objects::{Became, Found, Objects, Put};
use backup::place::{Id, OBJECTS, Trust};
use backup::prune::{self, prune};
use backup::restore::{Means, folder};
use backup::{compare, sqlite};
use platform::embedded::Local;
use platform::ports::StoreError;
use tempfile::tempdir;

use super::cut::Cut;
use super::plant::{back_up, back_up_as, plant, quiet, send, subject, wrong};

const KEEP_ONE: prune::Means = prune::Means { keep: 1, is_rehearsal: false, force: false };
const REHEARSAL: prune::Means = prune::Means { is_rehearsal: true, ..KEEP_ONE };

/// An instant after everything was written.
async fn later(place: &Folder) -> Timestamp {
    let all = place.page("", "", 10_000).await.unwrap();
    let newest = all.iter().map(|found| found.changed.millis()).max().unwrap();
    Timestamp::from_millis(newest + 1).unwrap()
}

/// A content that the newest backup names.
async fn some_content(place: &Folder, at: &Path) -> std::path::PathBuf {
    at.join(&place.page(OBJECTS, "", 1).await.unwrap()[0].key)
}

async fn bring_back(place: &Folder, dir: &Path, means: Means) -> Result<backup::restore::Restored, BackupError> {
    let sealed = choose(place, None, None).await?;
    folder(place, &sealed.manifest, dir, &Folder::new(dir.join("lake")), means, &quiet).await
}

/// Nothing of the newest backup is otherwise in a folder.
async fn assert_equal(place: &Folder, dir: &Path) {
    let manifest = choose(place, None, None).await.unwrap().manifest;
    let parts = compare::lake(place, &manifest, &Folder::new(dir.join("lake")), false, &quiet).await.unwrap();
    assert!(parts.iter().all(compare::Part::is_equal), "{parts:?}");
    let database = sqlite::assemble(place, &manifest.tables).await.unwrap();
    for one in sqlite::compare(&sqlite::path(database.path()), &sqlite::path(dir)).unwrap() {
        assert_eq!((one.missing, one.more), (0, 0), "{one:?}");
    }
}

#[tokio::test]
async fn a_restored_folder_is_equal_and_the_scorer_goes_on_from_it() {
    let (dir, at, restored) = (tempdir().unwrap(), tempdir().unwrap(), tempdir().unwrap());
    plant(dir.path(), 200).await;
    let place = Folder::new(at.path());
    let made = back_up(dir.path(), &place, 200).await.unwrap();
    assert!(made.read.0 > 20 && !made.is_resumed, "{made:?}");
    let (found, totals) = wrong(&place).await.unwrap();
    assert_eq!(found, []);
    assert_eq!((totals.shards, totals.objects), (1, made.sealed.manifest.lake_size().0));

    bring_back(&place, restored.path(), Means::default()).await.unwrap();
    assert_equal(&place, restored.path()).await;
    let mut found = Vec::new();
    for dir in [dir.path(), restored.path()] {
        let world = Local::open(dir).unwrap();
        send(&world, 200, 360, 201).await;
        found.push(world.recent_anomalies(None, 1_000).await.unwrap());
    }
    assert!(!found[0].is_empty());
    assert_eq!(found[0], found[1]);
}

#[tokio::test]
async fn a_second_backup_copies_what_is_new_and_both_are_whole() {
    let (dir, at) = (tempdir().unwrap(), tempdir().unwrap());
    plant(dir.path(), 100).await;
    let place = Folder::new(at.path());
    let first = back_up(dir.path(), &place, 100).await.unwrap();
    let nothing = back_up(dir.path(), &place, 101).await.unwrap();
    assert_eq!(nothing.read.0, 0, "{nothing:?}");
    send(&Local::open(dir.path()).unwrap(), 100, 140, 101).await;
    let second = back_up(dir.path(), &place, 140).await.unwrap();
    let grown = second.sealed.manifest.lake_size().0 - first.sealed.manifest.lake_size().0;
    assert!((1..=grown + 1).contains(&second.read.0), "{} of {grown}", second.read.0);
    assert_eq!(second.sealed.manifest.previous.as_ref().unwrap().sha256, nothing.sealed.sha256);
    assert_eq!(wrong(&place).await.unwrap().0, []);
    let early = tempdir().unwrap();
    let lake = Folder::new(early.path().join("lake"));
    folder(&place, &first.sealed.manifest, early.path(), &lake, Means::default(), &quiet).await.unwrap();
}

#[tokio::test]
async fn a_run_that_is_cut_off_anywhere_is_finished_by_the_next() {
    let dir = tempdir().unwrap();
    plant(dir.path(), 60).await;
    for after in [false, true] {
        for calls in 1.. {
            let at = tempdir().unwrap();
            let place = Folder::new(at.path());
            let left = AtomicUsize::new(calls);
            let cut = back_up(dir.path(), &Cut::new(&place, &left, after), 60).await;
            let is_whole = cut.is_ok();
            let finished = back_up(dir.path(), &place, 61).await.unwrap();
            assert_eq!(wrong(&place).await.unwrap().0, [], "{calls} {after}");
            // At most the pages that were not written are read again.
            assert!(ids(&place).await.unwrap().len() <= 2);
            assert_eq!(finished.sealed.manifest.missing, [""; 0]);
            if is_whole {
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_restore_that_is_cut_off_anywhere_is_finished_by_the_next() {
    let (dir, at) = (tempdir().unwrap(), tempdir().unwrap());
    plant(dir.path(), 60).await;
    let place = Folder::new(at.path());
    let manifest = back_up(dir.path(), &place, 60).await.unwrap().sealed.manifest;
    for calls in 1.. {
        let target = tempdir().unwrap();
        let lake = Folder::new(target.path().join("lake"));
        let left = AtomicUsize::new(calls);
        let cut = Cut::new(&lake, &left, calls % 2 == 0);
        let is_whole = folder(&place, &manifest, target.path(), &cut, Means::default(), &quiet).await.is_ok();
        bring_back(&place, target.path(), Means::default()).await.unwrap();
        assert_equal(&place, target.path()).await;
        if is_whole {
            break;
        }
    }
}

#[tokio::test]
async fn a_byte_that_is_changed_anywhere_is_found() {
    let (dir, at) = (tempdir().unwrap(), tempdir().unwrap());
    plant(dir.path(), 60).await;
    let place = Folder::new(at.path());
    back_up(dir.path(), &place, 60).await.unwrap();
    let all = place.page("", "", 10_000).await.unwrap();
    // What only a run that is cut off reads is in no manifest.
    let all = all.iter().filter(|found| !found.key.ends_with("begun.json") && !found.key.ends_with("tables.json"));
    let mut looked = 0;
    for found in all {
        let path = at.path().join(&found.key);
        let good = fs::read(&path).unwrap();
        let mut bad = good.clone();
        let middle = bad.len() / 2;
        bad[middle] ^= 1;
        fs::write(&path, &bad).unwrap();
        let is_found = wrong(&place).await.map_or(true, |(found, _)| !found.is_empty());
        assert!(is_found, "{}", found.key);
        fs::remove_file(&path).unwrap();
        let is_found = wrong(&place).await.map_or(true, |(found, _)| !found.is_empty());
        assert!(is_found, "{} is gone", found.key);
        fs::write(&path, &good).unwrap();
        looked += 1;
    }
    assert!(looked > 10, "{looked}");
    assert_eq!(wrong(&place).await.unwrap().0, []);
}

#[tokio::test]
async fn newer_data_is_named_and_stays_unless_told() {
    let (dir, at) = (tempdir().unwrap(), tempdir().unwrap());
    plant(dir.path(), 60).await;
    let place = Folder::new(at.path());
    back_up(dir.path(), &place, 60).await.unwrap();
    send(&Local::open(dir.path()).unwrap(), 60, 100, 61).await;
    let refused = bring_back(&place, dir.path(), Means::default()).await.unwrap_err();
    assert!(
        matches!(&refused, BackupError::Newer { names, .. } if names.iter().any(|name| name.contains("checkpoints"))),
        "{refused}"
    );
    let rehearsed = bring_back(&place, dir.path(), Means { is_rehearsal: true, ..Means::default() }).await.unwrap();
    assert!(rehearsed.before.iter().any(|part| part.differs > 0));
    bring_back(&place, dir.path(), Means { overwrite: true, is_rehearsal: false }).await.unwrap();
    let database = sqlite::assemble(&place, &choose(&place, None, None).await.unwrap().manifest.tables).await.unwrap();
    let compared = sqlite::compare(&sqlite::path(database.path()), &sqlite::path(dir.path())).unwrap();
    assert!(compared.iter().all(|one| one.missing == 0 && one.more == 0), "{compared:?}");
}

#[tokio::test]
async fn pruning_leaves_the_newest_whole_and_nothing_of_the_others() {
    let (dir, at) = (tempdir().unwrap(), tempdir().unwrap());
    plant(dir.path(), 60).await;
    let place = Folder::new(at.path());
    back_up(dir.path(), &place, 60).await.unwrap();
    send(&Local::open(dir.path()).unwrap(), 60, 120, 61).await;
    // Nobody has this any more.
    let snapshots = dir.path().join("lake/bronze");
    let gone = fs::read_dir(&snapshots).unwrap().next().unwrap().unwrap().path();
    fs::rename(&gone, dir.path().join("gone")).unwrap();
    back_up(dir.path(), &place, 120).await.unwrap();
    let before = place.page(OBJECTS, "", 10_000).await.unwrap().len() as u64;
    let rehearsed = prune(&place, REHEARSAL, later(&place).await, &quiet).await.unwrap();
    assert_eq!(place.page(OBJECTS, "", 10_000).await.unwrap().len() as u64, before);
    let pruned = prune(&place, KEEP_ONE, later(&place).await, &quiet).await.unwrap();
    assert_eq!((&pruned, pruned.backups.len()), (&rehearsed, 1));
    assert!((place.page(OBJECTS, "", 10_000).await.unwrap().len() as u64) < before);
    assert_eq!(ids(&place).await.unwrap().len(), 1);
    let (found, _) = wrong(&place).await.unwrap();
    assert!(found.iter().all(|one| one.what.starts_with("bronze/")), "what the lake had lost: {found:?}");
    assert_eq!(prune(&place, KEEP_ONE, later(&place).await, &quiet).await.unwrap(), backup::prune::Pruned::default());
}

#[tokio::test]
async fn a_content_that_is_lost_is_written_by_the_next_backup() {
    let (dir, at) = (tempdir().unwrap(), tempdir().unwrap());
    plant(dir.path(), 60).await;
    let place = Folder::new(at.path());
    back_up(dir.path(), &place, 60).await.unwrap();
    fs::remove_file(some_content(&place, at.path()).await).unwrap();
    assert_ne!(wrong(&place).await.unwrap().0, []);
    back_up(dir.path(), &place, 61).await.unwrap();
    assert_eq!(wrong(&place).await.unwrap().0, []);
}

#[tokio::test]
async fn a_content_that_is_damaged_is_written_anew_when_all_is_read_again() {
    let (dir, at) = (tempdir().unwrap(), tempdir().unwrap());
    plant(dir.path(), 60).await;
    let place = Folder::new(at.path());
    back_up(dir.path(), &place, 60).await.unwrap();
    let content = some_content(&place, at.path()).await;
    let mut bytes = fs::read(&content).unwrap();
    bytes[0] ^= 1;
    fs::write(&content, bytes).unwrap();
    assert_ne!(wrong(&place).await.unwrap().0, []);
    back_up_as(subject(), dir.path(), &place, 61, Trust::Hash).await.unwrap();
    assert_eq!(wrong(&place).await.unwrap().0, []);
}

#[tokio::test]
async fn the_newest_is_that_of_the_environment_that_is_asked_for() {
    let (dir, at) = (tempdir().unwrap(), tempdir().unwrap());
    plant(dir.path(), 40).await;
    let place = Folder::new(at.path());
    let own = back_up(dir.path(), &place, 60).await.unwrap().sealed;
    let other = Subject { environment: "drill".into(), ..subject() };
    let other = back_up_as(other, dir.path(), &place, 61, Trust::Size).await.unwrap().sealed;
    assert_eq!(choose(&place, None, Some("plant")).await.unwrap(), own);
    assert_eq!(choose(&place, Some(&other.manifest.id), Some("drill")).await.unwrap(), other);
    for refused in [
        choose(&place, None, None).await,
        choose(&place, None, Some("staging")).await,
        choose(&place, Some(&other.manifest.id), Some("plant")).await,
    ] {
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains("--from-environment"), "{refused}");
    }
}

#[tokio::test]
async fn a_manifest_that_cannot_be_understood_stops_only_pruning() {
    let (dir, at) = (tempdir().unwrap(), tempdir().unwrap());
    plant(dir.path(), 40).await;
    let place = Folder::new(at.path());
    let first = back_up(dir.path(), &place, 60).await.unwrap().sealed;
    let second = back_up(dir.path(), &place, 61).await.unwrap().sealed;
    let path = at.path().join(second.manifest.id.key(manifest::NAME));
    fs::write(&path, "{").unwrap();
    assert_eq!(choose(&place, None, None).await.unwrap(), first);
    assert!(prune(&place, KEEP_ONE, later(&place).await, &quiet).await.is_err());
    let third = back_up(dir.path(), &place, 62).await.unwrap().sealed;
    assert_eq!(third.manifest.previous.as_ref().unwrap().id, first.manifest.id);
    for id in [&first.manifest.id, &third.manifest.id] {
        fs::write(at.path().join(id.key(manifest::NAME)), "{").unwrap();
    }
    assert!(matches!(choose(&place, None, None).await, Err(BackupError::Damaged { .. })));
}

#[tokio::test]
async fn a_backup_that_is_being_made_is_not_pruned() {
    let (dir, at) = (tempdir().unwrap(), tempdir().unwrap());
    plant(dir.path(), 60).await;
    let place = Folder::new(at.path());
    let elsewhere = Subject { region: "eu-north-1".into(), ..subject() };
    let left = AtomicUsize::new(30);
    let cut = back_up_as(elsewhere, dir.path(), &Cut::new(&place, &left, false), 60, Trust::Size).await;
    assert!(cut.is_err());
    let open: Vec<Id> = ids(&place).await.unwrap();
    send(&Local::open(dir.path()).unwrap(), 60, 80, 61).await;
    back_up(dir.path(), &place, 90).await.unwrap();
    let now = later(&place).await;
    let refused = prune(&place, KEEP_ONE, now, &quiet).await.unwrap_err().to_string();
    assert!(refused.contains("--force"), "{refused}");
    let later = Timestamp::from_millis(now.millis() + 25 * 3_600_000).unwrap();
    for (means, now) in [(prune::Means { force: true, ..KEEP_ONE }, now), (KEEP_ONE, later)] {
        prune(&place, means, now, &quiet).await.unwrap();
        assert!(ids(&place).await.unwrap().contains(&open[0]), "a whole one of another Region is no newer one of this");
    }
}

#[tokio::test]
async fn a_run_that_another_has_overtaken_is_not_pruned_while_it_is_at_work() {
    let (dir, at) = (tempdir().unwrap(), tempdir().unwrap());
    plant(dir.path(), 60).await;
    let place = Folder::new(at.path());
    let left = AtomicUsize::new(30);
    assert!(back_up(dir.path(), &Cut::new(&place, &left, false), 60).await.is_err());
    let overtaken = ids(&place).await.unwrap().remove(0);
    // One that reads all again does not take it up.
    back_up_as(subject(), dir.path(), &place, 61, Trust::Hash).await.unwrap();
    let before = place.page("", "", 10_000).await.unwrap();
    let now = later(&place).await;
    let refused = prune(&place, KEEP_ONE, now, &quiet).await.unwrap_err().to_string();
    assert!(refused.contains(overtaken.as_str()) && refused.contains("--force"), "{refused}");
    assert_eq!(place.page("", "", 10_000).await.unwrap(), before);
    let later = Timestamp::from_millis(now.millis() + 25 * 3_600_000).unwrap();
    assert_eq!(prune(&place, KEEP_ONE, later, &quiet).await.unwrap().backups, [overtaken]);
}

/// A place where somebody begins a backup when the first object is removed.
struct Meanwhile<'o> {
    place: &'o Folder,
    begun: &'o Id,
}

impl Objects for Meanwhile<'_> {
    fn name(&self) -> String {
        self.place.name()
    }
    async fn page(&self, prefix: &str, after: &str, count_max: usize) -> Result<Vec<Found>, StoreError> {
        self.place.page(prefix, after, count_max).await
    }
    async fn folders(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        self.place.folders(prefix).await
    }
    async fn read(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.place.read(key).await
    }
    async fn measure(&self, key: &str) -> Result<Option<u64>, StoreError> {
        self.place.measure(key).await
    }
    async fn put(&self, key: &str, body: &[u8], how: Put) -> Result<Became, StoreError> {
        self.place.put(key, body, how).await
    }
    async fn remove(&self, key: &str) -> Result<(), StoreError> {
        self.place.put(&self.begun.key("begun.json"), b"{}", Put::New).await?;
        self.place.remove(key).await
    }
}

#[tokio::test]
async fn a_backup_that_begins_while_old_ones_go_keeps_all_contents() {
    let (dir, at) = (tempdir().unwrap(), tempdir().unwrap());
    plant(dir.path(), 60).await;
    let place = Folder::new(at.path());
    back_up(dir.path(), &place, 60).await.unwrap();
    // Of what the first has, the second needs nothing of the database, and the newcomer may find anything.
    send(&Local::open(dir.path()).unwrap(), 60, 80, 61).await;
    let bronze = dir.path().join("lake/bronze");
    fs::rename(&bronze, dir.path().join("gone")).unwrap();
    back_up(dir.path(), &place, 90).await.unwrap();
    let contents = place.page(OBJECTS, "", 10_000).await.unwrap();
    let now = later(&place).await;
    let begun = Id::parse("elsewhere-1").unwrap();
    let refused =
        prune(&Meanwhile { place: &place, begun: &begun }, KEEP_ONE, now, &quiet).await.unwrap_err().to_string();
    assert!(refused.contains("`elsewhere-1` is not whole"), "{refused}");
    assert_eq!(place.page(OBJECTS, "", 10_000).await.unwrap(), contents);
    // What was begun upon was finished: the old one has gone, and the next run sweeps what nobody has.
    place.remove(&begun.key("begun.json")).await.unwrap();
    assert!(prune(&place, KEEP_ONE, now, &quiet).await.unwrap().objects > 0);
    assert!(place.page(OBJECTS, "", 10_000).await.unwrap().len() < contents.len());
}

#[tokio::test]
async fn without_a_list_of_a_backup_that_stays_nothing_is_pruned() {
    let (dir, at) = (tempdir().unwrap(), tempdir().unwrap());
    plant(dir.path(), 60).await;
    let place = Folder::new(at.path());
    back_up(dir.path(), &place, 60).await.unwrap();
    let made = back_up(dir.path(), &place, 61).await.unwrap();
    let list = &made.sealed.manifest.lake.iter().find(|area| area.name == "bronze").unwrap().lists[0];
    let good = place.read(&list.key).await.unwrap().unwrap();
    place.remove(&list.key).await.unwrap();
    let before = place.page("", "", 10_000).await.unwrap();
    let refused = prune(&place, KEEP_ONE, later(&place).await, &quiet).await.unwrap_err();
    assert!(matches!(&refused, BackupError::Damaged { place, .. } if *place == list.key), "{refused}");
    assert_eq!(place.page("", "", 10_000).await.unwrap(), before, "who finds the list again has its contents");
    place.put(&list.key, &good, Put::New).await.unwrap();
    prune(&place, KEEP_ONE, later(&place).await, &quiet).await.unwrap();
    assert_eq!(wrong(&place).await.unwrap().0, []);
}

#[tokio::test]
async fn a_folder_that_somebody_writes_to_stays_as_it_is() {
    let (dir, at, target) = (tempdir().unwrap(), tempdir().unwrap(), tempdir().unwrap());
    plant(dir.path(), 40).await;
    let place = Folder::new(at.path());
    back_up(dir.path(), &place, 60).await.unwrap();
    let writer = Local::open(target.path()).unwrap();
    let refused = bring_back(&place, target.path(), Means::default()).await.unwrap_err();
    assert!(matches!(refused, BackupError::Refused(_)), "{refused}");
    assert_eq!(Folder::new(target.path().join("lake")).page("", "", 1).await.unwrap(), []);
    drop(writer);
    bring_back(&place, target.path(), Means::default()).await.unwrap();
}

#[tokio::test]
async fn a_content_of_the_same_length_is_another_content() {
    let (dir, at) = (tempdir().unwrap(), tempdir().unwrap());
    plant(dir.path(), 40).await;
    let (place, lake) = (Folder::new(at.path()), Folder::new(dir.path().join("lake")));
    lake.put("models/acme/pump.json", b"1", Put::New).await.unwrap();
    back_up(dir.path(), &place, 60).await.unwrap();
    lake.put("models/acme/pump.json", b"2", Put::Replace).await.unwrap();
    let bronze = lake.page("bronze/", "", 1).await.unwrap().remove(0);
    let good = lake.read(&bronze.key).await.unwrap().unwrap();
    let bad: Vec<u8> = good.iter().map(|byte| !byte).collect();
    lake.put(&bronze.key, &bad, Put::Replace).await.unwrap();
    let refused = bring_back(&place, dir.path(), Means::default()).await.unwrap_err();
    assert!(matches!(refused, BackupError::Newer { count: 1, .. }), "{refused}");
    bring_back(&place, dir.path(), Means { overwrite: true, is_rehearsal: false }).await.unwrap();
    assert_eq!(lake.read("models/acme/pump.json").await.unwrap().unwrap(), b"1");
    assert_eq!(lake.read(&bronze.key).await.unwrap().unwrap(), good);
}
