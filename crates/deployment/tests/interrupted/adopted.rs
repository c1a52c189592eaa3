//! What a former stack has kept becomes part of the next one; and what a change of anything does to the function's revision.

use deployment::deploy::{DeployError, Settings, deploy};
use deployment::destroy::{destroy, standing};
use deployment::plan::{Request, plan};

use super::desk::{Clerk, Code};
use super::world::World;
use super::{ALL, PIPELINE, STORAGE, deployed, stacks};

const QUEUE: &str = "millrace-test-kinesis-scorer-failures";

/// A world in which an environment stood whose data was kept.
async fn left_behind() -> World {
    let world = World::default();
    deployed(&world, &mut Clerk::default()).await.unwrap();
    let names = standing(&world, "test", false).await.unwrap();
    destroy(&world, &names, false, &mut Clerk::default()).await.unwrap();
    assert_eq!(world.owner("millrace-test-results"), None);
    world
}

#[tokio::test(start_paused = true)]
async fn what_destroy_has_kept_is_asked_for_and_adopted_by_the_next_deployment() {
    let world = left_behind().await;
    let mut clerk = Clerk::default();
    let done = deployed(&world, &mut clerk).await.unwrap();
    assert_eq!((done.created, done.updated, done.unchanged), (4, 0, 2));
    for name in ["millrace-test-results", "millrace-test-checkpoints", "millrace-test-${AWS::AccountId}-${AWS::Region}"]
    {
        assert_eq!(world.owner(name).as_deref(), Some(STORAGE), "{name}");
        assert!(clerk.asked[0].contains(name), "{:?}", clerk.asked);
    }
    assert_eq!(world.owner(QUEUE).as_deref(), Some(PIPELINE));
    assert!(clerk.heard("are to be imported"), "{:?}", clerk.words);
    assert_eq!(world.status(STORAGE).as_deref(), Some("UPDATE_COMPLETE"), "the rest is made by the update after it");
    assert_eq!(deployed(&world, &mut Clerk::default()).await.unwrap().unchanged, ALL);
}

/// Law: wherever a run that adopts is cut off, the next one arrives at the same.
#[tokio::test(start_paused = true)]
async fn an_adoption_that_was_cut_off_at_any_call_is_finished_by_the_next_run() {
    let world = left_behind().await;
    let before = world.calls();
    deployed(&world, &mut Clerk::default()).await.unwrap();
    let (calls, whole) = (world.calls() - before, world.statuses());
    for cut in 0..calls {
        let world = left_behind().await;
        world.cut_off_after(world.calls() + cut);
        deployed(&world, &mut Clerk::default()).await.unwrap_err();
        world.mend();
        deployed(&world, &mut Clerk::default()).await.unwrap_or_else(|error| panic!("after call {cut}: {error}"));
        assert_eq!(world.statuses(), whole, "after call {cut}");
        assert_eq!(world.owner("millrace-test-results").as_deref(), Some(STORAGE), "after call {cut}");
        assert_eq!(world.change_sets_left(), 0, "after call {cut}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_nobody_agrees_to_adopt_is_left_alone() {
    let world = left_behind().await;
    let changes = world.changes();
    let error = deployed(&world, &mut Clerk { declines: true, ..Clerk::default() }).await.unwrap_err();
    assert!(matches!(&error, DeployError::Declined(stack, _) if stack == STORAGE), "{error}");
    assert_eq!((world.changes(), world.status(STORAGE), world.change_sets_left()), (changes, None, 0));
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_shows_what_would_be_adopted_and_leaves_it() {
    let (world, code) = (left_behind().await, Code::new());
    let (changes, mut clerk) = (world.changes(), Clerk::default());
    let dry = Settings { is_dry: true, ..Settings::default() };
    deploy(&world, &stacks(), code.path(), &dry, &mut clerk).await.unwrap();
    assert!(clerk.heard("are to be imported"), "{:?}", clerk.words);
    assert_eq!((world.changes(), world.status(STORAGE), clerk.asked.len()), (changes, None, 0));
}

#[tokio::test(start_paused = true)]
async fn what_another_stack_has_is_not_taken_from_it() {
    let world = World::default();
    world.make("AWS::SQS::Queue", QUEUE, Some("somebody-elses"));
    let error = deployed(&world, &mut Clerk::default()).await.unwrap_err().to_string();
    for part in [PIPELINE, "already exists in stack somebody-elses", "destroy that one"] {
        assert!(error.contains(part), "`{part}` is not in: {error}");
    }
    assert_eq!(world.owner(QUEUE).as_deref(), Some("somebody-elses"));
}

#[tokio::test(start_paused = true)]
async fn a_change_of_code_or_of_a_setting_is_another_revision_and_nothing_else_is() {
    let world = World::default();
    deployed(&world, &mut Clerk::default()).await.unwrap();
    let revision = || world.parameter(PIPELINE, "Revision").unwrap();
    let first = revision();
    deployed(&world, &mut Clerk::default()).await.unwrap();
    assert_eq!(revision(), first);

    let with = |settings: &[&str]| {
        let settings = settings.iter().map(|text| text.parse().unwrap()).collect();
        plan(&Request { environment: "test".to_owned(), settings, ..Request::default() }).unwrap()
    };
    let (code, settings) = (Code::new(), Settings::default());
    let set = with(&["pipeline:MemoryMegabytes=1024"]);
    deploy(&world, &set, code.path(), &settings, &mut Clerk::default()).await.unwrap();
    let second = revision();
    assert_ne!(second, first);
    // A value that the stack keeps counts as one that is said.
    deployed(&world, &mut Clerk::default()).await.unwrap();
    assert_eq!(revision(), second);

    std::fs::write(code.path().join("kinesis-scorer/bootstrap.zip"), "other code").unwrap();
    deploy(&world, &stacks(), code.path(), &settings, &mut Clerk::default()).await.unwrap();
    assert_ne!(revision(), second);
    let set = with(&["pipeline:Revision=by-hand-2"]);
    deploy(&world, &set, code.path(), &settings, &mut Clerk::default()).await.unwrap();
    assert_eq!(revision(), "by-hand-2");
}
