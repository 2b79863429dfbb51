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
use remora_storage::transaction::{KeyRead, PointRead as Reading};
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

/// The key that is looked for.
#[derive(Debug)]
pub(crate) enum PointKey<'v> {
    Int(i64),
    Values(SmallVec<[ValueRef<'v>; 4]>),
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
            read: KeyRead::new(&lookup.table, &lookup.index, shown.into_iter()),
            parameters: parameters.into(),
        })
    }

    /// The key that these parameters give; `None` where they are of other types, or too few or many.
    #[inline]
    pub(crate) fn key<'v>(&'v self, parameters: &'v [Value]) -> Option<PointKey<'v>> {
        if self.read.is_by_int()
            && let ([KeyPart::Parameter(0) | KeyPart::Widened(0)], [_], [value]) =
                (&*self.key, &*self.parameters, parameters)
        {
            match (value, self.parameters[0]) {
                (Value::BigInt(key), DataType::BigInt) => return Some(PointKey::Int(*key)),
                (Value::Integer(key), DataType::BigInt | DataType::Integer) => {
                    return Some(PointKey::Int(i64::from(*key)));
                }
                _ => {}
            }
        }
        self.values(parameters)
    }

    fn values<'v>(&'v self, parameters: &'v [Value]) -> Option<PointKey<'v>> {
        let mut types = self.parameters.iter().zip(parameters);
        let fit = self.parameters.len() == parameters.len()
            && types.all(|(data_type, value)| value.is_of(*data_type));
        let values = self.key.iter().map(|part| part.value(parameters));
        fit.then(|| PointKey::Values(values.collect()))
    }

    /// Leaves the values of the row with this key in `row`; returns whether there is one, or `None` where there are
    /// several.
    #[inline]
    pub(crate) fn run(
        &self,
        read: &Reading<'_>,
        key: &PointKey<'_>,
        row: &mut Vec<Value>,
    ) -> Option<bool> {
        if row.len() != self.read.width() {
            row.resize(self.read.width(), Value::Null);
        }
        match key {
            PointKey::Int(key) => Some(read.show_of_int(&self.read, *key, row)),
            PointKey::Values(key) => read.show(&self.read, key, row),
        }
    }
}
