//! Benchmarks of the storage floor, without SQL: what rows, indexes, scans and memory cost.
//!
//! ```text
//! cargo bench -p remora-storage --bench storage -- NAME [--rows N] [--rounds N]
//! ```
//!
//! Each measures in rounds and prints the median with the least and the greatest. What is said to
//! be faster or smaller than a peer is measured beside that peer in the same round.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command reports to its terminal"
)]

mod build;
mod checkpoint;
mod churn;
mod compact;
mod frozen;
mod full;
mod index;
mod levels;
mod options;
mod pool;
#[allow(dead_code, unreachable_pub, reason = "shared with the tests crate")]
#[path = "../../../tests/src/random.rs"]
mod random;
mod range;
mod recovery;
mod resident;
mod rows;
mod scan;
mod spread;
mod table;
mod timer;
#[allow(dead_code, unreachable_pub, reason = "shared with the tests crate")]
#[path = "../../../tests/src/users.rs"]
mod users;

use options::Options;
use std::process::ExitCode;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// A benchmark: its name, what it shows, and how it is run.
type Bench = (&'static str, &'static str, fn(&Options) -> Result<()>);

const BENCHES: &[Bench] = &[
    (
        "full",
        "what fits into a budget, what the process takes then, and rows that go and come",
        full::run,
    ),
    (
        "rows",
        "insert, point read and update by primary key, one thread and two",
        rows::run,
    ),
    (
        "levels",
        "what serializability costs beside snapshot isolation",
        levels::run,
    ),
    (
        "pool",
        "small pieces of memory, one thread and two, beside the system's allocator",
        pool::run,
    ),
    (
        "churn",
        "whether memory comes back when rows come and go, and the ledger says so",
        churn::run,
    ),
    (
        "index",
        "look-ups, inserts, scans and memory of the indexes, beside hash maps",
        index::run,
    ),
    (
        "frozen",
        "frozen columns beside plain Arrow arrays: bytes, scans, points",
        frozen::run,
    ),
    (
        "compact",
        "bytes a row, hot and frozen; what compaction gives back beside readers and writers",
        compact::run,
    ),
    (
        "scan",
        "sum of a column, filtered on another, over a whole table",
        scan::run,
    ),
    (
        "build",
        "making an index, alone and beside a writer of its table",
        build::run,
    ),
    (
        "checkpoint",
        "bytes of checkpoints after few changes, and how fast images load",
        checkpoint::run,
    ),
    (
        "range",
        "100 rows by primary key from a random one on",
        range::run,
    ),
    (
        "recovery",
        "replaying the log, kind by kind; with --open 1 opening from images",
        recovery::run,
    ),
];

fn main() -> ExitCode {
    let options = Options::from_arguments();
    let wanted = BENCHES.iter().find(|(name, ..)| *name == options.name);
    let Some((_, _, run)) = wanted else {
        for (name, about, _) in BENCHES {
            eprintln!("{name:12} {about}");
        }
        return ExitCode::FAILURE;
    };
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
