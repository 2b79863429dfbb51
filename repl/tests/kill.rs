//! Kill -9 during a stream of changes: a few rounds with every test run, as many as you like with
//! `REMORA_KILL_ROUNDS` or the `killtest` command.

use remora_tests::kill;
use remora_tests::random::Random;
use std::path::Path;

#[test]
fn acknowledged_changes_survive_a_kill() {
    let rounds = std::env::var("REMORA_KILL_ROUNDS")
        .ok()
        .and_then(|rounds| rounds.parse().ok());
    let seed = Random::seed();
    println!("REMORA_SEED={seed}");
    if let Err(error) = kill::run(
        Path::new(env!("CARGO_BIN_EXE_remora")),
        rounds.unwrap_or(8),
        seed,
    ) {
        panic!("{error}");
    }
}
