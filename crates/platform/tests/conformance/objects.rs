//! Laws of `PutIfAbsent`, `GetObject`, `ReadRange`, `ListFolders` and `ListObjects`.

use platform::model::ContentHash;
use platform::ports::{
    GetObject as _, GetTagged as _, ListFolders as _, ListObjects as _, PutError, PutIfAbsent as _, ReadRange as _,
    Stored, Stretch, get_verified,
};

use super::records::key;
use super::worlds::Setup;

pub(crate) async fn an_object_is_stored_once_and_never_changed(setup: &impl Setup) {
    let world = setup.world();
    let name = key("bronze/dt=2026-11-21/hour=07/eu-west-1/plant/shardId-0/1-2.ndjson.zst");
    for body in [&b"bytes"[..], b""] {
        let name = key(&format!("{name}.{}", body.len()));
        assert_eq!(world.put_if_absent(&name, body).await.unwrap(), Stored::New);
        assert_eq!(world.put_if_absent(&name, body).await.unwrap(), Stored::AlreadyThere);
        let refused = world.put_if_absent(&name, b"other").await.unwrap_err();
        assert!(matches!(&refused, PutError::Conflict(conflict) if *conflict == name), "{refused}");
        assert_eq!(world.get_object(&name, 100).await.unwrap().unwrap(), body);
    }
}

pub(crate) async fn one_of_two_writers_at_a_time_stores_the_object(setup: &impl Setup) {
    let (world, name) = (setup.world(), key("silver/x"));
    let (one, two) = tokio::join!(world.put_if_absent(&name, b"one"), world.put_if_absent(&name, b"two"));
    let stored = world.get_object(&name, 10).await.unwrap().unwrap();
    let (winner, loser) = if stored == b"one" { (one, two) } else { (two, one) };
    assert_eq!(winner.unwrap(), Stored::New);
    // S3 may also answer that the other request is under way: then nothing is said about the content.
    assert!(match loser.unwrap_err() {
        PutError::Conflict(_) => true,
        PutError::Store(error) => error.is_transient(),
    });
}

pub(crate) async fn a_missing_object_is_none(setup: &impl Setup) {
    let world = setup.world();
    assert_eq!(world.get_object(&key("silver/none"), 10).await.unwrap(), None);
    world.put_if_absent(&key("silver/a/b"), b"1").await.unwrap();
    assert_eq!(world.get_object(&key("silver/a"), 10).await.unwrap(), None, "a prefix is no object");
}

pub(crate) async fn an_object_is_read_up_to_the_bound_and_refused_above_it(setup: &impl Setup) {
    let (world, name) = (setup.world(), key("state/x"));
    let body = vec![7; 100_000];
    world.put_if_absent(&name, &body).await.unwrap();
    assert_eq!(world.get_object(&name, 100_000).await.unwrap().unwrap(), body);
    for bound in [99_999, 0] {
        let error = world.get_object(&name, bound).await.unwrap_err();
        assert!(!error.is_transient(), "{error}");
        assert!(error.to_string().contains("state/x") && error.to_string().contains("the limit is"), "{error}");
    }
}

pub(crate) async fn an_object_is_read_with_the_tag_that_it_is_listed_with(setup: &impl Setup) {
    let world = setup.world();
    let name = key("config/acme/profile.toml");
    world.put_if_absent(&name, b"one").await.unwrap();
    let listed = world.list_objects("config/", 10).await.unwrap().remove(0);
    let found = world.get_tagged(&name, 10).await.unwrap().unwrap();
    assert_eq!((found.bytes.as_slice(), found.tag), (&b"one"[..], listed.tag));
    assert_eq!(world.get_tagged(&key("config/none/profile.toml"), 10).await.unwrap(), None);
    let error = world.get_tagged(&name, 2).await.unwrap_err();
    assert!(error.to_string().contains("the limit is 2"), "{error}");
}

