//! One tenant and another, with policies enforced: what is allowed works, and right beside it what is not.
//!
//! Each refusal stands in the same test as the same call by somebody who may, so that a refusal for another reason, such as a
//! name that is spelt wrong, does not pass for one. The functions run with their own roles' credentials here.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use aws_sdk_dynamodb::types::{AttributeValue, Get, KeysAndAttributes, TransactGetItem};
use aws_sdk_s3::primitives::ByteStream;
use e2e::{
    Device, Granted, Identity, Record, Refusal, Settings, Stack, World, anomalies, bronze, checkpoints, device_states,
    holder_of, is_done, quarantine, records, until,
};
use serde_json::{Value, json};

const WITHIN: Duration = Duration::from_mins(2);
/// Above the built-in limit of 80 °C: found at the first reading.
const HOT: &str = r#"{"temperature":95}"#;

/// A pipeline of two tenants, each with devices.
struct Site {
    world: World,
    pipeline: Stack,
    acme: Stack,
    globex: Stack,
}

impl Site {
    async fn new() -> Result<Option<Self>> {
        let Some(world) = World::enforcing() else { return Ok(None) };
        let pipeline = Stack::deploy(&world, Settings { shards: 1, batch_records: 100 }).await?;
        let acme = Stack::deploy_one_tenant(&pipeline, "acme").await?;
        let globex = Stack::deploy_one_tenant(&pipeline, "globex").await?;
        Ok(Some(Self { world, pipeline, acme, globex }))
    }

    fn identity(&self, tenant: &Stack, thing: &str) -> Result<Identity> {
        Identity::of_thing(&self.world, tenant.output("DevicePolicyName"), thing)
    }

    fn connect(&self, identity: &Identity, client_id: &str) -> Result<Granted<Device>> {
        Device::connect(&self.world, identity, client_id)
    }

    /// Somebody who hears every message of the account.
    fn observer(&self) -> Result<Device> {
        let mut observer = granted(self.connect(&Identity::of_an_observer(&self.world)?, "observer")?)?;
        granted(observer.subscribe("#")?)?;
        Ok(observer)
    }

    /// What whoever runs the machines sends to one of them.
    fn command(&self, topic: &str, payload: &str) -> Result<()> {
        let path = format!("/topics/{}?qos=1", topic.replace('/', "%2F"));
        self.world.rest("iotdata", "POST", &path, &[], payload).map(drop)
    }

    /// Waits until all that stands in the stream is committed, and returns the devices that the table knows then.
    async fn committed(&self) -> Result<BTreeSet<String>> {
        let arrived = records(&self.pipeline).await?;
        let last = arrived.last().context("nothing has arrived")?;
        until("the last record is committed", WITHIN, || async {
            let reached = checkpoints(&self.pipeline).await?;
            Ok((reached.get(&last.shard) == Some(&last.sequence)).then_some(()))
        })
        .await?;
        self.devices().await
    }

    /// Every `{tenant}#{device}` of which the table holds anything.
    async fn devices(&self) -> Result<BTreeSet<String>> {
        let mut known: BTreeSet<String> = device_states(&self.pipeline).await?.into_keys().collect();
        known.extend(anomalies(&self.pipeline).await?.into_iter().map(|anomaly| anomaly.device));
        Ok(known)
    }
}

fn granted<T>(said: Granted<T>) -> Result<T> {
    said.map_err(|refusal| anyhow!("refused: {refusal:?}"))
}

fn telemetry(tenant: &str, device: &str) -> String {
    format!("tenants/{tenant}/devices/{device}/telemetry")
}

fn commands(tenant: &str, device: &str) -> String {
    format!("tenants/{tenant}/devices/{device}/commands")
}

