//! Tables with a bound: who finds no room, who waits for it, and what others see.

use super::*;
use crate::Options;
use remora_storage::disk::SimDisk;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_secs(20);

fn bounded(max_rows: u64, on_full: &str) -> Database {
    let db = Database::in_memory_with(Options::new()).unwrap();
    let sql = format!(
        "CREATE TABLE q (id INT PRIMARY KEY) WITH (max_rows = {max_rows}, on_full = '{on_full}')"
    );
    db.connect().unwrap().execute(&sql, []).unwrap();
    db
}

fn insert(conn: &Connection, id: i64) -> &'static str {
    let done = conn.execute("INSERT INTO q VALUES ($1)", [id]);
    done.map_or_else(|error| error.sqlstate(), |_| "00000")
}

fn until_waiting(db: &Database) {
    let watch = db.connect().unwrap();
    let begun = Instant::now();
    let sql = "SELECT count(*) FROM remora_transactions WHERE waits_for = 'room in a table'";
    while number(&watch, sql) == 0 {
        assert!(begun.elapsed() < LONG, "nobody waits");
        sleep(Duration::from_millis(1));
    }
}

/// Each of eight who wait woke the others when its attempt was undone, and so they all tried without end.
#[test]
fn those_who_wait_do_not_wake_each_other() {
    let db = bounded(1, "wait");
    let conn = db.connect().unwrap();
    conn.execute_batch("INSERT INTO q VALUES (1); CREATE SEQUENCE attempts")
        .unwrap();
    scope(|scope| {
        for _ in 0..8 {
            let conn = db.connect().unwrap();
            conn.execute("SET lock_timeout = '200ms'", []).unwrap();
            scope.spawn(move || {
                let refused = conn.execute("INSERT INTO q VALUES (nextval('attempts') + 1)", []);
                assert_eq!(refused.unwrap_err().sqlstate(), "55P03");
            });
        }
    });
    let attempts = number(&conn, "SELECT last_value FROM attempts");
    assert!((8..80).contains(&attempts), "{attempts}");
}

#[test]
fn who_waits_goes_on_when_a_deletion_has_committed_or_an_insertion_was_taken_back() {
    let db = bounded(1, "wait");
    let (alice, mut bob) = (db.connect().unwrap(), db.connect().unwrap());
    for taken_back in [false, true] {
        match taken_back {
            false => assert_eq!(insert(&alice, 1), "00000"),
            true => alice
                .execute_batch("BEGIN; INSERT INTO q VALUES (1)")
                .unwrap(),
        }
        scope(|scope| {
            let bob = &mut bob;
            let waiter = scope.spawn(move || insert(bob, 2));
            until_waiting(&db);
            if !taken_back {
                alice.execute_batch("BEGIN; DELETE FROM q").unwrap();
                sleep(Duration::from_millis(5));
                assert!(
                    !waiter.is_finished(),
                    "a deletion that may be taken back makes no room"
                );
            }
            let end = if taken_back { "ROLLBACK" } else { "COMMIT" };
            alice.execute_batch(end).unwrap();
            assert_eq!(waiter.join().unwrap(), "00000");
        });
        alice.execute_batch("DELETE FROM q").unwrap();
    }
}

#[test]
fn who_waits_can_be_interrupted_and_holds_no_snapshot() {
    let db = bounded(1, "wait");
    let (alice, mut bob) = (db.connect().unwrap(), db.connect().unwrap());
    assert_eq!(insert(&alice, 1), "00000");
    let interrupt = bob.interrupt_handle();
    scope(|scope| {
        let bob = &mut bob;
        let waiter = scope.spawn(move || insert(bob, 2));
        until_waiting(&db);
        let snapshots = "SELECT count(*) FROM remora_transactions WHERE snapshot IS NOT NULL";
        // The one that asks.
        assert!(number(&alice, snapshots) <= 1);
        interrupt.interrupt();
        assert_eq!(waiter.join().unwrap(), "57014");
    });
    assert_eq!(number(&alice, "SELECT count(*) FROM q"), 1);
}

