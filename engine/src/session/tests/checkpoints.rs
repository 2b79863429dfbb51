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
