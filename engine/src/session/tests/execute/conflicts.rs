//! Conflicts: what those who lose are told, and what is remembered.

use super::{number, state};
use crate::{Connection, Database, Error, Isolation, RetryLimit, TransactionOptions};

/// A table of two rows, and three connections.
fn bank() -> (Database, [Connection; 3]) {
    let db = Database::in_memory().unwrap();
    let connections = [(); 3].map(|()| db.connect().unwrap());
    connections[0]
        .execute_batch(
            "CREATE TABLE account (id INT PRIMARY KEY, balance INT);
             INSERT INTO account VALUES (1, 100), (2, 200)",
        )
        .unwrap();
    (db, connections)
}

fn conflict(conn: &Connection, sql: &str) -> Error {
    let error = conn.execute(sql, []).unwrap_err();
    assert_eq!(error.sqlstate(), "40001", "{error}");
    error
}

/// What the last conflict was, without ids and times.
fn last(conn: &Connection) -> String {
    conn.query_row(
        "SELECT concat_ws(' | ', statement, level, rule, table_name, key, rival_statement, \
         rival_has_committed::text, is_retried::text) FROM remora_conflicts ORDER BY at DESC, transaction_id DESC",
        [],
        |row| row.get(0),
    )
    .unwrap()
}

/// Bob loses against Alice, who is still at it: he hears who she is, since when, and what she did last.
#[test]
fn who_loses_hears_whom_he_met() {
    let (_db, [alice, bob, carol]) = bank();
    let before = number(&carol, "SELECT (extract(epoch FROM now()) * 1000)::bigint");
    alice
        .execute_batch("BEGIN; SELECT 1; UPDATE account SET balance = 0 WHERE id = 1")
        .unwrap();
    bob.execute_batch("BEGIN").unwrap();
    let error = conflict(&bob, "UPDATE account SET balance = 1 WHERE id = 1");
    let detail = error.detail().unwrap();
    let (facts, rest) = detail.split_once(" It began at ").unwrap();
    assert!(
        facts.starts_with("Row id=1 of table \"account\" was changed by transaction "),
        "{facts}"
    );
    assert!(facts.ends_with(", which is still running."), "{facts}");
    let (_, statement) = rest.split_once("; its last statement is: ").unwrap();
    assert_eq!(statement, "UPDATE account SET balance = 0 WHERE id = 1");
    assert!(
        error
            .hint()
            .unwrap()
            .starts_with("Retry the transaction when transaction ")
    );
    let began = "SELECT (extract(epoch FROM rival_started) * 1000)::bigint FROM remora_conflicts";
    let began = number(&carol, began);
    let now = number(
        &carol,
        "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint",
    );
    assert!(
        (before - 50..=now).contains(&began),
        "{before} {began} {now}"
    );
    let same = "SELECT count(*) FROM remora_conflicts c JOIN remora_transactions t \
                ON t.transaction_id = c.rival_id AND t.started = c.rival_started";
    assert_eq!(number(&carol, same), 1);
}

/// Alice has committed, as a statement of her own or as a block, in the library too, and is known still.
#[test]
fn a_rival_that_has_committed_is_still_known() {
    let (db, [mut alice, bob, carol]) = bank();
    let lose = || {
        let error = conflict(&bob, "UPDATE account SET balance = 1 WHERE id = 1");
        bob.execute("ROLLBACK", []).unwrap();
        error.detail().unwrap().to_owned()
    };
    let begin = || bob.execute_batch("BEGIN; SELECT * FROM account").unwrap();
    begin();
    alice
        .execute("UPDATE account SET balance = $1", [7])
        .unwrap();
    let detail = lose();
    assert!(
        detail.contains("which has committed. It began at "),
        "{detail}"
    );
    assert!(
        detail.ends_with("its last statement is: UPDATE account SET balance = $1"),
        "{detail}"
    );
    begin();
    let tx = alice.transaction().unwrap();
    tx.execute("UPDATE account SET balance = 8", []).unwrap();
    tx.execute("DELETE FROM account WHERE id = 2", []).unwrap();
    tx.commit().unwrap();
    assert!(lose().ends_with("its last statement is: DELETE FROM account WHERE id = 2"));
    // Who has left is known by the time of the beginning only.
    begin();
    let dave = db.connect().unwrap();
    dave.execute("UPDATE account SET balance = 9", []).unwrap();
    drop(dave);
    let detail = lose();
    assert!(
        detail.contains("which has committed. It began at "),
        "{detail}"
    );
    assert!(!detail.contains("statement"), "{detail}");
    assert_eq!(number(&carol, "SELECT count(*) FROM remora_conflicts"), 3);
}