pub(crate) async fn a_stretch_of_an_object_is_read_without_the_rest(setup: &impl Setup) {
    let (world, name) = (setup.world(), key("inference/acme/job-1/output/a.csv.out"));
    let body: Vec<u8> = (0..200).collect();
    world.put_if_absent(&name, &body).await.unwrap();
    world.put_if_absent(&key("inference/empty"), b"").await.unwrap();
    let tag = world.list_objects("inference/acme/", 1).await.unwrap().remove(0).tag;
    let whole = u64::MAX;
    for (offset, bytes_max) in [(0, 200), (0, 7), (193, 7), (190, 100), (200, 1), (201, 10), (whole, 10), (5, 0)] {
        let from = usize::try_from(offset).unwrap().min(200);
        let bytes = body[from..].iter().take(bytes_max).copied().collect();
        let expected = Stretch { bytes, object_bytes: 200, tag: tag.clone() };
        assert_eq!(world.read_range(&name, offset, bytes_max).await.unwrap(), Some(expected), "{offset} {bytes_max}");
    }
    let empty = world.read_range(&key("inference/empty"), 0, 10).await.unwrap().unwrap();
    assert_eq!((empty.bytes, empty.object_bytes), (Vec::new(), 0));
    for bytes_max in [0, 10] {
        assert_eq!(world.read_range(&key("inference/none"), 0, bytes_max).await.unwrap(), None);
    }
}

pub(crate) async fn objects_below_a_prefix_are_listed_in_order_of_key(setup: &impl Setup) {
    let world = setup.world();
    let below = ["config/a!/p", "config/a-b/p", "config/a/p", "config/a/z/p", "config/a0/p", "config/b c/p"];
    for name in
        ["config/b c/p", "config/a/z/p", "configx/p", "config/a0/p", "config/a!/p", "config/a/p", "config/a-b/p"]
    {
        world.put_if_absent(&key(name), name.as_bytes()).await.unwrap();
    }
    let listed = world.list_objects("config/", 6).await.unwrap();
    let keys: Vec<&str> = listed.iter().map(|one| one.key.as_str()).collect();
    assert_eq!(keys, below);
    assert!(listed.iter().all(|one| !one.tag.is_empty()));
    assert_eq!(world.list_objects("config/", 6).await.unwrap(), listed, "what is unchanged keeps its tag");
    let keys: Vec<String> =
        world.list_objects("config/a/", 6).await.unwrap().iter().map(|one| one.key.to_string()).collect();
    assert_eq!(keys, ["config/a/p", "config/a/z/p"]);
    assert_eq!(world.list_objects("gold/", 6).await.unwrap(), []);
}

pub(crate) async fn folders_are_the_next_level_of_the_keys(setup: &impl Setup) {
    let world = setup.world();
    for name in
        ["inference/acme/b/x", "inference/acme/a/y/z", "inference/acme/a/x", "inference/acme/c", "inference/b/x"]
    {
        world.put_if_absent(&key(name), b"").await.unwrap();
    }
    assert_eq!(world.list_folders("inference/", 2).await.unwrap(), ["acme", "b"]);
    assert_eq!(world.list_folders("inference/acme/", 2).await.unwrap(), ["a", "b"], "`c` is an object");
    assert_eq!(world.list_folders("inference/none/", 2).await.unwrap(), Vec::<String>::new());
    let error = world.list_folders("inference/", 1).await.unwrap_err();
    assert!(!error.is_transient() && error.to_string().contains("more than 1 folders"), "{error}");
}

pub(crate) async fn a_listing_has_a_bound(setup: &impl Setup) {
    let world = setup.world();
    for index in 0..3 {
        world.put_if_absent(&key(&format!("config/{index}")), b"").await.unwrap();
    }
    assert_eq!(world.list_objects("config/", 3).await.unwrap().len(), 3);
    let error = world.list_objects("config/", 2).await.unwrap_err();
    assert!(!error.is_transient() && error.to_string().contains("more than 2 objects"), "{error}");
}

pub(crate) async fn a_read_that_must_match_its_hash_finds_damage(setup: &impl Setup) {
    let (world, name) = (setup.world(), key("state/y"));
    world.put_if_absent(&name, b"good").await.unwrap();
    assert_eq!(get_verified(world, &name, &ContentHash::of(b"good"), 10).await.unwrap(), b"good");
    let damaged = get_verified(world, &name, &ContentHash::of(b"better"), 10).await.unwrap_err();
    let gone = get_verified(world, &key("state/z"), &ContentHash::of(b""), 10).await.unwrap_err();
    assert!(!damaged.is_transient() && !gone.is_transient());
}
