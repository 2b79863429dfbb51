//! Limits: on time, on how much runs at once, and on what is still to run when a database is closed.

use super::*;
use crate::{DataType, FunctionFlags, Options};
use std::sync::mpsc::channel;
use std::sync::{Barrier, Mutex};
use std::time::{Duration, Instant};

const SECOND: Duration = Duration::from_secs(1);
/// Takes hours.
const ENDLESS: &str =
    "SELECT count(*) FROM t a, t b, t c, t d, t e WHERE a.k + b.k + c.k + d.k + e.k = 7";

fn filled(options: Options) -> Database {
    let db = Database::in_memory_with(options).unwrap();
    let conn = db.connect().unwrap();
    conn.execute_batch("CREATE TABLE t (k BIGINT PRIMARY KEY); INSERT INTO t VALUES (0)")
        .unwrap();
    for rows in (0..10).map(|power| 1_i64 << power) {
        conn.execute("INSERT INTO t SELECT k + $1 FROM t", [rows])
            .unwrap();
    }
    db
}

fn show(conn: &Connection, name: &str) -> String {
    conn.query_row(&format!("SHOW {name}"), [], |row| row.get(0))
        .unwrap()
}

/// Waits for another thread.
fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < 5 * SECOND, "{what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_statement_that_takes_too_long_is_stopped_and_no_other() {
    let conn = filled(Options::new()).connect().unwrap();
    conn.execute("SET statement_timeout = '400ms'", []).unwrap();
    assert_eq!(show(&conn, "statement_timeout"), "400ms");
    let begin = Instant::now();
    let error = conn.execute(ENDLESS, []).unwrap_err();
    assert_eq!(error.sqlstate(), "57014");
    assert_eq!(
        error.message(),
        "canceling statement due to statement timeout"
    );
    assert!((Duration::from_millis(400)..5 * SECOND).contains(&begin.elapsed()));
    // Each statement has its own time.
    let many = Instant::now();
    while many.elapsed() < SECOND {
        assert_eq!(number(&conn, "SELECT k FROM t WHERE k = 7"), 7);
    }
    conn.execute_batch("BEGIN; SET statement_timeout = 0; ROLLBACK")
        .unwrap();
    assert_eq!(state(conn.execute(ENDLESS, [])), "57014");
    conn.execute("RESET statement_timeout", []).unwrap();
    assert_eq!(show(&conn, "statement_timeout"), "0");
    for bad in ["-1", "'soon'", "'5 parsecs'"] {
        let sql = format!("SET statement_timeout = {bad}");
        assert_eq!(state(conn.execute(&sql, [])), "22023", "{bad}");
    }
}

#[test]
fn a_result_that_is_read_row_by_row_is_stopped_as_well() {
    let conn = filled(Options::new().statement_timeout(Duration::from_millis(400)))
        .connect()
        .unwrap();
    let mut statement = conn.prepare(ENDLESS).unwrap();
    let mut rows = statement.query([]).unwrap();
    assert_eq!(state(rows.next()), "57014");
    drop(rows);
    // Who takes his time between rows is not stopped.
    let mut statement = conn.prepare("SELECT a.k FROM t a, t b").unwrap();
    let mut rows = statement.query([]).unwrap();
    rows.next().unwrap().unwrap();
    std::thread::sleep(Duration::from_millis(500));
    for _ in 0..10_000 {
        rows.next().unwrap().unwrap();
    }
}

