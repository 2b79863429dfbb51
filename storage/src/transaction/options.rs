//! What a transaction is begun as, and how durable it is when it has committed.

use crate::ids::TableId;

/// How a whole table is held against others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TableHold {
    /// As by one who writes: nobody else holds it alone, or changes its structure.
    Written,
    /// Nobody else changes its structure; who writes goes on.
    Structure,
    /// Nobody else writes to it.
    Alone,
}

/// How far concurrent transactions are kept apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Isolation {
    /// As if the transactions that commit had run one after the other, in the order of their commits.
    #[default]
    Serializable,
    /// Each reads the state at its beginning, and no two write one row: write skew is possible.
    Snapshot,
}

impl Isolation {
    /// What the level is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Serializable => "serializable",
            Self::Snapshot => "snapshot",
        }
    }
}

/// When a commit returns.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Durability {
    /// Nothing is logged; the database lives as long as its handle. Only for a database in memory: in
    /// a directory this is taken as [`Self::Buffered`], because a change that is logged must never
    /// stand on one that is not.
    Memory,
    /// When the frame is handed over; it is durable within the loss window, unless maintenance is
    /// manual. A crash may take the commit back, with all after it, and nothing else.
    Buffered,
    /// When the frame is durable, and with it all before it.
    #[default]
    Sync,
}

impl Durability {
    /// What the level is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Buffered => "buffered",
            Self::Sync => "sync",
        }
    }
}

/// What a transaction is begun as.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TransactionOptions {
    /// How far it is kept apart from others.
    pub isolation: Isolation,
    /// Whether it is not to write: then it costs least, and its commit never fails.
    pub read_only: bool,
    /// When its commit returns; `None` for the database's level. In memory it says nothing.
    pub durability: Option<Durability>,
    /// The table whose rows it deletes for the system: because they have expired, or because the cache gives them up.
    /// Validation does not hear of it, so that no transaction fails that has read such a row.
    pub sweeps: Option<TableId>,
}
