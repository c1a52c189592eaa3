//! The onboarding record: everything that somebody needs to know to connect a tenant's devices and to look after them.
//!
//! It is written as JSON, which has a version, and as Markdown for people. No secret is in it: ids and ARNs of certificates,
//! but neither they nor their keys.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::names::{BROKER_PORT, Tenant};
use crate::registry::{Certificate, Status};
use crate::verify::Validation;

/// The version of the record's form. One with another is not read.
pub const SCHEMA: u32 = 1;

/// What the stacks say of a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Facts {
    /// The Region.
    pub region: String,
    /// The tenant's stack.
    pub stack: String,
    /// Its ARN.
    pub stack_id: String,
    /// Outputs of the tenant's stack.
    pub rule: String,
    /// The rule for topics without a tenant, where there is one.
    pub sensor_rule: Option<String>,
    /// The policy of the devices' certificates.
    pub device_policy: String,
    /// The topic of the tenant's people.
    pub people_topic: String,
    /// The policy for its readers.
    pub reader_policy: String,
    /// The queue of messages that did not reach the stream.
    pub rule_failures: String,
    /// The asset model, where there is one.
    pub asset_model: Option<String>,
    /// The stream.
    pub stream: String,
    /// The table of results.
    pub results_table: String,
    /// The table of checkpoints.
    pub checkpoints_table: String,
    /// The lake.
    pub lake: String,
    /// The scorer's log group.
    pub scorer_log: String,
    /// The other Region of a pair.
    pub peer: Option<String>,
    /// The other Region's lake, where this one is copied to it.
    pub peer_lake: Option<String>,
    /// How long results are kept, in days.
    pub result_days: Option<u32>,
}

/// A certificate of a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateLine {
    /// Its id.
    pub id: String,
    /// Its ARN.
    pub arn: String,
    /// Whether it lets the device in.
    pub status: Status,
    /// Until when, RFC 3339, where AWS `IoT` tells it.
    pub expires: Option<String>,
}

impl CertificateLine {
    /// The line of a certificate.
    #[must_use]
    pub fn of(certificate: &Certificate) -> Self {
        let expires = certificate.expires.and_then(|at| jiff::Timestamp::from_second(at).ok());
        Self {
            id: certificate.id.clone(),
            arn: certificate.arn.clone(),
            status: certificate.status,
            expires: expires.map(|at| at.to_string()),
        }
    }
}

/// A device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceLine {
    /// Its name: thing, client id, level of its topics.
    pub name: String,
    /// The thing's ARN.
    pub thing: String,
    /// Its certificates, in the order of their ids.
    pub certificates: Vec<CertificateLine>,
}

/// Where a device speaks and listens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Topics {
    /// `{device}` stands for the device's name.
    pub telemetry: String,
    /// The same.
    pub commands: String,
    /// The topic without a tenant, where it is taken.
    pub sensor: Option<String>,
}

/// The record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The tenant.
    pub tenant: String,
    /// Its environment.
    pub environment: String,
    /// The Region.
    pub region: String,
    /// The account.
    pub account: String,
    /// The stack.
    pub stack: String,
    /// The stack's ARN.
    pub stack_arn: String,
    /// The host that devices connect to.
    pub endpoint: String,
    /// Its port for MQTT over TLS.
    pub broker_port: u16,
    /// Where devices speak and listen.
    pub topics: Topics,
    /// The rule that forwards telemetry.
    pub rule: String,
    /// The rule for topics without a tenant.
    pub sensor_rule: Option<String>,
    /// The policy of the certificates.
    pub device_policy: String,
    /// The topic of the tenant's people.
    pub people_topic: String,
    /// The policy for readers.
    pub reader_policy: String,
    /// Messages that did not reach the stream.
    pub rule_failures: String,
    /// The asset model.
    pub asset_model: Option<String>,
    /// The stream.
    pub stream: String,
    /// The table of results.
    pub results_table: String,
    /// How keys of the tenant's results begin.
    pub results_prefix: String,
    /// The lake.
    pub lake: String,
    /// The profile in the lake.
    pub profile: String,
    /// The devices, sorted.
    pub devices: Vec<DeviceLine>,
    /// The device that `millrace tenant verify` speaks as.
    pub verify_device: String,
    /// The other Region that stands in when this one is lost; `None`: it was decided to have none.
    pub other_region: Option<String>,
    /// The last validation.
    pub validation: Option<Validation>,
}

