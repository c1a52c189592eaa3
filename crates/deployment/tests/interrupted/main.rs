//! Deploying and destroying over a CloudFormation of our own, which is slow, throttled, fails, and is met in every state that an
//! interrupted run can leave.
#![expect(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

mod adopted;
mod desk;
mod followed;
mod world;

use deployment::deploy::{DeployError, Settings, Summary, deploy};
use deployment::destroy::{destroy, standing};
use deployment::plan::{Request, StackPlan, plan};

use desk::{Clerk, Code};
use world::World;

fn stacks() -> Vec<StackPlan> {
    plan(&Request { environment: "test".to_owned(), ..Request::default() }).unwrap()
}

async fn deployed(world: &World, clerk: &mut Clerk) -> Result<Summary, DeployError> {
    let code = Code::new();
    deploy(world, &stacks(), code.path(), &Settings::default(), clerk).await
}

const ALL: usize = 6;
const STORAGE: &str = "millrace-test-storage";
const PIPELINE: &str = "millrace-test-pipeline";

#[tokio::test(start_paused = true)]
async fn a_second_run_changes_nothing_and_uploads_nothing() {
    let world = World::default();
    let first = deployed(&world, &mut Clerk::default()).await.unwrap();
    assert_eq!(first, Summary { created: ALL, updated: 0, unchanged: 0 });
    let before = world.changes();
    let second = deployed(&world, &mut Clerk::default()).await.unwrap();
    assert_eq!(second, Summary { created: 0, updated: 0, unchanged: ALL });
    assert_eq!(world.changes(), before, "objects stored and change sets executed");
    assert_eq!(world.change_sets_left(), 0);
}

