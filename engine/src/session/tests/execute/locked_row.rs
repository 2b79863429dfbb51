//! A row that is read to be changed, `FOR UPDATE`, on the short way within a block: it is locked as on the general one.

use crate::error::state;
use crate::{Connection, Database, Error, Result};

const LOCK: &str = "SELECT balance FROM account WHERE id = $1 FOR UPDATE";

/// A table of two rows, and two connections.
fn bank() -> (Database, [Connection; 2]) {
    let db = Database::in_memory().unwrap();
    let connections = [(); 2].map(|()| db.connect().unwrap());
    connections[0]
        .execute_batch(
            "CREATE TABLE account (id BIGINT PRIMARY KEY, name TEXT UNIQUE, balance INT);
             INSERT INTO account VALUES (1, 'one', 100), (2, 'two', 200)",
        )
        .unwrap();
    (db, connections)
}

/// Begins a block whose snapshot is taken: what comes next may go the short way.
fn begin(conn: &Connection) {
    conn.execute_batch("BEGIN; SELECT 1 FROM account WHERE id = 0")
        .unwrap();
}

fn balance(conn: &Connection, sql: &str, id: i64) -> Result<i32> {
    let mut statement = conn.prepare(sql)?;
    assert!(statement.is_read_by_key(), "{sql}");
    statement.query_row([id], |row| row.get(0))
}

fn code(result: Result<impl std::fmt::Debug>) -> String {
    result.unwrap_err().sqlstate().to_owned()
}

/// Alice has locked the row: Bob can neither change nor lock it, and may read it; then she changes it, and he is late.
#[test]
fn a_locked_row_is_kept_from_others() {
    let (_db, [alice, bob]) = bank();
    for sql in [
        LOCK,
        "SELECT balance FROM account WHERE id = $1 FOR NO KEY UPDATE NOWAIT",
    ] {
        begin(&alice);
        begin(&bob);
        assert_eq!(balance(&alice, sql, 1).unwrap(), 100);
        // She has it: it is not locked again.
        assert_eq!(balance(&alice, sql, 1).unwrap(), 100);
        assert_eq!(code(balance(&bob, LOCK, 1)), state::SERIALIZATION_FAILURE);
        bob.execute_batch("ROLLBACK; BEGIN; SELECT 1").unwrap();
        let nowait = "SELECT balance FROM account WHERE id = $1 FOR UPDATE NOWAIT";
        assert_eq!(code(balance(&bob, nowait, 1)), state::LOCK_NOT_AVAILABLE);
        bob.execute_batch("ROLLBACK").unwrap();
        let change = "UPDATE account SET balance = 0 WHERE id = 1";
        assert_eq!(code(bob.execute(change, [])), state::SERIALIZATION_FAILURE);
        let plain = bob.query_row("SELECT balance FROM account WHERE id = 1", [], |row| {
            row.get::<_, i32>(0)
        });
        assert_eq!(plain.unwrap(), 100);
        begin(&bob);
        assert_eq!(balance(&bob, LOCK, 2).unwrap(), 200);
        bob.execute_batch("COMMIT").unwrap();
        begin(&bob);
        alice
            .execute_batch("UPDATE account SET balance = balance + 1 WHERE id = 1; COMMIT")
            .unwrap();
        assert_eq!(
            code(balance(&bob, LOCK, 1)),
            state::SERIALIZATION_FAILURE,
            "he is late"
        );
        bob.execute_batch("ROLLBACK; UPDATE account SET balance = 100 WHERE id = 1")
            .unwrap();
    }
}

/// A savepoint that is gone back to gives up the locks that came after it; so does the end of the block.
#[test]
fn a_lock_ends_where_a_change_would() {
    let (_db, [alice, bob]) = bank();
    begin(&alice);
    alice.execute_batch("SAVEPOINT before").unwrap();
    assert_eq!(balance(&alice, LOCK, 1).unwrap(), 100);
    alice.execute_batch("ROLLBACK TO before").unwrap();
    let change = "UPDATE account SET balance = balance + 5 WHERE id = $1";
    assert_eq!(bob.execute(change, [1_i64]).unwrap(), 1);
    assert_eq!(balance(&alice, LOCK, 2).unwrap(), 200);
    assert!(bob.execute(change, [2_i64]).is_err());
    alice.execute_batch("COMMIT").unwrap();
    assert_eq!(bob.execute(change, [2_i64]).unwrap(), 1);
    begin(&alice);
    assert_eq!(balance(&alice, LOCK, 2).unwrap(), 205);
    alice.execute(change, [2_i64]).unwrap();
    assert_eq!(balance(&alice, LOCK, 2).unwrap(), 210, "her own change");
    alice
        .execute("DELETE FROM account WHERE id = 2", [])
        .unwrap();
    assert!(balance(&alice, LOCK, 2).is_err(), "no row");
    alice.execute_batch("ROLLBACK").unwrap();
}

/// A key that is not there is recorded: somebody else's row with that key is a conflict for who relies on it.
#[test]
fn a_row_that_is_not_there_is_a_read() {
    let (_db, [alice, bob]) = bank();
    for (sql, conflicts) in [
        (LOCK, true),
        ("SELECT balance FROM account WHERE id = $1 + 1", true),
    ] {
        begin(&alice);
        let found = alice.query_row(sql, [7_i64], |row| row.get::<_, i32>(0));
        assert_eq!(code(found), state::NO_DATA);
        bob.execute("INSERT INTO account VALUES (7, NULL, 1), (8, NULL, 1)", [])
            .unwrap();
        alice
            .execute("INSERT INTO account VALUES (9, NULL, 1)", [])
            .unwrap();
        assert_eq!(alice.execute("COMMIT", []).is_err(), conflicts, "{sql}");
        alice
            .execute("DELETE FROM account WHERE id > 2", [])
            .unwrap();
    }
}

/// A block that only reads may not lock, and is told so.
#[test]
fn who_only_reads_locks_nothing() {
    let (_db, [alice, bob]) = bank();
    let mut statement = alice.prepare(LOCK).unwrap();
    alice
        .execute_batch("BEGIN READ ONLY; SELECT 1 FROM account WHERE id = 1")
        .unwrap();
    let error: Error = statement
        .query_row([1_i64], |row| row.get::<_, i32>(0))
        .unwrap_err();
    assert_eq!(error.sqlstate(), "25006");
    alice.execute_batch("ROLLBACK").unwrap();
    // Alone, the lock is gone with the statement; others are shared, skipped or not by a unique key.
    assert_eq!(balance(&alice, LOCK, 1).unwrap(), 100);
    assert_eq!(
        bob.execute("UPDATE account SET balance = 1", []).unwrap(),
        2
    );
    for sql in [
        "SELECT balance FROM account WHERE id = $1 FOR SHARE",
        "SELECT balance FROM account WHERE id = $1 FOR UPDATE SKIP LOCKED",
        "SELECT balance FROM account WHERE id > $1 FOR UPDATE",
        "SELECT balance FROM account WHERE id = $1 AND balance > 5 FOR UPDATE",
    ] {
        assert!(!alice.prepare(sql).unwrap().is_read_by_key(), "{sql}");
    }
}
