//! Statements, bound and planned.

pub(crate) use super::change::{
    Asked, Delete, DoUpdate, Insert, InsertSource, OnConflict, Returning, RowCheck, Target,
    Truncate, Update,
};
use super::cursor::Fetch;
use super::explain::Analyze;
use super::lock::{LockStrength, LockTables, RowLock};
use super::merge::Merge;
use super::physical::PhysicalPlan;
use super::resolved::Resolved;
use super::sequence::{ColumnSequence, SequenceChange};
use super::structure::{AlterTable, Step};
use super::with::With;
use super::{Expr, Schema};
use crate::function::Needs;
use crate::notification::Message;
use remora_storage::catalog::{
    ForeignKeyDef, IndexDef, IndexEntry, SequenceDef, TableDef, TableEntry,
};
use remora_storage::transaction::Columns;
use remora_storage::{DataType, Durability, IndexId, Isolation, SequenceId, TableId};
use std::sync::Arc;

/// The variable that SHOW names for all of them.
pub(crate) const SHOW_ALL: &str = "all";

/// What DISCARD throws away.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Discarded {
    /// All that a session has, beside its connection.
    All,
    /// Plans.
    Plans,
    /// The numbers that were taken from sequences last.
    Sequences,
    /// Temporary tables, sequences and views.
    Temporary,
}

/// A statement, ready to run.
#[derive(Clone, Debug)]
pub(crate) enum Statement {
    /// SELECT, VALUES
    Query(PhysicalPlan),
    /// SELECT of at most one row by a unique key.
    PointSelect(PointSelect),
    /// SELECT that locks rows, and the strongest of its locks.
    Locking(PhysicalPlan, LockStrength),
    /// SELECT of at most one row by a unique key, which it locks. The lock's column is not used.
    LockPoint(PointSelect, RowLock),
    /// INSERT
    Insert(Insert),
    /// UPDATE
    Update(Update),
    /// DELETE
    Delete(Delete),
    /// MERGE
    Merge(Box<Merge>),
    /// TRUNCATE
    Truncate(Truncate),
    /// CREATE TABLE, with the indexes of its constraints (whose `table` is filled in later).
    CreateTable {
        /// What.
        table: TableDef,
        /// PRIMARY KEY first, then UNIQUE.
        indexes: Vec<IndexDef>,
        /// To other tables and to itself.
        foreign_keys: Vec<NewForeignKey>,
        /// Those of its SERIAL and IDENTITY columns.
        sequences: Vec<ColumnSequence>,
        /// Whether an existing table of the name is left alone.
        if_not_exists: bool,
    },
    /// CREATE TABLE .. AS, with the plan of its rows, if it gets any.
    CreateTableAs(Box<(TableDef, Option<PhysicalPlan>)>),
    /// DROP TABLE, with what goes before.
    DropTable(Vec<Step>, Vec<TableId>),
    /// CREATE INDEX; `None` where it exists and IF NOT EXISTS was given.
    CreateIndex(Option<IndexDef>),
    /// DROP INDEX
    DropIndex(Vec<IndexId>),
    /// CREATE SEQUENCE
    CreateSequence {
        /// What.
        def: SequenceDef,
        /// Whether an existing relation of the name is left alone.
        if_not_exists: bool,
    },
    /// ALTER SEQUENCE; `None` where it is missing and IF EXISTS was given.
    AlterSequence(Option<(SequenceId, SequenceChange)>),
    /// ALTER SEQUENCE .. RENAME TO, likewise.
    RenameSequence(Option<(SequenceId, String)>),
    /// DROP SEQUENCE
    DropSequence {
        /// Which.
        sequences: Vec<SequenceId>,
        /// Whether defaults that take numbers from them go with them.
        cascade: bool,
    },
    /// ALTER TABLE of more than names.
    AlterTable(Box<AlterTable>),
    /// Changes of the structure, one after the other.
    Each(Vec<Statement>),
    /// Other changes of the structure, one after the other.
    Structure(Vec<Step>),
    /// EXPLAIN: the lines to show.
    Explain(Vec<String>),
    /// EXPLAIN ANALYZE
    Analyze(Box<Analyze>),
    /// COPY .. FROM / TO
    Copy(Copy),
    /// BEGIN
    Begin(TransactionOptions),
    /// SET TRANSACTION, of the transaction under way.
    SetTransaction(TransactionOptions),
    /// SET SESSION CHARACTERISTICS AS TRANSACTION, of those to come.
    SetCharacteristics(TransactionOptions),
    /// SET CONSTRAINTS
    SetConstraints(SetConstraints),
    /// COMMIT
    Commit {
        /// Whether another transaction like it begins.
        chain: bool,
    },
    /// ROLLBACK
    Rollback {
        /// Whether another transaction like it begins.
        chain: bool,
    },
    /// SAVEPOINT, by name.
    Savepoint(String),
    /// RELEASE SAVEPOINT, by name.
    Release(String),
    /// ROLLBACK TO SAVEPOINT, by name.
    RollbackTo(String),
    /// PREPARE, by name, with the types that its parameters are said to have.
    Prepare(String, Vec<DataType>),
    /// DEALLOCATE of one, or of all.
    Deallocate(Option<String>),
    /// DISCARD
    Discard(Discarded),
    /// LISTEN, by channel
    Listen(Arc<str>),
    /// UNLISTEN of a channel, or of all.
    Unlisten(Option<Arc<str>>),
    /// NOTIFY
    Notify(Arc<Message>),
    /// ANALYZE and VACUUM
    Upkeep {
        /// Whether it is VACUUM.
        vacuum: bool,
    },
    /// FETCH, MOVE
    Fetch(Fetch),
    /// CLOSE of one cursor, or of all.
    Close(Option<String>),
    /// LOCK TABLE
    LockTables(LockTables),
    /// CHECKPOINT
    Checkpoint,
    /// COMPACT of a table, or of all.
    Compact(Option<TableId>),
    /// SET, RESET of a setting: name and value as text.
    Set {
        /// Of what.
        name: String,
        /// To what; `None` for the default.
        value: Option<String>,
        /// Until the end of the transaction only.
        local: bool,
    },
    /// SHOW of a setting.
    Show(String),
}

