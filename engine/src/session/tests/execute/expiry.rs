//! Rows that expire: all looks at a table agree about who is there, from one moment on.

use super::*;
use crate::Options;
use crate::testing::{ManualTime, SimDisk};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

const MINUTE: Duration = Duration::from_secs(60);
const VISITS: &str =
    "CREATE TABLE visit (id INT PRIMARY KEY, who TEXT) WITH (ttl_expire_after = '1 minute')";

/// A table whose rows last a minute, two who look at it, and the clock.
fn lodge() -> (ManualTime, Database, [Connection; 2]) {
    let time = ManualTime::at(UNIX_EPOCH);
    let options = Options::new().time_source(Arc::new(time.clone()));
    let db = Database::in_memory_with(options).unwrap();
    let both = [db.connect().unwrap(), db.connect().unwrap()];
    both[0].execute(VISITS, []).unwrap();
    both[0]
        .execute("INSERT INTO visit VALUES (1, 'ann'), (2, 'bob')", [])
        .unwrap();
    (time, db, both)
}

/// How many there are, by each way to look.
fn looks(conn: &Connection) -> Vec<i64> {
    let ways = [
        "SELECT count(*) FROM visit",
        "SELECT count(*) FROM visit WHERE id = 1 OR id = 2",
        "SELECT count(*) FROM (SELECT id FROM visit ORDER BY id LIMIT 2) v",
        "SELECT count(*) FROM visit WHERE id BETWEEN 1 AND 2",
        "SELECT count(*) FROM generate_series(1, 2) n JOIN visit ON visit.id = n",
        "SELECT count(v.id) FROM generate_series(1, 2) n LEFT JOIN visit v ON v.id = n",
        "SELECT count(*) FROM generate_series(1, 2) n WHERE n IN (SELECT id FROM visit)",
        "SELECT count(*) FROM (SELECT id FROM visit FOR UPDATE) v",
    ];
    ways.iter().map(|sql| number(conn, sql)).collect()
}

#[test]
fn a_row_is_gone_at_its_moment_for_every_look_at_it() {
    let (time, _db, [alice, _]) = lodge();
    let mut by_key = alice
        .prepare("SELECT who FROM visit WHERE id = $1")
        .unwrap();
    let mut is_there = |id: i32| {
        by_key
            .query_row([id], |row| row.get::<_, String>(0))
            .is_ok()
    };
    time.advance(MINUTE - Duration::from_micros(1));
    assert_eq!(looks(&alice), [2; 8]);
    assert!(is_there(1) && is_there(2));
    time.advance(Duration::from_micros(1));
    assert_eq!(looks(&alice), [0; 8]);
    assert!(!is_there(1) && !is_there(2));
}

/// A table that declares the column itself, where NULL is never, is read by key the short way, too.
#[test]
fn a_row_without_a_moment_stays() {
    let (time, _db, [alice, _]) = lodge();
    alice
        .execute_batch(
            "CREATE TABLE guest (id INT PRIMARY KEY, expires_at TIMESTAMPTZ) WITH (ttl_expire_after = '1 minute');
             INSERT INTO guest VALUES (1, NULL), (2, now() + INTERVAL '1 second'), (3, 'infinity')",
        )
        .unwrap();
    let mut by_key = alice.prepare("SELECT id FROM guest WHERE id = $1").unwrap();
    assert!(by_key.is_read_by_key());
    let mut there = || [1, 2, 3].map(|id| by_key.exists([id]).unwrap());
    assert_eq!(there(), [true; 3]);
    time.advance(Duration::from_secs(1));
    assert_eq!(there(), [true, false, true]);
}

#[test]
fn a_transaction_does_not_change_its_mind() {
    let (time, _db, [alice, bob]) = lodge();
    alice.execute("BEGIN", []).unwrap();
    assert_eq!(looks(&alice), [2; 8]);
    time.advance(MINUTE);
    assert_eq!(looks(&alice), [2; 8]);
    assert_eq!(looks(&bob), [0; 8]);
    alice.execute("COMMIT", []).unwrap();
    assert_eq!(looks(&alice), [0; 8]);
}

/// A reader of a row that was alive loses to a writer of its key.
#[test]
fn whoever_relies_on_a_row_loses_to_one_who_takes_its_key() {
    let (time, _db, [alice, bob]) = lodge();
    alice.execute("BEGIN", []).unwrap();
    assert_eq!(number(&alice, "SELECT count(*) FROM visit WHERE id = 1"), 1);
    time.advance(MINUTE);
    bob.execute("INSERT INTO visit VALUES (1, 'cem')", [])
        .unwrap();
    alice
        .execute("INSERT INTO visit VALUES (3, 'friend of ann')", [])
        .unwrap();
    assert_eq!(state(alice.execute("COMMIT", [])), "40001");
}