/// A record that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// It has another form.
    #[error(
        "the onboarding record has schema {0}, this millrace reads {SCHEMA}: use a newer one, or `tenant add` writes it anew"
    )]
    Schema(u64),
    /// It is no record.
    #[error("the onboarding record cannot be read: {0}; `millrace tenant add` writes it anew")]
    Broken(String),
}

impl Record {
    /// What there is, without a validation.
    #[must_use]
    pub fn of(tenant: &Tenant, facts: &Facts, endpoint: &str, mut devices: Vec<DeviceLine>) -> Self {
        devices.sort_by(|a, b| a.name.cmp(&b.name));
        for device in &mut devices {
            device.certificates.sort_by(|a, b| a.id.cmp(&b.id));
        }
        Self {
            schema: SCHEMA,
            tenant: tenant.name.clone(),
            environment: tenant.environment.clone(),
            region: facts.region.clone(),
            account: facts.stack_id.split(':').nth(4).unwrap_or_default().to_owned(),
            stack: facts.stack.clone(),
            stack_arn: facts.stack_id.clone(),
            endpoint: endpoint.to_owned(),
            broker_port: BROKER_PORT,
            topics: Topics {
                telemetry: tenant.telemetry_topic("{device}"),
                commands: tenant.commands_topic("{device}"),
                sensor: facts.sensor_rule.as_ref().map(|_| "sensor/{device}/data".to_owned()),
            },
            rule: facts.rule.clone(),
            sensor_rule: facts.sensor_rule.clone(),
            device_policy: facts.device_policy.clone(),
            people_topic: facts.people_topic.clone(),
            reader_policy: facts.reader_policy.clone(),
            rule_failures: facts.rule_failures.clone(),
            asset_model: facts.asset_model.clone(),
            stream: facts.stream.clone(),
            results_table: facts.results_table.clone(),
            results_prefix: format!("{}#", tenant.name),
            lake: facts.lake.clone(),
            profile: tenant.profile_key(),
            devices,
            verify_device: tenant.verify_device(),
            other_region: facts.peer.clone(),
            validation: None,
        }
    }

    /// Reads one that was written before.
    ///
    /// # Errors
    /// Its version is another, or it is none.
    pub fn read(bytes: &[u8]) -> Result<Self, RecordError> {
        let value: Value = serde_json::from_slice(bytes).map_err(|error| RecordError::Broken(error.to_string()))?;
        match value.get("schema").and_then(Value::as_u64) {
            Some(schema) if schema == u64::from(SCHEMA) => {}
            Some(other) => return Err(RecordError::Schema(other)),
            None => return Err(RecordError::Broken("it has no schema".to_owned())),
        }
        serde_json::from_value(value).map_err(|error| RecordError::Broken(error.to_string()))
    }

    /// As JSON, laid out for people, with a last line break.
    #[must_use]
    pub fn json(&self) -> String {
        // Texts, numbers and lists always have a form in JSON.
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }

