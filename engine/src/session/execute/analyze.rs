//! EXPLAIN ANALYZE: the statement runs to its end, and what it would have shown is counted.

use super::dispatch::{Done, Output, Pipe, Running, run_with_parts};
use crate::error::Result;
use crate::exec::Transaction;
use crate::exec::{Profiling, arrow_schema};
use crate::optimize::analyzed;
use crate::plan::explain::{Analyze, Profile};
use crate::session::plans::call::Call;
use crate::session::plans::prepared::Plan;
use remora_storage::Value;
use std::sync::Arc;
use std::time::Instant;

/// Runs the statement. On error the caller undoes.
#[cold]
pub(in crate::session) fn run(
    plan: &Plan,
    analyze: &Analyze,
    tx: &mut Transaction,
    call: &mut Call,
    pipe: &mut Pipe<'_>,
) -> Result<Done> {
    let profile = Arc::<Profile>::default();
    call.context.profiling = Some(Arc::new(Profiling::new(Arc::clone(&profile))));
    let begin = Instant::now();
    let schema = analyze.statement.schema().unwrap_or_default();
    let arrow = arrow_schema(&schema);
    let running = Running {
        plan,
        statement: &analyze.statement,
        arrow: &arrow,
    };
    let rows = run_with_parts(&running, tx, call, pipe).and_then(count);
    call.context.profiling = None;
    let took = begin.elapsed();
    let lines = analyzed(analyze, plan.planned.with.as_deref(), &profile, rows?, took);
    let lines = lines.into_iter().map(|line| vec![Value::Text(line)]);
    Ok(Done::list(lines.collect()))
}

/// How many rows it gives, or has changed.
fn count(done: Done) -> Result<u64> {
    Ok(match done.output {
        Output::None => done.changes,
        Output::Point(found) => u64::from(found),
        Output::List(rows) => rows.len() as u64,
        Output::Cursor(mut cursor) => {
            let mut rows = 0;
            while let Some(batch) = cursor.next()? {
                rows += batch.num_rows() as u64;
            }
            rows
        }
    })
}
