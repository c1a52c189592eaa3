//! Images of the model server in a Region's registry: a model in SageMaker is made of one, and is refused without.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::world::World;

/// The repository of all of them.
pub const IMAGES: &str = "millrace/model-server";

/// Makes the repository, and pushes an image for each release. Their digests: equal releases are equal images, in whatever Region.
///
/// # Errors
/// A call fails; the repository is there already.
pub fn push_images<const N: usize>(world: &World, releases: [&str; N]) -> Result<[String; N]> {
    let call = |action: &str, request: &Value| -> Result<Value> {
        let target = format!("AmazonEC2ContainerRegistry_V20150921.{action}");
        let answer = world.rest("ecr", "POST", "/", &[("X-Amz-Target", &target)], &request.to_string())?;
        serde_json::from_str(&answer).with_context(|| format!("no JSON: {answer}"))
    };
    call("CreateRepository", &json!({ "repositoryName": IMAGES }))?;
    let mut digests = [const { String::new() }; N];
    for (release, digest) in releases.iter().zip(&mut digests) {
        let manifest = json!({ "schemaVersion": 2, "annotations": { "release": release } }).to_string();
        let put = call("PutImage", &json!({ "repositoryName": IMAGES, "imageManifest": manifest }))?;
        let made = put["image"]["imageId"]["imageDigest"].as_str().context("an image has a digest")?;
        made.clone_into(digest);
    }
    Ok(digests)
}
