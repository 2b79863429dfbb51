//! Definitions of tables and indexes: plain data, as logged and as checkpointed.

use super::comment::Commented;
use super::foreign::{Deferral, ForeignKeyDef};
use super::function::FunctionDef;
use super::sequence::SequenceDef;
use super::trigger::TriggerDef;
use super::types::TypeDef;
use super::view::{ViewDef, ViewSource};
use crate::ids::{ColumnId, IndexId, SchemaId, SequenceId, TableId, TypeId};
use crate::table::EvictionPolicy;
use crate::value::DataType;
use serde::{Deserialize, Serialize};

/// A table.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableDef {
    /// Its id.
    pub id: TableId,
    /// Its name.
    pub name: String,
    /// Its columns; those of `SELECT *` are in its order.
    pub columns: Vec<ColumnDef>,
    /// Conditions every row satisfies.
    pub checks: Vec<CheckDef>,
    /// Rows of other tables that every row refers to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub foreign_keys: Vec<ForeignKeyDef>,
    /// Where it is; its indexes are there, too.
    #[serde(default, skip_serializing_if = "SchemaId::is_public")]
    pub schema: SchemaId,
    /// What becomes of its rows; of a temporary table, which is never written anywhere.
    #[serde(skip)]
    pub on_commit: OnCommit,
    /// Of a materialized view: what its rows are those of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub materialized: Option<Materialized>,
    /// What follows from changes of its rows, in the order of names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub triggers: Vec<TriggerDef>,
    /// When its rows expire, if they do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expiry: Option<Box<Expiry>>,
    /// How it stays within bounds by giving up rows, if it is a cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eviction: Option<Box<Eviction>>,
    /// Whether its rows are not logged: a crash leaves none of them.
    #[serde(default, skip_serializing_if = "is_false")]
    pub unlogged: bool,
    /// How many rows it has at most, if it refuses more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bound: Option<Bound>,
}

/// How many rows a table has at most, which takes no more when it is full.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bound {
    /// Rows, committed or inserted by transactions that run.
    pub max_rows: u64,
    /// Whether an insertion waits for room. Storage does not wait.
    #[serde(default, skip_serializing_if = "is_false")]
    pub waits: bool,
}

/// How a table stays within bounds, one of which it has: by giving up rows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Eviction {
    /// Which rows it gives up first.
    pub policy: EvictionPolicy,
    /// Bytes that it takes at most, as the ledger counts them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<u64>,
    /// Rows that it has at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_rows: Option<u64>,
    /// Of caches that shrink because memory is scarce, those with a lower number shrink first.
    #[serde(default)]
    pub priority: i32,
}

/// When the rows of a table expire: at the moment that a column of theirs says, be it NULL or infinity, which are never.
/// Storage does not read it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expiry {
    /// The column, which is of type TIMESTAMPTZ.
    pub column: ColumnId,
    /// How long after they were written, as an INTERVAL's text; `None` where the column is generated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// Whether an UPDATE of a row begins its time anew.
    pub resets: bool,
    /// Whether triggers fire where the system deletes a row that has expired.
    #[serde(default, skip_serializing_if = "is_false")]
    pub triggers: bool,
    /// Whether rows that have expired are left where they are.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub paused: bool,
}

/// The query of a materialized view; storage does not read it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Materialized {
    /// As SQL text.
    pub query: String,
    /// What the names in it stand for, as in a view.
    pub sources: Vec<ViewSource>,
    /// Whether it was ever asked: else there are no rows to be read.
    pub populated: bool,
}

/// What becomes of a temporary table when a transaction commits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum OnCommit {
    /// Its rows stay.
    #[default]
    Preserve,
    /// Its rows go.
    Delete,
    /// It goes.
    Drop,
}

/// A schema: a name space for tables, indexes, sequences and views. `public` is always there and has none.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SchemaDef {
    /// Its id.
    pub id: SchemaId,
    /// Its name.
    pub name: String,
}

