//! Order: whether the keys of an index come in the order that rows are wanted in.
//!
//! Columns of which the filter fixes the value do not count, in the order and in the index. The others must be the
//! index's next ones, one after the other, all in its directions or all in the opposite ones, with NULLs where the
//! order wants them, if there may be some. What comes after all columns of a unique key does not matter.

use super::keys::{Choice, Known};
use crate::plan::physical::IndexKeys;
use remora_storage::ColumnId;
use remora_storage::catalog::IndexColumn;

/// An order of a table's rows.
pub(in crate::optimize) struct Order {
    pub(in crate::optimize) keys: Vec<OrderKey>,
    /// Whether only the first rows are wanted.
    pub(in crate::optimize) is_limited: bool,
}

/// One key of it.
#[derive(Clone, Copy)]
pub(in crate::optimize) struct OrderKey {
    pub(in crate::optimize) column: ColumnId,
    pub(in crate::optimize) descending: bool,
    pub(in crate::optimize) nulls_first: bool,
}

/// How an index is read to give an order.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Served {
    Forward,
    Backward,
}

impl Order {
    /// How the order is had by a choice; `None` where it is not.
    pub(super) fn served(&self, choice: &Choice, known: &Known<'_>) -> Option<Served> {
        let def = &choice.index.def;
        match &choice.keys {
            IndexKeys::Points(keys) => {
                let is_single = keys.len() == 1;
                let is_one = is_single && def.unique;
                let mut wanted = self.keys.iter();
                let is_served = is_one || wanted.all(|key| known.is_constant(key.column));
                (is_single && is_served).then_some(Served::Forward)
            }
            IndexKeys::Elements(_) => None,
            IndexKeys::Range { .. } | IndexKeys::Prefix(_) => {
                self.along(&choice.index.def.columns, def.unique, known)
            }
        }
    }

    fn along(&self, columns: &[IndexColumn], unique: bool, known: &Known<'_>) -> Option<Served> {
        let is_null = |column: &IndexColumn| {
            known.is_constant(column.column) && known.may_be_null(column.column)
        };
        // NULLs are not told apart by a unique key.
        let mut is_told_apart = unique && !columns.iter().any(is_null);
        let is_free = |column: &&IndexColumn| !known.is_constant(column.column);
        let mut columns = columns.iter().filter(is_free);
        let mut met: Vec<ColumnId> = Vec::new();
        let mut served = None;
        for key in &self.keys {
            if known.is_constant(key.column) || met.contains(&key.column) {
                continue;
            }
            let Some(column) = columns.next() else {
                return is_told_apart.then_some(served.unwrap_or(Served::Forward));
            };
            let may_be_null = known.may_be_null(key.column);
            let step = step(column, key, may_be_null).filter(|_| !known.is_char(key.column))?;
            if served.is_some_and(|served| served != step) {
                return None;
            }
            served = Some(step);
            is_told_apart &= !may_be_null;
            met.push(key.column);
        }
        Some(served.unwrap_or(Served::Forward))
    }
}

/// How a column of an index is read to give a key of an order.
fn step(column: &IndexColumn, key: &OrderKey, may_be_null: bool) -> Option<Served> {
    let served = match column.descending == key.descending {
        true => Served::Forward,
        false => Served::Backward,
    };
    let nulls_first = column.nulls_first == (served == Served::Forward);
    let fits = column.column == key.column && (!may_be_null || nulls_first == key.nulls_first);
    fits.then_some(served)
}
