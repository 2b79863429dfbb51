//! A short slice of the history checker; the lab's `history` runs as much as one likes.

use remora::Database;
use remora_tests::history::{Level, explain, run, workload};
use remora_tests::random::Random;

const TRANSACTIONS: u64 = 3_000;

#[test]
fn serializable_histories_have_no_circle() {
    check(Level::Serializable);
}

#[test]
fn snapshot_histories_have_circles_of_one_kind_only() {
    check(Level::Snapshot);
}

fn check(level: Level) {
    let seed = Random::seed();
    for threads in [2, 4, 8] {
        let tally = run(level, threads, TRANSACTIONS, seed)
            .unwrap_or_else(|error| panic!("REMORA_SEED={seed}, {threads} threads: {error}"));
        assert!(
            tally.committed > TRANSACTIONS / 4,
            "REMORA_SEED={seed}: {tally}"
        );
    }
}

/// Transactions that are not validated are what a broken validation would let pass.
#[test]
fn a_history_without_validation_is_noticed() {
    let seed = Random::seed();
    let database = Database::in_memory().expect("a database");
    let (history, tally) = workload::run(&database, Level::Snapshot, 4, 10_000, seed)
        .unwrap_or_else(|error| panic!("REMORA_SEED={seed}: {error}"));
    let found = explain(&history, Level::Serializable);
    assert!(found.is_err(), "REMORA_SEED={seed}: {tally}");
}
