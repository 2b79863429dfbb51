//! Errors of the storage floor, grouped by what the caller must do about them.

use crate::ids::{Lsn, TableId, TransactionId};
use std::path::PathBuf;
use std::sync::Arc;

/// The result of storage calls.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong below SQL.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    // --- retry the transaction -------------------------------------------------------------
    /// Another transaction was first.
    #[error("{0}")]
    Conflict(Box<Conflict>),
    /// The structure of a table changed since the transaction began.
    #[error("table \"{table}\" was altered or dropped by a concurrent transaction")]
    SchemaConflict {
        /// The table's (or other object's) name.
        table: String,
    },

    /// The snapshot has commits that the log has not made durable and, for now or for good, cannot.
    #[error(
        "could not serialize access because the snapshot includes commits that are not durable"
    )]
    SnapshotNotDurable {
        /// Reason that keeps the log from it.
        cause: String,
    },

    // --- change the data or the statement --------------------------------------------------
    /// A unique key exists already.
    #[error("duplicate key value violates unique constraint \"{constraint}\"")]
    UniqueViolation {
        /// The table's name.
        table: String,
        /// The index or constraint.
        constraint: String,
        /// PostgreSQL's detail, e.g. `Key (id)=(1) already exists.`
        detail: String,
    },
    /// A unique index cannot be made over rows that have a key twice.
    #[error("could not create unique index \"{index}\"")]
    DuplicateKeys {
        /// The index.
        index: String,
        /// PostgreSQL's detail, e.g. `Key (id)=(1) is duplicated.`
        detail: String,
    },
    /// A table, index or relation of this name exists already.
    #[error("relation \"{0}\" already exists")]
    DuplicateRelation(String),
    /// No such table or index.
    #[error("relation \"{0}\" does not exist")]
    UndefinedRelation(String),
    /// A copy is to be made where there is something already.
    #[error("directory {path} exists but is not empty", path = path.display())]
    NotEmpty {
        /// The directory.
        path: PathBuf,
    },
    /// No checkpoint of that number is kept.
    #[error("checkpoint {number} does not exist")]
    UndefinedCheckpoint {
        /// The number.
        number: u64,
    },
    /// A sequence has no further number.
    #[error(
        "nextval: reached {} value of sequence \"{name}\" ({end})",
        if *is_maximum { "maximum" } else { "minimum" }
    )]
    SequenceEnds {
        /// The sequence.
        name: String,
        /// Its last number.
        end: i64,
        /// Whether that is the greatest one.
        is_maximum: bool,
    },
    /// A transaction that was begun to read only is to write.
    #[error("a read-only transaction cannot write")]
    ReadOnly,
    /// A limit of [`crate::limits`] would be passed.
    #[error("{what} of {found} is above the limit of {limit}")]
    LimitExceeded {
        /// What is limited.
        what: &'static str,
        /// What was asked for.
        found: u64,
        /// The limit.
        limit: u64,
    },

    /// A table has as many rows as it is to have.
    #[error("table \"{table}\" is full: it has {max_rows} rows at most")]
    TableFull {
        /// The table.
        table: String,
        /// Its id.
        id: TableId,
        /// Its bound.
        max_rows: u64,
        /// Whether the statement is to wait for room, which there may be.
        waits: bool,
    },

    // --- free or grant memory or disk -------------------------------------------------------
    /// The memory budget does not allow the reservation.
    #[error(
        "out of memory: {wanted} bytes wanted by {owner}, {available} of {budget} available; \
         {holder} holds the most, {held} bytes"
    )]
    OutOfMemory {
        /// Bytes asked for.
        wanted: u64,
        /// Who asked.
        owner: &'static str,
        /// Bytes left in the budget.
        available: u64,
        /// The budget.
        budget: u64,
        /// Who holds the most.
        holder: &'static str,
        /// How many bytes that is.
        held: u64,
    },
    /// As many transactions and views run as there can be.
    #[error("sorry, too many transactions already: the limit is {limit}")]
    TooManyTransactions {
        /// How many can run.
        limit: u64,
    },
    /// The medium has no room, the quota is used up, or the file may not grow any more.
    #[error("could not write to file \"{path}\": no space left on device", path = path.display())]
    DiskFull {
        /// The file being written.
        path: PathBuf,
        /// Bytes that were to be written; 0 where it was a name or a folder.
        wanted: u64,
    },

    // --- look after the machine or the directory --------------------------------------------
    /// The operating system refused an operation on a file.
    #[error("cannot {operation} {path}: {source}", path = path.display())]
    Io {
        /// What was tried: `open`, `read`, `sync` ...
        operation: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: Arc<std::io::Error>,
    },
    /// Another process has the database open.
    #[error("database directory {path} is in use by another process", path = path.display())]
    Locked {
        /// The directory.
        path: PathBuf,
    },
    /// The directory is not a database.
    #[error("{path} is not a Remora database: {reason}", path = path.display())]
    NotADatabase {
        /// The directory.
        path: PathBuf,
        /// What gave it away.
        reason: String,
    },
    /// The files were written by a version this one does not know.
    #[error("{path} has format version {found}, this build reads {supported}", path = path.display())]
    UnsupportedFormat {
        /// The file.
        path: PathBuf,
        /// Version found.
        found: u32,
        /// Version this build reads.
        supported: u32,
    },
    /// The files may hold what this version does not know.
    #[error("{path} has feature bits {found:#x}, this build knows {known:#x}: a newer build has written it", path = path.display())]
    UnsupportedFeatures {
        /// The file.
        path: PathBuf,
        /// Feature bits found.
        found: u32,
        /// Feature bits this build knows.
        known: u32,
    },
    /// Bytes that were once durable are no longer what was written.
    #[error("{path} is damaged at byte {offset}: expected {expected}, found {found}", path = path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Byte offset in it.
        offset: u64,
        /// What should be there.
        expected: String,
        /// What is there.
        found: String,
    },
    /// The log failed earlier: the store accepts no writes any more.
    #[error("the log failed and the database accepts no writes until it is reopened: {cause}")]
    LogFailed {
        /// The first failure.
        cause: String,
    },
    /// A commit was handed to the log, and the log failed before it was known to be durable.
    #[error(
        "the outcome of the commit is unknown: log position {lsn} was not confirmed durable: {cause}"
    )]
    OutcomeUnknown {
        /// The frame's position.
        lsn: Lsn,
        /// What failed.
        cause: String,
        /// Whether the log still has the frame and writes it as soon as there is room.
        is_queued: bool,
    },
    /// The caller has asked for a long operation to stop.
    #[error("canceling statement due to user request")]
    Interrupted,
    /// The store was closed.
    #[error("the database is closed")]
    Closed,
}

