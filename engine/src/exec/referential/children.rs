//! Rows that refer to keys of a set: by an index over the columns that refer, or by one scan.

use super::expired::has_expired;
use super::key_set::Keys;
use super::link::Link;
use crate::error::{Error, Result};
use crate::exec::Transaction;
use crate::exec::{BATCH_ROWS, ExecContext};
use crate::function::EvalContext;
use remora_storage::catalog::{IndexEntry, TableEntry};
use remora_storage::transaction::{Columns, ReadView, RowRef, RowTest};
use remora_storage::{RowId, Value, ValueRef};
use std::ops::Bound;
use std::sync::Arc;

/// Keys that are relied on one by one; with more of them, whoever validates asks a set.
const SHARED_KEYS_MAX: usize = 1024;

/// Rows of a key that are looked at first: mostly one is enough.
const FIRST_ROWS: usize = 16;

/// An index by which rows that refer are found.
struct Access {
    index: Arc<IndexEntry>,
    /// For each column of it that is used, its place in the key.
    order: Vec<usize>,
}

/// Whether a row refers to a key of a set, asked when a transaction is validated.
#[derive(Debug)]
struct RefersTo {
    link: Arc<Link>,
    keys: Arc<Keys>,
    eval: EvalContext,
}

impl RefersTo {
    /// The place in the set of the key that a row refers to.
    fn find(&self, row: &RowRef<'_>) -> Option<usize> {
        let columns = self.link.key.columns.iter();
        let values = columns.map(|column| row.get(*column));
        if values.clone().any(|value| value.is_null()) {
            return None;
        }
        let key = self.link.to_parent(values, &self.eval)?;
        self.keys.find(&self.link.encode(&key))
    }
}

impl RowTest for RefersTo {
    fn may_match(&self, row: &RowRef<'_>) -> bool {
        self.find(row).is_some()
    }

    /// It outlives the statement, and what that has reserved for the keys.
    fn bytes(&self) -> usize {
        size_of::<Self>() + self.link.bytes() + self.keys.bytes()
    }
}

/// Calls `visit` with each row that the transaction sees refer to a key of the set, unless it has expired, and the key's
/// place, until it fails or says `false`; relies on there being no others.
///
/// # Errors
/// 57014 and its like, and those of `visit`.
pub(super) fn each(
    link: &Arc<Link>,
    keys: &Arc<Keys>,
    tx: &Transaction,
    context: &ExecContext,
    mut visit: impl FnMut(RowId, usize) -> Result<bool>,
) -> Result<()> {
    let mut visit = |row: RowId, place: usize| match has_expired(&link.child, row, tx, context) {
        true => Ok(true),
        false => visit(row, place),
    };
    let refers = RefersTo {
        link: Arc::clone(link),
        keys: Arc::clone(keys),
        eval: context.eval.clone(),
    };
    let access = access(link);
    let few = keys.entries().len() <= SHARED_KEYS_MAX;
    // What counts of the rows is relied on here, whatever is read to find it.
    let view = tx.view().unrecorded();
    match access {
        Some(access) if few => {
            by_index(link, keys, &access, (&view, Some(tx)), context, &mut visit)
        }
        access => {
            let refers = Arc::new(refers);
            let test = Arc::clone(&refers);
            tx.share_scan(&link.child, Columns::NONE, Some(test));
            match access {
                Some(access) => by_index(link, keys, &access, (&view, None), context, &mut visit),
                None => by_scan(&link.child, &refers, &view, context, &mut visit),
            }
        }
    }
}