#[test]
fn each_kind_of_conflict_is_remembered() {
    let (_db, [alice, bob, carol]) = bank();
    bob.execute_batch("BEGIN; SELECT sum(balance) FROM account; INSERT INTO account VALUES (3, 0)")
        .unwrap();
    alice
        .execute("UPDATE account SET balance = 5 WHERE id = 2", [])
        .unwrap();
    conflict(&bob, "COMMIT");
    assert_eq!(
        last(&carol),
        "COMMIT | serializable | read-write | account | a scan of table \"account\" | \
         UPDATE account SET balance = 5 WHERE id = 2 | true | false"
    );
    alice
        .execute_batch("BEGIN; INSERT INTO account VALUES (4, 0)")
        .unwrap();
    bob.execute_batch("BEGIN ISOLATION LEVEL SNAPSHOT").unwrap();
    conflict(&bob, "INSERT INTO account VALUES (4, 1)");
    bob.execute("ROLLBACK", []).unwrap();
    assert_eq!(
        last(&carol),
        "INSERT INTO account VALUES (4, 1) | snapshot | unique key | account | id=4 | \
         INSERT INTO account VALUES (4, 0) | false | false"
    );
    alice.execute("COMMIT", []).unwrap();
    bob.execute_batch("BEGIN; SELECT * FROM account").unwrap();
    alice.execute("DROP TABLE account", []).unwrap();
    bob.execute("DELETE FROM account", []).unwrap();
    conflict(&bob, "COMMIT");
    assert_eq!(
        last(&carol),
        "COMMIT | serializable | structure | account | false"
    );
}

/// A statement of its own is run a hundred times, and only then reported. It leaves one conflict, however often it met
/// the same rival.
#[test]
fn what_is_run_again_is_noted_as_such() {
    let (_db, [alice, mut bob, carol]) = bank();
    alice
        .execute_batch("BEGIN; UPDATE account SET balance = 0 WHERE id = 1")
        .unwrap();
    let count = |what: &str| {
        number(
            &carol,
            &format!("SELECT count(*) FROM remora_conflicts WHERE {what}"),
        )
    };
    let error = conflict(&bob, "UPDATE account SET balance = 1 WHERE id = 1");
    assert!(
        error
            .detail()
            .unwrap()
            .contains("its last statement is: UPDATE")
    );
    assert_eq!((count("is_retried"), count("tries = 100")), (0, 1));
    let mut runs = 0;
    let limit = RetryLimit::new().attempts(3);
    let lost = bob.transact_with(TransactionOptions::new(), limit, |tx| {
        runs += 1;
        tx.execute("UPDATE account SET balance = 2 WHERE id = 1", [])
    });
    let error = lost.unwrap_err();
    assert!(
        error
            .detail()
            .unwrap()
            .contains("its last statement is: UPDATE")
    );
    assert_eq!(
        (runs, count("NOT is_retried"), count("tries = 3")),
        (3, 2, 1)
    );
    // One that is swallowed is not run again.
    let swallowed = bob.transact(|tx| {
        assert!(
            tx.execute("UPDATE account SET balance = 2 WHERE id = 1", [])
                .is_err()
        );
        Ok(())
    });
    assert_eq!(state(swallowed), "25P02");
    assert_eq!((count("is_retried"), count("NOT is_retried")), (0, 3));
    // Nor is what is lost after that.
    bob.execute("BEGIN", []).unwrap();
    conflict(&bob, "UPDATE account SET balance = 1 WHERE id = 1");
    bob.execute("ROLLBACK", []).unwrap();
    assert_eq!((count("is_retried"), count("NOT is_retried")), (0, 4));
    // What is run again has not looked up its rival: the reader of the table does.
    let mut is_first = true;
    bob.transact(|tx| {
        if !std::mem::take(&mut is_first) {
            let looked_up = "is_retried AND rival_statement LIKE 'UPDATE%'";
            assert_eq!(count(looked_up), 1);
            alice.execute("ROLLBACK", []).unwrap();
        }
        tx.execute("UPDATE account SET balance = 2 WHERE id = 1", [])
    })
    .unwrap();
    assert_eq!((count("is_retried"), count("tries = 1")), (1, 3));
}

