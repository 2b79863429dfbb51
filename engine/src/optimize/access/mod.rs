//! Index selection: a scan whose filter fixes the key of an index reads by that index.
//!
//! What the filter's parts say of single columns ([`fact`]) an index can serve by
//!
//! 1. points: every key column has an equality, or one of them a list (the only way for a hash
//!    index);
//! 2. a range: equalities on a prefix of the key columns, then at most one column with bounds.
//!
//! Parts that the keys express exactly are dropped: a NULL among the keys finds nothing, here as
//! in a filter. A lone bound stays as a filter as well where the column may be NULL, because beyond
//! the open end stand the NULLs, which the index finds and the filter does not let pass. So do
//! bounds of CHAR, whose trailing blanks count in a key but not in a comparison.

mod fact;

pub(super) use fact::{Fact, fact, fact_of};

use crate::plan::logical::{Access, Logical, Scan};
use crate::plan::physical::IndexKeys;
use crate::plan::{Expr, implies};
use remora_storage::catalog::{IndexEntry, IndexKind};
use remora_storage::{ColumnId, DataType, Value};
use std::ops::Bound;
use std::sync::Arc;

/// Keys that one IN list may ask for, or several multiplied.
const POINTS_MAX: usize = 10_000;

/// Applies the rule to a plan.
pub(super) fn select_indexes(plan: Logical) -> Logical {
    match plan {
        Logical::Scan(scan) => Logical::Scan(choose(scan)),
        other => other.map_inputs(&mut select_indexes),
    }
}

/// A way to use an index, and how good it is.
struct Choice {
    access: Access,
    /// Parts of the filter that the keys express.
    used: Vec<usize>,
    score: u32,
}

fn choose(mut scan: Scan) -> Scan {
    let mut facts: Vec<Option<(ColumnId, Fact)>> =
        scan.filter.iter().map(|part| fact(part, &scan)).collect();
    if !scan.computed.is_empty() {
        facts.extend(conditions(&scan).map(Some));
    }
    let candidates = scan.table.indexes.iter();
    let choices = candidates
        .filter_map(|index| points(index, &facts).or_else(|| range(index, &facts, &scan)));
    // The first of equals wins: the primary key's index is first.
    let best = choices.reduce(|best, next| if next.score > best.score { next } else { best });
    if let Some(choice) = best {
        let known = match &choice.access {
            Access::Index { index, .. } => condition(&scan, index),
            Access::Table { .. } => None,
        };
        let known = known.map_or_else(Vec::new, |condition| condition.clone().conjuncts());
        scan.access = choice.access;
        let mut position = 0;
        scan.filter.retain(|_| {
            position += 1;
            !choice.used.contains(&(position - 1))
        });
        // What is true of all rows of a partial index is not asked again.
        (scan.filter).retain(|part| !known.iter().any(|known| known.same(part)));
    }
    scan
}

/// Of partial indexes: that the conditions are true which the filter implies.
fn conditions(scan: &Scan) -> impl Iterator<Item = (ColumnId, Fact)> {
    let partial = scan.table.indexes.iter().filter(|index| index.def.partial);
    partial.filter_map(|index| {
        let column = index.def.columns.first()?.column;
        let condition = condition(scan, index)?;
        let is_true = Fact::OneOf(vec![Expr::literal(Value::Boolean(true), DataType::Boolean)]);
        implies(&scan.filter, condition).then_some((column, is_true))
    })
}

/// Which rows a partial index is of.
fn condition<'s>(scan: &'s Scan, index: &IndexEntry) -> Option<&'s Expr> {
    let column = index
        .def
        .columns
        .first()
        .filter(|_| index.def.partial)?
        .column;
    let (number, _) = scan.columns.iter().find(|(_, id)| *id == column)?;
    let mut computed = scan.computed.iter();
    computed
        .find(|(of, _)| of == number)
        .map(|(_, condition)| condition)
}

