//! The plan against the templates, which are its only source of truth.

use super::*;

fn request(settings: &[&str]) -> Request {
    Request {
        environment: "test".to_owned(),
        tenants: vec!["acme".to_owned()],
        peer: Some(Peer { lake: Some("the-other-lake".to_owned()), ..Peer::unseen("eu-west-1") }),
        with: OPTIONAL.map(str::to_owned).to_vec(),
        settings: settings.iter().map(|text| text.parse().unwrap()).collect(),
        ..Request::default()
    }
}

#[track_caller]
fn refused(request: &Request, words: &[&str]) {
    let said = plan(request).unwrap_err().to_string();
    for word in words {
        assert!(said.contains(word), "`{word}` is not in: {said}");
    }
}

#[test]
fn each_stack_comes_after_those_whose_outputs_it_takes_and_the_templates_have_these() {
    let plans = plan(&request(&[])).unwrap();
    for (at, stack) in plans.iter().enumerate() {
        let parameters = stack.template.parameters();
        for (name, source) in &stack.given {
            assert!(parameters.iter().any(|parameter| parameter.name == *name), "{}:{name}", stack.name);
            if let Source::Output { of, key } = source {
                let from = plans[..at].iter().find(|plan| plan.template.name == *of);
                assert!(from.is_some_and(|from| from.template.outputs().contains(key)), "{}:{name}", stack.name);
            }
        }
    }
    let names: Vec<&str> = plans.iter().map(|plan| plan.name.as_str()).collect();
    assert_eq!(names[..3], ["millrace-artifacts", "millrace-deployment", "millrace-test-storage"]);
    assert_eq!(names[5..7], ["millrace-test-analytics", "millrace-test-models"]);
    assert_eq!(names[8..], ["millrace-test-dr", "millrace-test-tenant-acme"]);
}

#[test]
fn a_template_goes_into_one_call() {
    for template in TEMPLATES {
        // CloudFormation User Guide, quotas: a template's body in a request.
        assert!(template.body.len() <= 51_200, "{} is too long", template.name);
    }
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let wrong = request(&["storage:SnapshotDays=1", "lake:Size=3", "alerts:Colour=red", "pipeline:CodeKey=x"]);
    refused(
        &wrong,
        &["storage:SnapshotDays must be", "no stack `lake`", "no parameter `Colour`", "pipeline:CodeKey follows"],
    );
    refused(&Request { environment: "Prod!".to_owned(), ..Request::default() }, &["storage:Environment must be"]);
}

#[test]
fn a_setting_wins_over_an_output_and_a_tenant_can_be_named() {
    let plans = plan(&request(&[
        "alerts:ResultsStreamArn=arn:aws:dynamodb:r:1:table/t/stream/s",
        "tenant-acme:SensorTopics=true",
    ]))
    .unwrap();
    let given = |name: &str, parameter: &str| {
        let stack = plans.iter().find(|plan| plan.name == name).unwrap();
        stack.given.get(parameter).cloned()
    };
    assert!(matches!(given("millrace-test-alerts", "ResultsStreamArn"), Some(Source::Text(_))));
    assert_eq!(given("millrace-test-tenant-acme", "SensorTopics"), Some(Source::Text("true".to_owned())));
}

#[test]
fn what_is_not_asked_for_is_not_deployed_and_models_need_the_events_of_the_lake() {
    let events = |request: &Request| plan(request).unwrap()[2].given.get("ObjectEvents").cloned();
    let without = Request { with: Vec::new(), ..request(&[]) };
    assert!(plan(&without).unwrap().iter().all(|stack| !OPTIONAL.contains(&stack.template.name)));
    assert_eq!(events(&without), None, "what the stack has is kept");
    assert_eq!(events(&request(&[])), Some(Source::Text("true".to_owned())));
    refused(
        &Request { with: vec!["alerts".to_owned()], ..request(&[]) },
        &["`alerts` is no stack", "analytics and models"],
    );
}

#[test]
fn a_role_that_is_given_replaces_the_stack_that_makes_one() {
    let plans = plan(&Request { role: Some("arn:aws:iam::1:role/r".to_owned()), ..request(&[]) }).unwrap();
    assert!(plans.iter().all(|plan| plan.name != "millrace-deployment"));
}

#[test]
fn the_peer_is_told_to_all_who_ask() {
    let plans = plan(&Request { ..request(&[]) }).unwrap();
    for stack in plans {
        let asks = stack.template.parameters().iter().any(|parameter| parameter.name == "PeerRegion");
        assert_eq!(stack.given.contains_key("PeerRegion"), asks, "{}", stack.name);
    }
}

#[test]
fn a_pair_follows_from_what_is_known_of_the_other_region() {
    let text = |request: &Request, name: &str, parameter: &str| {
        let plans = plan(request).unwrap();
        let stack = plans.iter().find(|plan| plan.name == format!("millrace-test-{name}"))?;
        match stack.given.get(parameter) {
            Some(Source::Text(text)) => Some(text.clone()),
            _ => None,
        }
    };
    let first = Request { peer: Some(Peer::unseen("eu-west-1")), ..request(&["dr:LateSeconds=60"]) };
    assert_eq!(text(&first, "storage", "Standing").as_deref(), Some("primary"));
    assert_eq!(text(&first, "storage", "ReplicaBucketName"), None, "what the stack has is kept");
    let waits = plan(&first).unwrap();
    assert!(waits.iter().all(|stack| stack.template.name != "dr"), "it needs both lakes");
    let alone = plan(&Request { peer: None, ..request(&[]) }).unwrap();
    assert!(alone.iter().all(|stack| stack.template.name != "dr"));

    let peer = Peer {
        standing: Standing::Dr,
        lake: Some("lake-there".to_owned()),
        results_stream: Some("arn:aws:dynamodb:eu-west-1:1:table/t/stream/s".to_owned()),
        endpoint: Some("http://127.0.0.1:1".to_owned()),
        ..Peer::unseen("us-east-1")
    };
    let second = Request { peer: Some(peer), ..request(&[]) };
    for (stack, parameter, expected) in [
        ("storage", "Standing", "dr"),
        ("storage", "ReplicaBucketName", "lake-there"),
        ("observability", "ReplicaBucketName", "lake-there"),
        ("dr", "PeerLakeBucketName", "lake-there"),
        ("dr", "PeerEndpointUrl", "http://127.0.0.1:1"),
        ("alerts", "PeerRegion", "us-east-1"),
        ("alerts", "PeerEndpointUrl", "http://127.0.0.1:1"),
        ("alerts", "ResultsStreamArn", "arn:aws:dynamodb:eu-west-1:1:table/t/stream/s"),
    ] {
        assert_eq!(text(&second, stack, parameter).as_deref(), Some(expected), "{stack}:{parameter}");
    }
}
