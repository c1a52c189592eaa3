//! The stacks of a Region that follow those of another one.

use deployment::deploy::{Settings, deploy};
use deployment::follow::{Behind, FollowError, Following, What, look};
use deployment::pair::{Peer, Standing};
use deployment::plan::{Request, plan};

use crate::desk::{Clerk, Code};
use crate::world::World;

const NAMES: [&str; 2] = ["us-east-1", "eu-west-1"];
const ENVIRONMENT: &str = "test";
const MODELS: &str = "millrace-test-models";
const TENANT: &str = "millrace-test-tenant-acme";
const LAKE: &str = "lakebucketname-of-millrace-test-storage";
const CODE: &str = "codebucket-of-millrace-artifacts";
const TABLE: &str = "resultstablename-of-millrace-test-storage";
const ARTIFACT: &str = "models/acme/heat/1/model.tar.gz";

async fn deployed(world: &World, standing: Standing, with: &[&str], settings: &[&str]) {
    let [own, other] = if standing == Standing::Primary { NAMES } else { [NAMES[1], NAMES[0]] };
    let peer = Peer {
        standing,
        lake: Some(format!("lake-of-{other}")),
        results_stream: Some(format!("arn:aws:dynamodb:{own}:1:table/t/stream/s")).filter(|_| standing == Standing::Dr),
        ..Peer::unseen(other)
    };
    let request = Request {
        environment: ENVIRONMENT.to_owned(),
        peer: Some(peer),
        tenants: with.iter().filter_map(|name| name.strip_prefix("tenant-")).map(str::to_owned).collect(),
        with: with.iter().filter(|name| !name.starts_with("tenant-")).map(|&name| name.to_owned()).collect(),
        settings: settings.iter().map(|text| text.parse().unwrap()).collect(),
        role: None,
    };
    let code = Code::new();
    deploy(world, &plan(&request).unwrap(), code.path(), &Settings::default(), &mut Clerk::default()).await.unwrap();
}

/// A Region with models and a tenant, and the other one of the pair, which has neither.
async fn pair() -> [World; 2] {
    let [from, to] = [World::default(), World::default()];
    let model = format!("models:ModelData={ARTIFACT}");
    let settings = ["models:ModelRepository=server", &digest('a'), &model, "tenant-acme:SensorTopics=true"];
    deployed(&from, Standing::Primary, &["analytics", "models", "tenant-acme"], &settings).await;
    to.make("AWS::DynamoDB::GlobalTable", TABLE, None);
    deployed(&to, Standing::Dr, &[], &[]).await;
    to.store(LAKE, ARTIFACT, b"artifact");
    [from, to]
}

fn digest(digit: char) -> String {
    format!("models:ModelDigest=sha256:{}", String::from(digit).repeat(64))
}

async fn looked([from, to]: &[World; 2]) -> Following {
    look([(from, NAMES[0]), (to, NAMES[1])], ENVIRONMENT).await.unwrap()
}

async fn brought([from, to]: &[World; 2]) -> Result<Vec<Behind>, String> {
    let following = look([(from, NAMES[0]), (to, NAMES[1])], ENVIRONMENT).await.map_err(|error| error.to_string())?;
    let done = following.bring(from, to, None, &mut Clerk::default()).await;
    done.map(|_| following.behind).map_err(|error| error.to_string())
}

#[tokio::test(start_paused = true)]
async fn what_is_missing_is_made_with_the_code_and_the_parameters_of_the_source_and_the_second_time_nothing_is_done() {
    let pair = pair().await;
    let [from, to] = &pair;
    let before = (to.changes(), from.changes());
    let names: Vec<(String, What)> =
        looked(&pair).await.behind.into_iter().map(|behind| (behind.stack, behind.what)).collect();
    let missing = ["millrace-test-analytics", MODELS, TENANT].map(|name| (name.to_owned(), What::Missing));
    assert_eq!(names, missing);
    assert_eq!((to.changes(), from.changes()), before, "looking changes nothing");

    // What the source runs, and not what is on this machine.
    let key = from.parameter(MODELS, "CodeKey").unwrap();
    from.store(CODE, &key, b"of the source");
    brought(&pair).await.unwrap();
    assert_eq!(to.stored(CODE, &key).unwrap(), b"of the source");
    for (stack, name) in [(MODELS, "CodeKey"), (MODELS, "ModelDigest"), (MODELS, "ModelData"), (TENANT, "SensorTopics")]
    {
        assert_eq!(to.parameter(stack, name), from.parameter(stack, name), "{name}");
    }
    // What is each Region's own.
    assert_eq!(to.parameter(MODELS, "Standby").as_deref(), Some("true"));
    assert_eq!(from.parameter(MODELS, "Standby").as_deref(), Some("false"));
    assert_eq!(to.parameter("millrace-test-analytics", "PeerRegion").as_deref(), Some(NAMES[0]));
    assert_eq!(to.parameter(MODELS, "ResultsBucketName").unwrap(), "resultsbucketname-of-millrace-test-analytics");
    let after = to.changes();
    assert_eq!(brought(&pair).await.unwrap(), []);
    assert_eq!((to.changes(), from.changes()), (after, before.1));
}

