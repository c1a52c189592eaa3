//! What the emulator was taught (`crates/xtask/taught`): that it does what AWS documents, and does not do the rest.
//!
//! The tests of isolation stand on these lessons: a question that is not asked would make them say yes to everything.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context, Result};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, DeleteRequest, GlobalSecondaryIndex, KeySchemaElement, KeyType,
    KeysAndAttributes, Projection, ProjectionType, ScalarAttributeType, WriteRequest,
};
use aws_sdk_s3::primitives::ByteStream;
use e2e::{World, holder_of_statement, is_done, role_of_a_service, until};
use serde_json::{Value, json};

#[path = "emulator/sagemaker.rs"]
mod sagemaker;

const WITHIN: Duration = Duration::from_secs(30);
const STREAM: &str = "messages";
const TABLE: &str = "things";

/// An account with a stream and a queue for what fails.
struct Rules {
    world: World,
    failures: String,
}

impl Rules {
    async fn new() -> Result<Option<Self>> {
        let Some(world) = World::enforcing() else { return Ok(None) };
        world.kinesis.create_stream().stream_name(STREAM).shard_count(1).send().await.context("create a stream")?;
        until("the stream is there", WITHIN, || async {
            let found = world.kinesis.describe_stream_summary().stream_name(STREAM).send().await?;
            let status = found.stream_description_summary().map(|summary| summary.stream_status().as_str().to_owned());
            Ok((status.as_deref() == Some("ACTIVE")).then_some(()))
        })
        .await?;
        let named = ("QueueName".to_owned(), "failures".to_owned());
        let made = world.query("sqs", "2012-11-05", "CreateQueue", &[named])?;
        let failures = between(&made, "<QueueUrl>", "</QueueUrl>").context("CreateQueue names no queue")?.to_owned();
        Ok(Some(Self { world, failures }))
    }

    /// A role that `IoT` may assume, which may put records into streams of this name.
    fn role(&self, name: &str, stream: &str) -> Result<String> {
        role_of_a_service(&self.world, name, "iot.amazonaws.com", &may_put(stream))
    }

    fn put_rule(&self, name: &str, sql: &str, role: &str, partition_key: &str) -> Result<()> {
        let payload = json!({
            "sql": sql,
            "awsIotSqlVersion": "2016-03-23",
            "actions": [{ "kinesis": { "streamName": STREAM, "partitionKey": partition_key, "roleArn": role } }],
            "errorAction": { "sqs": { "queueUrl": self.failures, "roleArn": role, "useBase64": false } },
        });
        self.world.rest("iot", "POST", &format!("/rules/{name}"), &[], &payload.to_string()).map(drop)
    }

    fn publish(&self, topic: &str, payload: &Value) -> Result<()> {
        let path = format!("/topics/{}?qos=1", topic.replace('/', "%2F"));
        self.world.rest("iotdata", "POST", &path, &[], &payload.to_string()).map(drop)
    }

    /// Partition key and payload of what the rules have put.
    async fn put(&self) -> Result<Vec<(String, Value)>> {
        let kinesis = &self.world.kinesis;
        let iterator = kinesis.get_shard_iterator().stream_name(STREAM).shard_id("shardId-000000000000");
        let iterator = iterator.shard_iterator_type("TRIM_HORIZON".into()).send().await.context("an iterator")?;
        let read = kinesis.get_records().set_shard_iterator(iterator.shard_iterator).send().await.context("records")?;
        let of = |record: &aws_sdk_kinesis::types::Record| {
            let payload = serde_json::from_slice(record.data().as_ref()).context("what a rule puts is JSON")?;
            Ok((record.partition_key().unwrap_or_default().to_owned(), payload))
        };
        read.records().iter().map(of).collect()
    }

