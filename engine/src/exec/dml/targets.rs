//! Targets: the rows that a DELETE has found, before it removes the first one.

use super::super::ExecContext;
use super::super::memory::Held;
use crate::error::Result;
use remora_storage::RowId;
use remora_storage::succinct::RowSet;

/// Rows that are to go.
#[derive(Debug)]
pub(super) enum Targets {
    /// In the order in which they were found, for RETURNING and triggers.
    Ordered(Vec<RowId>),
    /// In the order of the table, in a few bits each: a full database deletes all that it has.
    Unordered(RowSet),
}

impl Targets {
    pub(super) fn new(is_ordered: bool) -> Self {
        match is_ordered {
            true => Self::Ordered(Vec::new()),
            false => Self::Unordered(RowSet::default()),
        }
    }

    /// Adds rows. `held` is what all lists of the statement take.
    pub(super) fn extend(
        &mut self,
        more: Vec<RowId>,
        held: &mut Held,
        context: &ExecContext,
    ) -> Result<()> {
        match self {
            Self::Ordered(rows) => {
                let wanted = rows.len() + more.len();
                if wanted > rows.capacity() {
                    let room = wanted.max(2 * rows.capacity());
                    // They move: for a moment they are there twice. What was counted before makes up for that.
                    held.grow(size_of::<RowId>() * room, context)?;
                    rows.reserve_exact(room - rows.len());
                }
                rows.extend(more);
                Ok(())
            }
            Self::Unordered(rows) => {
                let before = rows.bytes();
                for row in more {
                    rows.insert(row);
                }
                held.grow(rows.bytes() - before, context)
            }
        }
    }

    /// The rows.
    pub(super) fn iter(&self) -> impl Iterator<Item = RowId> {
        let (ordered, unordered) = match self {
            Self::Ordered(rows) => (Some(rows), None),
            Self::Unordered(rows) => (None, Some(rows)),
        };
        let ordered = ordered.into_iter().flatten().copied();
        ordered.chain(unordered.into_iter().flat_map(RowSet::iter))
    }
}
