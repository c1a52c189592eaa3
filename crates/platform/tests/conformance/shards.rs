//! Laws of `ListShards`.

use platform::ports::ListShards as _;

use super::worlds::Setup;

pub async fn shards_name_their_parents_and_cover_every_hash_key(setup: &impl Setup) {
    let stream = setup.split_stream().await;
    let mut shards = setup.world().list_shards(&stream).await.unwrap();
    shards.sort_by(|a, b| a.shard.cmp(&b.shard));
    let names: Vec<&str> = shards.iter().map(|shard| shard.shard.as_str()).collect();
    let expected = [0, 1, 2, 3].map(|number| format!("shardId-{number:012}"));
    assert_eq!(names, expected, "the closed parent included");
    let parents: Vec<Option<&str>> = shards.iter().map(|shard| shard.parent.as_deref()).collect();
    assert_eq!(parents, [None, None, Some(names[0]), Some(names[0])]);
    assert!(shards.iter().all(|shard| shard.adjacent_parent.is_none()));
    let mut open: Vec<(u128, u128)> = shards[1..].iter().map(|shard| shard.hash_range).collect();
    open.sort_unstable();
    assert_eq!(open, [(0, (1 << 126) - 1), (1 << 126, (1 << 127) - 1), (1 << 127, u128::MAX)]);
    assert_eq!(shards[0].hash_range, (0, (1 << 127) - 1));
}