    /// What the error action has been told, which holds the action's resource and why it failed.
    fn failed(&self) -> Result<Option<String>> {
        let form = [("QueueUrl".to_owned(), self.failures.clone()), ("VisibilityTimeout".to_owned(), "0".to_owned())];
        let answer = self.world.query("sqs", "2012-11-05", "ReceiveMessage", &form)?;
        Ok(between(&answer, "<Body>", "</Body>").map(str::to_owned))
    }
}

fn may_put(stream: &str) -> Value {
    json!({ "Effect": "Allow", "Action": "kinesis:PutRecord", "Resource": format!("arn:aws:kinesis:*:*:stream/{stream}") })
}

fn between<'t>(text: &'t str, open: &str, close: &str) -> Option<&'t str> {
    text.split_once(open)?.1.split_once(close).map(|(found, _)| found)
}

#[tokio::test]
async fn case_gives_the_first_match_or_else_or_nothing() -> Result<()> {
    let Some(rules) = Rules::new().await? else { return Ok(()) };
    let sql = "SELECT CASE color WHEN 'green' THEN 'go' WHEN 'green' THEN 'no' ELSE 'stop' END AS word, \
               CASE isUndefined(a) WHEN true THEN timestamp() ELSE a END AS a, \
               CASE color WHEN 'red' THEN 1 END AS unmatched, \
               CASE missing WHEN 1 THEN 2 ELSE 3 END AS of_nothing, \
               CASE n WHEN true THEN 'boolean' WHEN 1 THEN 'number' END AS kind FROM 'lights/+'";
    rules.put_rule("lights", sql, &rules.role("lights", STREAM)?, "${topic(2)}")?;
    rules.publish("lights/1", &json!({ "color": "green", "a": 7, "n": 1 }))?;
    rules.publish("lights/2", &json!({ "color": "blue" }))?;
    let put = rules.put().await?;
    assert_eq!(put[0], ("1".to_owned(), json!({ "word": "go", "a": 7, "kind": "number" })));
    assert_eq!((&put[1].1["word"], put[1].1["a"].is_u64()), (&json!("stop"), true), "{put:?}");
    assert_eq!(put[1].1.as_object().map(serde_json::Map::len), Some(2), "{put:?}");
    Ok(())
}

#[tokio::test]
async fn a_rule_puts_a_record_with_the_rights_of_its_role_or_says_that_it_could_not() -> Result<()> {
    let Some(rules) = Rules::new().await? else { return Ok(()) };
    let right = rules.role("right", STREAM)?;
    rules.put_rule("good", "SELECT *, topic() AS topic FROM 'good/+'", &right, "${topic(2)}-${lane}")?;
    rules.publish("good/d1", &json!({ "lane": 3 }))?;
    assert_eq!(rules.put().await?, [("d1-3".to_owned(), json!({ "lane": 3, "topic": "good/d1" }))]);
    assert_eq!(rules.failed()?, None);

    let elsewhere = rules.role("elsewhere", "another")?;
    let of_lambda = role_of_a_service(&rules.world, "of-lambda", "lambda.amazonaws.com", &may_put(STREAM))?;
    for (name, role, key, said) in [
        ("undefined", &right, "${nothing}", "${nothing} is undefined"),
        ("elsewhere", &elsewhere, "k", "may not kinesis:PutRecord"),
        ("untrusted", &of_lambda, "k", "IoT may not assume"),
    ] {
        rules.put_rule(name, &format!("SELECT * FROM '{name}/+'"), role, key)?;
        rules.publish(&format!("{name}/d1"), &json!({ "lane": 3 }))?;
        let failed = rules.failed()?.context("the error action was told nothing")?;
        assert!(failed.contains(said) && failed.contains("KinesisAction"), "{name}: {failed}");
        let purge = [("QueueUrl".to_owned(), rules.failures.clone())];
        rules.world.query("sqs", "2012-11-05", "PurgeQueue", &purge)?;
    }
    assert_eq!(rules.put().await?.len(), 1, "nothing but the first was put");
    Ok(())
}

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

