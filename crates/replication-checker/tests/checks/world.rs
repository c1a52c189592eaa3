//! Two Regions in memory, with replication that is late or loses, things that can be changed, and calls that are refused or never
//! answered. Time is that of tokio's paused clock: nothing here waits.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use account::{Kind as TroubleKind, Trouble};
use anomaly_core::Timestamp;
use replication_checker::canary::{Canary, Place};
use replication_checker::ground::{Ground, Names};
use replication_checker::ports::{
    Copying, EndpointConfig, FunctionState, Functions, Items, Listed, Looked, Model, Models, Object, Objects, Rule,
    StreamState, Streams, Table, TableState, Thing, Things,
};
use replication_checker::{Check, Checker, Done, Kind, Limits, Side, Verdict};
use tokio::time::{Duration, Instant};

use crate::made::{Made, alike};

/// The two sides.
pub(crate) const REGIONS: [&str; 2] = ["eu-west-1", "eu-central-1"];
pub(crate) const ACCOUNT: &str = "123456789012";
const VERSIONS_KEPT: usize = 3;
const BEGIN_MS: i64 = 1_790_000_000_000;

pub(crate) fn bucket(region: &str) -> String {
    format!("millrace-prod-{ACCOUNT}-{region}")
}

/// Something that is replicated.
struct Copied<T> {
    value: T,
    written_ms: i64,
    origin: usize,
    /// Since when it is to be seen on each side; `None`: never.
    from_ms: [Option<i64>; 2],
}

/// How late replication is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Lag {
    /// Anything below so many milliseconds, as chance has it.
    Below(i64),
    /// It arrives nowhere.
    Lost,
}

pub(crate) struct State {
    objects: BTreeMap<String, Vec<Copied<Vec<u8>>>>,
    items: BTreeMap<(Table, Place), Vec<Copied<Canary>>>,
    /// By side and what copies: the lake, or a table.
    pub(crate) lags: BTreeMap<(usize, Option<Table>), Lag>,
    pub(crate) sides: [Made; 2],
    pub(crate) refused: BTreeMap<(usize, &'static str), TroubleKind>,
    pub(crate) silent: BTreeSet<(usize, &'static str)>,
    chance: u64,
}

impl State {
    /// A number below `bound`, by chance that is the same in each run (Knuth's MMIX generator).
    pub(crate) fn chance(&mut self, bound: i64) -> i64 {
        self.chance = self.chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.chance >> 33) % bound.max(1) as u64) as i64
    }

    fn arrival(&mut self, side: usize, of: Option<Table>, written_ms: i64) -> [Option<i64>; 2] {
        let lag = self.lags.get(&(side, of)).copied().unwrap_or(Lag::Below(3_000));
        let there = match lag {
            Lag::Below(bound) => Some(written_ms + self.chance(bound)),
            Lag::Lost => None,
        };
        let mut from_ms = [there; 2];
        from_ms[side] = Some(written_ms);
        from_ms
    }

    pub(crate) fn put(&mut self, side: usize, key: &str, value: Vec<u8>, written_ms: i64) {
        let from_ms = self.arrival(side, None, written_ms);
        let all = self.objects.entry(key.to_owned()).or_default();
        // What is older has long been written over on both sides.
        all.drain(..all.len().saturating_sub(VERSIONS_KEPT));
        all.push(Copied { value, written_ms, origin: side, from_ms });
    }

    /// Takes a copy away on one side.
    pub(crate) fn lose(&mut self, side: usize, key: &str) {
        for copied in self.objects.get_mut(key).unwrap() {
            copied.from_ms[side] = None;
        }
    }

    pub(crate) fn forget_before(&mut self, ms: i64) {
        self.objects.retain(|key, all| !key.starts_with("bronze/") || all.iter().any(|one| one.written_ms >= ms));
    }
}

fn newest<T>(all: Option<&Vec<Copied<T>>>, side: usize, now_ms: i64) -> Option<&Copied<T>> {
    let seen = all?.iter().filter(|one| one.from_ms[side].is_some_and(|from_ms| from_ms <= now_ms));
    seen.max_by_key(|one| one.written_ms)
}

/// Both Regions.
#[derive(Clone)]
pub(crate) struct World {
    state: Arc<Mutex<State>>,
    began: Instant,
}

/// One of them.
#[derive(Clone)]
pub(crate) struct Here {
    world: World,
    side: usize,
}

