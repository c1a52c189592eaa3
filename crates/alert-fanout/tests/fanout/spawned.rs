//! The fan-out's work may go on in another thread: what is spawned here would not compile otherwise.

use std::sync::Arc;

use anomaly_core::Severity;

use super::plant::{at, block_on, fanout, finding, in_time, state, store, world};
use super::receiver::Receiver;

#[test]
fn a_batch_and_a_tick_may_be_spawned() {
    block_on(async {
        let (world, receiver) = (world(), Receiver::default());
        let began = store(&world, &[finding("oven-1", 0, Severity::Warning)], &[state("oven-1", 0, true)]).await;
        let fanout = Arc::new(fanout(&world, &receiver));
        let other = Arc::clone(&fanout);
        let taken = tokio::spawn(async move { other.take(&began, at(1), &in_time).await }).await.unwrap().unwrap();
        assert_eq!(taken.done.sent, 1);
        let ticked = tokio::spawn(async move { fanout.tick(at(60), &in_time).await }).await.unwrap().unwrap();
        assert_eq!(ticked.sent, 0, "it is told already");
    });
}
