//! Tables as caches: what they find, and what they take.
//!
//! ```text
//! cargo run --release -p remora-tests -- caches [--accesses 400000]        hit ratios on traces
//! cargo run --release -p remora-tests -- caches --churn 600                a cache of 64 MB for so many seconds
//! cargo run --release -p remora-tests -- caches --model 200000 [--seed 7]  random statements beside a model
//! ```
//!
//! *Hit ratios.* On each trace a table under `lru` and one under `lfu` are asked for keys, and given those that they
//! do not have. Beside them stand exact LRU and LFU with counts of what is in the cache, and with the feature `peers_all` the
//! crate `moka`. The tool fails where `lru` or `lfu` is more than a point below its model on a trace, or the better of both
//! more than a point below `moka` on average.
//!
//! *Churn.* Values of 10 bytes to 100 KB pass through a cache. The tool fails where what the ledger counts or the process's
//! resident size, without pages of its file, leaves the bound by more than a twentieth, or its values are less than 70 % of it.

mod churn;
mod model;
mod models;
mod ratios;
mod traces;

use crate::Result;
use crate::arguments::Arguments;
use remora_tests::random::Random;

pub(crate) fn run(mut arguments: Arguments) -> Result<()> {
    let churn = arguments.value::<u64>("--churn")?;
    let steps = arguments.value::<usize>("--model")?;
    let seed = arguments.value::<u64>("--seed")?;
    let accesses = arguments.value_or("--accesses", 400_000)?;
    arguments.end()?;
    match (churn, steps) {
        (Some(seconds), _) => churn::run(seconds),
        (None, Some(steps)) => model::run(steps, seed.unwrap_or_else(Random::seed)),
        (None, None) => ratios::run(accesses),
    }
}