#[tokio::test]
async fn a_device_speaks_and_listens_as_itself_and_as_nobody_else() -> Result<()> {
    let Some(site) = Site::new().await? else { return Ok(()) };
    let own = site.identity(&site.acme, "pump-1")?;
    let mut neighbour = granted(site.connect(&site.identity(&site.acme, "pump-2")?, "pump-2")?)?;
    let mut stranger = granted(site.connect(&site.identity(&site.globex, "press-1")?, "press-1")?)?;
    granted(neighbour.subscribe(&commands("acme", "pump-2"))?)?;
    granted(stranger.subscribe(&commands("globex", "press-1"))?)?;
    let mut observer = site.observer()?;

    // As itself: it connects, is heard, and hears.
    let mut device = granted(site.connect(&own, "pump-1")?)?;
    granted(device.subscribe(&commands("acme", "pump-1"))?)?;
    granted(device.publish(&telemetry("acme", "pump-1"), HOT)?)?;
    assert_eq!(observer.message()?, (telemetry("acme", "pump-1"), HOT.to_owned()));
    site.command(&commands("acme", "pump-1"), "slower")?;
    assert_eq!(device.message()?, (commands("acme", "pump-1"), "slower".to_owned()));
    assert_eq!(observer.message()?.1, "slower");

    // As somebody else: a name in its own tenant, one in another, one of nobody.
    for other in ["pump-2", "press-1", "pump-3", "PUMP-1"] {
        assert_eq!(site.connect(&own, other)?.err(), Some(Refusal::NotAuthorized), "it connected as {other}");
    }
    let rule = site.globex.output("TelemetryRuleName");
    for topic in [
        telemetry("globex", "press-1"),
        telemetry("globex", "pump-1"),
        telemetry("acme", "pump-2"),
        commands("acme", "pump-1"),
        commands("globex", "press-1"),
        "tenants/acme/devices/pump-1/other".to_owned(),
        "sensor/pump-1/data".to_owned(),
        // Past the broker, straight to the other tenant's rule.
        format!("$aws/rules/{rule}/{}", telemetry("globex", "press-1")),
    ] {
        assert_eq!(device.publish(&topic, HOT)?, Err(Refusal::NotAuthorized), "it published to {topic}");
    }
    let kept = device.publish_retained(&telemetry("acme", "pump-1"), HOT)?;
    assert_eq!(kept, Err(Refusal::NotAuthorized), "a message that the broker keeps is one more permission");
    for filter in [
        commands("acme", "pump-2"),
        commands("globex", "press-1"),
        telemetry("acme", "pump-1"),
        telemetry("globex", "press-1"),
        "tenants/acme/devices/+/commands".to_owned(),
        "tenants/acme/#".to_owned(),
        "#".to_owned(),
        "+/+/+/+/+".to_owned(),
    ] {
        assert_eq!(device.subscribe(&filter)?, Err(Refusal::NotAuthorized), "it subscribed to {filter}");
    }

    // Commands go to whom they are for, and the next that it hears is its own.
    for (tenant, name) in [("acme", "pump-2"), ("globex", "press-1"), ("acme", "pump-1")] {
        site.command(&commands(tenant, name), &format!("stop {name}"))?;
    }
    assert_eq!(neighbour.message()?.1, "stop pump-2");
    assert_eq!(stranger.message()?.1, "stop press-1");
    assert_eq!(device.message()?.1, "stop pump-1");

    // Nothing of what was refused arrived anywhere: at no subscriber, in no stream, lake, table or queue.
    granted(device.publish(&telemetry("acme", "pump-1"), r#"{"temperature":96}"#)?)?;
    let heard: Vec<(String, String)> = (0..4).map(|_| observer.message()).collect::<Result<_>>()?;
    let heard: Vec<&str> = heard.iter().map(|(_, payload)| payload.as_str()).collect();
    assert_eq!(heard, ["stop pump-2", "stop press-1", "stop pump-1", r#"{"temperature":96}"#]);
    let arrived = records(&site.pipeline).await?;
    let topic = |record: &Record| serde_json::from_str::<Value>(&record.payload).map(|read| read["topic"].clone());
    let topics: Vec<Value> = arrived.iter().map(topic).collect::<Result<_, _>>()?;
    assert_eq!(topics, [json!(telemetry("acme", "pump-1")), json!(telemetry("acme", "pump-1"))], "{arrived:?}");
    assert_eq!(site.committed().await?, BTreeSet::from(["acme#pump-1".to_owned()]));
    assert_eq!(bronze(&site.pipeline).await?.len(), 2);
    for tenant in [&site.acme, &site.globex] {
        let queue = [("QueueUrl".to_owned(), tenant.output("RuleFailuresUrl").to_owned())];
        let left = site.world.query("sqs", "2012-11-05", "ReceiveMessage", &queue)?;
        assert!(!left.contains("<Body>"), "a rule has failed: {left}");
    }
    Ok(())
}

#[tokio::test]
async fn a_certificate_that_is_revoked_no_longer_connects() -> Result<()> {
    let Some(site) = Site::new().await? else { return Ok(()) };
    let (world, own) = (&site.world, site.identity(&site.acme, "pump-1")?);
    let other = site.identity(&site.acme, "pump-2")?;
    let connects = |identity: &Identity, name: &str| Ok::<_, anyhow::Error>(site.connect(identity, name)?.err());

    assert_eq!(connects(&own, "pump-1")?, None);
    own.set_status(world, "INACTIVE")?;
    assert_eq!(connects(&own, "pump-1")?, Some(Refusal::Closed));
    assert_eq!(connects(&other, "pump-2")?, None, "the neighbour's goes on");
    own.set_status(world, "ACTIVE")?;
    assert_eq!(connects(&own, "pump-1")?, None, "it was the status, and nothing else");

    // One that belongs to no thing is nobody's, however active it is.
    own.detach(world, "pump-1")?;
    assert_eq!(connects(&own, "pump-1")?, Some(Refusal::NotAuthorized));
    own.attach(world, "pump-1")?;
    assert_eq!(connects(&own, "pump-1")?, None);

    own.set_status(world, "REVOKED")?;
    assert_eq!(connects(&own, "pump-1")?, Some(Refusal::Closed));
    assert!(records(&site.pipeline).await?.is_empty(), "nobody published");
    Ok(())
}

#[tokio::test]
async fn a_payload_that_names_another_tenant_is_kept_apart_and_scored_for_nobody() -> Result<()> {
    let Some(site) = Site::new().await? else { return Ok(()) };
    let mut device = granted(site.connect(&site.identity(&site.acme, "pump-1")?, "pump-1")?)?;
    let own = telemetry("acme", "pump-1");

    granted(device.publish(&own, r#"{"temperature":95,"tenant":"acme","device":"pump-1"}"#)?)?;
    let named_another = [
        (r#"{"temperature":96,"tenant":"globex"}"#, "other_tenant"),
        (r#"{"temperature":97,"tenantId":"globex","device":"press-1"}"#, "other_tenant"),
        (r#"{"temperature":98,"device":"press-1"}"#, "other_device"),
    ];
    for (payload, _) in named_another {
        // The broker does not read it: refusing it is the scorer's.
        granted(device.publish(&own, payload)?)?;
    }
    // Whoever says in the payload where it came from is overruled by where it came from.
    let disguised = format!(r#"{{"temperature":99,"topic":"{}"}}"#, telemetry("globex", "press-1"));
    granted(device.publish(&own, &disguised)?)?;

    let known = site.committed().await?;
    let apart = quarantine(&site.pipeline).await?;
    let mut reasons: Vec<&str> = apart.iter().map(|line| line.reason.as_str()).collect();
    reasons.sort_unstable();
    let mut expected: Vec<&str> = named_another.iter().map(|(_, reason)| *reason).collect();
    expected.sort_unstable();
    assert_eq!(reasons, expected, "{apart:?}");
    assert_eq!(known, BTreeSet::from(["acme#pump-1".to_owned()]), "the tables hold something of another");
    assert_eq!(bronze(&site.pipeline).await?.len(), named_another.len() + 2, "every record is kept, whatever it says");
    Ok(())
}

type Item = std::collections::HashMap<String, AttributeValue>;

/// The attributes of these names: a key.
fn key(item: &Item, names: [&str; 2]) -> Item {
    item.iter()
        .filter(|(name, _)| names.contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

#[tokio::test]
async fn a_reader_of_one_tenant_reads_its_findings_and_nothing_of_another() -> Result<()> {
    let Some(site) = Site::new().await? else { return Ok(()) };
    for (tenant, name, stack) in [("acme", "pump-1", &site.acme), ("globex", "press-1", &site.globex)] {
        let mut device = granted(site.connect(&site.identity(stack, name)?, name)?)?;
        granted(device.publish(&telemetry(tenant, name), HOT)?)?;
        for file in ["profile.toml", "onboarding.json"] {
            let key = format!("config/{tenant}/{file}");
            let put = site.world.s3.put_object().bucket(site.pipeline.output("LakeBucketName")).key(key);
            put.body(ByteStream::from_static(b"# nothing\n")).send().await.context("cannot store a profile")?;
        }
    }
    until("both tenants have an anomaly", WITHIN, || async {
        Ok((anomalies(&site.pipeline).await?.len() == 2).then_some(()))
    })
    .await?;
    let reader = holder_of(&site.world, "acme-reader", site.acme.output("ReaderPolicyArn"))?;

    let table = site.pipeline.output("ResultsTableName");
    let items = site.world.dynamodb.scan().table_name(table).send().await.context("scan")?.items.unwrap_or_default();
    let of = |tenant: &str| {
        let begins = format!("{tenant}#");
        items.iter().filter(move |item| item["pk"].as_s().is_ok_and(|pk| pk.starts_with(&begins)))
    };
    assert!(of("acme").count() >= 1 && of("globex").count() >= 1, "{items:?}");
    for tenant in ["acme", "globex"] {
        let is_own = tenant == "acme";
        for item in of(tenant) {
            reads_an_item(&reader, table, item, is_own).await?;
        }
        let day = of(tenant).find_map(|item| item.get("day")).context("an anomaly has its day")?.clone();
        let by_day = reader.dynamodb.query().table_name(table).index_name("by_day");
        let by_day = by_day.key_condition_expression("#day = :day").expression_attribute_names("#day", "day");
        let by_day = by_day.expression_attribute_values(":day", day).send().await;
        assert_eq!(is_done(by_day)?, is_own, "the index by day, of {tenant}");
    }
    lists_its_own(&reader, table)?;
    reads_no_more_of_the_table(&reader, &site, of("acme").next().context("an item")?).await?;
    reads_no_more_of_the_lake(&reader, &site).await
}

/// Getting an item and querying its partition is done exactly if it is the reader's own; everything else never.
async fn reads_an_item(reader: &World, table: &str, item: &Item, is_own: bool) -> Result<()> {
    let (reader, key) = (&reader.dynamodb, key(item, ["pk", "sk"]));
    let get = reader.get_item().table_name(table).set_key(Some(key.clone())).send().await;
    assert_eq!(is_done(get)?, is_own, "{key:?}");
    let query = || reader.query().table_name(table).expression_attribute_values(":pk", key["pk"].clone());
    let queried = query().key_condition_expression("pk = :pk").send().await;
    assert_eq!(is_done(queried)?, is_own, "{key:?}");
    let narrowed = query().key_condition_expression("pk = :pk AND begins_with(sk, :a)");
    let narrowed = narrowed.expression_attribute_values(":a", AttributeValue::S("A#".to_owned())).send().await;
    assert_eq!(is_done(narrowed)?, is_own, "{key:?}");
    let get = Get::builder().table_name(table).set_key(Some(key.clone())).build()?;
    let together = reader.transact_get_items().transact_items(TransactGetItem::builder().get(get).build()).send().await;
    assert_eq!(is_done(together)?, is_own, "{key:?}");

    let keys = KeysAndAttributes::builder().keys(key.clone()).build()?;
    assert!(!is_done(reader.batch_get_item().request_items(table, keys).send().await)?, "nobody asked for batches");
    let put = reader.put_item().table_name(table).set_item(Some(item.clone())).send().await;
    assert!(!is_done(put)?, "a reader writes nothing, not even over its own");
    let removed = reader.delete_item().table_name(table).set_key(Some(key.clone())).send().await;
    assert!(!is_done(removed)?);
    let updated =
        reader.update_item().table_name(table).set_key(Some(key)).update_expression("REMOVE score").send().await;
    assert!(!is_done(updated)?);
    Ok(())
}

/// The command shows a reader its own anomalies, and is told no for another tenant's.
fn lists_its_own(reader: &World, table: &str) -> Result<()> {
    let cli = reader.cli.as_ref().context("MILLRACE_TEST_CLI is not set; run `cargo xtask e2e`")?;
    let list = |tenant: &str| {
        let mut command = reader.command(cli);
        command.args(["anomalies", "list", "--results-table", table, "--tenant", tenant, "--output", "csv"]);
        command.output().context("the command does not run")
    };
    let (own, other) = (list("acme")?, list("globex")?);
    assert!(own.status.success() && String::from_utf8_lossy(&own.stdout).contains("acme,pump-1"), "{own:?}");
    assert!(!other.status.success() && String::from_utf8_lossy(&other.stderr).contains("AccessDenied"), "{other:?}");
    assert!(!String::from_utf8_lossy(&other.stdout).contains("press-1"), "{other:?}");
    Ok(())
}

/// What reads more than one partition, or another index or table.
async fn reads_no_more_of_the_table(reader: &World, site: &Site, own: &Item) -> Result<()> {
    let (reader, table) = (&reader.dynamodb, site.pipeline.output("ResultsTableName"));
    assert!(!is_done(reader.scan().table_name(table).send().await)?, "a scan reads all tenants");
    let pk = own["pk"].as_s().map_err(|_| anyhow!("a key is text"))?;
    let scanned = reader.scan().table_name(table).filter_expression("pk = :pk");
    let scanned = scanned.expression_attribute_values(":pk", own["pk"].clone()).send().await;
    assert!(!is_done(scanned)?, "a filter changes nothing of what is read");
    for statement in [format!(r#"SELECT * FROM "{table}""#), format!(r#"SELECT * FROM "{table}" WHERE pk = '{pk}'"#)] {
        assert!(!is_done(reader.execute_statement().statement(&statement).send().await)?, "{statement}");
    }
    let due = reader.query().table_name(table).index_name("by_due").key_condition_expression("queue = :queue");
    let due = due.expression_attribute_values(":queue", AttributeValue::S("acme#0".to_owned())).send().await;
    assert!(!is_done(due)?, "what is due is the fan-out's");
    let checkpoints = reader.scan().table_name(site.pipeline.output("CheckpointsTableName")).send().await;
    assert!(!is_done(checkpoints)?);
    Ok(())
}

/// Of all objects of the lake, the reader gets those of its own configuration, and changes none.
async fn reads_no_more_of_the_lake(reader: &World, site: &Site) -> Result<()> {
    let (root, reader, bucket) = (&site.world.s3, &reader.s3, site.pipeline.output("LakeBucketName"));
    for key in ["silver/v1/tenant=acme/a.parquet", "silver/v1/tenant=globex/a.parquet"] {
        root.put_object().bucket(bucket).key(key).body(ByteStream::from_static(b"PAR1")).send().await?;
    }
    let listed = root.list_objects_v2().bucket(bucket).send().await.context("cannot list the lake")?;
    let keys: Vec<&str> = listed.contents().iter().filter_map(|object| object.key()).collect();
    let is_some_of = |prefix: &str| keys.iter().any(|key| key.starts_with(prefix));
    assert!(is_some_of("bronze/") && is_some_of("config/globex/") && is_some_of("config/acme/"), "{keys:?}");
    for key in keys {
        let got = reader.get_object().bucket(bucket).key(key).send().await;
        assert_eq!(is_done(got)?, key.starts_with("config/acme/"), "{key}");
        let put = reader.put_object().bucket(bucket).key(key).body(ByteStream::from_static(b"mine")).send().await;
        assert!(!is_done(put)?, "{key} was overwritten");
        assert!(!is_done(reader.delete_object().bucket(bucket).key(key).send().await)?, "{key} was removed");
    }
    assert!(!is_done(reader.list_objects_v2().bucket(bucket).prefix("config/acme/").send().await)?);
    Ok(())
}
