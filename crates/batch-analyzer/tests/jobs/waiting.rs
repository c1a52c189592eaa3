//! A job is analysed when all of it is there.

use batch_analyzer::handler::{Outcome, Request, run, unfinished};
use batch_analyzer::refusal::Reason;
use platform::sim::SimWorld;

use super::plant::{Form, MINUTES, analyze, at, faulty, id, key, place, report};

#[tokio::test]
async fn results_are_waited_for_until_the_last_is_there() {
    let world = SimWorld::new();
    place(&world, &faulty(), Form::Csv);
    let description = world.object(&key("job.json")).unwrap();
    let result = world.object(&key("output/b.out")).unwrap();
    world.remove_object(&key("job.json"));
    world.remove_object(&key("output/b.out"));
    assert_eq!(analyze(&world).await.unwrap(), Outcome::Undescribed);
    world.place_object(key("job.json"), description);
    assert_eq!(analyze(&world).await.unwrap(), Outcome::Waiting { missing: 1, parts: 2 });
    assert_eq!(unfinished(&world).await.unwrap(), [id()]);
    world.place_object(key("output/b.out"), result);
    assert_eq!(report(&world).await.alone, 3);
    assert_eq!(unfinished(&world).await.unwrap(), []);
}

#[tokio::test]
async fn who_asks_may_have_a_job_without_the_results_that_will_never_come() {
    let world = SimWorld::new();
    place(&world, &faulty(), Form::Csv);
    world.remove_object(&key("output/b.out"));
    let id = id();
    let request = Request { id: &id, accepts_missing: true, ttl_days: 90, now: at(MINUTES) };
    let Outcome::Analyzed(report, _) = run(&world, &request, || true).await.unwrap() else { panic!("it waits") };
    assert_eq!((report.refused[&Reason::Missing], report.alone), (1, 1));
}
