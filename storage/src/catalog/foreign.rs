//! Foreign keys: a table's columns that name a row of another one, or of itself.
//!
//! The definition belongs to the table that refers, and is logged and checkpointed with it. The table
//! that is referred to has a copy of it beside its own ([`Reference`]): derived, never written to a file,
//! and kept right by [`Catalog::set_table`]. So who changes rows of either table finds all that concerns
//! it in the one entry that it holds; and since the entry is another one as soon as a foreign key comes
//! or goes, who has written to either table by an older one fails at its commit ([`super::same_rows`]).

use super::{Catalog, TableEntry};
use crate::error::{Error, Result};
use crate::ids::{ColumnId, IndexId, TableId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A foreign key.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForeignKeyDef {
    /// Its name.
    pub name: String,
    /// The columns that refer.
    pub columns: Vec<ColumnId>,
    /// The table that they refer to.
    pub parent: TableId,
    /// The columns there, each for the one at its place in `columns`.
    pub referenced: Vec<ColumnId>,
    /// The unique index over just those columns, in any order.
    pub index: IndexId,
    /// Whether a key is either NULL as a whole or not at all (MATCH FULL).
    pub full: bool,
    /// What happens to rows that refer to one that is deleted.
    pub on_delete: ForeignAction,
    /// What happens to rows that refer to a key that changes.
    pub on_update: ForeignAction,
    /// When it is checked.
    #[serde(default, skip_serializing_if = "Deferral::is_never")]
    pub deferral: Deferral,
    /// Whether there may be rows that were never tested for it.
    #[serde(default, skip_serializing_if = "super::definition::is_false")]
    pub not_valid: bool,
    /// The columns that `on_delete` sets, where that is not all of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub set_columns: Vec<ColumnId>,
}

/// When a constraint is checked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum Deferral {
    /// With each statement: `NOT DEFERRABLE`.
    #[default]
    Never,
    /// With each statement, unless the transaction says otherwise: `DEFERRABLE`.
    Immediate,
    /// When the transaction commits, unless it says otherwise: `INITIALLY DEFERRED`.
    Deferred,
}

impl Deferral {
    #[allow(clippy::trivially_copy_pass_by_ref)] // As serde calls it.
    pub(super) fn is_never(&self) -> bool {
        *self == Self::Never
    }
}

/// What a foreign key does where a key that is referred to goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum ForeignAction {
    /// The statement fails if the key is missed at its end.
    #[default]
    NoAction,
    /// The statement fails.
    Restrict,
    /// Rows that refer follow: they are deleted, or refer to the new key.
    Cascade,
    /// They refer to nothing.
    SetNull,
    /// They get the defaults of their columns.
    SetDefault,
}

/// A foreign key, as the table has it that is referred to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reference {
    /// The table that refers.
    pub child: TableId,
    /// By what.
    pub key: ForeignKeyDef,
}

impl Catalog {
    /// The tables whose rows may change with those of a table: that refer to it, and that refer to them. It is not among
    /// them, unless it refers to itself.
    pub fn followers(&self, table: &TableEntry) -> Vec<&Arc<TableEntry>> {
        let (mut found, mut seen) = (Vec::<&Arc<TableEntry>>::new(), BTreeSet::new());
        let mut references = table.references.as_slice();
        let mut at = 0;
        loop {
            for reference in references {
                if seen.insert(reference.child) {
                    found.extend(self.table_by_id(reference.child));
                }
            }
            let Some(next) = found.get(at) else {
                return found;
            };
            references = next.references.as_slice();
            at += 1;
        }
    }

    /// Sets what a table has of the foreign keys of another, or of itself.
    pub(super) fn refer(&mut self, parent: TableId, child: TableId) {
        let Some(entry) = self.tables.get(&parent) else {
            return;
        };
        let keys = self.tables.get(&child).into_iter();
        let keys = keys.flat_map(|child| &child.def.foreign_keys);
        let own = keys.filter(|key| key.parent == parent);
        let own = own.map(|key| Reference {
            child,
            key: key.clone(),
        });
        let others = entry.references.iter().filter(|other| other.child != child);
        let mut references: Vec<Reference> = others.cloned().chain(own).collect();
        // Stable: those of one table stay in the order in which they were made.
        references.sort_by_key(|reference| reference.child);
        if references != entry.references {
            let changed = TableEntry {
                references,
                ..entry.with_def(entry.def.clone())
            };
            self.tables.insert(parent, Arc::new(changed));
        }
    }

    /// The same for a table that came after others that refer to it: where a checkpoint is read.
    pub(super) fn refer_to_new(&mut self, parent: TableId) {
        let refers = |table: &&Arc<TableEntry>| table.parents().any(|id| id == parent);
        let children = self.tables.values().filter(refers);
        let children: Vec<TableId> = children.map(|table| table.def.id).collect();
        for child in children {
            self.refer(parent, child);
        }
    }

    /// Changes the list of a table's foreign keys.
    ///
    /// # Errors
    /// `UndefinedRelation` where there is no such table.
    pub fn change_foreign_keys(
        &mut self,
        table: TableId,
        change: impl FnOnce(&mut Vec<ForeignKeyDef>),
    ) -> Result<()> {
        let entry = self.tables.get(&table);
        let entry = entry.ok_or_else(|| Error::UndefinedRelation(table.to_string()))?;
        let mut def = entry.def.clone();
        change(&mut def.foreign_keys);
        let changed = entry.with_def(def);
        self.set_table(table, Some(Arc::new(changed)))
    }

    /// The first foreign key that does not fit the tables which it is between, said in words.
    pub fn unfit_foreign_key(&self) -> Option<String> {
        let tables = self.tables.values();
        let mut keys = tables.flat_map(|table| {
            let keys = table.def.foreign_keys.iter();
            keys.map(move |key| (table, key))
        });
        keys.find_map(|(table, key)| {
            let fit = self.is_fit(table, key);
            (!fit).then(|| format!("foreign key {} of {}", key.name, table.def.name))
        })
    }

    /// Whether there is all that a foreign key names.
    pub fn is_fit(&self, child: &TableEntry, key: &ForeignKeyDef) -> bool {
        let Some(parent) = self.tables.get(&key.parent) else {
            return false;
        };
        let mut indexes = parent.indexes.iter();
        let index = indexes.find(|index| index.def.id == key.index && index.def.unique);
        let has_all = |table: &TableEntry, columns: &[ColumnId]| {
            columns.iter().all(|id| table.def.position(*id).is_some())
        };
        let is_twice = |at: usize| key.referenced[..at].contains(&key.referenced[at]);
        index.is_some_and(|index| {
            index.def.columns.len() == key.referenced.len()
                && !(0..key.referenced.len()).any(is_twice)
                && key.referenced.iter().all(|column| index.covers(*column))
        }) && key.columns.len() == key.referenced.len()
            && has_all(child, &key.columns)
            && key.set_columns.iter().all(|id| key.columns.contains(id))
            && has_all(parent, &key.referenced)
    }
}
