//! Crashes databases on a simulated disk; see [`remora_tests::crashlab`].
//!
//! ```text
//! cargo run --release -p remora-tests -- crashlab --exhaustive [--workload NAME]
//! cargo run --release -p remora-tests -- crashlab --seeds 10000 [--from SEED]
//! cargo run --release -p remora-tests -- crashlab --replay SEED
//! cargo run --release -p remora-tests -- crashlab --mutations
//! cargo run --release -p remora-tests -- crashlab --slice
//! ```
//!
//! All take `--threads`, 2 unless said otherwise. `--slice` is a little of everything.

use crate::arguments::Arguments;
use remora_tests::crashlab::explore::{Effort, Seen, explore};
use remora_tests::crashlab::saboteur::Mutation;
use remora_tests::crashlab::shrink::shrink;
use remora_tests::crashlab::trial::{Count, Failure, trial};
use remora_tests::crashlab::workloads;
use remora_tests::random::Random;
use std::collections::BTreeSet;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// How long a failure is made shorter.
const SHRINK_TIME: Duration = Duration::from_secs(120);
/// Seeds of a slice.
const SLICE_SEEDS: u64 = 200;
/// Of all interruptions, every so manieth is in a slice: of each way some, at each operation one or none.
const SLICE_INTERRUPTIONS: u64 = 101;
type Outcome = crate::Result<()>;

enum Task {
    Exhaustive,
    Seeds(u64),
    Replay(u64),
    Mutations,
    Slice,
}

fn task(arguments: &mut Arguments) -> crate::Result<Task> {
    for (name, task) in [
        ("--exhaustive", Task::Exhaustive),
        ("--mutations", Task::Mutations),
        ("--slice", Task::Slice),
    ] {
        if arguments.flag(name) {
            return Ok(task);
        }
    }
    if let Some(count) = arguments.value("--seeds")? {
        return Ok(Task::Seeds(count));
    }
    let seed = arguments.value("--replay")?;
    let missing = "what to do? --exhaustive, --seeds N, --replay SEED, --mutations or --slice";
    Ok(Task::Replay(seed.ok_or(missing)?))
}

pub(crate) fn run(mut arguments: Arguments) -> Outcome {
    let threads = arguments.value_or("--threads", 2)?;
    let from = arguments.value_or("--from", Random::seed())?;
    let workload: Option<String> = arguments.value("--workload")?;
    let task = task(&mut arguments)?;
    arguments.end()?;
    println!("commit {}", commit());
    // What is wrong with an image is told with its place, not as it happens.
    std::panic::set_hook(Box::new(|_| {}));
    let only = workload.as_deref();
    let (thorough, quick) = (Effort::thorough(threads), Effort::quick(threads));
    match task {
        Task::Exhaustive => exhaustive(only, thorough),
        Task::Seeds(count) => seeds(from, count, threads),
        Task::Replay(seed) => replay(seed),
        Task::Mutations => mutations(only, quick, false),
        Task::Slice => {
            let slice = Effort {
                interruptions: SLICE_INTERRUPTIONS,
                ..quick
            };
            exhaustive(only, slice)?;
            seeds(from, SLICE_SEEDS, threads)?;
            mutations(only, quick, true)
        }
    }
}

/// What is tested, as far as git knows.
fn commit() -> String {
    let folder = env!("CARGO_MANIFEST_DIR");
    let git = Command::new("git")
        .args(["-C", folder, "describe", "--always", "--dirty"])
        .output();
    let text = git.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    text.unwrap_or_default()
}

