//! Sessions tell each other: once, in order, and not before it is certain.

use super::*;
use crate::testing::{ManualTime, SimDisk};
use crate::{Delivery, Durability, Notification, Options};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant, UNIX_EPOCH};

const SECOND: Duration = Duration::from_secs(1);

/// A database in memory, one who listens to `news`, and one who has something to say.
fn listening() -> (Database, Connection, Connection) {
    let db = Database::in_memory().unwrap();
    let (listener, sender) = (db.connect().unwrap(), db.connect().unwrap());
    listener.execute("LISTEN news", []).unwrap();
    (db, listener, sender)
}

/// All that has come, as words.
fn heard(conn: &Connection) -> Vec<String> {
    let told = |delivery: Result<Delivery>| match delivery.unwrap() {
        Delivery::Notification(one) => format!("{} {}", one.channel, one.payload),
        Delivery::Lost(count) => format!("lost {count}"),
    };
    conn.notifications().iter().map(told).collect()
}

/// Whether anybody listens to anything.
fn has_listeners(conn: &Connection) -> bool {
    let mut found = false;
    conn.quietly(|session| found = session.sessions.notifications.has_listeners());
    found
}

#[test]
fn equal_ones_of_a_transaction_come_once_and_in_order() {
    let (_db, listener, sender) = listening();
    sender
        .execute_batch("BEGIN; NOTIFY news, 'b'; NOTIFY news, 'a'; NOTIFY news, 'b'; NOTIFY other")
        .unwrap();
    assert_eq!(heard(&listener), [""; 0]);
    sender.execute_batch("COMMIT; NOTIFY news, 'b'").unwrap();
    assert_eq!(heard(&listener), ["news b", "news a", "news b"]);
    // So many that they are looked up by their hash.
    let many = "SELECT pg_notify('news', (n % 40)::text) FROM generate_series(0, 999) AS g (n)";
    sender
        .execute_batch(&format!("BEGIN; {many}; {many}; COMMIT"))
        .unwrap();
    let all: Vec<String> = (0..40).map(|n| format!("news {n}")).collect();
    assert_eq!(heard(&listener), all);
}

#[test]
fn the_sender_is_told_by_its_number() {
    let (_db, listener, sender) = listening();
    let pid = number(&sender, "SELECT pg_backend_pid()");
    sender.execute("NOTIFY news, 'x'", []).unwrap();
    assert_eq!(
        listener.notifications().try_next().unwrap(),
        Some(Delivery::Notification(Notification {
            channel: "news".to_owned(),
            payload: "x".to_owned(),
            process_id: pid as u32,
        }))
    );
}

#[test]
fn what_is_undone_is_not_told() {
    let (_db, listener, sender) = listening();
    sender
        .execute("CREATE TABLE t (k INT PRIMARY KEY)", [])
        .unwrap();
    let tries = [
        "BEGIN; NOTIFY news, 'lost'; ROLLBACK",
        "BEGIN; NOTIFY news, 'lost'; INSERT INTO t VALUES (7); ROLLBACK",
        // A failed transaction commits nothing.
        "BEGIN; NOTIFY news, 'lost'",
        "SELECT 1 / 0",
        "COMMIT",
        // A statement that fails takes its own back.
        "SELECT pg_notify('news', n::text), 1 / (2 - n) FROM generate_series(1, 2) AS g (n)",
        "NOTIFY news, 'lost'; SELECT 1 / 0",
        "BEGIN; NOTIFY news, '1'; SAVEPOINT s; NOTIFY news, 'lost'; SELECT pg_notify('news', 'lost, too');
         INSERT INTO t VALUES (1); ROLLBACK TO s; NOTIFY news, '2'; SAVEPOINT s; NOTIFY news, '3'; RELEASE s;
         INSERT INTO t VALUES (2); COMMIT",
        "SET on_error_rollback = on; BEGIN; NOTIFY news, '4'",
        "SELECT pg_notify('news', 'lost'), 1 / (2 - n) FROM generate_series(1, 2) AS g (n)",
        "INSERT INTO t VALUES (3); NOTIFY news, 'lost'; COMMIT",
    ];
    for sql in tries {
        // What fails is meant to.
        let _ = sender.execute_batch(sql);
    }
    assert_eq!(
        heard(&listener),
        ["news 1", "news 2", "news 3", "news 4", "news lost"]
    );
}

