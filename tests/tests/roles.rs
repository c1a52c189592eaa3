//! Each function's role grants what the function uses, and nothing else: the deployed zips under their own credentials, with policies
//! enforced, through everything that their roles are for; what they called, against what the templates grant.
//!
//! The table of it is printed and left in `target/e2e/roles.md`.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_s3::primitives::ByteStream;
use e2e::{
    Grant, IMAGES, JOB, Need, Recorder, Settings, Stack, World, change, grants, kill, needs, push_images, put_job,
    until,
};
use serde_json::{Value, json};

const WITHIN: Duration = Duration::from_mins(1);
const PEER: &str = "eu-west-1";
const HERE: &str = "us-east-1";
/// Which of the shards that the split makes.
const CHILD: &str = "shardId-000000000001";

/// What Lambda itself does with the role of a function, which no proxy of the function's hears.
///
/// Kinesis: Lambda Developer Guide, "Using Lambda to process records from Amazon Kinesis Data Streams", of which listing all streams
/// and registering consumers are for other kinds of mapping. DynamoDB: Developer Guide, "IAM policy to allow an AWS Lambda function to
/// access DynamoDB stream records". SQS: "Retaining discarded batches". Logs: "Sending Lambda function logs to CloudWatch Logs".
fn by_lambda(source: &[&str], source_arn: &str, queue_arn: &str, log_arn: &str) -> Vec<Need> {
    let need = |action: &str, resource: &str, by: &str| Need {
        action: action.to_owned(),
        resource: resource.to_owned(),
        prefix: None,
        by: by.to_owned(),
    };
    let mut needs: Vec<Need> = source.iter().map(|action| need(action, source_arn, "the mapping")).collect();
    needs.push(need("sqs:SendMessage", queue_arn, "the mapping, for what is given up"));
    for action in ["logs:CreateLogStream", "logs:PutLogEvents"] {
        needs.push(need(action, log_arn, "Lambda"));
    }
    needs
}

const KINESIS: [&str; 5] = [
    "kinesis:DescribeStream",
    "kinesis:DescribeStreamSummary",
    "kinesis:GetRecords",
    "kinesis:GetShardIterator",
    "kinesis:ListShards",
];
const TABLE_STREAM: [&str; 4] =
    ["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:ListStreams"];

/// A plant of one's own making: who invokes the scorer with what, without a mapping that would decide when.
struct Plant<'s> {
    stack: &'s Stack,
    now_ms: u64,
    sequence: u64,
}

impl Plant<'_> {
    /// Records of one shard, 10 minutes after those before.
    fn event(&mut self, region: &str, shard: &str, payloads: &[String]) -> String {
        self.now_ms += 600_000;
        let stream = self.stack.output("StreamName");
        let account = &self.stack.world().account;
        let records: Vec<Value> = payloads
            .iter()
            .map(|payload| {
                self.sequence += 1;
                let number = format!("4969033827149025660855969253836157109592157598{:010}", self.sequence);
                json!({
                    "kinesis": {
                        "kinesisSchemaVersion": "1.0", "partitionKey": "p", "sequenceNumber": number,
                        "data": base64_simd::STANDARD.encode_to_string(payload),
                        "approximateArrivalTimestamp": self.now_ms as f64 / 1000.0,
                    },
                    "eventSource": "aws:kinesis", "eventVersion": "1.0", "eventID": format!("{shard}:{number}"),
                    "eventName": "aws:kinesis:record", "awsRegion": region,
                    "invokeIdentityArn": format!("arn:aws:iam::{account}:role/scorer"),
                    "eventSourceARN": format!("arn:aws:kinesis:{region}:{account}:stream/{stream}"),
                })
            })
            .collect();
        json!({ "Records": records }).to_string()
    }

    /// Readings of so many devices, at a temperature.
    fn readings(&self, devices: std::ops::Range<u32>, heat: f64) -> Vec<String> {
        devices
            .map(|device| {
                let topic = format!("tenants/acme/devices/press-{device}/telemetry");
                json!({ "topic": topic, "ts": self.now_ms + 600_000, "temperature": heat }).to_string()
            })
            .collect()
    }

    fn takes(&self, event: &str) -> Result<Value> {
        invoke(self.stack.world(), self.stack.output("ScorerName"), event)
    }

    /// The event is committed whole.
    fn commits(&self, event: &str) -> Result<()> {
        let answer = self.takes(event)?;
        ensure!(answer["batchItemFailures"] == json!([]), "not all is committed: {answer}");
        Ok(())
    }

    fn checkpoint(&self, shard: &str) -> (&aws_sdk_dynamodb::Client, String, AttributeValue) {
        let world = self.stack.world();
        let pk = format!("{HERE}#{}#{shard}", self.stack.output("StreamName"));
        (&world.dynamodb, self.stack.output("CheckpointsTableName").to_owned(), AttributeValue::S(pk))
    }
}