/// He does not see it, and so he does not lose to who writes it.
#[test]
fn whoever_relies_on_nobody_being_there_loses_to_one_who_comes() {
    let (time, _db, [alice, bob]) = lodge();
    time.advance(MINUTE);
    alice.execute("BEGIN", []).unwrap();
    assert_eq!(number(&alice, "SELECT count(*) FROM visit WHERE id = 1"), 0);
    bob.execute("INSERT INTO visit VALUES (1, 'cem')", [])
        .unwrap();
    alice
        .execute("INSERT INTO visit VALUES (3, 'alone')", [])
        .unwrap();
    assert_eq!(state(alice.execute("COMMIT", [])), "40001");
}

#[test]
fn an_update_begins_anew_and_a_lock_or_a_foreign_key_does_not() {
    let (time, _db, [alice, _]) = lodge();
    alice
        .execute_batch(
            "CREATE TABLE boss (id INT PRIMARY KEY); INSERT INTO boss VALUES (7);
             CREATE TABLE aide (id INT PRIMARY KEY, boss INT REFERENCES boss ON UPDATE CASCADE)
                 WITH (ttl_expire_after = '1 minute');
             INSERT INTO aide VALUES (1, 7)",
        )
        .unwrap();
    time.advance(MINUTE / 2);
    alice
        .execute("UPDATE visit SET who = 'anna' WHERE id = 1", [])
        .unwrap();
    alice.execute("UPDATE boss SET id = 8", []).unwrap();
    alice
        .query_row("SELECT id FROM visit WHERE id = 2 FOR UPDATE", [], |_| {
            Ok(())
        })
        .unwrap();
    time.advance(MINUTE / 2);
    assert_eq!(number(&alice, "SELECT sum(id)::BIGINT FROM visit"), 1);
    assert_eq!(number(&alice, "SELECT count(*) FROM aide"), 0);
}

/// Rows that have expired stay so when the database is opened again, by a log or by a checkpoint.
#[test]
fn expiry_survives_the_process() {
    let disk = SimDisk::new();
    let open = |minute: u32| {
        let options = Options::new()
            .manual_maintenance(true)
            .time_source(Arc::new(ManualTime::at(UNIX_EPOCH + MINUTE * minute)));
        let db = Database::open_on(Arc::new(disk.clone()), options).unwrap();
        let conn = db.connect().unwrap();
        (db, conn)
    };
    let (db, conn) = open(10);
    conn.execute(VISITS, []).unwrap();
    conn.execute("INSERT INTO visit VALUES (1, 'ann')", [])
        .unwrap();
    drop((db, conn));
    let (db, conn) = open(10);
    assert_eq!(number(&conn, "SELECT count(*) FROM visit"), 1);
    db.checkpoint().unwrap();
    drop((db, conn));
    let (db, conn) = open(11);
    assert_eq!(number(&conn, "SELECT count(*) FROM visit"), 0);
    drop((db, conn));
    // The clock was set back.
    let (_db, conn) = open(10);
    assert_eq!(number(&conn, "SELECT count(*) FROM visit"), 0);
}

/// How many rows there are, whoever sees them: nobody does who has expired.
fn stored(db: &Database) -> u64 {
    let core = db.store().core();
    let view = core.view_latest().unwrap();
    let catalog = core.catalog();
    let table = catalog.table("visit").unwrap();
    let mut rows = 0;
    view.for_each_row(table, |_, _| {
        rows += 1;
        Ok::<(), ()>(())
    })
    .unwrap();
    rows
}

#[test]
fn rows_that_have_expired_are_swept() {
    let time = ManualTime::at(UNIX_EPOCH);
    let options = Options::new().time_source(Arc::new(time.clone()));
    let db = Database::in_memory_with(options.manual_maintenance(true)).unwrap();
    let conn = db.connect().unwrap();
    conn.execute(VISITS, []).unwrap();
    conn.execute_batch(
        "CREATE TABLE page (visit INT REFERENCES visit ON DELETE CASCADE);
         CREATE TABLE seen (n INT);
         CREATE TRIGGER t AFTER DELETE ON visit FOR EACH ROW BEGIN INSERT INTO seen VALUES (1); END;
         INSERT INTO visit SELECT n, 'guest' FROM generate_series(1, 2000) n;
         INSERT INTO page SELECT n FROM generate_series(1, 2000) n",
    )
    .unwrap();
    db.run_background().unwrap();
    assert_eq!(stored(&db), 2000);
    time.advance(MINUTE / 2);
    conn.execute("UPDATE visit SET who = 'host' WHERE id <= 10", [])
        .unwrap();
    time.advance(MINUTE / 2);
    db.run_background().unwrap();
    assert_eq!(stored(&db), 10);
    assert_eq!(number(&conn, "SELECT count(*) FROM page"), 10);
    assert_eq!(number(&conn, "SELECT count(*) FROM seen"), 0);
    time.advance(MINUTE / 2);
    db.run_background().unwrap();
    assert_eq!(stored(&db), 0);
}

