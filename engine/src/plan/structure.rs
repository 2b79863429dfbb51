//! Changes of the structure: ALTER, and what is about views, as steps and as rows that are copied.

use super::physical::PhysicalPlan;
use super::sequence::{ColumnSequence, SequenceChange};
use super::statement::RowCheck;
use remora_storage::catalog::{
    Commented, ForeignKeyDef, FunctionDef, IndexDef, SequenceDef, TableDef, TypeDef, ViewDef,
};
use remora_storage::{ColumnId, IndexId, SchemaId, SequenceId, TableId, TypeId};

/// A change of the catalog that concerns no row.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Step {
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
    /// A foreign key comes to a table, whose rows are not tested for it.
    AddForeignKey(TableId, ForeignKeyDef),
    /// A view comes.
    CreateView(ViewDef),
    /// A view is another.
    AlterView(ViewDef),
    /// A view goes.
    DropView(TableId),
    /// A table is defined otherwise; its rows are as the definition says.
    DefineTable(TableDef),
    /// A function comes.
    CreateFunction(FunctionDef),
    /// A function is another.
    AlterFunction(FunctionDef),
    /// A function goes.
    DropFunction(TableId),
    /// A type comes.
    CreateType(TypeDef),
    /// A type of ranges comes, and that of their multiranges.
    CreateRange(TypeDef, TypeDef),
    /// A type is another.
    AlterType(TypeDef),
    /// A type goes, which nothing is of any more.
    DropType(TypeId),
    /// A table goes, with its foreign keys.
    DropTable(TableId),
    /// A column has no default any more.
    DropDefault(TableId, ColumnId),
    /// A sequence is another, and stands where it stood.
    AlterSequence(SequenceDef),
    /// The options or the position of an identity column's sequence change.
    ChangeSequence(SequenceId, SequenceChange),
    /// A schema comes.
    CreateSchema(String),
    /// A schema gets another name.
    RenameSchema(SchemaId, String),
    /// A schema goes, which is empty.
    DropSchema(SchemaId),
    /// Something has another comment, or none.
    SetComment(Commented, Option<String>),
}

/// ALTER TABLE: all actions of one statement in one pass over the rows.
#[derive(Clone, Debug)]
pub(crate) struct AlterTable {
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
    /// Foreign keys that come behind it.
    pub foreign_keys: Vec<ComingKey>,
    /// Foreign keys, by name, that rows are then tested for.
    pub validated: Vec<(TableId, String)>,
    /// Columns that get a sequence.
    pub numbered: Vec<NumberedColumn>,
}

/// A foreign key that comes to a table.
#[derive(Clone, Debug)]
pub(crate) struct ComingKey {
    /// What it is.
    pub def: ForeignKeyDef,
    /// The index that it refers to, by name, where that comes by the same statement.
    pub index: Option<String>,
}

/// What ALTER TABLE does to the rows.
#[derive(Clone, Debug)]
pub(crate) enum AlteredRows {
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
pub(crate) struct Tests {
    /// These are not NULL.
    pub not_null: Vec<usize>,
    /// These are not false.
    pub checks: Vec<RowCheck>,
}

/// A column that gets a sequence of its own.
#[derive(Clone, Debug)]
pub(crate) struct NumberedColumn {
    /// Which.
    pub column: ColumnId,
    /// What it takes numbers from; the position in it does not count.
    pub sequence: ColumnSequence,
    /// Whether the rows that are there get numbers.
    pub fills: bool,
}
