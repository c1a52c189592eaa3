//! What a Region has: two that are set up alike, but for the names that differ.

use std::collections::BTreeMap;

use replication_checker::ports::{Copying, EndpointConfig, FunctionState, Model, Rule, StreamState, Table, TableState};

use crate::world::{ACCOUNT, REGIONS, bucket};

#[derive(Default, Clone)]
pub(crate) struct Made {
    pub(crate) tables: BTreeMap<Table, TableState>,
    pub(crate) stream: Option<StreamState>,
    pub(crate) models: Vec<Model>,
    pub(crate) configs: Vec<EndpointConfig>,
    pub(crate) things: BTreeMap<String, BTreeMap<String, String>>,
    pub(crate) principals: BTreeMap<String, Vec<String>>,
    pub(crate) certificates: BTreeMap<String, String>,
    pub(crate) policies: BTreeMap<String, (String, Vec<String>)>,
    pub(crate) rules: BTreeMap<String, Rule>,
    pub(crate) functions: BTreeMap<String, FunctionState>,
    pub(crate) copying: Option<Copying>,
}

fn named(region: &str, rest: &str) -> String {
    format!("arn:aws:iot:{region}:{ACCOUNT}:{rest}")
}

pub(crate) fn policy(region: &str, client: &str) -> String {
    let resource = named(region, client);
    format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":"iot:Connect","Resource":"{resource}"}}]}}"#
    )
}

pub(crate) fn stream() -> StreamState {
    StreamState {
        status: "ACTIVE".to_owned(),
        mode: "PROVISIONED".to_owned(),
        open_shards: 4,
        retention_hours: 48,
        encryption: "KMS alias/aws/kinesis".to_owned(),
    }
}

pub(crate) fn alike(region: &str, other: &str) -> Made {
    let table = TableState { status: "ACTIVE".to_owned(), replicas: [(other.to_owned(), "ACTIVE".to_owned())].into() };
    let device = "millrace-prod-acme-device";
    let certificates = ["c1", "c2"].map(str::to_owned);
    let model = format!("Model-{region}");
    let queue = format!("https://sqs.{region}.amazonaws.com/{ACCOUNT}/failures");
    Made {
        tables: Table::ALL.map(|which| (which, table.clone())).into(),
        stream: Some(stream()),
        models: vec![
            Model {
                name: model.clone(),
                image: format!("{ACCOUNT}.dkr.ecr.{region}.amazonaws.com/millrace@sha256:1"),
                data: format!("s3://{}/models/acme/pump/1/model.tar.gz", bucket(region)),
            },
            Model { name: format!("of-{region}"), image: "i".to_owned(), data: "s3://somebody/else".to_owned() },
        ],
        configs: vec![EndpointConfig {
            name: format!("Config-{region}"),
            variants: vec![(model, "ml.c7i.large".to_owned(), 1)],
        }],
        things: ["press-1", "press-2"]
            .map(|name| {
                let attributes = [("env", "prod"), ("tenant", "acme")];
                (name.to_owned(), attributes.map(|(key, value)| (key.to_owned(), value.to_owned())).into())
            })
            .into(),
        principals: [("press-1", "c1"), ("press-2", "c2")]
            .map(|(thing, id)| (thing.to_owned(), vec![id.to_owned()]))
            .into(),
        certificates: certificates.clone().map(|id| (id, "ACTIVE".to_owned())).into(),
        policies: [(device.to_owned(), (policy(region, "client/x"), certificates.to_vec()))].into(),
        rules: [(
            "millrace_prod_acme_telemetry".to_owned(),
            Rule {
                name: "millrace_prod_acme_telemetry".to_owned(),
                sql: "SELECT *, topic() AS topic FROM 'tenants/acme/devices/+/telemetry'".to_owned(),
                actions: vec![
                    r#"{"then":{"kinesis":{"stream":"millrace-prod-telemetry","key":"${topic(4)}"}}}"#.to_owned(),
                    format!(r#"{{"where that fails":{{"sqs":{{"queue":"{queue}"}}}}}}"#),
                ],
                is_disabled: region == REGIONS[1],
            },
        )]
        .into(),
        functions: ["kinesis-scorer", "alert-fanout", "replication-checker"]
            .map(|name| {
                let state = FunctionState { code_sha256: format!("sha-{name}"), architecture: "arm64".to_owned() };
                (format!("millrace-prod-{name}"), state)
            })
            .into(),
        copying: None,
    }
}
