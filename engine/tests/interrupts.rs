//! Alice starts something that takes long, of every kind there is; Bob interrupts it a moment later. It
//! ends at once, with 57014, and nothing has changed.
//!
//! In a process of its own: what takes long holds up the freeing of memory in every database of a process,
//! and other tests have little of it.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test says how long it took"
)]

use remora::{Connection, Database, Result};
use std::io::Read;
use std::sync::Barrier;
use std::time::{Duration, Instant};

/// How long a statement may go on: much more than the millisecond it should take, because the machine
/// may be busy with other tests, and what was done has to be undone.
const BOUND: Duration = Duration::from_millis(1000);
const ROWS: i64 = 200_000;

fn filled() -> Database {
    let db = Database::in_memory().unwrap();
    let conn = db.connect().unwrap();
    conn.execute_batch(
        "CREATE TABLE t (k BIGINT PRIMARY KEY, v BIGINT, w TEXT);
         CREATE TABLE u (k BIGINT PRIMARY KEY, v BIGINT, w TEXT);
         CREATE INDEX t_v ON t (v);
         INSERT INTO t VALUES (0, 0, 'nothing')",
    )
    .unwrap();
    let mut rows = 1;
    while rows < ROWS {
        let step = rows.min(ROWS - rows);
        let sql = "INSERT INTO t SELECT k + $1, (k + $1) * 7919 % 200003, \
                   'text of ' || (k + $1) * 7919 % 200003 FROM t WHERE k < $2";
        conn.execute(sql, [rows, step]).unwrap();
        rows += step;
    }
    db
}

/// Runs `work` and interrupts it after `after`; gives what it came to, and how long it went on.
fn interrupted<T: Send>(
    conn: Connection,
    after: Duration,
    work: impl FnOnce(&Connection) -> T + Send,
) -> (Connection, T, Duration) {
    interrupt_work(conn, after, false, work)
}

/// The same; where the work is one statement after the other (`is_loop`), it may have to be asked twice.
fn interrupt_work<T: Send>(
    conn: Connection,
    after: Duration,
    is_loop: bool,
    work: impl FnOnce(&Connection) -> T + Send,
) -> (Connection, T, Duration) {
    let handle = conn.interrupt_handle();
    let begin = Barrier::new(2);
    std::thread::scope(|scope| {
        let worker = scope.spawn(|| {
            begin.wait();
            let result = work(&conn);
            (conn, result, Instant::now())
        });
        begin.wait();
        std::thread::sleep(after);
        let mut asked = Instant::now();
        handle.interrupt();
        while !worker.is_finished() && asked.elapsed() < BOUND {
            std::thread::sleep(Duration::from_millis(1));
        }
        if !worker.is_finished() && is_loop {
            // It met nobody: between two statements there is nothing to interrupt.
            asked = Instant::now();
            handle.interrupt();
        }
        let (conn, result, ended) = worker.join().unwrap();
        handle.clear();
        (conn, result, ended.saturating_duration_since(asked))
    })
}

fn number(conn: &Connection, sql: &str) -> i64 {
    conn.query_row(sql, [], |row| row.get(0)).unwrap()
}

fn is_interrupt<T>(result: Result<T>) -> bool {
    match result {
        Ok(_) => false,
        Err(error) => {
            assert_eq!(error.sqlstate(), "57014", "{error}");
            true
        }
    }
}

const LONG: &[&str] = &[
    "SELECT count(*) FROM t a, t b WHERE a.v + b.v = 7",
    "SELECT sum(a.v) FROM t a JOIN t b ON a.v % 10 = b.v % 10",
    "SELECT a.w, count(*) FROM t a, t b GROUP BY a.w",
    "SELECT DISTINCT a.k + b.k FROM t a, t b",
    "SELECT a.k FROM t a, (SELECT k FROM t WHERE k < 3) b ORDER BY a.w || b.k, a.v",
    "SELECT count(*) FROM t a, t b WHERE a.w LIKE '%' || b.w || '%x'",
    "SELECT max(length(repeat(w, 20000))) FROM t",
    "SELECT sum(power(v + 1.5, 0.37) + ln(v + 2.5)) FROM t",
    "SELECT length(lpad('', 900000000 + k::integer, 'xyz')) FROM t WHERE k = 0",
    "SELECT length(repeat('xyz', 300000000 + k::integer)) FROM t WHERE k = 0",
    "SELECT length(replace(repeat('x', 90000000 + k::integer), 'x', 'yz')) FROM t WHERE k = 0",
    "SELECT length(translate(repeat('x', 90000000 + k::integer), 'abcx', 'ijky')) FROM t WHERE k = 0",
    "SELECT repeat('a', 9000000 + k::integer) LIKE '%' || repeat('a', 20000) || 'b' FROM t WHERE k = 0",
    "INSERT INTO u SELECT a.k * 1000 + b.k, a.v, a.w FROM t a, t b WHERE b.k < 1000",
    "UPDATE t SET v = v + 1, w = repeat(w, 3)",
    "DELETE FROM t WHERE length(repeat(w, 3)) > 0",
    // What is the same for all rows is not made when the plan is.
    "SELECT length(lpad('', 900000000, 'xyz'))",
    "SELECT count(*) FROM t WHERE w = repeat('xyz', 300000000)",
    "CREATE INDEX i ON t (w, v)",
    "CREATE UNIQUE INDEX i ON t (v, k)",
    "CREATE INDEX i ON t USING HASH (w)",
    "COPY (SELECT a.* FROM t a, t b) TO '/dev/null' WITH (FORMAT csv)",
];

