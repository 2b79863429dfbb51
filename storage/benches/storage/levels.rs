//! What serializability costs beside snapshot isolation, in rounds of one and the other.
//!
//! - `empty`: a transaction that does nothing; `point`: one that reads a row by key.
//! - `mix`: four operations on random rows, of which 5 % are updates and the others reads.
//! - `order`: reads a row that everybody reads and somebody else changes (in another column), changes one of
//!   ten rows, reads ten rows, changes ten and adds eleven: what TPC-C's new order does.
//!
//! A transaction that fails is run again, and counted.

use crate::Result;
use crate::options::Options;
use crate::random::Random;
use crate::spread::Spread;
use crate::table::{AGE, CREATED_AT, SCORE, load, store, users};
use crate::timer::Timer;
use crate::users::user;
use remora_storage::transaction::{Columns, RowRef};
use remora_storage::{
    Isolation, RowId, Store, StoreOptions, Transaction, TransactionOptions, ValueRef,
};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Instant;

const LEVELS: [(&str, Isolation); 2] = [
    ("serializable", Isolation::Serializable),
    ("snapshot", Isolation::Snapshot),
];
/// Operations of a transaction of the mix.
const OPERATIONS: usize = 4;
/// Of a hundred operations of the mix.
const UPDATES: u64 = 5;
const LINES: usize = 10;

pub(crate) fn run(options: &Options) -> Result<()> {
    let rows = options.number("rows", 100_000) as i64;
    let rounds = options.number("rounds", 11);
    let transactions = options.number("transactions", 20_000) as i64;
    let work = Work {
        store: store(StoreOptions::default())?,
        rows,
        transactions,
        next: AtomicI64::new(rows),
        aborts: AtomicU64::new(0),
    };
    load(&work.store, 0, rows)?;
    type Job = fn(&Work, &mut Transaction, &mut Random) -> Result<()>;
    let jobs: [(&str, usize, Job); 6] = [
        ("empty", 1, |_, _, _| Ok(())),
        ("point", 1, |work, tx, random| {
            read(tx, work.key(random), Columns::of([SCORE]))
        }),
        ("mix", 1, Work::mix),
        ("mix", 2, Work::mix),
        ("order", 1, Work::order),
        ("order", 2, Work::order),
    ];
    for (name, threads, job) in jobs {
        let mut nanos = [Spread::default(), Spread::default()];
        let mut ratio = Spread::default();
        let mut aborts = [0; 2];
        for round in 0..rounds {
            let mut seconds = [0.0; 2];
            for turn in 0..2 {
                // Each goes first in every other round.
                let at = (turn + round as usize) % 2;
                work.aborts.store(0, Ordering::Relaxed);
                seconds[at] = work.round(threads, LEVELS[at].1, round, job)?;
                aborts[at] += work.aborts.load(Ordering::Relaxed);
                nanos[at].add(seconds[at] * 1e9 / work.transactions as f64);
            }
            ratio.add(seconds[0] / seconds[1]);
        }
        println!("{name}, threads: {threads}");
        for at in 0..2 {
            let (level, nanos, aborts) = (LEVELS[at].0, &nanos[at], aborts[at]);
            println!("  {level:13} {nanos} ns a transaction, run again: {aborts}");
        }
        println!("  ratio         {ratio}");
    }
    Ok(())
}

struct Work {
    store: Store,
    rows: i64,
    /// Of each thread in a round.
    transactions: i64,
    /// The number of the next row to be added.
    next: AtomicI64,
    aborts: AtomicU64,
}

