//! The drill: a plant under way, the primary Region lost in the middle, the move to the other one and, where there is something to
//! go back to, the way back. What was counted is left in `drill.md` of the run's record.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_s3::primitives::ByteStream;
use e2e::{
    Carried, Ledger, Load, Playing, Publishing, Reading, Side, Subscriber, Twins, World, bronze_of, found_in, until,
};
use serde_json::Value;

const TENANT: &str = "acme";
const DEVICES: usize = 24;
/// 200 ms each.
const ROUNDS: usize = 170;
const WITHIN: Duration = Duration::from_mins(2);
/// What replication takes.
const LAG: Duration = Duration::from_secs(1);
/// From a reading to the message about it, and its note in the table.
const UNDER_WAY: Duration = Duration::from_secs(3);
/// RTO of the script: what a person waits for.
const MOVED_WITHIN: Duration = Duration::from_mins(1);

/// An environment in two Regions, and who listens in each.
struct Ground {
    twins: Twins,
    heard: [Subscriber; 2],
}

impl Ground {
    async fn lay(name: &str) -> Result<Option<Self>> {
        let more = ["-p", "pipeline:BatchWindowSeconds=0", "-p", "pipeline:ShardCount=2"];
        let playing = Playing { policies: true, brokers: true };
        let Some(twins) = Twins::deploy(name, playing, TENANT, &more).await? else { return Ok(None) };
        let topic = |side: Side| {
            let account = &twins.world(side).account;
            format!("arn:aws:sns:{}:{account}:{}", side.region(), twins.named(&format!("tenant-{TENANT}")))
        };
        // As a person writes it: with the topic of the one Region that she knows.
        let profile = format!(
            "[alerts]\nstorm_openings = 1000\nmessages_per_hour = 1000\n\n[channels.ops]\ntype = \"sns\"\ntopic = \"{}\"\n\n\
             [[alerts.routes]]\nchannels = [\"ops\"]\n",
            topic(Side::Primary)
        );
        let put = twins.world(Side::Primary).s3.put_object().bucket(twins.lake(Side::Primary));
        let put = put.key(format!("config/{TENANT}/profile.toml")).body(ByteStream::from(profile.into_bytes()));
        put.send().await.context("cannot store the profile")?;
        let heard = Side::BOTH.map(|side| Subscriber::new(twins.world(side), &topic(side), &format!("heard-{name}")));
        let [here, there] = heard;
        let synced = twins.millrace(Side::Primary, &["dr", "sync"], &[])?;
        ensure!(synced.status.success(), "`millrace dr sync`: {}", String::from_utf8_lossy(&synced.stderr));
        twins.link().until_quiet(WITHIN).await?;
        twins.link().set_every_lag(LAG);
        Ok(Some(Self { twins, heard: [here?, there?] }))
    }

    /// `millrace dr …`; the steps as they were printed.
    fn dr(&self, verb: &str, to: Side) -> Result<(Vec<BTreeMap<String, String>>, Duration)> {
        let lake = self.twins.lake(to);
        let arguments =
            ["--to", to.region(), "--from", to.across().region(), "--lake", &lake, "--yes", "--output", "json"];
        let began = began();
        let done = self.twins.millrace(to, &["dr", verb], &arguments)?;
        let took = began.elapsed();
        let words = String::from_utf8_lossy(&done.stderr);
        ensure!(done.status.success(), "`millrace dr {verb}`: {words}");
        let rows: Vec<BTreeMap<String, Value>> =
            serde_json::from_slice(&done.stdout).context("rows are told in JSON")?;
        let text = |value: Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        Ok((
            rows.into_iter().map(|row| row.into_iter().map(|(name, value)| (name, text(value))).collect()).collect(),
            took,
        ))
    }

    fn world(&self, side: Side) -> &World {
        self.twins.world(side)
    }

