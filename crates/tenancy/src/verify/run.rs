//! The steps, in order. One that needs what an earlier one did not bring is not checked.

use std::time::Duration;

use telemetry::sequence::SequenceNumber;
use tokio::time::Instant;

use super::evidence::{Arrival, Witness};
use super::identity::identity;
use super::seen::{LOOK_EVERY, Seen, until};
use super::trail::{arrival, bronze, committed_in, quarantined};
use super::{Answer, Line, METRIC, OTHER_REGION, READ_AT_MS, Step, StepResult, Validation};
use crate::folder::Files;
use crate::lake::Lake;
use crate::names::Tenant;
use crate::people::People;
use crate::record::Facts;
use crate::registry::Registry;

/// What is to be shown.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// Whose.
    pub tenant: &'a Tenant,
    /// As which device.
    pub device: &'a str,
    /// Its files.
    pub files: &'a Files,
    /// What the stacks say.
    pub facts: &'a Facts,
    /// Longest wait for each thing that takes time.
    pub patience: Duration,
    /// Now.
    pub at: jiff::Timestamp,
}

/// The steps so far.
struct Run {
    steps: Vec<Step>,
}

impl Run {
    async fn step(&mut self, name: &str, expected: &str, look: impl Future<Output = Seen>) -> bool {
        let began = Instant::now();
        let seen = look.await;
        let is_ok = seen.is_ok();
        let Seen(result, seen, remedy) = seen;
        self.steps.push(Step {
            step: name.to_owned(),
            expected: expected.to_owned(),
            seen,
            milliseconds: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
            result,
            remedy: remedy.to_owned(),
        });
        is_ok
    }
}