/// Alice goes for lunch in the middle of a transaction. What she has changed is free for others before
/// she is back, and the memory, too; and she is told, whatever she says next.
#[test]
fn a_forgotten_transaction_ends_by_itself() {
    let limit = Duration::from_millis(50);
    let db = filled(Options::new().idle_in_transaction_session_timeout(limit));
    let mut alice = db.connect().unwrap();
    let bob = db.connect().unwrap();
    assert_eq!(show(&alice, "idle_in_transaction_session_timeout"), "50ms");
    let forgotten = "SELECT count(*) FROM remora_transactions WHERE state LIKE 'idle%'";
    for back in ["SELECT 1", "COMMIT", "UPDATE t SET k = 3000 WHERE k = 7"] {
        alice
            .execute_batch("BEGIN; UPDATE t SET k = 2000 WHERE k = 7")
            .unwrap();
        wait_for("the row is free", || {
            bob.execute("UPDATE t SET k = k WHERE k = 7", []).is_ok()
        });
        assert_eq!(number(&bob, forgotten), 0);
        let error = alice.run(back, []).unwrap_err();
        assert_eq!(error.sqlstate(), "25P03", "{back}");
        if back != "COMMIT" {
            assert_eq!(alice.transaction_status(), TransactionStatus::Failed);
            assert_eq!(state(alice.run("SELECT 1", [])), "25P03");
            alice.run("ROLLBACK", []).unwrap();
        }
        assert_eq!(alice.transaction_status(), TransactionStatus::Idle);
        assert_eq!(number(&alice, "SELECT k FROM t WHERE k = 7"), 7);
    }
    let tx = alice.transaction().unwrap();
    tx.execute("DELETE FROM t", []).unwrap();
    wait_for("the rows are free", || {
        bob.execute("UPDATE t SET k = k WHERE k = 7", []).is_ok()
    });
    assert_eq!(state(tx.commit()), "25P03");
    assert_eq!(number(&alice, "SELECT count(*) FROM t"), 1024);
    // Who goes on is not idle.
    let tx = alice.transaction().unwrap();
    let begin = Instant::now();
    while begin.elapsed() < 4 * limit {
        tx.execute("UPDATE t SET k = k WHERE k = 7", []).unwrap();
    }
    tx.commit().unwrap();
}

#[test]
fn a_transaction_has_its_time_at_work_and_at_rest() {
    let limit = Duration::from_millis(80);
    let db = filled(Options::new().transaction_timeout(limit));
    let conn = db.connect().unwrap();
    conn.execute_batch("BEGIN; DELETE FROM t WHERE k = 1")
        .unwrap();
    assert_eq!(state(conn.execute(ENDLESS, [])), "25P04");
    conn.execute("ROLLBACK", []).unwrap();
    conn.execute_batch("BEGIN; DELETE FROM t WHERE k = 1")
        .unwrap();
    let other = db.connect().unwrap();
    wait_for("the row is free", || {
        other.execute("DELETE FROM t WHERE k = 1", []).is_ok()
    });
    assert_eq!(state(conn.execute("COMMIT", [])), "25P04");
    assert_eq!(number(&conn, "SELECT count(*) FROM t"), 1023);
}

#[test]
fn one_transaction_too_many_is_refused() {
    let db = filled(Options::new().max_transactions(2));
    let connect = || db.connect().unwrap();
    let (alice, bob, carol) = (connect(), connect(), connect());
    assert_eq!(show(&alice, "max_transactions"), "2");
    alice.execute_batch("BEGIN; SELECT * FROM t").unwrap();
    bob.execute_batch("BEGIN; SELECT * FROM t").unwrap();
    let error = carol.execute("SELECT k FROM t", []).unwrap_err();
    assert_eq!(error.sqlstate(), "53300");
    bob.execute("COMMIT", []).unwrap();
    assert_eq!(number(&carol, "SELECT count(*) FROM t"), 1024);
}

/// Eight clients, two places: all are served, never more than two at a time.
#[test]
fn statements_wait_for_their_turn() {
    let db = filled(Options::new().max_active_statements(2));
    let begin = Barrier::new(8);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let conn = db.connect().unwrap();
                begin.wait();
                for _ in 0..5 {
                    let sql = "SELECT count(*) FROM t a, t b WHERE a.k + b.k = 7";
                    assert_eq!(number(&conn, sql), 8);
                }
            });
        }
    });
    // Two that go on for ever: who waits can be stopped, and is seen to wait.
    let connect = || db.connect().unwrap();
    let (one, two, waiting) = (connect(), connect(), connect());
    let handles = [&one, &two, &waiting].map(Connection::interrupt_handle);
    std::thread::scope(|scope| {
        let ends: Vec<_> = [one, two]
            .into_iter()
            .map(|conn| scope.spawn(move || state(conn.execute(ENDLESS, []))))
            .collect();
        wait_for("both run", || db.running() == 2);
        waiting
            .execute("SET statement_timeout = '20ms'", [])
            .unwrap();
        assert_eq!(state(waiting.execute("SELECT 1", [])), "57014");
        waiting.execute("RESET statement_timeout", []).unwrap();
        let queued = scope.spawn(move || state(waiting.execute("SELECT 1", [])));
        wait_for("the third waits", || db.running() == 3);
        handles[2].interrupt();
        assert_eq!(queued.join().unwrap(), "57014");
        handles[0].interrupt();
        handles[1].interrupt();
        for end in ends {
            assert_eq!(end.join().unwrap(), "57014");
        }
    });
    assert_eq!(number(&connect(), "SELECT count(*) FROM t"), 1024);
}

