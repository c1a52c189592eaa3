//! What a validation says of a path that is whole, of one that is broken, and of one that cannot be looked at.

use std::collections::BTreeMap;
use std::time::Duration;

use account::{Kind, Trouble};
use telemetry::bronze::BronzeWriter;
use telemetry::sequence::SequenceNumber;
use tenancy::folder::Files;
use tenancy::issue::bring_on;
use tenancy::lake::Lake;
use tenancy::names::Tenant;
use tenancy::people::{People, Subscription};
use tenancy::policy::{Ground, expected};
use tenancy::record::Facts;
use tenancy::verify::{Answer, Arrival, Case, DeviceState, Line, Position, StepResult, Validation, Witness, verify};

use crate::world::World;

const STACK: &str = "arn:aws:cloudformation:eu-west-1:123456789012:stack/millrace-dev-tenant-acme/1";
const SEQUENCE: &str = "49600000000000000000000000000000000000000000000000000007";
const PATIENCE: Duration = Duration::from_secs(30);

/// Services that are well but for what a test breaks.
#[derive(Default)]
struct Services {
    world: World,
    objects: BTreeMap<String, Vec<u8>>,
    payload: std::cell::RefCell<Option<Vec<u8>>>,
    is_lost: bool,
    is_forbidden: bool,
    is_stuck: bool,
}

fn forbidden<T>(action: &'static str) -> Result<T, Trouble> {
    let message = "no such right".to_owned();
    Err(Trouble { action, subject: "test".to_owned(), kind: Kind::Forbidden, message })
}

/// A broker that does as the policy says, or lets everything through.
struct Gate<'a> {
    services: &'a Services,
    is_open: bool,
}

impl Line for Gate<'_> {
    async fn shake_hands(&self) -> Result<String, String> {
        Ok("broker.example:8883".to_owned())
    }

    async fn connect(&self, client_id: &str) -> Result<Answer, String> {
        let is_own = client_id == "acme-verify";
        Ok(if is_own || self.is_open { Answer::Granted("in".to_owned()) } else { Answer::Refused("closed".to_owned()) })
    }

    async fn publish(&self, client_id: &str, topic: &str, payload: &str) -> Result<Answer, String> {
        if topic == format!("tenants/acme/devices/{client_id}/telemetry") {
            let mut record: serde_json::Value = serde_json::from_str(payload).unwrap();
            record["topic"] = topic.into();
            self.services.payload.replace(Some(record.to_string().into_bytes()));
            return Ok(Answer::Granted("taken".to_owned()));
        }
        Ok(if self.is_open { Answer::Granted("taken".to_owned()) } else { Answer::Refused("closed".to_owned()) })
    }
}

impl Witness for Services {
    async fn position(&self, _stream: &str, _partition_key: &str) -> Result<Position, Trouble> {
        Ok(Position { shard: "shardId-000000000000".to_owned(), iterator: Some("1".to_owned()) })
    }

    async fn arrivals(&self, _position: &mut Position) -> Result<Vec<Arrival>, Trouble> {
        let other = Arrival { sequence: "1".to_owned(), data: b"not even JSON".to_vec() };
        let ours = self.payload.borrow().clone().filter(|_| !self.is_lost);
        Ok(std::iter::once(other).chain(ours.map(|data| Arrival { sequence: SEQUENCE.to_owned(), data })).collect())
    }

    async fn committed(&self, _table: &str, key: &str) -> Result<Option<String>, Trouble> {
        assert_eq!(key, "eu-west-1#telemetry#shardId-000000000000");
        Ok(Some(if self.is_stuck { "1".to_owned() } else { SEQUENCE.to_owned() }))
    }

    async fn device_state(&self, _: &str, _: &str, _: &str) -> Result<Option<DeviceState>, Trouble> {
        if self.is_forbidden { forbidden("GetItem") } else { Ok(None) }
    }

    async fn log_lines(&self, _: &str, _: i64, _: &str) -> Result<Vec<String>, Trouble> {
        if self.is_forbidden {
            forbidden("FilterLogEvents")
        } else {
            Ok(vec!["ERROR of shardId-000000000009".to_owned()])
        }
    }
}

