//! Settings that say when checkpoints are written, and what is known of those that were.

use super::*;
use crate::{CheckpointReason, Options};
use std::time::Duration;

fn show(conn: &Connection, name: &str) -> String {
    conn.query_row(&format!("SHOW {name}"), [], |row| row.get(0))
        .unwrap()
}

#[test]
fn they_are_settings_of_the_whole_database() {
    let directory = tempfile::tempdir().unwrap();
    let options = Options::new().checkpoint_timeout(Duration::from_secs(60));
    let db = Database::open_with(directory.path(), options).unwrap();
    let (alice, bob) = (db.connect().unwrap(), db.connect().unwrap());
    assert_eq!(show(&alice, "checkpoint_timeout"), "1min");
    assert_eq!(show(&alice, "recovery_target"), "0");
    alice.execute("SET checkpoint_timeout = 0", []).unwrap();
    alice.execute("SET Recovery_Target = '500 ms'", []).unwrap();
    assert_eq!(show(&bob, "checkpoint_timeout"), "0");
    assert_eq!(show(&bob, "recovery_target"), "500ms");
    assert_eq!(
        state(bob.execute("SET recovery_target = 'soon'", [])),
        "22023"
    );
    bob.execute("RESET recovery_target", []).unwrap();
    bob.execute("SET checkpoint_timeout = DEFAULT", []).unwrap();
    assert_eq!(show(&alice, "recovery_target"), "0");
    assert_eq!(show(&alice, "checkpoint_timeout"), "1min");
    alice.execute("BEGIN", []).unwrap();
    assert_eq!(
        state(alice.execute("SET recovery_target = '1s'", [])),
        "25001"
    );
    assert_eq!(show(&bob, "recovery_target"), "0");
}

#[test]
fn in_memory_nothing_is_recovered() {
    let conn = connect();
    assert_eq!(show(&conn, "recovery_target"), "0");
    assert_eq!(
        state(conn.execute("SET recovery_target = '1s'", [])),
        "55000"
    );
    assert_eq!(
        state(conn.execute("SET checkpoint_timeout = '1s'", [])),
        "55000"
    );
}

#[test]
fn a_checkpoint_knows_why_it_was_written() {
    let directory = tempfile::tempdir().unwrap();
    let options = Options::new().checkpoint_on_close(true);
    let db = Database::open_with(directory.path(), options).unwrap();
    let conn = db.connect().unwrap();
    conn.execute_batch("CREATE TABLE t (k BIGINT); INSERT INTO t VALUES (1)")
        .unwrap();
    conn.execute("CHECKPOINT", []).unwrap();
    conn.execute("INSERT INTO t VALUES (2)", []).unwrap();
    db.close().unwrap();
    let list = Database::checkpoints_in(directory.path()).unwrap().list;
    let reasons = list
        .iter()
        .filter_map(|one| Some(one.info.as_ref()?.reason));
    assert_eq!(
        reasons.collect::<Vec<_>>(),
        [CheckpointReason::Close, CheckpointReason::Command]
    );
    assert_eq!(list[0].rows, 2);
}

#[test]
fn the_checkpoints_that_are_kept_are_a_table() {
    let directory = tempfile::tempdir().unwrap();
    let db = Database::open(directory.path()).unwrap();
    let conn = db.connect().unwrap();
    let kept = |conn: &Connection| -> Vec<(i64, String, i64, bool)> {
        let sql =
            "SELECT number, coalesce(reason, 'new'), rows, is_current FROM remora_checkpoints";
        let mut statement = conn.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        });
        rows.unwrap().map(Result::unwrap).collect()
    };
    assert_eq!(kept(&conn), [(0, "new".to_owned(), 0, true)]);
    conn.execute("CREATE TABLE t (k BIGINT)", []).unwrap();
    for values in ["(1)", "(2), (3)"] {
        conn.execute(&format!("INSERT INTO t VALUES {values}"), [])
            .unwrap();
        conn.execute("CHECKPOINT", []).unwrap();
    }
    let command = || "command".to_owned();
    let of_two = [
        (2, command(), 3, true),
        (1, command(), 1, false),
        (0, "new".to_owned(), 0, false),
    ];
    assert_eq!(kept(&conn), of_two);
    let said = "SELECT bool_and(time <= now() AND tables = 1 AND bytes > 0 AND timestamp > 0
        AND timeline = 1 AND restored_from IS NULL AND damage IS NULL)
        FROM remora_checkpoints WHERE number > 0";
    assert!(
        conn.query_row(said, [], |row| row.get::<_, bool>(0))
            .unwrap()
    );

    // What cannot be read is not passed over.
    std::fs::write(directory.path().join("MANIFEST.1"), "nonsense").unwrap();
    let damaged = "SELECT damage FROM remora_checkpoints WHERE number IS NULL";
    let damage: String = conn.query_row(damaged, [], |row| row.get(0)).unwrap();
    assert!(damage.contains("MANIFEST.1"), "{damage}");

    let memory = connect();
    assert_eq!(kept(&memory), []);
}
