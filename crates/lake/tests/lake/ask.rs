//! Questions that cannot be asked say why, and those that can see the tables.

use std::io::Write as _;

use lake::engine::{Cell, Means};
use lake::{Engine, LakeError};
use tempfile::TempDir;

fn engine(folder: &TempDir, memory_bytes: usize) -> Engine {
    Engine::open(folder.path(), Means { memory_bytes, threads: 2 }).unwrap()
}

async fn rows(engine: &Engine, sql: &str) -> Result<Vec<Vec<Cell>>, LakeError> {
    let mut answer = engine.ask(sql).await?;
    let mut all = Vec::new();
    while let Some(more) = answer.rows().await? {
        all.extend(more);
    }
    Ok(all)
}

fn write(folder: &TempDir, key: &str, bytes: &[u8]) {
    let path = folder.path().join(key);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

#[tokio::test]
async fn a_question_that_is_none_says_what_and_where() {
    let folder = TempDir::new().unwrap();
    let engine = engine(&folder, 64 << 20);
    let check = async |sql: &str, parts: &[&str]| {
        let error = rows(&engine, sql).await.unwrap_err().to_string();
        for part in parts {
            assert!(error.contains(part), "`{part}` is not in: {error}");
        }
    };
    check("SELECT 1 FROM nowhere", &["no table `nowhere`", "bronze, quarantine, silver, sealed"]).await;
    check("SELECT\n  1 +* 2", &["line 2, column 6", "\n    1 +* 2\n       ^"]).await;
    check("SELECT devise\nFROM silver", &["devise", "line 1, column 8", "SELECT devise\n         ^"]).await;
    check("", &["no question"]).await;
    check("SELECT 1; SELECT 2", &["more than one question"]).await;
    for change in ["DROP TABLE silver", "INSERT INTO done VALUES ('a', 'b', 1, 1, 'c', 1, 'd', 'e')", "SET a = 1"] {
        assert!(rows(&engine, change).await.is_err(), "{change}");
    }
}

#[tokio::test]
async fn tables_that_have_nothing_yet_are_empty() {
    let folder = TempDir::new().unwrap();
    let engine = engine(&folder, 64 << 20);
    for table in lake::table::TABLES {
        let found = rows(&engine, &format!("SELECT count(*) FROM {}", table.name)).await.unwrap();
        assert_eq!(found, [[Cell::Number(0.0)]], "{}", table.name);
    }
}

#[tokio::test]
async fn dates_in_a_question_choose_the_objects_that_are_opened() {
    let folder = TempDir::new().unwrap();
    write(&folder, "bronze/dt=2026-01-01/hour=07/local/s/0/a.ndjson", b"{\"seq\":\"1\",\"arrived\":5}\n");
    write(&folder, "bronze/dt=2026-01-02/hour=08/local/s/0/b.ndjson", b"this is no JSON\n");
    let engine = engine(&folder, 64 << 20);
    let asked = "SELECT dt, hour, seq, arrived FROM bronze WHERE dt = '2026-01-01' AND hour BETWEEN 0 AND 7";
    let found = rows(&engine, asked).await.unwrap();
    assert_eq!(
        found,
        [[Cell::Text("2026-01-01".into()), Cell::Number(7.0), Cell::Text("1".into()), Cell::Number(5.0)]]
    );
    let error = rows(&engine, "SELECT seq FROM bronze").await.unwrap_err().to_string();
    assert!(error.contains("b.ndjson") && error.contains("line `1"), "{error}");
}

#[tokio::test]
async fn findings_of_models_are_a_table() {
    let folder = TempDir::new().unwrap();
    let line = br#"{"job":"j","model":"m","id":"a1","tenant":"t","device":"d","metrics":["x","y"],"detector":"model","onset":1767571200000,"score":1.5,"severity":"warning","explanation":{"score":1.5},"end":1767571260000,"rows":3,"is_open":false,"model_score":0.9,"seen_by":[],"number":7}"#;
    let packed = zstd::bulk::compress(line, 3).unwrap();
    write(&folder, "gold/model_findings/dt=2026-01-05/t/j.ndjson.zst", &packed);
    let engine = engine(&folder, 64 << 20);
    let found =
        rows(&engine, "SELECT dt, device, metrics, explanation, \"end\", is_open, model_score FROM model_findings")
            .await;
    let text = |text: &str| Cell::Text(text.into());
    let expected = [
        text("2026-01-05"),
        text("d"),
        text(r#"["x","y"]"#),
        text(r#"{"score":1.5}"#),
        Cell::Number(1_767_571_260_000.0),
        Cell::Truth(false),
        Cell::Number(0.9),
    ];
    assert_eq!(found.unwrap(), [expected]);
}

#[tokio::test]
async fn a_question_that_outgrows_its_memory_says_what_to_do() {
    let folder = TempDir::new().unwrap();
    let mut lines = Vec::new();
    for n in 0..200_000 {
        writeln!(lines, "{{\"seq\":\"{n:056}\",\"arrived\":{n}}}").unwrap();
    }
    write(&folder, "bronze/dt=2026-01-01/hour=07/local/s/0/a.ndjson", &lines);
    let engine = engine(&folder, 1 << 20);
    let asked = "SELECT a.seq FROM bronze a JOIN bronze b ON a.seq = b.seq ORDER BY 1 LIMIT 1";
    let error = rows(&engine, asked).await.unwrap_err().to_string();
    assert!(error.contains("more than 1 MiB") && error.contains("--memory-mib"), "{error}");
}
