//! What counts for nothing costs only itself, and is told with its place.

use batch_analyzer::analysis::AnalysisError;
use batch_analyzer::handler::{JobError, Request, run};
use batch_analyzer::refusal::Reason;
use platform::model::Key;
use platform::sim::SimWorld;
use serde_json::Value;

use super::plant::{Form, MINUTES, analyze, at, break_down, id, key, place, quiet, report, rewrite};

const ROWS: u64 = 3 * MINUTES as u64;

/// With a fault in the first half, where the parts that are damaged are not.
fn world(form: Form) -> SimWorld {
    let world = SimWorld::new();
    let mut rows = quiet();
    break_down(&mut rows, "pump-1", 1_000..1_030);
    place(&world, &rows, form);
    world
}

/// Part, line and reason of the refused lines that are kept.
fn refused(world: &SimWorld) -> Vec<(String, Option<u64>, String)> {
    let packed = world.object(&key("refused.ndjson.zst")).unwrap();
    let text = String::from_utf8(zstd::decode_all(&packed[..]).unwrap()).unwrap();
    let read = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        let text = |name: &str| line[name].as_str().unwrap().to_owned();
        (text("part"), line["line"].as_u64(), text("reason"))
    };
    text.lines().map(read).collect()
}

#[tokio::test]
async fn bad_lines_are_counted_by_reason_and_the_rest_goes_on() {
    let world = world(Form::Csv);
    rewrite(&world, "input/a", |lines| {
        lines[0] = "press-9,2026-11-01T00:00:00Z,60,2".to_owned();
        lines[1] = "pump-1,tomorrow,60,2".to_owned();
        lines[2] = "pump-1".to_owned();
        lines[10] = lines[4].clone();
    });
    rewrite(&world, "output/a.out", |lines| {
        lines[3] = "nan".to_owned();
        lines[5] = "model error".to_owned();
        lines.insert(6, String::new());
    });
    let report = report(&world).await;
    let reasons =
        [Reason::BadRow, Reason::UnknownDevice, Reason::BadTime, Reason::OutOfOrder, Reason::NoScore, Reason::BadScore];
    assert_eq!(report.refused, reasons.map(|reason| (reason, 1)).into());
    assert_eq!(report.alone, 1);
    let lines: Vec<Option<u64>> = refused(&world).into_iter().map(|(_, line, _)| line).collect();
    assert_eq!(lines, [1, 2, 3, 4, 6, 11].map(Some));
}

#[tokio::test]
async fn a_row_that_names_another_tenant_is_refused() {
    let world = world(Form::JsonLines);
    rewrite(&world, "input/a", |lines| lines[7] = lines[7].replacen('{', r#"{"tenant":"globex","#, 1));
    assert_eq!(report(&world).await.refused[&Reason::ForeignTenant], 1);
}

#[tokio::test]
async fn a_part_whose_results_are_not_as_many_as_its_rows_counts_for_nothing() {
    for (name, expected) in [("output/a.out", "4500 rows and 4498 results"), ("input/a", "4498 rows and 4500 results")]
    {
        let world = world(Form::Csv);
        // Somewhere in the middle: nobody knows where.
        rewrite(&world, name, |lines| drop(lines.drain(100..102)));
        let report = report(&world).await;
        assert_eq!(report.refused, [(Reason::Unmatched, 1)].into());
        assert_eq!((report.rows, report.alone), (ROWS / 2, 0), "the other part counts");
        assert_eq!(refused(&world), [("a".to_owned(), None, "unmatched".to_owned())]);
        let packed = world.object(&key("refused.ndjson.zst")).unwrap();
        let detail = String::from_utf8(zstd::decode_all(&packed[..]).unwrap()).unwrap();
        assert!(detail.contains(expected), "{detail}");
        let markdown = String::from_utf8(world.object(&key("report.md")).unwrap()).unwrap();
        assert!(markdown.contains("- unmatched: 1"), "{markdown}");
    }
}

#[tokio::test]
async fn a_part_that_is_cut_off_or_gone_counts_for_nothing() {
    let cut = world(Form::Csv);
    let packed = cut.object(&key("output/b.out")).unwrap();
    cut.remove_object(&key("output/b.out"));
    cut.place_object(key("output/b.out"), &packed[..packed.len() / 2]);
    let gone = world(Form::Csv);
    gone.remove_object(&key("input/b"));
    for (world, reason) in [(cut, Reason::Damaged), (gone, Reason::Missing)] {
        let report = report(&world).await;
        assert_eq!(report.refused, [(reason, 1)].into());
        assert_eq!((report.rows, report.alone), (ROWS / 2, 1), "the fault is in the other part");
    }
}

#[tokio::test]
async fn too_few_rows_draw_no_line() {
    let world = SimWorld::new();
    place(&world, &quiet()[..60], Form::Csv);
    let report = report(&world).await;
    assert_eq!((report.rows, report.assets["other"].line), (60, None));
}

#[tokio::test]
async fn mistakes_of_people_are_told_whole_and_change_nothing() {
    let bad_job = world(Form::Csv);
    bad_job.remove_object(&key("job.json"));
    bad_job.place_object(key("job.json"), r#"{"version":9,"model":"","format":"csv","parts":[]}"#);
    let bad_profile = world(Form::Csv);
    bad_profile.place_object(Key::new("config/acme/profile.toml").unwrap(), "sensitivty = 1\n");
    for (world, parts) in [(bad_job, ["`version` is 9", "`parts` names 0"]), (bad_profile, ["acme", "sensitivty"])] {
        let before = world.objects();
        let error = analyze(&world).await.unwrap_err();
        assert!(!error.is_transient());
        assert!(parts.iter().all(|part| error.to_string().contains(part)), "{error}");
        assert_eq!(world.objects(), before);
    }
}

#[tokio::test]
async fn a_job_for_which_there_is_no_time_writes_nothing() {
    let world = SimWorld::new();
    let rows: Vec<_> = std::iter::repeat_n(quiet(), 8).flatten().collect();
    place(&world, &rows, Form::Csv);
    let (before, id) = (world.objects(), id());
    let request = Request { id: &id, accepts_missing: false, ttl_days: 90, now: at(0) };
    let error = run(&world, &request, || false).await.unwrap_err();
    assert!(matches!(error, JobError::Analysis(AnalysisError::OutOfTime { .. })), "{error}");
    assert_eq!(world.objects(), before);
}