/// A sweep between a look at a row and the commit of who has looked is none of his business; a new row with its key is.
#[test]
fn a_sweep_is_no_conflict() {
    let time = ManualTime::at(UNIX_EPOCH);
    let options = Options::new().time_source(Arc::new(time.clone()));
    let db = Database::in_memory_with(options.manual_maintenance(true)).unwrap();
    let (alice, bob) = (db.connect().unwrap(), db.connect().unwrap());
    alice.execute(VISITS, []).unwrap();
    for rival in [false, true] {
        alice
            .execute("INSERT INTO visit VALUES (1, 'ann'), (2, 'bob')", [])
            .unwrap();
        alice.execute("BEGIN", []).unwrap();
        assert_eq!(number(&alice, "SELECT count(*) FROM visit"), 2);
        assert_eq!(number(&alice, "SELECT count(*) FROM visit WHERE id = 1"), 1);
        alice
            .execute("INSERT INTO visit VALUES (3, 'cem')", [])
            .unwrap();
        time.advance(MINUTE);
        db.run_background().unwrap();
        if rival {
            bob.execute("INSERT INTO visit VALUES (1, 'dan')", [])
                .unwrap();
        }
        let committed = alice.execute("COMMIT", []);
        assert_eq!(committed.is_err(), rival, "{committed:?}");
        time.advance(MINUTE * 2);
        db.run_background().unwrap();
    }
}

/// A transaction that relies on nobody being there is not disturbed when rows go that it did not see.
#[test]
fn a_long_transaction_commits_beside_twenty_thousand_rows_that_are_swept() {
    let time = ManualTime::at(UNIX_EPOCH);
    let options = Options::new().time_source(Arc::new(time.clone()));
    let db = Database::in_memory_with(options.manual_maintenance(true)).unwrap();
    let alice = db.connect().unwrap();
    alice.execute(VISITS, []).unwrap();
    db.run_background().unwrap();
    let guests = "INSERT INTO visit (id, who, expires_at)
        SELECT n, 'guest', now() - INTERVAL '1 minute' FROM generate_series(1, 20000) n";
    alice.execute(guests, []).unwrap();
    alice.execute("BEGIN", []).unwrap();
    let few = "SELECT count(*) FROM visit WHERE id < 500";
    assert_eq!(number(&alice, "SELECT count(*) FROM visit"), 0);
    assert_eq!(number(&alice, few), 0);
    assert_eq!(stored(&db), 20_000);
    db.run_background().unwrap();
    assert_eq!(stored(&db), 0);
    alice
        .execute("INSERT INTO visit VALUES (20001, 'ann')", [])
        .unwrap();
    alice.execute("COMMIT", []).unwrap();
}

/// A row stays as long as there is a transaction for which it has not expired.
#[test]
fn what_a_transaction_still_sees_is_swept_later() {
    let time = ManualTime::at(UNIX_EPOCH);
    let options = Options::new().time_source(Arc::new(time.clone()));
    let db = Database::in_memory_with(options.manual_maintenance(true)).unwrap();
    let (alice, bob) = (db.connect().unwrap(), db.connect().unwrap());
    alice.execute(VISITS, []).unwrap();
    alice
        .execute("INSERT INTO visit VALUES (1, 'ann'), (2, 'bob')", [])
        .unwrap();
    bob.execute("BEGIN", []).unwrap();
    bob.execute("UPDATE visit SET who = 'bert' WHERE id = 2", [])
        .unwrap();
    time.advance(MINUTE);
    for _ in 0..3 {
        db.run_background().unwrap();
        assert_eq!(stored(&db), 2);
    }
    assert_eq!(number(&bob, "SELECT count(*) FROM visit"), 2);
    assert_eq!(number(&alice, "SELECT count(*) FROM visit"), 0);
    // Another transaction that runs, but began when the rows had expired, keeps none.
    bob.execute("ROLLBACK", []).unwrap();
    alice.execute("BEGIN", []).unwrap();
    assert_eq!(number(&alice, "SELECT count(*) FROM visit"), 0);
    time.advance(Duration::from_secs(1));
    db.run_background().unwrap();
    assert_eq!(stored(&db), 0);
}

