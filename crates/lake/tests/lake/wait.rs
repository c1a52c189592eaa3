//! What an hour waits for before it is sealed.

use lake::rollup::{Plan, plan};
use lake::run::Product;
use lake::seal::Window;
use platform::model::ShardInfo;
use platform::ports::ListShards as _;

use crate::plant::{Folder, HOURS};

/// Plans with one shard more than the plant has, which has never committed anything.
async fn with_a_silent_shard(window: &Window, change: impl FnOnce(&mut Vec<ShardInfo>)) -> Plan {
    let folder = Folder::new().await;
    let world = folder.open();
    let mut shards = world.list_shards("demo").await.unwrap();
    shards.sort_by(|a, b| a.shard.cmp(&b.shard));
    shards.push(ShardInfo { shard: "shardId-000000000002".to_owned(), ..shards[0].clone() });
    change(&mut shards);
    world.define_shards("demo", &shards).await.unwrap();
    plan(&world, window, &Product::ALL).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shard_that_has_never_committed_anything_keeps_all_hours_open() {
    let found = with_a_silent_shard(&Window::default(), |_| {}).await;
    assert!(found.is_empty(), "{:?}", found.tasks);
    assert_eq!(found.waiting.len(), 1);
    assert_eq!((found.waiting[0].shard.shard.as_str(), found.waiting[0].hour), ("shardId-000000000002", None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shard_that_never_will_is_left_out_when_somebody_says_so() {
    for name in ["demo/shardId-000000000002", "demo"] {
        let window = Window { without: vec![name.to_owned()], ..Window::default() };
        let found = with_a_silent_shard(&window, |_| {}).await;
        // Without a shard that is waited for, the last hour is as good as over.
        let expected = if name == "demo" { HOURS } else { HOURS - 1 };
        assert_eq!(found.sealable.len() as i64, expected, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shard_whose_descendant_has_committed_is_over() {
    let found = with_a_silent_shard(&Window::default(), |shards| {
        // The first was split from the silent one, whose last records it has seen committed.
        shards[0].parent = Some("shardId-000000000002".to_owned());
    })
    .await;
    assert_eq!(found.sealable.len() as i64, HOURS - 1);
    assert_ne!(found.waiting[0].hour, None);
}
