//! Many devices at once.

use anomaly_core::Severity;
use platform::model::AnomalyRecord;

use super::plant::{at, block_on, changes, fanout, finding, put, store, take, tick_through, world};
use super::receiver::Receiver;
use alert_fanout::message::News;

/// Ten thousand devices within a minute, in batches as Lambda brings them.
#[test]
fn a_storm_of_ten_thousand_devices_is_one_message_with_their_number() {
    const DEVICES: usize = 10_000;
    block_on(async {
        let (world, receiver) = (world(), Receiver::default());
        let fanout = fanout(&world, &receiver);
        let mut held = 0;
        for batch in (0..DEVICES).collect::<Vec<_>>().chunks(1_000) {
            let before = changes(&world).await.len();
            for of_transaction in batch.chunks(90) {
                let found: Vec<AnomalyRecord> = of_transaction
                    .iter()
                    .map(|device| finding(&format!("d-{device:05}"), (device / 1_000) as i64, Severity::Warning))
                    .collect();
                put(&world, &found, &[]).await;
            }
            let brought = changes(&world).await.split_off(before);
            held += take(&fanout, &brought, at(10)).await.held;
        }
        assert_eq!(held, DEVICES as u64);
        assert!(receiver.got().is_empty());
        tick_through(&fanout, 60, 1_300).await;
        let seen = receiver.seen();
        let openings: Vec<_> = seen.iter().filter(|got| got.message.state() != "resolved").collect();
        assert_eq!(openings.len(), 1, "{:?}", openings.iter().map(|got| got.message.state()).collect::<Vec<_>>());
        let News::Digest(digest) = &openings[0].message.news else { panic!("{:?}", openings[0].message.news) };
        assert_eq!(digest.count, DEVICES as u64);
        assert_eq!(digest.devices.len(), 10);
    });
}

#[test]
fn a_device_that_comes_and_goes_is_told_as_that_once() {
    block_on(async {
        let (world, receiver) = (world(), Receiver::default());
        let fanout = fanout(&world, &receiver);
        let mut came = 0;
        for round in 0..20 {
            let start = round * 120;
            let began = store(
                &world,
                &[finding("pump-1", start, Severity::Warning)],
                &[super::plant::state("pump-1", start, true)],
            )
            .await;
            take(&fanout, &began, at(start + 1)).await;
            let over = store(&world, &[], &[super::plant::state("pump-1", start + 60, false)]).await;
            take(&fanout, &over, at(start + 61)).await;
            tick_through(&fanout, start + 62, start + 100).await;
            came += 2;
        }
        tick_through(&fanout, 2_400, 9_000).await;
        let courses = receiver.courses("ops");
        assert_eq!(courses.len(), 1);
        let told = courses.into_values().next().unwrap();
        assert_eq!(told, ["opened", "flapping", "steady", "resolved"], "{came} changes");
    });
}
