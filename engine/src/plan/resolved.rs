//! Resolved names: what the names of a statement were found to mean when it was planned.
//!
//! A plan is made for one catalog, and each change of any definition makes another one. A plan stays good as long as its
//! names mean the same tables, with the same columns and indexes:
//!
//! 1. Each name of a relation is resolved again, by the same search path; that a name meant nothing counts as well, so
//!    that a temporary table that hides another one is noticed.
//! 2. A table's entry is replaced whenever something about it changes, so the same entry is the same table.
//! 3. Views, functions, types and schemas have to be those that there were: of these nothing is known one by one.
//!
//! Statements about which more would have to be known (views, sequences, bodies of functions, foreign keys, triggers)
//! have no resolved names, and are planned again.

use crate::function::{Located, SearchPath};
use remora_storage::catalog::{Catalog, TableEntry};
use std::sync::Arc;

/// The names of a statement.
#[derive(Clone, Debug, Default)]
pub(crate) struct Resolved(Vec<Resolution>);

/// A name, and the table that it means.
#[derive(Clone, Debug)]
struct Resolution {
    located: Located,
    /// `None` where it means nothing in the catalog.
    table: Option<Arc<TableEntry>>,
}

impl Resolved {
    /// Adds a name; false where it means something that is no table.
    pub(crate) fn add(&mut self, catalog: &Catalog, located: &Located) -> bool {
        let table = catalog.table(located).cloned();
        let is_table = table.is_some() || !catalog.has_name(located);
        if !self.0.iter().any(|known| known.located == *located) {
            self.0.push(Resolution {
                located: located.clone(),
                table,
            });
        }
        is_table
    }

    /// Whether the names, which were resolved in a catalog, mean the same in a later one.
    pub(crate) fn mean_the_same(&self, old: &Catalog, new: &Catalog, path: &SearchPath) -> bool {
        let is_same = |resolution: &Resolution| {
            let located = path.locate(new, resolution.located.written.clone());
            let table = new.table(&located);
            let is_same = match (&resolution.table, table) {
                (Some(old), Some(new)) => Arc::ptr_eq(old, new),
                (None, None) => !new.has_name(&located),
                _ => false,
            };
            is_same && located == resolution.located
        };
        new.has_definitions_of(old) && self.0.iter().all(is_same)
    }
}