/// Bytes that a conflict says of a key.
pub const KEY_BYTES_MAX: usize = 256;

/// How two transactions met.
#[derive(Clone, Debug)]
pub struct Conflict {
    /// The table's name.
    pub table: String,
    /// The row's key as text, e.g. `k=1`, or its row id where it has no key; or what was read. The
    /// first [`KEY_BYTES_MAX`] bytes.
    pub key: String,
    /// What is not allowed.
    pub rule: Rule,
    /// The transaction that was first; 0 where that is long ago.
    pub rival: TransactionId,
    /// Whether it has committed; else it may yet roll back.
    pub has_committed: bool,
}

/// What transactions must not do beside each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rule {
    /// Change one row.
    Write,
    /// Decide on whether a unique key is free.
    UniqueKey,
    /// Change what the other one has read, and then written by.
    Read,
    /// Read, and write much later: nobody remembers what was changed meanwhile.
    TooOld,
}

impl Rule {
    /// What conflicts of the kind are called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Write => "write-write",
            Self::UniqueKey => "unique key",
            Self::Read => "read-write",
            Self::TooOld => "too old",
        }
    }
}

impl std::fmt::Display for Conflict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let due = match self.rule {
            Rule::Write | Rule::UniqueKey => "due to concurrent update",
            Rule::Read => "due to read/write dependencies among transactions",
            Rule::TooOld => "because the transaction is too old",
        };
        write!(f, "could not serialize access {due}")
    }
}