/// A column.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColumnDef {
    /// Its id, which no other column of the table has.
    pub id: ColumnId,
    /// Its name.
    pub name: String,
    /// Its type.
    pub data_type: DataType,
    /// Whether NULL is refused (by the engine, before storage is asked).
    pub not_null: bool,
    /// The default as SQL text; storage does not read it.
    pub default: Option<String>,
    /// The sequences that the default takes numbers from: they cannot go before it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sequences: Vec<SequenceId>,
    /// Whether its numbers are its own sequence's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<Identity>,
    /// What it is computed from, as SQL text, where it is (by the engine; storage does not read it).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generated: Option<String>,
    /// How much of a time or span it keeps: digits of seconds in the lower eight bits, above them the least
    /// field of a span, 0 for all (the engine cuts values; storage does not read it).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_modifier: Option<i32>,
    /// The domain that its values are of, of which its type is that of the values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<TypeId>,
    /// How its texts compare, where that was said (by the engine; storage compares bytes).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collation: Option<Collation>,
    /// Whether `SELECT *` leaves it out: it has to be named.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unlisted: bool,
}

/// How texts compare: all but the last by their bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Collation {
    /// `"C"`
    C,
    /// `"POSIX"`
    Posix,
    /// `ucs_basic`
    UcsBasic,
    /// `nocase`: by the bytes of what they are in lower case.
    Nocase,
}

impl Collation {
    /// All there are.
    pub const ALL: [Self; 4] = [Self::C, Self::Posix, Self::UcsBasic, Self::Nocase];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::C => "C",
            Self::Posix => "POSIX",
            Self::UcsBasic => "ucs_basic",
            Self::Nocase => "nocase",
        }
    }
}

/// `GENERATED .. AS IDENTITY`: when a column takes its sequence's numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Identity {
    /// Always, unless an INSERT overrides that.
    Always,
    /// Where nothing else is given.
    ByDefault,
}

/// A CHECK constraint.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckDef {
    /// Its name.
    pub name: String,
    /// The condition as SQL text; storage does not read it.
    pub expression: String,
    /// Whether there may be rows that were never tested for it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub not_valid: bool,
}

/// An index.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IndexDef {
    /// Its id.
    pub id: IndexId,
    /// Its name.
    pub name: String,
    /// The table it is on.
    pub table: TableId,
    /// Its columns, most significant first.
    pub columns: Vec<IndexColumn>,
    /// Whether no two rows may have one key (rows with a NULL in the key do not collide, unless it says so).
    pub unique: bool,
    /// What structure it is.
    pub kind: IndexKind,
    /// The constraint it stands for, if any.
    pub constraint: Option<Constraint>,
    /// Whether, where it is unique, NULL is a value like any other.
    #[serde(default, skip_serializing_if = "is_false")]
    pub nulls_not_distinct: bool,
    /// Whether it has only those rows whose first column of the key is true: that column is hidden, and
    /// computed from the condition.
    #[serde(default, skip_serializing_if = "is_false")]
    pub partial: bool,
    /// Of a unique constraint that is not `unique`: when it is checked, by the engine.
    #[serde(default, skip_serializing_if = "Deferral::is_never")]
    pub deferral: Deferral,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // As serde calls it.
pub(super) fn is_false(flag: &bool) -> bool {
    !flag
}

/// One column of an index.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IndexColumn {
    /// The column.
    pub column: ColumnId,
    /// Whether greater values come first.
    pub descending: bool,
    /// Whether NULLs come before all values.
    pub nulls_first: bool,
}

/// What structure an index is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum IndexKind {
    /// Points, ranges and order.
    Ordered,
    /// Points only.
    Hash,
}

/// The constraint that an index stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Constraint {
    /// PRIMARY KEY
    PrimaryKey,
    /// UNIQUE
    Unique,
}

