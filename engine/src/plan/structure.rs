//! Changes of the structure: ALTER, and what is about views, as steps and as rows that are copied.

use super::Expr;
use super::physical::PhysicalPlan;
use remora_storage::catalog::{IndexDef, TableDef, ViewDef};
use remora_storage::{IndexId, SequenceId, TableId};

/// A change of the catalog that concerns no row.
#[derive(Clone, PartialEq, Debug)]
pub enum Step {
    /// An index goes.
    DropIndex(IndexId),
    /// An index comes, and is filled.
    CreateIndex(IndexDef),
    /// An index, or the constraint that it stands for, gets another name.
    RenameIndex(IndexId, String),
    /// A sequence goes.
    DropSequence(SequenceId),
    /// The foreign key of that name goes from a table.
    DropForeignKey(TableId, String),
    /// A view comes.
    CreateView(ViewDef),
    /// A view is another.
    AlterView(ViewDef),
    /// A view goes.
    DropView(TableId),
}

/// ALTER TABLE: all actions of one statement in one pass over the rows.
#[derive(Clone, Debug)]
pub struct AlterTable {
    /// What goes first.
    pub before: Vec<Step>,
    /// What the table is from then on.
    pub def: TableDef,
    /// What becomes of its rows.
    pub rows: AlteredRows,
    /// What must be true of them.
    pub tests: Tests,
    /// What comes at last.
    pub after: Vec<Step>,
}

/// What ALTER TABLE does to the rows.
#[derive(Clone, Debug)]
pub enum AlteredRows {
    /// Nobody looks at them.
    Left,
    /// They stay as they are, and are tested: all columns of the table, in order.
    Tested(Box<PhysicalPlan>),
    /// They are computed anew, tested and stored, with these indexes: all columns of the altered table, in
    /// order.
    Rewritten(Box<PhysicalPlan>, Vec<IndexDef>),
}

/// What ALTER TABLE tests: columns by position in the altered table.
#[derive(Clone, Debug, Default)]
pub struct Tests {
    /// These are not NULL.
    pub not_null: Vec<usize>,
    /// These are not false.
    pub checks: Vec<(String, Expr)>,
}
