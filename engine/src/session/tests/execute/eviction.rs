//! Caches: tables that stay within bounds by giving up rows.

use super::*;
use crate::Options;
use crate::testing::{ManualTime, SimDisk};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

/// A cache of so many rows under a policy, and two connections.
fn cache(policy: &str, rows: usize) -> (Database, [Connection; 2]) {
    let db = Database::in_memory().unwrap();
    let both = [db.connect().unwrap(), db.connect().unwrap()];
    let sql = format!(
        "CREATE TABLE page (id INT PRIMARY KEY, text TEXT) WITH (eviction = '{policy}', max_rows = {rows})"
    );
    both[0].execute(&sql, []).unwrap();
    (db, both)
}

fn put(conn: &Connection, id: i32) {
    conn.execute("INSERT INTO page VALUES ($1, 'text')", [id])
        .unwrap();
}

/// Looks a page up by its key; returns whether it is there.
fn get(conn: &Connection, id: i32) -> bool {
    let found = conn.query_row("SELECT text FROM page WHERE id = $1", [id], |row| {
        row.get::<_, String>(0)
    });
    found.is_ok()
}

/// The pages that there are, by a look that is no use of them.
fn pages(conn: &Connection) -> Vec<i32> {
    let mut statement = conn
        .prepare("SELECT id FROM page ORDER BY text, id")
        .unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.map(|row| row.unwrap()).collect()
}

#[test]
fn the_row_that_was_used_longest_ago_goes_first() {
    let (_db, [alice, _]) = cache("lru", 3);
    (1..=3).for_each(|id| put(&alice, id));
    assert!(get(&alice, 1));
    put(&alice, 4);
    assert_eq!(pages(&alice), [1, 3, 4]);
    assert!(get(&alice, 3));
    put(&alice, 5);
    put(&alice, 6);
    assert_eq!(pages(&alice), [3, 5, 6]);
}

#[test]
fn the_row_that_came_first_goes_first_whatever_is_used() {
    let (_db, [alice, _]) = cache("fifo", 3);
    (1..=3).for_each(|id| put(&alice, id));
    assert!(get(&alice, 1));
    put(&alice, 4);
    assert_eq!(pages(&alice), [2, 3, 4]);
}

/// Rows that are asked for again stay while others pass through.
#[test]
fn the_row_that_was_used_least_goes_first() {
    let (_db, [alice, _]) = cache("lfu", 8);
    (1..=4).for_each(|id| put(&alice, id));
    for _ in 0..3 {
        assert!((1..=4).all(|id| get(&alice, id)));
    }
    (100..200).for_each(|id| put(&alice, id));
    assert!((1..=4).all(|id| get(&alice, id)));
    assert_eq!(pages(&alice).len(), 8);
}

#[test]
fn any_row_goes_and_the_bound_holds() {
    let (_db, [alice, _]) = cache("random", 10);
    (1..=100).for_each(|id| put(&alice, id));
    let left = pages(&alice);
    assert_eq!(left.len(), 10);
    assert!(left.contains(&100), "not the one that came last");
}

#[test]
fn the_row_that_expires_first_goes_first() {
    let (_db, [alice, _]) = cache("lru", 3);
    alice
        .execute_batch(
            "ALTER TABLE page SET (ttl_expire_after = '1 hour', eviction = 'ttl');
             INSERT INTO page (id, text, expires_at) VALUES (1, 'text', 'infinity'), (2, 'text', now() + '1 minute'),
                 (3, 'text', now() + '2 minutes')",
        )
        .unwrap();
    put(&alice, 4);
    assert_eq!(pages(&alice), [1, 3, 4]);
    put(&alice, 5);
    assert_eq!(pages(&alice), [1, 4, 5]);
}

