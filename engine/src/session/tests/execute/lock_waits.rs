//! Waiting for rivals: for as long as was said, and for what becomes of them.

use super::*;
use crate::Options;
use std::collections::BTreeSet;
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

/// Longer than anybody should have to wait.
const LONG: Duration = Duration::from_secs(5);
const SHORT: Duration = Duration::from_millis(30);

fn filled(options: Options) -> Database {
    let db = Database::in_memory_with(options).unwrap();
    let rows = "INSERT INTO t VALUES (1, 10), (2, 20)";
    let table = "CREATE TABLE t (k INT PRIMARY KEY, v INT)";
    run(&db.connect().unwrap(), &format!("{table}; {rows}"));
    db
}

/// A database whose clients are patient, and two of them.
fn patient() -> (Database, Connection, Connection) {
    let db = filled(Options::new().lock_timeout(LONG));
    let (alice, bob) = (db.connect().unwrap(), db.connect().unwrap());
    (db, alice, bob)
}

fn run(conn: &Connection, sql: &str) {
    conn.execute_batch(sql)
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
}

/// Until so many statements wait for rivals.
fn until_waiting(db: &Database, count: i64) {
    let watch = db.connect().unwrap();
    let begin = Instant::now();
    let sql = "SELECT count(*) FROM remora_transactions WHERE waits_for LIKE 'transaction %'";
    while number(&watch, sql) != count {
        assert!(begin.elapsed() < LONG, "nobody waits");
        sleep(Duration::from_millis(1));
    }
}

fn sqlstate(result: Result<u64>) -> &'static str {
    result.map_or_else(|error| error.sqlstate(), |_| "00000")
}

/// What a statement comes to that waits while something is done.
fn while_waiting(
    db: &Database,
    conn: &mut Connection,
    sql: &str,
    meanwhile: impl FnOnce(),
) -> &'static str {
    scope(|scope| {
        let waiter = scope.spawn(move || sqlstate(conn.run(sql, []).map(|done| done.changes)));
        until_waiting(db, 1);
        meanwhile();
        waiter.join().unwrap()
    })
}

#[test]
fn who_waits_goes_on_when_his_rival_rolls_back() {
    let (db, rival, mut bob) = patient();
    for statement in [
        "UPDATE t SET v = v + 1 WHERE k = 1",
        "UPDATE t SET v = v + 1",
        "SELECT v FROM t WHERE k = 1 FOR UPDATE",
        "SELECT v FROM t FOR SHARE",
        "DELETE FROM t WHERE v < 15",
    ] {
        for rollback in ["ROLLBACK", "ROLLBACK TO s"] {
            run(&rival, "BEGIN; SAVEPOINT s; UPDATE t SET v = 0 WHERE k = 1");
            run(&bob, "BEGIN; SELECT v FROM t");
            let done = while_waiting(&db, &mut bob, statement, || run(&rival, rollback));
            assert_eq!(done, "00000", "{statement}");
            run(&bob, "ROLLBACK");
            rival.execute_batch("ROLLBACK").unwrap();
        }
    }
    run(&rival, "BEGIN; INSERT INTO t VALUES (3, 30)");
    run(&bob, "BEGIN; SELECT v FROM t");
    let insert = "INSERT INTO t VALUES (3, 31)";
    let done = while_waiting(&db, &mut bob, insert, || run(&rival, "ROLLBACK"));
    assert_eq!(done, "00000");
    run(&bob, "COMMIT");
    assert_eq!(number(&rival, "SELECT v FROM t WHERE k = 3"), 31);
}

#[test]
fn when_the_rival_commits_it_matters_whether_the_snapshot_was_used() {
    let (db, rival, mut bob) = patient();
    let add = "UPDATE t SET v = v + 1 WHERE k = 1";
    let commit = || run(&rival, "COMMIT");
    run(&rival, "BEGIN; UPDATE t SET v = 100 WHERE k = 1");
    run(&bob, "BEGIN; SELECT v FROM t");
    assert_eq!(while_waiting(&db, &mut bob, add, commit), "40001");
    run(&bob, "ROLLBACK");
    run(&rival, "BEGIN; UPDATE t SET v = 200 WHERE k = 1");
    run(&bob, "BEGIN");
    assert_eq!(while_waiting(&db, &mut bob, add, commit), "00000");
    run(&bob, "COMMIT");
    run(&rival, "BEGIN; UPDATE t SET v = v + 100 WHERE k = 1");
    assert_eq!(while_waiting(&db, &mut bob, add, commit), "00000");
    assert_eq!(number(&bob, "SELECT v FROM t WHERE k = 1"), 302);
    // Who wanted the same key finds it taken.
    run(&rival, "BEGIN; INSERT INTO t VALUES (3, 30)");
    let insert = "INSERT INTO t VALUES (3, 31)";
    assert_eq!(while_waiting(&db, &mut bob, insert, commit), "23505");
}

