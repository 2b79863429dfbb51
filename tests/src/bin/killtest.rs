//! Kill -9 at random moments, as many as asked for; see [`remora_tests::kill`].
//!
//! ```text
//! cargo run --release -p remora-tests --bin killtest -- --rounds 50 [--seed N] [--remora PATH]
//! ```
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command reports to its terminal"
)]

use remora_tests::random::Random;
use remora_tests::{kill, machine};
use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("killtest: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let mut rounds = 50;
    let mut seed = Random::seed();
    let mut remora = None;
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments
            .next()
            .ok_or_else(|| format!("{name} needs a value"))?;
        match name.as_str() {
            "--rounds" => rounds = value.parse()?,
            "--seed" => seed = value.parse()?,
            "--remora" => remora = Some(PathBuf::from(value)),
            _ => return Err(format!("unknown option {name}").into()),
        }
    }
    let binary = remora.map_or_else(machine::binary, Ok)?;
    println!("{rounds} rounds, seed {seed}");
    kill::run(&binary, rounds, seed)?;
    println!("nothing lost, nothing in part");
    Ok(())
}
