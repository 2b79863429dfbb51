//! Makes a script that fails shorter, as long as it fails.

use super::choice::Bounds;
use super::explore::{Effort, explore, explore_run};
use super::oracle::Expected;
use super::script::{Script, Step};
use remora::disk::{Fault, SimDisk};
use std::time::{Duration, Instant};

/// How much of each candidate is tried.
const EFFORT: Effort = Effort {
    script: Bounds::QUICK,
    recovery: Bounds::LEAST,
    threads: 2,
};

/// The shortest script found in time that still fails somewhere, with a fault of that kind at any
/// operation, or without one; and how it fails. `None` where even the whole script does not, with the
/// little that is tried of it.
pub fn shrink(script: &Script, fault: Option<Fault>, time: Duration) -> Option<(Script, String)> {
    let end = Instant::now() + time;
    let mut best = script.clone();
    let mut text = failure(&best, fault)?;
    let mut chunk = best.steps.len().div_ceil(2);
    while chunk > 0 {
        let mut at = 0;
        while at < best.steps.len() && Instant::now() < end {
            let without = Script {
                steps: without(&best.steps, at, chunk),
                ..best.clone()
            };
            match failure(&without, fault) {
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
fn failure(script: &Script, fault: Option<Fault>) -> Option<String> {
    let Some(fault) = fault else {
        return explore(script, EFFORT).violations.into_iter().next();
    };
    let expected = Expected::of(script).ok()?;
    let disk = SimDisk::recording();
    if let Err(text) = expected.run(script, &disk, false) {
        return Some(text);
    }
    (0..disk.operations()).find_map(|at| {
        let disk = SimDisk::recording();
        disk.fail(at, fault);
        let run = match expected.run(script, &disk, true) {
            Ok(run) => run,
            Err(text) => return Some(text),
        };
        let tally = explore_run(script, &expected, &run, EFFORT);
        let violation = tally.violations.into_iter().next()?;
        Some(format!("{fault:?} at operation {at}, {violation}"))
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
        let time = Duration::from_secs(60);
        assert!(shrink(&script, None, time).is_none(), "nothing is wrong");
        script.mutation = Some(Mutation::SkipDataSync);
        let (short, text) = shrink(&script, None, time).expect("a checkpoint without its rows");
        assert_eq!(short.steps, script.steps[..3], "{text}");
    }
}
