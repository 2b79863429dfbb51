//! Values of keys that need no computing.

use crate::plan::{Expr, ExprKind};
use remora_storage::{DataType, Value, ValueRef};

/// A value of a key.
#[derive(Debug)]
pub(super) enum KeyPart {
    /// The parameter of this number.
    Parameter(usize),
    /// A parameter that is an integer of fewer bytes, for a column of type BIGINT.
    Widened(usize),
    Constant(Value),
    /// The end of a range is where the column's NULLs are.
    Nulls,
}

impl KeyPart {
    #[inline]
    pub(super) fn value<'v>(&'v self, parameters: &'v [Value]) -> ValueRef<'v> {
        match self {
            Self::Parameter(number) => parameters[*number].as_ref(),
            Self::Widened(number) => match &parameters[*number] {
                Value::SmallInt(value) => ValueRef::BigInt(i64::from(*value)),
                Value::Integer(value) => ValueRef::BigInt(i64::from(*value)),
                value => value.as_ref(),
            },
            Self::Constant(value) => value.as_ref(),
            Self::Nulls => ValueRef::Null,
        }
    }

    /// The part of a key that an expression is, where nothing is to be computed.
    pub(super) fn of(expr: &Expr) -> Option<Self> {
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