#[test]
fn nobody_waits_longer_than_was_said() {
    let db = filled(Options::new());
    let (rival, bob) = (db.connect().unwrap(), db.connect().unwrap());
    run(&rival, "BEGIN; DELETE FROM t WHERE k = 1");
    run(&bob, "BEGIN; SELECT v FROM t");
    assert_eq!(state(bob.execute("DELETE FROM t WHERE k = 1", [])), "40001");
    run(&bob, "ROLLBACK; SET lock_timeout = '30ms'");
    for block in ["", "BEGIN; ", "BEGIN; SELECT v FROM t; "] {
        let begin = Instant::now();
        let error = bob
            .execute_batch(&format!("{block}UPDATE t SET v = 0"))
            .unwrap_err();
        assert_eq!(error.sqlstate(), "55P03");
        assert_eq!(error.message(), "canceling statement due to lock timeout");
        assert!((SHORT..LONG).contains(&begin.elapsed()));
        run(&bob, "ROLLBACK");
    }
    // These do not want to wait.
    run(&bob, "SET lock_timeout = '1min'");
    let begin = Instant::now();
    let nowait = "SELECT k FROM t FOR UPDATE NOWAIT";
    assert_eq!(
        state(bob.query_row(nowait, [], |row| row.get::<_, i32>(0))),
        "55P03"
    );
    assert_eq!(number(&bob, "SELECT k FROM t FOR UPDATE SKIP LOCKED"), 2);
    assert!(begin.elapsed() < LONG);
    run(&rival, "ROLLBACK");
}

/// Alice has one and wants two, Bob has two and wants one. What Bob's statement undoes calls Alice, and while
/// she looks whether it was what she waits for he may have begun to wait: then it is she who closes the circle.
#[test]
fn who_would_wait_in_a_circle_does_not() {
    let (db, mut alice, bob) = patient();
    run(&alice, "BEGIN; SELECT v FROM t WHERE k = 1 FOR UPDATE");
    run(&bob, "BEGIN; SELECT v FROM t WHERE k = 2 FOR UPDATE");
    let begin = Instant::now();
    let take = |k| format!("UPDATE t SET v = 0 WHERE k = {k}");
    let mut bobs = "";
    let done = while_waiting(&db, &mut alice, &take(2), || {
        bobs = state(bob.execute(&take(1), []));
    });
    let mut both = [done, bobs];
    both.sort();
    assert_eq!(both, ["00000", "40001"], "a failed transaction lets go");
    assert!(begin.elapsed() < LONG);
    run(&bob, "ROLLBACK");
    run(&alice, "COMMIT");
}

#[test]
fn who_waits_can_be_stopped() {
    let (db, rival, mut bob) = patient();
    run(&rival, "BEGIN; DELETE FROM t WHERE k = 1");
    let delete = "DELETE FROM t WHERE k = 1";
    let handle = bob.interrupt_handle();
    let stopped = while_waiting(&db, &mut bob, delete, || handle.interrupt());
    assert_eq!(stopped, "57014");
    run(&bob, "SET statement_timeout = '30ms'");
    assert_eq!(state(bob.execute(delete, [])), "57014");
    run(&bob, "RESET statement_timeout; BEGIN; SELECT v FROM t");
    let closed = while_waiting(&db, &mut bob, delete, || db.close_within(SHORT).unwrap());
    assert_eq!(closed, "57P01");
}

/// One statement at a time: he who is waited for must come to his turn.
#[test]
fn who_waits_does_not_keep_others_from_their_turn() {
    let options = Options::new().lock_timeout(LONG).max_active_statements(1);
    let db = filled(options);
    let (rival, mut bob) = (db.connect().unwrap(), db.connect().unwrap());
    run(&rival, "BEGIN; UPDATE t SET v = 11 WHERE k = 1");
    let done = while_waiting(&db, &mut bob, "UPDATE t SET v = v + 1 WHERE k = 1", || {
        run(&rival, "UPDATE t SET v = 12 WHERE k = 1; COMMIT");
    });
    assert_eq!(done, "00000");
    assert_eq!(number(&bob, "SELECT v FROM t WHERE k = 1"), 13);
}

#[test]
fn others_see_who_waits_for_whom() {
    let (db, rival, mut bob) = patient();
    run(&rival, "BEGIN; DELETE FROM t WHERE k = 1");
    let watch = db.connect().unwrap();
    let held = "SELECT transaction_id FROM remora_transactions WHERE state = 'idle in transaction'";
    let held = number(&watch, held);
    let waits = || {
        let sql = "SELECT waits_for || ' | ' || statement FROM remora_transactions WHERE waits_for IS NOT NULL";
        watch
            .query_row(sql, [], |row| row.get::<_, String>(0))
            .unwrap()
    };
    let statement = "DELETE FROM t WHERE v = 10";
    for block in ["", "BEGIN", "BEGIN; SELECT v FROM t"] {
        run(&bob, block);
        let handle = bob.interrupt_handle();
        while_waiting(&db, &mut bob, statement, || {
            assert_eq!(waits(), format!("transaction {held} | {statement}"));
            handle.interrupt();
        });
        run(&bob, "ROLLBACK");
    }
    let none = "SELECT count(*) FROM remora_transactions WHERE waits_for IS NOT NULL";
    assert_eq!(number(&watch, none), 0);
}