fn exhaustive(only: Option<&str>, effort: Effort) -> Outcome {
    let began = Instant::now();
    let seen = Seen::default();
    let (mut states, mut violations) = (0, 0);
    for script in workloads::all() {
        if only.is_some_and(|only| only != script.name) {
            continue;
        }
        let since = Instant::now();
        let tally = explore(&script, effort, &seen);
        println!(
            "{}: {} crash points, {} states, {} more of recoveries, {} more of {} interrupted runs, {:.1} s",
            script.name,
            tally.points,
            tally.images,
            tally.recovery_images,
            tally.interrupted_images,
            tally.interruptions,
            since.elapsed().as_secs_f64()
        );
        for violation in &tally.violations {
            println!("  VIOLATION {:?}: {}", violation.promise, violation.text);
        }
        states += tally.states();
        violations += tally.violations.len();
    }
    println!(
        "{states} distinct crash states in {:.0} s, {violations} violations",
        began.elapsed().as_secs_f64()
    );
    match violations {
        0 => Ok(()),
        _ => Err("a promise was broken".into()),
    }
}

fn seeds(from: u64, count: u64, threads: usize) -> Outcome {
    let began = Instant::now();
    println!("seeds from {from}");
    let next = AtomicU64::new(0);
    let sum = Mutex::new(Count::default());
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Relaxed);
                    let is_enough = failures
                        .lock()
                        .is_ok_and(|f: std::sync::MutexGuard<'_, Vec<Failure>>| !f.is_empty());
                    if at >= count || is_enough {
                        return;
                    }
                    match trial(from.wrapping_add(at)) {
                        Ok(count) => sum.lock().expect("no panic under it").add(count),
                        Err(failure) => failures.lock().expect("no panic under it").push(*failure),
                    }
                }
            });
        }
    });
    let sum = sum.into_inner()?;
    println!(
        "{count} seeds, {} steps, {} interrupted runs, {} crash states, {} decayed databases, trace {:016x}, {:.0} s",
        sum.steps,
        sum.interruptions,
        sum.images,
        sum.decayed,
        sum.trace,
        began.elapsed().as_secs_f64()
    );
    match failures.into_inner()?.first() {
        Some(failure) => tell(failure),
        None => Ok(()),
    }
}

fn replay(seed: u64) -> Outcome {
    match trial(seed) {
        Ok(count) => {
            println!("seed {seed}: no violation, trace {:016x}", count.trace);
            Ok(())
        }
        Err(failure) => tell(&failure),
    }
}

/// Shows a failure, made as short as time allows.
fn tell(failure: &Failure) -> Outcome {
    let seed = failure.seed;
    println!("VIOLATION {}", failure.text);
    println!("interruption: {:?}", failure.interruption);
    let kind = failure.interruption.map(|one| one.kind);
    let script = match shrink(&failure.script, kind, Some(Instant::now() + SHRINK_TIME)) {
        Some((script, text)) => {
            println!("shorter: {text}");
            script
        }
        None => failure.script.clone(),
    };
    println!(
        "{:?}, segments of {} bytes",
        script.durability, script.segment_bytes
    );
    for step in &script.steps {
        println!("  {step}");
    }
    println!("again: crashlab -- --replay {seed}");
    Err(format!("seed {seed}: a promise was broken").into())
}

/// Each mistake must be noticed in at least one workload, by what is lost or made up.
fn mutations(only: Option<&str>, effort: Effort, is_once_enough: bool) -> Outcome {
    let mut missed = Vec::new();
    if cfg!(not(feature = "sabotage")) {
        println!("without the engine's own mistakes: these need --features sabotage");
    }
    for mutation in Mutation::ALL.iter().copied() {
        let mut caught = Vec::new();
        for mut script in workloads::all() {
            let is_enough = is_once_enough && !caught.is_empty();
            if !is_enough && only.is_none_or(|only| only == script.name) {
                script.mutation = Some(mutation);
                let tally = explore(&script, effort, &Seen::default());
                let broken: BTreeSet<_> = tally.violations.iter().map(|one| one.promise).collect();
                if broken.iter().any(|promise| promise.is_of_data()) {
                    caught.push(format!("{} {broken:?}", script.name));
                }
            }
        }
        println!("{mutation:?}: caught by {}", caught.join(", "));
        if caught.is_empty() {
            missed.push(mutation);
        }
    }
    match missed.is_empty() {
        true => Ok(()),
        false => Err(format!("not noticed: {missed:?}").into()),
    }
}
