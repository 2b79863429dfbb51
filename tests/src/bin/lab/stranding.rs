//! An adversary of memory; see [`remora_tests::stranding`].
//!
//! ```text
//! cargo run --release -p remora-tests -- stranding [--budget 16,48,256]
//! ```

use crate::Result;
use crate::arguments::Arguments;
use remora_tests::stranding::{PATTERNS, attempt};
use std::time::Instant;

pub(crate) fn run(mut arguments: Arguments) -> Result<()> {
    let budgets = arguments.value_or("--budget", "16,48,256".to_owned())?;
    arguments.end()?;
    for budget in budgets.split(',') {
        let mebibytes: u64 = budget.parse()?;
        for pattern in PATTERNS {
            let begun = Instant::now();
            attempt(pattern, mebibytes << 20);
            println!("{mebibytes} MiB, {}: {:.1?}", pattern.0, begun.elapsed());
        }
    }
    println!("what was freed could be used");
    Ok(())
}
