//! System tables: what the engine knows of itself, to be read like any table.
//!
//! They have no storage: their rows are made when a statement reads them, of what is true then and not of what the
//! statement's snapshot shows; those of `pg_catalog` are made of the catalog that the statement sees. A name is
//! looked for in the catalog first. Their names cannot be given to new tables.
//!
//! A table is one [`Definition`], in which each column stands beside its value, and one line of [`TABLES`]. The rest of
//! `pg_catalog` and `information_schema` are queries over these tables ([`SystemView`]).

mod activity;
mod caches;
mod checkpoints;
mod durability;
mod memory;
mod pg_catalog;
mod pg_constraint;
mod pg_sequence;
mod pg_trigger;
mod pg_type;
mod recovery;
mod session;
mod storage;
mod table;
mod ttl;
mod view;

use table::{Column, Definition, Row, SystemContext};
pub(crate) use view::SystemView;

use crate::error::Result;
use crate::function::{EvalContext, Needs};
use remora_storage::{ReadView, SequenceId};

/// All tables: the engine's own, and those of `pg_catalog`.
static TABLES: &[&Definition] = &[
    &pg_sequence::SEQUENCES,
    &caches::CACHES,
    &checkpoints::CHECKPOINTS,
    &activity::CONFLICTS,
    &session::CURSORS,
    &session::PREPARED_STATEMENTS,
    &durability::DURABILITY,
    &storage::INDEXES,
    &memory::MEMORY,
    &activity::PLAN_CACHE,
    &memory::POOL,
    &memory::PRESSURE,
    &memory::PRESSURE_HISTORY,
    &recovery::RECOVERY,
    &recovery::RECOVERY_LOSSES,
    &storage::TABLES,
    &ttl::TTL,
    &activity::TRANSACTIONS,
    &pg_catalog::NAMESPACE,
    &pg_catalog::CLASS,
    &pg_catalog::ATTRIBUTE,
    &pg_type::TYPE,
    &pg_type::ENUM,
    &pg_type::RANGE,
    &pg_catalog::INDEX,
    &pg_constraint::CONSTRAINT,
    &pg_trigger::TRIGGER,
    &pg_constraint::CONSTRAINT_COLUMN,
    &pg_catalog::ATTRDEF,
    &pg_catalog::REWRITE,
    &pg_sequence::SEQUENCE,
    &pg_catalog::DESCRIPTION,
    &pg_catalog::DATABASE,
    &pg_catalog::ROLES,
];

/// A table that only the engine writes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SystemTable {
    definition: &'static Definition,
    /// The sequence that is read as a table of one row.
    sequence: Option<SequenceId>,
}

impl SystemTable {
    /// Returns the table of that name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let definition = TABLES.iter().find(|table| table.name == name)?;
        Some(Self {
            definition,
            sequence: None,
        })
    }

    /// Returns a sequence as a table.
    pub(crate) fn sequence(id: SequenceId) -> Self {
        Self {
            definition: &pg_sequence::ONE,
            sequence: Some(id),
        }
    }

    /// Names to suggest for one that is not found: those of tables that are no part of the catalog.
    pub(crate) fn suggestions<'n>() -> impl Iterator<Item = &'n str> {
        let engine = TABLES.iter().filter(|table| table.needs != Needs::CATALOG);
        engine.map(|table| table.name)
    }

    pub(crate) fn name(self) -> &'static str {
        self.definition.name
    }

    pub(crate) fn columns(self) -> &'static [Column] {
        self.definition.columns
    }

    /// Parts of the session that the rows are made of.
    pub(crate) fn needs(self) -> Needs {
        self.definition.needs
    }

    /// Whether the rows show what others have committed, which must be durable first. A statement that reads what is
    /// at risk must not make it durable.
    pub(crate) fn shows_commits(self) -> bool {
        !std::ptr::eq(self.definition, &durability::DURABILITY)
    }

    /// Returns all rows, as of now.
    ///
    /// # Errors
    /// Those of reading the manifests of checkpoints.
    pub(crate) fn rows(self, view: &ReadView, eval: &EvalContext) -> Result<Vec<Row>> {
        (self.definition.rows)(&SystemContext {
            view,
            eval,
            sequence: self.sequence,
        })
    }
}
