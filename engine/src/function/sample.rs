//! Samples of tables: whether a row belongs to one, by its id and a number that the sample is made with.
//!
//! The same number makes the same sample of a table that is the same. Of `SYSTEM`, blocks are drawn, with all
//! their rows. The functions have names that nobody calls by chance: TABLESAMPLE is written otherwise.

use super::Overload;
use super::kernel::function;
use crate::error::{Error, Result, state};
use remora_storage::RowId;

pub(super) static FUNCTIONS: &[&[Overload]] = &[SAMPLES];

static SAMPLES: &[Overload] = &[
    function!("tablesample bernoulli"(BigInt, Double, Double) -> Boolean,
        "Whether a row is in a sample of so many percent.",
        |row: i64, percent, seed| is_drawn(row as u64, percent, seed)),
    function!("tablesample system"(BigInt, Double, Double) -> Boolean,
    "Whether the block of a row is in a sample of so many percent.",
    |row: i64, percent, seed| {
        is_drawn(u64::from(RowId(row as u64).block().0), percent, seed)
    }),
];

fn is_drawn(number: u64, percent: f64, seed: f64) -> Result<bool> {
    if !(0.0..=100.0).contains(&percent) {
        return Err(out_of_range());
    }
    // 53 bits are what a float below 1 can tell apart.
    let drawn = mixed(mixed(number) ^ seed.to_bits()) >> 11;
    Ok((drawn as f64) < percent / 100.0 * (1_u64 << 53) as f64)
}

/// A share that is none.
pub(crate) fn out_of_range() -> Error {
    let message = "sample percentage must be between 0 and 100";
    Error::new(state::INVALID_TABLESAMPLE_ARGUMENT, message)
}

/// The finalizer of SplitMix64: each bit of the result depends on each bit of the number.
fn mixed(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
