//! Random transactions from many threads, and whether what they saw can be explained; see
//! [`remora_tests::history`].
//!
//! ```text
//! cargo run --release -p remora-tests -- history --transactions 1000000 [--level snapshot]
//!     [--threads 4] [--seed N]
//! ```
//!
//! Without a level both are tried, each with so many transactions; without a number of threads 2 to
//! 8, in turn.

use crate::Result;
use crate::arguments::Arguments;
use remora_tests::history::{self, Level, Tally};
use remora_tests::random::Random;

/// Transactions of one history: few enough for their dependencies to be held at once.
const ROUND: u64 = 10_000;

pub(crate) fn run(mut arguments: Arguments) -> Result<()> {
    let level: Option<String> = arguments.value("--level")?;
    let levels = match level.as_deref() {
        None => vec![Level::Serializable, Level::Snapshot],
        Some("serializable") => vec![Level::Serializable],
        Some("snapshot") => vec![Level::Snapshot],
        Some(other) => return Err(format!("unknown level {other}").into()),
    };
    let threads: Option<usize> = arguments.value("--threads")?;
    let transactions = arguments.value_or("--transactions", 100_000_u64)?;
    let first = arguments.value_or("--seed", Random::seed())?;
    arguments.end()?;
    for level in levels {
        let mut sum = Tally::default();
        for round in 0..transactions.div_ceil(ROUND) {
            let seed = first.wrapping_add(round);
            let threads = threads.unwrap_or(2 + round as usize % 7);
            let tally = history::run(level, threads, ROUND, seed)
                .map_err(|error| format!("{level:?}, {threads} threads, seed {seed}: {error}"))?;
            sum.add(tally);
        }
        println!("{level:?}, seeds from {first}: {sum}");
    }
    Ok(())
}