/// Four workers and some thousand jobs: each is done once, none is left, and nobody fails.
#[test]
fn a_queue_is_drained_by_many() {
    const JOBS: i32 = 2000;
    let db = Database::in_memory().unwrap();
    let boss = db.connect().unwrap();
    run(
        &boss,
        "CREATE TABLE jobs (id INT PRIMARY KEY); CREATE TABLE done (id INT, worker INT); INSERT INTO jobs VALUES (0)",
    );
    for power in 0..11 {
        let more = format!("INSERT INTO jobs SELECT id + {} FROM jobs", 1 << power);
        run(&boss, &more);
    }
    boss.execute("DELETE FROM jobs WHERE id >= $1", [JOBS])
        .unwrap();
    let work = |worker: i32| {
        let mut conn = db.connect().unwrap();
        let mut taken = BTreeSet::new();
        loop {
            let tx = conn.transaction().unwrap();
            let job = "SELECT id FROM jobs LIMIT 1 FOR UPDATE SKIP LOCKED";
            let job = tx.query_row(job, [], |row| row.get::<_, i32>(0));
            let Some(id) = job.optional().unwrap() else {
                return taken;
            };
            assert_eq!(
                tx.execute("DELETE FROM jobs WHERE id = $1", [id]).unwrap(),
                1
            );
            tx.execute("INSERT INTO done VALUES ($1, $2)", [id, worker])
                .unwrap();
            // Some give up: their job is there for others.
            if id % 7 == worker && taken.insert(-1 - id) {
                continue;
            }
            tx.commit().expect("no job is two workers'");
            taken.insert(id);
        }
    };
    let taken: Vec<BTreeSet<i32>> = scope(|scope| {
        let workers = [0, 1, 2, 3].map(|worker| scope.spawn(move || work(worker)));
        workers.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let mut all: Vec<i32> = taken.into_iter().flatten().filter(|id| *id >= 0).collect();
    all.sort_unstable();
    let left = number(&boss, "SELECT count(*) FROM jobs");
    assert_eq!(
        all.len() as i64 + left,
        i64::from(JOBS),
        "none twice, none lost"
    );
    assert_eq!(left, 0);
    assert!(all.windows(2).all(|two| two[0] < two[1]));
    assert_eq!(number(&boss, "SELECT count(*) FROM done"), i64::from(JOBS));
}

/// Many blocks of one change each: whoever comes too late has shown nobody his snapshot, and gets another.
#[test]
fn the_first_statement_of_a_block_never_comes_too_late() {
    const ROUNDS: i64 = 200;
    let db = filled(Options::new().lock_timeout(LONG));
    let work = || {
        let conn = db.connect().unwrap();
        for _ in 0..ROUNDS {
            run(&conn, "BEGIN");
            run(&conn, "UPDATE t SET v = v + 1 WHERE k = 1");
            run(&conn, "COMMIT");
        }
    };
    scope(|scope| {
        for _ in 0..4 {
            scope.spawn(work);
        }
    });
    let conn = db.connect().unwrap();
    let sum = number(&conn, "SELECT v FROM t WHERE k = 1");
    assert_eq!(sum, 10 + 4 * ROUNDS);
}

#[test]
fn a_conflict_that_ends_by_waiting_too_long_was_not_run_again() {
    let (db, rival, bob) = patient();
    run(&rival, "BEGIN; DELETE FROM t WHERE k = 1");
    run(&bob, "SET lock_timeout = '200ms'");
    assert_eq!(state(bob.execute("UPDATE t SET v = 0", [])), "55P03");
    let watch = db.connect().unwrap();
    for (retried, count) in [(true, 0), (false, 1)] {
        let sql = format!("SELECT count(*) FROM remora_conflicts WHERE is_retried = {retried}");
        assert_eq!(number(&watch, &sql), count);
    }
}

#[test]
fn rows_that_a_limit_further_up_cuts_off_are_not_locked() {
    let db = filled(Options::new());
    let (alice, bob) = (db.connect().unwrap(), db.connect().unwrap());
    for lock in ["FOR UPDATE", "FOR UPDATE SKIP LOCKED"] {
        run(&alice, "BEGIN");
        let sql = format!("SELECT s.k + 0 FROM (SELECT k FROM t {lock}) s LIMIT 1");
        assert_eq!(number(&alice, &sql), 1);
        assert_eq!(
            bob.execute("UPDATE t SET v = 0 WHERE k = 2", []).unwrap(),
            1
        );
        assert_eq!(
            state(bob.execute("UPDATE t SET v = 0 WHERE k = 1", [])),
            "40001"
        );
        run(&alice, "ROLLBACK");
    }
}
