//! COMMIT and ROLLBACK AND CHAIN.

use super::{connect, number, state};
use crate::{Connection, Database, TransactionStatus};

fn shown(conn: &Connection, name: &str) -> String {
    conn.query_row(&format!("SHOW {name}"), [], |row| row.get(0))
        .unwrap()
}

/// Alice's transactions follow each other without a gap, each like the one before.
#[test]
fn the_next_transaction_is_like_the_last() {
    let db = Database::in_memory().unwrap();
    let (alice, bob) = (db.connect().unwrap(), db.connect().unwrap());
    alice
        .execute_batch("CREATE TABLE t (k INT PRIMARY KEY)")
        .unwrap();
    alice
        .execute_batch("BEGIN ISOLATION LEVEL SNAPSHOT; INSERT INTO t VALUES (1)")
        .unwrap();
    assert_eq!(alice.run("COMMIT AND CHAIN", []).unwrap().tag, "COMMIT");
    assert_eq!(number(&bob, "SELECT count(*) FROM t"), 1);
    assert_eq!(alice.transaction_status(), TransactionStatus::Open);
    assert_eq!(shown(&alice, "transaction_isolation"), "snapshot");
    alice
        .execute_batch(
            "INSERT INTO t VALUES (2); ROLLBACK WORK AND CHAIN; INSERT INTO t VALUES (3)",
        )
        .unwrap();
    alice
        .execute_batch("SET TRANSACTION READ ONLY; END TRANSACTION AND CHAIN")
        .unwrap();
    assert_eq!(
        state(alice.execute("INSERT INTO t VALUES (4)", [])),
        "25006"
    );
    // A failed one is rolled back, whatever was said.
    assert_eq!(alice.run("COMMIT AND CHAIN", []).unwrap().tag, "ROLLBACK");
    assert_eq!(alice.transaction_status(), TransactionStatus::Open);
    assert_eq!(shown(&alice, "transaction_read_only"), "on");
    assert_eq!(shown(&alice, "transaction_isolation"), "snapshot");
    alice.execute("ABORT AND NO CHAIN", []).unwrap();
    assert_eq!(alice.transaction_status(), TransactionStatus::Idle);
    assert_eq!(shown(&alice, "transaction_isolation"), "serializable");
    assert_eq!(number(&bob, "SELECT sum(k)::bigint FROM t"), 4);
}

/// Each has its own time, snapshot and settings.
#[test]
fn nothing_else_is_carried_over() {
    let db = Database::in_memory().unwrap();
    let (alice, bob) = (db.connect().unwrap(), db.connect().unwrap());
    alice.execute_batch("CREATE TABLE t (k INT)").unwrap();
    alice
        .execute_batch("BEGIN; SET LOCAL application_name = 'here'; SAVEPOINT s; SELECT * FROM t")
        .unwrap();
    let began = number(
        &alice,
        "SELECT (extract(epoch FROM now()) * 1000000)::bigint",
    );
    bob.execute("INSERT INTO t VALUES (1)", []).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(2));
    alice.execute("COMMIT AND CHAIN", []).unwrap();
    assert_eq!(number(&alice, "SELECT count(*) FROM t"), 1);
    assert_eq!(shown(&alice, "application_name"), "");
    assert!(
        number(
            &alice,
            "SELECT (extract(epoch FROM now()) * 1000000)::bigint"
        ) > began
    );
    assert_eq!(state(alice.execute("ROLLBACK TO s", [])), "3B001");
}

#[test]
fn without_a_block_there_is_nothing_to_chain() {
    let conn = connect();
    for sql in [
        "COMMIT AND CHAIN",
        "SELECT 1; COMMIT AND CHAIN",
        "END AND CHAIN",
    ] {
        let error = conn.execute_batch(sql).unwrap_err();
        assert_eq!(error.sqlstate(), "25P01", "{sql}");
        assert_eq!(
            error.message(),
            "COMMIT AND CHAIN can only be used in transaction blocks"
        );
        assert_eq!(conn.transaction_status(), TransactionStatus::Idle);
    }
    for sql in ["ROLLBACK AND CHAIN", "SELECT 1; ABORT AND CHAIN"] {
        let error = conn.execute_batch(sql).unwrap_err();
        assert_eq!(
            error.message(),
            "ROLLBACK AND CHAIN can only be used in transaction blocks"
        );
    }
    conn.execute_batch("COMMIT AND NO CHAIN; ROLLBACK AND NO CHAIN")
        .unwrap();
}

/// A commit that loses a conflict begins nothing: whoever sent it does not know which of the two is open.
#[test]
fn a_commit_that_fails_begins_nothing() {
    let db = Database::in_memory().unwrap();
    let (alice, bob) = (db.connect().unwrap(), db.connect().unwrap());
    alice
        .execute_batch(
            "CREATE TABLE t (k INT); COMMIT; BEGIN; SELECT * FROM t; INSERT INTO t VALUES (1)",
        )
        .unwrap();
    bob.execute("INSERT INTO t VALUES (2)", []).unwrap();
    assert_eq!(state(alice.execute("COMMIT AND CHAIN", [])), "40001");
    assert_eq!(alice.transaction_status(), TransactionStatus::Idle);
}
