//! Index selection: a scan whose filter fixes the key of an index reads by that index.
//!
//! What the filter's parts say of columns ([`fact`], [`row`]) an index can serve by points, by a prefix of a text or by
//! a range ([`keys`]); of several, the index whose keys have the fewest rows is taken, as far as that is known. Parts that the keys express exactly are dropped: a NULL among the keys finds nothing, here as
//! in a filter.
//!
//! Where no index serves the whole filter well, several may serve the branches of an OR, or several ranges of one the
//! values of a list ([`union`]).
//!
//! Where the rows are wanted in an order ([`order`]), an index that gives it saves the sort, and where only the first
//! of them are wanted, most of the reading. It is taken
//!
//! 1. where its keys express all that those of the best index do, so that no more rows are read;
//! 2. for the first of all rows of the table;
//! 3. for the first of those that pass a filter, as a trial. Few may pass: then most of the index would be read, and
//!    reading the table is ten times as fast. So it reads a small part of the table at most, and is given up after that.

mod fact;
mod keys;
mod order;
mod row;
mod union;

pub(super) use fact::{Fact, fact, fact_of, key_column};
pub(super) use order::{Order, OrderKey};
pub(super) use union::branches;

use super::computed_key::with_keys;
use super::estimate::rows_of_keys;
use crate::plan::Expr;
use crate::plan::logical::{Access, Logical, Scan};
use crate::plan::physical::IndexKeys;
use keys::{Choice, Known};
use order::Served;
use remora_storage::catalog::IndexEntry;
use std::cmp::Ordering;
use std::sync::Arc;

/// A trial may read the rows of a table divided by this in vain; it is not worth it for fewer than `TRIED_ROWS_MIN`, and
/// reads `TRIED_ROWS_MAX` at most.
const TRIED_PART: u64 = 128;
const TRIED_ROWS_MIN: u64 = 8;
const TRIED_ROWS_MAX: u64 = 8192;

/// Applies the rule to a plan.
pub(super) fn select_indexes(plan: Logical) -> Logical {
    match plan {
        Logical::Scan(scan) if matches!(scan.access, Access::Table { .. }) => {
            Logical::Scan(select(scan))
        }
        other => other.map_inputs(&mut select_indexes),
    }
}

/// How an index reads a scan, or would.
pub(super) struct Way {
    pub(super) index: Arc<IndexEntry>,
    pub(super) keys: IndexKeys,
    /// How many parts of the filter are asked of the rows.
    pub(super) asked: usize,
}

/// The way of an index for a scan, as far as it is known or can be.
pub(super) fn way(scan: &Scan) -> Option<Way> {
    match &scan.access {
        Access::Index { index, keys, .. } => Some(Way {
            index: Arc::clone(index),
            keys: keys.clone(),
            asked: scan.filter.len(),
        }),
        Access::Union(_) => None,
        Access::Table { .. } if scan.filter.is_empty() => None,
        Access::Table { .. } => {
            let best = best(scan, Known::of(scan).choices())?;
            Some(Way {
                asked: scan.filter.len().saturating_sub(best.used.len()),
                index: best.index,
                keys: best.keys,
            })
        }
    }
}

/// The scan by an index, if one has keys that are known by these `conditions` once the values `is_outer` are; and
/// which of the conditions the keys express.
pub(super) fn select_by(
    scan: &Scan,
    conditions: Vec<Expr>,
    is_outer: &dyn Fn(&Expr) -> bool,
) -> Option<(Scan, Vec<usize>)> {
    let own = scan.filter.len();
    let mut asked = scan.clone();
    asked.filter.extend(conditions);
    let asked = with_keys(asked);
    let chosen = {
        let known = Known::of(&asked);
        let is_by_outer = |choice: &Choice| {
            if let IndexKeys::Elements(_) = choice.keys {
                return false;
            }
            let values = choice.keys.values();
            values
                .into_iter()
                .flatten()
                .any(|value| value.any(&mut |part| is_outer(part)))
        };
        let narrow = known.choices().filter(Choice::is_narrow);
        best(&asked, narrow.filter(is_by_outer))?
    };
    let used = chosen.used.iter().filter(|part| **part >= own);
    let used = used.map(|part| part - own).collect();
    Some((with(scan.clone(), chosen, false), used))
}

