//! Random statements: engines agree on them, and nothing that is nearly SQL hurts.

use remora_tests::differential::{LARGE, MISTAKES, notices, run};
use remora_tests::mutation;
use remora_tests::random::Random;
use std::thread;

/// A program's main thread has 8 MiB. In those of tests, 2 MiB, the grammar's frames have no room where nothing is
/// optimised.
const STACK: usize = 8 << 20;
/// How many stories with words changed are told.
const STORIES: u64 = 500;

fn as_in_a_program(test: fn()) {
    let thread = thread::Builder::new().stack_size(STACK).spawn(test);
    if let Err(panic) = thread.expect("a thread").join() {
        std::panic::resume_unwind(panic);
    }
}

/// The same statements each time; the command goes on with others.
#[test]
fn engines_agree_on_random_statements() {
    as_in_a_program(|| match run(1_500, 1, LARGE) {
        Err(report) => panic!("{report}"),
        Ok((tally, _)) => {
            assert!(tally.valid * 10 > tally.queries * 9, "{tally}");
            assert!(tally.with_sqlite * 10 > tally.queries * 7, "{tally}");
            assert!(tally.with_rows * 10 > tally.queries * 3, "{tally}");
        }
    });
}

/// Some of the mistakes, for the sake of time; `differential --mistakes` makes all.
#[test]
fn mistakes_made_on_purpose_are_found() {
    as_in_a_program(|| {
        for mistake in MISTAKES.iter().step_by(7) {
            let found = notices(20_000, 1, *mistake);
            assert_eq!(found, Ok(true), "{}", mistake.name);
        }
    });
}

#[test]
fn what_is_nearly_sql_does_no_harm() {
    as_in_a_program(|| {
        let seed = Random::seed();
        match mutation::run(STORIES, seed) {
            Err(report) => panic!("{report}"),
            Ok(tally) => assert!(tally.changed > 50 && tally.ran > 0, "{tally:?}"),
        }
    });
}
