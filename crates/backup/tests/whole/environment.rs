//! An environment with tables of items and a stream that is made anew: there and back, under every cut.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;

use anomaly_core::Timestamp;
use backup::create::{Source, create};
use backup::folder::Folder;
use backup::item::{self, Item, Record};
use backup::manifest::{Manifest, StreamFacts, Subject, choose};
use backup::objects::{Objects, Put};
use backup::place::{Id, Trust};
use backup::restore::{Means, Restored, Target, Went, environment};
use backup::scan::{self, ItemStore, Over, Table, keys};
use backup::tables::{How, TakeTables, Taken};
use backup::{BackupError, Watch, compare};
use kinesis_scorer::fold::Tenancy;
use platform::embedded::Local;
use platform::embedded::stream::REGION;
use platform::model::{Checkpoint, CheckpointChange, HashRange, ObjectRef, SnapshotRef, Transaction};
use platform::ports::{CommitTransaction as _, ListCheckpoints as _, StoreError};
use serde_json::json;
use telemetry::sequence::SequenceNumber;
use tempfile::tempdir;

use super::cut::Cut;
use super::plant::{SHARD, STREAM, at, plant, quiet, send, shard, shards, wrong};

/// Two tables in memory.
#[derive(Debug, Default)]
pub(crate) struct Items {
    tables: Mutex<BTreeMap<(&'static str, String), Item>>,
    /// Keys in the order of the puts.
    puts: Mutex<Vec<String>>,
}

impl Items {
    fn place(&self, table: Table, item: Item) {
        self.tables.lock().unwrap().insert((table.name(), item::name(&item)), item);
    }

    fn all(&self, table: Table) -> Vec<Item> {
        let tables = self.tables.lock().unwrap();
        tables.iter().filter(|((name, _), _)| *name == table.name()).map(|(_, item)| item.clone()).collect()
    }
}

impl ItemStore for Items {
    async fn scan(
        &self,
        table: Table,
        segment: (u32, u32),
        after: Option<Item>,
    ) -> Result<(Vec<Item>, Option<Item>), StoreError> {
        let of_segment = |name: &str| name.bytes().map(u32::from).sum::<u32>() % segment.1 == segment.0;
        let all: Vec<Item> = self.all(table).into_iter().filter(|item| of_segment(&item::name(item))).collect();
        let from = after.map_or(0, |after| {
            all.iter().position(|item| keys(table, item) == after).map_or(0, |position| position + 1)
        });
        let page: Vec<Item> = all[from..].iter().take(3).cloned().collect();
        let next = page.last().filter(|_| from + page.len() < all.len()).map(|item| keys(table, item));
        Ok((page, next))
    }

    async fn get(&self, table: Table, wanted: Vec<Item>) -> Result<Vec<Item>, StoreError> {
        Ok(self.all(table).into_iter().filter(|item| wanted.contains(&keys(table, item))).collect())
    }