/// The end of a row is an event, whoever comes upon it first: the sweeper, or who writes its key.
#[test]
fn triggers_tell_of_the_end_of_a_row_where_the_table_wants_that() {
    let time = ManualTime::at(UNIX_EPOCH);
    let options = Options::new().time_source(Arc::new(time.clone()));
    let db = Database::in_memory_with(options.manual_maintenance(true)).unwrap();
    let conn = db.connect().unwrap();
    conn.execute_batch(
        "CREATE TABLE visit (id INT PRIMARY KEY, who TEXT)
             WITH (ttl_expire_after = '1 minute', ttl_triggers = true);
         CREATE TABLE left_us (n BIGSERIAL PRIMARY KEY, who TEXT, rows BIGINT);
         CREATE TRIGGER t BEFORE DELETE ON visit FOR EACH ROW BEGIN
             SELECT RAISE(ABORT, 'stays') WHERE OLD.who = 'eve'; END;
         CREATE TRIGGER u AFTER DELETE ON visit FOR EACH ROW BEGIN
             INSERT INTO left_us (who, rows) SELECT OLD.who, count(*) FROM visit; END;
         INSERT INTO visit VALUES (1, 'ann'), (2, 'bob'), (3, 'eve')",
    )
    .unwrap();
    time.advance(MINUTE);
    conn.execute("INSERT INTO visit VALUES (2, 'bert')", [])
        .unwrap();
    db.run_background().unwrap();
    db.run_background().unwrap();
    let told = "SELECT string_agg(n || ' ' || who || ' ' || rows, ', ' ORDER BY n) FROM left_us";
    let told: String = conn.query_row(told, [], |row| row.get(0)).unwrap();
    assert_eq!(told, "1 bob 0, 2 ann 1");
    // Nobody sees who could not be deleted.
    assert_eq!(stored(&db), 2);
    assert_eq!(number(&conn, "SELECT sum(id)::BIGINT FROM visit"), 2);
    assert_eq!(number(&conn, "SELECT expired FROM remora_ttl"), 1);
    conn.execute("DROP TRIGGER t ON visit", []).unwrap();
    time.advance(MINUTE / 4);
    db.run_background().unwrap();
    assert_eq!(number(&conn, "SELECT max(n) FROM left_us"), 3);
    conn.execute("ALTER TABLE visit SET (ttl_triggers = false)", [])
        .unwrap();
    time.advance(MINUTE);
    db.run_background().unwrap();
    assert_eq!(
        (stored(&db), number(&conn, "SELECT max(n) FROM left_us")),
        (0, 3)
    );
}

/// Keys of rows that have expired are free before they are swept, however late a key is tested.
#[test]
fn a_key_that_is_tested_later_is_free_as_well() {
    let (time, _db, [alice, bob]) = lodge();
    alice
        .execute_batch(
            "CREATE TABLE seat (id INT UNIQUE DEFERRABLE INITIALLY DEFERRED, n INT UNIQUE DEFERRABLE)
                 WITH (ttl_expire_after = '1 minute');
             INSERT INTO seat VALUES (1, 10), (2, 20)",
        )
        .unwrap();
    time.advance(MINUTE);
    alice
        .execute("INSERT INTO seat VALUES (1, 20)", [])
        .unwrap();
    alice
        .execute("INSERT INTO seat VALUES (3, 30)", [])
        .unwrap();
    bob.execute("BEGIN", []).unwrap();
    bob.execute("UPDATE seat SET id = 1 WHERE id = 3", [])
        .unwrap();
    assert_eq!(state(bob.execute("COMMIT", [])), "23505");
    assert_eq!(
        state(bob.execute("INSERT INTO seat VALUES (4, 20)", [])),
        "23505"
    );
    assert_eq!(number(&alice, "SELECT sum(id)::BIGINT FROM seat"), 4);
}

#[test]
fn a_unique_index_is_made_of_the_rows_that_are_there() {
    let (time, _db, [alice, _]) = lodge();
    let unique = "CREATE UNIQUE INDEX visit_who ON visit (who)";
    time.advance(MINUTE / 2);
    alice
        .execute("INSERT INTO visit VALUES (3, 'ann'), (4, 'dan')", [])
        .unwrap();
    assert_eq!(state(alice.execute(unique, [])), "23505");
    time.advance(MINUTE / 2);
    alice.execute(unique, []).unwrap();
    alice
        .execute(
            "ALTER TABLE visit ADD CONSTRAINT who_once UNIQUE (who) DEFERRABLE",
            [],
        )
        .unwrap();
    assert_eq!(
        number(&alice, "SELECT count(*) FROM visit WHERE who = 'ann'"),
        1
    );
}
