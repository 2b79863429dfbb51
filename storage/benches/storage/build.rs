//! An index is made: how long that takes, and what a writer of the table notices of it.
//!
//! A round makes an index over `score` alone, and beside a thread that commits one update of `score`
//! after the other. The writer's own pace without the index is its peer: commits a second that it
//! had on its core.

use crate::Result;
use crate::options::Options;
use crate::random::Random;
use crate::spread::Spread;
use crate::table::{SCORE, load, settle, store, users};
use crate::timer::Timer;
use remora_storage::catalog::{IndexDef, IndexKind};
use remora_storage::transaction::Columns;
use remora_storage::{Store, StoreOptions, ValueRef};
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// How long the writer writes for itself.
const ALONE: Duration = Duration::from_millis(500);

/// What a writer came to.
#[derive(Default)]
struct Written {
    commits: u64,
    conflicts: u64,
    longest: Duration,
    /// Seconds on its core.
    took: f64,
}

impl Written {
    fn a_second(&self) -> f64 {
        self.commits as f64 / self.took
    }
}

#[derive(Default)]
struct Figures {
    alone: Spread,
    beside: Spread,
    pace: Spread,
    longest: Spread,
    longest_alone: Spread,
    conflicts: u64,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let rows = options.number("rows", 1_000_000) as i64;
    let rounds = options.number("rounds", 5);
    let store = store(StoreOptions::default())?;
    load(&store, 0, rows)?;
    settle(&store);
    for kind in [IndexKind::Ordered, IndexKind::Hash] {
        let mut figures = Figures::default();
        for round in 0..rounds {
            figures.alone.add(make(&store, kind)?);
            settle(&store);
            let end = Instant::now() + ALONE;
            let quiet = write(&store, rows, round, || Instant::now() < end)?;
            let (done, mut took) = (AtomicBool::new(false), 0.0);
            let written = std::thread::scope(|scope| {
                let writer = || write(&store, rows, round, || !done.load(Relaxed)).ok();
                let writer = scope.spawn(writer);
                let made = make(&store, kind);
                done.store(true, Relaxed);
                took = made?;
                writer
                    .join()
                    .ok()
                    .flatten()
                    .ok_or("the writer failed".into())
            });
            let written: Written = written.map_err(|error: Box<dyn std::error::Error>| error)?;
            figures.beside.add(took);
            figures.pace.add(written.a_second() / quiet.a_second());
            figures.longest.add(written.longest.as_secs_f64() * 1e3);
            figures.longest_alone.add(quiet.longest.as_secs_f64() * 1e3);
            figures.conflicts += written.conflicts;
            settle(&store);
        }
        println!("{kind:?}, {rows} rows");
        println!("  ms alone                  {}", figures.alone);
        println!("  ms beside a writer        {}", figures.beside);
        println!("  the writer's pace         {} of its own", figures.pace);
        println!("  its longest commit, ms    {}", figures.longest);
        println!("  .. when it is alone       {}", figures.longest_alone);
        println!("  its conflicts             {}", figures.conflicts);
    }
    Ok(())
}

/// Makes an index and takes it back; milliseconds that the making took.
fn make(store: &Store, kind: IndexKind) -> Result<f64> {
    let mut transaction = store.begin()?;
    let mut def = IndexDef::new("made", users(&transaction)?.def.id, [SCORE]);
    def.kind = kind;
    let start = Instant::now();
    transaction.create_index(def)?;
    let took = start.elapsed();
    transaction.rollback();
    Ok(took.as_secs_f64() * 1e3)
}

/// Updates one random row a transaction.
fn write(store: &Store, rows: i64, seed: u64, goes_on: impl Fn() -> bool) -> Result<Written> {
    let mut random = Random::new(seed + 1);
    let mut written = Written::default();
    let start = Timer::start();
    while goes_on() {
        let id = random.below(rows as u64) as i64;
        let begun = Instant::now();
        let mut transaction = store.begin()?;
        transaction.begin_command();
        let table = users(&transaction)?;
        let key = [ValueRef::BigInt(id)];
        let row = transaction.find(&table, &table.indexes[0], &key, Columns::ALL, |row, _| row);
        let changes = [(SCORE, ValueRef::Double(random.below(1 << 40) as f64))];
        let changed = transaction.update(&table, row.ok_or("a row is gone")?, &changes);
        match changed.and_then(|_| transaction.commit()) {
            Ok(_) => written.commits += 1,
            Err(error) if error.is_retryable() => written.conflicts += 1,
            Err(error) => return Err(error.into()),
        }
        written.longest = written.longest.max(begun.elapsed());
    }
    written.took = start.seconds();
    Ok(written)
}