/// Invokes what the alias names, as mappings and schedules do.
fn invoke(world: &World, function: &str, event: &str) -> Result<Value> {
    let path = format!("/2015-03-31/functions/{function}/invocations?Qualifier=live");
    let answer = world.rest("lambda", "POST", &path, &[], event)?;
    let answer: Value = serde_json::from_str(&answer).with_context(|| format!("no JSON: {answer}"))?;
    ensure!(answer["errorType"].is_null(), "{function} failed: {answer}");
    Ok(answer)
}

/// What any scorer does: start, score, refuse, commit in pieces, find its names taken, find its memory out of date, start again.
async fn a_scorers_life(plant: &mut Plant<'_>) -> Result<()> {
    let stack = plant.stack;
    let scorer = stack.output("ScorerName");
    let shard = "shardId-000000000000";
    let calm = plant.readings(0..120, 60.0);
    let first = plant.event(HERE, shard, &calm);
    plant.commits(&first)?;
    // More findings than a transaction holds; and what no reader takes.
    let mut hot = plant.readings(0..120, 95.0);
    hot.push("temperature=93".to_owned());
    let hot = plant.event(HERE, shard, &hot);
    plant.commits(&hot)?;

    // Everything once more under names that are taken: somebody has lost the checkpoint.
    let (dynamodb, table, pk) = plant.checkpoint(shard);
    dynamodb.delete_item().table_name(&table).key("pk", pk.clone()).send().await.context("forget the checkpoint")?;
    kill(scorer)?;
    plant.commits(&first)?;
    plant.commits(&hot)?;

    // Somebody else has committed since: this process' memory is out of date.
    let change = dynamodb.update_item().table_name(&table).key("pk", pk).update_expression("SET #v = #v + :one");
    let change = change.expression_attribute_names("#v", "version");
    change
        .expression_attribute_values(":one", AttributeValue::N("1".to_owned()))
        .send()
        .await
        .context("overtake it")?;
    let calm = plant.readings(0..3, 61.0);
    let next = plant.event(HERE, shard, &calm);
    plant.commits(&next)?;
    kill(scorer)?;
    let calm = plant.readings(0..3, 62.0);
    let last = plant.event(HERE, shard, &calm);
    plant.commits(&last)?;

    // A shard that a split has made begins with what its parent knew.
    let world = stack.world();
    let split = world.kinesis.split_shard().stream_name(stack.output("StreamName")).shard_to_split(shard);
    split.new_starting_hash_key(u128::MAX.div_ceil(2).to_string()).send().await.context("split the shard")?;
    let calm = plant.readings(0..3, 63.0);
    let child = plant.event(HERE, CHILD, &calm);
    plant.commits(&child)
}