impl World {
    /// Two Regions that are set up alike.
    pub(crate) fn new(seed: u64) -> Self {
        let state = State {
            objects: BTreeMap::new(),
            items: BTreeMap::new(),
            lags: BTreeMap::new(),
            sides: [0, 1].map(|side| alike(REGIONS[side], REGIONS[1 - side])),
            refused: BTreeMap::new(),
            silent: BTreeSet::new(),
            chance: seed,
        };
        let world = Self { state: Arc::new(Mutex::new(state)), began: Instant::now() };
        let day_ago = BEGIN_MS - 86_400_000;
        for tenant in ["acme", "bolt"] {
            let profile = format!("config/{tenant}/profile.toml");
            world.state().put(0, &profile, b"[metrics]".to_vec(), day_ago);
        }
        let card = br#"{"version":1,"sha256":"ab","bytes":8,"card":{}}"#.to_vec();
        world.state().put(0, "models/acme/pump/1/model.json", card, day_ago);
        world.state().put(0, "models/acme/pump/1/model.millrace", b"artifact".to_vec(), day_ago);
        world.state().put(0, "models/acme/pump/1/model.tar.gz", b"its archive".to_vec(), day_ago);
        for side in [0, 1] {
            world.batch(side, BEGIN_MS - 3_600_000);
        }
        world
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(crate) fn now_ms(&self) -> i64 {
        BEGIN_MS + self.began.elapsed().as_millis() as i64
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.now_ms()).unwrap()
    }

    /// The scorer of a side commits a batch.
    pub(crate) fn batch(&self, side: usize, at_ms: i64) -> String {
        let (at, region) = (Timestamp::from_millis(at_ms).unwrap(), REGIONS[side]);
        let key = format!("bronze/dt={}/hour=00/{region}/plant/shard-0/{at_ms}.ndjson.zst", at.date());
        self.state().put(side, &key, at_ms.to_le_bytes().to_vec(), at_ms);
        key
    }

    /// When which object and canary was last written.
    pub(crate) fn written(&self) -> Vec<(String, i64)> {
        let state = self.state();
        let objects = state.objects.iter().map(|(key, all)| (key.clone(), all[all.len() - 1].written_ms));
        let items = state.items.iter().map(|(at, all)| (format!("{at:?}"), all[all.len() - 1].written_ms));
        objects.chain(items).collect()
    }

    pub(crate) fn region(&self, side: usize) -> Here {
        Here { world: self.clone(), side }
    }

    /// A checker on a side.
    pub(crate) fn checker(&self, side: usize) -> Checker<Here> {
        let at = |side: usize| Side {
            ground: Ground {
                region: REGIONS[side].to_owned(),
                account: Some(ACCOUNT.to_owned()),
                bucket: bucket(REGIONS[side]),
            },
            region: self.region(side),
        };
        Checker {
            name: REGIONS[side].to_owned(),
            here: at(side),
            there: at(1 - side),
            names: Names { environment: "prod".to_owned(), tenant: None },
            stream: "millrace-prod-telemetry".to_owned(),
            limits: Limits::default(),
            kinds: Kind::ALL.into(),
            has_peer: true,
            is_dry: false,
        }
    }

    pub(crate) async fn check(&self, side: usize) -> Done {
        let told = Mutex::new(Vec::new());
        let hear = |checks: &[Check]| told.lock().unwrap().extend_from_slice(checks);
        let done = self.checker(side).check(|| self.now(), hear).await;
        // Who watches hears of every check, and of each once.
        let (mut told, mut all) = (told.into_inner().unwrap(), done.report.checks.clone());
        let order = |one: &Check, other: &Check| format!("{one:?}").cmp(&format!("{other:?}"));
        told.sort_by(order);
        all.sort_by(order);
        assert_eq!(told, all);
        assert_eq!(done.unstored, [], "the report was stored");
        done
    }

    /// Both Regions check twice, five minutes apart, so that each knows the other and nothing is new.
    pub(crate) async fn settle(&self) {
        for _ in 0..2 {
            self.check(0).await;
            self.check(1).await;
            self.wait(300).await;
        }
    }

    pub(crate) async fn wait(&self, seconds: u64) {
        tokio::time::advance(Duration::from_secs(seconds)).await;
    }
}

/// What is not well.
pub(crate) fn unwell(done: &Done) -> Vec<&Check> {
    done.report.checks.iter().filter(|check| check.verdict != Verdict::Ok).collect()
}

impl Here {
    /// Refuses, or never answers, where that is asked for.
    async fn call<T>(&self, action: &'static str, answer: impl FnOnce(&mut State, usize, i64) -> T) -> Looked<T> {
        let (is_silent, kind) = {
            let state = self.world.state();
            (state.silent.contains(&(self.side, action)), state.refused.get(&(self.side, action)).copied())
        };
        if is_silent {
            std::future::pending::<()>().await;
        }
        if let Some(kind) = kind {
            let (subject, message) = (REGIONS[self.side].to_owned(), "refused by the test".to_owned());
            return Err(Trouble { action, subject, kind, message });
        }
        Ok(answer(&mut self.world.state(), self.side, self.world.now_ms()))
    }
}

fn whole<T>(all: impl IntoIterator<Item = T>) -> Listed<T> {
    Listed { all: all.into_iter().collect(), is_cut: false }
}

impl Objects for Here {
    async fn put(&self, key: &str, body: Vec<u8>) -> Looked<()> {
        self.call("put", |state, side, now_ms| state.put(side, key, body, now_ms)).await
    }