/// Does all steps. `other` is the other Region of a pair.
pub async fn verify<S: Registry + Witness + Lake + People>(
    services: &S,
    other: Option<&(impl Witness + Lake)>,
    line: &impl Line,
    case: Case<'_>,
) -> Validation {
    let Case { tenant, device, facts, .. } = case;
    let mut run = Run { steps: Vec::new() };
    let nonce = format!("{:x}", case.at.as_nanosecond());
    let payload = format!(r#"{{"ts":{READ_AT_MS},"{METRIC}":1,"millrace_try":"{nonce}"}}"#);
    let topic = tenant.telemetry_topic(device);

    run.step("identity", "active, attached to its thing, with the template's policy", identity(services, case)).await;
    let shaken = run
        .step("broker certificate", "a broker whose certificate is trusted, which takes the device's", async {
            match line.shake_hands().await {
                Ok(seen) => Seen::ok(seen),
                Err(why) => Seen::failed(
                    why,
                    "look at --broker and --ca, at the network, and whether the certificate is active",
                ),
            }
        })
        .await;
    let connected = run.step("connect", "let in under its own name", connect(line, case, shaken)).await;
    run.step("other identity refused", "not let in under another name", async {
        if !connected {
            return Seen::not_checked("it is not let in at all");
        }
        refused(line.connect(&format!("{device}-other")).await)
    })
    .await;

    let mut position = services.position(&facts.stream, device).await;
    let published = run
        .step("publish", "taken on its own topic", async {
            if !connected {
                return Seen::not_checked("it is not let in");
            }
            match line.publish(device, &topic, &payload).await {
                Ok(Answer::Granted(seen)) => Seen::ok(seen),
                Ok(Answer::Refused(how)) => Seen::failed(
                    format!("the broker {how}"),
                    "the policy does not let it publish there: run `millrace tenant add` again",
                ),
                Err(why) => Seen::failed(why, "look at the network, and run it again"),
            }
        })
        .await;
    let foreign = [
        format!("tenants/{}-other/devices/{device}/telemetry", tenant.name),
        tenant.telemetry_topic(&format!("{device}-other")),
    ];
    run.step("other topics refused", "not taken on another tenant's and another device's topic", async {
        if !connected {
            return Seen::not_checked("it is not let in");
        }
        for topic in &foreign {
            let seen = refused(line.publish(device, topic, &payload).await);
            if !seen.is_ok() {
                return seen;
            }
        }
        Seen::ok("the broker closed the connection at each")
    })
    .await;

    let mut arrived: Option<(String, Arrival)> = None;
    run.step("stream arrival", "in the stream, with its topic", async {
        if !published {
            return Seen::not_checked("it was not published");
        }
        match &mut position {
            Ok(position) => match arrival(services, position, &topic, &nonce, case.patience).await {
                Ok(Some(found)) => {
                    let seen = format!("{} {}", position.shard, found.sequence);
                    arrived = Some((position.shard.clone(), found));
                    Seen::ok(seen)
                }
                Ok(None) => Seen::failed(
                    format!("not within {:?}", case.patience),
                    "the rule did not forward it: look into the tenant's queue of rule failures, and at the rule's role",
                ),
                Err(trouble) => Seen::trouble(&trouble),
            },
            Err(trouble) => Seen::trouble(trouble),
        }
    })
    .await;
    follow(&mut run, services, other, case, arrived).await;
    Validation { at: case.at.to_string(), device: device.to_owned(), steps: run.steps }
}

/// What happens behind the stream.
async fn follow<S: Witness + Lake + People>(
    run: &mut Run,
    services: &S,
    other: Option<&(impl Witness + Lake)>,
    case: Case<'_>,
    arrived: Option<(String, Arrival)>,
) {
    let Case { tenant, device, facts, .. } = case;
    let padded = arrived.as_ref().and_then(|(_, found)| found.sequence.parse::<SequenceNumber>().ok());
    let place = arrived.as_ref().zip(padded).map(|((shard, found), number)| (shard.as_str(), found, number));
    let committed = run
        .step("commit", "the shard's checkpoint is past it", async {
            let Some((shard, _, number)) = place else { return Seen::not_checked("it was not seen in the stream") };
            committed(services, case, shard, number, &facts.checkpoints_table).await
        })
        .await;
    run.step("device state", "taken as a reading of a device that is normal", async {
        let Some((shard, _, number)) = place.filter(|_| committed) else {
            return Seen::not_checked("it was not committed");
        };
        match quarantined(services, case, shard, number).await {
            Ok(None) => {}
            Ok(Some(reason)) => {
                return Seen::failed(
                    format!("quarantined: {reason}"),
                    "somebody changed the rule or what belongs to whom: `millrace deploy` puts back what the templates say",
                );
            }
            Err(trouble) => return Seen::trouble(&trouble),
        }
        match services.device_state(&facts.results_table, &tenant.name, device).await {
            // The results have what changes, and a device begins as normal.
            Ok(None) => Seen::ok("not quarantined, and normal ever since: then nothing is stored of it"),
            Ok(Some(state)) if state.status == "normal" || case.device != tenant.verify_device() => {
                Seen::ok(format!("not quarantined, and {} since {}", state.status, state.since))
            }
            Ok(Some(state)) => Seen::failed(
                format!("{} since {}", state.status, state.since),
                "the profile has a rule that its metric breaks: look at the anomaly (`millrace anomalies list`)",
            ),
            Err(trouble) => Seen::trouble(&trouble),
        }
    })
    .await;
    run.step("lake", "its bytes are in bronze", async {
        let Some((shard, found, number)) = place.filter(|_| committed) else {
            return Seen::not_checked("it was not committed");
        };
        match until(LOOK_EVERY, async || bronze(services, case, shard, found, number).await).await {
            Ok(Some(key)) => Seen::ok(key),
            Ok(None) => Seen::failed("no object has it", "look at the function's log and its right to write bronze/"),
            Err(trouble) => Seen::trouble(&trouble),
        }
    })
    .await;
    run.step("function log", "no error of the shard or the tenant", async {
        let Some((shard, ..)) = place else { return Seen::not_checked("it was not seen in the stream") };
        match services.log_lines(&facts.scorer_log, case.at.as_millisecond(), "ERROR").await {
            Ok(lines) => {
                let tenant = format!("\"{}\"", tenant.name);
                match lines.iter().find(|line| line.contains(shard) || line.contains(&tenant)) {
                    None => Seen::ok("none"),
                    Some(line) => {
                        Seen::failed(line.trim(), "the line says what is wrong; docs/operations/runbook.md has more")
                    }
                }
            }
            Err(trouble) => Seen::trouble(&trouble),
        }
    })
    .await;
    run.step("subscribers", "somebody is told of what is found", subscribers(services, facts)).await;
    run.step(OTHER_REGION, "checkpoint and bronze arrive there, too", async {
        let Some(peer) = &facts.peer else {
            return Seen(StepResult::NotChecked, "there is no other Region".to_owned(), "");
        };
        let (Some((shard, found, number)), Some(other), true) = (place, other, committed) else {
            return Seen::not_checked("it was not committed");
        };
        let seen = committed_in(other, case, shard, number, &facts.checkpoints_table, peer).await;
        let (Some(bucket), true) = (&facts.peer_lake, seen.is_ok()) else { return seen };
        let copied = Facts { lake: bucket.clone(), ..facts.clone() };
        let there = Case { facts: &copied, ..case };
        match until(case.patience, async || bronze(other, there, shard, found, number).await).await {
            Ok(Some(_)) => Seen::ok(format!("checkpoint and object in {peer}")),
            Ok(None) => Seen::failed(
                format!("the checkpoint is in {peer}, the object is not within {:?}", case.patience),
                "most objects are copied within 15 minutes: say a longer --timeout; the alarm LakeLag tells the rest",
            ),
            Err(trouble) => Seen::trouble(&trouble),
        }
    })
    .await;
}

/// Tries again for a while: what was attached just now is known to the brokers within minutes.
async fn connect(line: &impl Line, case: Case<'_>, shaken: bool) -> Seen {
    if !shaken {
        return Seen::not_checked("the broker was not reached");
    }
    let ends = Instant::now() + case.patience;
    loop {
        let answer = line.connect(case.device).await;
        if let Ok(Answer::Granted(seen)) = answer {
            return Seen::ok(seen);
        }
        if Instant::now() >= ends {
            let why = match answer {
                Ok(Answer::Refused(how) | Answer::Granted(how)) => format!("the broker {how}"),
                Err(why) => why,
            };
            return Seen::failed(
                why,
                "the step `identity` says whether certificate and policy are as they should be; what was attached just now can \
                 take minutes: run it again",
            );
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// What must be refused.
fn refused(answer: Result<Answer, String>) -> Seen {
    match answer {
        Ok(Answer::Refused(how)) => Seen::ok(format!("the broker {how}")),
        Ok(Answer::Granted(what)) => Seen::failed(
            what,
            "the device can do more than it may: look at the policies of its certificate, and at what `identity` says",
        ),
        Err(why) => Seen(StepResult::Unknown, why, "look at the network, and run it again"),
    }
}

async fn committed(witness: &impl Witness, case: Case<'_>, shard: &str, number: SequenceNumber, table: &str) -> Seen {
    committed_in(witness, case, shard, number, table, &case.facts.region).await
}

async fn subscribers(people: &impl People, facts: &Facts) -> Seen {
    match people.subscriptions(&facts.people_topic).await {
        Ok(found) => {
            let confirmed = found.iter().filter(|one| one.is_confirmed).count();
            let words = format!("{confirmed} confirmed, {} waiting", found.len() - confirmed);
            if confirmed > 0 {
                Seen::ok(words)
            } else {
                Seen(StepResult::Warning, words, "`millrace tenant add --email`, and follow the link in the mail")
            }
        }
        Err(trouble) => Seen::trouble(&trouble),
    }
}
