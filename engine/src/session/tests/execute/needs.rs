//! Needs of statements for their session: most have none, queries of the catalog no flush, and a trigger costs only those
//! that may fire it.

use super::*;
use crate::Options;
use crate::function::Needs;
use remora_storage::disk::SimDisk;
use std::sync::Arc;
use std::time::{Duration, Instant};

fn needs(conn: &Connection, sql: &str) -> Needs {
    conn.prepare(sql).unwrap().needs()
}

#[test]
fn a_query_of_the_catalog_gives_its_first_row_at_once_and_flushes_nothing() {
    let disk = SimDisk::new();
    let options = Options::new().manual_maintenance(true);
    let db = Database::open_on(Arc::new(disk.clone()), options).unwrap();
    let conn = db.connect().unwrap();
    conn.execute_batch("CREATE TABLE t (k INT); INSERT INTO t VALUES (1)")
        .unwrap();
    let before = disk.operations();
    // All rows would take hours.
    let sql = "SELECT relname, current_setting('work_mem') FROM pg_class, generate_series(1, 10000000000)";
    let mut statement = conn.prepare(sql).unwrap();
    let mut rows = statement.query([]).unwrap();
    assert!(rows.next().unwrap().is_some());
    drop(rows);
    assert_eq!(disk.operations(), before);
}

#[test]
fn a_trigger_costs_only_statements_that_may_fire_it() {
    let conn = Database::in_memory().unwrap().connect().unwrap();
    conn.execute_batch(
        "CREATE TABLE plain (k INT PRIMARY KEY, v INT);
         CREATE TABLE parent (k INT PRIMARY KEY, v INT);
         CREATE TABLE child (k INT PRIMARY KEY REFERENCES parent ON DELETE CASCADE);
         CREATE TABLE grandchild (k INT REFERENCES child ON DELETE CASCADE);
         CREATE TABLE heard (k INT);
         CREATE TRIGGER hear AFTER DELETE ON grandchild FOR EACH ROW BEGIN INSERT INTO heard VALUES (OLD.k); END;
         INSERT INTO parent VALUES (1, 1), (2, 2);
         INSERT INTO child VALUES (1), (2);
         INSERT INTO grandchild VALUES (1), (2)",
    )
    .unwrap();
    for sql in [
        "UPDATE plain SET v = 1 WHERE k = 1",
        "DELETE FROM plain",
        "INSERT INTO plain VALUES (1, 1) ON CONFLICT (k) DO UPDATE SET v = 2",
        "INSERT INTO parent VALUES (3, 3)",
        "SELECT k FROM grandchild FOR UPDATE",
    ] {
        assert_eq!(needs(&conn, sql), Needs::NOTHING, "{sql}");
    }
    for sql in [
        "DELETE FROM grandchild",
        "DELETE FROM parent WHERE k = 1",
        "MERGE INTO child USING plain ON child.k = plain.k WHEN MATCHED THEN DELETE",
        "WITH gone AS (DELETE FROM parent RETURNING k) SELECT k FROM gone",
        "INSERT INTO grandchild VALUES (1)",
        "TRUNCATE parent CASCADE",
    ] {
        assert_eq!(needs(&conn, sql), Needs::ALL, "{sql}");
    }
    assert_eq!(needs(&conn, "SELECT current_setting('x')"), Needs::SESSION);
    assert_eq!(needs(&conn, "SELECT currval('x')"), Needs::EFFECTS);
    assert_eq!(needs(&conn, "SELECT nextval('x')"), Needs::EFFECTS);
    conn.execute("DELETE FROM parent WHERE k = 1", []).unwrap();
    let heard = conn.query_row("SELECT k FROM heard", [], |row| row.get::<_, i32>(0));
    assert_eq!(heard.unwrap(), 1);
}

/// Planning looks at the tables that a statement names, however many there are.
#[test]
fn a_plan_takes_as_long_among_many_tables() {
    let among = |tables: usize| {
        let conn = Database::in_memory().unwrap().connect().unwrap();
        let mut script = String::from("BEGIN;");
        for table in 0..tables {
            script += &format!("CREATE TABLE t{table} (k INT PRIMARY KEY, v INT);");
        }
        conn.execute_batch(&(script + "COMMIT")).unwrap();
        conn
    };
    let both = [among(10), among(1_000)];
    let mut shortest = [Duration::MAX; 2];
    // By turns, so that other tests disturb both; it is the undisturbed plans that are compared.
    for name in 0..2_000 {
        for (conn, shortest) in both.iter().zip(&mut shortest) {
            // Each has a name of its own, so that no plan is found.
            let sql =
                format!("UPDATE t7 AS a{name} SET v = v + 1 WHERE a{name}.k = $1 AND v > 2.5");
            let begin = Instant::now();
            let statement = conn.prepare(&sql).unwrap();
            *shortest = begin.elapsed().min(*shortest);
            drop(statement);
        }
    }
    let [few, many] = shortest;
    assert!(
        many * 5 <= few * 6,
        "{many:?} among 1,000, {few:?} among 10"
    );
}
