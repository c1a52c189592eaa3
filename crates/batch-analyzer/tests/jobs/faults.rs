//! Whatever is lost on the way, what comes of a job is the same.

use batch_analyzer::handler::Outcome;
use platform::sim::{Fault, SimWorld};

use super::plant::{DEVICES, Form, analyze, faulty, place};

/// All that is stored, without what tells when.
fn stored(world: &SimWorld) -> String {
    let anomalies: Vec<_> = world.anomalies().into_iter().map(|record| record.anomaly).collect();
    let objects: Vec<_> = world.objects().into_iter().collect();
    format!("{anomalies:?} {:?} {objects:?}", world.entries())
}

async fn to_the_end(world: &SimWorld) {
    for _ in 0..3 {
        tokio::select! {
            outcome = analyze(world) => match outcome {
                Ok(Outcome::Analyzed(..) | Outcome::Done(_)) => return,
                Ok(other) => panic!("{other:?}"),
                Err(error) => assert!(error.is_transient(), "{error}"),
            },
            () = world.crashed() => {}
        }
    }
    panic!("it does not end");
}

#[tokio::test]
async fn a_job_cut_at_any_call_comes_to_the_same() {
    let start = SimWorld::new();
    // The end of the job, so that a run takes milliseconds.
    place(&start, &faulty().split_off(DEVICES.len() * 2_600), Form::JsonLines);
    let undisturbed = start.copy();
    to_the_end(&undisturbed).await;
    let (calls, expected) = (undisturbed.calls().len(), stored(&undisturbed));
    assert!(calls > 10, "{calls}");
    for call in 0..calls {
        for fault in [
            Fault::Throttle,
            Fault::Unavailable,
            Fault::UnavailableButLands,
            Fault::LandsLater,
            Fault::CrashBefore,
            Fault::CrashAfter,
        ] {
            let world = start.copy();
            world.on_call(call, fault);
            to_the_end(&world).await;
            world.land();
            assert_eq!(stored(&world), expected, "{fault:?} at call {call}: {:?}", world.calls().get(call));
        }
    }
}

#[tokio::test]
async fn two_at_once_come_to_the_same_as_one() {
    let one = SimWorld::new();
    place(&one, &faulty(), Form::Csv);
    let two = one.copy();
    to_the_end(&one).await;
    let (first, second) = tokio::join!(analyze(&two), analyze(&two));
    assert!(first.is_ok() && second.is_ok(), "{first:?} {second:?}");
    assert_eq!(stored(&two), stored(&one));
}
