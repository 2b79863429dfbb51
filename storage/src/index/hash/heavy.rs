//! The rows of heavy identities: those that many rows share, such as a flag's two values.
//!
//! In their bucket they would make a chain as long as the table, to be walked for every change. So
//! a marker stands there, and the rows are entries of an ordered index, under the identity.

use super::identity::Identity;
use crate::error::Result;
use crate::ids::RowId;
use crate::index::{Cursor, Entries, Index};
use crate::pool::Pool;
use std::ops::Bound;
use std::sync::{Arc, OnceLock};

/// An identity with more rows than this is heavy. It stays so until one row is left: then the row
/// takes the place of the marker, and nothing has to be allocated.
pub(super) const LIGHT_ROWS_MAX: usize = 16;

/// The ordered index, once there was a heavy identity.
#[derive(Debug, Default)]
pub(super) struct Heavy(OnceLock<Box<Index>>);

fn key(identity: Identity) -> [u8; 8] {
    identity.bits().to_be_bytes()
}

impl Heavy {
    fn index(&self) -> &Index {
        self.0
            .get()
            .expect("a marker stands for rows that are here")
    }

    /// Takes over all rows of an identity. On error nothing changed.
    pub(super) fn take_over(
        &self,
        identity: Identity,
        rows: &[RowId],
        pool: &Arc<Pool>,
    ) -> Result<()> {
        if self.0.get().is_none() {
            // Where two do so at once, one of the two is dropped.
            let _ = self.0.set(Box::new(Index::ordered(pool)?));
        }
        let index = self.index();
        for (at, row) in rows.iter().enumerate() {
            if let Err(error) = index.insert(&key(identity), *row) {
                for row in &rows[..at] {
                    index.remove(&key(identity), *row);
                }
                return Err(error);
            }
        }
        Ok(())
    }

    /// Adds a row of a heavy identity.
    pub(super) fn insert(&self, identity: Identity, row: RowId) -> Result<()> {
        self.index().insert(&key(identity), row)
    }

    /// Removes a row of a heavy identity; returns whether it was there.
    pub(super) fn remove(&self, identity: Identity, row: RowId) -> bool {
        self.index().remove(&key(identity), row)
    }

    /// The row of a heavy identity that has one row only.
    pub(super) fn only(&self, identity: Identity) -> Option<RowId> {
        let key = key(identity);
        let bound = Bound::Included(key.as_slice());
        let mut two = Entries::new();
        self.index()
            .scan(&mut Cursor::new(bound, bound, false), 2, &mut two);
        match two.len() {
            1 => two.last().map(|(_, row)| row),
            _ => None,
        }
    }

    /// Appends the rows of an identity to `out`.
    pub(super) fn copy_to(&self, identity: Identity, out: &mut Vec<RowId>) {
        self.index().get(&key(identity), out);
    }

    /// The index, if there ever was a heavy identity.
    pub(super) fn rows(&self) -> Option<&Index> {
        self.0.get().map(Box::as_ref)
    }

    /// How many rows there are, of all heavy identities.
    pub(super) fn len(&self) -> usize {
        self.0.get().map_or(0, |index| index.len())
    }

    pub(super) fn bytes(&self) -> u64 {
        self.0.get().map_or(0, |index| index.bytes())
    }
}
