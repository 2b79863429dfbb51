//! Churn: whether memory comes back, round after round.
//!
//! A round inserts rows of random sizes, updates a third of them to other sizes, and deletes all.
//! After some rounds the process must be as large as before, and the ledger must say how large that
//! is, while the rows are there and when they are gone. With `--stays N` one row in N stays for a round more,
//! and keeps its block.

use crate::Result;
use crate::options::Options;
use crate::random::Random;
use crate::resident::resident;
use crate::table::{named, settle, store_of};
use remora_storage::catalog::TableEntry;
use remora_storage::{ColumnId, DataType, RowId, Store, StoreOptions, Transaction, ValueRef};
use std::sync::Arc;

/// Rows a transaction.
const BATCH: usize = 1000;
/// The round with which the last one is compared.
const FIRST: u64 = 10;
/// How much the process may have grown since, in percent.
const GROWTH: f64 = 10.0;
/// How far the ledger may be from the process's growth since the start, in percent.
const HONESTY: f64 = 5.0;

const COLUMNS: [(&str, DataType); 3] = [
    ("key", DataType::BigInt),
    ("short", DataType::Text),
    ("long", DataType::Text),
];
/// The last of them.
const LONG: ColumnId = ColumnId(2);

/// Sizes at one moment, in bytes.
#[derive(Clone, Copy)]
struct Sizes {
    resident: u64,
    ledger: u64,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let rows = options.number("rows", 200_000) as usize;
    let rounds = options.number("rounds", 100).max(2);
    let mut churn = Churn {
        random: Random::new(options.number("seed", 1)),
        text: "0123456789abcdef".repeat(256),
        next: 0,
        stays: options.number("stays", 0),
        // Written to, so that it counts among what was there before.
        live: vec![RowId(1); rows * 2],
    };
    churn.live.clear();
    // A database that comes and goes brings in the program's own pages, which are no data.
    let warm = store()?;
    churn.insert(&warm, BATCH)?;
    churn.update(&warm, BATCH / 3)?;
    churn.delete(&warm)?;
    churn.live.clear();
    drop(warm);
    let before = resident()?;
    let store = store()?;
    let first = FIRST.min(rounds / 2);
    let mut then = None;
    println!("{rows} rows a round, sizes in MiB");
    println!("| round | rows | resident | since the start | ledger | full: resident | ledger |");
    for round in 1..=rounds {
        churn.insert(&store, rows)?;
        churn.update(&store, rows / 3)?;
        let full = sizes(&store)?;
        churn.delete(&store)?;
        settle(&store);
        let now = sizes(&store)?;
        if round == first {
            then = Some((now, full));
        }
        if round.is_power_of_two() || round % 10 == 0 || round == rounds {
            let row = [
                now.resident,
                now.resident - before,
                now.ledger,
                full.resident,
                full.ledger,
            ];
            let row = row
                .map(|bytes| format!("{:.1}", mebibytes(bytes)))
                .join(" | ");
            println!("| {round} | {} | {row} |", churn.live.len());
        }
        if round == rounds {
            let (then, then_full) = then.ok_or("no round to compare with")?;
            return judge(before, (then, then_full), (now, full));
        }
    }
    Ok(())
}

fn judge(before: u64, then: (Sizes, Sizes), now: (Sizes, Sizes)) -> Result<()> {
    let grown = |then: Sizes, now: Sizes| percent(now.resident, then.resident);
    let growth = |sizes: Sizes| sizes.resident.saturating_sub(before);
    let apart = |sizes: Sizes| percent(sizes.ledger, growth(sizes).max(1));
    println!(
        "without rows: the process has grown by {:.1} MiB, the ledger says {:.1}",
        mebibytes(growth(now.0)),
        mebibytes(now.0.ledger)
    );
    let lines = [
        (
            "process, last round over round 10",
            grown(then.0, now.0),
            GROWTH,
        ),
        (
            "the same before rows are deleted",
            grown(then.1, now.1),
            GROWTH,
        ),
        ("ledger over the process's growth", apart(now.0), HONESTY),
        ("the same before rows are deleted", apart(now.1), HONESTY),
    ];
    let mut failed = false;
    for (what, percent, limit) in lines {
        let passed = percent.abs() <= limit;
        failed |= !passed;
        let verdict = if passed { "pass" } else { "FAIL" };
        println!("{verdict}: {what}: {percent:+.1} %, limit {limit} %");
    }
    match failed {
        true => Err("memory does not come back, or is not accounted for".into()),
        false => Ok(()),
    }
}

fn percent(one: u64, other: u64) -> f64 {
    (one as f64 / other.max(1) as f64 - 1.0) * 100.0
}

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

fn sizes(store: &Store) -> Result<Sizes> {
    Ok(Sizes {
        resident: resident()?,
        ledger: store.ledger().used(),
    })
}

struct Churn {
    random: Random,
    text: String,
    next: i64,
    stays: u64,
    live: Vec<RowId>,
}

impl Churn {
    /// Mostly short, sometimes long.
    fn text(&mut self) -> std::ops::Range<usize> {
        let kind = self.random.bits().trailing_zeros().min(3);
        let most = [16, 64, 256, 4096][kind as usize];
        let length = self.random.below(most) as usize;
        let start = self.random.below((self.text.len() - length) as u64 + 1) as usize;
        start..start + length
    }

    fn insert(&mut self, store: &Store, rows: usize) -> Result<()> {
        for batch in 0..rows.div_ceil(BATCH) {
            let mut transaction = store.begin()?;
            transaction.begin_command();
            let table = churned(&transaction)?;
            for _ in 0..BATCH.min(rows - batch * BATCH) {
                let (short, long) = (self.text(), self.text());
                let values = [
                    ValueRef::BigInt(self.next),
                    ValueRef::Text(&self.text[short]),
                    ValueRef::Text(&self.text[long]),
                ];
                self.live.push(transaction.insert(&table, &values)?);
                self.next += 1;
            }
            transaction.commit()?;
        }
        Ok(())
    }

    fn update(&mut self, store: &Store, rows: usize) -> Result<()> {
        for _ in 0..rows.div_ceil(BATCH) {
            let mut transaction = store.begin()?;
            for _ in 0..BATCH {
                // A command of its own, since a row may be drawn twice.
                transaction.begin_command();
                let table = churned(&transaction)?;
                let row = self.live[self.random.below(self.live.len() as u64) as usize];
                let long = self.text();
                transaction.update(&table, row, &[(LONG, ValueRef::Text(&self.text[long]))])?;
            }
            transaction.commit()?;
        }
        Ok(())
    }

    fn delete(&mut self, store: &Store) -> Result<()> {
        let mut stay = 0;
        for start in (0..self.live.len()).step_by(BATCH) {
            let mut transaction = store.begin()?;
            transaction.begin_command();
            let table = churned(&transaction)?;
            for at in start..self.live.len().min(start + BATCH) {
                let row = self.live[at];
                if self.stays > 0 && self.random.below(self.stays) == 0 {
                    self.live[stay] = row;
                    stay += 1;
                } else {
                    transaction.delete(&table, row)?;
                }
            }
            transaction.commit()?;
        }
        self.live.truncate(stay);
        Ok(())
    }
}

fn churned(transaction: &Transaction) -> Result<Arc<TableEntry>> {
    named(transaction, "churned")
}

fn store() -> Result<Store> {
    store_of("churned", &COLUMNS, StoreOptions::default())
}