/// Two statements that lose against one rival are two conflicts.
#[test]
fn each_statement_has_a_conflict_of_its_own() {
    let (_db, [alice, bob, carol]) = bank();
    alice
        .execute_batch("BEGIN; UPDATE account SET balance = 0")
        .unwrap();
    for id in [1, 2] {
        conflict(
            &bob,
            &format!("UPDATE account SET balance = 1 WHERE id = {id}"),
        );
    }
    let shown = "SELECT string_agg(key || ' ' || tries, ', ' ORDER BY key) FROM remora_conflicts";
    let shown: String = carol.query_row(shown, [], |row| row.get(0)).unwrap();
    assert_eq!(shown, "id=1 100, id=2 100");
}

/// However long keys and statements are, what is told and kept of them is short.
#[test]
fn long_keys_and_statements_are_clipped() {
    let (_db, [alice, bob, carol]) = bank();
    alice
        .execute("CREATE TABLE t (k TEXT PRIMARY KEY, v TEXT)", [])
        .unwrap();
    let key = "ä".repeat(1000);
    alice.execute("BEGIN", []).unwrap();
    alice
        .execute("INSERT INTO t VALUES ($1, '')", [key.as_str()])
        .unwrap();
    bob.execute("BEGIN", []).unwrap();
    let insert = format!("INSERT INTO t VALUES ('{key}', '{}')", "v".repeat(100_000));
    let error = conflict(&bob, &insert);
    assert!(error.detail().unwrap().len() < 600, "{:?}", error.detail());
    let lengths = "SELECT max(length(key) + length(statement))::bigint FROM remora_conflicts";
    assert!(number(&carol, lengths) < 1500);
}

#[test]
fn transactions_say_at_which_level_they_are() {
    let (_db, [mut alice, bob, carol]) = bank();
    let levels = "SELECT min(level) || ',' || max(level) || ',' || count(*) FROM remora_transactions \
                  WHERE state <> 'active'";
    let levels = || {
        carol
            .query_row(levels, [], |row| row.get::<_, String>(0))
            .unwrap()
    };
    let options = TransactionOptions::new().isolation(Isolation::Snapshot);
    let tx = alice.transaction_with(options).unwrap();
    tx.query_row("SELECT count(*) FROM account", [], |_| Ok(()))
        .unwrap();
    assert_eq!(levels(), "snapshot,snapshot,1");
    bob.execute_batch("BEGIN; SELECT * FROM account").unwrap();
    assert_eq!(levels(), "serializable,snapshot,2");
    bob.execute_batch("COMMIT; SET default_transaction_isolation = 'snapshot'")
        .unwrap();
    let mut all = bob.prepare("SELECT * FROM account").unwrap();
    let rows = all.query([]).unwrap();
    assert_eq!(levels(), "snapshot,snapshot,2");
    drop(rows);
}
