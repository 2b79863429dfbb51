//! A full database, through SQL: whatever filled it, what failed left no trace, what makes it
//! smaller or ends a transaction works, the budget holds at every moment, and room comes back.
//!
//! In a process of its own: a long operation of one database holds up the freeing of memory in all of them,
//! and here none is to spare.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use remora::{Connection, Database, Durability, MemoryReport, Options, Result, params};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

/// The least budget for which all is promised that the emergency reserve is for.
const BUDGET: u64 = 32 << 20;
/// A block has up to 16 MiB of strings, and its memory comes back when all of its rows are gone.
const BUDGET_OF_STRINGS: u64 = 96 << 20;
/// Rows that a DELETE may have on a full database.
const DELETED: i64 = 10_000;

fn number(conn: &Connection, sql: &str) -> i64 {
    conn.query_row(sql, [], |row| row.get(0)).unwrap()
}

/// What fills the database.
struct Shape {
    name: &'static str,
    budget: u64,
    /// Makes table `t`, whose key is `k BIGINT`.
    schema: &'static str,
    /// Adds the rows whose keys are numbers `n` of table `fresh`.
    insert: &'static str,
    /// Rows that are added at a time.
    rows: i64,
}

const SHAPES: &[Shape] = &[
    Shape {
        name: "narrow rows",
        budget: BUDGET,
        schema: "CREATE TABLE t (k BIGINT PRIMARY KEY, v BIGINT)",
        insert: "INSERT INTO t SELECT n, n FROM fresh",
        rows: 4000,
    },
    Shape {
        name: "wide rows without an index",
        budget: BUDGET,
        schema: "CREATE TABLE t (k BIGINT, a BIGINT, b BIGINT, c NUMERIC, d NUMERIC, e UUID, f TEXT)",
        insert: "INSERT INTO t SELECT n, n, n, n, n, NULL, 'a string of some length' FROM fresh",
        rows: 4000,
    },
    Shape {
        name: "long strings",
        budget: BUDGET_OF_STRINGS,
        schema: "CREATE TABLE t (k BIGINT PRIMARY KEY, v TEXT)",
        insert: "INSERT INTO t SELECT n, repeat('long', 1000) FROM fresh",
        rows: 100,
    },
    Shape {
        name: "very long strings",
        budget: BUDGET_OF_STRINGS,
        schema: "CREATE TABLE t (k BIGINT PRIMARY KEY, v TEXT)",
        insert: "INSERT INTO t SELECT n, repeat('x', 700000) FROM fresh",
        rows: 2,
    },
    Shape {
        name: "many indexes",
        budget: BUDGET,
        schema: "CREATE TABLE t (k BIGINT PRIMARY KEY, a BIGINT, b TEXT, c DOUBLE PRECISION);
                 CREATE INDEX t_a ON t (a); CREATE INDEX t_b ON t (b); CREATE INDEX t_c ON t (c, k);
                 CREATE INDEX t_h ON t USING HASH (b)",
        insert: "INSERT INTO t SELECT n, n % 7, 'user' || n || '@example.com', n / 3.0 FROM fresh",
        rows: 1000,
    },
];

