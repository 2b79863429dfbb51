//! Rows by primary key: what an insert, a point read and an update cost, on one core and on two.
//!
//! Each round begins with an empty table, loads it and goes on with it. Rows and keys are made
//! beforehand. *Dependent* reads draw their key from the row read before, so that nothing of one
//! can overlap the next. *One a transaction* begins and commits for every row.
//!
//! For a profiler, `--only N` does the N-th of the works on one thread and nothing else but what it
//! needs; with the number after the last one, only what two threads do.

use crate::Result;
use crate::options::Options;
use crate::random::Random;
use crate::spread::Spread;
use crate::table::{CREATED_AT, SCORE, insert_all, store, users};
use crate::timer::Timer;
use crate::users::{User, user};
use remora_storage::catalog::TableEntry;
use remora_storage::transaction::Columns;
use remora_storage::{Store, StoreOptions, Transaction, ValueRef};
use std::sync::Arc;
use std::thread;
use std::time::Instant;

/// Operations in one transaction, unless it has one only.
const BATCH: usize = 1000;
/// Updates that each row has had when updates are measured again.
const AGE: usize = 10;

/// What a round works on.
struct Round<'a> {
    store: Store,
    users: &'a [User],
    /// Random keys, as many as there are rows.
    keys: Vec<i64>,
}