    /// Waits until a Region has heard that another has the say, and says when that was.
    async fn hears(&self, side: Side, active: Side) -> Result<Instant> {
        let (table, stream) = (self.twins.named("checkpoints"), self.twins.named("telemetry"));
        until("it has heard who has the say", WITHIN, || async {
            let get = self.world(side).dynamodb.get_item().table_name(&table).consistent_read(true);
            let item = get.key("pk", AttributeValue::S(stream.clone())).send().await.context("ask for the epoch")?.item;
            let says = item.and_then(|item| item.get("active")?.as_s().ok().cloned());
            Ok((says.as_deref() == Some(active.region())).then(began))
        })
        .await
    }

    /// The anomalies that a Region knows.
    async fn found(&self, side: Side) -> Result<BTreeMap<(String, String), String>> {
        found_in(self.world(side), &self.twins.named("results")).await
    }

    /// The readings that a Region's lake has.
    async fn kept(&self, side: Side) -> Result<BTreeSet<Reading>> {
        let lines = bronze_of(self.world(side), &self.twins.lake(side)).await?;
        let readings = lines.iter().filter_map(|line| {
            let payload: Value = serde_json::from_slice(&line.payload).ok()?;
            Some((line.partition_key.clone(), payload["ts"].as_i64()?))
        });
        Ok(readings.collect())
    }
}

#[expect(clippy::disallowed_methods, reason = "how long it takes is what is measured")]
fn began() -> Instant {
    Instant::now()
}

/// Messages that say that an incident has opened: device → in which Regions it was told, and the incidents that were named.
#[derive(Debug, Default)]
struct Opened {
    told: BTreeMap<String, Vec<(Side, String)>>,
}

impl Opened {
    fn take(&mut self, ground: &Ground, sides: &[Side]) -> Result<()> {
        for side in sides {
            for told in ground.heard[usize::from(*side == Side::Other)].take()? {
                let field = |name: &str| told.attributes[name]["Value"].as_str().unwrap_or_default().to_owned();
                if field("state") == "opened" {
                    let incident = told.body["incident"].clone();
                    let id = incident.as_str().map_or_else(|| incident["id"].to_string(), str::to_owned);
                    self.told.entry(field("device")).or_default().push((*side, id));
                }
            }
        }
        Ok(())
    }

    /// Nobody is told twice, but for what ran hot while the Regions did not hear each other: from so short a time before the loss
    /// that the note of the message had not left the Region, until it is heard again and has heard who has the say (ADR 0016).
    fn none_twice_but_while_deaf(&self, ledger: &Ledger, lost: Instant, heard: Instant) -> Result<()> {
        let (from, until) = (lost.checked_sub(LAG + UNDER_WAY).context("a clock")?, heard + UNDER_WAY);
        for (device, told) in self.twice() {
            let hot = ledger.hot.get(device).with_context(|| format!("{device} was not hot"))?;
            ensure!((from..until).contains(hot), "{device} was told of twice: {told:?}");
            let incidents: BTreeSet<&String> = told.iter().map(|(_, id)| id).collect();
            ensure!(told.len() == 2, "{device} was told of by each Region once, at the most: {incidents:?}");
        }
        Ok(())
    }

    /// Devices that were told more than once.
    fn twice(&self) -> Vec<(&String, &Vec<(Side, String)>)> {
        self.told.iter().filter(|(_, told)| told.len() > 1).collect()
    }
}

/// The rows of a timeline as Markdown.
fn timeline(text: &mut String, rows: &[BTreeMap<String, String>]) -> Result<()> {
    writeln!(text, "\n| step | outcome | at s | takes s | seen |\n|---|---|---|---|---|")?;
    for row in rows {
        let cell = |name: &str| row.get(name).map_or("", String::as_str);
        writeln!(
            text,
            "| {} | {} | {} | {} | {} |",
            cell("step"),
            cell("outcome"),
            cell("at_seconds"),
            cell("seconds"),
            cell("evidence")
        )?;
    }
    Ok(())
}