/// After ROLLBACK TO, what was sent and undone can be sent again.
#[test]
fn a_message_that_was_taken_back_is_not_taken_for_a_repeated_one() {
    let (_db, listener, sender) = listening();
    let send = "SELECT pg_notify('news', n::text) FROM generate_series(1, 30) AS g (n)";
    sender
        .execute_batch(&format!(
            "BEGIN; SAVEPOINT s; {send}; ROLLBACK TO s; {send}; COMMIT"
        ))
        .unwrap();
    assert_eq!(heard(&listener).len(), 30);
}

#[test]
fn listen_and_unlisten_hold_from_the_commit_on() {
    let db = Database::in_memory().unwrap();
    let (listener, sender) = (db.connect().unwrap(), db.connect().unwrap());
    let channels = |conn: &Connection| {
        let sql = "SELECT string_agg(c, ',' ORDER BY c) FROM pg_listening_channels() AS c";
        conn.query_row(sql, [], |row| row.get::<_, Option<String>>(0))
            .unwrap()
    };
    listener
        .execute_batch("BEGIN; LISTEN a; LISTEN A; LISTEN \"A\"")
        .unwrap();
    assert_eq!(channels(&listener), None);
    sender.execute("NOTIFY a, 'too early'", []).unwrap();
    listener.execute_batch("NOTIFY a, 'own'; COMMIT").unwrap();
    assert_eq!(channels(&listener).as_deref(), Some("A,a"));
    listener.execute_batch("BEGIN; LISTEN b; ROLLBACK").unwrap();
    listener
        .execute_batch("BEGIN; SAVEPOINT s; LISTEN c; UNLISTEN a; ROLLBACK TO s; LISTEN d; COMMIT")
        .unwrap();
    assert_eq!(channels(&listener).as_deref(), Some("A,a,d"));
    sender
        .execute_batch("NOTIFY a, '1'; NOTIFY b; NOTIFY c; NOTIFY d, '2'; NOTIFY \"A\", '3'")
        .unwrap();
    assert_eq!(heard(&listener), ["a own", "a 1", "d 2", "A 3"]);
    // What had come on the channel goes with it.
    sender.execute_batch("NOTIFY a; NOTIFY d, '4'").unwrap();
    listener.execute_batch("BEGIN; UNLISTEN a").unwrap();
    sender.execute("NOTIFY a", []).unwrap();
    listener.execute("COMMIT", []).unwrap();
    assert_eq!(heard(&listener), ["d 4"]);
    sender.execute("NOTIFY d", []).unwrap();
    listener.execute("UNLISTEN *", []).unwrap();
    sender.execute("NOTIFY d", []).unwrap();
    assert_eq!((heard(&listener), channels(&listener)), (Vec::new(), None));
    assert!(!has_listeners(&sender));
}

#[test]
fn discard_all_and_the_end_of_a_session_end_listening() {
    let (_db, listener, sender) = listening();
    sender.execute("NOTIFY news", []).unwrap();
    listener.execute("DISCARD ALL", []).unwrap();
    sender.execute("NOTIFY news", []).unwrap();
    assert_eq!(heard(&listener), [""; 0]);
    assert!(!has_listeners(&sender));
    listener.execute_batch("LISTEN news; LISTEN more").unwrap();
    assert!(has_listeners(&sender));
    drop(listener);
    assert!(!has_listeners(&sender));
    sender.execute("NOTIFY news", []).unwrap();
}