/// Rows whose time has come are no loss.
#[test]
fn rows_that_have_expired_go_before_those_that_are_there() {
    let time = ManualTime::at(UNIX_EPOCH);
    let options = Options::new().time_source(Arc::new(time.clone()));
    let db = Database::in_memory_with(options.manual_maintenance(true)).unwrap();
    let alice = db.connect().unwrap();
    alice
        .execute_batch(
            "CREATE TABLE page (id INT PRIMARY KEY, text TEXT)
                 WITH (eviction = 'lru', max_rows = 4, ttl_expire_after = '1 minute');
             INSERT INTO page VALUES (1, 'text'), (2, 'text')",
        )
        .unwrap();
    time.advance(Duration::from_secs(30));
    put(&alice, 3);
    put(&alice, 4);
    assert!(get(&alice, 1) && get(&alice, 2));
    time.advance(Duration::from_secs(30));
    put(&alice, 5);
    put(&alice, 6);
    assert_eq!(pages(&alice), [3, 4, 5, 6]);
}

/// An eviction is nobody's change: whoever has read the row commits.
#[test]
fn a_reader_of_a_row_that_was_evicted_commits() {
    let (_db, [alice, bob]) = cache("lru", 2);
    put(&alice, 1);
    put(&alice, 2);
    alice.execute("BEGIN", []).unwrap();
    assert!(get(&alice, 1));
    bob.execute_batch("INSERT INTO page VALUES (3, 'text'), (4, 'text')")
        .unwrap();
    assert_eq!(pages(&bob), [3, 4]);
    assert!(get(&alice, 1));
    put(&alice, 5);
    alice.execute("COMMIT", []).unwrap();
    assert!(get(&alice, 5));
}

/// A new row with the key is another's change.
#[test]
fn a_reader_of_a_row_that_was_evicted_loses_to_a_writer_of_its_key() {
    let (_db, [alice, bob]) = cache("lru", 2);
    put(&alice, 1);
    alice.execute("BEGIN", []).unwrap();
    assert!(get(&alice, 1));
    (2..=4).for_each(|id| put(&bob, id));
    put(&bob, 1);
    put(&alice, 9);
    assert_eq!(state(alice.execute("COMMIT", [])), "40001");
}

#[test]
fn a_row_that_was_evicted_is_taken_back_by_who_writes_it() {
    let (_db, [alice, bob]) = cache("lru", 2);
    let text = |conn: &Connection, id: i32| -> String {
        conn.query_row("SELECT text FROM page WHERE id = $1", [id], |row| {
            row.get(0)
        })
        .unwrap()
    };
    for id in 1..=2 {
        put(&alice, id);
    }
    for level in ["SERIALIZABLE", "SNAPSHOT"] {
        put(&alice, 10);
        put(&alice, 11);
        alice
            .execute(&format!("BEGIN ISOLATION LEVEL {level}"), [])
            .unwrap();
        assert!(get(&alice, 10) && get(&alice, 11));
        put(&bob, 20);
        put(&bob, 21);
        assert_eq!(pages(&bob), [20, 21]);
        // An update, a lock, a deletion and an insertion of what the system has deleted.
        let changed = alice.execute("UPDATE page SET text = text || '!' WHERE id = 10", []);
        assert_eq!(changed.unwrap(), 1);
        assert_eq!(text(&alice, 10), "text!");
        let locked = "SELECT text FROM page WHERE id = 11 FOR UPDATE";
        let locked: String = alice.query_row(locked, [], |row| row.get(0)).unwrap();
        assert_eq!(locked, "text");
        assert_eq!(number(&alice, "SELECT count(*) FROM page WHERE id = 10"), 1);
        alice.execute("COMMIT", []).unwrap();
        assert_eq!(text(&bob, 10), "text!");
        bob.execute("DELETE FROM page", []).unwrap();
    }
}

