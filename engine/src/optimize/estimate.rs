//! Estimates: about how many rows a plan gives.
//!
//! Sizes are guessed: a table's from the room of its blocks, a filter's from the habit that most conditions let few rows
//! through.

use super::access::keys_of;
use crate::plan::ExprKind;
use crate::plan::logical::{Logical, Lookup, LookupBy, Scan};
use crate::plan::physical::IndexKeys;
use remora_storage::Value;

/// One condition in so many lets a row through.
const SELECTIVITY: u64 = 3;
/// About how many rows a key of an index has that is not unique.
const KEY_ROWS: u64 = 8;
/// About how many rows a table function gives.
const SET_ROWS: u64 = 1_000;
/// Rows that are expected of a part of the statement.
const PART_ROWS: u64 = 1000;
/// Rows that are expected of a scan whose first rows are wanted, before it is given up.
const TRIED_ROWS: u64 = 64;
/// About how many rounds a recursion has.
const ROUNDS: u64 = 10;
/// About how many rows a system table has.
const SYSTEM_ROWS: u64 = 64;

/// About how many rows a plan gives.
pub(super) fn rows(plan: &Logical) -> u64 {
    match plan {
        Logical::Values { rows, .. } => rows.len() as u64,
        Logical::Scan(scan) => scan_rows(scan),
        Logical::System { .. } => SYSTEM_ROWS,
        Logical::Virtual(scan) => match scan.constraints.is_empty() {
            true => scan.table.rows(),
            false => scan.table.rows() / SELECTIVITY,
        },
        Logical::Filter { input, .. } => rows(input) / SELECTIVITY,
        Logical::Project { input, .. }
        | Logical::Window { input, .. }
        | Logical::Sort { input, .. }
        | Logical::Distinct(input) => rows(input),
        Logical::Join(join) => match &join.lookup {
            Some(Lookup {
                by: LookupBy::Rows(found),
                ..
            }) => rows(&join.left).saturating_mul(rows_of_key(&found.scan)),
            _ => rows(&join.left).max(rows(&join.right)),
        },
        Logical::Aggregate { input, groups, .. } => match groups.is_empty() {
            true => 1,
            false => rows(input) / SELECTIVITY,
        },
        Logical::TopN { input, limit, .. } => match limit.kind {
            ExprKind::Literal(Value::BigInt(limit)) => rows(input).min(limit.unsigned_abs()),
            _ => rows(input),
        },
        Logical::DistinctOn { input, .. } => rows(input) / SELECTIVITY,
        Logical::WithTies { input, .. }
        | Logical::Limit { input, .. }
        | Logical::Lock { input, .. } => rows(input),
        Logical::ProjectSet(set) => rows(&set.input).saturating_mul(SET_ROWS),
        // What it is joined with is the same in all rounds, and is kept.
        Logical::WorkingTable(_) => u64::MAX,
        Logical::Part(_) => PART_ROWS,
        Logical::Recursive(recursive) => rows(&recursive.base.0).saturating_mul(ROUNDS),
        Logical::SetOperation(operation) => rows(&operation.left.0),
        Logical::Adaptive { otherwise, .. } => rows(otherwise),
        Logical::UnionAll { inputs, .. } => {
            let inputs = inputs.iter().map(|(input, _)| rows(input));
            inputs.fold(0, u64::saturating_add)
        }
    }
}

fn scan_rows(scan: &Scan) -> u64 {
    if scan.read_max.is_some() {
        return TRIED_ROWS;
    }
    let conditions = u32::try_from(scan.filter.len()).unwrap_or(u32::MAX);
    let filtered = scan.table.rows.about_rows() / SELECTIVITY.saturating_pow(conditions);
    match keys_of(scan) {
        Some(_) => read_rows(scan).min(filtered.max(1)),
        None => filtered,
    }
}

/// About how many rows one key of an index has.
fn rows_of_key(scan: &Scan) -> u64 {
    match keys_of(scan) {
        Some((index, IndexKeys::Points(keys))) if index.def.unique => keys.len() as u64,
        _ => KEY_ROWS,
    }
}

/// About how many rows of a table are looked at, be it that the filter lets them through or not.
pub(super) fn read_rows(scan: &Scan) -> u64 {
    let all = scan.table.rows.about_rows();
    match keys_of(scan) {
        None => all,
        Some((index, IndexKeys::Points(keys))) if index.def.unique => (keys.len() as u64).min(all),
        Some((_, IndexKeys::Points(_) | IndexKeys::Range { .. } | IndexKeys::Prefix(_))) => {
            all / SELECTIVITY
        }
    }
}
