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
use remora_storage::transaction::{PointRead as Reading, RowRef};
use remora_storage::{ColumnId, DataType, Value, ValueRef};
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
    /// A parameter that is an integer of fewer bytes, for a column of type BIGINT.
    Widened(usize),
    Constant(Value),
}

impl KeyPart {
    #[inline]
    fn value<'v>(&'v self, parameters: &'v [Value]) -> ValueRef<'v> {
        match self {
            Self::Parameter(number) => parameters[*number].as_ref(),
            Self::Widened(number) => match &parameters[*number] {
                Value::SmallInt(value) => ValueRef::BigInt(i64::from(*value)),
                Value::Integer(value) => ValueRef::BigInt(i64::from(*value)),
                value => value.as_ref(),
            },
            Self::Constant(value) => value.as_ref(),
        }
    }

    /// What an expression of a key is, where nothing is to be computed.
    fn of(expr: &Expr) -> Option<Self> {
        match &expr.kind {
            ExprKind::Parameter(number) => Some(Self::Parameter(*number)),
            ExprKind::Literal(value) => Some(Self::Constant(value.clone())),
            ExprKind::Cast { input, .. } => match (&input.kind, input.data_type) {
                (ExprKind::Parameter(number), DataType::SmallInt | DataType::Integer)
                    if expr.data_type == DataType::BigInt =>
                {
                    Some(Self::Widened(*number))
                }
                _ => None,
            },
            _ => None,
        }
    }
}

impl PointRead {
    /// The look-up that a point select is, if it is nothing else.
    pub(crate) fn of(select: &PointSelect) -> Option<Self> {
        let lookup = &select.lookup;
        if lookup.filter.is_some() {
            return None;
        }
        let columns = &lookup.table.def.columns;
        let column = |expr: &Expr| match expr.kind {
            ExprKind::Column(position) => Some(columns[position].id),
            _ => None,
        };
        Some(Self {
            key: lookup.key.iter().map(KeyPart::of).collect::<Option<_>>()?,
            shown: select.exprs.iter().map(column).collect::<Option<_>>()?,
            lookup: lookup.clone(),
        })
    }

    /// Leaves the values of the row in `row`; returns whether there is one, or `None` where there are several. The
    /// parameters are of the types that the statement has found for them.
    #[inline]
    pub(crate) fn run(
        &self,
        read: &Reading<'_>,
        parameters: &[Value],
        row: &mut Vec<Value>,
    ) -> Option<bool> {
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
    fn find(&self, read: &Reading<'_>, key: &[ValueRef<'_>], row: &mut [Value]) -> Option<bool> {
        let Lookup { table, index, .. } = &self.lookup;
        let show = |_, stored: &RowRef<'_>| {
            for (slot, column) in row.iter_mut().zip(&self.shown) {
                assign(slot, stored.get(*column));
            }
        };
        match index.def.unique {
            true => Some(read.find(table, index, key, show).is_some()),
            false => read
                .find_only(table, index, key, show)
                .map(|found| found.is_some()),
        }
    }
}
