//! The time of a transaction: there is one, taken when its snapshot is there already, and never before one that was told.

use super::*;
use crate::Options;
use crate::testing::{ManualTime, SimDisk};
use std::sync::Arc;
use std::thread::{scope, sleep};
use std::time::{Duration, Instant, UNIX_EPOCH};

const MINUTE: Duration = Duration::from_secs(60);
/// Longer than anybody should have to wait.
const LONG: Duration = Duration::from_secs(5);

/// A log of what was done when, two who write it, and the clock, which begins in 1970.
fn journal() -> (ManualTime, Database, [Connection; 2]) {
    let time = ManualTime::at(UNIX_EPOCH);
    let options = Options::new().time_source(Arc::new(time.clone()));
    let db = Database::in_memory_with(options.lock_timeout(LONG)).unwrap();
    let both = [db.connect().unwrap(), db.connect().unwrap()];
    let table = "CREATE TABLE journal (id INT PRIMARY KEY, at TIMESTAMPTZ DEFAULT now())";
    both[0].execute(table, []).unwrap();
    (time, db, both)
}

/// How many minutes since 1970 the clock shows, or what is asked of a table.
fn minutes(conn: &Connection, what: &str) -> i64 {
    number(
        conn,
        &format!("SELECT (extract(epoch FROM {what}) / 60)::BIGINT"),
    )
}

#[test]
fn nothing_that_a_transaction_sees_was_done_after_its_time() {
    let (time, _db, [alice, bob]) = journal();
    alice.execute("BEGIN", []).unwrap();
    time.advance(MINUTE);
    bob.execute("INSERT INTO journal VALUES (1)", []).unwrap();
    time.advance(MINUTE);
    // Her snapshot comes with her first query, and so does her time.
    assert_eq!(number(&alice, "SELECT count(*) FROM journal"), 1);
    assert_eq!(
        number(&alice, "SELECT count(*) FROM journal WHERE at > now()"),
        0
    );
    assert_eq!(minutes(&alice, "now()"), 2);
    time.advance(MINUTE);
    assert_eq!(minutes(&alice, "now()"), 2);
    assert_eq!(minutes(&alice, "statement_timestamp()"), 3);
    alice.execute("COMMIT AND CHAIN", []).unwrap();
    assert_eq!(minutes(&alice, "now()"), 3);
}

/// A block whose snapshot was given up takes a new one, and a new time with it.
#[test]
fn a_new_snapshot_takes_a_new_time() {
    let (time, _db, [alice, bob]) = journal();
    alice.execute_batch("BEGIN; SAVEPOINT a").unwrap();
    assert_eq!(minutes(&alice, "now()"), 0);
    time.advance(MINUTE);
    bob.execute("INSERT INTO journal VALUES (1)", []).unwrap();
    alice.execute("ROLLBACK TO a", []).unwrap();
    let sees = number(&alice, "SELECT count(*) FROM journal");
    assert_eq!(
        minutes(&alice, "now()"),
        sees,
        "either both are new or none is"
    );
}

#[test]
fn a_statement_that_is_repeated_takes_a_new_time() {
    let (time, db, [alice, bob]) = journal();
    bob.execute("INSERT INTO journal VALUES (1)", []).unwrap();
    bob.execute_batch("BEGIN; UPDATE journal SET id = 2")
        .unwrap();
    scope(|scope| {
        let waiter = scope.spawn(move || {
            let set = alice.execute("UPDATE journal SET at = now()", []);
            assert_eq!(set.unwrap(), 1);
        });
        let watch = db.connect().unwrap();
        let waiting =
            "SELECT count(*) FROM remora_transactions WHERE waits_for LIKE 'transaction %'";
        let begin = Instant::now();
        while number(&watch, waiting) == 0 {
            assert!(begin.elapsed() < LONG, "nobody waits");
            sleep(Duration::from_millis(1));
        }
        time.advance(MINUTE);
        bob.execute("COMMIT", []).unwrap();
        waiter.join().unwrap();
    });
    assert_eq!(minutes(&bob, "(SELECT at FROM journal WHERE id = 2)"), 1);
}

/// The rows of a cursor are computed as they are fetched, and have the transaction's time all the same.
#[test]
fn a_cursor_has_the_time_of_its_transaction() {
    let (time, _db, [alice, _]) = journal();
    alice.execute("INSERT INTO journal VALUES (1)", []).unwrap();
    alice
        .execute_batch("BEGIN; DECLARE c CURSOR FOR SELECT at, now() FROM journal")
        .unwrap();
    time.advance(MINUTE);
    let same = alice.query_row("FETCH c", [], |row| {
        Ok(row.get::<_, Value>(0)? == row.get::<_, Value>(1)?)
    });
    assert_eq!((minutes(&alice, "now()"), same.unwrap()), (0, true));
}

/// The wall clock is set back while nobody has the database open.
#[test]
fn time_goes_on_where_it_was_when_the_database_is_opened_again() {
    let open = |disk: &SimDisk, minute: u32| {
        let options = Options::new()
            .manual_maintenance(true)
            .time_source(Arc::new(ManualTime::at(UNIX_EPOCH + MINUTE * minute)));
        let db = Database::open_on(Arc::new(disk.clone()), options).unwrap();
        let conn = db.connect().unwrap();
        (db, conn)
    };
    let disk = SimDisk::new();
    let (db, conn) = open(&disk, 100);
    conn.execute("CREATE TABLE t AS SELECT now() AS at", [])
        .unwrap();
    drop((db, conn));
    let (db, conn) = open(&disk, 10);
    assert_eq!(minutes(&conn, "now()"), 100);
    assert_eq!(number(&conn, "SELECT count(*) FROM t WHERE at > now()"), 0);
    assert_eq!(db.recovery_report().ahead, Some(MINUTE * 90));
    let ahead = "SELECT extract(epoch FROM ahead)::BIGINT / 60 FROM remora_recovery";
    assert_eq!(number(&conn, ahead), 90);
}
