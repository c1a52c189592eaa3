//! What is made of whole days.

use std::collections::BTreeSet;

use lake::rollup;
use lake::run::Product;
use lake::seal::Window;
use lake::verify::verify;

use crate::plant::{Folder, roll};

const QUESTION: &str = "SELECT count(*), count(DISTINCT gold_anomalies.dt) FROM gold_anomalies JOIN done \
    ON done.dt = gold_anomalies.dt AND done.region = gold_anomalies.region AND done.run = gold_anomalies.run \
    WHERE done.product = 'anomalies'";

#[tokio::test(flavor = "multi_thread")]
async fn a_day_that_is_over_has_what_is_far_from_usual_once() {
    let folder = Folder::of(26).await;
    let (world, engine) = (folder.open(), folder.engine());
    let early = Window { until: Some(lake::Hour::parse("2026-01-05", "23").unwrap()), ..Window::default() };
    let made = roll(&world, &engine, &early).await.unwrap();
    assert!(made.iter().all(|marker| marker.product != "anomalies"), "the day is not over");
    let made = roll(&world, &engine, &Window::default()).await.unwrap();
    let of_day: Vec<_> = made.iter().filter(|marker| marker.product == "anomalies").collect();
    assert_eq!(of_day.len(), 1, "{made:?}");
    assert!(of_day[0].row_count > 0, "there are faults: {of_day:?}");
    assert_eq!(made.last(), Some(of_day[0]), "days look back upon hours");

    let gold = folder.gold();
    assert!(gold.iter().any(|(key, _)| key == "gold/done/dt=2026-01-05/hour=23/region=local/anomalies.json"));
    assert!(rollup::plan(&world, &Window::default(), &Product::ALL).await.unwrap().is_empty());
    let answered = engine.ask(QUESTION).await.unwrap().rows().await.unwrap().unwrap();
    let expected = [of_day[0].row_count as f64, 1.0].map(lake::engine::Cell::Number);
    assert_eq!(answered, [expected]);
    let mut wrong = BTreeSet::new();
    verify(&world, |finding| wrong.extend(finding.kind.is_wrong().then(|| finding.what.clone())), |_, _| {})
        .await
        .unwrap();
    assert!(wrong.is_empty(), "{wrong:?}");
}
