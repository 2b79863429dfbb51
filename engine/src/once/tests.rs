use super::*;
use crate::testing::{ManualTime, SimDisk};
use crate::{Error, Options};
use std::sync::Arc;
use std::sync::Barrier;
use std::sync::mpsc::channel;
use std::thread::scope;
use std::time::UNIX_EPOCH;

const MINUTE: Duration = Duration::from_secs(60);

fn database() -> Database {
    let db = Database::in_memory().unwrap();
    make(&db);
    db
}

fn make(db: &Database) {
    let conn = db.connect().unwrap();
    conn.execute_batch("CREATE TABLE paid (key TEXT, cents BIGINT)")
        .unwrap();
}

/// Pays, and tells how many payments there are now.
fn pay(tx: &Transaction<'_>, key: &str) -> Result<String> {
    tx.execute("INSERT INTO paid VALUES ($1, 1)", [key])?;
    tx.query_row("SELECT count(*)::text FROM paid", [], |row| row.get(0))
}

fn payments(db: &Database) -> i64 {
    let conn = db.connect().unwrap();
    conn.query_row("SELECT count(*) FROM paid", [], |row| row.get(0))
        .unwrap()
}

fn state<T>(result: Result<T>) -> &'static str {
    match result {
        Ok(_) => "ok",
        Err(error) => error.sqlstate(),
    }
}

#[test]
fn a_second_call_is_given_the_result_of_the_first() {
    let db = database();
    let once = |key: &str, payload: &str| db.transact_once(key, payload, MINUTE, |tx| pay(tx, key));
    assert_eq!(once("a", "1").unwrap(), "1");
    assert_eq!(once("b", "1").unwrap(), "2");
    assert_eq!(once("a", "1").unwrap(), "1");
    assert_eq!(state(once("a", "2")), "22023");
    assert_eq!(payments(&db), 2);
    let conn = db.connect().unwrap();
    let kept = "SELECT string_agg(key || '=' || convert_from(result, 'UTF8'), ',' ORDER BY key) FROM remora_once";
    let kept: String = conn.query_row(kept, [], |row| row.get(0)).unwrap();
    assert_eq!(kept, "a=1,b=2");
}

#[test]
fn a_call_that_fails_keeps_nothing() {
    let db = database();
    let fails = |tx: &mut Transaction<'_>| {
        pay(tx, "a")?;
        Err::<String, Error>(sql_error!(INVALID_PARAMETER_VALUE, "no"))
    };
    assert_eq!(state(db.transact_once("a", "1", MINUTE, fails)), "22023");
    let once = |payload: &str| db.transact_once("a", payload, MINUTE, |tx| pay(tx, "a"));
    assert_eq!(
        once("another").unwrap(),
        "1",
        "nothing of the first is left"
    );
}

#[test]
fn a_key_is_free_again_once_its_result_has_expired() {
    let time = ManualTime::at(UNIX_EPOCH);
    let options = Options::new().time_source(Arc::new(time.clone()));
    let db = Database::in_memory_with(options.manual_maintenance(true)).unwrap();
    make(&db);
    let once = |payload: &str| db.transact_once("a", payload, MINUTE, |tx| pay(tx, "a"));
    assert_eq!(once("1").unwrap(), "1");
    time.advance(MINUTE - Duration::from_secs(1));
    assert_eq!(once("1").unwrap(), "1");
    time.advance(Duration::from_secs(1));
    assert_eq!(once("2").unwrap(), "2");
}

#[test]
fn of_many_at_once_one_runs() {
    let db = database();
    let begin = Barrier::new(8);
    scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                begin.wait();
                for key in ["a", "b", "c"] {
                    let result = db.transact_once(key, "1", MINUTE, |tx| pay(tx, key));
                    assert!(result.unwrap().parse::<u8>().unwrap() <= 3);
                }
            });
        }
    });
    assert_eq!(payments(&db), 3);
}

#[test]
fn whoever_waits_gives_up_after_lock_timeout() {
    let db = database();
    let (running, runs) = channel();
    let (ended, end) = channel::<()>();
    scope(|scope| {
        let first = scope.spawn(|| {
            let end = end;
            db.transact_once("a", "1", MINUTE, |tx| {
                running.send(()).unwrap();
                let _ = end.recv();
                pay(tx, "a")
            })
        });
        runs.recv().unwrap();
        let mut conn = db.connect().unwrap();
        conn.execute("SET lock_timeout = '30ms'", []).unwrap();
        let late = conn.transact_once("a", "1", MINUTE, |tx| pay(tx, "a"));
        assert_eq!(state(late), "55P03");
        let other = conn.transact_once("b", "1", MINUTE, |tx| pay(tx, "b"));
        assert_eq!(other.unwrap(), "1", "another key waits for nobody");
        conn.execute("RESET lock_timeout", []).unwrap();
        let handle = conn.interrupt_handle();
        let waits = scope.spawn(move || conn.transact_once("a", "1", MINUTE, |tx| pay(tx, "a")));
        while !waits.is_finished() {
            handle.interrupt();
            std::thread::yield_now();
        }
        assert_eq!(state(waits.join().unwrap()), "57014");
        drop(ended);
        assert_eq!(first.join().unwrap().unwrap(), "2");
    });
}

#[test]
fn what_cannot_be_done_once_is_refused() {
    let db = database();
    let zero = db.transact_once("a", "1", Duration::ZERO, |tx| pay(tx, "a"));
    assert_eq!(state(zero), "22023");
    let within = db.transact_once("a", "1", MINUTE, |_| {
        db.transact_once("a", "1", MINUTE, |tx| pay(tx, "a"))
    });
    assert_eq!(state(within), "55000");
    for ends in ["COMMIT", "ROLLBACK", "COMMIT; BEGIN"] {
        let ended = db.transact_once("a", "1", MINUTE, |tx| {
            pay(tx, "a")?;
            tx.execute_batch(ends)?;
            Ok(String::new())
        });
        assert_eq!(state(ended), "25P01", "{ends}");
    }
    let mut conn = db.connect().unwrap();
    conn.execute_batch("DROP TABLE remora_once; CREATE TABLE remora_once (a INT)")
        .unwrap();
    let strange = conn.transact_once("a", "1", MINUTE, |tx| pay(tx, "a"));
    assert_eq!(state(strange), "42809");
    conn.execute("BEGIN", []).unwrap();
    let nested = conn.transact_once("a", "1", MINUTE, |tx| pay(tx, "a"));
    assert_eq!(state(nested), "25001");
}

/// Whatever the level of other commits, a result that was given is there after a crash, with what was done.
#[test]
fn a_result_that_was_given_survives_a_crash() {
    let disk = SimDisk::new();
    let options = || {
        Options::new()
            .durability(Durability::Buffered)
            .manual_maintenance(true)
    };
    let db = Database::open_on(Arc::new(disk.clone()), options()).unwrap();
    make(&db);
    let once = |db: &Database| db.transact_once("a", "1", MINUTE, |tx| pay(tx, "a"));
    assert_eq!(once(&db).unwrap(), "1");
    let left = disk.crashed();
    let db = Database::open_on(Arc::new(left), options()).unwrap();
    assert_eq!((once(&db).unwrap().as_str(), payments(&db)), ("1", 1));
}
