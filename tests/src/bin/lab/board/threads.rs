//! Two threads: how rates and latencies change when a second thread works on the same database.
//!
//! 1. *Scaling*: each of two threads has a connection and a session of the row. The figure is the rate
//!    of both to that of one. Threads of rows that write have keys of their own.
//! 2. *The bare loop* computes and uses no memory. Its scaling is the limit of the machine: processors
//!    that share a core, or other programs, keep it below two.
//! 3. *Beside a writer*: a thread selects by key while another one updates rows as fast as it can.
//!
//! SQLite has no part here: a database in memory has one connection, which threads would lock.

use super::draw::{Keys, Share, draws};
use super::engines::Engine;
use super::measure::{Latencies, Latency, Spread, rate};
use super::work::{Distribution, Operation, Row};
use crate::Result;
use crate::peers::Remora;
use remora::Database;
use remora_tests::random::Random;
use std::hint::black_box;
use std::sync::Barrier;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

const THREADS: u64 = 2;
/// Steps of the bare loop between two looks at the clock, some tens of microseconds.
const STEPS: u64 = 1 << 15;

/// A round of two threads.
#[derive(Debug)]
pub(super) struct Pair {
    /// Operations a second of both.
    pub(super) rate: f64,
    pub(super) latencies: Latencies,
}

/// Runs `work` on so many threads, and returns the results of all.
fn together<T: Send>(threads: u64, work: impl Fn(u64) -> Result<T> + Sync) -> Result<Vec<T>> {
    std::thread::scope(|scope| {
        let work = &work;
        let handles: Vec<_> = (0..threads)
            .map(|thread| scope.spawn(move || work(thread).map_err(|error| error.to_string())))
            .collect();
        let mut results = Vec::new();
        for handle in handles {
            results.push(handle.join().map_err(|_| "a thread panicked")??);
        }
        Ok(results)
    })
}

/// Connects to the database, with the row's setting.
pub(super) fn connect(database: &Database, row: &Row) -> Result<Remora> {
    let remora = Remora(database.connect()?);
    if let Some(setting) = row.setting {
        remora.0.execute_batch(setting)?;
    }
    Ok(remora)
}

/// Runs the row on two threads at once, `seconds` for the rate and half of it for latencies.
pub(super) fn pair(
    database: &Database,
    row: &Row,
    keys: &Keys,
    rows: i64,
    seconds: f64,
    seed: u64,
) -> Result<Pair> {
    let barrier = Barrier::new(THREADS as usize);
    let parts = together(THREADS, |thread| {
        let share = Share {
            thread,
            threads: THREADS,
        };
        let draws = draws(row, keys, share, &mut Random::new(seed ^ (thread << 32)));
        let remora = connect(database, row);
        let session = match &remora {
            Ok(remora) => remora.session(row.operation, share.first_fresh(rows)),
            Err(error) => Err(error.to_string().into()),
        };
        // Errors are returned only after the last barrier: the other thread must not wait for ever.
        barrier.wait();
        let measured = session.and_then(|session| {
            let mut session = session.ok_or("Remora lacks an operation")?;
            let rate = rate(&mut session, &draws, seconds)?;
            Ok((rate, session))
        });
        barrier.wait();
        let (rate, mut session) = measured?;
        let mut latencies = Latencies::new()?;
        latencies.record(&mut session, &draws, seconds / 2.0)?;
        Ok((rate, latencies))
    })?;
    let mut pair = Pair {
        rate: 0.0,
        latencies: Latencies::new()?,
    };
    for (rate, latencies) in parts {
        pair.rate += rate;
        pair.latencies.add(&latencies)?;
    }
    Ok(pair)
}

/// Returns the rate of a loop without memory on two threads to that on one.
pub(super) fn bare_scaling(seconds: f64) -> Result<f64> {
    let run = |threads| -> Result<f64> {
        let barrier = Barrier::new(threads as usize);
        let rates = together(threads, |thread| {
            barrier.wait();
            Ok(bare_rate(thread, seconds))
        })?;
        Ok(rates.iter().sum())
    };
    Ok(run(THREADS)? / run(1)?)
}

fn bare_rate(seed: u64, seconds: f64) -> f64 {
    let wanted = Duration::from_secs_f64(seconds);
    let (start, mut done) = (Instant::now(), 0_u64);
    let mut random = Random::new(seed);
    loop {
        for _ in 0..STEPS {
            black_box(random.bits());
        }
        done += STEPS;
        let elapsed = start.elapsed();
        if elapsed >= wanted {
            return done as f64 / elapsed.as_secs_f64();
        }
    }
}

/// A point select without a writer and beside one.
#[derive(Debug)]
pub(super) struct BesideWriter {
    pub(super) rows: i64,
    pub(super) without: Latency,
    pub(super) beside: Latency,
    /// Updates a second meanwhile.
    pub(super) updates: Spread,
}

const READER: Row = Row {
    name: "reader",
    operation: Operation::ReadOne,
    keys: Distribution::Uniform,
    setting: None,
};

const WRITER: Row = Row {
    name: "writer",
    operation: Operation::Update,
    ..READER
};

/// Measures a point select in rounds, without a writer and beside one in turn.
pub(super) fn beside_writer(
    database: &Database,
    rows: i64,
    rounds: usize,
    seconds: f64,
    random: &mut Random,
) -> Result<BesideWriter> {
    let keys = Keys::new(Distribution::Uniform, rows);
    let remora = connect(database, &READER)?;
    let mut reader = remora
        .session(READER.operation, rows)?
        .ok_or("Remora lacks an operation")?;
    let (mut without, mut beside) = (Latencies::new()?, Latencies::new()?);
    let mut updates = Vec::new();
    for _ in 0..rounds {
        let reads = draws(&READER, &keys, Share::ALL, random);
        without.record(&mut reader, &reads, seconds)?;
        let (started, stop) = (AtomicBool::new(false), AtomicBool::new(false));
        let seed = random.bits();
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                let written = write(database, &keys, seed, &started, &stop);
                started.store(true, Relaxed);
                written.map_err(|error| error.to_string())
            });
            while !started.load(Relaxed) {
                std::thread::yield_now();
            }
            let read = beside.record(&mut reader, &reads, seconds);
            stop.store(true, Relaxed);
            updates.push(writer.join().map_err(|_| "the writer panicked")??);
            read
        })?;
    }
    Ok(BesideWriter {
        rows,
        without: without.percentiles(),
        beside: beside.percentiles(),
        updates: Spread::of(updates),
    })
}

/// Updates rows until it is stopped, and returns how many in a second.
fn write(
    database: &Database,
    keys: &Keys,
    seed: u64,
    started: &AtomicBool,
    stop: &AtomicBool,
) -> Result<f64> {
    let draws = draws(&WRITER, keys, Share::ALL, &mut Random::new(seed));
    let remora = connect(database, &WRITER)?;
    let mut session = remora
        .session(WRITER.operation, 0)?
        .ok_or("Remora lacks an operation")?;
    started.store(true, Relaxed);
    let (start, mut done) = (Instant::now(), 0_u64);
    for draw in draws.iter().cycle() {
        if stop.load(Relaxed) {
            break;
        }
        session(draw)?;
        done += 1;
    }
    Ok(done as f64 / start.elapsed().as_secs_f64())
}