    /// As Markdown.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut out = format!("# Tenant {} in {}\n\n| what | value |\n|---|---|\n", self.tenant, self.environment);
        for (what, value) in
            self.rows().iter().filter(|(what, _)| !what.starts_with("device ") || what == "device policy")
        {
            let _written = writeln!(out, "| {what} | `{}` |", value.replace('|', "\\|"));
        }
        out.push_str("\n## Devices\n\n| device | thing | certificate | status | expires |\n|---|---|---|---|---|\n");
        for device in &self.devices {
            for line in &device.certificates {
                let expires = line.expires.as_deref().unwrap_or("not told");
                let (name, thing, id, status) = (&device.name, &device.thing, &line.id, line.status.word());
                let _written = writeln!(out, "| {name} | `{thing}` | `{id}` | {status} | {expires} |");
            }
        }
        let _written = writeln!(
            out,
            "\nA device connects to `{}:{}` with MQTT 3.1.1 over TLS, its own key and certificate, and its own name as the \
             client id. `{}` is no machine: `millrace tenant verify` speaks as it.",
            self.endpoint, self.broker_port, self.verify_device
        );
        if let Some(validation) = &self.validation {
            let _written = writeln!(out, "\n## Validation of {}\n", validation.at);
            out.push_str("| step | seen | milliseconds | result |\n|---|---|---|---|\n");
            for step in &validation.steps {
                let seen = step.seen.replace('|', "\\|").replace('\n', " ");
                let (name, word) = (&step.step, step.result.word());
                let _written = writeln!(out, "| {name} | {seen} | {} | {word} |", step.milliseconds);
            }
        }
        out
    }

    /// What is in it, one thing a row; a certificate is a row of its own.
    #[must_use]
    pub fn rows(&self) -> Vec<(String, String)> {
        let none = || "none".to_owned();
        let mut rows: Vec<(String, String)> = [
            ("tenant", self.tenant.clone()),
            ("environment", self.environment.clone()),
            ("region", self.region.clone()),
            ("account", self.account.clone()),
            ("stack", self.stack.clone()),
            ("stack ARN", self.stack_arn.clone()),
            ("endpoint", format!("{}:{}", self.endpoint, self.broker_port)),
            ("telemetry topic", self.topics.telemetry.clone()),
            ("commands topic", self.topics.commands.clone()),
            ("topic without a tenant", self.topics.sensor.clone().unwrap_or_else(none)),
            ("rule", self.rule.clone()),
            ("rule for topics without a tenant", self.sensor_rule.clone().unwrap_or_else(none)),
            ("device policy", self.device_policy.clone()),
            ("people's topic", self.people_topic.clone()),
            ("reader policy", self.reader_policy.clone()),
            ("failed messages", self.rule_failures.clone()),
            ("asset model", self.asset_model.clone().unwrap_or_else(none)),
            ("stream", self.stream.clone()),
            ("results table", self.results_table.clone()),
            ("results prefix", self.results_prefix.clone()),
            ("lake", self.lake.clone()),
            ("profile", self.profile.clone()),
            ("other region", self.other_region.clone().unwrap_or_else(none)),
        ]
        .map(|(what, value)| (what.to_owned(), value))
        .into();
        for device in &self.devices {
            rows.push((format!("device {}", device.name), device.thing.clone()));
            for line in &device.certificates {
                let expires = line.expires.as_ref().map(|at| format!(", expires {at}")).unwrap_or_default();
                let words = format!("{}{expires}", line.status.word());
                rows.push((format!("device {} certificate {}", device.name, line.id), words));
            }
        }
        rows
    }
}

/// A difference between what was recorded and what there is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Of what.
    pub what: String,
    /// As recorded; `None`: not at all.
    pub recorded: Option<String>,
    /// As it is; `None`: it is gone.
    pub now: Option<String>,
}

/// What differs. Validations are not compared.
#[must_use]
pub fn differences(recorded: &Record, now: &Record) -> Vec<Difference> {
    let (recorded, now) = (recorded.rows(), now.rows());
    let find = |rows: &[(String, String)], what: &str| {
        rows.iter().find(|(name, _)| name == what).map(|(_, value)| value.clone())
    };
    let mut found = Vec::new();
    for (what, value) in &now {
        let before = find(&recorded, what);
        if before.as_ref() != Some(value) {
            found.push(Difference { what: what.clone(), recorded: before, now: Some(value.clone()) });
        }
    }
    for (what, value) in &recorded {
        if find(&now, what).is_none() {
            found.push(Difference { what: what.clone(), recorded: Some(value.clone()), now: None });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        let tenant = Tenant::new("dev", "acme").unwrap();
        let facts = Facts {
            stack_id: "arn:aws:cloudformation:eu-west-1:123456789012:stack/millrace-dev-tenant-acme/1".to_owned(),
            ..Facts::default()
        };
        let certificate = CertificateLine {
            id: "ab12".to_owned(),
            arn: "arn:cert".to_owned(),
            status: Status::Active,
            expires: None,
        };
        let device =
            DeviceLine { name: "pump-7".to_owned(), thing: "arn:thing".to_owned(), certificates: vec![certificate] };
        Record::of(&tenant, &facts, "host", vec![device])
    }

    #[test]
    fn a_record_reads_back_and_another_version_is_refused() {
        let record = record();
        assert_eq!(record.account, "123456789012");
        assert_eq!(Record::read(record.json().as_bytes()).unwrap(), record);
        let newer = record.json().replace("\"schema\": 1", "\"schema\": 2");
        assert_eq!(Record::read(newer.as_bytes()).unwrap_err(), RecordError::Schema(2));
        assert!(record.markdown().contains("| pump-7 | `arn:thing` | `ab12` | active | not told |"));
    }

    #[test]
    fn what_differs_is_named_in_both_directions() {
        let (recorded, mut now) = (record(), record());
        assert_eq!(differences(&recorded, &now), []);
        now.devices[0].certificates[0].status = Status::Revoked;
        now.endpoint = "other".to_owned();
        let found = differences(&recorded, &now);
        assert_eq!(found.len(), 2);
        assert_eq!(found[1].now.as_deref(), Some("revoked"));
        now.devices.clear();
        assert!(differences(&recorded, &now).iter().any(|one| one.what == "device pump-7" && one.now.is_none()));
    }
}
