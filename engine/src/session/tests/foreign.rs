//! Foreign keys from outside: among threads, at scale, where memory is short, and as SQL again.

use super::*;
use crate::{Isolation, Options, TransactionOptions};
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// xorshift: each thread its own row of numbers.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> i64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides) as i64
    }
}

/// What the threads of a story came to.
#[derive(Default)]
struct Tally {
    done: AtomicU64,
    lost: AtomicU64,
    refused: AtomicU64,
}

impl Tally {
    fn note(&self, result: Result<()>) {
        match result {
            Ok(()) => self.done.fetch_add(1, Relaxed),
            Err(error) if error.sqlstate() == "40001" => self.lost.fetch_add(1, Relaxed),
            Err(error) if error.sqlstate() == "23503" => self.refused.fetch_add(1, Relaxed),
            // A parent comes, or is called, what another is.
            Err(error) if error.sqlstate() == "23505" => 0,
            Err(error) => panic!("{error:?}"),
        };
    }
}

const PARENTS: u64 = 8;

/// One transaction of a thread.
fn turn(
    conn: &mut Connection,
    options: TransactionOptions,
    dice: &mut Dice,
    id: i64,
) -> Result<()> {
    let (p, way) = (dice.roll(PARENTS), dice.roll(8));
    let tx = conn.transaction_with(options)?;
    match way {
        0 | 1 => tx.execute("INSERT INTO c VALUES ($1, $2, $2)", [id, p])?,
        2 => tx.execute("INSERT INTO c SELECT $1 + n, $2, $2 FROM two", [id, p])?,
        3 => tx.execute("UPDATE c SET p = $1, q = $1 WHERE id % 7 = $2", [p, p % 7])?,
        4 => {
            tx.execute("DELETE FROM c WHERE p = $1", [p])?;
            tx.execute("DELETE FROM p WHERE id = $1", [p])?
        }
        5 => tx.execute("DELETE FROM p WHERE id = $1", [p])?,
        6 => tx.execute("UPDATE p SET id = 7 - id WHERE id = $1", [p])?,
        _ => tx.execute("INSERT INTO p VALUES ($1, 0)", [p])?,
    };
    // Others get a chance between what was looked at and what is said of it.
    std::thread::yield_now();
    tx.commit()
}

/// Threads add and move children, and take parents away and bring them back: none is ever left alone, by
/// whichever of the ways a child's key is found.
#[test]
fn no_child_is_left_alone_among_threads_at_any_level() {
    for (round, isolation) in [Isolation::Snapshot, Isolation::Serializable]
        .into_iter()
        .enumerate()
    {
        let db = Database::in_memory().unwrap();
        let conn = db.connect().unwrap();
        conn.execute_batch(
            "CREATE TABLE two (n INT); INSERT INTO two VALUES (0), (1);
             CREATE TABLE p (id BIGINT PRIMARY KEY, v INT);
             INSERT INTO p VALUES (0, 0), (1, 0), (2, 0), (3, 0), (4, 0), (5, 0), (6, 0), (7, 0);
             CREATE TABLE c (id BIGINT PRIMARY KEY, p BIGINT REFERENCES p, q INT REFERENCES p);
             CREATE INDEX c_p ON c (p);
             CREATE TABLE g (p BIGINT REFERENCES p ON DELETE CASCADE ON UPDATE CASCADE)",
        )
        .unwrap();
        let tally = Tally::default();
        let start = Barrier::new(5);
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let (db, tally, start) = (&db, &tally, &start);
                scope.spawn(move || {
                    let mut conn = db.connect().unwrap();
                    let mut dice = Dice(0x9E37_79B9 * (4 * round as u64 + thread + 1));
                    let options = TransactionOptions::new().isolation(isolation);
                    start.wait();
                    for id in 0..600 {
                        let id = (thread as i64 * 1000 + id) * 2;
                        tally.note(turn(&mut conn, options, &mut dice, id));
                    }
                });
            }
            let (db, tally, start) = (&db, &tally, &start);
            scope.spawn(move || {
                let mut conn = db.connect().unwrap();
                let mut dice = Dice(77 + round as u64);
                let options = TransactionOptions::new().isolation(isolation);
                start.wait();
                for _ in 0..600 {
                    let p = dice.roll(PARENTS);
                    let mut add = || {
                        let tx = conn.transaction_with(options)?;
                        tx.execute("INSERT INTO g VALUES ($1)", [p])?;
                        tx.execute("UPDATE p SET v = v + 1 WHERE id = $1", [(p + 1) % 8])?;
                        tx.commit()
                    };
                    tally.note(add());
                }
            });
        });
        let orphans = "SELECT count(*) FROM c LEFT JOIN p ON c.p = p.id LEFT JOIN p r ON c.q = r.id
                       WHERE p.id IS NULL OR r.id IS NULL";
        assert_eq!(number(&conn, orphans), 0, "{isolation:?}");
        let orphans = "SELECT count(*) FROM g LEFT JOIN p ON g.p = p.id WHERE p.id IS NULL";
        assert_eq!(number(&conn, orphans), 0, "{isolation:?}");
        // The story is about all three ends.
        let [done, lost, refused] =
            [&tally.done, &tally.lost, &tally.refused].map(|n| n.load(Relaxed));
        assert!(
            done > 100 && lost > 10 && refused > 10,
            "{done} {lost} {refused}"
        );
    }
}