fn record(name: &str, text: &str) -> Result<()> {
    let folder = World::record().context("MILLRACE_TEST_RECORD is not set")?;
    std::fs::write(folder.join(name), text).with_context(|| format!("cannot write {name}"))
}

/// Waits until so many devices have run hot.
async fn hot(load: &Load, devices: usize) -> Result<()> {
    until("machines run hot", WITHIN, || async { Ok((load.ledger().hot.len() >= devices).then_some(())) }).await
}

/// Waits until every hot machine was told of.
async fn all_told(ground: &Ground, opened: &mut Opened, ledger: &Ledger, sides: &[Side]) -> Result<()> {
    let bound = began();
    while ledger.hot.keys().any(|device| !opened.told.contains_key(device)) {
        opened.take(ground, sides)?;
        if bound.elapsed() > WITHIN {
            let missing: Vec<&String> = ledger.hot.keys().filter(|device| !opened.told.contains_key(*device)).collect();
            anyhow::bail!("nobody was told of {missing:?}; {:?}", opened.told.keys());
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn with_dual_publishing_nothing_is_lost_and_the_way_back_counts_the_same() -> Result<()> {
    let Some(ground) = Ground::lay("drill-dual").await? else { return Ok(()) };
    let mut text = String::from("# Drill: dual publishing, the primary frozen in the middle, and back\n");
    let load = Load::begin(&ground.twins, TENANT, DEVICES, ROUNDS, Publishing::Both)?;
    hot(&load, 6).await?;
    ground.twins.pair().freeze(Side::Primary)?;
    let frozen = began();
    let (rows, took) = ground.dr("failover", Side::Other)?;
    ensure!(took < MOVED_WITHIN, "the move took {took:?}");
    timeline(&mut text, &rows)?;
    hot(&load, 16).await?;
    // It comes back with all that it believed, and finds out that it has not the say.
    ground.twins.pair().thaw(Side::Primary)?;
    let heard = ground.hears(Side::Primary, Side::Other).await?;
    let (rows, took_back) = ground.dr("failback", Side::Primary)?;
    timeline(&mut text, &rows)?;
    let ledger = load.finish()?;

    let mut opened = Opened::default();
    all_told(&ground, &mut opened, &ledger, &Side::BOTH).await?;
    ground.twins.link().set_every_lag(Duration::ZERO);
    let sent: BTreeSet<Reading> = ledger.taken.iter().flat_map(|taken| taken.keys().cloned()).collect();
    until("every reading is in both lakes", WITHIN, || async {
        let (here, there) = (ground.kept(Side::Primary).await?, ground.kept(Side::Other).await?);
        Ok((sent.is_subset(&here) && sent.is_subset(&there)).then_some(()))
    })
    .await?;
    ground.twins.link().until_quiet(WITHIN).await?;
    opened.take(&ground, &Side::BOTH)?;
    let (here, there) = (ground.found(Side::Primary).await?, ground.found(Side::Other).await?);
    let devices: BTreeSet<&str> =
        here.keys().filter_map(|(pk, _)| pk.split_once('#').map(|(_, device)| device)).collect();
    let limits = here.len();
    writeln!(
        text,
        "\n- moved in {:.1} s, back in {:.1} s\n- readings: {} sent, 0 lost\n- machines that ran hot: {}, anomalies {limits} in {} and {} in {}\n\
         - told of: {} machines, twice: {}",
        took.as_secs_f64(),
        took_back.as_secs_f64(),
        sent.len(),
        ledger.hot.len(),
        Side::Primary.region(),
        there.len(),
        Side::Other.region(),
        opened.told.len(),
        opened.twice().len(),
    )?;
    record("drill-dual.md", &text)?;
    ensure!(here.keys().eq(there.keys()), "the Regions differ");
    ensure!(ledger.hot.keys().all(|device| devices.contains(device.as_str())), "a hot machine was not found");
    ensure!(opened.told.keys().eq(ledger.hot.keys()), "somebody was told of what was not so");
    opened.none_twice_but_while_deaf(&ledger, frozen, heard)
}

#[tokio::test(flavor = "multi_thread")]
async fn without_it_no_more_is_lost_than_was_under_way() -> Result<()> {
    let Some(ground) = Ground::lay("drill-told").await? else { return Ok(()) };
    let mut text = String::from("# Drill: devices that publish to one Region, which is killed in the middle\n");
    let load = Load::begin(&ground.twins, TENANT, DEVICES, ROUNDS, Publishing::Told)?;
    let mut opened = Opened::default();
    hot(&load, 6).await?;
    opened.take(&ground, &[Side::Primary])?;
    ground.twins.pair().kill(Side::Primary)?;
    let killed = began();
    let moving = began();
    let (rows, took) = ground.dr("failover", Side::Other)?;
    ensure!(took < MOVED_WITHIN, "the move took {took:?}");
    timeline(&mut text, &rows)?;
    let of_there = format!("{}/", Side::Other.region());
    let first = until("an anomaly is found there", WITHIN, || async {
        let found = ground.found(Side::Other).await?;
        Ok(found.values().any(|shard| shard.starts_with(&of_there)).then(|| moving.elapsed()))
    })
    .await?;
    let ledger = load.finish()?;

    let [here, there] = &ledger.taken;
    until("what devices sent there is in its lake", WITHIN, || async {
        let kept = ground.kept(Side::Other).await?;
        Ok(there.keys().all(|reading| kept.contains(reading)).then_some(()))
    })
    .await?;
    let kept = ground.kept(Side::Other).await?;
    let lost: BTreeMap<&Reading, Duration> = here
        .iter()
        .filter(|(reading, _)| !kept.contains(*reading))
        .map(|(reading, at)| (reading, killed.duration_since(*at)))
        .collect();
    let oldest = lost.values().max().copied().unwrap_or_default();
    // Whose hot readings have arrived somewhere is told of.
    let lost_devices: BTreeSet<&String> = lost.keys().map(|(device, _)| device).collect();
    let expected: BTreeSet<String> =
        ledger.hot.keys().filter(|device| !lost_devices.contains(device)).cloned().collect();
    until("they were told of", WITHIN, || {
        let taken = opened.take(&ground, &[Side::Other]);
        let all = expected.iter().all(|device| opened.told.contains_key(device));
        async move { taken.map(|()| all.then_some(())) }
    })
    .await?;
    let carried = ground.twins.link().told(Side::Primary, Carried::Lake);
    writeln!(
        text,
        "\n- moved in {:.1} s; first anomaly committed in {} {:.1} s after `dr failover` began\n- devices told after {:.1} s\n\
         - readings: {} taken by {}, {} by {}; lost {}, the oldest {:.2} s before the loss (replication was {:.1} s late, {} objects \
         were on their way)\n- machines that ran hot: {}; told of {}, twice {}",
        took.as_secs_f64(),
        Side::Other.region(),
        first.as_secs_f64(),
        ledger.told.first().map_or(f64::NAN, |(_, at)| at.duration_since(killed).as_secs_f64()),
        here.len(),
        Side::Primary.region(),
        there.len(),
        Side::Other.region(),
        lost.len(),
        oldest.as_secs_f64(),
        LAG.as_secs_f64(),
        carried.stranded,
        ledger.hot.len(),
        opened.told.len(),
        opened.twice().len(),
    )?;
    record("drill-told.md", &text)?;
    // A batch is committed, and its object written, some time after the record was taken.
    ensure!(oldest < LAG + UNDER_WAY, "something was lost that was {oldest:?} old");
    ensure!(ledger.kept == 0 && !there.is_empty(), "devices did not find the other Region");
    opened.none_twice_but_while_deaf(&ledger, killed, killed)
}