/// Every key column has an equality or a list.
fn points(index: &Arc<IndexEntry>, facts: &[Option<(ColumnId, Fact)>]) -> Option<Choice> {
    let mut used = Vec::new();
    let mut keys: Vec<Vec<Expr>> = vec![Vec::new()];
    for column in &index.def.columns {
        let (position, values) = equality(facts, column.column)?;
        if keys.len() * values.len() > POINTS_MAX {
            return None;
        }
        used.push(position);
        let with = |key: &Vec<Expr>, value: &Expr| {
            let mut key = key.clone();
            key.push(value.clone());
            key
        };
        keys = (keys.iter())
            .flat_map(|key| values.iter().map(move |value| with(key, value)))
            .collect();
    }
    let single = keys.len() == 1;
    let score = match (index.def.unique, single) {
        (true, true) => 1_000,
        (true, false) => 900,
        (false, true) => 800,
        (false, false) => 700,
    };
    Some(Choice {
        access: Access::Index {
            index: Arc::clone(index),
            keys: IndexKeys::Points(keys),
            reverse: false,
        },
        used,
        score,
    })
}

/// Equalities on a prefix, then bounds on one ascending column.
fn range(
    index: &Arc<IndexEntry>,
    facts: &[Option<(ColumnId, Fact)>],
    scan: &Scan,
) -> Option<Choice> {
    if index.def.kind != IndexKind::Ordered {
        return None;
    }
    let mut prefix = Vec::new();
    let mut used = Vec::new();
    let mut columns = index.def.columns.iter();
    let mut after = columns.next();
    while let Some(column) = after {
        match equality(facts, column.column) {
            Some((position, [value])) => {
                used.push(position);
                prefix.push(value.clone());
                after = columns.next();
            }
            _ => break,
        }
    }
    let (mut low, mut high) = (Bound::Unbounded, Bound::Unbounded);
    if let Some(column) = after.filter(|column| !column.descending) {
        let (mut lowest, mut highest) = (None, None);
        for (position, fact) in facts.iter().enumerate() {
            match fact {
                Some((id, Fact::Above(bound))) if *id == column.column => {
                    (low, lowest) = (bound.clone(), Some(position));
                }
                Some((id, Fact::Below(bound))) if *id == column.column => {
                    (high, highest) = (bound.clone(), Some(position));
                }
                _ => {}
            }
        }
        if are_exact(column.column, lowest.is_some() && highest.is_some(), scan) {
            used.extend([lowest, highest].into_iter().flatten());
        }
    }
    let bounded = |bound: &Bound<Expr>| u32::from(!matches!(bound, Bound::Unbounded));
    let bounds = bounded(&low) + bounded(&high);
    if prefix.is_empty() && bounds == 0 {
        return None;
    }
    let score = 100 * prefix.len() as u32 + 40 * bounds;
    let whole = |bound: Bound<Expr>| match bound {
        Bound::Unbounded if prefix.is_empty() => Bound::Unbounded,
        Bound::Unbounded => Bound::Included(prefix.clone()),
        Bound::Included(value) => Bound::Included([prefix.as_slice(), &[value]].concat()),
        Bound::Excluded(value) => Bound::Excluded([prefix.as_slice(), &[value]].concat()),
    };
    let keys = IndexKeys::Range {
        low: whole(low),
        high: whole(high),
    };
    Some(Choice {
        access: Access::Index {
            index: Arc::clone(index),
            keys,
            reverse: false,
        },
        used,
        score,
    })
}

/// Whether the keys between bounds of a column are just those of the rows that the bounds let pass.
fn are_exact(column: ColumnId, both: bool, scan: &Scan) -> bool {
    let def = &scan.table.def;
    let column = def.position(column).map(|position| &def.columns[position]);
    column.is_some_and(|column| {
        (both || column.not_null) && !matches!(column.data_type, DataType::Char(_))
    })
}

fn equality(facts: &[Option<(ColumnId, Fact)>], column: ColumnId) -> Option<(usize, &[Expr])> {
    let found = facts
        .iter()
        .enumerate()
        .filter_map(|(position, fact)| match fact {
            Some((id, Fact::OneOf(values))) if *id == column => Some((position, values.as_slice())),
            _ => None,
        });
    found.min_by_key(|(_, values)| values.len())
}