/// A table whose items have a partition, and another in an index: those of `mine#…` and of `yours#…`.
async fn table(world: &World) -> Result<()> {
    let attribute =
        |name: &str| AttributeDefinition::builder().attribute_name(name).attribute_type(ScalarAttributeType::S).build();
    let hash = |name: &str| KeySchemaElement::builder().attribute_name(name).key_type(KeyType::Hash).build();
    let whole = Projection::builder().projection_type(ProjectionType::All).build();
    let index =
        GlobalSecondaryIndex::builder().index_name("by_day").key_schema(hash("day")?).projection(whole).build()?;
    let create = world.dynamodb.create_table().table_name(TABLE).billing_mode(BillingMode::PayPerRequest);
    let create = create.attribute_definitions(attribute("pk")?).attribute_definitions(attribute("day")?);
    create.key_schema(hash("pk")?).global_secondary_indexes(index).send().await.context("create a table")?;
    for (pk, day) in [("mine#1", "mine#monday"), ("yours#1", "yours#monday"), ("mine#2", "yours#tuesday")] {
        let put = world.dynamodb.put_item().table_name(TABLE);
        put.item("pk", text(pk)).item("day", text(day)).send().await.context("put an item")?;
    }
    Ok(())
}

fn of_mine(actions: &[&str], more: &Value) -> Value {
    let mut condition = json!({ "ForAllValues:StringLike": { "dynamodb:LeadingKeys": ["mine#*"] } });
    if let (Some(condition), Some(more)) = (condition.as_object_mut(), more.as_object()) {
        condition.extend(more.clone());
    }
    json!({
        "Effect": "Allow",
        "Action": actions,
        "Resource": [format!("arn:aws:dynamodb:*:*:table/{TABLE}"), format!("arn:aws:dynamodb:*:*:table/{TABLE}/index/*")],
        "Condition": condition,
    })
}

fn keys(of: &[&str]) -> Result<KeysAndAttributes> {
    let each = |pk: &&str| HashMap::from([("pk".to_owned(), text(pk))]);
    Ok(KeysAndAttributes::builder().set_keys(Some(of.iter().map(each).collect())).build()?)
}

#[tokio::test]
async fn leading_keys_are_those_of_the_table_or_of_the_index_that_is_asked() -> Result<()> {
    let Some(world) = World::enforcing() else { return Ok(()) };
    table(&world).await?;
    let actions =
        ["dynamodb:GetItem", "dynamodb:Query", "dynamodb:BatchGetItem", "dynamodb:BatchWriteItem", "dynamodb:Scan"];
    let named = json!({ "Null": { "dynamodb:LeadingKeys": "false" } });
    let reader = holder_of_statement(&world, "reader", &of_mine(&actions, &named))?.dynamodb;
    for (pk, is_mine) in [("mine#1", true), ("yours#1", false), ("Mine#1", false), ("xmine#1", false)] {
        let got = reader.get_item().table_name(TABLE).key("pk", text(pk)).send().await;
        assert_eq!(is_done(got)?, is_mine, "get {pk}");
        let query = reader.query().table_name(TABLE).key_condition_expression("#p = :p");
        let query = query.expression_attribute_names("#p", "pk").expression_attribute_values(":p", text(pk));
        assert_eq!(is_done(query.send().await)?, is_mine, "query {pk}");
        let batch = reader.batch_get_item().request_items(TABLE, keys(&["mine#2", pk])?);
        assert_eq!(is_done(batch.send().await)?, is_mine, "a batch of mine#2 and {pk}");
        let delete = DeleteRequest::builder().key("pk", text(pk)).build()?;
        let delete = WriteRequest::builder().delete_request(delete).build();
        let written = reader.batch_write_item().request_items(TABLE, vec![delete]).send().await;
        assert_eq!(is_done(written)?, is_mine, "batch that deletes {pk}");
    }
    // Of the index, its own partition counts, whatever the table's is.
    for (day, is_mine) in [("mine#monday", true), ("yours#monday", false), ("yours#tuesday", false)] {
        let query = reader.query().table_name(TABLE).index_name("by_day").key_condition_expression("day = :d");
        let queried = query.expression_attribute_values(":d", text(day)).send().await;
        assert_eq!(is_done(queried)?, is_mine, "{day}");
    }
    assert!(!is_done(reader.scan().table_name(TABLE).send().await)?, "a scan names no key, and Null asks for one");
    Ok(())
}