/// What a scorer does that takes over from the other Region, whose piece of the lake is not all here.
async fn a_scorer_takes_over(plant: &mut Plant<'_>) -> Result<()> {
    let stack = plant.stack;
    let world = stack.world();
    let (dynamodb, table, _) = plant.checkpoint("");
    let epoch =
        dynamodb.put_item().table_name(&table).item("pk", AttributeValue::S(stack.output("StreamName").to_owned()));
    let epoch =
        epoch.item("epoch", AttributeValue::N("1".to_owned())).item("active", AttributeValue::S(HERE.to_owned()));
    epoch
        .item("since", AttributeValue::N((plant.now_ms - 86_400_000).to_string()))
        .send()
        .await
        .context("begin an epoch")?;
    let bucket = stack.output("LakeBucketName");
    let lake = world.s3.list_objects_v2().bucket(bucket).send().await.context("list the lake")?;
    let of_peer = |key: &str| key.contains(PEER) && (key.starts_with("state/") || key.starts_with("bronze/"));
    let of_peer: Vec<&str> =
        lake.contents().iter().filter_map(|object| object.key()).filter(|key| of_peer(key)).collect();
    let lost = of_peer.last().context("the other Region has left nothing")?;
    world.s3.delete_object().bucket(bucket).key(*lost).send().await.context("lose a piece")?;
    // Who has the say is read at the start.
    kill(stack.output("ScorerName"))?;
    let calm = plant.readings(0..3, 60.0);
    let event = plant.event(HERE, CHILD, &calm);
    plant.commits(&event)
}

async fn put_profile(stack: &Stack, tenant: &str, profile: String) -> Result<()> {
    let key = format!("config/{tenant}/profile.toml");
    let put = stack.world().s3.put_object().bucket(stack.output("LakeBucketName")).key(key);
    put.body(ByteStream::from(profile.into_bytes())).send().await.context("cannot store the profile")?;
    Ok(())
}

/// Lets the Region have got the say, so that the next tick looks for what nobody told.
async fn gets_the_say(stack: &Stack) -> Result<()> {
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let number = |number: i64| AttributeValue::N(number.to_string());
    let body = HashMap::from([
        ("region".to_owned(), text(HERE)),
        ("epoch".to_owned(), number(1)),
        // Before the stream's epoch, which says the same.
        ("since".to_owned(), number(1_600_000_000_000)),
    ]);
    let put = stack.world().dynamodb.put_item().table_name(stack.output("ResultsTableName"));
    let put = put.item("pk", text("#alerts")).item("sk", text("active")).item("kind", text("entry"));
    put.item("version", number(1)).item("body", AttributeValue::M(body)).send().await.context("give it the say")?;
    Ok(())
}

/// What any fan-out does: take anomalies from the table's stream, look at profiles and silences, read keys, tell topics, tick until
/// a quiet shard has its pulse; look through what was found before it had the say.
async fn a_fanouts_life(recorder: &Recorder, world: &World, fanout: &str, topics: &[&str]) -> Result<()> {
    let event = include_str!("../../events/alerts-tick.json");
    until(
        "everybody is told, a profile is missed, the last days are looked through, and a shard has its pulse",
        WITHIN,
        || async {
            invoke(world, fanout, event)?;
            let used = used(recorder, world, fanout, 0)?;
            let has = |action: &str, resource: &str| {
                used.iter().any(|need| need.action == action && need.resource.contains(resource))
            };
            let all = topics.iter().all(|topic| has("sns:Publish", topic));
            let keys = has("secretsmanager:GetSecretValue", "millrace/");
            let missing = has("s3:ListBucket", "");
            let swept = has("dynamodb:Query", "index/by_day");
            Ok((all && keys && missing && swept && has("kinesis:PutRecord", "")).then_some(()))
        },
    )
    .await
}

