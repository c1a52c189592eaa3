//! The link between the Regions of a pair does what AWS does: what is written in one is in the other after the lag, the later of two
//! writes stays, and nothing echoes.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, CreateReplicationGroupMemberAction, KeySchemaElement, KeyType,
    ReplicationGroupUpdate, ScalarAttributeType, StreamSpecification, StreamViewType,
};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    BucketLocationConstraint, BucketVersioningStatus, CreateBucketConfiguration, DeleteMarkerReplication,
    DeleteMarkerReplicationStatus, Destination, ReplicationConfiguration, ReplicationRule, ReplicationRuleFilter,
    ReplicationRuleStatus, ReplicationStatus, VersioningConfiguration,
};
use e2e::{Carried, Change, Link, Pair, Playing, Side, World, until};

const WITHIN: Duration = Duration::from_secs(20);
/// Longer than what a link without delay needs.
const LAG: Duration = Duration::from_millis(700);
const TABLE: &str = "millrace-pair-results";

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

fn lake(side: Side) -> String {
    format!("millrace-pair-{}", side.region())
}

/// A pair with a global table and two lakes that copy to each other.
async fn pair(name: &str) -> Result<Option<(Pair, Link)>> {
    let Some(pair) = Pair::start(name, Playing { policies: false, brokers: false }).await? else { return Ok(None) };
    let link = Link::begin(&pair)?;
    let world = pair.world(Side::Primary);
    let key = KeySchemaElement::builder().attribute_name("pk").key_type(KeyType::Hash).build()?;
    let attribute = AttributeDefinition::builder().attribute_name("pk").attribute_type(ScalarAttributeType::S);
    let stream = StreamSpecification::builder().stream_enabled(true).stream_view_type(StreamViewType::NewAndOldImages);
    let table = world.dynamodb.create_table().table_name(TABLE).billing_mode(BillingMode::PayPerRequest);
    let table = table.key_schema(key).attribute_definitions(attribute.build()?);
    table.stream_specification(stream.build()?).send().await.context("create the table")?;
    let replica = CreateReplicationGroupMemberAction::builder().region_name(Side::Other.region()).build()?;
    let replica = ReplicationGroupUpdate::builder().create(replica).build();
    let update = world.dynamodb.update_table().table_name(TABLE).replica_updates(replica);
    update.send().await.context("make a replica")?;
    for side in Side::BOTH {
        bucket(pair.world(side), &lake(side)).await?;
    }
    for side in Side::BOTH {
        copies(pair.world(side), &lake(side), &lake(side.across())).await?;
    }
    until("the replica is there", WITHIN, || async {
        let replica = pair.world(Side::Other).dynamodb.describe_table().table_name(TABLE).send().await;
        Ok(replica.is_ok().then_some(()))
    })
    .await?;
    Ok(Some((pair, link)))
}

async fn bucket(world: &World, name: &str) -> Result<()> {
    let mut make = world.s3.create_bucket().bucket(name);
    if world.region != Side::Primary.region() {
        let place = BucketLocationConstraint::from(world.region.as_str());
        let place = CreateBucketConfiguration::builder().location_constraint(place).build();
        make = make.create_bucket_configuration(place);
    }
    make.send().await.context("make the lake")?;
    let versions = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
    let versions = world.s3.put_bucket_versioning().bucket(name).versioning_configuration(versions);
    versions.send().await.context("keep versions")?;
    Ok(())
}

async fn copies(world: &World, from: &str, to: &str) -> Result<()> {
    let marks = DeleteMarkerReplication::builder().status(DeleteMarkerReplicationStatus::Disabled).build();
    let rule = ReplicationRule::builder()
        .id("everything")
        .priority(0)
        .status(ReplicationRuleStatus::Enabled)
        .filter(ReplicationRuleFilter::builder().prefix("").build())
        .delete_marker_replication(marks)
        .destination(Destination::builder().bucket(format!("arn:aws:s3:::{to}")).build()?);
    let rules = ReplicationConfiguration::builder().role("arn:aws:iam::000000000000:role/copies").rules(rule.build()?);
    let put = world.s3.put_bucket_replication().bucket(from).replication_configuration(rules.build()?);
    put.send().await.context("copy the lake")?;
    Ok(())
}