impl Conflict {
    /// As an error.
    pub(crate) fn error(mut self) -> Error {
        // Conflicts are remembered, and keys may be of any length.
        if self.key.len() > KEY_BYTES_MAX {
            self.key
                .truncate(self.key.floor_char_boundary(KEY_BYTES_MAX));
            self.key.push_str("..");
        }
        Error::Conflict(Box::new(self))
    }

    /// What can be done about it.
    pub fn hint(&self) -> String {
        let retry = "Retry the transaction";
        match (self.rule, self.has_committed) {
            (Rule::Write | Rule::UniqueKey, false) => {
                format!("{retry} when transaction {} has ended.", self.rival)
            }
            (Rule::TooOld, _) => {
                format!(
                    "{retry}. One that is begun READ ONLY does not fail, however long it takes."
                )
            }
            _ => format!("{retry}: it will see what the other one has changed."),
        }
    }

    /// The facts in a sentence.
    pub fn detail(&self) -> String {
        let Self {
            table, key, rival, ..
        } = self;
        let rival = match rival.0 {
            0 => "a transaction".to_owned(),
            rival => format!("transaction {rival}"),
        };
        let state = match self.has_committed {
            true => "has committed",
            false => "is still running",
        };
        match self.rule {
            Rule::Write => {
                format!("Row {key} of table \"{table}\" was changed by {rival}, which {state}.")
            }
            Rule::UniqueKey => {
                format!(
                    "The key of row {key} of table \"{table}\" was written by {rival}, which {state}."
                )
            }
            Rule::Read => format!("What was read was changed by {rival} since: {key}."),
            Rule::TooOld => format!(
                "What was changed in table \"{table}\" since this transaction began is more than is remembered."
            ),
        }
    }
}

impl Error {
    /// The five-character SQLSTATE, PostgreSQL's where it has one for the case.
    pub fn sqlstate(&self) -> &'static str {
        match self {
            Self::Conflict(_) | Self::SchemaConflict { .. } | Self::SnapshotNotDurable { .. } => {
                "40001"
            }
            Self::UniqueViolation { .. } | Self::DuplicateKeys { .. } => "23505",
            Self::DuplicateRelation(_) => "42P07",
            Self::UndefinedRelation(_) => "42P01",
            Self::NotEmpty { .. } => "58P02",
            Self::UndefinedCheckpoint { .. } => "42704",
            Self::SequenceEnds { .. } => "2200H",
            Self::ReadOnly => "25006",
            Self::LimitExceeded { .. } => "54000",
            Self::TableFull { .. } => "53400",
            Self::OutOfMemory { .. } => "53200",
            Self::TooManyTransactions { .. } => "53300",
            Self::DiskFull { .. } => "53100",
            Self::Io { .. } => "58030",
            Self::Locked { .. } => "55006",
            Self::NotADatabase { .. }
            | Self::UnsupportedFormat { .. }
            | Self::UnsupportedFeatures { .. } => "58P01",
            Self::Corrupt { .. } => "XX001",
            Self::LogFailed { .. } => "25006",
            Self::OutcomeUnknown { .. } => "08007",
            Self::Interrupted => "57014",
            Self::Closed => "57P01",
        }
    }

    /// The system refused to start a thread for `work`.
    pub(crate) fn no_thread(work: &str, source: std::io::Error) -> Self {
        Self::Io {
            operation: "start thread",
            path: PathBuf::from(work),
            source: Arc::new(source),
        }
    }

    /// Whether the same transaction may succeed if it is run again from its start.
    pub fn is_retryable(&self) -> bool {
        self.sqlstate() == "40001"
    }
}