fn select(scan: Scan) -> Scan {
    let best = best(&scan, Known::of(&scan).choices());
    let union = match &best {
        Some(best) if best.is_narrow() => None,
        _ => union::of(&scan),
    };
    match (union, best) {
        (Some(parts), _) => Scan {
            access: Access::Union(parts),
            ..scan
        },
        (None, Some(best)) => with(scan, best, false),
        (None, None) => scan,
    }
}

/// The scan in an order, if an index should give it; says whether one does.
pub(super) fn select_ordered(scan: Scan, order: &Order) -> (Scan, bool) {
    let chosen = {
        let known = Known::of(&scan);
        let served = |way: &Choice| order.served(way, &known).is_some();
        let ordered = best(&scan, known.ways().filter(served));
        let best = best(&scan, known.choices());
        let chosen = ordered.filter(|choice| match &best {
            Some(best) => reads_no_more(choice, best),
            None => order.is_limited && scan.filter.len() == choice.used.len(),
        });
        chosen.and_then(|choice| order.served(&choice, &known).map(|served| (choice, served)))
    };
    match chosen {
        Some((choice, served)) => (with(scan, choice, served == Served::Backward), true),
        None => (scan, false),
    }
}

/// The scan in an order, though most of its rows may not pass the filter; `None` where no index gives it, or where one
/// finds few rows anyhow.
pub(super) fn select_tried(scan: Scan, order: &Order) -> Option<Scan> {
    let read_max = (scan.table.rows.about_rows() / TRIED_PART).min(TRIED_ROWS_MAX);
    if read_max < TRIED_ROWS_MIN {
        return None;
    }
    let (choice, served) = {
        let known = Known::of(&scan);
        if best(&scan, known.choices()).is_some_and(|best| best.is_narrow()) {
            return None;
        }
        let is_served = |way: &Choice| order.served(way, &known).is_some();
        let choice = best(&scan, known.ways().filter(is_served))?;
        let served = order.served(&choice, &known)?;
        (choice, served)
    };
    Some(Scan {
        read_max: Some(read_max),
        ..with(scan, choice, served == Served::Backward)
    })
}

/// Whether a choice finds no more rows than another one.
fn reads_no_more(choice: &Choice, than: &Choice) -> bool {
    let expresses = |part| choice.used.contains(part);
    Arc::ptr_eq(&choice.index, &than.index)
        || (!than.used.is_empty() && than.used.iter().all(expresses))
}

/// The first of equals wins: the primary key's index is first.
fn best(scan: &Scan, choices: impl Iterator<Item = Choice>) -> Option<Choice> {
    choices.reduce(|best, next| match is_better(scan, &next, &best) {
        true => next,
        false => best,
    })
}

/// Whether one choice is better than another: of two by equality because its keys have fewer rows, else by what it says.
fn is_better(scan: &Scan, one: &Choice, other: &Choice) -> bool {
    let by_score = one.score > other.score;
    if !one.is_by_equality() || !other.is_by_equality() {
        return by_score;
    }
    let rows = |choice: &Choice| rows_of_keys(&scan.table, &choice.index, &choice.keys);
    match rows(one).cmp(&rows(other)) {
        Ordering::Less => true,
        Ordering::Equal => by_score,
        Ordering::Greater => false,
    }
}

/// The scan by an index.
fn with(mut scan: Scan, choice: Choice, reverse: bool) -> Scan {
    let known = condition(&scan, &choice.index);
    let known = known.map_or_else(Vec::new, |condition| condition.clone().conjuncts());
    scan.access = Access::Index {
        index: choice.index,
        keys: choice.keys,
        reverse,
    };
    let mut position = 0;
    scan.filter.retain(|_| {
        position += 1;
        !choice.used.contains(&(position - 1))
    });
    // What is true of all rows of a partial index is not asked again.
    (scan.filter).retain(|part| !known.iter().any(|known| known.same(part)));
    scan
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

#[cfg(test)]
mod tests;
