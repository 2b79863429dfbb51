//! TPC-H: all tables at a scale, and the 22 queries with their times and, where they are known, their answers; see
//! [`remora_tests::tpch`].
//!
//! ```text
//! cargo run --release -p remora-tests -- tpch [--scale 0.1] [--frozen] [--without index_joins [--rounds 5]]
//! ```
//!
//! With `--frozen` all blocks are frozen before, which otherwise goes on in the background while the first queries run.
//! Answers are known at 0.01 and 0.1; at other scales only times are told. With `--without` each query is asked in turn
//! with all rules of the optimizer and without one: the shortest times of some rounds, and how often as long the query
//! takes with the rule.

use crate::Result;
use crate::arguments::Arguments;
use remora::Database;
use remora_tests::tpch;
use std::time::{Duration, Instant};

pub(crate) fn run(mut arguments: Arguments) -> Result<()> {
    let scale: String = arguments.value_or("--scale", "0.01".to_owned())?;
    let without: Option<String> = arguments.value("--without")?;
    let rounds = arguments.value_or("--rounds", 5)?;
    let is_frozen = arguments.flag("--frozen");
    arguments.end()?;
    let begin = Instant::now();
    let database = tpch::load(scale.parse()?)?;
    println!("loaded in {:.1?}", begin.elapsed());
    if is_frozen {
        database.connect()?.execute("COMPACT", [])?;
    }
    if let Some(rule) = without {
        return weigh(&database, &scale, &rule, rounds);
    }
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

/// What a rule does to the time of each query.
fn weigh(database: &Database, scale: &str, rule: &str, rounds: u32) -> Result<()> {
    let (with, without) = (database.connect()?, database.connect()?);
    without.execute_batch(&format!("SET optimize = without_{rule}"))?;
    let mut shortest = Vec::new();
    for _ in 0..rounds {
        let both = [
            tpch::ask_with(&with, scale)?,
            tpch::ask_with(&without, scale)?,
        ];
        let times = both.map(|answers| answers.into_iter().map(|answer| answer.took));
        let [with, without] = times;
        let times = with.zip(without);
        shortest = match shortest.is_empty() {
            true => times.collect(),
            false => (shortest.into_iter().zip(times))
                .map(|((a, b), (with, without)): ((Duration, Duration), _)| {
                    (a.min(with), b.min(without))
                })
                .collect(),
        };
    }
    for (query, (with, without)) in shortest.iter().enumerate() {
        let ratio = with.as_secs_f64() / without.as_secs_f64();
        println!(
            "q{:02} {with:>10.1?} without {without:>10.1?} {ratio:>6.2}",
            query + 1
        );
    }
    Ok(())
}