/// Looks all the while whether the budget holds: at what was really taken from the system, because
/// by its own count the account is never above it. In the end the account has to add up.
fn watched<T>(db: &Database, f: impl FnOnce() -> T) -> T {
    let done = AtomicBool::new(false);
    let result = std::thread::scope(|scope| {
        let watch = scope.spawn(|| {
            while !done.load(Relaxed) {
                assert_holds(db, |memory| memory.mapped <= memory.budget);
                // Often, and without taking a core from those who are watched.
                std::thread::sleep(Duration::from_micros(100));
            }
        });
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(f));
        done.store(true, Relaxed);
        watch.join().unwrap();
        result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    assert_holds(db, |memory| memory.mapped <= memory.used);
    assert_holds(db, |memory| {
        memory.lines.iter().map(|line| line.bytes).sum::<u64>() == memory.used
    });
    result
}

/// Figures are read one after the other while others work: what does not fit together now has to
/// at one of the next looks.
fn assert_holds(db: &Database, holds: impl Fn(&MemoryReport) -> bool) {
    let look = || {
        std::thread::sleep(Duration::from_millis(1));
        db.memory()
    };
    let memory = db.memory();
    let fits = holds(&memory) || (0..200).any(|_| holds(&look()));
    assert!(fits, "{memory:?}");
}

/// Makes `fresh` hold these numbers.
fn offer(conn: &Connection, keys: Range<i64>) -> Result<()> {
    conn.execute("UPDATE fresh SET n = $1 + i", [keys.start])?;
    Ok(())
}

fn start(db: &Database, shape: &Shape) -> Connection {
    let conn = db.connect().unwrap();
    conn.execute_batch(shape.schema).unwrap();
    conn.execute_batch("CREATE TABLE fresh (i BIGINT, n BIGINT)")
        .unwrap();
    for i in 0..shape.rows {
        conn.execute("INSERT INTO fresh VALUES ($1, 0)", [i])
            .unwrap();
    }
    conn
}

/// Adds rows until the database is full; returns the key that comes next.
fn fill(conn: &Connection, shape: &Shape, from: i64) -> i64 {
    let mut next = from;
    loop {
        let added =
            offer(conn, next..next + shape.rows).and_then(|()| conn.execute(shape.insert, []));
        match added {
            Ok(rows) => assert_eq!(rows as i64, shape.rows),
            Err(error) => {
                assert_eq!(error.sqlstate(), "53200", "{error}");
                assert!(
                    error
                        .detail()
                        .is_some_and(|detail| detail.contains("Held: "))
                );
                assert!(error.hint().is_some_and(|hint| hint.contains("max_memory")));
                return next;
            }
        }
        next += shape.rows;
    }
}

/// Result of a statement that must succeed at once: deleted rows are room for whoever asks for it.
fn at_once<T>(what: &str, done: Result<T>) -> T {
    done.unwrap_or_else(|error| panic!("{what}: {error}; {:?}", error.detail()))
}

/// All that a full database must still do. `keys` are those it has; returns those it has then.
fn work_when_full(db: &Database, conn: &Connection, mut keys: Range<i64>) -> Range<i64> {
    let count = |conn: &Connection| number(conn, "SELECT count(*) FROM t");
    assert_eq!(
        count(conn),
        keys.end - keys.start,
        "what failed left no row"
    );
    let one = "SELECT k FROM t WHERE k = $1";
    let found: i64 = conn.query_row(one, [keys.start], |row| row.get(0)).unwrap();
    assert_eq!(found, keys.start);

    conn.execute_batch("BEGIN; DELETE FROM t WHERE k < 100")
        .unwrap();
    conn.execute_batch("ROLLBACK").unwrap();
    assert_eq!(
        count(conn),
        keys.end - keys.start,
        "a deletion was taken back"
    );

    let deleted = DELETED.min((keys.end - keys.start) / 3);
    let other = db.connect().unwrap();
    other.execute_batch("BEGIN").unwrap();
    let sql = "DELETE FROM t WHERE k + 0 < $1";
    keys.start += deleted;
    let gone = other.execute(sql, [keys.start]).unwrap();
    assert_eq!(gone as i64, deleted, "by scan");
    other.execute_batch("COMMIT").unwrap();
    assert_eq!(count(conn), keys.end - keys.start);
    conn.execute_batch("CHECKPOINT").unwrap();
    let compacted = conn.execute_batch("COMPACT");
    if keys.end >= 1000 {
        at_once("COMPACT", compacted);
    } else if let Err(error) = compacted {
        // A block is built anew beside the old one: one of 40 MiB of strings does not fit.
        assert_eq!(error.sqlstate(), "53200");
    }
    assert_eq!(
        count(conn),
        keys.end - keys.start,
        "compaction loses no row"
    );
    keys
}

fn story(db: &Database, shape: &Shape) {
    let conn = start(db, shape);
    let end = fill(&conn, shape, 0);
    assert!(end > 2 * shape.rows, "{}: {end} rows fit", shape.name);
    let mut keys = work_when_full(db, &conn, 0..end);
    let half = end / 2;
    while keys.start < half {
        keys.start = half.min(keys.start + DELETED);
        let deleted = conn.execute("DELETE FROM t WHERE k < $1", [keys.start]);
        at_once(shape.name, deleted);
    }
    let more = end + end / 4;
    while keys.end < more {
        at_once(shape.name, offer(&conn, keys.end..keys.end + shape.rows));
        at_once(shape.name, conn.execute(shape.insert, []));
        keys.end += shape.rows;
    }
    let sums = "SELECT count(*), sum(k)::bigint FROM t";
    let sums: (i64, i64) = conn
        .query_row(sums, [], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap();
    let expected = keys.end - keys.start;
    assert_eq!(
        sums,
        (expected, keys.sum()),
        "{}: no row is lost",
        shape.name
    );
}

#[test]
fn whatever_fills_it_a_full_database_can_be_worked_with() {
    for shape in SHAPES {
        let options = Options::new().max_memory(shape.budget);
        let db = Database::in_memory_with(options).unwrap();
        watched(&db, || story(&db, shape));
    }
}

#[test]
fn a_full_database_on_disk_commits_and_writes_checkpoints() {
    for shape in &SHAPES[2..] {
        let directory = tempfile::tempdir().unwrap();
        let options = Options::new().max_memory(shape.budget);
        let options = options.durability(Durability::Buffered);
        let db = Database::open_with(directory.path(), options).unwrap();
        watched(&db, || story(&db, shape));
        let rows = number(&db.connect().unwrap(), "SELECT count(*) FROM t");
        db.close().unwrap();
        // What was encoded is replayed as it was logged: strings of one letter take far more then.
        let again = Options::new().max_memory(8 * shape.budget);
        let db = at_once(shape.name, Database::open_with(directory.path(), again));
        assert_eq!(
            number(&db.connect().unwrap(), "SELECT count(*) FROM t"),
            rows
        );
    }
}

/// Alice writes until nothing more fits. What she has written she can commit: her log frame has
/// its memory since she wrote it.
#[test]
fn a_transaction_that_filled_the_database_can_commit() {
    let directory = tempfile::tempdir().unwrap();
    let options = Options::new().max_memory(BUDGET);
    let db = Database::open_with(directory.path(), options).unwrap();
    let alice = db.connect().unwrap();
    alice
        .execute_batch("CREATE TABLE t (k BIGINT, v TEXT)")
        .unwrap();
    let text = "x".repeat(100_000);
    let fits = (0..)
        .find(|rows| {
            alice.execute_batch("BEGIN").unwrap();
            let insert = |k| alice.execute("INSERT INTO t VALUES ($1, $2)", params![k, &text]);
            let full = (0_i64..10 * (rows + 1)).find_map(|k| insert(k).err());
            alice.execute_batch("ROLLBACK").unwrap();
            full.is_some_and(|error| error.sqlstate() == "53200")
        })
        .unwrap();
    assert!(fits > 3, "{fits}");
    alice.execute_batch("BEGIN").unwrap();
    for k in 0_i64..10 * (fits - 1) {
        let inserted = alice.execute("INSERT INTO t VALUES ($1, $2)", params![k, &text]);
        at_once("fill", inserted);
    }
    // Bob takes what is left.
    let bob = db.connect().unwrap();
    bob.execute_batch("CREATE TABLE u (v TEXT)").unwrap();
    let refused = loop {
        if let Err(error) = bob.execute("INSERT INTO u VALUES ($1)", [&text]) {
            break error;
        }
    };
    assert_eq!(refused.sqlstate(), "53200");
    alice.execute_batch("COMMIT").unwrap();
    assert_eq!(number(&alice, "SELECT count(*) FROM t"), 10 * (fits - 1));
}

/// Every second row goes: no block loses all of its rows, so only compaction gives memory back. It
/// comes by itself when memory is scarce.
#[test]
fn room_comes_back_where_no_block_is_empty() {
    let shape = &SHAPES[0];
    let options = Options::new().max_memory(shape.budget);
    let db = Database::in_memory_with(options).unwrap();
    watched(&db, || {
        let conn = start(&db, shape);
        let end = fill(&conn, shape, 0);
        for from in (0..end).step_by(DELETED as usize) {
            let delete = "DELETE FROM t WHERE k >= $1 AND k < $1 + 10000 AND k % 4 <> 0";
            at_once("delete", conn.execute(delete, [from]));
        }
        let more = end + end / 3;
        let mut next = end;
        while next < more {
            at_once("offer", offer(&conn, next..next + shape.rows));
            at_once("insert again", conn.execute(shape.insert, []));
            next += shape.rows;
        }
        let left = (end + 3) / 4 + next - end;
        assert_eq!(number(&conn, "SELECT count(*) FROM t"), left);
    });
}

/// An old snapshot keeps what it sees, and not what came and went since: one counter goes up far more
/// often than there is memory for its versions.
#[test]
fn an_old_snapshot_does_not_hold_back_what_it_does_not_see() {
    let db = Database::in_memory_with(Options::new().max_memory(BUDGET)).unwrap();
    watched(&db, || {
        let (alice, bob) = (db.connect().unwrap(), db.connect().unwrap());
        bob.execute_batch("CREATE TABLE t (k BIGINT PRIMARY KEY, v BIGINT)")
            .unwrap();
        bob.execute("INSERT INTO t VALUES (1, 0)", []).unwrap();
        alice.execute_batch("BEGIN; SELECT v FROM t").unwrap();
        let mut update = bob.prepare("UPDATE t SET v = v + 1 WHERE k = 1").unwrap();
        // A version is 48 bytes here; its write set and its place in queues are counted, too.
        let updates = BUDGET as i64 / 50;
        for _ in 0..updates {
            update.execute([]).unwrap();
        }
        assert_eq!(number(&alice, "SELECT v FROM t"), 0);
        assert_eq!(number(&bob, "SELECT v FROM t"), updates);
    });
}

/// Every reader sees another state of every row. What waits for them is in the ledger, so that updates
/// are refused before the machine is full; when the readers go, they go on.
#[test]
fn what_old_snapshots_hold_back_is_within_the_budget() {
    const ROWS: i64 = 20_000;
    const READERS: i64 = 500;
    let db = Database::in_memory_with(Options::new().max_memory(BUDGET)).unwrap();
    watched(&db, || {
        let bob = db.connect().unwrap();
        bob.execute_batch("CREATE TABLE t (k BIGINT PRIMARY KEY, v BIGINT)")
            .unwrap();
        bob.execute_batch("BEGIN").unwrap();
        let mut insert = bob.prepare("INSERT INTO t VALUES ($1, 0)").unwrap();
        for k in 0..ROWS {
            insert.execute([k]).unwrap();
        }
        bob.execute_batch("COMMIT").unwrap();
        let mut update = bob.prepare("UPDATE t SET v = v + 1").unwrap();
        let mut readers = Vec::new();
        let refused = loop {
            let reader = db.connect().unwrap();
            reader
                .execute_batch("BEGIN; SELECT count(*) FROM t")
                .unwrap();
            readers.push(reader);
            if let Err(error) = update.execute([]) {
                break error;
            }
            assert!((readers.len() as i64) < READERS, "all of it fits");
        };
        assert_eq!(refused.sqlstate(), "53200");
        for (updates, reader) in readers.iter().enumerate() {
            let sum = number(reader, "SELECT sum(v)::bigint FROM t");
            assert_eq!(sum, updates as i64 * ROWS);
        }
        let updates = readers.len() as i64 - 1;
        drop(readers);
        at_once("update again", update.execute([]));
        assert_eq!(
            number(&bob, "SELECT sum(v)::bigint FROM t"),
            (updates + 1) * ROWS
        );
    });
}

/// A hundred readers have begun to read a full database, and stopped. Some were refused; none of them
/// keeps anybody from deleting what is promised.
#[test]
fn queries_that_are_left_half_read_do_not_stand_in_the_way_of_a_delete() {
    let shape = &SHAPES[0];
    let options = || Options::new().max_memory(shape.budget);
    let db = Database::in_memory_with(options()).unwrap();
    watched(&db, || half_read(&db, shape));
    let directory = tempfile::tempdir().unwrap();
    let options = options().durability(Durability::Buffered);
    let db = Database::open_with(directory.path(), options).unwrap();
    watched(&db, || half_read(&db, shape));
}

fn half_read(db: &Database, shape: &Shape) {
    let conn = start(db, shape);
    let old = db.connect().unwrap();
    let mut next = 0;
    while next < DELETED {
        offer(&conn, next..next + shape.rows).unwrap();
        next += conn.execute(shape.insert, []).unwrap() as i64;
    }
    // The rows to be deleted have versions, which somebody may still want: a deletion is one more.
    old.execute_batch("BEGIN; SELECT count(*) FROM t").unwrap();
    let update = conn.execute("UPDATE t SET v = v + 1 WHERE k < $1", [DELETED]);
    assert_eq!(update.unwrap() as i64, DELETED);
    let end = fill(&conn, shape, next);

    let readers: Vec<_> = (0..100).map(|_| db.connect().unwrap()).collect();
    let mut queries = Vec::new();
    for (number, reader) in readers.iter().enumerate() {
        let sql = ["SELECT k FROM t", "SELECT DISTINCT v % 7 FROM t"][number % 2];
        queries.push(reader.prepare(sql).unwrap());
    }
    let mut begun = Vec::new();
    for query in &mut queries {
        let mut rows = query.query([]).unwrap();
        match rows.next().map(|row| row.is_some()) {
            Ok(found) => {
                assert!(found);
                begun.push(rows);
            }
            Err(error) => assert_eq!(error.sqlstate(), "53200"),
        }
    }
    assert!(begun.len() >= 4, "small queries work: {}", begun.len());
    assert!(begun.len() < readers.len(), "but only so many");

    conn.execute_batch("BEGIN").unwrap();
    let delete = conn.execute("DELETE FROM t WHERE k + 0 < $1", [DELETED]);
    assert_eq!(delete.unwrap() as i64, DELETED);
    conn.execute_batch("COMMIT").unwrap();
    // The deletion has taken of the reserve, and gives it back once nobody wants what was there.
    drop(begun);
    old.execute_batch("COMMIT").unwrap();
    let count = "SELECT count(*) FROM t";
    assert_eq!(number(&conn, count), end - DELETED);
}
