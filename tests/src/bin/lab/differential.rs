//! Random statements on Remora, on Remora asked otherwise, and on SQLite; see [`remora_tests::differential`].
//!
//! ```text
//! cargo run --release -p remora-tests -- differential --queries 1000000 [--seed N] [--seconds N]
//!     [--large N] [--mistakes] [--verbose]
//! ```
//!
//! With `--large 100` a table of each round has a few thousand rows, so that indexes are worth using. With
//! `--mistakes` each of the mistakes made on purpose must be found; with `--verbose` the reasons why statements were
//! refused are printed.

use crate::Result;
use crate::arguments::Arguments;
use remora_tests::differential::{self, MISTAKES, Tally, notices};
use remora_tests::random::Random;
use std::time::{Duration, Instant};

/// Queries between two looks at the clock.
const SLICE: u64 = 2_000;
/// Within so many queries a mistake must be found.
const MISTAKE_QUERIES: u64 = 100_000;

struct Task {
    queries: u64,
    seed: u64,
    /// Rounds in a hundred that have a large table.
    large: u64,
    seconds: Option<Duration>,
    verbose: bool,
}

pub(crate) fn run(mut arguments: Arguments) -> Result<()> {
    let seconds = arguments.value("--seconds")?.map(Duration::from_secs);
    let queries = seconds.map_or(10_000, |_| u64::MAX);
    let task = Task {
        queries: arguments.value_or("--queries", queries)?,
        seed: arguments.value_or("--seed", Random::seed())?,
        large: arguments.value_or("--large", differential::LARGE)?,
        seconds,
        verbose: arguments.flag("--verbose"),
    };
    let mistakes = arguments.flag("--mistakes");
    arguments.end()?;
    match mistakes {
        true => find_mistakes(task.seed),
        false => compare(&task),
    }
}

fn compare(task: &Task) -> Result<()> {
    println!("seeds from {}", task.seed);
    let end = task.seconds.map(|seconds| Instant::now() + seconds);
    let mut sum = Tally::default();
    let mut seed = task.seed;
    while sum.queries < task.queries && end.is_none_or(|end| Instant::now() < end) {
        let wanted = SLICE.min(task.queries - sum.queries);
        let (tally, next) = differential::run(wanted, seed, task.large)?;
        sum.add(tally);
        seed = next;
    }
    println!("{sum}");
    if task.verbose {
        for (why, count) in &sum.refused {
            println!("{count:>8} {why}");
        }
    }
    Ok(())
}

fn find_mistakes(seed: u64) -> Result<()> {
    for mistake in MISTAKES {
        if !notices(MISTAKE_QUERIES, seed, *mistake)? {
            return Err(format!("not found: {}", mistake.name).into());
        }
        println!("found: {}", mistake.name);
    }
    Ok(())
}
