//! What is wrong with a lake is told, and nothing else.

use std::fs;

use lake::LakeError;
use lake::seal::Window;
use lake::verify::{Finding, Kind, Totals};

use crate::plain;
use crate::plant::{Folder, roll};

async fn verify(folder: &Folder) -> (Vec<Finding>, Totals) {
    let mut found = Vec::new();
    let totals = lake::verify::verify(&folder.open(), |finding| found.push(finding), |_, _| {}).await.unwrap();
    (found, totals)
}

fn wrong(found: &[Finding]) -> Vec<&Finding> {
    found.iter().filter(|finding| finding.kind.is_wrong()).collect()
}

/// The first object of gold whose name has all of the parts.
fn one_of(folder: &Folder, parts: &[&str]) -> std::path::PathBuf {
    let (name, _) = folder.gold().into_iter().find(|(name, _)| parts.iter().all(|part| name.contains(part))).unwrap();
    folder.lake().join(name)
}

/// Rolls up, changes the lake, and says what is found wrong.
async fn after(plant: &Folder, change: impl FnOnce(&Folder)) -> Vec<Finding> {
    let folder = plant.copy();
    change(&folder);
    let (found, _) = verify(&folder).await;
    found.into_iter().filter(|finding| finding.kind.is_wrong()).collect()
}

/// A committed object of a layer, of a batch that has all three.
async fn committed(folder: &Folder, layer: &str) -> std::path::PathBuf {
    let world = folder.open();
    let hour = lake::Hour::parse("2026-01-05", "01").unwrap();
    let (list, _) = lake::seal::list(&world, hour, "local").await.unwrap().unwrap();
    let batch = &list.iter().find(|one| one.layer == "quarantine").expect("a batch with poison").batch;
    let found = list.iter().find(|one| one.layer == layer && one.batch == *batch).unwrap();
    folder.lake().join(found.key.as_str())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_lake_has_orphans_and_nothing_wrong() {
    let folder = Folder::new().await;
    let made = roll(&folder.open(), &folder.engine(), &Window::default()).await.unwrap();
    let (found, totals) = verify(&folder).await;
    assert_eq!(wrong(&found), Vec::<&Finding>::new());
    assert_eq!(found.len(), 8, "the orphans that were strewn: {found:?}");
    assert!(found.iter().all(|one| one.kind == Kind::Orphan && one.what.contains("dddddddddddd")));
    let readings = plain::readings(&folder, &folder.open()).await;
    assert_eq!(totals.silver_rows, readings.len() as u64);
    let rows: u64 = made.iter().filter(|marker| marker.product == "readings").map(|marker| marker.row_count).sum();
    assert_eq!(totals.readings_rows, rows);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_gone_or_changed_is_told() {
    let plant = Folder::new().await;
    roll(&plant.open(), &plant.engine(), &Window::default()).await.unwrap();
    let (bronze, silver) = (committed(&plant, "bronze").await, committed(&plant, "silver").await);
    let within = |path: &std::path::Path, folder: &Folder| folder.lake().join(path.strip_prefix(plant.lake()).unwrap());

    let found = after(&plant, |folder| fs::remove_file(within(&silver, folder)).unwrap()).await;
    assert!(found.iter().any(|one| one.kind == Kind::Missing && one.detail.contains("silver is gone")), "{found:?}");
    assert!(
        found.iter().any(|one| one.kind == Kind::Differs && one.what.starts_with("readings of local")),
        "{found:?}"
    );

    let found = after(&plant, |folder| {
        let mut bytes = fs::read(within(&bronze, folder)).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(within(&bronze, folder), bytes).unwrap();
    })
    .await;
    assert!(found.iter().any(|one| one.kind == Kind::Damaged && one.what.starts_with("bronze/")), "{found:?}");

    let found = after(&plant, |folder| fs::remove_file(one_of(folder, &["gold/readings/", "hour=01"])).unwrap()).await;
    assert_eq!(found.len(), 2, "against the marker and against silver: {found:?}");

    let found = after(&plant, |folder| {
        let list = one_of(folder, &["gold/sealed/", "hour=01"]);
        let text = fs::read_to_string(&list).unwrap();
        fs::write(list, text.split_inclusive('\n').skip(1).collect::<String>()).unwrap();
    })
    .await;
    assert!(found.iter().any(|one| one.detail.contains("committed after 2026-01-05T01")), "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hole_in_the_chain_keeps_the_hours_before_it_open() {
    let folder = Folder::new().await;
    let world = folder.open();
    // All objects of the second hour's first batch, whichever that is.
    let bronze = folder.lake().join("bronze/dt=2026-01-05/hour=01/local/demo/shardId-000000000000");
    let mut names: Vec<_> = fs::read_dir(bronze).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    for layer in ["bronze", "silver", "quarantine"] {
        let stem = names[1].file_name().unwrap().to_string_lossy().split('.').take(2).collect::<Vec<_>>().join(".");
        let of = folder.lake().join(format!("{layer}/dt=2026-01-05/hour=01/local/demo/shardId-000000000000"));
        for entry in fs::read_dir(of).into_iter().flatten().map(|entry| entry.unwrap()) {
            if entry.file_name().to_string_lossy().starts_with(&format!("{stem}.")) {
                fs::remove_file(entry.path()).unwrap();
            }
        }
    }
    let error = roll(&world, &folder.engine(), &Window::default()).await.unwrap_err();
    let LakeError::Gap(gap) = error else { panic!("{error}") };
    let hour = gap.hour;
    assert_eq!(hour.to_string(), "2026-01-05T01");
    assert_eq!(folder.gold(), [], "nothing was written");
    let later = Window { from: Some(hour.next()), ..Window::default() };
    let made = roll(&world, &folder.engine(), &later).await.unwrap();
    assert_eq!(made.len(), 2, "the hour after the hole is whole");
}