#[test]
fn what_comes_within_a_block_is_received_behind_it() {
    let (_db, listener, sender) = listening();
    listener.execute_batch("BEGIN; SELECT 1").unwrap();
    sender.execute("NOTIFY news, '1'", []).unwrap();
    assert_eq!(heard(&listener), [""; 0]);
    assert_eq!(
        state(listener.notifications().next(Duration::ZERO)),
        "25001"
    );
    listener
        .execute_batch("NOTIFY news, '2'; ROLLBACK")
        .unwrap();
    assert_eq!(heard(&listener), ["news 1"]);
}

#[test]
fn names_and_payloads_are_bounded_as_in_postgresql() {
    let (_db, listener, sender) = listening();
    let notify = |channel: Option<&str>, payload: Option<String>| {
        let mut call = sender.prepare("SELECT pg_notify($1, $2)").unwrap();
        call.query_row(params![channel, payload], |row| row.get::<_, String>(0))
    };
    for channel in [None, Some(""), Some(&*"x".repeat(64))] {
        assert_eq!(state(notify(channel, None)), "22023");
    }
    assert_eq!(state(notify(Some("news"), Some("x".repeat(8000)))), "22023");
    let long = format!("NOTIFY news, '{}'", "x".repeat(8000));
    assert_eq!(state(sender.execute(&long, [])), "22023");
    assert_eq!(state(sender.execute("NOTIFY \"\"", [])), "42601");
    assert_eq!(notify(Some("news"), None).unwrap(), "");
    notify(Some("news"), Some("x".repeat(7999))).unwrap();
    sender.execute("BEGIN READ ONLY", []).unwrap();
    sender
        .execute_batch("NOTIFY news, 'read only'; SELECT pg_notify('news', 'also'); COMMIT")
        .unwrap();
    let lengths: Vec<usize> = heard(&listener).iter().map(String::len).collect();
    assert_eq!(lengths, [5, 8004, 14, 9]);
}

#[test]
fn triggers_tell_also_of_rows_that_expire() {
    let time = ManualTime::at(UNIX_EPOCH);
    let options = Options::new().time_source(Arc::new(time.clone()));
    let db = Database::in_memory_with(options.manual_maintenance(true)).unwrap();
    let (listener, conn) = (db.connect().unwrap(), db.connect().unwrap());
    listener.execute_batch("LISTEN came; LISTEN went").unwrap();
    conn.execute_batch(
        "CREATE TABLE visit (id INT PRIMARY KEY, who TEXT)
             WITH (ttl_expire_after = '1 minute', ttl_triggers = true);
         CREATE TRIGGER came AFTER INSERT ON visit BEGIN NOTIFY came, 'somebody'; END;
         CREATE TRIGGER went AFTER DELETE ON visit FOR EACH ROW BEGIN
             SELECT pg_notify('went', OLD.who); END",
    )
    .unwrap();
    conn.execute("INSERT INTO visit VALUES (1, 'ann'), (2, 'bob')", [])
        .unwrap();
    assert!(
        conn.execute("INSERT INTO visit VALUES (3, 'eve'), (1, 'eve')", [])
            .is_err()
    );
    conn.execute("DELETE FROM visit WHERE id = 1", []).unwrap();
    assert_eq!(heard(&listener), ["came somebody", "went ann"]);
    time.advance(Duration::from_secs(61));
    db.run_background().unwrap();
    assert_eq!(heard(&listener), ["went bob"]);
}

#[test]
fn who_is_too_slow_is_told_how_much_is_missing() {
    let (_db, listener, sender) = listening();
    let send =
        "SELECT pg_notify('news', n || repeat('x', 7000)) FROM generate_series(1, 200) AS g (n)";
    sender.execute_batch(send).unwrap();
    // A short one may find room behind those that are missing.
    sender.execute("NOTIFY news, 'short'", []).unwrap();
    let heard_first = heard(&listener);
    let told = heard_first.len() - 2;
    let is_in_order = |(at, one): (usize, &String)| one.starts_with(&format!("news {}x", at + 1));
    assert!(heard_first[..told].iter().enumerate().all(is_in_order));
    assert!((130..150).contains(&told), "{told}");
    assert_eq!(
        heard_first[told..],
        [format!("lost {}", 200 - told), "news short".to_owned()]
    );
    // There is room again.
    sender.execute("NOTIFY news, 'again'", []).unwrap();
    assert_eq!(heard(&listener), ["news again"]);
}

