//! Kill -9 at random moments, as many as asked for; see [`remora_tests::kill`].
//!
//! ```text
//! cargo run --release -p remora-tests -- killtest --rounds 50 [--seed N] [--remora PATH]
//! ```

use crate::Result;
use crate::arguments::Arguments;
use remora_tests::random::Random;
use remora_tests::{kill, machine};
use std::path::PathBuf;

pub(crate) fn run(mut arguments: Arguments) -> Result<()> {
    let rounds = arguments.value_or("--rounds", 50)?;
    let seed = arguments.value_or("--seed", Random::seed())?;
    let remora: Option<PathBuf> = arguments.value("--remora")?;
    arguments.end()?;
    let binary = remora.map_or_else(machine::binary, Ok)?;
    println!("{rounds} rounds, seed {seed}");
    kill::run(&binary, rounds, seed)?;
    println!("nothing lost, nothing in part");
    Ok(())
}
