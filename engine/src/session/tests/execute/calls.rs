//! Calls that end otherwise than expected, and calls that wait.

use super::*;
use crate::Options;
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};

fn one_at_a_time() -> Database {
    let db = Database::in_memory_with(Options::new().max_active_statements(1)).unwrap();
    let conn = db.connect().unwrap();
    conn.execute_batch(
        "CREATE TABLE t (k BIGINT PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'one')",
    )
    .unwrap();
    db
}

/// A connection that does not wait for ever.
fn impatient(db: &Database) -> Connection {
    let conn = db.connect().unwrap();
    conn.execute("SET statement_timeout = '10s'", []).unwrap();
    conn
}

/// Calls a function whenever it is read from or written to, and then ends.
struct Caller<F>(F);

impl<F: FnMut()> Read for Caller<F> {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        self.0();
        Ok(0)
    }
}

impl<F: FnMut()> Write for Caller<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Alice's program panics in the middle of her COPY. Her transaction has failed, and holds up nobody.
#[test]
fn a_call_that_panics_has_failed() {
    let db = one_at_a_time();
    let (alice, bob) = (db.connect().unwrap(), impatient(&db));
    alice
        .execute_batch("BEGIN; INSERT INTO t VALUES (2, 'two')")
        .unwrap();
    let copy = || {
        alice.copy_from(
            "COPY t FROM STDIN WITH (FORMAT csv)",
            &mut Caller(|| panic!("as told")),
        )
    };
    assert!(catch_unwind(AssertUnwindSafe(copy)).is_err());
    assert_eq!(db.running(), 0);
    assert_eq!(alice.transaction_status(), TransactionStatus::Failed);
    assert_eq!(number(&bob, "SELECT count(*) FROM t"), 1);
    assert_eq!(state(alice.execute("SELECT 1", [])), "25P02");
    alice.execute("ROLLBACK", []).unwrap();
    assert_eq!(number(&alice, "SELECT count(*) FROM t"), 1);
}

/// There is one place, and Alice's COPY waits for Bob: he has the place meanwhile.
#[test]
fn who_waits_for_his_caller_lets_others_run() {
    let db = one_at_a_time();
    let (alice, bob) = (db.connect().unwrap(), impatient(&db));
    let mut calls = 0;
    let mut ask = Caller(|| {
        calls += 1;
        assert_eq!(number(&bob, "SELECT count(*) FROM t"), 1);
    });
    let rows = alice.copy_from("COPY t FROM STDIN WITH (FORMAT csv)", &mut ask);
    assert_eq!(rows.unwrap(), 0);
    let rows = alice.copy_to("COPY t TO STDOUT WITH (FORMAT csv)", &mut ask);
    assert_eq!(rows.unwrap(), 1);
    assert!(calls >= 2, "{calls}");
}

/// There is one place, and Bob's statement, which Alice stands in the way of, is tried again and again: she
/// has the place in between.
#[test]
fn who_pauses_lets_others_run() {
    let db = one_at_a_time();
    let (alice, bob) = (impatient(&db), db.connect().unwrap());
    alice
        .execute_batch("BEGIN; UPDATE t SET v = 'mine' WHERE k = 1")
        .unwrap();
    let mut is_done = false;
    std::thread::scope(|scope| {
        let update = scope.spawn(move || {
            let result = bob.execute("UPDATE t SET v = 'yours' WHERE k = 1", []);
            result.map_err(|error| error.sqlstate())
        });
        while db.running() == 0 && !update.is_finished() {
            std::thread::yield_now();
        }
        // With the place in his hands for the half second of his pauses, she would get there after him.
        alice
            .execute("UPDATE t SET v = 'still mine' WHERE k = 1", [])
            .unwrap();
        is_done = update.is_finished();
        alice.execute("COMMIT", []).unwrap();
        assert_eq!(update.join().unwrap(), Ok(1));
    });
    assert!(!is_done);
}

/// What a COMMIT does cannot be taken back: with a wrong number of parameters it does nothing.
#[test]
fn what_ends_a_transaction_has_its_parameters_looked_at_first() {
    let conn = connect();
    conn.execute_batch("CREATE TABLE t (k INT); COMMIT; BEGIN; INSERT INTO t VALUES (1)")
        .unwrap();
    assert_eq!(state(conn.execute("COMMIT", [7])), "08P01");
    assert_eq!(conn.transaction_status(), TransactionStatus::Failed);
    conn.execute("ROLLBACK", []).unwrap();
    assert_eq!(number(&conn, "SELECT count(*) FROM t"), 0);
    assert_eq!(state(conn.execute("BEGIN", [7])), "08P01");
    assert_eq!(conn.transaction_status(), TransactionStatus::Idle);
    assert_eq!(
        state(conn.execute("SET application_name = 'x'", [7])),
        "08P01"
    );
    let name: String = conn
        .query_row("SHOW application_name", [], |row| row.get(0))
        .unwrap();
    assert_eq!(name, "");
}

