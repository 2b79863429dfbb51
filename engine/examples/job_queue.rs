//! A job queue: producers wait while it is full, workers take the job that is first by priority, and a worker that dies gives its job
//! back, because taking it and doing it are one transaction.
//!
//! ```text
//! cargo run --release -p remora-db --example job_queue
//! ```
#![allow(clippy::print_stdout, reason = "it tells what it does")]

use remora::{Connection, Database, OptionalExtension, Result, Transaction};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Instant;

const SCHEMA: &str = "
    CREATE TABLE job (id BIGINT PRIMARY KEY DEFAULT snowflake_id(), priority INT NOT NULL, what TEXT NOT NULL)
        WITH (max_rows = 1000, on_full = 'wait');
    CREATE INDEX job_order ON job (priority, id);
    CREATE TABLE done (what TEXT PRIMARY KEY)";
const JOBS: usize = 20_000;
const PRODUCERS: usize = 4;
const WORKERS: usize = 4;

fn push(conn: &Connection, priority: i32, what: &str) -> Result<()> {
    let sql = "INSERT INTO job (priority, what) VALUES ($1, $2)";
    conn.execute(sql, (priority, what)).map(drop)
}

/// Takes the next job within a transaction, past those that others have taken.
fn take(tx: &Transaction<'_>) -> Result<Option<String>> {
    let sql = "DELETE FROM job USING (SELECT id FROM job ORDER BY priority, id LIMIT 1 FOR UPDATE SKIP LOCKED) AS next \
               WHERE job.id = next.id RETURNING what";
    tx.query_row(sql, [], |row| row.get(0)).optional()
}

/// Does a job, if there is one.
fn work(conn: &mut Connection) -> Result<bool> {
    conn.transact(|tx| {
        let Some(what) = take(tx)? else {
            return Ok(false);
        };
        tx.execute("INSERT INTO done VALUES ($1)", [what])?;
        Ok(true)
    })
}

fn main() -> Result<()> {
    let db = Database::in_memory()?;
    let mut conn = db.connect()?;
    conn.execute_batch(SCHEMA)?;

    push(&conn, 5, "write a letter")?;
    push(&conn, 1, "put out the fire")?;
    let tx = conn.transaction()?;
    assert_eq!(take(&tx)?.as_deref(), Some("put out the fire"));
    // The worker is gone before its work was done.
    drop(tx);
    assert!(work(&mut conn)? && work(&mut conn)?);
    assert!(!work(&mut conn)?);

    let (begun, finished) = (Instant::now(), AtomicUsize::new(0));
    let outcome = std::thread::scope(|scope| -> Result<()> {
        let mut threads = Vec::new();
        for producer in 0..PRODUCERS {
            let conn = db.connect()?;
            threads.push(scope.spawn(move || {
                let mut numbers = (producer..JOBS).step_by(PRODUCERS);
                numbers.try_for_each(|n| push(&conn, (n % 4) as i32, &format!("job {n}")))
            }));
        }
        for _ in 0..WORKERS {
            let (mut conn, finished) = (db.connect()?, &finished);
            threads.push(scope.spawn(move || {
                while finished.load(Relaxed) < JOBS {
                    match work(&mut conn)? {
                        true => _ = finished.fetch_add(1, Relaxed),
                        false => std::thread::yield_now(),
                    }
                }
                Ok(())
            }));
        }
        for thread in threads {
            match thread.join() {
                Ok(result) => result?,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        Ok(())
    });
    outcome?;
    let rate = JOBS as f64 / begun.elapsed().as_secs_f64();
    println!("{rate:.0} jobs a second, {PRODUCERS} producers and {WORKERS} workers");
    let done: i64 = conn.query_row("SELECT count(*) FROM done", [], |row| row.get(0))?;
    assert_eq!(done, JOBS as i64 + 2, "each was done once");
    Ok(())
}
