//! A SELECT that is one look-up and shows columns: the shortest way from parameters to values.
//!
//! ```text
//!   SELECT name, v FROM t WHERE id = $1        key: parameter 0        shown: columns name, v
//! ```
//!
//! A point select ([`super::point`]) is such a look-up where nothing is to be computed: its key consists of parameters and
//! constants, no other condition is left, and columns are shown as they are. The look-up runs without a transaction, and
//! no expression is evaluated while the row is looked at.

use super::point::assign;
use crate::plan::statement::{Lookup, PointSelect};
use crate::plan::{Expr, ExprKind};
use remora_storage::transaction::PointRead as Reading;
use remora_storage::{ColumnId, Value, ValueRef};
use smallvec::SmallVec;

/// Such a look-up.
#[derive(Debug)]
pub(crate) struct PointRead {
    lookup: Lookup,
    key: Box<[KeyPart]>,
    shown: Box<[ColumnId]>,
}

/// A value of the key.
#[derive(Debug)]
enum KeyPart {
    /// The parameter of this number.
    Parameter(usize),
    Constant(Value),
}

impl KeyPart {
    #[inline]
    fn value<'v>(&'v self, parameters: &'v [Value]) -> ValueRef<'v> {
        match self {
            Self::Parameter(number) => parameters[*number].as_ref(),
            Self::Constant(value) => value.as_ref(),
        }
    }
}

impl PointRead {
    /// The look-up that a point select is, if it is nothing else.
    pub(crate) fn of(select: &PointSelect) -> Option<Self> {
        let lookup = &select.lookup;
        if select.otherwise.is_some() || lookup.filter.is_some() {
            return None;
        }
        let part = |expr: &Expr| match &expr.kind {
            ExprKind::Parameter(number) => Some(KeyPart::Parameter(*number)),
            ExprKind::Literal(value) => Some(KeyPart::Constant(value.clone())),
            _ => None,
        };
        let columns = &lookup.table.def.columns;
        let column = |expr: &Expr| match expr.kind {
            ExprKind::Column(position) => Some(columns[position].id),
            _ => None,
        };
        Some(Self {
            key: lookup.key.iter().map(part).collect::<Option<_>>()?,
            shown: select.exprs.iter().map(column).collect::<Option<_>>()?,
            lookup: lookup.clone(),
        })
    }

    /// Leaves the values of the row in `row`; returns whether there is one. The parameters are of the types that the
    /// statement has found for them.
    #[inline]
    pub(crate) fn run(
        &self,
        read: &Reading<'_>,
        parameters: &[Value],
        row: &mut Vec<Value>,
    ) -> bool {
        if row.len() != self.shown.len() {
            row.resize(self.shown.len(), Value::Null);
        }
        match &*self.key {
            // Most keys: no list to be kept.
            [part] => self.find(read, &[part.value(parameters)], row),
            parts => {
                let key = parts.iter().map(|part| part.value(parameters));
                let key: SmallVec<[ValueRef<'_>; 4]> = key.collect();
                self.find(read, &key, row)
            }
        }
    }

    #[inline]
    fn find(&self, read: &Reading<'_>, key: &[ValueRef<'_>], row: &mut [Value]) -> bool {
        let Lookup { table, index, .. } = &self.lookup;
        let found = read.find(table, index, key, |_, stored| {
            for (slot, column) in row.iter_mut().zip(&self.shown) {
                assign(slot, stored.get(*column));
            }
        });
        found.is_some()
    }
}
