//! Foreign keys between columns of different types: how a value of one is sought among the other's.
//!
//! The columns are compared as the type that is referred to. Where a value has just one counterpart in
//! both directions (strings of any length, numbers of any scale, integers of any width) it can be sought
//! in an index on either side; else it is only known what a value that refers stands for.

use super::{CastContext, cast_context, cast_value};
use crate::function::EvalContext;
use remora_storage::{DataType, Value, ValueRef};

/// How values of a column that refers become those of the column that it refers to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum KeyCast {
    /// As they are.
    Same,
    /// From one width of integers to another: some have no counterpart.
    Integer,
    /// By the cast that is applied everywhere.
    Other,
}

impl KeyCast {
    /// Between two types; `None` where a foreign key cannot be.
    pub(crate) fn between(child: DataType, parent: DataType) -> Option<Self> {
        let integer = |t| matches!(t, DataType::SmallInt | DataType::Integer | DataType::BigInt);
        let (from, to) = (child.without_modifier(), parent.without_modifier());
        if from == to || (from.is_string() && to.is_string()) {
            return Some(Self::Same);
        }
        if integer(from) && integer(to) {
            return Some(Self::Integer);
        }
        (cast_context(from, to) == Some(CastContext::Implicit)).then_some(Self::Other)
    }

    /// What a value that refers stands for; `None` where that is nothing.
    pub(crate) fn to_parent(
        self,
        value: ValueRef<'_>,
        parent: DataType,
        context: &EvalContext,
    ) -> Option<Value> {
        match self {
            Self::Same => Some(value.to_owned()),
            Self::Integer => as_integer(value, parent),
            Self::Other => cast_value(value, parent.without_modifier(), false, context).ok(),
        }
    }

    /// Whether [`Self::to_child`] tells all values that stand for one.
    pub(crate) fn has_counterparts(self) -> bool {
        self != Self::Other
    }

    /// The one value that stands for this one; `None` where none does.
    pub(crate) fn to_child(self, value: ValueRef<'_>, child: DataType) -> Option<Value> {
        match self {
            Self::Same => Some(value.to_owned()),
            Self::Integer => as_integer(value, child),
            Self::Other => None,
        }
    }
}

fn as_integer(value: ValueRef<'_>, to: DataType) -> Option<Value> {
    let number = match value {
        ValueRef::SmallInt(number) => i64::from(number),
        ValueRef::Integer(number) => i64::from(number),
        ValueRef::BigInt(number) => number,
        _ => return None,
    };
    match to {
        DataType::SmallInt => number.try_into().ok().map(Value::SmallInt),
        DataType::Integer => number.try_into().ok().map(Value::Integer),
        DataType::BigInt => Some(Value::BigInt(number)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_of_any_width_meet_and_a_number_does_not_become_one() {
        let cast = KeyCast::between(DataType::BigInt, DataType::SmallInt);
        assert_eq!(cast, Some(KeyCast::Integer));
        let context = EvalContext::default();
        let narrow = |number| {
            KeyCast::Integer.to_parent(ValueRef::BigInt(number), DataType::SmallInt, &context)
        };
        assert_eq!(narrow(7), Some(Value::SmallInt(7)));
        assert_eq!(narrow(70_000), None);
        let numeric = DataType::Numeric(None);
        assert_eq!(
            KeyCast::between(DataType::Integer, numeric),
            Some(KeyCast::Other)
        );
        assert_eq!(KeyCast::between(numeric, DataType::Integer), None);
        assert_eq!(KeyCast::between(DataType::Text, DataType::Integer), None);
    }
}
