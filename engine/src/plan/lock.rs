//! What `FOR UPDATE` and its like ask for, and `LOCK TABLE`.

use remora_storage::TableId;
use remora_storage::catalog::TableEntry;
use remora_storage::transaction::TableHold;
use std::fmt;
use std::sync::Arc;

/// LOCK TABLE
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct LockTables {
    /// Each table, and how it is held; a mode that keeps out nobody holds nothing.
    pub tables: Vec<(TableId, Option<TableHold>)>,
    /// Whether somebody else there is told of at once, and not as a conflict.
    pub nowait: bool,
}

/// What others may no longer do with a row, weakest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum LockStrength {
    /// Delete it or change its keys; told when this transaction commits.
    KeyShare,
    /// Change it; likewise.
    Share,
    /// Change or lock it.
    NoKeyUpdate,
    /// The same here: a lock says nothing of keys.
    Update,
}

/// What to do about a row that somebody else has, what weighs most last.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum LockWait {
    /// Fail, or wait for him as long as `lock_timeout` allows.
    Wait,
    /// Leave it out.
    Skip,
    /// Fail.
    NoWait,
}

/// The rows of one table that are locked.
#[derive(Clone, Debug)]
pub(crate) struct RowLock {
    /// The table.
    pub table: Arc<TableEntry>,
    /// The column that gives the RowId: of a logical plan its number, of a physical one its position.
    pub row: usize,
    /// How.
    pub strength: LockStrength,
    /// And what about rivals.
    pub wait: LockWait,
}

impl LockStrength {
    /// All of them.
    pub(crate) const ALL: [Self; 4] =
        [Self::KeyShare, Self::Share, Self::NoKeyUpdate, Self::Update];

    /// The clause that asks for it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::KeyShare => "FOR KEY SHARE",
            Self::Share => "FOR SHARE",
            Self::NoKeyUpdate => "FOR NO KEY UPDATE",
            Self::Update => "FOR UPDATE",
        }
    }
}

impl fmt::Display for LockStrength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for RowLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.table.def.name, self.strength)?;
        match self.wait {
            LockWait::Wait => Ok(()),
            LockWait::Skip => f.write_str(" SKIP LOCKED"),
            LockWait::NoWait => f.write_str(" NOWAIT"),
        }
    }
}
