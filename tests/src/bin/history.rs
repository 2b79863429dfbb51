//! Random transactions from many threads, and whether what they saw can be explained; see
//! [`remora_tests::history`].
//!
//! ```text
//! cargo run --release -p remora-tests --bin history -- --transactions 1000000 [--level snapshot]
//!     [--threads 4] [--seed N]
//! ```
//!
//! Without a level both are tried, each with so many transactions; without a number of threads 2 to
//! 8, in turn.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command reports to its terminal"
)]

use remora_tests::history::{self, Level, Tally};
use remora_tests::random::Random;
use std::process::ExitCode;

/// Transactions of one history: few enough for their dependencies to be held at once.
const ROUND: u64 = 10_000;

struct Arguments {
    levels: Vec<Level>,
    threads: Option<usize>,
    transactions: u64,
    seed: u64,
}

fn main() -> ExitCode {
    match arguments().and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("history: {error}");
            ExitCode::FAILURE
        }
    }
}

fn arguments() -> Result<Arguments, Box<dyn std::error::Error>> {
    let mut found = Arguments {
        levels: vec![Level::Serializable, Level::Snapshot],
        threads: None,
        transactions: 100_000,
        seed: Random::seed(),
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments
            .next()
            .ok_or_else(|| format!("{name} needs a value"))?;
        match (name.as_str(), value.as_str()) {
            ("--level", "serializable") => found.levels = vec![Level::Serializable],
            ("--level", "snapshot") => found.levels = vec![Level::Snapshot],
            ("--threads", _) => found.threads = Some(value.parse()?),
            ("--transactions", _) => found.transactions = value.parse()?,
            ("--seed", _) => found.seed = value.parse()?,
            _ => return Err(format!("unknown option {name} {value}").into()),
        }
    }
    Ok(found)
}

fn run(arguments: Arguments) -> Result<(), Box<dyn std::error::Error>> {
    for level in arguments.levels {
        let mut sum = Tally::default();
        for round in 0..arguments.transactions.div_ceil(ROUND) {
            let seed = arguments.seed.wrapping_add(round);
            let threads = arguments.threads.unwrap_or(2 + round as usize % 7);
            let tally = history::run(level, threads, ROUND, seed)
                .map_err(|error| format!("{level:?}, {threads} threads, seed {seed}: {error}"))?;
            sum.add(tally);
        }
        println!("{level:?}, seeds from {}: {sum}", arguments.seed);
    }
    Ok(())
}
