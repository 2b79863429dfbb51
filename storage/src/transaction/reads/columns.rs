//! A set of columns in one word.

use crate::block::RowRef;
use crate::catalog::TableDef;
use crate::ids::ColumnId;

/// Columns of a table; where it has more than 64, some stand for each other, so that the set has more
/// than was asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Columns(u64);

impl Columns {
    /// All of them.
    pub const ALL: Self = Self(u64::MAX);
    /// None: only whether there is a row.
    pub const NONE: Self = Self(0);

    /// These.
    pub fn of(columns: impl IntoIterator<Item = ColumnId>) -> Self {
        let bit = |column: ColumnId| 1 << (column.0 % u64::BITS);
        Self(columns.into_iter().map(bit).fold(0, |all, bit| all | bit))
    }

    /// These and those.
    #[must_use]
    pub fn with(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// Whether a column is among them.
    pub fn has(self, column: ColumnId) -> bool {
        self.0 & Self::of([column]).0 != 0
    }

    /// Whether nobody can tell two rows apart by these columns.
    pub(in crate::transaction) fn agree(
        self,
        table: &TableDef,
        one: &RowRef<'_>,
        other: &RowRef<'_>,
    ) -> bool {
        let columns = table.columns.iter().map(|column| column.id);
        let mut columns = columns.filter(|column| self.has(*column));
        columns.all(|column| {
            one.has_same_bytes(other, column) || one.get(column).is_identical(other.get(column))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_what_it_was_made_of() {
        let some = Columns::of([1, 5, 70].map(ColumnId));
        assert!([1, 5, 70].into_iter().all(|id| some.has(ColumnId(id))));
        assert!(!some.has(ColumnId(2)));
        assert!(some.has(ColumnId(6)), "which stands for 70");
        assert!(some.with(Columns::of([ColumnId(2)])).has(ColumnId(2)));
        assert!(Columns::ALL.has(ColumnId(63)) && !Columns::NONE.has(ColumnId(63)));
    }
}