/// The row comes back if the one that it refers to stays.
#[test]
fn a_row_that_refers_to_another_is_taken_back_with_it() {
    let db = Database::in_memory().unwrap();
    let (alice, bob) = (db.connect().unwrap(), db.connect().unwrap());
    alice
        .execute_batch(
            "CREATE TABLE site (id INT PRIMARY KEY); INSERT INTO site VALUES (1), (2);
             CREATE TABLE page (id INT PRIMARY KEY, text TEXT, site INT REFERENCES site)
                 WITH (eviction = 'fifo', max_rows = 2)",
        )
        .unwrap();
    let update = "UPDATE page SET text = 'new' WHERE id = 1";
    let lock = "SELECT id FROM page WHERE id = 1 FOR UPDATE";
    for (sql, goes) in [(update, false), (lock, false), (update, true), (lock, true)] {
        alice
            .execute_batch("DELETE FROM page; INSERT INTO page VALUES (1, 'text', 1)")
            .unwrap();
        alice.execute("BEGIN", []).unwrap();
        assert!(get(&alice, 1));
        bob.execute(
            "INSERT INTO page VALUES (2, 'text', 2), (3, 'text', NULL)",
            [],
        )
        .unwrap();
        assert!(!get(&bob, 1));
        if goes {
            bob.execute("DELETE FROM site WHERE id = 1", []).unwrap();
        }
        let done = alice.run(sql, []).and_then(|_| alice.execute("COMMIT", []));
        match goes {
            false => assert!(done.is_ok() && get(&bob, 1), "{sql}: {done:?}"),
            true => {
                assert_eq!(done.unwrap_err().sqlstate(), "40001", "{sql}");
                let _ = alice.execute("ROLLBACK", []);
                bob.execute("INSERT INTO site VALUES (1)", []).unwrap();
            }
        }
        if !goes {
            let broken = "DELETE FROM site WHERE id = 1";
            assert_eq!(state(bob.execute(broken, [])), "23503");
        }
    }
}

/// As long as a transaction sees a row, it is there for it, whoever else has lost it.
#[test]
fn a_row_that_was_evicted_is_there_for_who_sees_it() {
    let (_db, [alice, bob]) = cache("lru", 3);
    (1..=3).for_each(|id| put(&alice, id));
    alice.execute("BEGIN", []).unwrap();
    assert!(get(&alice, 1));
    (20..=22).for_each(|id| put(&bob, id));
    assert_eq!(pages(&bob), [20, 21, 22]);
    let upsert =
        "INSERT INTO page VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET text = page.text || '!'";
    assert_eq!(alice.execute(upsert, []).unwrap(), 1);
    assert_eq!(
        alice.execute("DELETE FROM page WHERE id = 2", []).unwrap(),
        1
    );
    assert_eq!(number(&alice, "SELECT count(*) FROM page WHERE id = 2"), 0);
    alice.execute("SAVEPOINT s", []).unwrap();
    let again = alice.execute("INSERT INTO page VALUES (3, 'again')", []);
    assert_eq!(state(again), "23505");
    alice.execute("ROLLBACK TO s", []).unwrap();
    alice.execute("COMMIT", []).unwrap();
    assert_eq!(
        number(&bob, "SELECT count(*) FROM page WHERE text = 'text!'"),
        1
    );
}

/// A key that came and went since the snapshot is free.
#[test]
fn a_row_that_came_and_was_evicted_is_no_conflict() {
    let (_db, [alice, bob]) = cache("lru", 2);
    put(&alice, 1);
    alice.execute("BEGIN ISOLATION LEVEL SNAPSHOT", []).unwrap();
    assert!(get(&alice, 1));
    (7..=9).for_each(|id| put(&bob, id));
    assert_eq!(pages(&bob), [8, 9]);
    put(&alice, 7);
    alice.execute("COMMIT", []).unwrap();
    assert!(get(&bob, 7));
}

