//! A full database: what fits into a budget, whether the process takes what the ledger says, and how
//! fast rows go and come where nothing more fits.

use crate::Result;
use crate::options::Options;
use crate::resident::resident;
use crate::table::{ID, load, store, users};
use remora_storage::{Error, Store, StoreOptions, ValueRef};
use std::time::{Duration, Instant};

/// Rows of one deletion: what a full database promises.
const DELETED: i64 = 10_000;
/// Rows that are added at a time.
const ADDED: i64 = 1000;
const MIB: f64 = (1 << 20) as f64;

pub(crate) fn run(options: &Options) -> Result<()> {
    let budget = options.number("megabytes", 256) << 20;
    let rounds = options.number("rounds", 10) as i64;
    let before = resident()?;
    let store = store(StoreOptions {
        max_memory: Some(budget),
        ..StoreOptions::default()
    })?;
    let started = Instant::now();
    let mut end = fill(&store, 0)?;
    println!(
        "filled: {end} rows in {:.2} s, {:.1} bytes a row",
        started.elapsed().as_secs_f64(),
        store.ledger().used() as f64 / end as f64
    );
    let mut start = 0;
    for round in 0..=rounds {
        let (used, grown) = (
            store.ledger().used() as f64,
            resident()? as f64 - before as f64,
        );
        println!(
            "round {round}: rows {start} to {end}, ledger {:.1} MiB, resident {:+.1} MiB, ratio {:.3}",
            used / MIB,
            grown / MIB,
            used / grown
        );
        let half = (start + end) / 2;
        let deleting = Instant::now();
        let mut waits = 0;
        while start < half {
            waits += delete_soon(&store, start, half.min(start + DELETED))?;
            start = half.min(start + DELETED);
        }
        let deleted = deleting.elapsed();
        let again = insert_again(&store, end)?;
        let sum = count(&store)?;
        if sum != again - start {
            return Err(format!("{sum} rows where {} should be", again - start).into());
        }
        println!(
            "  deleted half in {:.2} s, {waits} times after a pause, then {} rows more fitted",
            deleted.as_secs_f64(),
            again - end
        );
        end = again;
    }
    Ok(())
}

/// Adds rows until they are refused; returns the number that comes next.
fn fill(store: &Store, from: i64) -> Result<i64> {
    let mut next = from;
    loop {
        let added = load(store, next, next + ADDED);
        if store.mapped_bytes() > store.ledger().budget() {
            return Err("the budget was passed".into());
        }
        match added {
            Ok(()) => next += ADDED,
            Err(error) => match error.downcast_ref() {
                Some(Error::OutOfMemory { .. }) => return Ok(next),
                _ => return Err(error),
            },
        }
    }
}

/// Adds rows until they are refused for a second: what was deleted is cleared away meanwhile.
fn insert_again(store: &Store, from: i64) -> Result<i64> {
    let mut next = from;
    let mut last = Instant::now();
    while last.elapsed() < Duration::from_secs(1) {
        let now = fill(store, next)?;
        if now > next {
            last = Instant::now();
        }
        next = now;
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(next)
}

/// Deletes, if need be after garbage collection has refilled the emergency reserve; returns how often
/// it had to.
fn delete_soon(store: &Store, from: i64, end: i64) -> Result<u32> {
    for waits in 0..1000 {
        match delete(store, from, end) {
            Ok(()) => return Ok(waits),
            Err(error) => match error.downcast_ref() {
                Some(Error::OutOfMemory {
                    wanted, available, ..
                }) => store.relieve(*wanted, *available),
                _ => return Err(error),
            },
        };
        std::thread::sleep(Duration::from_millis(5));
    }
    Err("a full database does not take deletions".into())
}

fn delete(store: &Store, from: i64, end: i64) -> Result<()> {
    let mut transaction = store.begin()?;
    transaction.begin_command();
    let table = users(&transaction)?;
    let view = transaction.view();
    for id in from..end {
        let key = [ValueRef::BigInt(id)];
        let row = view.find(&table, &table.indexes[0], &key, |row, _| row);
        transaction.delete(&table, row.ok_or("a row is lost")?)?;
    }
    drop(view);
    transaction.commit()?;
    Ok(())
}

fn count(store: &Store) -> Result<i64> {
    let transaction = store.begin()?;
    let table = users(&transaction)?;
    let mut scan = transaction.view().scan(&table, &[ID], &[], 1024);
    let mut rows = 0;
    while let Some(batch) = scan.next()? {
        rows += batch.rows as i64;
    }
    Ok(rows)
}