/// The shop closes: who is being served is served, who comes now is not.
#[test]
fn closing_lets_what_runs_end() {
    let db = filled(Options::new());
    let connect = || db.connect().unwrap();
    let (runs, idle, open) = (connect(), connect(), connect());
    open.execute_batch("BEGIN; DELETE FROM t").unwrap();
    let ((begun, has_begun), (may_end, waits)) = (channel(), channel::<()>());
    let waits = Mutex::new(waits);
    runs.create_scalar_function(
        "served",
        &[],
        DataType::BigInt,
        FunctionFlags::NONE,
        move |_| {
            begun.send(()).unwrap();
            let _ = waits.lock().unwrap().recv();
            Ok(36_i64)
        },
    )
    .unwrap();
    std::thread::scope(|scope| {
        let served = scope.spawn(move || number(&runs, "SELECT served()"));
        has_begun.recv().unwrap();
        let closing = scope.spawn(|| db.close_within(5 * SECOND));
        wait_for("it closes", || db.connect().is_err());
        assert_eq!(state(idle.execute("SELECT 1", [])), "57P01");
        assert!(!closing.is_finished(), "it waits for what runs");
        drop(may_end);
        assert_eq!(served.join().unwrap(), 36);
        closing.join().unwrap().unwrap();
    });
    assert_eq!(state(db.connect()), "57P03");
    assert_eq!(state(idle.execute("SELECT 1", [])), "57P01");
    assert_eq!(state(open.execute("COMMIT", [])), "57P01");
}

#[test]
fn closing_does_not_wait_for_ever() {
    let db = filled(Options::new());
    let conn = db.connect().unwrap();
    std::thread::scope(|scope| {
        let endless = scope.spawn(move || state(conn.execute(ENDLESS, [])));
        wait_for("it runs", || db.running() == 1);
        let begin = Instant::now();
        db.close_within(Duration::from_millis(30)).unwrap();
        assert_eq!(endless.join().unwrap(), "57P01");
        assert!(begin.elapsed() < 5 * SECOND);
    });
}

/// A conflict that is tried again and again does not hide that somebody wants it to stop.
#[test]
fn whoever_waits_for_a_rival_can_be_stopped() {
    let db = filled(Options::new());
    let rival = db.connect().unwrap();
    rival
        .execute_batch("BEGIN; DELETE FROM t WHERE k = 1")
        .unwrap();
    let conn = db.connect().unwrap();
    conn.execute("SET statement_timeout = '20ms'", []).unwrap();
    let error = conn.execute("DELETE FROM t WHERE k = 1", []).unwrap_err();
    assert_eq!(error.sqlstate(), "57014", "{error}");
}

/// Each block of a text has its own time.
#[test]
fn a_limit_counts_from_the_block_that_it_is_for() {
    let db = filled(Options::new());
    let (conn, watch) = (db.connect().unwrap(), db.connect().unwrap());
    conn.execute("SET transaction_timeout = '5s'", []).unwrap();
    conn.execute_batch("BEGIN; SELECT 1; COMMIT; BEGIN; SELECT 1; COMMIT")
        .unwrap();
    conn.execute("SET transaction_timeout = 0", []).unwrap();
    conn.execute("SET idle_in_transaction_session_timeout = '20ms'", [])
        .unwrap();
    conn.execute_batch("BEGIN; SELECT 1").unwrap();
    let idle = "SELECT count(*) FROM remora_transactions WHERE state LIKE 'idle%'";
    wait_for("it was ended", || number(&watch, idle) == 0);
    assert_eq!(
        state(conn.execute_batch("ROLLBACK; BEGIN; SELECT 1 / 0")),
        "22012"
    );
    assert_eq!(
        state(conn.execute("SELECT 1", [])),
        "25P02",
        "and not of the block before"
    );
    conn.execute("COMMIT", []).unwrap();
}