/// One step of DDL, as logged.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum CatalogChange {
    /// A table came.
    CreateTable(TableDef),
    /// A table went, with its indexes.
    DropTable(TableId),
    /// An index came.
    CreateIndex(IndexDef),
    /// An index went.
    DropIndex(IndexId),
    /// A foreign key came, to a table that refers by it.
    AddForeignKey(TableId, ForeignKeyDef),
    /// A foreign key of that name went.
    DropForeignKey(TableId, String),
    /// A sequence came, at its beginning.
    CreateSequence(SequenceDef),
    /// A sequence became another one of the same id; where it stands is logged apart.
    AlterSequence(SequenceDef),
    /// A sequence went.
    DropSequence(SequenceId),
    /// The default of a column became another one.
    SetDefault(TableId, ColumnId, ColumnDefault),
    /// A table is defined otherwise; the layout of its rows is what it was.
    AlterTable(TableDef),
    /// A table is defined otherwise, and begins without rows and indexes: those that it shall have follow.
    RewriteTable(TableDef),
    /// A table begins without rows, and its indexes without entries.
    EmptyTable(TableId),
    /// An index has another name.
    RenameIndex(IndexId, String),
    /// A view came, or is another.
    SetView(ViewDef),
    /// A view went.
    DropView(TableId),
    /// A function came, or is another.
    SetFunction(FunctionDef),
    /// A function went.
    DropFunction(TableId),
    /// A type came, or is another.
    SetType(TypeDef),
    /// A type went.
    DropType(TypeId),
    /// A schema came, or has another name.
    SetSchema(SchemaDef),
    /// A schema went, in which nothing was left.
    DropSchema(SchemaId),
    /// Something has another comment, or none.
    SetComment(Commented, Option<String>),
}

/// What a column is when nothing is given for it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColumnDefault {
    /// As SQL text; `None` for NULL.
    pub text: Option<String>,
    /// The sequences that it takes numbers from.
    pub sequences: Vec<SequenceId>,
}

impl ColumnDef {
    /// A column that may be NULL, and is unless something else is said.
    pub fn new(id: ColumnId, name: impl Into<String>, data_type: DataType) -> Self {
        Self {
            id,
            name: name.into(),
            data_type,
            not_null: false,
            default: None,
            sequences: Vec::new(),
            identity: None,
            generated: None,
            time_modifier: None,
            domain: None,
            collation: None,
            unlisted: false,
        }
    }
}

/// Behind the name of a column whose keys are wanted.
const FOLDED: &str = " COLLATE nocase";

impl ColumnDef {
    /// Whether nobody can name it: a column without a name holds what keys of indexes are computed to be.
    pub fn is_hidden(&self) -> bool {
        self.name.is_empty()
    }

    /// Of a hidden column that holds the keys by which another one's texts are compared: the name of that one.
    pub fn folded(&self) -> Option<String> {
        let text = self.generated.as_deref().filter(|_| self.is_hidden())?;
        let quoted = text.strip_suffix(FOLDED)?;
        let name = quoted.strip_prefix('"')?.strip_suffix('"')?;
        let is_one = !name.replace("\"\"", "").contains('"');
        is_one.then(|| name.replace("\"\"", "\""))
    }

    /// What the keys are computed from by which a column's texts are compared.
    pub fn folding(column: &str) -> String {
        format!("\"{}\"{FOLDED}", column.replace('"', "\"\""))
    }
}

impl IndexColumn {
    /// The order that nothing else asks for: small values first, NULLs last.
    pub fn ascending(column: ColumnId) -> Self {
        Self {
            column,
            descending: false,
            nulls_first: false,
        }
    }
}

impl IndexDef {
    /// An ordered index, not unique, of ascending columns with NULLs last. Its id is given when it is
    /// created.
    pub fn new(
        name: impl Into<String>,
        table: TableId,
        columns: impl IntoIterator<Item = ColumnId>,
    ) -> Self {
        let columns = columns.into_iter().map(IndexColumn::ascending);
        Self {
            id: IndexId::default(),
            name: name.into(),
            table,
            columns: columns.collect(),
            unique: false,
            kind: IndexKind::Ordered,
            constraint: None,
            nulls_not_distinct: false,
            partial: false,
            deferral: Deferral::Never,
        }
    }

    /// Whether no two rows may have one key when a transaction has committed.
    pub fn is_unique(&self) -> bool {
        self.unique || self.deferral != Deferral::Never
    }

    /// The index that stands for a primary key of these columns.
    pub fn primary_key(
        name: impl Into<String>,
        table: TableId,
        columns: impl IntoIterator<Item = ColumnId>,
    ) -> Self {
        Self {
            unique: true,
            constraint: Some(Constraint::PrimaryKey),
            ..Self::new(name, table, columns)
        }
    }
}

impl TableDef {
    /// The expression by which its rows expire, if they do by one.
    pub fn expiration_expression(&self) -> Option<&str> {
        let expiry = self
            .expiry
            .as_ref()
            .filter(|expiry| expiry.after.is_none())?;
        let column = &self.columns[self.position(expiry.column)?];
        column.generated.as_deref()
    }