/// Children of one parent come from many threads: nobody loses, and so it is with the parent's counter
/// beside them.
#[test]
fn who_refers_to_one_row_meets_nobody() {
    let db = Database::in_memory().unwrap();
    let conn = db.connect().unwrap();
    conn.execute_batch(
        "CREATE TABLE p (id INT PRIMARY KEY, n INT); INSERT INTO p VALUES (1, 0);
         CREATE TABLE c (id INT PRIMARY KEY, p INT REFERENCES p)",
    )
    .unwrap();
    std::thread::scope(|scope| {
        for thread in 0..3 {
            let db = &db;
            scope.spawn(move || {
                let mut conn = db.connect().unwrap();
                for id in 0..200 {
                    let tx = conn.transaction().unwrap();
                    tx.execute("INSERT INTO c VALUES ($1, 1)", [thread * 1000 + id])
                        .unwrap();
                    tx.commit().unwrap();
                }
            });
        }
        for _ in 0..200 {
            conn.execute("UPDATE p SET n = n + 1 WHERE id = 1", [])
                .unwrap();
        }
    });
    assert_eq!(number(&conn, "SELECT count(*) FROM c"), 600);
    assert_eq!(number(&conn, "SELECT n FROM p"), 200);
}

/// A chain of ten thousand goes link by link, with and without an index, and the stack does not mind.
#[test]
fn a_long_chain_goes_with_its_head() {
    let conn = connect();
    conn.execute_batch(
        "CREATE TABLE t (id INT PRIMARY KEY, up INT REFERENCES t ON DELETE CASCADE);
         CREATE INDEX t_up ON t (up); INSERT INTO t VALUES (0, NULL)",
    )
    .unwrap();
    for id in 1..10_000 {
        conn.execute("INSERT INTO t VALUES ($1, $2)", [id, id - 1])
            .unwrap();
    }
    assert_eq!(
        conn.execute("DELETE FROM t WHERE id = 5000", []).unwrap(),
        1
    );
    assert_eq!(number(&conn, "SELECT count(*) FROM t"), 5000);
    conn.execute("DROP INDEX t_up", []).unwrap();
    assert_eq!(
        conn.execute("DELETE FROM t WHERE id = 4900", []).unwrap(),
        1
    );
    assert_eq!(number(&conn, "SELECT count(*) FROM t"), 4900);
}

