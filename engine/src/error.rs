//! The one error type that users see: SQLSTATE, message, detail, hint, place.

use remora_storage::{TableId, TransactionId};
use std::fmt;
use std::sync::Arc;

/// The result of everything in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A place in the SQL text, both counted from 1; columns count characters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Position {
    /// Line of the statement's text.
    pub line: u32,
    /// Column in the line.
    pub column: u32,
}

/// The longest message, detail and hint: a value that is quoted there may be of any length.
const TEXT_BYTES_MAX: usize = 8 << 10;

/// A text, or as much of its beginning as anybody reads.
#[cold]
#[inline(never)]
fn readable(mut text: String) -> String {
    if text.len() > TEXT_BYTES_MAX {
        text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX - 3));
        text.push_str("...");
        text.shrink_to_fit();
    }
    text
}

/// What went wrong, for programs (`sqlstate`) and for people (the rest).
#[derive(Clone, Debug)]
pub struct Error(Box<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    sqlstate: &'static str,
    message: String,
    detail: Option<String>,
    hint: Option<String>,
    position: Option<Position>,
    source: Option<Arc<remora_storage::Error>>,
}

impl Error {
    /// An error with a SQLSTATE (see [`state`]) and a message in PostgreSQL's manner.
    pub fn new(sqlstate: &'static str, message: impl Into<String>) -> Self {
        Self::of_text(sqlstate, message.into())
    }

    #[cold]
    #[inline(never)]
    fn of_text(sqlstate: &'static str, message: String) -> Self {
        Self(Box::new(Inner {
            sqlstate,
            message: readable(message),
            detail: None,
            hint: None,
            position: None,
            source: None,
        }))
    }

    /// Something that cannot be, and is no reason to take the program down that the database is in: XX000.
    pub(crate) fn internal(what: impl fmt::Display) -> Self {
        Self::new(state::INTERNAL_ERROR, format!("internal error: {what}"))
    }

    /// Something that SQL has and this engine does not (yet): 0A000.
    pub fn unsupported(what: impl fmt::Display) -> Self {
        Self::new(
            state::FEATURE_NOT_SUPPORTED,
            format!("{what} is not supported"),
        )
    }

    /// The same error with more facts.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.0.detail = Some(readable(detail.into()));
        self
    }

    /// The same error with advice.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(readable(hint.into()));
        self
    }

    /// The same error with its place, unless it has one already.
    #[must_use]
    pub fn at(mut self, position: Option<Position>) -> Self {
        self.0.position = self.0.position.or(position);
        self
    }

    /// The same error at another place: that of what led to the text in which it was found.
    #[must_use]
    pub(crate) fn moved(mut self, position: Option<Position>) -> Self {
        self.0.position = position;
        self
    }

    /// Five characters, PostgreSQL's.
    pub fn sqlstate(&self) -> &'static str {
        self.0.sqlstate
    }

    /// What happened.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// More facts.
    pub fn detail(&self) -> Option<&str> {
        self.0.detail.as_deref()
    }

    /// What to do next.
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// Where in the SQL text.
    pub fn position(&self) -> Option<Position> {
        self.0.position
    }

    /// What went wrong below SQL, if it did there.
    pub(crate) fn storage(&self) -> Option<&Arc<remora_storage::Error>> {
        self.0.source.as_ref()
    }

    /// The transaction against which it was lost, if that is known.
    pub(crate) fn rival(&self) -> Option<TransactionId> {
        match self.0.source.as_deref() {
            Some(remora_storage::Error::Conflict(conflict)) => Some(conflict.rival),
            _ => None,
        }
    }

    /// The transaction against which it was lost, if that may roll back yet.
    pub(crate) fn running_rival(&self) -> Option<TransactionId> {
        match self.0.source.as_deref() {
            Some(remora_storage::Error::Conflict(conflict)) if !conflict.has_committed => {
                Some(conflict.rival)
            }
            _ => None,
        }
    }

    /// The table that is full, if there may be room in it for the statement, which wants to wait for it.
    pub(crate) fn wanted_room(&self) -> Option<TableId> {
        match self.0.source.as_deref() {
            Some(remora_storage::Error::TableFull {
                id, waits: true, ..
            }) => Some(*id),
            _ => None,
        }
    }

    /// How much memory was wanted and refused, and how much there was, if that is what it says.
    pub(crate) fn refused_bytes(&self) -> Option<(u64, u64)> {
        match self.0.source.as_deref() {
            Some(remora_storage::Error::OutOfMemory {
                wanted, available, ..
            }) => Some((*wanted, *available)),
            _ => None,
        }
    }

    /// Whether the error is that of a snapshot that must not be shown.
    pub(crate) fn is_of_snapshot(&self) -> bool {
        let source = self.0.source.as_deref();
        matches!(
            source,
            Some(remora_storage::Error::SnapshotNotDurable { .. })
        )
    }

    /// Whether the transaction may succeed if it is run again from its start.
    pub fn is_retryable(&self) -> bool {
        self.sqlstate() == state::SERIALIZATION_FAILURE
    }
}

