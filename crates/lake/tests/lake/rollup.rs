//! The stored rollup beside a plain computation, row by row; done once.

use std::sync::Arc;

use datafusion::arrow::array::{Array as _, ArrayRef, RecordBatch, StringArray};
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use lake::engine::Cell;
use lake::question::Question;
use lake::seal::Window;
use lake::{Engine, Hour};

use crate::plain::{self, Reading};
use crate::plant::{Folder, HOURS, ORPHAN_SCORE, roll};

async fn all(engine: &Engine, sql: &str) -> Vec<Vec<Cell>> {
    let mut answer = engine.ask(sql).await.unwrap();
    let mut rows = Vec::new();
    while let Some(more) = answer.rows().await.unwrap() {
        rows.extend(more);
    }
    rows
}

fn number(cell: &Cell) -> f64 {
    match cell {
        Cell::Number(number) => *number,
        other => panic!("{other:?} is no number"),
    }
}

/// A cell that holds exactly this count or score.
#[track_caller]
fn exactly(cell: &Cell, expected: impl Into<f64>, what: &str) {
    assert_eq!(*cell, Cell::Number(expected.into()), "{what}");
}

fn text(cell: &Cell) -> &str {
    match cell {
        Cell::Text(text) => text,
        other => panic!("{other:?} is no text"),
    }
}

/// The rows of the rollup against sums over readings.
fn compare(rows: &[Vec<Cell>], readings: impl Iterator<Item = Reading>) {
    let readings: Vec<Reading> = readings.collect();
    let expected = plain::sums(readings.iter());
    assert_eq!(rows.len(), expected.len());
    for (row, ((tenant, device, metric, hour), sums)) in rows.iter().zip(expected) {
        let place = format!("{device} {metric} {hour}");
        assert_eq!([text(&row[0]), text(&row[1]), text(&row[2])], [&*tenant, &*device, &*metric]);
        let start: jiff::Timestamp = text(&row[3]).parse().unwrap();
        assert_eq!(start.as_millisecond(), hour, "{place}");
        exactly(&row[4], sums.values.len() as f64, &format!("{place}: readings"));
        exactly(&row[5], sums.left_out as f64, &format!("{place}: left_out"));
        if sums.values.is_empty() {
            assert_eq!(row[6..10], [const { Cell::Nothing }; 4], "{place}");
        } else {
            let near = |cell: &Cell, expected: f64, what| {
                let found = number(cell);
                assert!(
                    (found - expected).abs() <= 1e-9 * expected.abs().max(1.0),
                    "{place}: {what} {found} {expected}"
                );
            };
            near(&row[6], sums.mean(), "mean");
            near(&row[7], sums.values.iter().copied().fold(f64::INFINITY, f64::min), "min");
            near(&row[8], sums.values.iter().copied().fold(f64::NEG_INFINITY, f64::max), "max");
            near(&row[9], sums.deviation(), "deviation");
        }
        // A float has its own shortest digits.
        assert_eq!((number(&row[10]) as f32).to_bits(), sums.score_max.to_bits(), "{place}: score_max");
        exactly(&row[11], sums.abnormal as f64, &format!("{place}: abnormal"));
        exactly(&row[12], sums.anomalies as f64, &format!("{place}: anomalies"));
    }
}