    async fn put(&self, table: Table, item: &Item, over: Over) -> Result<bool, StoreError> {
        let mut tables = self.tables.lock().unwrap();
        let key = (table.name(), item::name(item));
        let holds = match over {
            Over::Anything => true,
            Over::Nothing => !tables.contains_key(&key),
            Over::Version(version) => tables.get(&key).is_some_and(|live| live["version"] == item::of_number(version)),
        };
        if holds {
            self.puts.lock().unwrap().push(key.1.clone());
            tables.insert(key, item.clone());
        }
        Ok(holds)
    }
}

impl TakeTables for Items {
    async fn take<P: Objects + Sync>(
        &self,
        place: &P,
        id: &Id,
        begun: Timestamp,
        watch: Watch<'_>,
    ) -> Result<Taken, BackupError> {
        scan::take(self, place, id, begun, watch).await
    }
}

/// The tables of a folder as items, with an incident.
async fn items_of(dir: &Path) -> Items {
    let (world, items) = (Local::open(dir).unwrap(), Items::default());
    for (shard, checkpoint) in world.list_checkpoints(REGION, STREAM).await.unwrap() {
        items.place(Table::Checkpoints, item::of_checkpoint(&shard, &checkpoint).unwrap());
    }
    for anomaly in world.recent_anomalies(None, 1_000).await.unwrap() {
        let mut value = serde_json::to_value(&anomaly).unwrap();
        let keys = json!({"pk": anomaly.partition_key(), "sk": anomaly.sort_key(), "kind": "anomaly"});
        value.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
        let item = item::of_json(&value)["M"].as_object().unwrap().clone();
        items.place(Table::Results, item);
    }
    let state = json!({
        "pk": {"S": "acme#pump-1"}, "sk": {"S": "S"}, "kind": {"S": "state"}, "tenant": {"S": "acme"},
        "device": {"S": "pump-1"}, "status": {"S": "normal"}, "since": {"N": "1790000000000"}, "score": {"N": "0.1"},
        "seq": {"S": "7"}, "epoch": {"N": "3"}, "expires_at": {"N": "1890000000"}
    });
    items.place(Table::Results, state.as_object().unwrap().clone());
    let incident =
        json!({"pk": {"S": "acme#pump-1"}, "sk": {"S": "I#1"}, "kind": {"S": "entry"}, "version": {"N": "4"}});
    items.place(Table::Results, incident.as_object().unwrap().clone());
    items
}

fn subject() -> Subject {
    let stream = Some(StreamFacts { name: STREAM.into(), shards: vec![(SHARD.into(), HashRange::ALL)] });
    Subject { environment: "prod".into(), region: REGION.into(), stream }
}

async fn back_up(dir: &Path, items: &Items, place: &(impl Objects + Sync)) -> Manifest {
    let lake = Folder::new(dir.join("lake"));
    let source = Source { subject: subject(), lake: &lake, tables: items, documents: &[] };
    create(&source, place, at(200), Trust::Size, &quiet).await.unwrap().sealed.manifest
}

async fn bring_back<O: Objects + Sync, S: ItemStore>(
    place: &Folder,
    lake: &O,
    items: &S,
    region: &str,
    means: Means,
) -> Result<Restored, BackupError> {
    let sealed = choose(place, None, None).await?;
    environment(place, &sealed.manifest, &target(lake, items, region), means, &quiet).await
}

fn target<'t, O, S>(lake: &'t O, items: &'t S, region: &str) -> Target<'t, O, S> {
    Target {
        lake,
        items,
        region: region.to_owned(),
        stream: STREAM.into(),
        shards: shards(),
        tenancy: Tenancy::new(None, "default"),
        now: at(300),
    }
}

/// What the shard went on with: devices of the former stream, such as it had learned of itself, and such as gave way.
fn went(devices: usize, newer: usize, replaced: usize) -> [Went; 1] {
    [Went { shard: SHARD.to_owned(), devices, newer, replaced }]
}

async fn compared(place: &Folder, lake: &Folder, items: &Items, region: &str) -> Vec<compare::Part> {
    let manifest = choose(place, None, None).await.unwrap().manifest;
    let mut parts = compare::lake(place, &manifest, lake, false, &quiet).await.unwrap();
    parts.extend(compare::items(place, &manifest, &target(lake, items, region), &quiet).await.unwrap());
    parts
}

async fn assert_equal(place: &Folder, lake: &Folder, items: &Items, region: &str) {
    let parts = compared(place, lake, items, region).await;
    assert!(parts.iter().all(compare::Part::is_equal), "{parts:?}");
}

#[tokio::test]
async fn a_restored_environment_is_equal_and_its_new_stream_is_scored_with_what_was_known() {
    let (dir, at, restored) = (tempdir().unwrap(), tempdir().unwrap(), tempdir().unwrap());
    plant(dir.path(), 200).await;
    let place = Folder::new(at.path());
    let manifest = back_up(dir.path(), &items_of(dir.path()).await, &place).await;
    assert_eq!(manifest.tables.how, How::Scan);
    assert_eq!(wrong(&place).await.unwrap().0, []);

    let (lake, items) = (Folder::new(restored.path().join("lake")), Items::default());
    let done = bring_back(&place, &lake, &items, REGION, Means::default()).await.unwrap();
    assert_eq!(done.shards, went(4, 0, 0));
    assert_equal(&place, &lake, &items, REGION).await;
    let puts = items.puts.lock().unwrap().clone();
    let last_entry = puts.iter().rposition(|key| !key.contains(", A#") && key.contains(", ")).unwrap();
    let first_anomaly = puts.iter().position(|key| key.contains(", A#")).unwrap();
    assert!(last_entry < first_anomaly, "who tells people must find that they are told: {puts:?}");
    let state = items.all(Table::Results).into_iter().find(|item| item::text(item, "sk") == Some("S")).unwrap();
    assert_eq!((item::text(&state, "seq").unwrap(), state.get("epoch")), (SequenceNumber::ZERO.as_str(), None));

    // The real scorer over what was restored; the stream's numbers begin at 1.
    let world = Local::open(restored.path()).unwrap();
    world.define_shards(STREAM, &shards()).await.unwrap();
    let item = items.all(Table::Checkpoints).remove(0);
    let Record::Checkpoint(_, next) = item::of_checkpoints(&item).unwrap() else { panic!("{item:?}") };
    let change = CheckpointChange { shard: &shard(), next: &next, expected: None };
    world.commit(&Transaction { checkpoint: Some(change), ..Transaction::default() }).await.unwrap();
    send(&world, 200, 360, 1).await;
    let undisturbed = Local::open(dir.path()).unwrap();
    send(&undisturbed, 200, 360, 201).await;
    let found = |all: Vec<platform::model::AnomalyRecord>| {
        let later = all.into_iter().filter(|one| one.detected_at >= super::plant::at(200));
        later.map(|one| one.anomaly.id.to_string()).collect::<Vec<_>>()
    };
    let expected = found(undisturbed.recent_anomalies(None, 1_000).await.unwrap());
    assert!(!expected.is_empty());
    assert_eq!(found(world.recent_anomalies(None, 1_000).await.unwrap()), expected);
}

#[tokio::test]
async fn another_regions_stream_takes_over_the_devices_and_the_old_batches_keep_their_end() {
    let (dir, at, restored) = (tempdir().unwrap(), tempdir().unwrap(), tempdir().unwrap());
    plant(dir.path(), 100).await;
    let source = items_of(dir.path()).await;
    let epoch =
        json!({"pk": {"S": STREAM}, "epoch": {"N": "2"}, "active": {"S": REGION}, "since": {"N": "1790000000000"}});
    source.place(Table::Checkpoints, epoch.as_object().unwrap().clone());
    let place = Folder::new(at.path());
    back_up(dir.path(), &source, &place).await;
    let (lake, items) = (Folder::new(restored.path().join("lake")), Items::default());
    bring_back(&place, &lake, &items, "eu-north-1", Means::default()).await.unwrap();
    assert_equal(&place, &lake, &items, "eu-north-1").await;
    let mut checkpoints = BTreeMap::new();
    for item in items.all(Table::Checkpoints) {
        match item::of_checkpoints(&item).unwrap() {
            Record::Checkpoint(shard, checkpoint) => drop(checkpoints.insert(shard.region, checkpoint)),
            Record::Epoch(_, epoch) => assert_eq!((epoch.epoch, epoch.active.as_str()), (3, "eu-north-1")),
            other => panic!("{other:?}"),
        }
    }
    assert!(checkpoints[REGION].is_former() && checkpoints[REGION].batch.len() == 12);
    let new = &checkpoints["eu-north-1"];
    assert_eq!((new.epoch, new.last_seq, new.batch.as_str()), (3, SequenceNumber::ZERO, "0"));
    let again = bring_back(&place, &lake, &items, "eu-north-1", Means::default()).await.unwrap();
    assert!(again.before.iter().all(|part| part.missing == 0 && part.differs == 0), "{again:?}");
}

#[tokio::test]
async fn what_a_shard_has_learned_since_is_named_and_stays_unless_told() {
    let (dir, at, restored) = (tempdir().unwrap(), tempdir().unwrap(), tempdir().unwrap());
    plant(dir.path(), 60).await;
    let place = Folder::new(at.path());
    back_up(dir.path(), &items_of(dir.path()).await, &place).await;
    plant(restored.path(), 80).await;
    let (lake, items) = (Folder::new(restored.path().join("lake")), items_of(restored.path()).await);
    let refused = bring_back(&place, &lake, &items, REGION, Means::default()).await.unwrap_err();
    assert!(refused.to_string().contains("has learned of 4 devices"), "{refused}");
    assert_eq!(items.puts.lock().unwrap().len(), 0);
    let done = bring_back(&place, &lake, &items, REGION, Means { overwrite: true, is_rehearsal: false }).await.unwrap();
    assert_eq!(done.shards, went(0, 4, 0), "what it has learned itself is newer");
}

#[tokio::test]
async fn a_restore_that_is_cut_off_anywhere_is_finished_by_the_next() {
    let (dir, at) = (tempdir().unwrap(), tempdir().unwrap());
    plant(dir.path(), 60).await;
    let place = Folder::new(at.path());
    back_up(dir.path(), &items_of(dir.path()).await, &place).await;
    for after in [false, true] {
        for calls in 1.. {
            let target = tempdir().unwrap();
            let (lake, items) = (Folder::new(target.path().join("lake")), Items::default());
            let left = AtomicUsize::new(calls);
            let (cut_lake, cut_items) = (Cut::new(&lake, &left, after), Cut::new(&items, &left, after));
            let is_whole = bring_back(&place, &cut_lake, &cut_items, REGION, Means::default()).await.is_ok();
            bring_back(&place, &lake, &items, REGION, Means::default()).await.unwrap();
            assert_equal(&place, &lake, &items, REGION).await;
            if is_whole {
                break;
            }
        }
    }
}

/// The checkpoint of a folder's shard, as an item of another Region's.
async fn checkpoint_of(dir: &Path, region: &str) -> Item {
    let item = items_of(dir).await.all(Table::Checkpoints).remove(0);
    let Record::Checkpoint(_, checkpoint) = item::of_checkpoints(&item).unwrap() else { panic!("{item:?}") };
    let shard = platform::model::ShardId { region: region.into(), ..shard() };
    item::of_checkpoint(&shard, &checkpoint).unwrap()
}

#[tokio::test]
async fn a_living_peers_checkpoint_stays_whatever_is_overwritten() {
    let (dir, at, restored) = (tempdir().unwrap(), tempdir().unwrap(), tempdir().unwrap());
    plant(dir.path(), 40).await;
    let place = Folder::new(at.path());
    let source = items_of(dir.path()).await;
    source.place(Table::Checkpoints, checkpoint_of(dir.path(), "eu-north-1").await);
    back_up(dir.path(), &source, &place).await;
    send(&Local::open(dir.path()).unwrap(), 40, 80, 41).await;
    let (lake, items) = (Folder::new(restored.path().join("lake")), Items::default());
    let living = checkpoint_of(dir.path(), "eu-north-1").await;
    items.place(Table::Checkpoints, living.clone());
    let done = bring_back(&place, &lake, &items, REGION, Means { overwrite: true, is_rehearsal: false }).await.unwrap();
    assert!(items.all(Table::Checkpoints).contains(&living));
    let [.., looked] = done.before.as_slice() else { panic!("{done:?}") };
    assert_eq!((looked.missing, looked.differs, looked.moved_on), (1, 0, 1), "{looked:?}");
    let parts = compared(&place, &lake, &items, REGION).await;
    let [.., checkpoints, _] = parts.as_slice() else { panic!("{parts:?}") };
    assert_eq!((checkpoints.equal, checkpoints.moved_on), (1, 1));
    assert!(parts.iter().all(compare::Part::is_equal), "that a peer goes on is no difference: {parts:?}");
}

#[tokio::test]
async fn a_peers_checkpoint_that_stands_before_the_backup_differs() {
    let (dir, at, restored) = (tempdir().unwrap(), tempdir().unwrap(), tempdir().unwrap());
    plant(dir.path(), 40).await;
    let early = checkpoint_of(dir.path(), "eu-north-1").await;
    send(&Local::open(dir.path()).unwrap(), 40, 80, 41).await;
    let place = Folder::new(at.path());
    let source = items_of(dir.path()).await;
    source.place(Table::Checkpoints, checkpoint_of(dir.path(), "eu-north-1").await);
    back_up(dir.path(), &source, &place).await;
    let (lake, items) = (Folder::new(restored.path().join("lake")), Items::default());
    items.place(Table::Checkpoints, early);
    let refused = bring_back(&place, &lake, &items, REGION, Means::default()).await.unwrap_err();
    assert!(refused.to_string().contains("the checkpoint of eu-north-1"), "{refused}");
    let parts = compared(&place, &lake, &items, REGION).await;
    let [.., checkpoints, _] = parts.as_slice() else { panic!("{parts:?}") };
    assert_eq!((checkpoints.differs, checkpoints.moved_on), (1, 0));
}

/// The checkpoint of the target's one shard.
fn checkpoint(items: &Items) -> Checkpoint {
    let of_shard = |item: Item| match item::of_checkpoints(&item).unwrap() {
        Record::Checkpoint(found, checkpoint) if found == shard() => Some(*checkpoint),
        _ => None,
    };
    items.all(Table::Checkpoints).into_iter().find_map(of_shard).unwrap()
}

#[tokio::test]
async fn a_shard_at_number_0_is_equal_only_with_the_very_snapshot_that_a_restore_gives_it() {
    let (dir, other, at, restored) = (tempdir().unwrap(), tempdir().unwrap(), tempdir().unwrap(), tempdir().unwrap());
    plant(dir.path(), 60).await;
    let place = Folder::new(at.path());
    back_up(dir.path(), &items_of(dir.path()).await, &place).await;
    let (lake, items) = (Folder::new(restored.path().join("lake")), Items::default());
    bring_back(&place, &lake, &items, REGION, Means::default()).await.unwrap();
    assert_equal(&place, &lake, &items, REGION).await;
    let good = checkpoint(&items);
    let differs = async |changed: &Checkpoint| {
        items.place(Table::Checkpoints, item::of_checkpoint(&shard(), changed).unwrap());
        let parts = compared(&place, &lake, &items, REGION).await;
        parts.iter().map(|part| part.differs).sum::<u64>()
    };

    // Of the same plant an hour later, with the same batch, under the name and with the hash that it has.
    plant(other.path(), 120).await;
    let elsewhere = Folder::new(other.path().join("at"));
    back_up(other.path(), &items_of(other.path()).await, &elsewhere).await;
    let (their_lake, their_items) = (Folder::new(other.path().join("new/lake")), Items::default());
    bring_back(&elsewhere, &their_lake, &their_items, REGION, Means::default()).await.unwrap();
    let theirs = checkpoint(&their_items).snapshot.unwrap();
    let bytes = their_lake.read(theirs.object.key.as_str()).await.unwrap().unwrap();
    let key = platform::model::Key::new("state/other.snap").unwrap();
    lake.put(key.as_str(), &bytes, Put::New).await.unwrap();
    let object = ObjectRef { key, ..theirs.object };
    let foreign = Checkpoint { snapshot: Some(SnapshotRef { object, ..theirs }), ..good.clone() };
    assert_eq!(differs(&foreign).await, 1);
    assert_eq!(differs(&Checkpoint { batch: "0".into(), ..good.clone() }).await, 1);
    assert_eq!(differs(&Checkpoint { stream_time: super::plant::at(1), ..good.clone() }).await, 1);
    assert_eq!(differs(&Checkpoint { snapshot: None, ..good.clone() }).await, 1, "it would begin with its parents");
    assert_eq!(differs(&Checkpoint { version: good.version + 1, ..good.clone() }).await, 0, "a second restore's");
    let path = restored.path().join("lake").join(good.snapshot.as_ref().unwrap().object.key.as_str());
    std::fs::remove_file(path).unwrap();
    assert_eq!(differs(&good).await, 1, "its snapshot has gone");

    // What was there instead is told, and the next restore mends it.
    let done = bring_back(&place, &lake, &items, REGION, Means::default()).await.unwrap();
    assert_eq!(done.shards, went(4, 0, 0));
    assert_equal(&place, &lake, &items, REGION).await;
}

#[tokio::test]
async fn a_shard_of_another_region_that_was_not_succeeded_is_missing() {
    let (dir, at, restored) = (tempdir().unwrap(), tempdir().unwrap(), tempdir().unwrap());
    plant(dir.path(), 60).await;
    let source = items_of(dir.path()).await;
    let place = Folder::new(at.path());
    back_up(dir.path(), &source, &place).await;
    let (lake, items) = (Folder::new(restored.path().join("lake")), Items::default());
    bring_back(&place, &lake, &items, "eu-north-1", Means::default()).await.unwrap();
    assert_equal(&place, &lake, &items, "eu-north-1").await;
    items.tables.lock().unwrap().retain(|(_, key), _| !key.starts_with("eu-north-1#"));
    let parts = compared(&place, &lake, &items, "eu-north-1").await;
    assert_eq!(parts.iter().map(|part| part.missing).sum::<u64>(), 1, "{parts:?}");
    // Where the former stream still stands, a shard that was split off it waits for its first record.
    let parts = compared(&place, &Folder::new(dir.path().join("lake")), &source, "eu-north-1").await;
    assert!(parts.iter().all(compare::Part::is_equal), "{parts:?}");
}

#[tokio::test]
async fn what_a_lake_has_in_areas_that_the_backup_has_not_is_newer() {
    let (dir, at) = (tempdir().unwrap(), tempdir().unwrap());
    plant(dir.path(), 40).await;
    let place = Folder::new(at.path());
    let items = items_of(dir.path()).await;
    back_up(dir.path(), &items, &place).await;
    let lake = Folder::new(dir.path().join("lake"));
    assert_equal(&place, &lake, &items, REGION).await;
    lake.put("models/acme/pump.json", b"{}", Put::New).await.unwrap();
    let parts = compared(&place, &lake, &items, REGION).await;
    let newer: Vec<_> = parts.iter().filter(|part| !part.is_equal()).map(|part| (&*part.name, part.newer)).collect();
    assert_eq!(newer, [("models", 1)]);
}

/// A table whose shard was taught by a restore of `dir`, and by nothing else.
async fn taught(dir: &Path, lake: &Folder) -> Items {
    let (at, items) = (tempdir().unwrap(), Items::default());
    let place = Folder::new(at.path());
    back_up(dir, &items_of(dir).await, &place).await;
    bring_back(&place, lake, &items, REGION, Means::default()).await.unwrap();
    let only = checkpoint(&items);
    let taught = Items::default();
    taught.place(Table::Checkpoints, item::of_checkpoint(&shard(), &only).unwrap());
    taught
}

#[tokio::test]
async fn what_a_shard_was_taught_before_its_first_record_gives_way_unless_the_backup_does_not_know_it() {
    let (dir, at, less) = (tempdir().unwrap(), tempdir().unwrap(), tempdir().unwrap());
    plant(dir.path(), 60).await;
    plant(less.path(), 2).await;
    let place = Folder::new(at.path());
    // The backup knows of all devices, and gives the better detectors.
    back_up(dir.path(), &items_of(dir.path()).await, &place).await;
    let restored = tempdir().unwrap();
    let lake = Folder::new(restored.path().join("lake"));
    let items = taught(less.path(), &lake).await;
    let done = bring_back(&place, &lake, &items, REGION, Means::default()).await.unwrap();
    assert_eq!(done.shards, went(4, 0, 2));

    // It knows two of the four: the others are named, and nothing is done.
    let (at, restored) = (tempdir().unwrap(), tempdir().unwrap());
    let (place, lake) = (Folder::new(at.path()), Folder::new(restored.path().join("lake")));
    back_up(less.path(), &items_of(less.path()).await, &place).await;
    let items = taught(dir.path(), &lake).await;
    let before = items.all(Table::Checkpoints);
    let refused = bring_back(&place, &lake, &items, REGION, Means::default()).await.unwrap_err().to_string();
    assert!(refused.contains("was taught 2 devices that the backup has not, such as acme/fan-1"), "{refused}");
    assert_eq!((items.all(Table::Checkpoints), items.puts.lock().unwrap().len()), (before, 0));
    let means = Means { overwrite: true, is_rehearsal: false };
    let done = bring_back(&place, &lake, &items, REGION, means).await.unwrap();
    assert_eq!(done.shards, went(2, 0, 4));
}

#[tokio::test]
async fn after_a_move_the_detectors_of_the_region_that_has_the_say_are_brought_back() {
    let (dir, at, restored) = (tempdir().unwrap(), tempdir().unwrap(), tempdir().unwrap());
    plant(dir.path(), 2).await;
    let source = items_of(dir.path()).await;
    send(&Local::open(dir.path()).unwrap(), 2, 60, 3).await;
    source.place(Table::Checkpoints, checkpoint_of(dir.path(), "eu-north-1").await);
    let epoch = json!({
        "pk": {"S": STREAM}, "epoch": {"N": "2"}, "active": {"S": "eu-north-1"}, "since": {"N": "1790000000000"}
    });
    source.place(Table::Checkpoints, epoch.as_object().unwrap().clone());
    let place = Folder::new(at.path());
    back_up(dir.path(), &source, &place).await;
    let (lake, items) = (Folder::new(restored.path().join("lake")), Items::default());
    let done = bring_back(&place, &lake, &items, REGION, Means::default()).await.unwrap();
    assert_eq!(done.shards, went(4, 0, 0), "two devices are known to the Region of the backup");
}

#[tokio::test]
async fn the_detectors_of_the_later_restore_win_while_nothing_was_learned() {
    let (dir, restored) = (tempdir().unwrap(), tempdir().unwrap());
    plant(dir.path(), 2).await;
    let (lake, items) = (Folder::new(restored.path().join("lake")), Items::default());
    for (count, before, at) in [(2, 0, tempdir().unwrap()), (4, 2, tempdir().unwrap())] {
        let place = Folder::new(at.path());
        back_up(dir.path(), &items_of(dir.path()).await, &place).await;
        let means = Means { overwrite: true, is_rehearsal: false };
        let done = bring_back(&place, &lake, &items, REGION, means).await.unwrap();
        assert_eq!(done.shards, went(count, 0, before));
        assert_equal(&place, &lake, &items, REGION).await;
        if count == 2 {
            send(&Local::open(dir.path()).unwrap(), 2, 60, 3).await;
        }
    }
}

#[tokio::test]
async fn a_backup_that_lacks_what_a_checkpoint_stands_on_is_refused_before_anything_is_written() {
    let (dir, at, restored) = (tempdir().unwrap(), tempdir().unwrap(), tempdir().unwrap());
    plant(dir.path(), 100).await;
    let source = items_of(dir.path()).await;
    let lost = checkpoint(&source).snapshot.unwrap().object.key.as_str().to_owned();
    std::fs::remove_file(dir.path().join("lake").join(&lost)).unwrap();
    let place = Folder::new(at.path());
    assert_eq!(back_up(dir.path(), &source, &place).await.missing, [lost.as_str()]);
    let (found, totals) = wrong(&place).await.unwrap();
    assert_eq!(found.iter().map(|one| one.what.as_str()).collect::<Vec<_>>(), [lost.as_str()]);
    assert_eq!(totals.shards, 0, "the one there is cannot go on");
    let (lake, items) = (Folder::new(restored.path().join("lake")), Items::default());
    for is_rehearsal in [true, false] {
        let means = Means { is_rehearsal, ..Means::default() };
        let refused = bring_back(&place, &lake, &items, REGION, means).await.unwrap_err();
        assert!(refused.to_string().starts_with(&lost), "{refused}");
    }
    assert_eq!((lake.page("", "", 1).await.unwrap(), items.puts.lock().unwrap().len()), (vec![], 0));
}