/// How a transaction is to run, for [`Connection::transaction_with`](crate::Connection::transaction_with)
/// and BEGIN. What is not said is as the connection's settings have it: serializable, reading and
/// writing, unless they were changed.
///
/// ```
/// use remora::{Isolation, TransactionOptions};
/// # let db = remora::Database::in_memory()?;
/// # let mut conn = db.connect()?;
/// let options = TransactionOptions::new().isolation(Isolation::Snapshot).read_only(true);
/// let tx = conn.transaction_with(options)?;
/// assert_eq!(tx.execute("CREATE TABLE t (k INT)", []).unwrap_err().sqlstate(), "25006");
/// # Ok::<(), remora::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TransactionOptions {
    pub(crate) isolation: Option<Isolation>,
    pub(crate) read_only: Option<bool>,
    pub(crate) durability: Option<Durability>,
}

impl TransactionOptions {
    /// Nothing said.
    pub fn new() -> Self {
        Self::default()
    }

    /// How far it is kept apart from other transactions.
    #[must_use]
    pub fn isolation(mut self, isolation: Isolation) -> Self {
        self.isolation = Some(isolation);
        self
    }

    /// Whether what would change the database is refused. A transaction that only reads costs
    /// least, and never fails by what others do.
    #[must_use]
    pub fn read_only(mut self, read_only: bool) -> Self {
        self.read_only = Some(read_only);
        self
    }

    /// When its commit returns, and whether it is shown what is not durable: [`Durability::Sync`] or
    /// [`Durability::Buffered`], whatever `synchronous_commit` says. In memory it makes no difference.
    ///
    /// ```
    /// use remora::{Durability, TransactionOptions};
    /// # let directory = tempfile::tempdir().expect("a temporary directory");
    /// # let db = remora::Database::open(directory.path())?;
    /// # let mut conn = db.connect()?;
    /// # conn.execute("CREATE TABLE clicks (n BIGINT)", [])?;
    /// let buffered = TransactionOptions::new().durability(Durability::Buffered);
    /// let tx = conn.transaction_with(buffered)?;
    /// tx.execute("INSERT INTO clicks VALUES (1)", [])?;
    /// tx.commit()?;
    /// // It returned at once. Where it has to be certain later on:
    /// let commit = conn.last_commit_lsn()?.expect("it was logged");
    /// db.wait_durable(commit)?;
    /// # Ok::<(), remora::Error>(())
    /// ```
    #[must_use]
    pub fn durability(mut self, level: Durability) -> Self {
        self.durability = Some(level);
        self
    }
}