/// Writers of other keys have no conflict, however small the cache.
#[test]
fn sessions_without_a_key_in_common_have_no_conflict() {
    let (db, [alice, _]) = cache("lru", 16);
    alice
        .execute("ALTER TABLE page SET (eviction = 'random')", [])
        .unwrap();
    let work = |number: i32, level: &str| {
        let conn = db.connect().unwrap();
        for round in 0..300 {
            let own = |at: i32| number * 10 + (round + at) % 10;
            conn.execute(&format!("BEGIN ISOLATION LEVEL {level}"), [])
                .unwrap();
            for at in 0..4 {
                get(&conn, own(at));
                conn.execute(
                    "INSERT INTO page VALUES ($1, 'x') ON CONFLICT (id) DO UPDATE SET text = page.text || 'y'",
                    [own(at)],
                )
                .unwrap();
                conn.execute("UPDATE page SET text = 'z' WHERE id = $1", [own(at + 1)])
                    .unwrap();
            }
            conn.execute("COMMIT", []).unwrap();
        }
    };
    std::thread::scope(|scope| {
        for number in 0..4 {
            let level = ["SERIALIZABLE", "SNAPSHOT"][number as usize % 2];
            scope.spawn(move || work(number, level));
        }
    });
    let rows = number(&alice, "SELECT count(*) FROM page");
    assert!(rows <= 16, "{rows}");
    assert_eq!(number(&alice, "SELECT rows FROM remora_caches"), rows);
}

#[test]
fn a_transaction_gives_up_its_own_rows_where_there_are_no_others() {
    let (_db, [alice, _]) = cache("lru", 3);
    put(&alice, 1);
    alice
        .execute(
            "INSERT INTO page SELECT n, 'text' FROM generate_series(10, 1000) n",
            [],
        )
        .unwrap();
    assert_eq!(pages(&alice), [998, 999, 1000]);
    alice
        .execute_batch(
            "BEGIN; INSERT INTO page SELECT n, 'text' FROM generate_series(1, 9) n;
             SAVEPOINT s; INSERT INTO page SELECT n, 'text' FROM generate_series(11, 19) n",
        )
        .unwrap();
    assert_eq!(pages(&alice), [17, 18, 19]);
    alice.execute("ROLLBACK TO s", []).unwrap();
    put(&alice, 5);
    assert_eq!(pages(&alice), [5]);
    alice.execute("COMMIT", []).unwrap();
    assert_eq!(pages(&alice), [5]);
    assert_eq!(number(&alice, "SELECT rows FROM remora_caches"), 1);
}

#[test]
fn look_ups_by_key_are_counted_and_others_are_not() {
    let (_db, [alice, _]) = cache("lru", 3);
    put(&alice, 1);
    put(&alice, 2);
    assert!(get(&alice, 1) && !get(&alice, 7));
    pages(&alice);
    alice
        .execute("UPDATE page SET text = 'x' WHERE id IN (1, 2)", [])
        .unwrap();
    let counts = alice.query_row(
        "SELECT lookups, hits, misses FROM remora_caches",
        [],
        |row| Ok([row.get::<_, i64>(0)?, row.get(1)?, row.get(2)?]),
    );
    assert_eq!(counts.unwrap(), [4, 3, 1]);
}

#[test]
fn a_cache_is_one_again_when_it_is_opened_again() {
    let disk = SimDisk::new();
    let open = || {
        let options = Options::new().manual_maintenance(true);
        let db = Database::open_on(Arc::new(disk.clone()), options).unwrap();
        let conn = db.connect().unwrap();
        (db, conn)
    };
    let (db, conn) = open();
    conn.execute(
        "CREATE TABLE page (id INT PRIMARY KEY, text TEXT) WITH (eviction = 'lru', max_rows = 4)",
        [],
    )
    .unwrap();
    (1..=6).for_each(|id| put(&conn, id));
    drop((db, conn));
    let (db, conn) = open();
    assert_eq!(pages(&conn), [3, 4, 5, 6]);
    assert!(get(&conn, 3));
    put(&conn, 7);
    assert_eq!(pages(&conn), [3, 5, 6, 7]);
    db.checkpoint().unwrap();
    drop((db, conn));
    let (_db, conn) = open();
    put(&conn, 8);
    assert_eq!(pages(&conn).len(), 4);
}

