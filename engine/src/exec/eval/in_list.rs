//! `IN (list)`: constants are looked up in a set, which is built once and kept between batches;
//! other items are compared one after the other, each only for the rows without a match so far.

use super::vector::{eval as eval_operand, is_null};
use super::{Rows, Scope, Truth, truth};
use crate::error::Result;
use crate::function::Operand;
use crate::plan::{Expr, ExprKind};
use arrow_buffer::BooleanBuffer;
use remora_storage::value::value_at;
use remora_storage::{DataType, Value, ValueRef};
use std::cell::RefCell;
use std::cmp::Ordering;
use std::collections::HashSet;
use std::sync::Arc;

/// The sets of the constant lists in one expression, made at first need.
///
/// A list is recognised by its address. That is sound because an `Evaluator` owns the expression
/// and these sets together and never changes the expression.
#[derive(Debug, Default)]
pub(crate) struct ValueSets(RefCell<Vec<(usize, Arc<ValueSet>)>>);

/// Distinct values of one type.
#[derive(Debug)]
struct ValueSet {
    values: Values,
    has_null: bool,
}

#[derive(Debug)]
enum Values {
    Integers(HashSet<i64>),
    Texts(HashSet<String>),
    /// Anything else, in order, for binary search.
    Sorted(Vec<Value>),
}

/// `input IN (list)`, three-valued: NULL where nothing matches and a NULL was compared.
pub(super) fn eval(
    input: &Expr,
    list: &[Expr],
    rows: &Rows<'_>,
    scope: &Scope<'_>,
) -> Result<Truth> {
    let count = rows.count();
    let operand = eval_operand(input, rows, scope)?;
    let unknown = is_null(&operand, count);
    let constant = |item: &Expr| matches!(item.kind, ExprKind::Literal(_) | ExprKind::Parameter(_));
    let (yes, null_compared) = if list.iter().all(constant) {
        let set = scope.sets.get(list, scope);
        let yes = BooleanBuffer::collect_bool(count, |row| {
            set.contains(value(&operand, input.data_type, row))
        });
        (yes, BooleanBuffer::collect_bool(count, |_| set.has_null))
    } else {
        compare_all(&operand, input.data_type, list, rows, scope)?
    };
    let unknown = &(&unknown | &null_compared) & &!&yes;
    Ok(Truth {
        no: &!&yes & &!&unknown,
        yes,
    })
}

/// Where an item equals the operand, and where an item that was looked at is NULL.
fn compare_all(
    operand: &Operand,
    data_type: DataType,
    list: &[Expr],
    rows: &Rows<'_>,
    scope: &Scope<'_>,
) -> Result<(BooleanBuffer, BooleanBuffer)> {
    let mut yes = BooleanBuffer::new_unset(rows.count());
    let mut null_compared = yes.clone();
    for item in list {
        let open = !&yes;
        if !open.has_true() {
            break;
        }
        let candidate = eval_operand(item, &rows.narrow(open.clone()), scope)?;
        let open_rows: Vec<usize> = open.set_indices().collect();
        let equal = BooleanBuffer::collect_bool(open_rows.len(), |place| {
            let found = value(&candidate, data_type, place);
            let wanted = value(operand, data_type, open_rows[place]);
            !found.is_null() && !wanted.is_null() && found == wanted
        });
        let null = is_null(&candidate, open_rows.len());
        yes = &yes | &truth::spread(&equal, &open, false);
        null_compared = &null_compared | &truth::spread(&null, &open, false);
    }
    Ok((yes, null_compared))
}

/// The operand's value for a row.
fn value(operand: &Operand, data_type: DataType, row: usize) -> ValueRef<'_> {
    match operand {
        Operand::Scalar(value) => value.as_ref(),
        Operand::Array(array) => value_at(array, data_type, row),
    }
}

impl ValueSets {
    fn get(&self, list: &[Expr], scope: &Scope<'_>) -> Arc<ValueSet> {
        let address = list.as_ptr() as usize;
        let mut sets = self.0.borrow_mut();
        if let Some((_, set)) = sets.iter().find(|(at, _)| *at == address) {
            return set.clone();
        }
        let set = Arc::new(ValueSet::new(list, scope));
        sets.push((address, set.clone()));
        set
    }
}

impl ValueSet {
    fn new(list: &[Expr], scope: &Scope<'_>) -> Self {
        let all: Vec<ValueRef<'_>> = list
            .iter()
            .map(|item| match &item.kind {
                ExprKind::Literal(value) => value.as_ref(),
                ExprKind::Parameter(number) => scope.parameter(*number),
                _ => ValueRef::Null,
            })
            .collect();
        let has_null = all.iter().any(|value| value.is_null());
        let known = || all.iter().copied().filter(|value| !value.is_null());
        let integers = known().map(integer).collect::<Option<_>>();
        let texts = known().map(|value| text(value).map(str::to_owned));
        let values = match (integers, texts.collect::<Option<_>>()) {
            (Some(integers), _) => Values::Integers(integers),
            (_, Some(texts)) => Values::Texts(texts),
            _ => {
                let mut sorted: Vec<Value> = known().map(ValueRef::to_owned).collect();
                sorted.sort_by(|a, b| order(a.as_ref(), b.as_ref()));
                Values::Sorted(sorted)
            }
        };
        Self { values, has_null }
    }

    fn contains(&self, value: ValueRef<'_>) -> bool {
        match &self.values {
            _ if value.is_null() => false,
            Values::Integers(set) => integer(value).is_some_and(|value| set.contains(&value)),
            Values::Texts(set) => text(value).is_some_and(|value| set.contains(value)),
            Values::Sorted(values) => values
                .binary_search_by(|found| order(found.as_ref(), value))
                .is_ok(),
        }
    }
}

/// The total order of values of one type.
fn order(a: ValueRef<'_>, b: ValueRef<'_>) -> Ordering {
    a.compare(b).unwrap_or(Ordering::Equal)
}

/// Values of integer types; the values of one list are of one type, so none is mistaken.
fn integer(value: ValueRef<'_>) -> Option<i64> {
    match value {
        ValueRef::SmallInt(v) => Some(v.into()),
        ValueRef::Integer(v) => Some(v.into()),
        ValueRef::BigInt(v) => Some(v),
        _ => None,
    }
}

fn text(value: ValueRef<'_>) -> Option<&str> {
    match value {
        ValueRef::Text(text) => Some(text),
        _ => None,
    }
}
