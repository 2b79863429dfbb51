//! TPC-H: all tables at a scale, and the 22 queries with their times and, where they are known, their answers; see
//! [`remora_tests::tpch`].
//!
//! ```text
//! cargo run --release -p remora-tests -- tpch [--scale 0.1]
//! ```
//!
//! Answers are known at 0.01 and 0.1; at other scales only times are told.

use crate::Result;
use crate::arguments::Arguments;
use remora_tests::tpch;
use std::time::Instant;

pub(crate) fn run(mut arguments: Arguments) -> Result<()> {
    let scale: String = arguments.value_or("--scale", "0.01".to_owned())?;
    arguments.end()?;
    let begin = Instant::now();
    let database = tpch::load(scale.parse()?)?;
    println!("loaded in {:.1?}", begin.elapsed());
    let answers = tpch::ask_all(&database, &scale)?;
    for answer in &answers {
        let said = answer.difference.as_deref().unwrap_or("as expected");
        println!(
            "q{:02} {:>10.1?} {:>6} rows  {said}",
            answer.query, answer.took, answer.rows
        );
    }
    let wrong = answers
        .iter()
        .filter(|answer| answer.difference.is_some())
        .count();
    match wrong {
        0 => Ok(()),
        wrong => Err(format!("{wrong} queries answer otherwise").into()),
    }
}
