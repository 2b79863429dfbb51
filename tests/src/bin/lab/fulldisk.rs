//! A disk that fills while eight sessions read and write; see [`remora_tests::full_disk`].
//!
//! ```text
//! cargo run --release -p remora-tests -- fulldisk [--seeds 1000] [--from SEED] [--crowds 20]
//! ```

use crate::Result;
use crate::arguments::Arguments;
use remora_tests::full_disk::{Count, Crowd, crowd, story};
use remora_tests::random::Random;
use std::time::Instant;

/// Times that the disk gets full beside a crowd.
const TIMES: u64 = 10;

pub(crate) fn run(mut arguments: Arguments) -> Result<()> {
    let seeds = arguments.value_or("--seeds", 1000)?;
    let from = arguments.value_or("--from", Random::seed())?;
    let crowds = arguments.value_or("--crowds", 20)?;
    arguments.end()?;
    let began = Instant::now();
    let mut sum = Count::default();
    for seed in (0..seeds).map(|n| from.wrapping_add(n)) {
        sum.add(story(seed)?);
    }
    println!("{seeds} stories from seed {from} on: {sum:?}");
    let mut all = Crowd::default();
    for seed in (0..crowds).map(|n| from.wrapping_add(n)) {
        let one = crowd(seed, TIMES).map_err(|wrong| format!("seed {seed}: {wrong}"))?;
        all.acknowledged += one.acknowledged;
        all.unknown += one.unknown;
        all.refused += one.refused;
        all.reads += one.reads;
    }
    println!("{crowds} crowds of eight, {TIMES} times on a full disk each: {all:?}");
    println!(
        "nothing acknowledged is lost, all reads were answered; {:.0} s",
        began.elapsed().as_secs_f64()
    );
    Ok(())
}
