//! A folder with incidents: two devices that are abnormal, one that was, and what was told of them.

use std::time::Duration;

use alert_fanout::channel::{Receipt, SendError};
use alert_fanout::config::Config;
use alert_fanout::dispatch::Dispatch;
use alert_fanout::fanout::Fanout;
use alert_fanout::message::Message;
use anomaly_core::incident::ChannelSettings;
use anomaly_core::{Anomaly, AnomalyId, DetectorId, DeviceStatus, Explanation, Severity, Timestamp};
use platform::clock;
use platform::embedded::Local;
use platform::model::{AnomalyRecord, Change, Key, StateRecord, Transaction};
use platform::ports::{CommitTransaction as _, PutIfAbsent as _, ReadChanges as _};

use crate::run::{Folder, Run, millrace};

/// `hall` never takes anything.
const PROFILE: &str = r#"
[channels.desk]
type = "console"

[channels.hall]
type = "webhook"
url = "http://127.0.0.1:9/hook"
allow_private = true

[[alerts.routes]]
channels = ["desk"]

[[alerts.routes]]
channels = ["hall"]
severity_min = "critical"
"#;

/// Takes what goes to `desk`, and nothing else.
struct Desk;

impl Dispatch for Desk {
    async fn dispatch(
        &self,
        _: &str,
        channel: &str,
        _: &ChannelSettings,
        message: &Message,
    ) -> Result<Receipt, SendError> {
        if channel == "desk" {
            return Ok(Receipt { id: Some(format!("line {}", message.notice)), note: None });
        }
        Err(SendError::unanswered(channel))
    }
}

/// The folder.
pub(crate) struct Plant {
    folder: Folder,
    now: Timestamp,
}

impl Plant {
    /// `press-1` is critical and open, `press-2` a warning and open, `oven-1` was a warning until it was normal again.
    pub(crate) fn new() -> Self {
        let plant = Self { folder: Folder::new(), now: clock::now() };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(plant.fill());
        plant
    }

    async fn fill(&self) {
        let local = Local::open(self.folder.path("store")).unwrap();
        let key = Key::new("config/demo/profile.toml").unwrap();
        local.put_if_absent(&key, PROFILE.as_bytes()).await.unwrap();
        let fanout = Fanout::new(local.clone(), Desk, Config::local("unused"));
        let in_time = || Duration::from_mins(1);
        for (device, minutes, severity) in [
            ("oven-1", -90, Severity::Warning),
            ("press-1", -20, Severity::Critical),
            ("press-2", -10, Severity::Warning),
        ] {
            let (found, state) = (self.found(device, minutes, severity), self.state(device, minutes, true));
            let changes = store(&local, &[&found], &[&state]).await;
            fanout.take(&changes, self.at(minutes), &in_time).await.unwrap();
        }
        let over = store(&local, &[], &[&self.state("oven-1", -60, false)]).await;
        fanout.take(&over, self.at(-60), &in_time).await.unwrap();
        fanout.tick(self.at(-45), &in_time).await.unwrap();
    }

    pub(crate) fn at(&self, minutes: i64) -> Timestamp {
        Timestamp::from_millis(self.now.millis() + minutes * 60_000).unwrap()
    }

    fn found(&self, device: &str, minutes: i64, severity: Severity) -> AnomalyRecord {
        let (metrics, onset) = (["temperature"], self.at(minutes));
        let anomaly = Anomaly {
            id: AnomalyId::of("demo", device, &metrics, DetectorId::Limit, onset),
            tenant: "demo".to_owned(),
            device: device.to_owned(),
            metrics: metrics.map(str::to_owned).to_vec(),
            detector: DetectorId::Limit,
            onset,
            score: 1.5,
            severity,
            explanation: Explanation {
                score: 1.5,
                summary: format!("temperature of {device} is above its limit"),
                contributions: Vec::new(),
            },
        };
        AnomalyRecord {
            anomaly,
            detected_at: onset,
            seq: (minutes + 1_000).to_string().parse().unwrap(),
            shard: "local/demo/shardId-000000000000".to_owned(),
            profiles: "0000000000000000".to_owned(),
            expires_at: 4_000_000_000,
        }
    }

    fn state(&self, device: &str, minutes: i64, is_abnormal: bool) -> StateRecord {
        StateRecord {
            tenant: "demo".to_owned(),
            device: device.to_owned(),
            status: if is_abnormal { DeviceStatus::Abnormal } else { DeviceStatus::Normal },
            since: self.at(minutes),
            score: if is_abnormal { 1.5 } else { 0.2 },
            seq: (minutes + 1_000).to_string().parse().unwrap(),
            epoch: 0,
            expires_at: 4_000_000_000,
        }
    }

    pub(crate) fn ask(&self, args: &[&str]) -> Run {
        millrace(&[&["alerts"], args, &["--dir", &self.folder.arg("store")]].concat())
    }

    /// A column of a list, as CSV.
    pub(crate) fn column(&self, args: &[&str], name: &str) -> Vec<String> {
        self.ask(&[args, &["--output", "csv"]].concat()).ok().column(name)
    }

    /// The id of a device's only incident.
    pub(crate) fn id(&self, device: &str) -> String {
        let ids = self.column(&["list", "--device", device], "id");
        assert_eq!(ids.len(), 1, "{device} has one incident");
        ids[0].clone()
    }

    /// What is told of a device's only incident, and where that stands, over one channel.
    pub(crate) fn course(&self, device: &str, channel: &str) -> Vec<(String, String)> {
        let run = self.ask(&["show", &self.id(device), "--output", "csv"]).ok();
        let steps = run.column("what").into_iter().zip(run.column("state"));
        let steps = steps.zip(run.column("channel")).filter(|(_, over)| over == channel);
        steps.map(|(step, _)| step).collect()
    }
}

async fn store(local: &Local, anomalies: &[&AnomalyRecord], states: &[&StateRecord]) -> Vec<Change> {
    let before = local.read_changes(0, 10_000).await.unwrap().last().map_or(0, |change| change.number);
    let transaction = Transaction { anomalies: anomalies.to_vec(), states: states.to_vec(), ..Transaction::default() };
    local.commit(&transaction).await.unwrap();
    local.read_changes(before, 10_000).await.unwrap().into_iter().map(|change| change.change).collect()
}
