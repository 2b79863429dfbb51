//! Single faults in a directory that was closed, or whose process was killed; see [`remora_tests::faults`].
//!
//! ```text
//! cargo run --release -p remora-tests -- faults [--count 10000] [--seed N]
//! ```

use crate::Result;
use crate::arguments::Arguments;
use remora_tests::faults::{self, Story, Tally};
use remora_tests::random::Random;
use std::collections::BTreeMap;
use std::thread;
use std::time::Instant;

pub(crate) fn run(mut arguments: Arguments) -> Result<()> {
    let count = arguments.value_or("--count", 10_000)?;
    let seed = arguments.value_or("--seed", Random::seed())?;
    arguments.end()?;
    let start = Instant::now();
    let story = Story::tell()?;
    let closed = story.moment(false);
    let bytes: usize = closed.files.values().map(Vec::len).sum();
    println!(
        "{count} faults from seed {seed} on, in {} files of {bytes} bytes with {} rows",
        closed.files.len(),
        closed.contents.len()
    );
    let threads = thread::available_parallelism().map_or(1, |threads| threads.get() as u64);
    let parts = (0..threads).map(|thread| {
        let from = count * thread / threads;
        (
            seed.wrapping_add(from),
            count * (thread + 1) / threads - from,
        )
    });
    let results: Vec<_> = thread::scope(|scope| {
        let story = &story;
        let start = |(seed, count)| scope.spawn(move || faults::run(story, seed, count));
        let threads: Vec<_> = parts.map(start).collect();
        let results = threads.into_iter().map(|thread| thread.join());
        results.collect()
    });
    let mut sums: BTreeMap<_, Tally> = BTreeMap::new();
    for result in results {
        let tallies = result.map_err(|_| "a panic, see above")??;
        for (kind, tally) in tallies {
            let sum = sums.entry(kind).or_default();
            sum.detected += tally.detected;
            sum.elsewhere += tally.elsewhere;
            sum.harmless += tally.harmless;
            sum.torn += tally.torn;
            sum.rows_lost += tally.rows_lost;
            sum.rows += tally.rows;
        }
    }
    println!(
        "| fault | detected | detected elsewhere | harmless | torn tail | rows lost by salvage |"
    );
    println!("|---|---|---|---|---|---|");
    for (kind, tally) in &sums {
        let share = tally.rows_lost as f64 / tally.rows.max(1) as f64 * 100.0;
        println!(
            "| {kind:?} | {} | {} | {} | {} | {share:.2} % |",
            tally.detected, tally.elsewhere, tally.harmless, tally.torn
        );
    }
    println!(
        "no panic, nothing damaged taken for whole, no row lost that verifies; {:.0} s",
        start.elapsed().as_secs_f64()
    );
    Ok(())
}