impl Lake for Services {
    async fn get(&self, _bucket: &str, key: &str) -> Result<Option<Vec<u8>>, Trouble> {
        if self.objects.contains_key(key) {
            return Ok(self.objects.get(key).cloned());
        }
        let mut writer = BronzeWriter::new();
        let number: SequenceNumber = SEQUENCE.parse().unwrap();
        let data = self.payload.borrow().clone().unwrap();
        writer.push(&number, telemetry_time(), "acme-verify", &data, true);
        Ok(Some(writer.finish().unwrap()))
    }

    async fn put(&self, _: &str, _: &str, _: Vec<u8>) -> Result<(), Trouble> {
        forbidden("PutObject")
    }

    async fn put_if_absent(&self, _: &str, _: &str, _: Vec<u8>) -> Result<bool, Trouble> {
        forbidden("PutObject")
    }

    async fn keys(&self, _bucket: &str, prefix: &str, _: usize) -> Result<Vec<String>, Trouble> {
        let is_now = prefix == "bronze/dt=2026-11-22/hour=03/eu-west-1/telemetry/shardId-000000000000/";
        Ok(is_now.then(|| format!("{prefix}0-{SEQUENCE}.v1-0-abc.ndjson.zst")).into_iter().collect())
    }

    async fn folders(&self, _: &str, _: &str) -> Result<Vec<String>, Trouble> {
        forbidden("ListObjectsV2")
    }

    async fn delete(&self, _: &str, _: &str) -> Result<(), Trouble> {
        forbidden("DeleteObject")
    }
}

impl People for Services {
    async fn subscriptions(&self, _topic: &str) -> Result<Vec<Subscription>, Trouble> {
        let endpoint = "duty@acme.example".to_owned();
        Ok(vec![Subscription { protocol: "email".to_owned(), endpoint, is_confirmed: false }])
    }

    async fn subscribe(&self, _: &str, _: &str) -> Result<(), Trouble> {
        forbidden("Subscribe")
    }
}

fn telemetry_time() -> anomaly_core::Timestamp {
    anomaly_core::Timestamp::from_millis(1_793_534_400_000).unwrap()
}

async fn validate(break_it: impl FnOnce(&mut Services), is_open: bool) -> (Validation, Duration) {
    let (tenant, dir) = (Tenant::new("dev", "acme").unwrap(), tempfile::tempdir().unwrap());
    let mut services = Services::default();
    let files = Files::of(dir.path(), "acme", "acme-verify");
    bring_on(&services.world, &tenant, "acme-verify", &files).await.unwrap();
    let ground = Ground { partition: "aws", region: "eu-west-1", account: "123456789012" };
    let document = expected(&tenant, ground, false).to_string();
    services.world.policies.borrow_mut().insert(tenant.device_policy(), document);
    break_it(&mut services);
    let facts = Facts {
        region: "eu-west-1".to_owned(),
        stack_id: STACK.to_owned(),
        device_policy: tenant.device_policy(),
        stream: "telemetry".to_owned(),
        ..Facts::default()
    };
    let at = "2026-11-22T03:30:00Z".parse().unwrap();
    let case = Case { tenant: &tenant, device: "acme-verify", files: &files, facts: &facts, patience: PATIENCE, at };
    let gate = Gate { services: &services, is_open };
    let began = tokio::time::Instant::now();
    let found = verify(&services, None::<&Services>, &gate, case).await;
    (found, began.elapsed())
}

#[track_caller]
fn check(found: &Validation, step: &str, expected: StepResult) {
    let seen = found.steps.iter().find(|one| one.step == step).unwrap_or_else(|| panic!("no step {step}"));
    assert_eq!(seen.result, expected, "{seen:?}");
    let needs_remedy = matches!(expected, StepResult::Failed | StepResult::Unknown | StepResult::Warning);
    assert!(!needs_remedy || !seen.remedy.is_empty(), "{seen:?}");
}