impl Work {
    /// Seconds that threads take for their transactions.
    fn round(
        &self,
        threads: usize,
        isolation: Isolation,
        seed: u64,
        job: fn(&Self, &mut Transaction, &mut Random) -> Result<()>,
    ) -> Result<f64> {
        let thread = |number: usize| {
            let mut random = Random::new(seed * 16 + number as u64 + 1);
            (0..self.transactions).try_for_each(|_| self.run(isolation, &mut random, job))
        };
        if threads == 1 {
            let timer = Timer::start();
            thread(0)?;
            return Ok(timer.seconds());
        }
        let start = Instant::now();
        std::thread::scope(|scope| {
            let work = |number| move || thread(number).map_err(|error| error.to_string());
            let others: Vec<_> = (0..threads).map(|n| scope.spawn(work(n))).collect();
            others
                .into_iter()
                .try_for_each(|other| other.join().map_err(|_| "a panic".to_owned())?)
        })?;
        Ok(start.elapsed().as_secs_f64())
    }

    fn run(
        &self,
        isolation: Isolation,
        random: &mut Random,
        job: fn(&Self, &mut Transaction, &mut Random) -> Result<()>,
    ) -> Result<()> {
        let options = TransactionOptions {
            isolation,
            ..TransactionOptions::default()
        };
        loop {
            let mut transaction = self.store.begin_with(options)?;
            let done = job(self, &mut transaction, random);
            let done = done.and_then(|()| Ok(transaction.commit().map(drop)?));
            match done {
                Err(error) if is_conflict(&*error) => {
                    self.aborts.fetch_add(1, Ordering::Relaxed);
                }
                other => return other,
            }
        }
    }

    fn key(&self, random: &mut Random) -> i64 {
        random.below(self.rows as u64) as i64
    }

    fn mix(&self, transaction: &mut Transaction, random: &mut Random) -> Result<()> {
        for _ in 0..OPERATIONS {
            let key = self.key(random);
            match random.below(100) < UPDATES {
                true => add_one(transaction, key)?,
                false => read(transaction, key, Columns::of([SCORE]))?,
            }
        }
        Ok(())
    }

    fn order(&self, transaction: &mut Transaction, random: &mut Random) -> Result<()> {
        // Somebody pays, now and then: the row that all orders read changes, in another column.
        if random.below(4) == 0 {
            return add_one(transaction, 0);
        }
        read(transaction, 0, Columns::of([AGE]))?;
        add_one(transaction, 1 + random.below(10) as i64)?;
        for _ in 0..LINES {
            let key = self.key(random);
            read(transaction, key, Columns::of([AGE, CREATED_AT]))?;
        }
        for _ in 0..LINES {
            add_one(transaction, 11 + self.key(random) % (self.rows - 11))?;
        }
        let first = self.next.fetch_add(1 + LINES as i64, Ordering::Relaxed);
        let table = users(transaction)?;
        transaction.begin_command();
        for number in first..=first + LINES as i64 {
            let user = user(number);
            transaction.insert(&table, &crate::table::values(&user))?;
        }
        Ok(())
    }
}

fn is_conflict(error: &(dyn std::error::Error + 'static)) -> bool {
    let error = error.downcast_ref::<remora_storage::Error>();
    error.is_some_and(remora_storage::Error::is_retryable)
}

fn read(transaction: &mut Transaction, key: i64, columns: Columns) -> Result<()> {
    transaction.begin_command();
    let table = users(transaction)?;
    let key = [ValueRef::BigInt(key)];
    let found = transaction.find(&table, &table.indexes[0], &key, columns, |_, row| {
        std::hint::black_box(row.get(SCORE).is_null())
    });
    found.map(drop).ok_or("a row is missing".into())
}

fn add_one(transaction: &mut Transaction, key: i64) -> Result<()> {
    transaction.begin_command();
    let table = users(transaction)?;
    let key = [ValueRef::BigInt(key)];
    let read = |id: RowId, row: &RowRef<'_>| {
        let score = match row.get(SCORE) {
            ValueRef::Double(score) => score,
            _ => 0.0,
        };
        Ok::<_, remora_storage::Error>(Some((id, score)))
    };
    let found = transaction.find_to_change(&table, &table.indexes[0], &key, read)?;
    let (row, score) = found.ok_or("a row is missing")?;
    transaction.update(&table, row, &[(SCORE, ValueRef::Double(score + 1.0))])?;
    Ok(())
}