/// What the analyzer of batch inference does: look for a job, read it, tell of it; and once more, when its report is lost.
async fn an_analyzers_life(models: &Stack) -> Result<()> {
    let world = models.world();
    put_job(models).await?;
    for _ in 0..2 {
        let answer = invoke(world, models.output("AnalyzerName"), r#"{"source":"millrace.tick"}"#)?;
        ensure!(answer["jobs"][0]["outcome"] == "analyzed", "the job is not analysed: {answer}");
        let report = format!("inference/{JOB}/report.json");
        let lose = world.s3.delete_object().bucket(models.output("LakeBucketName")).key(report);
        lose.send().await.context("lose the report")?;
    }
    Ok(())
}

/// Actions that know no resources (Service Authorization Reference).
const WITHOUT_RESOURCES: [&str; 7] = [
    "cloudwatch:PutMetricData",
    "iot:ListCertificates",
    "iot:ListPolicies",
    "iot:ListThings",
    "iot:ListTopicRules",
    "sagemaker:ListEndpointConfigs",
    "sagemaker:ListModels",
];

/// A line of the table: what is granted, and what it is used by.
#[derive(Default)]
struct Line {
    sids: BTreeSet<String>,
    by: BTreeSet<String>,
}

/// Compares, and writes the table.
fn compare(title: &str, needs: &BTreeSet<Need>, grants: &[Grant], table: &mut String) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut lines: BTreeMap<(String, String), Line> = BTreeMap::new();
    for need in needs {
        let allowing: Vec<&Grant> = grants.iter().filter(|grant| grant.allows(need)).collect();
        if allowing.is_empty() {
            let prefix = need.prefix.as_ref().map(|prefix| format!(" of {prefix}*")).unwrap_or_default();
            wrong.push(format!("{title}: missing {} on {}{prefix} ({})", need.action, need.resource, need.by));
        }
        for grant in allowing {
            let line = lines.entry((grant.action.clone(), grant.resource.clone())).or_default();
            line.sids.insert(grant.sid.clone());
            line.by.insert(need.by.clone());
        }
    }
    for grant in grants {
        if !needs.iter().any(|need| grant.allows(need)) {
            wrong.push(format!("{title}: extra {} on {} (statement {})", grant.action, grant.resource, grant.sid));
        }
        if grant.resource == "*" && !WITHOUT_RESOURCES.contains(&grant.action.as_str()) {
            wrong.push(format!("{title}: {} on everything (statement {})", grant.action, grant.sid));
        }
    }
    let _written = write!(table, "\n## {title}\n\n| action | resource | used by | granted by |\n|---|---|---|---|\n");
    let joined = |texts: &BTreeSet<String>| texts.iter().cloned().collect::<Vec<_>>().join(", ");
    for ((action, resource), line) in &lines {
        let _written = writeln!(table, "| {action} | `{resource}` | {} | {} |", joined(&line.by), joined(&line.sids));
    }
    wrong
}

/// What a function has called since, as needs.
fn used(recorder: &Recorder, world: &World, function: &str, since: usize) -> Result<BTreeSet<Need>> {
    let calls = recorder.calls();
    let own = calls[since..].iter().filter(|call| call.function == function);
    let mut all = BTreeSet::new();
    for call in own {
        ensure!(call.status != 403, "{function} was refused: {call:?}");
        all.extend(needs(call, &world.account)?);
    }
    ensure!(!all.is_empty(), "nothing that {function} called was heard");
    Ok(all)
}