/// SELECT by a full unique key: the point path. Expressions of `key` have no columns; those of
/// `filter` and `exprs` refer to the table's columns by position in its definition.
#[derive(Clone, Debug)]
pub(crate) struct PointSelect {
    /// Where the row is.
    pub lookup: Lookup,
    /// What is shown of it.
    pub exprs: Vec<Expr>,
    /// Names and types of what is shown.
    pub schema: Schema,
    /// What to run where the key, which is not unique, turns out to have many rows.
    pub otherwise: Option<Box<PhysicalPlan>>,
}

/// Rows by a full key: at most one, if the index is unique.
#[derive(Clone, Debug)]
pub(crate) struct Lookup {
    /// The table.
    pub table: Arc<TableEntry>,
    /// An index of it.
    pub index: Arc<IndexEntry>,
    /// One value a key column, of its type.
    pub key: Vec<Expr>,
    /// What else must be true of the row.
    pub filter: Option<Expr>,
    /// What is read of the row.
    pub columns: Columns,
}

/// A foreign key that is to be made.
#[derive(Clone, Debug)]
pub(crate) struct NewForeignKey {
    /// What it is.
    pub def: ForeignKeyDef,
    /// Where the table comes with the key and refers to itself: by which of its indexes. Table and index
    /// have no ids yet.
    pub own_index: Option<usize>,
}

/// COPY
#[derive(Clone, Debug)]
pub(crate) struct Copy {
    /// Which way, and of what.
    pub direction: CopyDirection,
    /// The file's path; `None` for STDIN/STDOUT, which only an embedding program can serve.
    pub path: Option<String>,
    /// How it is written.
    pub format: CsvFormat,
}

/// Which way COPY goes.
#[derive(Clone, Debug)]
pub(crate) enum CopyDirection {
    /// From a file into a table: each field is parsed as its column's type, then handed to the
    /// insert, whose `source` is ignored. `columns` are those given in the file; `defaults` has an
    /// expression a table column, used for the others.
    From {
        /// Into what, with its checks.
        insert: Insert,
        /// Columns in file order, by position in the table.
        columns: Vec<usize>,
        /// One a table column.
        defaults: Vec<Expr>,
    },
    /// From a query into a file.
    To(Box<PhysicalPlan>),
}

/// The CSV dialect of a COPY.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct CsvFormat {
    /// Whether the first line holds names.
    pub header: bool,
    /// Between fields.
    pub delimiter: u8,
    /// Around fields.
    pub quote: u8,
    /// Before a quote within a quoted field.
    pub escape: u8,
    /// What an unquoted field must be to mean NULL.
    pub null: String,
}

/// What a planned statement is, beside the plan.
#[derive(Clone, Debug)]
pub(crate) struct Planned {
    /// What to run.
    pub statement: Statement,
    /// What is run beside it, if anything is.
    pub with: Option<Box<With>>,
    /// The type of each parameter, as inferred.
    pub parameters: Vec<DataType>,
    /// PostgreSQL's command tag without counts, e.g. `SELECT`, `CREATE TABLE`.
    pub tag: &'static str,
    /// Its needs of the session.
    pub needs: Needs,
    /// Whether it can show what others have committed.
    pub shows_commits: bool,
    /// The resolved names, where the plan depends on nothing else of the catalog.
    pub resolved: Option<Resolved>,
}

impl Planned {
    /// The tables whose sizes it was made for; none, where its rows are found by a key.
    pub(crate) fn sized_tables(&self) -> Vec<&Arc<TableEntry>> {
        let plan = match &self.statement {
            Statement::Query(plan) | Statement::Locking(plan, _) => plan,
            Statement::Insert(Insert {
                source: InsertSource::Query(plan),
                ..
            }) => plan,
            Statement::Update(Update { target, .. }) | Statement::Delete(Delete { target, .. }) => {
                match target {
                    Target::Point(_) => return Vec::new(),
                    Target::Scan(plan) | Target::Joined(plan) => plan,
                }
            }
            _ => return Vec::new(),
        };
        plan.tables()
    }