#[tokio::test(start_paused = true)]
async fn a_path_that_is_whole_is_proven_though_nobody_has_confirmed() {
    let (found, _) = validate(|_| {}, false).await;
    assert!(found.is_good(), "{found:#?}");
    check(&found, "subscribers", StepResult::Warning);
    check(&found, "other region", StepResult::NotChecked);
    assert_eq!(found.steps.iter().filter(|step| step.result == StepResult::Ok).count(), 11);
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_lets_everything_through_is_found_out() {
    let (found, _) = validate(|_| {}, true).await;
    check(&found, "other identity refused", StepResult::Failed);
    check(&found, "other topics refused", StepResult::Failed);
    check(&found, "stream arrival", StepResult::Ok);
    assert!(!found.is_good());
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_was_widened_is_found_out() {
    let widen = |services: &mut Services| {
        for document in services.world.policies.borrow_mut().values_mut() {
            *document = document.replace("client/${iot:Connection.Thing.ThingName}", "*");
        }
    };
    let (found, _) = validate(widen, false).await;
    check(&found, "identity", StepResult::Failed);
    assert!(!found.is_good());
}

#[tokio::test(start_paused = true)]
async fn a_reading_that_is_lost_ends_the_wait_in_time() {
    let (found, took) = validate(|services| services.is_lost = true, false).await;
    check(&found, "stream arrival", StepResult::Failed);
    check(&found, "commit", StepResult::NotChecked);
    check(&found, "lake", StepResult::NotChecked);
    assert!(!found.is_good() && took < PATIENCE * 2, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_shard_that_stands_still_is_no_success() {
    let (found, _) = validate(|services| services.is_stuck = true, false).await;
    check(&found, "commit", StepResult::Failed);
    check(&found, "device state", StepResult::NotChecked);
    assert!(!found.is_good());
}

#[tokio::test(start_paused = true)]
async fn what_may_not_be_looked_at_is_unknown_and_never_well() {
    let (found, _) = validate(|services| services.is_forbidden = true, false).await;
    check(&found, "device state", StepResult::Unknown);
    check(&found, "function log", StepResult::Unknown);
    assert!(!found.is_good());
}

mod delegated {
    //! The registry is the world's.

    use std::collections::BTreeMap;

    use account::Trouble;
    use tenancy::registry::{Certificate, Registry, Status, Thing};

    use super::Services;

    impl Registry for Services {
        async fn thing(&self, name: &str) -> Result<Option<Thing>, Trouble> {
            self.world.thing(name).await
        }
        async fn make_thing(&self, name: &str, attributes: &BTreeMap<String, String>) -> Result<(), Trouble> {
            self.world.make_thing(name, attributes).await
        }
        async fn delete_thing(&self, name: &str) -> Result<(), Trouble> {
            self.world.delete_thing(name).await
        }
        async fn things(&self, attribute: &str, value: &str) -> Result<Vec<String>, Trouble> {
            self.world.things(attribute, value).await
        }
        async fn principals(&self, thing: &str) -> Result<Vec<String>, Trouble> {
            self.world.principals(thing).await
        }
        async fn certificate(&self, id: &str) -> Result<Option<Certificate>, Trouble> {
            self.world.certificate(id).await
        }
        async fn inactive_certificates(&self, count_max: usize) -> Result<Vec<String>, Trouble> {
            self.world.inactive_certificates(count_max).await
        }
        async fn sign(&self, csr: &str) -> Result<Certificate, Trouble> {
            self.world.sign(csr).await
        }
        async fn register(&self, pem: &str) -> Result<(), Trouble> {
            self.world.register(pem).await
        }
        async fn set_status(&self, id: &str, status: Status) -> Result<(), Trouble> {
            self.world.set_status(id, status).await
        }
        async fn delete_certificate(&self, id: &str) -> Result<(), Trouble> {
            self.world.delete_certificate(id).await
        }
        async fn attach_thing(&self, thing: &str, certificate: &str) -> Result<(), Trouble> {
            self.world.attach_thing(thing, certificate).await
        }
        async fn detach_thing(&self, thing: &str, certificate: &str) -> Result<(), Trouble> {
            self.world.detach_thing(thing, certificate).await
        }
        async fn attach_policy(&self, policy: &str, certificate: &str) -> Result<(), Trouble> {
            self.world.attach_policy(policy, certificate).await
        }
        async fn policies(&self, certificate: &str) -> Result<Vec<String>, Trouble> {
            self.world.policies(certificate).await
        }
        async fn policy_targets(&self, policy: &str) -> Result<Vec<String>, Trouble> {
            self.world.policy_targets(policy).await
        }
        async fn things_of(&self, certificate: &str) -> Result<Vec<String>, Trouble> {
            self.world.things_of(certificate).await
        }
        async fn policy_document(&self, policy: &str) -> Result<Option<String>, Trouble> {
            self.world.policy_document(policy).await
        }
        async fn endpoint(&self) -> Result<String, Trouble> {
            self.world.endpoint().await
        }
    }
}