/// A table becomes a cache, with the rows that it has, and with those of a transaction that began before it.
#[test]
fn a_table_becomes_a_cache() {
    let (_db, [alice, bob]) = cache("lru", 3);
    alice
        .execute_batch("ALTER TABLE page RESET (eviction); INSERT INTO page SELECT n, 't' FROM generate_series(1, 9) n")
        .unwrap();
    assert_eq!(pages(&alice).len(), 9);
    alice
        .execute_batch(
            "BEGIN; DELETE FROM page WHERE id = 9; ALTER TABLE page SET (eviction = 'lru', max_rows = 5); COMMIT",
        )
        .unwrap();
    put(&bob, 10);
    assert_eq!(pages(&alice), [5, 6, 7, 8, 10]);
    alice
        .execute_batch("BEGIN; ALTER TABLE page SET (max_rows = 2); ROLLBACK")
        .unwrap();
    put(&bob, 11);
    assert_eq!(pages(&alice).len(), 5);
    alice
        .execute("ALTER TABLE page ADD COLUMN n INT DEFAULT 5", [])
        .unwrap();
    alice
        .execute("INSERT INTO page VALUES (12, 'text')", [])
        .unwrap();
    assert_eq!(pages(&alice).len(), 5);
    assert_eq!(number(&alice, "SELECT rows FROM remora_caches"), 5);
    alice.execute("TRUNCATE page", []).unwrap();
    put_all(&alice, 20..30);
    assert_eq!(pages(&alice).len(), 5);
}

fn put_all(conn: &Connection, ids: std::ops::Range<i32>) {
    for id in ids {
        conn.execute("INSERT INTO page (id, text) VALUES ($1, 'text')", [id])
            .unwrap();
    }
}

#[test]
fn a_bound_of_bytes_holds_with_values_of_any_length() {
    let db = Database::in_memory().unwrap();
    let conn = db.connect().unwrap();
    conn.execute(
        "CREATE TABLE page (id INT PRIMARY KEY, text TEXT) WITH (eviction = 'lru', max_bytes = '4MB')",
        [],
    )
    .unwrap();
    let mut insert = conn
        .prepare("INSERT INTO page VALUES ($1, repeat('x', $2))")
        .unwrap();
    for id in 0..3000 {
        let length = [10, 200, 3000, 20_000][id as usize % 4];
        insert.execute([id, length]).unwrap();
        if id % 100 == 99 {
            let bytes = number(&conn, "SELECT bytes FROM remora_caches");
            assert!(bytes <= (4 << 20) + (4 << 20) / 16, "{bytes} after {id}");
        }
    }
    let (bytes, live): (i64, i64) = conn
        .query_row("SELECT bytes, live_bytes FROM remora_caches", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .unwrap();
    assert!(bytes > 3 << 20, "{bytes}");
    assert!(live * 10 >= bytes * 7, "{live} of {bytes}");
    let too_long = conn.execute("INSERT INTO page VALUES (-1, repeat('x', 5000000))", []);
    assert_eq!(state(too_long), "54000");
    assert!(get(&conn, 2999));
}

#[test]
fn a_table_that_became_a_cache_is_one_after_a_crash() {
    let disk = SimDisk::new();
    let open = |disk: &SimDisk| {
        let options = Options::new().manual_maintenance(true);
        Database::open_on(Arc::new(disk.clone()), options).unwrap()
    };
    let db = open(&disk);
    db.connect()
        .unwrap()
        .execute_batch(
            "CREATE TABLE page (id INT PRIMARY KEY); INSERT INTO page VALUES (1), (2), (3);
             ALTER TABLE page SET (eviction = 'fifo', max_rows = 3)",
        )
        .unwrap();
    let conn = open(&disk.crashed()).connect().unwrap();
    conn.execute("INSERT INTO page VALUES (4), (5)", [])
        .unwrap();
    assert_eq!(number(&conn, "SELECT count(*) FROM page"), 3);
}
