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
use backup::objects::Objects;
use backup::place::{Id, Trust};
use backup::restore::{Means, Restored, Target, environment};
use backup::scan::{self, ItemStore, Over, Table, keys};
use backup::tables::{How, TakeTables, Taken};
use backup::{BackupError, Watch, compare};
use kinesis_scorer::fold::Tenancy;
use platform::embedded::Local;
use platform::embedded::stream::REGION;
use platform::model::{CheckpointChange, HashRange, Transaction};
use platform::ports::{CommitTransaction as _, ListCheckpoints as _, StoreError};
use serde_json::json;
use telemetry::sequence::SequenceNumber;
use tempfile::tempdir;

use super::cut::Cut;
use super::plant::{SHARD, STREAM, at, plant, quiet, send, shard, shards, wrong};

/// Two tables in memory.
#[derive(Debug, Default)]
struct Items {
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
    let target = Target {
        lake,
        items,
        region: region.to_owned(),
        stream: STREAM.into(),
        shards: shards(),
        tenancy: Tenancy::new(None, "default"),
        now: at(300),
    };
    environment(place, &sealed.manifest, &target, means, &quiet).await
}

async fn assert_equal(place: &Folder, lake: &Folder, items: &Items) {
    let manifest = choose(place, None, None).await.unwrap().manifest;
    let mut parts = compare::lake(place, &manifest, lake, false, &quiet).await.unwrap();
    parts.extend(compare::items(place, &manifest, items, &quiet).await.unwrap());
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
    assert_eq!(done.shards, [(SHARD.to_owned(), 4, 0)]);
    assert_equal(&place, &lake, &items).await;
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
    assert_equal(&place, &lake, &items).await;
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
    assert_eq!(done.shards, [(SHARD.to_owned(), 0, 4)], "what it has learned itself is newer");
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
            assert_equal(&place, &lake, &items).await;
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
    bring_back(&place, &lake, &items, REGION, Means { overwrite: true, is_rehearsal: false }).await.unwrap();
    assert!(items.all(Table::Checkpoints).contains(&living));
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
    assert_eq!(done.shards, [(SHARD.to_owned(), 4, 0)], "two devices are known to the Region of the backup");
}

#[tokio::test]
async fn the_detectors_of_the_later_restore_win_while_nothing_was_learned() {
    let (dir, restored) = (tempdir().unwrap(), tempdir().unwrap());
    plant(dir.path(), 2).await;
    let (lake, items) = (Folder::new(restored.path().join("lake")), Items::default());
    for (count, at) in [(2, tempdir().unwrap()), (4, tempdir().unwrap())] {
        let place = Folder::new(at.path());
        back_up(dir.path(), &items_of(dir.path()).await, &place).await;
        let means = Means { overwrite: true, is_rehearsal: false };
        let done = bring_back(&place, &lake, &items, REGION, means).await.unwrap();
        assert_eq!(done.shards, [(SHARD.to_owned(), count, 0)]);
        if count == 2 {
            send(&Local::open(dir.path()).unwrap(), 2, 60, 3).await;
        }
    }
}