    /// Whether it changes the database, or locks rows of it.
    pub(crate) fn changes(&self) -> bool {
        self.statement.changes()
            || self.with.as_ref().is_some_and(|with| with.changes())
            || self.needs.has(Needs::WRITES) && !matches!(self.statement, Statement::Explain(_))
    }
}

impl Statement {
    /// Whether it hands out what it has read while it runs, not when it is done.
    pub(crate) fn shows_at_once(&self) -> bool {
        matches!(self, Self::Copy(copy) if matches!(copy.direction, CopyDirection::To(_)))
    }

    /// Whether it changes the database, or locks rows of it.
    pub(crate) fn changes(&self) -> bool {
        match self {
            Self::Locking(..)
            | Self::LockPoint(..)
            | Self::Insert(_)
            | Self::Update(_)
            | Self::Delete(_)
            | Self::Merge(_)
            | Self::Truncate(_)
            | Self::CreateTable { .. }
            | Self::CreateTableAs(_)
            | Self::CreateIndex(_)
            | Self::DropTable(..)
            | Self::DropIndex(_)
            | Self::CreateSequence { .. }
            | Self::AlterSequence(_)
            | Self::RenameSequence(_)
            | Self::DropSequence { .. }
            | Self::AlterTable(_)
            | Self::Each(_)
            | Self::Structure(_) => true,
            Self::Copy(copy) => matches!(copy.direction, CopyDirection::From { .. }),
            Self::Analyze(analyze) => analyze.statement.changes(),
            _ => false,
        }
    }

    /// Whether it is about the transaction, the session or the store, and runs in no transaction.
    pub(crate) fn is_control(&self) -> bool {
        matches!(
            self,
            Self::Begin(_)
                | Self::SetTransaction(_)
                | Self::SetCharacteristics(_)
                | Self::Commit { .. }
                | Self::Rollback { .. }
                | Self::Savepoint(_)
                | Self::Release(_)
                | Self::RollbackTo(_)
                | Self::Prepare(..)
                | Self::Deallocate(_)
                | Self::Discard(_)
                | Self::Listen(_)
                | Self::Unlisten(_)
                | Self::Notify(_)
                | Self::Upkeep { .. }
                | Self::Fetch(_)
                | Self::Close(_)
                | Self::Checkpoint
                | Self::Compact(_)
                | Self::Set { .. }
                | Self::Show(_)
        )
    }

    /// Whether a failed transaction accepts it.
    pub(crate) fn gets_out_of_failure(&self) -> bool {
        matches!(
            self,
            Self::Commit { .. } | Self::Rollback { .. } | Self::RollbackTo(_)
        )
    }

    /// The columns it gives; `None` where it gives no rows.
    pub(crate) fn schema(&self) -> Option<Schema> {
        let text = |name: &str| {
            vec![super::Field {
                name: name.into(),
                data_type: DataType::Text,
            }]
        };
        match self {
            Self::Query(plan) | Self::Locking(plan, _) => Some(plan.schema.clone()),
            Self::PointSelect(point) | Self::LockPoint(point, _) => Some(point.schema.clone()),
            Self::Insert(Insert { returning, .. })
            | Self::Update(Update { returning, .. })
            | Self::Delete(Delete { returning, .. }) => {
                returning.as_ref().map(|shown| shown.schema.clone())
            }
            Self::Merge(merge) => {
                let returning = merge.returning.as_ref();
                returning.map(|returning| returning.shown.schema.clone())
            }
            Self::Fetch(fetch) => fetch.schema.clone(),
            Self::Explain(_) | Self::Analyze(_) => Some(text("QUERY PLAN")),
            Self::Show(name) if name == SHOW_ALL => {
                let names = ["name", "setting", "description"];
                Some(names.into_iter().flat_map(text).collect())
            }
            Self::Show(name) => Some(text(name)),
            Self::Compact(_) => {
                let count = |name: &str| super::Field {
                    name: name.into(),
                    data_type: DataType::BigInt,
                };
                let names = ["rows_moved", "bytes_freed", "blocks_left", "bytes_wanted"];
                Some(names.map(count).to_vec())
            }
            _ => None,
        }
    }
}

/// SET CONSTRAINTS
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct SetConstraints {
    /// Which, by table and name; `None` for all.
    pub named: Option<Vec<(TableId, String)>>,
    /// Whether they are checked when the transaction commits.
    pub deferred: bool,
}
