//! What a transaction is begun as.

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

/// What a transaction is begun as.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TransactionOptions {
    /// How far it is kept apart from others.
    pub isolation: Isolation,
    /// Whether it is not to write: then it costs least, and its commit never fails.
    pub read_only: bool,
}