#[tokio::test]
async fn each_role_grants_what_its_function_uses_and_nothing_else() -> Result<()> {
    let Some(like) = World::enforcing() else { return Ok(()) };
    let Some(recorder) = Recorder::start("roles").await? else { return Ok(()) };
    let world = recorder.world(&like);
    let pipeline = Stack::deploy(&world, Settings { shards: 1, batch_records: 100 }).await?;
    let environment = pipeline.output("ScorerName").trim_start_matches("millrace-").trim_end_matches("-kinesis-scorer");
    let scorer = pipeline.output("ScorerName");
    let arn = |service: &str, rest: &str| format!("arn:aws:{service}:{HERE}:{}:{rest}", world.account);
    let log = |name: &str| arn("logs", &format!("log-group:{name}:*"));
    #[expect(clippy::disallowed_methods, reason = "devices have clocks")]
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis() as u64;
    // A day ago, so that nothing of the plant comes from the future.
    let mut plant = Plant { stack: &pipeline, now_ms: now_ms - 86_400_000, sequence: 0 };
    let mut table = "# What each function uses and is granted\n".to_owned();
    let mut wrong = Vec::new();

    put_profile(&pipeline, "acme", "[metrics.temperature]\nhigh = 80.0\n".to_owned()).await?;
    a_scorers_life(&mut plant).await?;
    let of_lambda = by_lambda(
        &KINESIS,
        pipeline.output("StreamArn"),
        &arn("sqs", pipeline.output("FailureQueueName")),
        &log(pipeline.output("ScorerLogName")),
    );
    let mut alone = used(&recorder, &world, scorer, 0)?;
    alone.extend(of_lambda.clone());
    wrong.extend(compare("kinesis-scorer, one Region", &alone, &grants(&world, scorer)?, &mut table));

    // The other Region's part, which replication would have brought.
    let calm = plant.readings(0..5, 60.0);
    let theirs = plant.event(PEER, CHILD, &calm);
    plant.commits(&theirs)?;
    let since = recorder.calls().len();
    let pair = [("PeerRegion", PEER), ("Metrics", "cloudwatch"), ("AdoptPatienceSeconds", "0"), ("Revision", "pair")];
    change(&world, &format!("millrace-{environment}-pipeline"), &pair).await?;
    a_scorer_takes_over(&mut plant).await?;
    let mut both = used(&recorder, &world, scorer, since)?;
    // What one Region does, each of two does as well.
    both.extend(alone);
    wrong.extend(compare("kinesis-scorer, two Regions, metrics by calls", &both, &grants(&world, scorer)?, &mut table));

    let alerts = Stack::deploy_alerts(&pipeline, 120).await?;
    let fanout = alerts.output("FanoutName");
    let tenants_topic = format!("millrace-{environment}-tenant-acme");
    world.query("sns", "2010-03-31", "CreateTopic", &[("Name".to_owned(), tenants_topic.clone())])?;
    let secret = format!("millrace/{environment}/hook");
    let create = json!({ "Name": secret, "SecretString": "a-key-for-tests-that-is-long-enough", "ClientRequestToken": "0123456789-0123456789-0123456789" });
    let target = [("X-Amz-Target", "secretsmanager.CreateSecret")];
    world.rest("secretsmanager", "POST", "/", &target, &create.to_string())?;
    let (own, tenants) = (alerts.output("TopicArn"), arn("sns", &tenants_topic));
    put_profile(
        &pipeline,
        "acme",
        format!(
            "[channels.own]\ntype = \"sns\"\ntopic = \"{own}\"\n\n[channels.tenants]\ntype = \"sns\"\ntopic = \"{tenants}\"\n\n\
             [channels.hook]\ntype = \"webhook\"\nurl = \"http://127.0.0.1:9/\"\nallow_private = true\nsecret = \"{secret}\"\n\n\
             [[alerts.routes]]\nchannels = [\"own\", \"tenants\", \"hook\"]\n"
        ),
    )
    .await?;
    change(&world, &format!("millrace-{environment}-alerts"), &[("Secrets", "aws"), ("Revision", "keys")]).await?;
    // Of a tenant without a profile, too.
    let mut hot = plant.readings(0..3, 97.0);
    hot.extend(plant.readings(3..4, 97.0).into_iter().map(|reading| reading.replace("acme", "globex")));
    let event = plant.event(HERE, CHILD, &hot);
    plant.commits(&event)?;
    gets_the_say(&pipeline).await?;
    a_fanouts_life(&recorder, &world, fanout, &[own, &tenants]).await?;
    let mut told = used(&recorder, &world, fanout, 0)?;
    told.extend(by_lambda(
        &TABLE_STREAM,
        pipeline.output("ResultsStreamArn"),
        &arn("sqs", alerts.output("FailureQueueName")),
        &log(alerts.output("FanoutLogName")),
    ));
    wrong.extend(compare("alert-fanout", &told, &grants(&world, fanout)?, &mut table));

    let models = Stack::deploy_models_of(&pipeline).await?;
    let analyzer = models.output("AnalyzerName");
    an_analyzers_life(&models).await?;
    let mut analysed = used(&recorder, &world, analyzer, 0)?;
    let queue = models.output("AnalyzerFailureQueueUrl").rsplit('/').next().unwrap_or_default();
    analysed.extend(by_lambda(&[], "", &arn("sqs", queue), &log(models.output("AnalyzerLogName"))));
    wrong.extend(compare("batch-analyzer", &analysed, &grants(&world, analyzer)?, &mut table));

    println!("{table}");
    let folder = World::record().context("MILLRACE_TEST_RECORD is not set")?;
    std::fs::write(folder.join("roles.md"), &table).context("cannot write the table")?;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// A pair in the one emulator that is listened to: deployed by command, with what there is to look at on both sides.
async fn a_pair_is_deployed(world: &World, environment: &str) -> Result<()> {
    let cli = world.cli.as_ref().context("MILLRACE_TEST_CLI is not set; run `cargo xtask e2e`")?;
    let zips = world.zip.parent().and_then(std::path::Path::parent).context("a zip lies in its function's folder")?;
    let run = |verb: &[&str], arguments: &[&str]| -> Result<()> {
        let mut command = world.command(cli);
        command.args(verb).args(["--environment", environment]).args(arguments);
        let output = command.output().context("the command does not run")?;
        ensure!(output.status.success(), "{verb:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    };
    let zips = zips.display().to_string();
    let settings = [
        "--peer",
        PEER,
        "--code",
        &zips,
        "--tenant",
        "acme",
        "--yes",
        "-p",
        "pipeline:S3PathStyle=true",
        "-p",
        "alerts:S3PathStyle=true",
        "-p",
        "dr:S3PathStyle=true",
        "-p",
        "dr:WatchSeconds=1",
    ];
    run(&["deploy"], &settings)?;
    // The replicas, which the emulator makes where it is asked itself.
    for table in ["results", "checkpoints"] {
        let replica = json!({ "Create": { "RegionName": PEER } });
        let update = json!({ "TableName": format!("millrace-{environment}-{table}"), "ReplicaUpdates": [replica] });
        let target = [("X-Amz-Target", "DynamoDB_20120810.UpdateTable")];
        world.rest("dynamodb", "POST", "/", &target, &update.to_string())?;
    }
    run(&["deploy"], &[&settings[..], &["--both"]].concat())?;

    let attributes = json!({ "tenant": "acme", "env": environment, "project": "millrace" });
    let thing = json!({ "attributePayload": { "attributes": attributes } }).to_string();
    world.rest("iot", "POST", "/things/pump-7", &[], &thing)?;
    e2e::Identity::new(world, &format!("millrace-{environment}-acme-device"))?.attach(world, "pump-7")?;
    run(&["dr", "sync"], &["--peer", PEER])?;
    #[expect(clippy::disallowed_methods, reason = "the folder of a day is of the day on which the test runs")]
    let now = aws_sdk_s3::primitives::DateTime::from(SystemTime::now());
    let day: String = now.fmt(aws_sdk_s3::primitives::DateTimeFormat::DateTime)?.chars().take(10).collect();
    for region in [HERE, PEER] {
        let lake = format!("millrace-{environment}-{}-{region}", world.account);
        let model = json!({ "sha256": "aa", "bytes": 4 }).to_string();
        for (key, body) in [
            (format!("bronze/dt={day}/{region}/0.zst"), "x".to_owned()),
            ("models/acme/heat/1/model.json".to_owned(), model),
            ("models/acme/heat/1/model.millrace".to_owned(), "abcd".to_owned()),
            ("models/acme/heat/1/model.tar.gz".to_owned(), "archive".to_owned()),
        ] {
            let s3 = world.in_region(region).s3;
            let put = s3.put_object().bucket(&lake).key(&key).body(ByteStream::from(body.into_bytes()));
            put.send().await.with_context(|| format!("cannot store {key}"))?;
        }
    }
    // A model, and what serves it, in both: there is something to describe.
    let [digest] = push_images(world, ["1"])?;
    push_images(&world.in_region(PEER), ["1"])?;
    let given = [
        "S3PathStyle=true".to_owned(),
        "EndpointInstance=ml.c7i.large".to_owned(),
        format!("ModelRepository={IMAGES}"),
        format!("ModelDigest={digest}"),
        "ModelData=models/acme/heat/1/model.tar.gz".to_owned(),
    ];
    let given = given.map(|value| format!("models:{value}"));
    let given: Vec<&str> = given.iter().flat_map(|value| ["-p", value.as_str()]).collect();
    run(&["deploy"], &[&settings[..], &["--both", "--with", "models"], &given].concat())
}

/// Lets a function's role do this, whatever it is asked of, by a policy that is none of its own.
fn may_besides(world: &World, function: &str, action: &str) -> Result<()> {
    let path = format!("/2015-03-31/functions/{function}/configuration");
    let configuration: Value = serde_json::from_str(&world.rest("lambda", "GET", &path, &[], "")?)?;
    let role = configuration["Role"].as_str().and_then(|arn| arn.rsplit('/').next()).context("no role")?;
    let statement = json!({ "Effect": "Allow", "Action": action, "Resource": "*" });
    let document = json!({ "Version": "2012-10-17", "Statement": [statement] });
    let name = format!("{function}-besides");
    let form = [("PolicyName".to_owned(), name.clone()), ("PolicyDocument".to_owned(), document.to_string())];
    world.query("iam", "2010-05-08", "CreatePolicy", &form)?;
    let arn = format!("arn:aws:iam::{}:policy/{name}", world.account);
    let form = [("RoleName".to_owned(), role.to_owned()), ("PolicyArn".to_owned(), arn)];
    world.query("iam", "2010-05-08", "AttachRolePolicy", &form).map(drop)
}

#[tokio::test]
async fn the_checkers_role_grants_in_both_regions_what_it_looks_at_and_nothing_else() -> Result<()> {
    let Some(like) = World::enforcing() else { return Ok(()) };
    if like.cli.is_none() {
        return Ok(());
    }
    let Some(recorder) = Recorder::start("roles-pair").await? else { return Ok(()) };
    let world = recorder.world(&like);
    let environment = format!("r{}", std::process::id() % 1_000_000);
    a_pair_is_deployed(&world, &environment).await?;
    let checker = format!("millrace-{environment}-replication-checker");
    // AWS asks of the policy (Service Authorization Reference, "Actions defined by AWS IoT"), the emulator of everything.
    may_besides(&world, &checker, "iot:ListTargetsForPolicy")?;
    // The second finds the ledger and the report of the first.
    for _ in 0..2 {
        invoke(&world, &checker, include_str!("../../events/replication-tick.json"))?;
    }
    let mut looked = used(&recorder, &world, &checker, 0)?;
    let log = format!("arn:aws:logs:{HERE}:{}:log-group:/aws/lambda/{checker}:*", world.account);
    looked.extend(by_lambda(&[], "", "", &log).into_iter().filter(|need| need.action.starts_with("logs:")));
    let mut table = "# What the checker uses and is granted\n".to_owned();
    let wrong = compare("replication-checker, two Regions", &looked, &grants(&world, &checker)?, &mut table);
    println!("{table}");
    let folder = World::record().context("MILLRACE_TEST_RECORD is not set")?;
    std::fs::write(folder.join("roles-pair.md"), &table).context("cannot write the table")?;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}
