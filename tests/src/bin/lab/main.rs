//! The lab: everything about Remora that takes long, is random, or is measured.
//!
//! ```text
//! cargo run --release -p remora-tests -- TOOL [OPTIONS]
//! ```
//!
//! One program and not one for each tool, because each would be linked and optimised with the whole engine
//! again. Each tool has a file here, whose top says what it does and which options it takes.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command reports to its terminal"
)]

mod arguments;
mod beside;
mod board;
mod caches;
mod contention;
mod corpora;
mod counts;
mod crashlab;
mod differential;
mod durability;
mod expiry;
mod faults;
mod fulldisk;
mod history;
mod ids;
mod killtest;
mod kv;
mod leases;
mod limits;
mod long_values;
mod memory;
mod notifications;
mod once;
mod peers;
mod queue;
mod stranding;
mod tpch;

use arguments::Arguments;
use std::process::ExitCode;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// A tool: its name, what it does, and the function that does it.
type Tool = (&'static str, &'static str, fn(Arguments) -> Result<()>);

const TOOLS: [Tool; 26] = [
    ("beside", "another build of this lab, in turn", beside::run),
    (
        "budget",
        "what statements over long values take of memory",
        long_values::budget::run,
    ),
    (
        "caches",
        "what caches find, and what they take",
        caches::run,
    ),
    (
        "contention",
        "many threads on one row, beside SQLite",
        contention::run,
    ),
    (
        "corpora",
        "logic tests by others, against the lists of what passes",
        corpora::run,
    ),
    ("counts", "instructions of statements", counts::run),
    ("crashlab", "crashes on a simulated disk", crashlab::run),
    (
        "differential",
        "random statements, compared with SQLite and Remora",
        differential::run,
    ),
    (
        "durability",
        "what it costs to be sure, beside SQLite",
        durability::run,
    ),
    (
        "expiry",
        "rows that expire: opening, and all at once",
        expiry::run,
    ),
    ("faults", "files that have decayed", faults::run),
    (
        "fulldisk",
        "a disk that fills while sessions read and write",
        fulldisk::run,
    ),
    (
        "history",
        "random transactions of many threads, explained",
        history::run,
    ),
    ("ids", "ids of many threads, distinct and rising", ids::run),
    ("killtest", "kill -9 at random moments", killtest::run),
    (
        "kv",
        "get and put by key, beside SQLite and others",
        kv::run,
    ),
    (
        "lateness",
        "how late calls over long values hear their time limit",
        long_values::lateness::run,
    ),
    (
        "leases",
        "a work queue whose consumers fail, and kills in between",
        leases::run,
    ),
    ("limits", "rate limits of many threads", limits::run),
    ("memory", "whether what was freed can be used", memory::run),
    (
        "notifications",
        "NOTIFY from many sessions to many, in order and durable",
        notifications::run,
    ),
    (
        "once",
        "payments that are sent again, and kills in between",
        once::run,
    ),
    ("peers", "speed beside SQLite", peers::run),
    ("queue", "a table that workers take rows from", queue::run),
    ("stranding", "an adversary of memory", stranding::run),
    ("tpch", "TPC-H, with its answers", tpch::run),
];

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let name = words.next().unwrap_or_default();
    let Some((_, _, run)) = TOOLS.iter().find(|(tool, ..)| *tool == name) else {
        eprintln!("usage: lab TOOL [OPTIONS]");
        for (tool, what, _) in TOOLS {
            eprintln!("  {tool:<13} {what}");
        }
        return ExitCode::from(2);
    };
    match run(Arguments::new(words)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{name}: {error}");
            ExitCode::FAILURE
        }
    }
}