#[test]
fn every_long_statement_ends_at_once_when_it_is_interrupted() {
    let db = filled();
    let state = "SELECT count(*) || ' ' || sum(k) || ' ' || sum(v) || ' ' || max(w) FROM t";
    let mut conn = db.connect().unwrap();
    let before: String = conn.query_row(state, [], |row| row.get(0)).unwrap();
    let mut worst = (Duration::ZERO, "");
    for sql in LONG {
        let mut was_interrupted = false;
        // In its first steps, and later: what ends before that is rolled back.
        for after in [3, 10, 30, 70].map(Duration::from_millis) {
            conn.execute("BEGIN", []).unwrap();
            let (back, result, took) = interrupted(conn, after, |conn| conn.run(sql, []));
            conn = back;
            conn.execute("ROLLBACK", []).unwrap();
            if is_interrupt(result) {
                was_interrupted = true;
                println!("{took:>10.2?} after {after:.2?}  {sql}");
                if took > worst.0 {
                    worst = (took, sql);
                }
            }
        }
        assert!(was_interrupted, "{sql} does not take long");
        let after: String = conn.query_row(state, [], |row| row.get(0)).unwrap();
        assert_eq!(before, after, "{sql}");
        assert_eq!(number(&conn, "SELECT count(*) FROM u"), 0, "{sql}");
        assert_eq!(conn.indexes(Some("t")).unwrap().len(), 2, "{sql}");
    }
    println!("worst: {worst:?}");
    assert!(worst.0 < BOUND, "{worst:?}");
}

/// Lines without end.
struct Lines {
    next: u64,
    left: Vec<u8>,
}

impl Read for Lines {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.left.is_empty() {
            self.left = format!("{},{},text\n", 1_000_000 + self.next, self.next).into_bytes();
            self.next += 1;
        }
        let count = buffer.len().min(self.left.len());
        buffer[..count].copy_from_slice(&self.left[..count]);
        self.left.drain(..count);
        Ok(count)
    }
}

#[test]
fn so_does_copy_from_a_reader_that_never_ends() {
    let db = filled();
    let sql = "COPY u FROM STDIN WITH (FORMAT csv)";
    let after = Duration::from_millis(30);
    let (conn, result, took) = interrupted(db.connect().unwrap(), after, |conn| {
        let mut lines = Lines {
            next: 0,
            left: Vec::new(),
        };
        conn.copy_from(sql, &mut lines)
    });
    assert!(is_interrupt(result) && took < BOUND, "{took:?}");
    // One line that never ends.
    let (conn, result, took) = interrupted(conn, after, |conn| {
        conn.copy_from(sql, &mut std::io::repeat(b'x'))
    });
    assert!(is_interrupt(result) && took < BOUND, "{took:?}");
    assert_eq!(number(&conn, "SELECT count(*) FROM u"), 0);
}

#[test]
fn compaction_keeps_what_it_has_done() {
    let db = filled();
    let after = Duration::from_millis(15);
    let (conn, result, took) = interrupt_work(db.connect().unwrap(), after, true, |conn| {
        loop {
            // Each round has something to do.
            conn.execute("UPDATE t SET v = v + 1 WHERE k % 50 = 0", [])?;
            conn.run("COMPACT TABLE t", [])?;
        }
    });
    println!("COMPACT or UPDATE: {took:?}");
    assert!(is_interrupt::<()>(result) && took < BOUND, "{took:?}");
    assert_eq!(number(&conn, "SELECT count(*) FROM t"), ROWS);
}