/// Law: wherever a run is cut off, the next one arrives at the same.
#[tokio::test(start_paused = true)]
async fn a_run_that_was_cut_off_at_any_call_is_finished_by_the_next() {
    let world = World::default();
    deployed(&world, &mut Clerk::default()).await.unwrap();
    let (calls, whole) = (world.calls(), world.statuses());
    assert!(calls > 50, "{calls}");
    for cut in 0..calls {
        let world = World::default();
        world.cut_off_after(cut);
        deployed(&world, &mut Clerk::default()).await.unwrap_err();
        world.mend();
        deployed(&world, &mut Clerk::default()).await.unwrap_or_else(|error| panic!("after call {cut}: {error}"));
        assert_eq!(world.statuses(), whole, "after call {cut}");
        assert_eq!(world.change_sets_left(), 0, "after call {cut}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_throttled_account_is_waited_for() {
    let world = World::default();
    world.throttle_every(3);
    // What begins something is not repeated here but by the SDK, below this.
    deployed(&world, &mut Clerk::default()).await.unwrap();
    assert_eq!(world.status(PIPELINE).as_deref(), Some("CREATE_COMPLETE"));
}

#[tokio::test(start_paused = true)]
async fn a_broken_template_is_refused_before_anything_changes() {
    let world = World::default();
    world.refuse_template("alerts");
    let error = deployed(&world, &mut Clerk::default()).await.unwrap_err();
    assert!(matches!(error, DeployError::Template("alerts", _)), "{error}");
    assert_eq!((world.changes(), world.statuses().len()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn the_first_cause_is_told_and_the_next_run_makes_the_stack_anew() {
    let world = World::default();
    world.fail(PIPELINE, "S3 Error Code: NoSuchKey");
    let error = deployed(&world, &mut Clerk::default()).await.unwrap_err().to_string();
    for part in ["ROLLBACK_COMPLETE", "NoSuchKey", "Broken", "uploads it"] {
        assert!(error.contains(part), "`{part}` is not in: {error}");
    }
    world.mend();
    let mut clerk = Clerk::default();
    let done = deployed(&world, &mut clerk).await.unwrap();
    assert_eq!((done.unchanged, done.created), (3, 3));
    assert!(clerk.heard("creation was rolled back"), "{:?}", clerk.words);
}

#[tokio::test(start_paused = true)]
async fn what_would_be_replaced_is_asked_for_and_left_when_declined() {
    let world = World::default();
    deployed(&world, &mut Clerk::default()).await.unwrap();
    world.replaces_on_update(STORAGE);
    let mut clerk = Clerk { declines: true, ..Clerk::default() };
    let error = deployed(&world, &mut clerk).await.unwrap_err();
    assert!(matches!(&error, DeployError::Declined(stack, _) if stack == STORAGE), "{error}");
    assert!(clerk.asked[0].contains("is replaced"), "{:?}", clerk.asked);
    assert_eq!(world.change_sets_left(), 0);
    assert_eq!(deployed(&world, &mut Clerk::default()).await.unwrap().updated, 1);
}

#[tokio::test(start_paused = true)]
async fn a_stack_that_could_not_be_rolled_back_is_brought_back_first() {
    let world = World::default();
    deployed(&world, &mut Clerk::default()).await.unwrap();
    world.set_status(PIPELINE, "UPDATE_ROLLBACK_FAILED");
    let mut clerk = Clerk::default();
    assert_eq!(deployed(&world, &mut clerk).await.unwrap().unchanged, ALL);
    assert!(clerk.heard("could not be rolled back"), "{:?}", clerk.words);
    assert_eq!(world.status(PIPELINE).as_deref(), Some("UPDATE_ROLLBACK_COMPLETE"));
}

#[tokio::test(start_paused = true)]
async fn half_a_stack_is_removed_only_with_consent() {
    let world = World::default();
    deployed(&world, &mut Clerk::default()).await.unwrap();
    world.set_status(PIPELINE, "DELETE_FAILED");
    let declined = deployed(&world, &mut Clerk { declines: true, ..Clerk::default() }).await.unwrap_err();
    assert!(matches!(declined, DeployError::Declined(..)), "{declined}");
    assert_eq!(world.status(PIPELINE).as_deref(), Some("DELETE_FAILED"));
    assert_eq!(deployed(&world, &mut Clerk::default()).await.unwrap().created, 1);
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_leaves_everything_as_it_was() {
    let (world, code) = (World::default(), Code::new());
    let dry = Settings { is_dry: true, ..Settings::default() };
    let shown = deploy(&world, &stacks(), code.path(), &dry, &mut Clerk::default()).await.unwrap();
    assert_eq!((shown.created, world.changes(), world.statuses().len()), (ALL, 0, 0));
    deployed(&world, &mut Clerk::default()).await.unwrap();
    let (before, statuses) = (world.changes(), world.statuses());
    deploy(&world, &stacks(), code.path(), &dry, &mut Clerk::default()).await.unwrap();
    assert_eq!((world.changes(), world.statuses()), (before, statuses));
}

#[tokio::test(start_paused = true)]
async fn destroying_goes_backwards_says_what_is_kept_and_can_be_repeated() {
    let world = World::default();
    deployed(&world, &mut Clerk::default()).await.unwrap();
    let names = standing(&world, "test", false).await.unwrap();
    assert_eq!(
        (names.first().unwrap().as_str(), names.last().unwrap().as_str()),
        ("millrace-test-observability", STORAGE)
    );
    let kept = destroy(&world, &names, false, &mut Clerk::default()).await.unwrap();
    assert!(kept.iter().any(|one| one.stack == STORAGE), "{kept:?}");
    assert_eq!(standing(&world, "test", false).await.unwrap(), Vec::<String>::new());
    assert_eq!(destroy(&world, &names, false, &mut Clerk::default()).await.unwrap(), Vec::new());
    assert_eq!(standing(&world, "test", true).await.unwrap(), ["millrace-deployment", "millrace-artifacts"]);
}

#[tokio::test(start_paused = true)]
async fn data_goes_only_where_that_is_said() {
    let world = World::default();
    deployed(&world, &mut Clerk::default()).await.unwrap();
    let names = standing(&world, "test", false).await.unwrap();
    let kept = destroy(&world, &names, true, &mut Clerk::default()).await.unwrap();
    assert_eq!(kept, Vec::new());
    assert_eq!(world.emptied(), ["lake"]);
}

#[tokio::test(start_paused = true)]
async fn what_environments_share_stays_while_another_one_stands() {
    let world = World::default();
    deployed(&world, &mut Clerk::default()).await.unwrap();
    let error = standing(&world, "other", true).await.unwrap_err();
    assert!(error.to_string().contains("still needs it"), "{error}");
}
