//! Makes a script that fails shorter, as long as it fails.

use super::course::{Interruption, Kind, Run};
use super::explore::{Effort, Seen, explore, explore_run};
use super::script::{Script, Step};
use remora::testing::SimDisk;
use std::time::Instant;

/// Threads that look.
const THREADS: usize = 2;

/// The shortest script found until `end` that still fails somewhere, with such a thing in its way at any
/// operation, or without one; and how it fails. `None` where even the whole script does not, with the
/// little that is tried of it.
pub fn shrink(
    script: &Script,
    kind: Option<Kind>,
    end: Option<Instant>,
) -> Option<(Script, String)> {
    let is_over = || end.is_some_and(|end| Instant::now() >= end);
    let mut best = script.clone();
    // What is left out was the reason for others to succeed.
    best.may_fail = true;
    let mut text = failure(&best, kind)?;
    let mut chunk = best.steps.len().div_ceil(2);
    while chunk > 0 {
        let mut at = 0;
        while at < best.steps.len() && !is_over() {
            let without = Script {
                steps: without(&best.steps, at, chunk),
                ..best.clone()
            };
            match failure(&without, kind) {
                Some(found) => (best, text) = (without, found),
                None => at += chunk,
            }
        }
        chunk = match chunk {
            1 => 0,
            more => more.div_ceil(2),
        };
    }
    Some((best, text))
}

fn without(steps: &[Step], at: usize, count: usize) -> Vec<Step> {
    let rest = &steps[(at + count).min(steps.len())..];
    [&steps[..at], rest].concat()
}

/// How a script fails, if it does.
fn failure(script: &Script, kind: Option<Kind>) -> Option<String> {
    let effort = Effort {
        interruptions: 0,
        ..Effort::quick(THREADS)
    };
    let Some(kind) = kind else {
        let tally = explore(script, effort, &Seen::default());
        return tally.violations.into_iter().next().map(|one| one.text);
    };
    let disk = SimDisk::recording();
    if let Err(text) = Run::of(script, &disk, None) {
        return Some(text);
    }
    (0..disk.operations()).find_map(|at| {
        let interruption = Interruption {
            at,
            kind,
            steps_after: usize::MAX,
        };
        let run = match Run::of(script, &SimDisk::recording(), Some(interruption)) {
            Ok(run) => run,
            Err(text) => return Some(format!("{kind:?} at operation {at}: {text}")),
        };
        let tally = explore_run(script, &run, effort);
        let violation = tally.violations.into_iter().next()?;
        Some(format!("{kind:?} at operation {at}, {}", violation.text))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crashlab::saboteur::Mutation;

    /// Of a long story, what remains is what the mistake needs.
    #[test]
    fn a_failure_is_made_short() {
        let mut script = Script::new(
            "long",
            &[
                "CREATE TABLE t (k INTEGER)",
                "INSERT INTO t VALUES (1)",
                "checkpoint",
                "BEGIN",
                "ROLLBACK",
                "INSERT INTO t VALUES (2)",
            ],
        );
        assert!(shrink(&script, None, None).is_none(), "nothing is wrong");
        script.mutation = Some(Mutation::SkipDataSync);
        let (short, text) = shrink(&script, None, None).expect("a checkpoint without its rows");
        assert_eq!(short.steps, script.steps[..3], "{text}");
    }
}