#[tokio::test(start_paused = true)]
async fn another_model_goes_over_when_its_artifact_has_arrived() {
    let pair = pair().await;
    let [from, to] = &pair;
    brought(&pair).await.unwrap();
    let newer = "models/acme/heat/2/model.tar.gz";
    let (newer_model, newer_image) = (format!("models:ModelData={newer}"), digest('b'));
    let with = ["analytics", "models", "tenant-acme"];
    deployed(from, Standing::Primary, &with, &["models:ModelRepository=server", &newer_image, &newer_model]).await;
    let waits = What::NotArrived { key: newer.to_owned(), lake: LAKE.to_owned() };
    let behind = Behind { stack: MODELS.to_owned(), what: waits };
    assert!(behind.is_left() && behind.to_string().contains(newer), "{behind}");
    assert_eq!(brought(&pair).await.unwrap(), [behind]);
    assert_eq!(to.parameter(MODELS, "ModelData").unwrap(), ARTIFACT);

    to.store(LAKE, newer, b"artifact");
    let what = What::Differs(vec!["ModelDigest".to_owned(), "ModelData".to_owned()]);
    assert_eq!(brought(&pair).await.unwrap(), [Behind { stack: MODELS.to_owned(), what }]);
    assert_eq!(to.parameter(MODELS, "ModelData").unwrap(), newer);
    assert_eq!(to.parameter(MODELS, "Standby").as_deref(), Some("true"));
    assert_eq!(brought(&pair).await.unwrap(), []);
}

/// Law: wherever a run is cut off, on either side, the next one arrives at the same.
#[tokio::test(start_paused = true)]
async fn cut_off_at_any_call_of_either_region_the_same_again_arrives_at_the_same() {
    let whole = pair().await;
    let calls = whole.each_ref().map(World::calls);
    brought(&whole).await.unwrap();
    let (end, code) = (whole[1].statuses(), whole[1].parameter(MODELS, "CodeKey").unwrap());
    for side in [0, 1] {
        let needed = whole[side].calls() - calls[side];
        assert!(needed > 5, "{needed}");
        for cut in 0..needed {
            let pair = pair().await;
            pair[side].cut_off_after(pair[side].calls() + cut);
            brought(&pair).await.unwrap_err();
            pair[side].mend();
            brought(&pair).await.unwrap_or_else(|error| panic!("after call {cut} of {}: {error}", NAMES[side]));
            assert_eq!(pair[1].statuses(), end, "after call {cut} of {}", NAMES[side]);
            assert!(pair[1].stored(CODE, &code).is_some());
            assert_eq!(brought(&pair).await.unwrap(), []);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_source_itself_has_not_whole_is_left_and_named() {
    let pair = pair().await;
    let [from, to] = &pair;
    from.set_status(MODELS, "UPDATE_IN_PROGRESS");
    from.set_body(TENANT, "of another version");
    let behind = brought(&pair).await.unwrap();
    let left: Vec<&Behind> = behind.iter().filter(|behind| behind.is_left()).collect();
    assert_eq!(left.len(), 2, "{behind:?}");
    assert!(left[0].to_string().contains("UPDATE_IN_PROGRESS") && left[1].to_string().contains("another version"));
    assert_eq!(to.status("millrace-test-analytics").as_deref(), Some("CREATE_COMPLETE"), "the rest is done");
    assert_eq!((to.status(MODELS), to.status(TENANT)), (None, None));
}

#[tokio::test(start_paused = true)]
async fn where_there_is_no_environment_nothing_is_brought() {
    let [from, _] = pair().await;
    let error = look([(&from, NAMES[0]), (&World::default(), NAMES[1])], ENVIRONMENT).await.unwrap_err();
    assert!(matches!(error, FollowError::NoEnvironment { .. }), "{error}");
    assert!(error.to_string().contains("millrace deploy --region eu-west-1 --peer us-east-1"), "{error}");
}
