//! Newtypes for every number that could be mistaken for another.

use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id!(
    /// A table, for the life of the database; never reused.
    TableId(u32)
);
id!(
    /// An index, for the life of the database; never reused.
    IndexId(u32)
);
id!(
    /// A sequence, for the life of the database; never reused.
    SequenceId(u32)
);
id!(
    /// A type that somebody made, of the same row of numbers as tables: a table's rows are a type, too.
    TypeId(u32)
);
id!(
    /// A schema, for the life of the database; never reused. Those of sessions are [`Self::temporary`].
    SchemaId(u32)
);
impl SchemaId {
    /// The one that is always there.
    pub const PUBLIC: Self = Self(0);
    /// Numbers of those that are made stay below.
    pub const MADE_END: u32 = 1 << 30;
    /// Set in those of sessions.
    const TEMPORARY: u32 = 1 << 31;

    /// That of the temporary tables of a session, which no other session has meanwhile.
    pub fn temporary(session: u32) -> Self {
        Self(Self::TEMPORARY | session)
    }

    /// Whether it is a session's: what is in it is in memory only.
    pub fn is_temporary(self) -> bool {
        self.0 & Self::TEMPORARY != 0
    }

    /// Whether it is [`Self::PUBLIC`], which definitions do not name on disk.
    pub fn is_public(&self) -> bool {
        *self == Self::PUBLIC
    }
}

id!(
    /// A column within its table, for the life of the table; never reused, never a position.
    ColumnId(u32)
);
id!(
    /// A block within its table's directory.
    BlockNo(u32)
);
id!(
    /// A row's place within its block.
    Slot(u16)
);
id!(
    /// A point in commit order. `Timestamp(0)` is before every commit.
    Timestamp(u64)
);
impl Timestamp {
    /// Above those of all commits that there will ever be.
    pub const END: Self = Self(1 << 59);
}

id!(
    /// A transaction, as named in errors and statistics; counted from the opening of the store.
    TransactionId(u64)
);
id!(
    /// A byte position in the log, counted from the first byte ever logged.
    Lsn(u64)
);

/// Slots are this many low bits of a [`RowId`].
pub const SLOT_BITS: u32 = 14;
/// Slots in one block.
pub const BLOCK_SLOTS: usize = 1 << SLOT_BITS;

/// A row's name: block number and slot. Stable for the life of the row, never reused.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct RowId(pub u64);

impl RowId {
    /// The row at `slot` of `block`.
    pub fn new(block: BlockNo, slot: Slot) -> Self {
        debug_assert!((slot.0 as usize) < BLOCK_SLOTS, "slot within a block");
        Self((u64::from(block.0) << SLOT_BITS) | u64::from(slot.0))
    }

    /// The block that holds the row.
    pub fn block(self) -> BlockNo {
        BlockNo((self.0 >> SLOT_BITS) as u32)
    }

    /// The row's slot in its block.
    pub fn slot(self) -> Slot {
        Slot((self.0 & (BLOCK_SLOTS as u64 - 1)) as u16)
    }
}

impl fmt::Display for RowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.block(), self.slot())
    }
}
