//! A job queue: producers wait while it is full, workers take the job that is first by priority, and a worker that dies gives its job
//! back. A job is done once, because its work and its acknowledgement are one transaction.
//!
//! ```text
//! cargo run --release -p remora-db --example job_queue
//! ```
#![allow(clippy::print_stdout, reason = "it tells what it does")]

use remora::queue::{Lease, Push, Queue, QueueOptions};
use remora::{Connection, Database, Result};
use std::time::{Duration, Instant};

const JOBS: usize = 20_000;
const PRODUCERS: usize = 4;
const WORKERS: usize = 4;
const PATIENCE: Duration = Duration::from_secs(60);

/// Does a job: what is done and that it is done are committed together.
fn work(conn: &mut Connection, lease: &Lease<String>) -> Result<()> {
    conn.transact(|tx| {
        tx.execute("INSERT INTO done VALUES ($1)", [lease.payload()])?;
        lease.ack_within(tx)
    })
}

/// Does jobs until the queue is closed; how many.
fn work_on_all(jobs: &Queue, mut conn: Connection) -> Result<usize> {
    let mut done = 0;
    while let Some(lease) = jobs.lease_wait(PATIENCE)? {
        work(&mut conn, &lease)?;
        done += 1;
    }
    Ok(done)
}

fn main() -> Result<()> {
    let db = Database::in_memory()?;
    let mut conn = db.connect()?;
    conn.execute_batch("CREATE TABLE done (what TEXT PRIMARY KEY)")?;
    let options = QueueOptions::new().max_len(1000).max_attempts(3);
    let jobs = db.queue_with("job", options)?;

    jobs.push("write a letter")?;
    jobs.push_with("put out the fire", Push::new().priority(5))?;
    let first: Option<Lease<String>> = jobs.lease()?;
    assert!(first.is_some_and(|lease| lease.payload() == "put out the fire"));
    // The worker is gone before its work was done: the job is back.
    for what in ["put out the fire", "write a letter"] {
        let lease = jobs.lease()?.expect("there are two jobs");
        assert_eq!(lease.payload(), what);
        work(&mut conn, &lease)?;
    }

    let begun = Instant::now();
    let done = std::thread::scope(|scope| -> Result<usize> {
        let producers: Vec<_> = (0..PRODUCERS)
            .map(|producer| {
                let jobs = &jobs;
                scope.spawn(move || {
                    (producer..JOBS).step_by(PRODUCERS).try_for_each(|n| {
                        let push = Push::new().priority((n % 4) as i32);
                        jobs.push_with(format!("job {n}"), push).map(drop)
                    })
                })
            })
            .collect();
        let conns = (0..WORKERS).map(|_| db.connect());
        let workers: Vec<_> = conns
            .map(|conn| scope.spawn(|| work_on_all(&jobs, conn?)))
            .collect();
        for producer in producers {
            producer.join().expect("no producer panics")?;
        }
        assert_eq!(jobs.close(PATIENCE)?, 0);
        let done = workers.into_iter();
        done.map(|worker| worker.join().expect("no worker panics"))
            .sum()
    })?;
    let rate = JOBS as f64 / begun.elapsed().as_secs_f64();
    println!("{rate:.0} jobs a second, {PRODUCERS} producers and {WORKERS} workers");
    let stats = jobs.stats()?;
    println!(
        "{} pushed, {} leased, {} given back, {} done",
        stats.pushed, stats.leased, stats.retried, stats.acked
    );
    let rows: usize = conn.query_row("SELECT count(*) FROM done", [], |row| row.get(0))?;
    assert_eq!((done, rows), (JOBS, JOBS + 2), "each was done once");
    Ok(())
}