/// The best index over the columns that refer.
fn access(link: &Link) -> Option<Access> {
    let columns = &link.key.columns;
    let is_twice = |at: usize| columns[..at].contains(&columns[at]);
    if !link.has_counterparts() || (0..columns.len()).any(is_twice) {
        return None;
    }
    let order = |index: &IndexEntry| -> Option<Vec<usize>> {
        let parts = index.def.columns.get(..columns.len())?;
        let is_whole = index.def.columns.len() == columns.len();
        if !is_whole && !index.index.is_ordered() {
            return None;
        }
        let place = |part: &remora_storage::catalog::IndexColumn| {
            columns.iter().position(|column| *column == part.column)
        };
        let order: Vec<usize> = parts.iter().map(place).collect::<Option<_>>()?;
        // An index may have a column twice: then it does not have all.
        (0..columns.len())
            .all(|place| order.contains(&place))
            .then_some(order)
    };
    let usable = link.child.indexes.iter().filter_map(|index| {
        order(index).map(|order| Access {
            index: Arc::clone(index),
            order,
        })
    });
    usable.min_by_key(|access| access.index.def.columns.len())
}

fn by_index(
    link: &Link,
    keys: &Keys,
    access: &Access,
    (view, shared_by): (&ReadView, Option<&Transaction>),
    context: &ExecContext,
    visit: &mut impl FnMut(RowId, usize) -> Result<bool>,
) -> Result<()> {
    let table = &link.child;
    for (place, entry) in keys.entries().iter().enumerate() {
        context.check()?;
        let Some(key) = link.to_child(&entry.key) else {
            continue;
        };
        let prefix: Vec<ValueRef<'_>> = access.order.iter().map(|at| key[*at].as_ref()).collect();
        if let Some(tx) = shared_by {
            tx.share_prefix(table, &access.index, &prefix);
        }
        if !rows_with(table, &access.index, &prefix, view, |row| visit(row, place))? {
            return Ok(());
        }
    }
    Ok(())
}

/// Calls `visit` with the rows whose key begins with these values, until it says `false`; returns whether
/// it did not.
fn rows_with(
    table: &Arc<TableEntry>,
    index: &Arc<IndexEntry>,
    prefix: &[ValueRef<'_>],
    view: &ReadView,
    mut visit: impl FnMut(RowId) -> Result<bool>,
) -> Result<bool> {
    // A scan can be left when the first rows are enough, and does not copy the ids of all.
    let is_unique = index.def.unique && prefix.len() == index.def.columns.len();
    if is_unique || !index.index.is_ordered() {
        for row in view.lookup(table, index, prefix)? {
            if !visit(row)? {
                return Ok(false);
            }
        }
        return Ok(true);
    }
    let (low, high) = (Bound::Included(prefix), Bound::Included(prefix));
    let mut scan = view.range(table, index, &[], low, high, false)?.with_ids();
    let mut limit = FIRST_ROWS;
    while let Some(batch) = scan.next(limit)? {
        limit = BATCH_ROWS;
        for row in &batch.ids {
            if !visit(*row)? {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

fn by_scan(
    table: &Arc<TableEntry>,
    refers: &RefersTo,
    view: &ReadView,
    context: &ExecContext,
    visit: &mut impl FnMut(RowId, usize) -> Result<bool>,
) -> Result<()> {
    /// Why a walk ends before the last row.
    enum End {
        Found,
        Failed(Error),
    }
    let mut seen = 0_usize;
    let walked = view.for_each_row(table, |id, row| {
        seen += 1;
        if seen.is_multiple_of(BATCH_ROWS) {
            context.check().map_err(End::Failed)?;
        }
        let Some(place) = refers.find(row) else {
            return Ok(());
        };
        match visit(id, place) {
            Ok(true) => Ok(()),
            Ok(false) => Err(End::Found),
            Err(error) => Err(End::Failed(error)),
        }
    });
    match walked {
        Ok(()) | Err(End::Found) => Ok(()),
        Err(End::Failed(error)) => Err(error),
    }
}

/// The values of a row's columns, owned.
pub(super) fn values(row: &RowRef<'_>, columns: &[remora_storage::ColumnId]) -> Vec<Value> {
    columns
        .iter()
        .map(|column| row.get(*column).to_owned())
        .collect()
}
