//! Laws of `FindAnomalies` and `GetDeviceState`.

use platform::model::{AnomalyRecord, StateRecord, Transaction};
use platform::ports::{AnomalyQuery, CommitTransaction as _, FindAnomalies as _, GetDeviceState as _};

use super::records::{anomaly, state};
use super::worlds::Setup;

const DAY: i64 = 86_400;

async fn store(setup: &impl Setup, anomalies: &[&AnomalyRecord], states: &[&StateRecord]) {
    let (anomalies, states) = (anomalies.to_vec(), states.to_vec());
    setup.world().commit(&Transaction { anomalies, states, ..Transaction::default() }).await.unwrap();
}

async fn find(setup: &impl Setup, query: &AnomalyQuery, count_max: usize) -> Vec<AnomalyRecord> {
    setup.world().find_anomalies(query, count_max).await.unwrap()
}

fn of_device(tenant: &str, device: &str) -> AnomalyQuery {
    AnomalyQuery::Device { tenant: tenant.to_owned(), device: device.to_owned() }
}

fn of_day(tenant: &str, day: &str) -> AnomalyQuery {
    AnomalyQuery::Day { tenant: tenant.to_owned(), day: day.to_owned() }
}

pub(crate) async fn a_devices_anomalies_come_newest_first(setup: &impl Setup) {
    let [a, b, c] = [5, 3 * DAY, 7].map(|onset| anomaly("acme", "pump-1", onset));
    let other = anomaly("acme", "pump-10", 6);
    let how = state("acme", "pump-1", 1);
    store(setup, &[&a, &b, &c, &other], &[&how]).await;
    assert_eq!(find(setup, &of_device("acme", "pump-1"), 100).await, [b, c, a]);
    assert_eq!(find(setup, &of_device("acme", "pump-10"), 100).await, [other]);
    assert_eq!(find(setup, &of_device("acme", "pump"), 100).await, []);
}

pub(crate) async fn a_days_anomalies_come_newest_first(setup: &impl Setup) {
    let first = anomaly("acme", "pump-2", 0);
    let noon = anomaly("acme", "pump-1", DAY / 2);
    let last = anomaly("acme", "pump-3", DAY - 1);
    let tomorrow = anomaly("acme", "pump-1", DAY);
    let how = state("acme", "pump-1", 1);
    store(setup, &[&noon, &tomorrow, &first, &last], &[&how]).await;
    assert_eq!(find(setup, &of_day("acme", "2023-11-14"), 100).await, [last, noon, first]);
    assert_eq!(find(setup, &of_day("acme", "2023-11-15"), 100).await, [tomorrow]);
    assert_eq!(find(setup, &of_day("acme", "2023-11-16"), 100).await, []);
}

pub(crate) async fn a_search_has_a_bound(setup: &impl Setup) {
    let found: Vec<AnomalyRecord> = (0..5).map(|onset| anomaly("acme", "pump-1", onset)).collect();
    store(setup, &found.iter().collect::<Vec<_>>(), &[]).await;
    let newest = [found[4].clone(), found[3].clone()];
    assert_eq!(find(setup, &of_device("acme", "pump-1"), 2).await, newest);
    assert_eq!(find(setup, &of_day("acme", "2023-11-14"), 2).await, newest);
    assert_eq!(find(setup, &of_device("acme", "pump-1"), 0).await, []);
}

pub(crate) async fn a_tenant_sees_nothing_of_another(setup: &impl Setup) {
    let (ours, theirs) = (anomaly("acme", "pump-1", 0), anomaly("acme-2", "pump-1", 0));
    let (how_ours, how_theirs) = (state("acme", "pump-1", 1), state("acme-2", "pump-1", 2));
    store(setup, &[&ours, &theirs], &[&how_ours, &how_theirs]).await;
    for query in [of_device("acme", "pump-1"), of_day("acme", "2023-11-14")] {
        assert_eq!(find(setup, &query, 9).await, std::slice::from_ref(&ours));
    }
    assert_eq!(setup.world().device_state("acme", "pump-1").await.unwrap(), Some(how_ours));
    assert_eq!(find(setup, &of_day("acm", "2023-11-14"), 9).await, []);
}

/// DynamoDB's numbers reach from 1E-130 to 1E+126; the tail of a 26-sigma reading is below that.
pub(crate) async fn numbers_come_back_exactly(setup: &impl Setup) {
    let numbers =
        [5e-324, 1.1e-138, 1e-130, f64::EPSILON, 0.1 + 0.2, -0.0, 0.0, 1e21, 9.9e125, 1e126, -1e200, f64::MAX];
    let mut found = anomaly("acme", "pump-1", 0);
    let template = found.anomaly.explanation.contributions[0].clone();
    let contributions = numbers.map(|number| {
        let mut contribution = template.clone();
        (contribution.tail, contribution.observed) = (number, -number);
        contribution
    });
    found.anomaly.explanation.contributions = contributions.to_vec();
    store(setup, &[&found], &[]).await;
    assert_eq!(find(setup, &of_device("acme", "pump-1"), 1).await, [found]);
}

pub(crate) async fn a_device_without_a_state_has_none(setup: &impl Setup) {
    let found = anomaly("acme", "pump-1", 0);
    store(setup, &[&found], &[]).await;
    assert_eq!(setup.world().device_state("acme", "pump-1").await.unwrap(), None);
}