/// Sets of keys, larger than what is shared key by key, by an index, by a prefix of one and by a scan.
#[test]
fn many_keys_go_at_once() {
    for index in [
        "",
        "CREATE INDEX c_p ON c (p)",
        "CREATE INDEX c_p ON c (p, id)",
        "CREATE INDEX c_p ON c USING hash (p)",
    ] {
        let conn = connect();
        conn.execute_batch(
            "CREATE TABLE p (id INT PRIMARY KEY);
             CREATE TABLE c (id INT PRIMARY KEY, p INT REFERENCES p ON UPDATE CASCADE ON DELETE CASCADE);
             CREATE TABLE held (p INT REFERENCES p); INSERT INTO p VALUES (0)",
        )
        .unwrap();
        conn.execute_batch(index).unwrap();
        for rows in (0..12).map(|power| 1_i64 << power) {
            conn.execute("INSERT INTO p SELECT id + $1 FROM p", [rows])
                .unwrap();
        }
        conn.execute("INSERT INTO c SELECT id, id / 2 FROM p", [])
            .unwrap();
        conn.execute("INSERT INTO held VALUES (3000)", []).unwrap();
        assert_eq!(state(conn.execute("DELETE FROM p", [])), "23503", "{index}");
        assert_eq!(number(&conn, "SELECT count(*) FROM c"), 4096);
        let changed = conn.execute("UPDATE p SET id = id + 10000 WHERE id < 2048", []);
        assert_eq!(changed.unwrap(), 2048);
        assert_eq!(
            number(&conn, "SELECT count(*) FROM c WHERE p = id / 2 + 10000"),
            4096,
            "{index}"
        );
        assert_eq!(
            conn.execute("DELETE FROM p WHERE id >= 10500", []).unwrap(),
            1548
        );
        assert_eq!(number(&conn, "SELECT count(*) FROM c"), 1000, "{index}");
    }
}

/// Keys that are missing are counted, not hoarded; what a statement would need more than there is refuses it
/// as a whole.
#[test]
fn a_statement_that_has_no_room_changes_nothing() {
    let db = Database::in_memory_with(Options::new().max_memory(24 << 20)).unwrap();
    let conn = db.connect().unwrap();
    conn.execute_batch(
        "CREATE TABLE t (id INT PRIMARY KEY, up INT REFERENCES t ON DELETE CASCADE); INSERT INTO t VALUES (0, 0)",
    )
    .unwrap();
    for rows in (0..13).map(|power| 1_i64 << power) {
        conn.execute("INSERT INTO t SELECT id + $1, id + $1 FROM t", [rows])
            .unwrap();
    }
    let wild = "INSERT INTO t SELECT id + 100000, id + 200000 FROM t";
    assert_eq!(state(conn.execute(wild, [])), "23503");
    assert_eq!(number(&conn, "SELECT count(*) FROM t"), 8192);
    assert_eq!(conn.execute("DELETE FROM t", []).unwrap(), 8192);
}

/// A key that an action has not brought yet may come by a later one, however many there are.
#[test]
fn two_ways_to_one_row_agree_in_the_end() {
    let conn = connect();
    conn.execute_batch(
        "CREATE TABLE top (x INT PRIMARY KEY); INSERT INTO top VALUES (0);
         CREATE TABLE m (x INT PRIMARY KEY REFERENCES top ON UPDATE CASCADE);
         CREATE TABLE z (x INT PRIMARY KEY REFERENCES m ON UPDATE CASCADE);
         CREATE TABLE c (x INT REFERENCES top ON UPDATE CASCADE, FOREIGN KEY (x) REFERENCES z)",
    )
    .unwrap();
    for rows in (0..11).map(|power| 1_i64 << power) {
        conn.execute("INSERT INTO top SELECT x + $1 FROM top", [rows])
            .unwrap();
    }
    conn.execute_batch(
        "INSERT INTO m SELECT x FROM top; INSERT INTO z SELECT x FROM m; INSERT INTO c SELECT x FROM z",
    )
    .unwrap();
    let changed = conn.execute("UPDATE top SET x = x + 10000", []);
    assert_eq!(changed.unwrap(), 2048);
    assert_eq!(
        number(&conn, "SELECT count(*) FROM c WHERE x >= 10000"),
        2048
    );
}

