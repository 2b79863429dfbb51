//! A SELECT that is one look-up and shows columns: the shortest way from parameters to values.
//!
//! ```text
//!   SELECT name, v FROM t WHERE id = $1        key: parameter 0        shown: columns name, v
//! ```
//!
//! A point select ([`super::point`]) is such a look-up where nothing is to be computed: its key consists of parameters and
//! constants, no other condition is left, and columns are shown as they are. The look-up runs without a transaction, and
//! no expression is evaluated while the row is looked at.

use crate::plan::statement::PointSelect;
use crate::plan::{Expr, ExprKind};
use remora_storage::transaction::{KeyRead, ReadKey};
use remora_storage::{ColumnId, DataType, Value, ValueRef};
use smallvec::SmallVec;

/// Such a look-up.
#[derive(Debug)]
pub(crate) struct PointRead {
    read: KeyRead,
    key: Box<[KeyPart]>,
    /// The types of the statement's parameters.
    parameters: Box<[DataType]>,
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

    /// The part of a key that an expression is, where nothing is to be computed.
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
    /// The look-up that a point select is, if it is nothing else; its statement has parameters of these types.
    pub(crate) fn of(select: &PointSelect, parameters: &[DataType]) -> Option<Self> {
        let lookup = &select.lookup;
        if lookup.filter.is_some() {
            return None;
        }
        let columns = &lookup.table.def.columns;
        let column = |expr: &Expr| match expr.kind {
            ExprKind::Column(position) => Some(columns[position].id),
            _ => None,
        };
        let shown: Vec<ColumnId> = select.exprs.iter().map(column).collect::<Option<_>>()?;
        Some(Self {
            key: lookup.key.iter().map(KeyPart::of).collect::<Option<_>>()?,
            read: KeyRead::new(&lookup.table, &lookup.index, &shown, lookup.columns),
            parameters: parameters.into(),
        })
    }

    /// The key that these parameters are, where it is one integer.
    #[inline]
    fn int_key(&self, parameters: &[Value]) -> Option<i64> {
        if !self.read.is_by_int() {
            return None;
        }
        match (&*self.key, &*self.parameters, parameters) {
            ([KeyPart::Parameter(0)], [DataType::BigInt], [Value::BigInt(key)]) => Some(*key),
            (
                [KeyPart::Parameter(0) | KeyPart::Widened(0)],
                [DataType::BigInt | DataType::Integer],
                [Value::Integer(key)],
            ) => Some(i64::from(*key)),
            _ => None,
        }
    }

    /// Whether the parameters are of the types that the statement has found for them.
    fn takes(&self, parameters: &[Value]) -> bool {
        let mut types = self.parameters.iter().zip(parameters);
        self.parameters.len() == parameters.len()
            && types.all(|(data_type, value)| value.is_of(*data_type))
    }

    /// Leaves the values of the row in `row`; returns whether there is one. `None` where several have the key, where the
    /// parameters do not fit, and where `show`, which reads in some state, does not.
    #[inline]
    pub(crate) fn run(
        &self,
        parameters: &[Value],
        row: &mut Vec<Value>,
        show: impl FnOnce(&KeyRead, &ReadKey<'_>, &mut [Value]) -> Option<bool>,
    ) -> Option<bool> {
        if row.len() != self.read.width() {
            row.resize(self.read.width(), Value::Null);
        }
        if let Some(key) = self.int_key(parameters) {
            return show(&self.read, &ReadKey::Int(key), row);
        }
        if !self.takes(parameters) {
            return None;
        }
        match &*self.key {
            // Most keys: no list to be kept.
            [part] => show(&self.read, &ReadKey::Values(&[part.value(parameters)]), row),
            parts => {
                let key = parts.iter().map(|part| part.value(parameters));
                let key: SmallVec<[ValueRef<'_>; 4]> = key.collect();
                show(&self.read, &ReadKey::Values(&key), row)
            }
        }
    }
}