/// Alice has a result in her hands, and commits before she has read all of it. What Bob has committed before
/// her goes with none or with all of what she reads.
#[test]
fn a_result_that_is_read_on_after_the_commit_goes_with_it() {
    let late = "24000";
    let mut outcomes = Vec::new();
    for query in [
        "SELECT k FROM t UNION ALL SELECT k FROM u",
        "SELECT u.k FROM t JOIN u ON u.k = t.k",
        "SELECT u.k FROM t JOIN u ON u.v = t.v",
        "SELECT v, count(*) FROM u GROUP BY v",
        "SELECT k FROM u ORDER BY k",
        "SELECT k FROM u WHERE k > 5",
        "SELECT k FROM u",
    ] {
        let db = Database::in_memory().unwrap();
        let (alice, bob) = (db.connect().unwrap(), db.connect().unwrap());
        alice
            .execute_batch(
                "CREATE TABLE t (k BIGINT PRIMARY KEY, v BIGINT); CREATE TABLE u (k BIGINT PRIMARY KEY, v BIGINT);
                 CREATE TABLE done (n INT); INSERT INTO t VALUES (0, 0)",
            )
            .unwrap();
        for rows in (0..13).map(|power| 1_i64 << power) {
            alice
                .execute("INSERT INTO t SELECT k + $1, k + $1 FROM t", [rows])
                .unwrap();
        }
        alice.execute("INSERT INTO u SELECT * FROM t", []).unwrap();
        for bob_comes in [true, false] {
            alice.execute("BEGIN", []).unwrap();
            let mut statement = alice.prepare(query).unwrap();
            let mut rows = statement.query([]).unwrap();
            rows.next().unwrap();
            if bob_comes {
                bob.execute(
                    "UPDATE u SET k = k + 100000, v = v + 100000 WHERE k >= 8190",
                    [],
                )
                .unwrap();
            }
            alice.execute("INSERT INTO done VALUES (1)", []).unwrap();
            let committed = alice.execute("COMMIT", []);
            let mut read = || {
                while rows.next()?.is_some() {}
                Ok::<(), Error>(())
            };
            let read = read();
            match (committed, read) {
                (Err(error), _) => {
                    assert!(bob_comes && error.sqlstate() == "40001", "{query}: {error}")
                }
                (Ok(_), Err(error)) => {
                    assert_eq!(error.sqlstate(), late, "{query}: {error}");
                    outcomes.push(late);
                }
                (Ok(_), Ok(())) => {
                    assert!(
                        !bob_comes,
                        "{query}: what Bob changed was read as it was before"
                    );
                    outcomes.push("read");
                }
            }
            drop(rows);
            assert_eq!(alice.transaction_status(), TransactionStatus::Idle);
            let _ = bob.execute(
                "UPDATE u SET k = k - 100000, v = v - 100000 WHERE k >= 100000",
                [],
            );
        }
    }
    // Most results can be read on.
    assert!(
        outcomes
            .iter()
            .filter(|outcome| **outcome == "read")
            .count()
            >= 4,
        "{outcomes:?}"
    );
}

/// A transaction that has changed nothing, or promises less, hands its rows out for as long as is wanted.
#[test]
fn results_of_others_are_read_on_whatever_happens() {
    let db = Database::in_memory().unwrap();
    let conn = db.connect().unwrap();
    conn.execute_batch("CREATE TABLE t (k BIGINT PRIMARY KEY); CREATE TABLE u (k BIGINT); INSERT INTO t VALUES (0)")
        .unwrap();
    for rows in (0..13).map(|power| 1_i64 << power) {
        conn.execute("INSERT INTO t SELECT k + $1 FROM t", [rows])
            .unwrap();
    }
    for (begin, change) in [
        ("BEGIN", "SELECT 1"),
        ("BEGIN READ ONLY", "SELECT 1"),
        ("BEGIN ISOLATION LEVEL SNAPSHOT", "INSERT INTO u VALUES (1)"),
    ] {
        conn.execute(begin, []).unwrap();
        let mut statement = conn
            .prepare("SELECT k FROM t UNION ALL SELECT k FROM t")
            .unwrap();
        let mut rows = statement.query([]).unwrap();
        rows.next().unwrap();
        conn.run(change, []).unwrap();
        conn.execute("COMMIT", []).unwrap();
        let mut count = 1;
        while rows.next().unwrap().is_some() {
            count += 1;
        }
        assert_eq!(count, 2 << 13, "{begin}");
    }
}

/// What a filter refers to is kept until the commit, and accounted for.
#[test]
fn parameters_of_what_was_read_are_reserved() {
    let db = Database::in_memory_with(Options::new().manual_maintenance(true)).unwrap();
    let conn = db.connect().unwrap();
    conn.execute_batch(
        "CREATE TABLE t (k INT, v TEXT); COMMIT; BEGIN; INSERT INTO t VALUES (1, 'x')",
    )
    .unwrap();
    let held = "SELECT sum(bytes)::bigint FROM remora_memory WHERE owner = 'transaction'";
    let before = number(&conn, held);
    let long = "x".repeat(1 << 20);
    let mut same = conn
        .prepare("SELECT count(*) FROM t WHERE v || 'y' = $1")
        .unwrap();
    for _ in 0..3 {
        same.query_row([long.as_str()], |_| Ok(())).unwrap();
    }
    assert!(number(&conn, held) - before >= 3 << 20);
    conn.execute("COMMIT", []).unwrap();
    db.collect_garbage();
    assert!(number(&conn, held) <= before);
}