/// What is timed; it returns the number of rows.
type Work = fn(&Round<'_>) -> Result<usize>;

/// In this order: what comes later finds the table as those before have left it.
const WORKS: &[(&str, Work)] = &[
    ("insert", |round| insert(round, BATCH)),
    ("point read", |round| read(round, BATCH)),
    ("point read, dependent", dependent_read),
    ("point read, one a transaction", |round| read(round, 1)),
    ("update", |round| update(round, BATCH)),
    ("update, one a transaction", |round| update(round, 1)),
];

/// What two threads do together.
const PAIRS: &[(&str, Work)] = &[
    ("insert", |round| insert(round, BATCH)),
    ("point read", |round| read(round, BATCH)),
    ("update", |round| update(round, BATCH)),
];

#[derive(Default)]
struct Report(Vec<(String, Spread)>);

impl Report {
    fn print(&self) {
        for (name, spread) in &self.0 {
            println!("| {name} | {spread} |");
        }
    }

    fn add(&mut self, name: &str, figure: f64) {
        match self.0.iter_mut().find(|(found, _)| found == name) {
            Some((_, spread)) => spread.add(figure),
            None => {
                let mut spread = Spread::default();
                spread.add(figure);
                self.0.push((name.to_owned(), spread));
            }
        }
    }
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let rows = options.number("rows", 1_000_000) as usize;
    let rounds = options.number("rounds", 5);
    let age = options.number("age", AGE as u64) as usize;
    let only = options.number("only", 0) as usize;
    let users: Vec<User> = (0..rows as i64).map(user).collect();
    let mut report = Report::default();
    if only == WORKS.len() + 1 {
        for seed in 0..rounds {
            pairs(&users, seed, &mut report)?;
        }
        report.print();
        return Ok(());
    }
    if let Some(at) = only.checked_sub(1).filter(|at| *at < WORKS.len()) {
        let (name, work) = &WORKS[at];
        let mut round = Round::new(&users, 0)?;
        if at > 0 {
            insert(&round, BATCH)?;
        }
        for _ in 0..rounds {
            report.add(name, speed(|| work(&round))?);
            if at == 0 {
                round = Round::new(&users, 0)?;
            }
        }
        report.print();
        return Ok(());
    }
    for seed in 0..rounds {
        let round = Round::new(&users, seed)?;
        for (name, work) in WORKS {
            report.add(name, speed(|| work(&round))?);
        }
        let aged = format!("update, after {age} a row");
        for _ in 0..age.saturating_sub(2) {
            update(&round, BATCH)?;
        }
        report.add(&aged, speed(|| update(&round, BATCH))?);
        drop(round);
        let round = Round::new(&users, seed)?;
        report.add("insert, one a transaction", speed(|| insert(&round, 1))?);
        drop(round);
        pairs(&users, seed, &mut report)?;
    }
    println!("{rows} rows, {rounds} rounds, {BATCH} rows a transaction, million rows a second");
    report.print();
    Ok(())
}

/// The speed of two threads, each with half of the rows, beside that of one.
fn pairs(users: &[User], seed: u64, report: &mut Report) -> Result<()> {
    let one = Round::new(users, seed)?;
    let two = store(StoreOptions::default())?;
    let (low, high) = users.split_at(users.len() / 2);
    let halves = [Round::with(&two, low, seed), Round::with(&two, high, seed)];
    for (name, work) in PAIRS {
        let start = Instant::now();
        let alone = speed(|| work(&one))?;
        let alone_wall = start.elapsed();
        let start = Instant::now();
        let together: f64 = thread::scope(|scope| {
            let threads = halves.each_ref().map(|half| {
                let work = || speed(|| work(half)).map_err(|error| error.to_string());
                scope.spawn(work)
            });
            let speeds = threads.map(|thread| thread.join().map_err(|_| "a thread has panicked"));
            let mut sum = 0.0;
            for speed in speeds {
                sum += speed??;
            }
            Ok::<f64, Box<dyn std::error::Error>>(sum)
        })?;
        // Both did the same number of rows. Waiting for each other shows by the wall clock only,
        // which in turn counts whatever else the machine does.
        let by_wall = alone_wall.as_secs_f64() / start.elapsed().as_secs_f64();
        report.add(&format!("{name}, two threads to one"), together / alone);
        report.add(&format!("{name}, two to one by the wall"), by_wall);
    }
    Ok(())
}

/// Million rows a second of this thread's time on its core.
fn speed(work: impl FnOnce() -> Result<usize>) -> Result<f64> {
    let timer = Timer::start();
    let rows = work()?;
    Ok(rows as f64 / 1e6 / timer.seconds())
}

impl<'a> Round<'a> {
    fn new(users: &'a [User], seed: u64) -> Result<Self> {
        Ok(Self::with(&store(StoreOptions::default())?, users, seed))
    }

    fn with(store: &Store, users: &'a [User], seed: u64) -> Self {
        let mut random = Random::new(seed);
        let mut key = || users[random.below(users.len() as u64) as usize].id;
        Self {
            store: store.clone(),
            keys: users.iter().map(|_| key()).collect(),
            users,
        }
    }

    /// Calls `work` with parts of the keys, a transaction each.
    fn in_batches(
        &self,
        batch: usize,
        mut work: impl FnMut(&mut Transaction, &Arc<TableEntry>, &[i64]) -> Result<()>,
    ) -> Result<usize> {
        for keys in self.keys.chunks(batch) {
            let mut transaction = self.store.begin()?;
            transaction.begin_command();
            let table = users(&transaction)?;
            work(&mut transaction, &table, keys)?;
            transaction.commit()?;
        }
        Ok(self.keys.len())
    }
}

fn insert(round: &Round<'_>, batch: usize) -> Result<usize> {
    for users in round.users.chunks(batch) {
        insert_all(&round.store, users)?;
    }
    Ok(round.users.len())
}

fn read(round: &Round<'_>, batch: usize) -> Result<usize> {
    round.in_batches(batch, |transaction, table, keys| {
        let mut sum = 0.0;
        for key in keys {
            let key = [ValueRef::BigInt(*key)];
            let found = transaction.find(
                table,
                &table.indexes[0],
                &key,
                Columns::of([SCORE]),
                |_, row| double(row.get(SCORE)),
            );
            sum += found.ok_or("a row is missing")?;
        }
        std::hint::black_box(sum);
        Ok(())
    })
}

/// The next key is the sum of a random one and the one before, as its row says it.
fn dependent_read(round: &Round<'_>) -> Result<usize> {
    let rows = round.users.len() as i64;
    let mut last = 0;
    round.in_batches(BATCH, |transaction, table, keys| {
        for key in keys {
            let key = [ValueRef::BigInt((*key + last) % rows)];
            let found = transaction.find(
                table,
                &table.indexes[0],
                &key,
                Columns::of([CREATED_AT]),
                |_, row| double(row.get(CREATED_AT)),
            );
            last = found.ok_or("a row is missing")? as i64;
        }
        Ok(())
    })
}

fn update(round: &Round<'_>, batch: usize) -> Result<usize> {
    round.in_batches(batch, |transaction, table, keys| {
        for key in keys {
            let key = [ValueRef::BigInt(*key)];
            let found = transaction.find_to_change(table, &table.indexes[0], &key, |id, row| {
                Ok::<_, remora_storage::Error>(Some((id, double(row.get(SCORE)))))
            });
            let (row, score) = found?.ok_or("a row is missing")?;
            let changes = [(SCORE, ValueRef::Double(score + 1.0))];
            transaction.update(table, row, &changes)?;
        }
        Ok(())
    })
}

fn double(value: ValueRef<'_>) -> f64 {
    match value {
        ValueRef::Double(value) => value,
        _ => f64::NAN,
    }
}