#[test]
fn waiting_ends_by_time_by_an_interrupt_and_by_the_database() {
    let (db, listener, sender) = listening();
    let wait = |timeout: Duration| listener.notifications().next(timeout);
    assert_eq!(wait(Duration::from_millis(5)).unwrap(), None);
    let handle = listener.interrupt_handle();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(30));
            handle.interrupt();
        });
        assert_eq!(state(wait(Duration::MAX)), "57014");
    });
    // It met the wait, and nothing else.
    listener.execute("SELECT 1", []).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            std::thread::sleep(Duration::from_millis(30));
            sender.execute("NOTIFY news", []).unwrap();
        });
        assert!(wait(60 * SECOND).unwrap().is_some());
    });
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(30));
            db.close().unwrap();
        });
        assert_eq!(state(wait(Duration::MAX)), "57P01");
    });
}

/// A database in a directory whose flusher does not come before the test is over.
fn unhurried() -> (tempfile::TempDir, Database) {
    let directory = tempfile::tempdir().unwrap();
    let options = Options::new()
        .durability(Durability::Buffered)
        .loss_window(3600 * SECOND);
    let db = Database::open_with(directory.path(), options).unwrap();
    (directory, db)
}

#[test]
fn nothing_is_told_before_its_commit_is_durable() {
    let (_directory, db) = unhurried();
    let (listener, sender) = (db.connect().unwrap(), db.connect().unwrap());
    sender
        .execute("CREATE TABLE t (k INT PRIMARY KEY)", [])
        .unwrap();
    db.wait_durable(sender.last_commit_lsn().unwrap().unwrap())
        .unwrap();
    let (called, calls) = mpsc::channel();
    listener
        .notifications()
        .on_arrival(move || called.send(()).unwrap())
        .unwrap();
    listener.execute("LISTEN news", []).unwrap();
    // Nothing is at risk: a notification alone needs no disk.
    sender.execute("NOTIFY news, 'at once'", []).unwrap();
    assert_eq!(heard(&listener), ["news at once"]);
    calls.try_recv().unwrap();
    sender
        .execute_batch("BEGIN; INSERT INTO t VALUES (1); NOTIFY news, 'with a row'; COMMIT")
        .unwrap();
    let lsn = sender.last_commit_lsn().unwrap().unwrap();
    // It follows a commit that may be lost.
    sender.execute("NOTIFY news, 'behind it'", []).unwrap();
    assert_eq!(heard(&listener), [""; 0]);
    assert!(calls.try_recv().is_err());
    db.wait_durable(lsn).unwrap();
    calls.recv_timeout(60 * SECOND).unwrap();
    assert_eq!(heard(&listener), ["news with a row", "news behind it"]);
    // One who waits for his own commit waits for all before it.
    sender
        .execute_batch("BEGIN; INSERT INTO t VALUES (2); NOTIFY news, '3'; COMMIT")
        .unwrap();
    let other = db.connect().unwrap();
    other.execute_batch("SET synchronous_commit = on; BEGIN; INSERT INTO t VALUES (3); NOTIFY news, '4'; COMMIT").unwrap();
    assert_eq!(heard(&listener), ["news 3", "news 4"]);
}