async fn put_item(world: &World, key: &str, value: &str) -> Result<()> {
    let put = world.dynamodb.put_item().table_name(TABLE).item("pk", text(key)).item("value", text(value));
    put.send().await.context("put an item")?;
    Ok(())
}

async fn item(world: &World, key: &str) -> Result<Option<String>> {
    let get = world.dynamodb.get_item().table_name(TABLE).key("pk", text(key)).consistent_read(true);
    let item = get.send().await.context("get an item")?.item;
    Ok(item.and_then(|item: HashMap<_, _>| item.get("value")?.as_s().ok().cloned()))
}

async fn put_object(world: &World, bucket: &str, key: &str, body: &'static str) -> Result<()> {
    let put = world.s3.put_object().bucket(bucket).key(key).body(ByteStream::from_static(body.as_bytes()));
    let put =
        put.content_type("text/plain").content_encoding("identity").metadata("sha256", "abc").tagging("kind=a%20b");
    put.send().await.context("put an object")?;
    Ok(())
}

async fn object(world: &World, bucket: &str, key: &str) -> Result<Option<String>> {
    let Ok(found) = world.s3.get_object().bucket(bucket).key(key).send().await else { return Ok(None) };
    let body = found.body.collect().await.context("read an object")?;
    Ok(Some(String::from_utf8(body.to_vec())?))
}

async fn copying(world: &World, bucket: &str, key: &str) -> Result<Option<ReplicationStatus>> {
    let head = world.s3.head_object().bucket(bucket).key(key).send().await.context("look at an object")?;
    Ok(head.replication_status)
}

#[tokio::test]
async fn what_is_written_in_one_region_is_in_the_other_after_the_lag_and_not_before() -> Result<()> {
    let Some((pair, link)) = pair("pair-lag").await? else { return Ok(()) };
    let (here, there) = (pair.world(Side::Primary), pair.world(Side::Other));
    link.set_every_lag(LAG);
    put_item(here, "a", "1").await?;
    put_object(here, &lake(Side::Primary), "bronze/é=1/a b", "x").await?;
    ensure!(item(there, "a").await?.is_none(), "an item came before its time");
    ensure!(object(there, &lake(Side::Other), "bronze/é=1/a b").await?.is_none(), "an object came before its time");
    let status = copying(here, &lake(Side::Primary), "bronze/é=1/a b").await?;
    ensure!(status == Some(ReplicationStatus::Pending), "{status:?}");
    link.until_quiet(WITHIN).await?;

    ensure!(item(there, "a").await?.as_deref() == Some("1"));
    let copy = there.s3.get_object().bucket(lake(Side::Other)).key("bronze/é=1/a b").send().await.context("no copy")?;
    ensure!((copy.content_type(), copy.content_encoding()) == (Some("text/plain"), Some("identity")));
    ensure!(copy.metadata().and_then(|said| said.get("sha256")).is_some_and(|sha256| sha256 == "abc"));
    ensure!(copy.tag_count() == Some(1) && copy.replication_status() == Some(&ReplicationStatus::Replica));
    let source = here.s3.head_object().bucket(lake(Side::Primary)).key("bronze/é=1/a b").send().await?;
    ensure!(matches!(source.replication_status(), Some(ReplicationStatus::Completed | ReplicationStatus::Complete)));
    ensure!((source.last_modified(), source.e_tag()) == (copy.last_modified(), copy.e_tag()));
    for carried in [Carried::Results, Carried::Lake] {
        let told = link.told(Side::Primary, carried);
        ensure!(told.lag_max >= LAG && told.lag_max < LAG * 3, "{carried:?}: {told:?}");
    }

    // A deletion of an item goes over, too; without a lag at once.
    link.set_every_lag(Duration::ZERO);
    here.dynamodb.delete_item().table_name(TABLE).key("pk", text("a")).send().await?;
    link.until_quiet(WITHIN).await?;
    ensure!(item(there, "a").await?.is_none(), "a deleted item stays");
    ensure!(link.troubles().is_empty(), "{:?}", link.troubles());
    Ok(())
}

