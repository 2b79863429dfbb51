//! Estimates: about how many rows a plan gives.
//!
//! Sizes are guessed: a table's from the room of its blocks, a key's from a sample of the index
//! ([`TableEntry::rows_of_key`]), a filter's from the habit that most conditions let few rows through. Where a wrong guess
//! would be dear, who runs the plan counts and changes over ([`LookupLimit`], [`Logical::Adaptive`]).
//!
//! [`LookupLimit`]: crate::plan::physical::LookupLimit

use super::access::{Way, way};
use super::fold::fold;
use crate::plan::logical::{Access, Join, Logical, Lookup, LookupBy, Scan};
use crate::plan::physical::{IndexKeys, JoinKind, KeyEnd};
use crate::plan::{Expr, ExprKind};
use remora_storage::Value;
use remora_storage::catalog::{IndexEntry, TableEntry};

/// One condition in so many lets a row through.
const SELECTIVITY: u64 = 3;
/// A range of an index between two ends is one part in so many, and so is a beginning of a text.
const RANGE_SELECTIVITY: u64 = 200;
/// About how many keys an index has that does not know.
const KEYS: u64 = 200;
/// About how many rows a table function gives.
const SET_ROWS: u64 = 1_000;
/// Elements that are expected of an array.
const ELEMENTS: u64 = 10;
/// Rows that are expected below a LIMIT that is not known beforehand.
const LIMITED_ROWS: u64 = 32;
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
        Logical::Join(join) => join_rows(join),
        Logical::Aggregate { input, groups, .. } => match groups.is_empty() {
            true => 1,
            false => rows(input) / SELECTIVITY,
        },
        Logical::TopN { input, limit, .. } => limited(rows(input), Some(limit)),
        Logical::Limit { input, limit, .. } => limited(rows(input), limit.as_ref()),
        Logical::DistinctOn { input, .. } => rows(input) / SELECTIVITY,
        Logical::WithTies { input, .. } | Logical::Lock { input, .. } => rows(input),
        Logical::ProjectSet(set) => rows(&set.input).saturating_mul(SET_ROWS),
        // What it is joined with is the same in all rounds, and is kept.
        Logical::WorkingTable(_) => u64::MAX,
        Logical::Part(part) => {
            let query = part.query.as_ref();
            query.map_or(PART_ROWS, |query| below_limit(query.plan()))
        }
        Logical::Recursive(recursive) => rows(&recursive.base.0).saturating_mul(ROUNDS),
        Logical::SetOperation(operation) => rows(&operation.left.0),
        Logical::Adaptive { otherwise, .. } => rows(otherwise),
        Logical::UnionAll { inputs, .. } => {
            let inputs = inputs.iter().map(|(input, _)| rows(input));
            inputs.fold(0, u64::saturating_add)
        }
    }
}

/// Rows that are expected of a part, by its LIMIT alone: what it is made of may name other parts again and again.
fn below_limit(plan: &Logical) -> u64 {
    match (plan, plan.inputs().as_slice()) {
        (Logical::Limit { limit, .. }, _) => limited(PART_ROWS, limit.as_ref()),
        (Logical::TopN { limit, .. }, _) => limited(PART_ROWS, Some(limit)),
        (_, [input]) => below_limit(input),
        _ => PART_ROWS,
    }
}

fn limited(rows: u64, limit: Option<&Expr>) -> u64 {
    match limit.map(known_limit) {
        Some(Some(limit)) => rows.min(limit),
        Some(None) => rows.min(LIMITED_ROWS),
        None => rows,
    }
}

/// How many rows a LIMIT lets through, if that is known.
pub(super) fn known_limit(limit: &Expr) -> Option<u64> {
    let value = |limit: &Expr| match limit.kind {
        ExprKind::Literal(Value::BigInt(limit)) => Some(limit.unsigned_abs()),
        ExprKind::Literal(Value::Null) => Some(u64::MAX),
        _ => None,
    };
    // That of a part of the statement is still as it was written.
    value(limit).or_else(|| value(&fold(limit.clone())))
}

/// About how many rows are given of a table.
fn scan_rows(scan: &Scan) -> u64 {
    if scan.read_max.is_some() {
        return TRIED_ROWS;
    }
    let way = way(scan);
    let asked = way.as_ref().map_or(scan.filter.len(), |way| way.asked);
    narrowed(rows_of_way(scan, way.as_ref()), asked)
}

/// About how many rows of a table are looked at, be it that the filter lets them through or not.
pub(super) fn read_rows(scan: &Scan) -> u64 {
    rows_of_way(scan, way(scan).as_ref())
}

fn rows_of_way(scan: &Scan, way: Option<&Way>) -> u64 {
    match (&scan.access, way) {
        (Access::Union(parts), _) => {
            let parts = parts
                .iter()
                .map(|(index, keys)| rows_of_keys(&scan.table, index, keys));
            parts
                .fold(0, u64::saturating_add)
                .min(scan.table.rows.about_rows())
        }
        (_, Some(way)) => rows_of_keys(&scan.table, &way.index, &way.keys),
        (_, None) => scan.table.rows.about_rows(),
    }
}

/// About how many rows of a table have these keys.
pub(super) fn rows_of_keys(table: &TableEntry, index: &IndexEntry, keys: &IndexKeys) -> u64 {
    let all = table.rows.about_rows();
    // With the same values in so many first columns.
    let of_key = |columns: usize| match columns {
        0 => all,
        _ if index.def.unique && columns == index.def.columns.len() => 1,
        _ => (table.rows_of_key(index, columns)).unwrap_or_else(|| all.div_ceil(KEYS)),
    };
    let found = match keys {
        IndexKeys::Points(keys) => {
            of_key(index.def.columns.len()).saturating_mul(keys.len() as u64)
        }
        IndexKeys::Elements(_) => of_key(1).saturating_mul(ELEMENTS),
        IndexKeys::Prefix(values) => of_key(values.len() - 1).div_ceil(RANGE_SELECTIVITY),
        IndexKeys::Range { low, high } => {
            let ends = [low.values(), high.values()];
            let both = ends[0].iter().zip(ends[1]);
            let same = both.take_while(|(low, high)| low.same(high)).count();
            let is_null = matches!(low, KeyEnd::Null(_));
            match ends.iter().filter(|end| end.len() > same).count() {
                0 if !is_null => of_key(same),
                0 | 1 => of_key(same).div_ceil(SELECTIVITY),
                _ => of_key(same).div_ceil(RANGE_SELECTIVITY),
            }
        }
    };
    found.min(all)
}

/// About how many of these rows pass so many conditions.
fn narrowed(rows: u64, conditions: usize) -> u64 {
    let conditions = u32::try_from(conditions).unwrap_or(u32::MAX);
    (rows / SELECTIVITY.saturating_pow(conditions)).max(1)
}

/// About how many rows a join gives.
fn join_rows(join: &Join) -> u64 {
    let left = rows(&join.left);
    let matches = || match &join.lookup {
        Some(Lookup {
            by: LookupBy::Rows(found),
            ..
        }) => narrowed(left.saturating_mul(scan_rows(&found.scan)), found.on.len()),
        _ => left.max(rows(&join.right)),
    };
    match join.kind {
        JoinKind::Inner | JoinKind::Full => matches(),
        JoinKind::Left => matches().max(left),
        JoinKind::Single | JoinKind::Semi | JoinKind::Anti | JoinKind::Mark => left,
    }
}