/// Rows of a run that was killed before its marker: a part of an hour's readings, of another run.
fn lose_a_run(folder: &Folder) {
    let gold = folder.gold();
    let (name, bytes) = gold.iter().find(|(name, _)| name.starts_with("gold/readings/")).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(bytes.clone())).unwrap().build().unwrap();
    let batches: Vec<RecordBatch> = reader.collect::<Result<_, _>>().unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), batches[0].schema(), None).unwrap();
    let batch = &batches[0].slice(0, 7);
    let run: ArrayRef = Arc::new(StringArray::from(vec!["lost"; batch.num_rows()]));
    let run_column = batch.num_columns() - 1;
    assert_eq!(batch.schema().field(run_column).name(), "run");
    assert_eq!(run.len(), 7);
    let columns = [&batch.columns()[..run_column], &[run]].concat();
    writer.write(&RecordBatch::try_new(batch.schema(), columns).unwrap()).unwrap();
    let (before, _) = name.rsplit_once('/').unwrap();
    let (before, _) = before.rsplit_once('/').unwrap();
    let lost = folder.dir.path().join("lake").join(before).join("lost");
    std::fs::create_dir(&lost).unwrap();
    std::fs::write(lost.join("part-00000.parquet"), writer.into_inner().unwrap()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rollup_is_what_a_plain_computation_over_committed_rows_gives() {
    let folder = Folder::new().await;
    let world = folder.open();
    let engine = folder.engine();
    let made = roll(&world, &engine, &Window::default()).await.unwrap();
    assert_eq!(made.len() as i64, 2 * (HOURS - 1), "the last hour is not over");
    lose_a_run(&folder);

    let readings = plain::readings(&folder, &world).await;
    let last = readings.iter().map(|reading| reading.arrived_in.clone()).max().unwrap();
    let closed = || readings.iter().filter(|reading| reading.arrived_in < last);
    let hour = Hour::parse("2026-01-05", "01").unwrap();
    let summary_hour = Question::new(include_str!("../../../../infra/sql/summary_hour.sql"));
    let sql = summary_hour.bind(&[("dt", &hour.date()), ("hour", "1"), ("region", "local")]).unwrap();
    compare(&all(&engine, &sql).await, closed().filter(|one| one.arrived_in == hour.to_string()).cloned());

    let summary = Question::new(include_str!("../../../../infra/sql/summary.sql"));
    let sql = summary.bind(&[("dt_from", "2026-01-01"), ("dt_to", "2026-12-31")]).unwrap();
    compare(&all(&engine, &sql).await, closed().cloned());

    let counted = all(&engine, "SELECT count(*) FROM readings r JOIN done d ON d.run = r.run").await;
    exactly(&counted[0][0], closed().count() as f64, "each reading once");

    let before = folder.gold();
    assert_eq!(roll(&world, &engine, &Window::default()).await.unwrap(), [], "a second time there is nothing to do");
    assert_eq!(folder.gold(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_text_of_infra_is_answered_here() {
    let folder = Folder::new().await;
    let world = folder.open();
    let engine = folder.engine();
    roll(&world, &engine, &Window::default()).await.unwrap();
    let readings = plain::readings(&folder, &world).await;
    let values = [
        ("dt", "2026-01-05"),
        ("hour", "1"),
        ("region", "local"),
        ("dt_from", "2026-01-01"),
        ("dt_to", "2026-12-31"),
        ("judged_from", "2026-01-01"),
        ("readings_min", "100"),
        ("z_min", "4"),
    ];
    let mut answered = std::collections::BTreeMap::new();
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../../infra/sql")).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let question = Question::new(&text);
        let asked: Vec<&str> = question.parameters().unwrap().iter().map(|parameter| parameter.name).collect();
        let given: Vec<_> = values.into_iter().filter(|(name, _)| asked.contains(name)).collect();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        answered.insert(name, all(&engine, &question.bind(&given).unwrap()).await);
    }
    assert_eq!(answered.len(), 8);
    assert_eq!(answered["glance"].len(), readings.len(), "each record counts once, open hours among it");
    assert!(answered["glance"].iter().all(|row| number(&row[5]) < f64::from(ORPHAN_SCORE)), "and as it was committed");
    let standing = |what| answered["objects"].iter().filter(|row| text(&row[3]) == what).count();
    assert_eq!([standing("orphan"), standing("missing")], [8, 0]);
    assert!(standing("committed") > 0 && standing("open") > 0);
    let of_hour = readings.iter().filter(|reading| reading.arrived_in == "2026-01-05T01").count();
    assert_eq!(answered["readings"].len(), of_hour);
    for (name, rows) in &answered {
        assert!(!rows.is_empty() || name.starts_with("zscore"), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_hour_in_which_nothing_arrived_has_an_empty_list_and_markers() {
    let folder = Folder::new().await;
    // As if nothing had been committed before: the lake begins an hour earlier, with somebody's note.
    let world = folder.open();
    let early = folder.lake().join("bronze/dt=2026-01-04/hour=22/local/demo/shardId-000000000000");
    std::fs::create_dir_all(&early).unwrap();
    std::fs::write(early.join("note.txt"), "kept").unwrap();
    let made = roll(&world, &folder.engine(), &Window::default()).await.unwrap();
    let empty = made.iter().filter(|marker| marker.row_count == 0 && marker.object_count == 0).count();
    assert_eq!(empty, 5, "two hours with two products, and the day that ends with them: {made:?}");
    assert_eq!(made.len() as i64, 2 * (HOURS - 1) + 5);
    let runs: std::collections::BTreeSet<&str> = made.iter().map(|marker| marker.run.as_str()).collect();
    assert_eq!(runs.len(), made.len(), "readers join on the day and the run");
}