#[tokio::test]
async fn of_two_writes_the_later_stays_in_both_regions_whatever_the_order_of_their_arrival() -> Result<()> {
    let Some((pair, link)) = pair("pair-later").await? else { return Ok(()) };
    let (here, there) = (pair.world(Side::Primary), pair.world(Side::Other));
    link.set_every_lag(LAG);
    put_item(here, "a", "early").await?;
    put_item(there, "a", "late").await?;
    put_item(there, "b", "early").await?;
    put_item(here, "b", "late").await?;
    link.until_quiet(WITHIN).await?;
    for (world, key) in [(here, "a"), (there, "a"), (here, "b"), (there, "b")] {
        ensure!(item(world, key).await?.as_deref() == Some("late"), "{key} in {}", world.region);
    }
    ensure!(link.told(Side::Primary, Carried::Results).overtaken == 1);

    // Ten writes of one item that come in any order.
    link.set_disorder(Side::Primary, Carried::Results, LAG);
    for number in 0..10 {
        put_item(here, "c", &number.to_string()).await?;
    }
    link.until_quiet(WITHIN).await?;
    ensure!(item(there, "c").await?.as_deref() == Some("9"));
    Ok(())
}

#[tokio::test]
async fn what_is_lost_does_not_arrive_what_is_held_back_does_later_and_nothing_echoes() -> Result<()> {
    let Some((pair, link)) = pair("pair-loss").await? else { return Ok(()) };
    let (here, there) = (pair.world(Side::Primary), pair.world(Side::Other));
    link.lose(Side::Primary, Carried::Lake, |change| matches!(change, Change::Object { key, .. } if key == "lost"));
    link.lose(Side::Primary, Carried::Results, |change| matches!(change, Change::Item { key, .. } if key.0 == "lost"));
    for key in ["lost", "kept"] {
        put_item(here, key, "1").await?;
        put_object(here, &lake(Side::Primary), key, "1").await?;
    }
    link.until_quiet(WITHIN).await?;
    for (key, is_there) in [("lost", false), ("kept", true)] {
        ensure!(item(there, key).await?.is_some() == is_there, "item {key}");
        ensure!(object(there, &lake(Side::Other), key).await?.is_some() == is_there, "object {key}");
    }
    for carried in [Carried::Results, Carried::Lake] {
        let told = link.told(Side::Primary, carried);
        // The table itself is one of them.
        let expected = if carried == Carried::Results { 2 } else { 1 };
        ensure!((told.delivered, told.lost) == (expected, 1), "{carried:?}: {told:?}");
        ensure!(link.told(Side::Other, carried).delivered == 0, "an echo of {carried:?}");
    }
    link.pause(Side::Primary, Carried::Results);
    put_item(here, "held", "1").await?;
    until("it is under way", WITHIN, || async {
        Ok((link.told(Side::Primary, Carried::Results).under_way == 1).then_some(()))
    })
    .await?;
    ensure!(item(there, "held").await?.is_none());
    link.resume(Side::Primary, Carried::Results);
    link.until_quiet(WITHIN).await?;
    ensure!(item(there, "held").await?.is_some());
    Ok(())
}

#[tokio::test]
async fn a_region_that_is_gone_takes_with_it_what_was_under_way_and_one_that_is_frozen_goes_on() -> Result<()> {
    let Some((pair, link)) = pair("pair-gone").await? else { return Ok(()) };
    let (here, there) = (pair.world(Side::Primary), pair.world(Side::Other));
    pair.freeze(Side::Primary)?;
    put_item(there, "meanwhile", "1").await?;
    pair.thaw(Side::Primary)?;
    link.until_quiet(WITHIN).await?;
    ensure!(item(here, "meanwhile").await?.is_some(), "what was written meanwhile did not come");

    link.set_every_lag(LAG * 10);
    put_item(here, "late", "1").await?;
    until("it is under way", WITHIN, || async {
        Ok((link.told(Side::Primary, Carried::Results).under_way == 1).then_some(()))
    })
    .await?;
    pair.kill(Side::Primary)?;
    until("it is stranded", WITHIN, || async {
        Ok((link.told(Side::Primary, Carried::Results).stranded == 1).then_some(()))
    })
    .await?;
    ensure!(item(there, "late").await?.is_none() && item(there, "meanwhile").await?.is_some());
    pair.start_again(Side::Primary).await?;
    ensure!(item(here, "meanwhile").await.is_err(), "a Region that was gone has kept a table");
    Ok(())
}
