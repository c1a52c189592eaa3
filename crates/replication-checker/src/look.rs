//! Looks at one side: asks its ports, and makes of the answers what can be compared.
//!
//! Every kind is asked for by itself and has its own time, so that one service that refuses or does not answer leaves the
//! others to be seen. What this does not do: compare.

mod devices;
mod lake;
mod models;

use std::collections::{BTreeMap, BTreeSet};

use anomaly_core::Timestamp;
use futures_util::future::join_all;

use crate::check::Kind;
use crate::gather::{gather, within};
use crate::ground::{Ground, Names};
use crate::inventory::{Inventory, Item};
use crate::limits::Limits;
use crate::ports::{FunctionState, Looked, Region, Sample, StreamState, Table, TableState};

/// What is to be looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// Of which environment.
    pub names: Names,
    /// Its stream.
    pub stream: String,
    /// The kinds.
    pub kinds: BTreeSet<Kind>,
    /// Which check this is: what is looked at by turns goes on from here.
    pub turn: u64,
}

impl Scope {
    fn has(&self, kind: Kind) -> bool {
        self.kinds.contains(&kind)
    }
}

/// What was seen of one side.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sight {
    /// The Region.
    pub region: String,
    /// Objects, by prefix of a day.
    pub days: BTreeMap<String, Looked<Inventory>>,
    /// How far the copying of single objects of this Region is.
    pub copying: Option<Looked<Vec<Sample>>>,
    /// The tables.
    pub tables: BTreeMap<Table, Looked<Option<TableState>>>,
    /// The stream.
    pub stream: Option<Looked<Option<StreamState>>>,
    /// The rest, by kind.
    pub inventories: BTreeMap<Kind, Looked<Inventory>>,
}

/// One side while it is looked at.
#[derive(Debug)]
struct Eye<'a, R> {
    ground: &'a Ground,
    region: &'a R,
    scope: &'a Scope,
    limits: &'a Limits,
}

/// Looks at everything that is in the scope. `now` is the time that names yesterday and today.
pub async fn look<R: Region>(ground: &Ground, region: &R, scope: &Scope, limits: &Limits, now: Timestamp) -> Sight {
    let eye = &Eye { ground, region, scope, limits };
    let wants = |kind| scope.has(kind);
    let listings = async {
        let prefixes = if wants(Kind::LakeListing) || wants(Kind::LakeStatus) { lake::days(now) } else { Vec::new() };
        join_all(prefixes.into_iter().map(|prefix| async move {
            let listed = eye.within("ListObjectsV2", &prefix, eye.day(&prefix)).await;
            (prefix, listed)
        }))
        .await
    };
    let tables = async {
        let wanted = Table::ALL.into_iter().filter(|_| wants(Kind::Replica));
        join_all(wanted.map(|table| async move {
            (table, within(limits, "DescribeTable", table.word(), region.table(table)).await)
        }))
        .await
    };
    let stream = async {
        if !wants(Kind::Stream) {
            return None;
        }
        let seen = eye.within("DescribeStreamSummary", &scope.stream, region.stream(&scope.stream)).await;
        // The key may be named by its ARN.
        let plain = |state: StreamState| StreamState { encryption: ground.plain(&state.encryption), ..state };
        Some(seen.map(|state| state.map(plain)))
    };
    let functions = eye.inventory(Kind::Function, eye.functions());
    let profiles = eye.inventory(Kind::Profile, eye.profiles());
    let rest = async { tokio::join!(functions, profiles, eye.models(), eye.devices()) };
    let (days, tables, stream, (functions, profiles, models, devices)) = tokio::join!(listings, tables, stream, rest);
    let days: BTreeMap<_, _> = days.into_iter().collect();
    let copying = if wants(Kind::LakeStatus) {
        Some(eye.within("HeadObject", "bronze/", eye.copying(&days)).await)
    } else {
        None
    };
    let inventories = [functions, profiles].into_iter().flatten().chain(models).chain(devices).collect();
    Sight { region: ground.region.clone(), days, copying, tables: tables.into_iter().collect(), stream, inventories }
}

impl<R: Region> Eye<'_, R> {
    /// A look that takes too long is a failure to look.
    async fn within<T>(
        &self,
        action: &'static str,
        subject: &str,
        looking: impl Future<Output = Looked<T>>,
    ) -> Looked<T> {
        within(self.limits, action, subject, looking).await
    }

    /// The inventory of a kind, if it is wanted.
    async fn inventory(
        &self,
        kind: Kind,
        looking: impl Future<Output = Looked<Inventory>>,
    ) -> Option<(Kind, Looked<Inventory>)> {
        if self.scope.has(kind) { Some((kind, self.within("Look", kind.word(), looking).await)) } else { None }
    }

    /// Functions by name. None on both sides is no fault: not every environment has all.
    async fn functions(&self) -> Looked<Inventory> {
        let names = Names::FUNCTIONS.map(|name| self.scope.names.function(name));
        let asked = gather(names.iter().map(|name| self.region.function(name))).await?;
        let items = names.into_iter().zip(asked).filter_map(|(name, function)| {
            let FunctionState { code_sha256, architecture } = function?;
            Some((name, Item { form: format!("{architecture} {code_sha256}"), since: None }))
        });
        Ok(Inventory { items: items.collect(), ..Inventory::default() })
    }
}