impl Error {
    /// Adds detail and hint to an error of the disk or the log.
    fn explain_disk(&mut self, source: &remora_storage::Error) {
        use remora_storage::Error as Storage;
        let hint = match source {
            Storage::DiskFull { wanted, .. } => {
                self.0.detail =
                    (*wanted > 0).then(|| format!("{wanted} bytes were to be written."));
                DISK_HINT
            }
            Storage::LogFailed { .. } => LOG_HINT,
            Storage::OutcomeUnknown {
                is_queued: true, ..
            } => QUEUED_HINT,
            Storage::OutcomeUnknown { .. } => UNKNOWN_HINT,
            Storage::SnapshotNotDurable { cause } => {
                self.0.detail = Some(format!("The log cannot make them durable: {cause}."));
                "Retry the transaction: it sees the last durable state."
            }
            _ => return,
        };
        self.0.hint = Some(hint.to_owned());
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0
            .source
            .as_ref()
            .map(|source| source as &(dyn std::error::Error + 'static))
    }
}

/// An error with the SQLSTATE of that name in [`state`], and a message that is formatted in PostgreSQL's manner:
/// `sql_error!(UNDEFINED_COLUMN, "column {name} does not exist").at(place)`.
macro_rules! sql_error {
    ($state:ident, $($message:tt)+) => {
        $crate::error::Error::new($crate::error::state::$state, format!($($message)+))
    };
}

/// What to do about a full database.
const MEMORY_HINT: &str =
    "COMPACT, DELETE rows or DROP tables that are not needed, or raise max_memory.";

/// Advice where the disk is full: PostgreSQL's words, and the reason.
const DISK_HINT: &str =
    "Check free disk space: reads go on meanwhile, and writes as soon as there is room.";
/// Advice after the log has failed.
const LOG_HINT: &str = "Close the database and open it again: reads go on until then.";
/// Advice about a commit that waits for room.
const QUEUED_HINT: &str = "The commit is kept, and made durable as soon as there is room on the disk; it is lost \
     if the database is closed before. Look whether it is there before you repeat it.";
/// Advice about a commit that was lost, or not.
const UNKNOWN_HINT: &str =
    "Open the database again, and look whether the commit is there before you repeat it.";

impl From<remora_storage::Error> for Error {
    fn from(source: remora_storage::Error) -> Self {
        let mut error = Self::new(source.sqlstate(), source.to_string());
        error.explain_disk(&source);
        if let remora_storage::Error::UniqueViolation { detail, .. }
        | remora_storage::Error::DuplicateKeys { detail, .. } = &source
        {
            // It quotes the key, of any length.
            error = error.with_detail(detail.as_str());
        }
        if matches!(source, remora_storage::Error::OutOfMemory { .. }) {
            error.0.hint = Some(MEMORY_HINT.to_owned());
        }
        if matches!(source, remora_storage::Error::TableFull { .. }) {
            error.0.hint = Some("Delete rows, or raise \"max_rows\".".to_owned());
        }
        if let remora_storage::Error::Conflict(conflict) = &source {
            error.0.detail = Some(conflict.detail());
            error.0.hint = Some(conflict.hint());
        } else if source.is_retryable() && error.0.hint.is_none() {
            error.0.hint = Some("Retry the transaction.".to_owned());
        }
        error.0.source = Some(Arc::new(source));
        error
    }
}

/// The SQLSTATEs in use, by PostgreSQL's names.
#[allow(missing_docs, reason = "the names are PostgreSQL's")]
pub mod state {
    pub const NO_DATA: &str = "02000";
    pub const PROTOCOL_VIOLATION: &str = "08P01";
    pub const FEATURE_NOT_SUPPORTED: &str = "0A000";
    pub const CARDINALITY_VIOLATION: &str = "21000";
    pub const STRING_DATA_RIGHT_TRUNCATION: &str = "22001";
    pub const NUMERIC_VALUE_OUT_OF_RANGE: &str = "22003";
    pub const NULL_VALUE_NOT_ALLOWED: &str = "22004";
    pub const INVALID_DATETIME_FORMAT: &str = "22007";
    pub const DATETIME_FIELD_OVERFLOW: &str = "22008";
    pub const DIVISION_BY_ZERO: &str = "22012";
    pub const INTERVAL_FIELD_OVERFLOW: &str = "22015";
    pub const SUBSTRING_ERROR: &str = "22011";
    pub const CHARACTER_NOT_IN_REPERTOIRE: &str = "22021";
    pub const INVALID_PRECEDING_OR_FOLLOWING_SIZE: &str = "22013";
    pub const INVALID_ARGUMENT_FOR_NTILE: &str = "22014";
    pub const INVALID_ARGUMENT_FOR_NTH_VALUE: &str = "22016";
    pub const INVALID_PARAMETER_VALUE: &str = "22023";
    pub const INVALID_USE_OF_ESCAPE_CHARACTER: &str = "2200C";
    pub const INVALID_ESCAPE_SEQUENCE: &str = "22025";
    pub const INVALID_TABLESAMPLE_REPEAT: &str = "2202G";
    pub const INVALID_TABLESAMPLE_ARGUMENT: &str = "2202H";
    pub const INVALID_ROW_COUNT_IN_LIMIT: &str = "2201W";
    pub const INVALID_ROW_COUNT_IN_OFFSET: &str = "2201X";
    pub const INVALID_ARGUMENT_FOR_LOGARITHM: &str = "2201E";
    pub const INVALID_ARGUMENT_FOR_POWER: &str = "2201F";
    pub const INVALID_ARGUMENT_FOR_WIDTH_BUCKET: &str = "2201G";
    pub const INVALID_REGULAR_EXPRESSION: &str = "2201B";
    pub const INVALID_TIME_ZONE_DISPLACEMENT: &str = "22009";
    pub const DATA_EXCEPTION: &str = "22000";
    /// Bits that are more or fewer than a type or an operator wants.
    pub const STRING_DATA_LENGTH_MISMATCH: &str = "22026";
    pub const INVALID_ARGUMENT_FOR_SQL_JSON_DATETIME: &str = "22031";
    pub const INVALID_SQL_JSON_SUBSCRIPT: &str = "22033";
    pub const NON_NUMERIC_SQL_JSON_ITEM: &str = "22036";
    pub const SINGLETON_SQL_JSON_ITEM_REQUIRED: &str = "22038";
    pub const SQL_JSON_ARRAY_NOT_FOUND: &str = "22039";
    pub const SQL_JSON_MEMBER_NOT_FOUND: &str = "2203A";
    pub const SQL_JSON_NUMBER_NOT_FOUND: &str = "2203B";
    pub const SQL_JSON_OBJECT_NOT_FOUND: &str = "2203C";
    pub const ARRAY_SUBSCRIPT_ERROR: &str = "2202E";
    pub const UNTRANSLATABLE_CHARACTER: &str = "22P05";
    pub const INVALID_TEXT_REPRESENTATION: &str = "22P02";
    pub const BAD_COPY_FILE_FORMAT: &str = "22P04";
    pub const NOT_NULL_VIOLATION: &str = "23502";
    pub const FOREIGN_KEY_VIOLATION: &str = "23503";
    pub const UNIQUE_VIOLATION: &str = "23505";
    pub const CHECK_VIOLATION: &str = "23514";
    pub const INVALID_CURSOR_STATE: &str = "24000";
    pub const INVALID_CURSOR_NAME: &str = "34000";
    pub const DUPLICATE_CURSOR: &str = "42P03";
    pub const INVALID_CURSOR_DEFINITION: &str = "42P11";
    pub const COLLATION_MISMATCH: &str = "42P21";
    /// Two collations come along, and none is said.
    pub const INDETERMINATE_COLLATION: &str = "42P22";
    pub const ACTIVE_SQL_TRANSACTION: &str = "25001";
    pub const READ_ONLY_SQL_TRANSACTION: &str = "25006";
    pub const NO_ACTIVE_SQL_TRANSACTION: &str = "25P01";
    pub const IN_FAILED_SQL_TRANSACTION: &str = "25P02";
    pub const IDLE_IN_TRANSACTION_SESSION_TIMEOUT: &str = "25P03";
    pub const TRANSACTION_TIMEOUT: &str = "25P04";
    pub const UNDEFINED_PREPARED_STATEMENT: &str = "26000";
    pub const INVALID_SAVEPOINT_SPECIFICATION: &str = "3B001";
    pub const DEPENDENT_OBJECTS_STILL_EXIST: &str = "2BP01";
    pub const EXTERNAL_ROUTINE_EXCEPTION: &str = "38000";
    pub const SERIALIZATION_FAILURE: &str = "40001";
    pub const GENERATED_ALWAYS: &str = "428C9";
    pub const SYNTAX_ERROR: &str = "42601";
    pub const INVALID_NAME: &str = "42602";
    pub const DUPLICATE_COLUMN: &str = "42701";
    pub const AMBIGUOUS_COLUMN: &str = "42702";
    pub const UNDEFINED_COLUMN: &str = "42703";
    pub const UNDEFINED_OBJECT: &str = "42704";
    pub const DUPLICATE_OBJECT: &str = "42710";
    pub const DUPLICATE_ALIAS: &str = "42712";
    pub const AMBIGUOUS_FUNCTION: &str = "42725";
    pub const DUPLICATE_FUNCTION: &str = "42723";
    pub const GROUPING_ERROR: &str = "42803";
    pub const DATATYPE_MISMATCH: &str = "42804";
    pub const WRONG_OBJECT_TYPE: &str = "42809";
    pub const CANNOT_COERCE: &str = "42846";
    pub const UNDEFINED_FUNCTION: &str = "42883";
    pub const UNDEFINED_TABLE: &str = "42P01";
    pub const INVALID_SCHEMA_NAME: &str = "3F000";
    pub const UNDEFINED_PARAMETER: &str = "42P02";
    pub const DUPLICATE_PREPARED_STATEMENT: &str = "42P05";
    pub const DUPLICATE_SCHEMA: &str = "42P06";
    pub const RESERVED_NAME: &str = "42939";
    pub const DUPLICATE_TABLE: &str = "42P07";
    pub const WITH_CHECK_OPTION_VIOLATION: &str = "44000";
    pub const INVALID_COLUMN_REFERENCE: &str = "42P10";
    pub const INVALID_FUNCTION_DEFINITION: &str = "42P13";
    pub const INVALID_TABLE_DEFINITION: &str = "42P16";
    pub const INVALID_OBJECT_DEFINITION: &str = "42P17";
    pub const INVALID_COLUMN_DEFINITION: &str = "42611";
    pub const INVALID_RECURSION: &str = "42P19";
    pub const WINDOWING_ERROR: &str = "42P20";
    pub const INVALID_FOREIGN_KEY: &str = "42830";
    pub const INDETERMINATE_DATATYPE: &str = "42P18";
    pub const INSUFFICIENT_PRIVILEGE: &str = "42501";
    pub const RAISE_EXCEPTION: &str = "P0001";
    pub const TRIGGERED_DATA_CHANGE_VIOLATION: &str = "27000";
    pub const DATA_CORRUPTED: &str = "XX001";
    pub const DISK_FULL: &str = "53100";
    pub const TOO_MANY_CONNECTIONS: &str = "53300";
    pub const OUT_OF_MEMORY: &str = "53200";
    pub const PROGRAM_LIMIT_EXCEEDED: &str = "54000";
    pub const STATEMENT_TOO_COMPLEX: &str = "54001";
    pub const TOO_MANY_COLUMNS: &str = "54011";
    pub const TOO_MANY_ARGUMENTS: &str = "54023";
    pub const OBJECT_NOT_IN_PREREQUISITE_STATE: &str = "55000";
    pub const OBJECT_IN_USE: &str = "55006";
    pub const LOCK_NOT_AVAILABLE: &str = "55P03";
    pub const CANT_CHANGE_RUNTIME_PARAM: &str = "55P02";
    pub const QUERY_CANCELED: &str = "57014";
    pub const ADMIN_SHUTDOWN: &str = "57P01";
    pub const CANNOT_CONNECT_NOW: &str = "57P03";
    pub const IO_ERROR: &str = "58030";
    pub const UNDEFINED_FILE: &str = "58P01";
    pub const INTERNAL_ERROR: &str = "XX000";
}
