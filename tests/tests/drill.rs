//! The drill: a plant under way, the primary Region lost in the middle, the move to the other one and, where there is something to
//! go back to, the way back. What was counted is left in `drill.md` of the run's record.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};
use aws_sdk_s3::primitives::ByteStream;
use e2e::{
    Found, Ledger, Load, Playing, Publishing, Reading, Side, Subscriber, Twins, World, bronze_of, found_in, until,
};
use serde_json::Value;

const TENANT: &str = "acme";
const DEVICES: usize = 24;
/// 200 ms each.
const ROUNDS: usize = 220;
const WITHIN: Duration = Duration::from_mins(2);
/// What replication takes.
const LAG: Duration = Duration::from_secs(1);
/// From a message to the note that it was sent.
const NOTED: Duration = Duration::from_secs(1);
/// From the end of that to the write in the other Region: an object is copied at a time.
const ON_ITS_WAY: Duration = Duration::from_millis(500);
/// From a reading that was taken to its object in the lake.
const UNDER_WAY: Duration = Duration::from_secs(3);
/// How long a Region that goes on takes for what it had in hand when it stood still.
const IN_HAND: Duration = Duration::from_secs(3);
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

    /// The anomalies that a Region knows.
    async fn found(&self, side: Side) -> Result<BTreeMap<(String, String), Found>> {
        found_in(self.world(side), &self.twins.named("results")).await
    }

    /// The readings that a Region's lake has.
    async fn kept(&self, side: Side) -> Result<BTreeSet<Reading>> {
        self.kept_where(side, |_| true).await
    }

    /// Those of them that stand in objects of such keys.
    async fn kept_where(&self, side: Side, is_wanted: impl Fn(&str) -> bool) -> Result<BTreeSet<Reading>> {
        let lines = bronze_of(self.world(side), &self.twins.lake(side)).await?;
        let readings = lines.iter().filter(|line| is_wanted(&line.key)).filter_map(|line| {
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

/// Now, and as clocks have it.
#[derive(Debug, Clone, Copy)]
struct Moment {
    at: Instant,
    ms: i64,
}

impl Moment {
    fn now() -> Self {
        #[expect(clippy::disallowed_methods, reason = "when messages came is told in the time of clocks")]
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { at: began(), ms: since.as_millis() as i64 }
    }
}

/// A message that says that an incident has opened.
#[derive(Debug)]
struct Opening {
    by: Side,
    /// The incident, and the number of its notice: by these whoever gets a message knows that he has it already.
    id: String,
    at_ms: i64,
}

/// Those messages by device, in the order in which they came.
#[derive(Debug, Default)]
struct Opened {
    told: BTreeMap<String, Vec<Opening>>,
}

impl Opened {
    fn take(&mut self, ground: &Ground, sides: &[Side]) -> Result<()> {
        for side in sides {
            for told in ground.heard[usize::from(*side == Side::Other)].take()? {
                let field = |name: &str| told.attributes[name]["Value"].as_str().unwrap_or_default().to_owned();
                if field("state") == "opened" {
                    let incident = told.body["incident"].as_str().context("a message names its incident")?;
                    let notice = told.body["notice"].as_u64().context("a message has a number")?;
                    let id = format!("{incident}#{notice}");
                    let opening = Opening { by: *side, id, at_ms: told.at_ms as i64 };
                    let of_device = self.told.entry(field("device")).or_default();
                    of_device.push(opening);
                    of_device.sort_by_key(|opening| opening.at_ms);
                }
            }
        }
        Ok(())
    }

    /// Nobody gets an alert twice: what comes again bears the key of what is there, and only that comes again of which the Region that
    /// was lost had told so shortly before that the note of it had not left (ADR 0016), or which SNS had in hand when its Region stood
    /// still and sends when that goes on, `again`.
    fn none_twice(&self, lost: Moment, again: Option<Moment>) -> Result<()> {
        let known_until_ms = lost.ms - (LAG + NOTED).as_millis() as i64;
        let mut in_hand = 0;
        for (device, told) in self.repeated() {
            let alerts: BTreeSet<&str> = told.iter().map(|opening| opening.id.as_str()).collect();
            ensure!(alerts.len() == 1, "{device} had {} alerts: {told:?}", alerts.len());
            let [one, other] = told.as_slice() else { bail!("{device} had more than two messages: {told:?}") };
            let by_the_lost = if one.by == Side::Primary { one } else { other };
            let is_unknowable = (known_until_ms..=lost.ms).contains(&by_the_lost.at_ms);
            let is_in_hand =
                again.is_some_and(|again| (0..IN_HAND.as_millis() as i64).contains(&(by_the_lost.at_ms - again.ms)));
            in_hand += usize::from(is_in_hand);
            ensure!(
                one.by != other.by && (is_unknowable || is_in_hand),
                "the message of {device} came again, {} ms and {} ms after the loss: {told:?}",
                one.at_ms - lost.ms,
                other.at_ms - lost.ms
            );
        }
        ensure!(in_hand <= 1, "a function sends one message at a time: {:?}", self.repeated());
        Ok(())
    }

    /// Devices with more than one message.
    fn repeated(&self) -> Vec<(&String, &Vec<Opening>)> {
        self.told.iter().filter(|(_, told)| told.len() > 1).collect()
    }

    /// Those as a list, with when that was.
    fn repeated_in_words(&self, lost: Moment) -> String {
        let one = |opening: &Opening| {
            format!("{} {:+.1} s {}", opening.by.region(), (opening.at_ms - lost.ms) as f64 / 1e3, opening.id)
        };
        let lines = self.repeated().into_iter().map(|(device, told)| {
            format!(
                "\n  - {device}, by when the Region was lost: {}",
                told.iter().map(one).collect::<Vec<_>>().join(", ")
            )
        });
        lines.collect()
    }
}

/// How often each detector found something, in words.
fn by_detector(found: &BTreeMap<(String, String), Found>) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for found in found.values() {
        *counts.entry(&found.detector).or_default() += 1;
    }
    counts.into_iter().map(|(detector, count)| format!("{count} {detector}")).collect::<Vec<_>>().join(", ")
}

/// Machines whose limit was crossed, once for each time that it was found, in order.
fn breaches(found: &BTreeMap<(String, String), Found>) -> Vec<&str> {
    let breaches = found.iter().filter(|(_, found)| found.detector == "limit");
    let mut devices: Vec<&str> = breaches.filter_map(|((pk, _), _)| Some(pk.split_once('#')?.1)).collect();
    devices.sort_unstable();
    devices
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

/// Leaves what was seen, and tells it where the test fails.
#[expect(clippy::print_stderr, reason = "a test that fails shows what it has printed")]
fn record(name: &str, text: &str) -> Result<()> {
    eprintln!("{text}");
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

/// No fan-out was refused an answer: a Region is asked by the role that the template gives.
fn asking_is_allowed(name: &str) -> Result<()> {
    let folder = World::record().context("MILLRACE_TEST_RECORD is not set")?;
    for side in Side::BOTH {
        let path = folder.join(format!("{name}-{}/ministack.log", side.region()));
        let log = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let refused = log.lines().find(|line| line.contains("must not be asked"));
        ensure!(refused.is_none(), "in {}: {refused:?}", side.region());
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
    let frozen = Moment::now();
    let (rows, took) = ground.dr("failover", Side::Other)?;
    ensure!(took < MOVED_WITHIN, "the move took {took:?}");
    timeline(&mut text, &rows)?;
    hot(&load, 16).await?;
    // It comes back with all that it believed, and finds out that it has not the say.
    let thawed = Moment::now();
    ground.twins.pair().thaw(Side::Primary)?;
    let (rows, took_back) = ground.dr("failback", Side::Primary)?;
    timeline(&mut text, &rows)?;
    let ledger = load.finish()?;

    let mut opened = Opened::default();
    all_told(&ground, &mut opened, &ledger, &Side::BOTH).await?;
    ground.twins.link().set_every_lag(Duration::ZERO);
    ensure!(ledger.kept == 0 && ledger.taken[0].keys().eq(ledger.taken[1].keys()), "a Region has not taken everything");
    let sent: BTreeSet<Reading> = ledger.taken[0].keys().cloned().collect();
    until("every reading is in both lakes", WITHIN, || async {
        let (here, there) = (ground.kept(Side::Primary).await?, ground.kept(Side::Other).await?);
        Ok((sent.is_subset(&here) && sent.is_subset(&there)).then_some(()))
    })
    .await?;
    ground.twins.link().until_quiet(WITHIN).await?;
    opened.take(&ground, &Side::BOTH)?;
    let (here, there) = (ground.found(Side::Primary).await?, ground.found(Side::Other).await?);
    writeln!(
        text,
        "\n- moved in {:.1} s, back in {:.1} s\n- readings: {} sent, 0 lost\n- machines that ran hot: {}; anomalies in both Regions: {}\n\
         - alerts: {}; with a second message: {}{}",
        took.as_secs_f64(),
        took_back.as_secs_f64(),
        sent.len(),
        ledger.hot.len(),
        by_detector(&here),
        opened.told.len(),
        opened.repeated().len(),
        opened.repeated_in_words(frozen),
    )?;
    record("drill-dual.md", &text)?;
    ensure!(here.keys().eq(there.keys()), "the Regions differ");
    let breaches = breaches(&here);
    ensure!(breaches.iter().copied().eq(ledger.hot.keys()), "limits crossed, each once: {breaches:?}");
    ensure!(opened.told.keys().eq(ledger.hot.keys()), "somebody was told of what was not so");
    asking_is_allowed("drill-dual")?;
    opened.none_twice(frozen, Some(thawed))
}

#[tokio::test(flavor = "multi_thread")]
async fn without_it_devices_send_once_more_what_was_under_way_and_nothing_is_lost() -> Result<()> {
    let Some(ground) = Ground::lay("drill-told").await? else { return Ok(()) };
    let mut text = String::from("# Drill: devices that publish to one Region, which is killed in the middle\n");
    let load = Load::begin(&ground.twins, TENANT, DEVICES, ROUNDS, Publishing::Told)?;
    let mut opened = Opened::default();
    hot(&load, 6).await?;
    // What is in the lake now has left the Region when that is lost.
    let committed = ground.kept(Side::Primary).await?;
    tokio::time::sleep(LAG + NOTED).await;
    opened.take(&ground, &[Side::Primary])?;
    ground.twins.pair().kill(Side::Primary)?;
    let killed = Moment::now();
    let moving = began();
    let (rows, took) = ground.dr("failover", Side::Other)?;
    ensure!(took < MOVED_WITHIN, "the move took {took:?}");
    timeline(&mut text, &rows)?;
    let of_there = format!("{}/", Side::Other.region());
    let first = until("an anomaly is found there", WITHIN, || async {
        let found = ground.found(Side::Other).await?;
        Ok(found.values().any(|found| found.shard.starts_with(&of_there)).then(|| moving.elapsed()))
    })
    .await?;
    let ledger = load.finish()?;

    let [here, there] = &ledger.taken;
    let sent: BTreeSet<&Reading> = here.keys().chain(there.keys()).collect();
    until("every reading is in the other lake", WITHIN, || async {
        let kept = ground.kept(Side::Other).await?;
        Ok(sent.iter().all(|reading| kept.contains(*reading)).then_some(()))
    })
    .await?;
    all_told(&ground, &mut opened, &ledger, &[Side::Other]).await?;
    // What would be lost of devices that keep nothing: what came by replication is all that there would be.
    let by_the_lost = format!("/{}/", Side::Primary.region());
    let replicated = ground.kept_where(Side::Other, |key| key.contains(&by_the_lost)).await?;
    let gone = here.iter().filter(|(reading, _)| !replicated.contains(*reading));
    let gone: Vec<Duration> = gone.map(|(_, at)| killed.at.duration_since(*at)).collect();
    let oldest = gone.iter().max().copied().unwrap_or_default();
    // What had been committed there, and had not left it: how old it was when it was lost.
    let found = ground.found(Side::Other).await?;
    let stranded = ground.twins.link().stranded(Side::Primary);
    let since_us = stranded.iter().map(|write| write.at_us).min();
    let age_us = since_us.map_or(0, |since_us| 1_000 * killed.ms - since_us as i64);
    let committed_before = Duration::from_micros(age_us.max(0).unsigned_abs());
    writeln!(
        text,
        "\n- moved in {:.1} s; first anomaly committed in {} {:.1} s after `dr failover` began\n- devices told after {:.1} s\n\
         - readings: {} taken by {}, {} by {}, of these {} sent once more; 0 lost\n\
         - without that: {} lost, the oldest taken {:.2} s before the loss\n\
         - replication {:.1} s late; of what was committed and had not left ({} items and objects), the oldest was written {:.2} s \
         before the loss\n\
         - machines that ran hot: {}; anomalies: {}; alerts: {}; with a second message: {}{}",
        took.as_secs_f64(),
        Side::Other.region(),
        first.as_secs_f64(),
        ledger.told.first().map_or(f64::NAN, |(_, at)| at.duration_since(killed.at).as_secs_f64()),
        here.len(),
        Side::Primary.region(),
        there.len(),
        Side::Other.region(),
        ledger.resent,
        gone.len(),
        oldest.as_secs_f64(),
        LAG.as_secs_f64(),
        stranded.len(),
        committed_before.as_secs_f64(),
        ledger.hot.len(),
        by_detector(&found),
        opened.told.len(),
        opened.repeated().len(),
        opened.repeated_in_words(killed),
    )?;
    record("drill-told.md", &text)?;
    ensure!(!committed.is_empty() && committed.is_subset(&replicated), "something is lost that had been replicated");
    let is_shown = !gone.is_empty() && gone.len() < ledger.resent && ledger.resent < here.len();
    ensure!(is_shown, "of {} readings {} were sent once more, {} of need", here.len(), ledger.resent, gone.len());
    let breaches = breaches(&found);
    ensure!(breaches.iter().copied().eq(ledger.hot.keys()), "limits crossed, each once: {breaches:?}");
    ensure!(
        committed_before < LAG + ON_ITS_WAY,
        "what was committed {committed_before:?} before the loss had not left"
    );
    // A batch is committed, and its object written, some time after the record was taken.
    ensure!(oldest < LAG + UNDER_WAY, "something had not left that was {oldest:?} old");
    ensure!(opened.told.keys().eq(ledger.hot.keys()), "somebody was told of what was not so");
    ensure!(ledger.kept == 0 && !there.is_empty(), "devices did not find the other Region");
    asking_is_allowed("drill-told")?;
    opened.none_twice(killed, None)
}