/// The disk is full: who commits is told that nobody knows, and nobody is told of the commit until it is sure.
#[test]
fn what_waits_for_room_on_the_disk_is_told_when_there_is_room() {
    let disk = SimDisk::new();
    let options = Options::new()
        .durability(Durability::Sync)
        .manual_maintenance(true);
    let db = Database::open_on(Arc::new(disk.clone()), options).unwrap();
    let (listener, sender) = (db.connect().unwrap(), db.connect().unwrap());
    sender
        .execute("CREATE TABLE t (k INT PRIMARY KEY, v TEXT)", [])
        .unwrap();
    listener.execute("LISTEN news", []).unwrap();
    disk.set_capacity(Some(disk.used()));
    let mut refused = Vec::new();
    for k in 0..50 {
        let sql = format!(
            "BEGIN; INSERT INTO t SELECT {k}, string_agg(md5(n::text), '') FROM generate_series(1, 3000) AS g (n); NOTIFY news, '{k}'; COMMIT"
        );
        if let Err(error) = sender.execute_batch(&sql) {
            refused.push((k, error.sqlstate()));
            sender.execute("ROLLBACK", []).unwrap();
        }
    }
    let (queued, _) = refused[0];
    assert_eq!(refused[0].1, "08007", "{refused:?}");
    assert!(
        refused[1..].iter().all(|(_, state)| *state == "53100"),
        "{refused:?}"
    );
    assert_eq!(heard(&listener).len(), queued);
    disk.set_capacity(None);
    sender
        .execute_batch("BEGIN; INSERT INTO t VALUES (100, ''); NOTIFY news, 'room'; COMMIT")
        .unwrap();
    assert_eq!(
        heard(&listener),
        [format!("news {queued}"), "news room".to_owned()]
    );
}

/// Eight talk, each of rows of his own, and eight listen: all of them hear all of it, in the order of the commits.
#[test]
fn all_hear_the_same_in_the_order_of_commits() {
    const THREADS: usize = 8;
    const EACH: usize = 40;
    let directory = tempfile::tempdir().unwrap();
    let db = Database::open(directory.path()).unwrap();
    db.connect()
        .unwrap()
        .execute("CREATE TABLE t (k TEXT PRIMARY KEY)", [])
        .unwrap();
    let listeners: Vec<Connection> = (0..THREADS).map(|_| db.connect().unwrap()).collect();
    listeners
        .iter()
        .for_each(|conn| conn.execute_batch("LISTEN news").unwrap());
    let talk = |sender: usize| {
        let conn = db.connect().unwrap();
        let level = if sender.is_multiple_of(2) {
            "on"
        } else {
            "off"
        };
        conn.execute(&format!("SET synchronous_commit = {level}"), [])
            .unwrap();
        let mut commits = Vec::new();
        for n in 0..EACH {
            let name = format!("{sender}.{n}");
            conn.execute_batch(&format!(
                "BEGIN; INSERT INTO t VALUES ('{name}'); NOTIFY news, '{name}'; COMMIT"
            ))
            .unwrap();
            commits.push((name, conn.last_commit().unwrap().unwrap()));
        }
        commits
    };
    let hear = |conn: &Connection| {
        let begun = Instant::now();
        let mut heard = Vec::new();
        while heard.len() < THREADS * EACH && begun.elapsed() < 300 * SECOND {
            match conn.notifications().next(SECOND).unwrap() {
                Some(Delivery::Notification(one)) => {
                    let durable = db.durability_status().log.unwrap().durable.0.0;
                    heard.push((one.payload, durable));
                }
                Some(Delivery::Lost(count)) => panic!("{count} lost"),
                None => {}
            }
        }
        heard
    };
    std::thread::scope(|scope| {
        let hear = &hear;
        let heard: Vec<_> = listeners
            .into_iter()
            .map(|conn| scope.spawn(move || hear(&conn)))
            .collect();
        let talk = &talk;
        let talkers: Vec<_> = (0..THREADS)
            .map(|sender| scope.spawn(move || talk(sender)))
            .collect();
        let commits: HashMap<String, u64> = talkers
            .into_iter()
            .flat_map(|talker| talker.join().unwrap())
            .collect();
        for one in heard {
            let one = one.join().unwrap();
            assert_eq!(one.len(), THREADS * EACH);
            assert!(one.iter().all(|(name, durable)| commits[name] <= *durable));
            assert!(one.is_sorted_by_key(|(name, _)| commits[name]));
        }
    });
}