#[test]
fn a_block_waits_with_what_it_has_written() {
    let db = bounded(2, "wait");
    let (alice, mut bob) = (db.connect().unwrap(), db.connect().unwrap());
    assert_eq!(insert(&alice, 1), "00000");
    bob.execute_batch("BEGIN; INSERT INTO q VALUES (2)")
        .unwrap();
    scope(|scope| {
        let bob = &mut bob;
        let waiter = scope.spawn(move || insert(bob, 3));
        until_waiting(&db);
        assert_eq!(alice.execute("DELETE FROM q WHERE id = 1", []).unwrap(), 1);
        assert_eq!(waiter.join().unwrap(), "00000");
    });
    assert_eq!(insert(&bob, 4), "53400", "all rows are its own");
    bob.execute_batch("ROLLBACK").unwrap();
    assert_eq!(number(&alice, "SELECT count(*) FROM q"), 0);
    assert_eq!(insert(&alice, 5), "00000");
}

#[test]
fn rows_are_counted_when_the_database_is_opened_and_when_the_bound_comes_later() {
    let disk = SimDisk::new();
    let open = || {
        let options = Options::new().manual_maintenance(true);
        Database::open_on(Arc::new(disk.clone()), options).unwrap()
    };
    {
        let db = open();
        let conn = db.connect().unwrap();
        conn.execute_batch("CREATE TABLE q (id INT PRIMARY KEY); INSERT INTO q VALUES (1), (2), (3); DELETE FROM q WHERE id = 1; ALTER TABLE q SET (max_rows = 3)").unwrap();
        assert_eq!(insert(&conn, 4), "00000");
        assert_eq!(insert(&conn, 5), "53400");
        db.close().unwrap();
    }
    let db = open();
    let conn = db.connect().unwrap();
    assert_eq!(insert(&conn, 5), "53400");
    conn.execute("DELETE FROM q WHERE id = 2", []).unwrap();
    assert_eq!(insert(&conn, 5), "00000");
    assert_eq!(insert(&conn, 6), "53400");
    drop((conn, db));
    let db = open();
    assert_eq!(insert(&db.connect().unwrap(), 6), "53400", "after a crash");
}

#[test]
fn nobody_sees_more_rows_than_the_bound() {
    const EACH: i64 = 400;
    let db = bounded(8, "wait");
    let is_over = AtomicBool::new(false);
    scope(|scope| {
        let producers: Vec<_> = (0..4)
            .map(|producer| {
                let conn = db.connect().unwrap();
                scope.spawn(move || {
                    for n in 0..EACH {
                        assert_eq!(insert(&conn, producer * EACH + n), "00000");
                    }
                })
            })
            .collect();
        let consumers: Vec<_> = (0..2)
            .map(|_| {
                let conn = db.connect().unwrap();
                let is_over = &is_over;
                scope.spawn(move || {
                    let pop = "DELETE FROM q USING (SELECT id FROM q ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED) AS next WHERE q.id = next.id RETURNING q.id";
                    let mut taken = Vec::new();
                    loop {
                        let stops = is_over.load(Relaxed);
                        match conn.query_row(pop, [], |row| row.get::<_, i64>(0)).optional().unwrap() {
                            Some(id) => taken.push(id),
                            None if stops => return taken,
                            None => std::thread::yield_now(),
                        }
                    }
                })
            })
            .collect();
        let watch = db.connect().unwrap();
        let is_over = &is_over;
        let watcher = scope.spawn(move || {
            while !is_over.load(Relaxed) {
                assert!(number(&watch, "SELECT count(*) FROM q") <= 8);
            }
        });
        producers
            .into_iter()
            .for_each(|producer| producer.join().unwrap());
        is_over.store(true, Relaxed);
        watcher.join().unwrap();
        let mut taken: Vec<i64> = consumers
            .into_iter()
            .flat_map(|consumer| consumer.join().unwrap())
            .collect();
        taken.sort_unstable();
        assert_eq!(taken, (0..4 * EACH).collect::<Vec<_>>());
    });
}
