//! Laws of `ListShards`.

use platform::ports::ListShards as _;

use super::worlds::Setup;

pub(crate) async fn shards_name_their_parents_and_cover_every_hash_key<S: Setup>(setup: &S) {
    let stream = setup.split_stream().await;
    let mut shards = setup.world().list_shards(&stream).await.unwrap();
    shards.sort_by(|a, b| a.shard.cmp(&b.shard));
    let [parent, names @ ..] = [0, 1, 2, 3].map(|number| format!("shardId-{number:012}"));
    if S::LISTS_CLOSED_SHARDS {
        let closed = shards.remove(0);
        assert_eq!((closed.shard.as_str(), closed.hash_range), (parent.as_str(), (0, (1 << 127) - 1)));
    }
    assert_eq!(shards.iter().map(|shard| shard.shard.as_str()).collect::<Vec<_>>(), names);
    let parents: Vec<Option<&str>> = shards.iter().map(|shard| shard.parent.as_deref()).collect();
    assert_eq!(parents, [None, Some(&*parent), Some(&*parent)]);
    assert!(shards.iter().all(|shard| shard.adjacent_parent.is_none()));
    let mut open: Vec<(u128, u128)> = shards.iter().map(|shard| shard.hash_range).collect();
    open.sort_unstable();
    assert_eq!(open, [(0, (1 << 126) - 1), (1 << 126, (1 << 127) - 1), (1 << 127, u128::MAX)]);
}