    /// Whether the system deletes rows: those that have expired, or those that a cache gives up.
    pub fn loses_rows(&self) -> bool {
        self.expiry.is_some() || self.eviction.is_some()
    }

    /// A table without constraints. Its id is given when it is created.
    pub fn new(name: impl Into<String>, columns: Vec<ColumnDef>) -> Self {
        Self {
            id: TableId::default(),
            name: name.into(),
            columns,
            checks: Vec::new(),
            foreign_keys: Vec::new(),
            schema: SchemaId::PUBLIC,
            on_commit: OnCommit::Preserve,
            materialized: None,
            triggers: Vec::new(),
            expiry: None,
            eviction: None,
            unlogged: false,
            bound: None,
        }
    }

    /// The column of that name, with its position.
    pub fn column(&self, name: &str) -> Option<(usize, &ColumnDef)> {
        self.shown().find(|(_, column)| column.name == name)
    }

    /// The same table with another default of a column.
    #[must_use]
    pub fn with_default(mut self, column: ColumnId, default: ColumnDefault) -> Self {
        if let Some(position) = self.position(column) {
            let column = &mut self.columns[position];
            column.default = default.text;
            column.sequences = default.sequences;
        }
        self
    }

    /// The columns of `SELECT *`, with their positions.
    pub fn listed(&self) -> impl Iterator<Item = (usize, &ColumnDef)> {
        self.shown().filter(|(_, column)| !column.unlisted)
    }

    /// The columns that can be named, with their positions.
    pub fn shown(&self) -> impl Iterator<Item = (usize, &ColumnDef)> {
        let columns = self.columns.iter().enumerate();
        columns.filter(|(_, column)| !column.is_hidden())
    }

    /// The column that a part of a key is, be it by its texts' keys, and the collation that the part does not have
    /// from it; `None` for what is computed otherwise.
    pub fn key_column(&self, key: ColumnId) -> Option<(&ColumnDef, Option<Collation>)> {
        let column = &self.columns[self.position(key)?];
        let is_folded = |column: &ColumnDef| column.collation == Some(Collation::Nocase);
        match column.folded() {
            Some(name) => {
                let (_, column) = self.column(&name)?;
                let said = (!is_folded(column)).then_some(Collation::Nocase);
                Some((column, said))
            }
            None if column.is_hidden() => None,
            None => Some((column, is_folded(column).then_some(Collation::C))),
        }
    }

    /// Which rows a partial index is of, as SQL text.
    pub fn condition_of(&self, index: &IndexDef) -> Option<&str> {
        let column = index.columns.first().filter(|_| index.partial)?.column;
        self.columns[self.position(column)?].generated.as_deref()
    }

    /// Whether rows of the other definition can be rows of this one, and have been logged if these are to be.
    pub fn has_layout_of(&self, other: &Self) -> bool {
        let layout = |def: &Self| -> Vec<(ColumnId, DataType)> {
            let columns = def.columns.iter();
            columns
                .map(|column| (column.id, column.data_type))
                .collect()
        };
        layout(self) == layout(other) && self.unlogged == other.unlogged
    }

    /// The position of the column of that id.
    pub fn position(&self, id: ColumnId) -> Option<usize> {
        self.columns.iter().position(|column| column.id == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Directories from before there were sequences are read, and stay readable for who made them.
    #[test]
    fn a_column_without_a_sequence_is_written_as_it_always_was() {
        let before = r#"{"id":1,"name":"k","data_type":"BigInt","not_null":true,"default":"7"}"#;
        let column: ColumnDef = serde_json::from_str(before).expect("a column of old");
        assert_eq!((column.sequences.len(), column.identity), (0, None));
        assert_eq!(serde_json::to_string(&column).expect("plain data"), before);
    }

    #[test]
    fn what_a_newer_build_says_of_a_column_is_not_dropped_silently() {
        let newer = r#"{"id":1,"name":"k","data_type":"BigInt","not_null":true,"default":null,"compression":"C"}"#;
        let error = serde_json::from_str::<ColumnDef>(newer).expect_err("an unknown field");
        assert!(error.to_string().contains("compression"), "{error}");
    }
}