#[tokio::test]
async fn for_all_values_alone_holds_where_no_key_is_named() -> Result<()> {
    let Some(world) = World::enforcing() else { return Ok(()) };
    table(&world).await?;
    let statement = of_mine(&["dynamodb:GetItem", "dynamodb:Scan"], &json!({}));
    let reader = holder_of_statement(&world, "trap", &statement)?.dynamodb;
    let got = reader.get_item().table_name(TABLE).key("pk", text("yours#1")).send().await;
    assert!(!is_done(got)?);
    let scanned = reader.scan().table_name(TABLE).send().await;
    assert!(is_done(scanned)?, "this is the trap that the reader's policy avoids by Null and by granting no Scan");
    Ok(())
}

#[tokio::test]
async fn a_caller_without_tls_is_told_apart() -> Result<()> {
    let Some(world) = World::enforcing() else { return Ok(()) };
    let bucket = format!("plain-{}", world.account);
    world.s3.create_bucket().bucket(&bucket).send().await.context("create a bucket")?;
    world.s3.put_object().bucket(&bucket).key("a").body(ByteStream::from_static(b"a")).send().await?;
    let policy = json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": [format!("arn:aws:s3:::{bucket}"), format!("arn:aws:s3:::{bucket}/*")],
            "Condition": { "Bool": { "aws:SecureTransport": "false" } },
        }],
    });
    world.s3.put_bucket_policy().bucket(&bucket).policy(policy.to_string()).send().await.context("put the policy")?;
    let may_get =
        json!({ "Effect": "Allow", "Action": "s3:GetObject", "Resource": format!("arn:aws:s3:::{bucket}/*") });
    let reader = holder_of_statement(&world, "reader", &may_get)?.s3;
    let get = || reader.get_object().bucket(&bucket).key("a");
    assert!(is_done(get().send().await)?);
    let plain = get().customize().mutate_request(|request| {
        request.headers_mut().insert("x-forwarded-proto", "http");
    });
    assert!(!is_done(plain.send().await)?);
    Ok(())
}

/// An account with a bucket of two JSON objects and a table over it.
struct Asked(World);

impl Asked {
    async fn new() -> Result<Option<Self>> {
        let Some(world) = World::enforcing() else { return Ok(None) };
        let asked = Self(world);
        let bucket = asked.bucket();
        asked.0.s3.create_bucket().bucket(&bucket).send().await.context("create a bucket")?;
        for (key, body) in [("t/dt=1/a.ndjson", "{\"id\":\"007\",\"n\":1}\n{\"id\":\"8\"}\n"), ("t/dt=2/b.ndjson", "")]
        {
            let put = asked.0.s3.put_object().bucket(&bucket).key(key);
            put.body(ByteStream::from(body.as_bytes().to_vec())).send().await?;
        }
        asked.call("glue", "AWSGlue.CreateDatabase", &json!({ "DatabaseInput": { "Name": "d" } }))?;
        let storage = json!({
            "Location": format!("s3://{bucket}/t/"),
            "InputFormat": "org.apache.hadoop.mapred.TextInputFormat",
            "SerdeInfo": { "SerializationLibrary": "org.openx.data.jsonserde.JsonSerDe" },
            "Columns": [{ "Name": "id", "Type": "string" }, { "Name": "n", "Type": "bigint" }, { "Name": "x", "Type": "double" }],
        });
        let table = json!({
            "Name": "t",
            "TableType": "EXTERNAL_TABLE",
            "Parameters": { "classification": "json" },
            "PartitionKeys": [{ "Name": "dt", "Type": "string" }],
            "StorageDescriptor": storage,
        });
        asked.call("glue", "AWSGlue.CreateTable", &json!({ "DatabaseName": "d", "TableInput": table }))?;
        Ok(Some(asked))
    }

    fn bucket(&self) -> String {
        format!("asked-{}", self.0.account)
    }

    fn call(&self, service: &str, target: &str, body: &Value) -> Result<Value> {
        let answer = self.0.rest(service, "POST", "/", &[("X-Amz-Target", target)], &body.to_string())?;
        Ok(serde_json::from_str(&answer).unwrap_or_default())
    }

    /// Rows of cells, those of the names first; NULL is empty.
    async fn ask(&self, text: &str, values: &[&str]) -> Result<Vec<Vec<String>>> {
        let place = json!({ "OutputLocation": format!("s3://{}/answers/", self.bucket()) });
        let context = json!({ "Database": "d" });
        let mut asked = json!({ "QueryString": text, "QueryExecutionContext": context, "ResultConfiguration": place });
        if !values.is_empty() {
            asked["ExecutionParameters"] = json!(values);
        }
        let id = self.call("athena", "AmazonAthena.StartQueryExecution", &asked)?["QueryExecutionId"].take();
        let id = json!({ "QueryExecutionId": id });
        until("the question is answered or fails", WITHIN, || async {
            let found = self.call("athena", "AmazonAthena.GetQueryExecution", &id)?;
            let state = found["QueryExecution"]["Status"]["State"].as_str().unwrap_or_default().to_owned();
            Ok(matches!(state.as_str(), "SUCCEEDED" | "FAILED").then_some(()))
        })
        .await?;
        let answer = self.call("athena", "AmazonAthena.GetQueryResults", &id)?;
        let rows = answer["ResultSet"]["Rows"].as_array().context("rows")?;
        let cell = |cell: &Value| cell["VarCharValue"].as_str().unwrap_or_default().to_owned();
        Ok(rows.iter().map(|row| row["Data"].as_array().into_iter().flatten().map(cell).collect()).collect())
    }
}

#[tokio::test]
async fn athena_fills_in_as_many_values_as_there_are_question_marks() -> Result<()> {
    let Some(asked) = Asked::new().await? else { return Ok(()) };
    let text = "SELECT id, '?' AS mark FROM t WHERE dt = ? AND id = ? -- ?";
    assert_eq!(asked.ask(text, &["'1'", "'8'"]).await?, [["id", "mark"], ["8", "?"]]);
    for values in [&[][..], &["'1'"], &["'1'", "'8'", "'9'"]] {
        let refused = asked.ask(text, values).await.map_err(|error| error.to_string());
        assert!(refused.as_ref().is_err_and(|said| said.contains("expected 2 but found")), "{values:?}: {refused:?}");
    }
    Ok(())
}

#[tokio::test]
async fn the_columns_of_a_table_are_those_it_defines_and_its_path_is_hidden() -> Result<()> {
    let Some(asked) = Asked::new().await? else { return Ok(()) };
    let all = asked.ask("SELECT * FROM t ORDER BY id", &[]).await?;
    assert_eq!(all, [["id", "n", "x", "dt"], ["007", "1", "", "1"], ["8", "", "", "1"]]);
    let path = format!("s3://{}/t/dt=1/a.ndjson", asked.bucket());
    let told = asked.ask("SELECT DISTINCT s.\"$path\" AS p FROM t AS s", &[]).await?;
    assert_eq!(told, [["p"], [path.as_str()]]);
    let unknown = asked.ask("SELECT \"$nothing\" FROM t", &[]).await;
    assert!(unknown.is_err(), "{unknown:?}");
    Ok(())
}
