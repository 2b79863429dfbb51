//! The rows of the scoreboard: each is one operation on the table of users, and how its keys are drawn.
//!
//! Rows that change the table come last, so that all engines read equal tables before. Rows that
//! insert use keys above those of the table, and these are deleted after each turn.

use Operation::{
    Insert, ListAny, ListIn, Range, ReadAll, ReadEmail, ReadOfText, ReadOne, ReadText, Replace,
    ScanOrInsert, Update,
};

/// One operation of a row, of which the rate and the latency are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    /// Prepared select of one column by key.
    ReadOne,
    /// Prepared select of all six columns by key.
    ReadAll,
    /// Select of one column by a text that has the key as a literal.
    ReadText,
    /// Select of one column by one text with a parameter, which is not prepared.
    ReadOfText,
    /// Prepared select by the secondary index on the e-mail address.
    ReadEmail,
    /// Rows of 100 keys, fetched one after the other.
    Range,
    /// The first rows from a key on, by `LIMIT`.
    First,
    /// Rows of 100 keys, by `IN` with 100 parameters.
    ListIn,
    /// Rows of 100 keys, by `= ANY` of one array where the engine has arrays, else by `IN`.
    ListAny,
    /// A scan of at most 100 rows from a key on, or (5 %) an insert.
    ScanOrInsert,
    /// Insert of a row with the next key.
    Insert,
    /// Update of one column by key.
    Update,
    /// Delete of a row by key and insert of the row again.
    Replace,
}

/// The distribution of drawn keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Distribution {
    Uniform,
    /// As in YCSB: few keys are drawn often, and these are spread over the table.
    Zipfian,
}

/// A row of the scoreboard.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) operation: Operation,
    pub(super) keys: Distribution,
    /// A statement that only Remora executes on its connection before.
    pub(super) setting: Option<&'static str>,
}

const fn row(name: &'static str, operation: Operation) -> Row {
    Row {
        name,
        operation,
        keys: Distribution::Uniform,
        setting: None,
    }
}

const fn zipfian(name: &'static str, operation: Operation) -> Row {
    Row {
        keys: Distribution::Zipfian,
        ..row(name, operation)
    }
}

const fn isolated(name: &'static str, setting: &'static str) -> Row {
    Row {
        setting: Some(setting),
        ..row(name, ReadOne)
    }
}

pub(super) const ROWS: &[Row] = &[
    row("point select, one column", ReadOne),
    isolated(
        "point select, SERIALIZABLE",
        "SET default_transaction_isolation = 'serializable'",
    ),
    isolated(
        "point select, SNAPSHOT",
        "SET default_transaction_isolation = 'snapshot'",
    ),
    row("point select, six columns", ReadAll),
    row("point select, a text for each key", ReadText),
    row("point select, query_row of one text", ReadOfText),
    row("select by e-mail index", ReadEmail),
    row("rows of a range of 100", Range),
    row("first 50 rows from a key on", Operation::First),
    row("a list of 100 keys, IN", ListIn),
    row("a list of 100 keys, = ANY", ListAny),
    zipfian("YCSB C: reads", ReadAll),
    zipfian("YCSB E: scans, 5 % inserts", ScanOrInsert),
    row("insert", Insert),
    row("update by key", Update),
    row("delete and insert of a key", Replace),
];

impl Operation {
    /// Whether threads need keys of their own, so that they do not conflict.
    pub(super) fn writes(self) -> bool {
        matches!(self, Update | Replace | Insert | ScanOrInsert)
    }

    /// Whether the operation inserts keys above those of the table.
    pub(super) fn grows(self) -> bool {
        matches!(self, Insert | ScanOrInsert)
    }
}