    async fn get(&self, key: &str, _: usize) -> Looked<Option<Vec<u8>>> {
        self.call("get", |state, side, now_ms| {
            newest(state.objects.get(key), side, now_ms).map(|found| found.value.clone())
        })
        .await
    }

    async fn list(&self, prefix: &str, count_max: usize) -> Looked<Listed<Object>> {
        self.call("list", |state, side, now_ms| {
            let below = state.objects.range(prefix.to_owned()..).take_while(|(key, _)| key.starts_with(prefix));
            let objects = below.filter_map(|(key, all)| {
                let found = newest(Some(all), side, now_ms)?;
                Some(Object {
                    key: key.clone(),
                    bytes: found.value.len() as u64,
                    tag: format!("{:?}", found.value),
                    modified: Timestamp::from_millis(found.written_ms / 1_000 * 1_000).unwrap(),
                })
            });
            let mut listed = whole(objects);
            listed.is_cut = listed.all.len() > count_max;
            listed.all.truncate(count_max);
            listed
        })
        .await
    }

    async fn copying(&self, key: &str) -> Looked<Option<Copying>> {
        self.call("copying", |state, side, now_ms| {
            let found = newest(state.objects.get(key), side, now_ms)?;
            let has_arrived = found.from_ms[1 - side].is_some_and(|from_ms| from_ms <= now_ms);
            Some(match state.sides[side].copying {
                _ if found.origin != side => Copying::Replica,
                Some(copying) => copying,
                None if has_arrived => Copying::Completed,
                None => Copying::Pending,
            })
        })
        .await
    }
}

impl Items for Here {
    async fn put_canary(&self, table: Table, place: &Place, canary: &Canary) -> Looked<()> {
        self.call("put_canary", |state, side, now_ms| {
            let from_ms = state.arrival(side, Some(table), now_ms);
            let copied = Copied { value: *canary, written_ms: now_ms, origin: side, from_ms };
            state.items.entry((table, place.clone())).or_default().push(copied);
        })
        .await
    }

    async fn canary(&self, table: Table, place: &Place) -> Looked<Option<Canary>> {
        self.call("canary", |state, side, now_ms| {
            newest(state.items.get(&(table, place.clone())), side, now_ms).map(|found| found.value)
        })
        .await
    }

    async fn table(&self, table: Table) -> Looked<Option<TableState>> {
        self.call("table", |state, side, _| state.sides[side].tables.get(&table).cloned()).await
    }
}

impl Streams for Here {
    async fn stream(&self, _: &str) -> Looked<Option<StreamState>> {
        self.call("stream", |state, side, _| state.sides[side].stream.clone()).await
    }
}

impl Models for Here {
    async fn models(&self, _: usize) -> Looked<Listed<Model>> {
        self.call("models", |state, side, _| whole(state.sides[side].models.clone())).await
    }

    async fn endpoint_configs(&self, _: usize) -> Looked<Listed<EndpointConfig>> {
        self.call("endpoint_configs", |state, side, _| whole(state.sides[side].configs.clone())).await
    }
}

impl Things for Here {
    async fn things(&self, attribute: &str, value: &str, _: usize) -> Looked<Listed<Thing>> {
        self.call("things", |state, side, _| {
            let all = state.sides[side].things.clone().into_iter();
            let all = all.map(|(name, attributes)| Thing { name, attributes });
            whole(all.filter(|thing| thing.attributes.get(attribute).is_some_and(|found| found == value)))
        })
        .await
    }

    async fn principals(&self, thing: &str) -> Looked<Vec<String>> {
        self.call("principals", |state, side, _| state.sides[side].principals.get(thing).cloned().unwrap_or_default())
            .await
    }

    async fn certificates(&self, _: usize) -> Looked<Listed<(String, String)>> {
        self.call("certificates", |state, side, _| whole(state.sides[side].certificates.clone())).await
    }

    async fn policies(&self, prefix: &str, _: usize) -> Looked<Listed<(String, String)>> {
        self.call("policies", |state, side, _| {
            let all = state.sides[side].policies.iter().filter(|(name, _)| name.starts_with(prefix));
            whole(all.map(|(name, (document, _))| (name.clone(), document.clone())))
        })
        .await
    }

    async fn holders(&self, policy: &str, _: usize) -> Looked<Listed<String>> {
        self.call("holders", |state, side, _| {
            whole(state.sides[side].policies.get(policy).map(|(_, holders)| holders.clone()).unwrap_or_default())
        })
        .await
    }

    async fn rules(&self, prefix: &str, _: usize) -> Looked<Listed<Rule>> {
        self.call("rules", |state, side, _| {
            whole(state.sides[side].rules.values().filter(|rule| rule.name.starts_with(prefix)).cloned())
        })
        .await
    }
}

impl Functions for Here {
    async fn function(&self, name: &str) -> Looked<Option<FunctionState>> {
        self.call("function", |state, side, _| state.sides[side].functions.get(name).cloned()).await
    }
}