/// What a transaction relies on is counted as what it is: many statements with one key each are no more
/// than one with many.
#[test]
fn parents_go_one_by_one_in_one_transaction() {
    let db = Database::in_memory_with(Options::new().max_memory(32 << 20)).unwrap();
    let mut conn = db.connect().unwrap();
    conn.execute_batch(
        "CREATE TABLE p (id INT PRIMARY KEY); INSERT INTO p VALUES (0);
         CREATE TABLE held (p INT REFERENCES p); CREATE TABLE c (p INT REFERENCES p ON DELETE CASCADE)",
    )
    .unwrap();
    for rows in (0..11).map(|power| 1_i64 << power) {
        conn.execute("INSERT INTO p SELECT id + $1 FROM p", [rows])
            .unwrap();
    }
    let tx = conn.transaction().unwrap();
    for id in 0..2000 {
        let deleted = tx.execute("DELETE FROM p WHERE id = $1", [id]);
        assert_eq!(deleted.unwrap(), 1);
    }
    tx.commit().unwrap();
    assert_eq!(number(&conn, "SELECT count(*) FROM p"), 48);
}

/// A full database can be made smaller, where nothing refers to what goes and where what does goes too.
#[test]
fn parents_go_from_a_full_database() {
    let db = Database::in_memory_with(Options::new().max_memory(32 << 20)).unwrap();
    let conn = db.connect().unwrap();
    conn.execute_batch(
        "CREATE TABLE p (id INT PRIMARY KEY); INSERT INTO p VALUES (0); CREATE TABLE filler (t TEXT);
         CREATE TABLE held (p INT REFERENCES p); CREATE TABLE c (p INT REFERENCES p ON DELETE CASCADE)",
    )
    .unwrap();
    for rows in (0..11).map(|power| 1_i64 << power) {
        conn.execute("INSERT INTO p SELECT id + $1 FROM p", [rows])
            .unwrap();
    }
    conn.execute("INSERT INTO c SELECT id FROM p", []).unwrap();
    let text = "x".repeat(5000);
    let full =
        std::iter::repeat_with(|| conn.execute("INSERT INTO filler VALUES ($1)", [text.as_str()]));
    let refused = full.take(1 << 16).find_map(Result::err);
    assert_eq!(refused.expect("it is full").sqlstate(), "53200");
    let deleted = conn.execute("DELETE FROM p WHERE id >= 1000", []);
    assert_eq!(deleted.unwrap(), 1048);
    assert_eq!(number(&conn, "SELECT count(*) FROM c"), 1000);
}

/// What the schema shows makes the same tables again, parents first.
#[test]
fn a_schema_with_foreign_keys_is_made_again() {
    let conn = connect();
    conn.execute_batch(
        "CREATE TABLE z (a INT, b TEXT, PRIMARY KEY (a, b), own INT UNIQUE REFERENCES z (own));
         CREATE TABLE m (b TEXT, a INT, z INT REFERENCES z (own) ON UPDATE SET NULL,
                         CONSTRAINT \"M z\" FOREIGN KEY (a, b) REFERENCES z MATCH FULL ON DELETE SET DEFAULT);
         CREATE TABLE b (x INT REFERENCES z (own) ON DELETE RESTRICT ON UPDATE CASCADE)",
    )
    .unwrap();
    let schema = conn.schema(None).unwrap();
    assert!(schema[0].starts_with("CREATE TABLE z ("), "{schema:?}");
    assert!(schema.iter().any(|sql| sql.contains(
        "CONSTRAINT \"M z\" FOREIGN KEY (a, b) REFERENCES z (a, b) MATCH FULL ON DELETE SET DEFAULT"
    )));
    let other = connect();
    other.execute_batch(&schema.join("\n")).unwrap();
    assert_eq!(other.schema(None).unwrap(), schema);
}
