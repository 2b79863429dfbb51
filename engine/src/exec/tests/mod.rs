//! Operators over rows written out, without a store underneath: small stories, and models that
//! do the same with loops.

mod cut;
mod limits;
mod model;
mod store;
mod stories;

use super::join::join_table::JoinKeys;
use super::pipeline::{Operator, Pipeline, Source};
use super::scan::values::Values;
use super::{ExecContext, Planner, TableRules};
use crate::error::{Error, Result};
use crate::function::{EvalContext, SearchPath, resolve};
use crate::plan::physical::JoinKey;
use crate::plan::trigger::Trigger;
use crate::plan::{Expr, ExprKind, Field, Schema};
use remora_storage::catalog::{Catalog, TableEntry, TriggerDef};
use remora_storage::pool::{Claim, Ledger};
use remora_storage::value::value_at;
use remora_storage::{DataType, Value};
use std::collections::BTreeSet;
use std::sync::Arc;

pub(super) const BIGINT: DataType = DataType::BigInt;
pub(super) const TEXT: DataType = DataType::Text;

/// The planner of statements that have no triggers and no foreign keys.
#[derive(Debug)]
struct NoPlanner;

impl Planner for NoPlanner {
    fn table_rules(
        &self,
        _: &TableEntry,
        _: Option<&BTreeSet<usize>>,
        _: &Arc<Catalog>,
    ) -> Result<Arc<TableRules>> {
        Err(Error::internal("nothing is planned here"))
    }

    fn trigger(
        &self,
        _: &TableEntry,
        _: &TriggerDef,
        _: (&Arc<Catalog>, &SearchPath),
    ) -> Result<Arc<Trigger>> {
        Err(Error::internal("nothing is planned here"))
    }
}

pub(super) fn context() -> ExecContext {
    ExecContext {
        eval: EvalContext::default(),
        parameters: Vec::new().into(),
        ledger: Ledger::new(1 << 30),
        claim: Claim::Ordinary,
        with: None,
        profiling: None,
        planner: Arc::new(NoPlanner),
        trigger_depth: 0,
    }
}

pub(super) fn schema(types: &[DataType]) -> Schema {
    let field = |data_type: &DataType| Field {
        name: "c".into(),
        data_type: *data_type,
    };
    types.iter().map(field).collect()
}

pub(super) fn column(position: usize) -> Expr {
    Expr::column(position, BIGINT)
}

/// The keys of one side of a join.
pub(super) fn join_keys(columns: impl IntoIterator<Item = usize>, nulls_match: bool) -> JoinKeys {
    let key = |position| JoinKey {
        left: column(position),
        right: column(position),
        nulls_match,
    };
    let keys: Vec<JoinKey> = columns.into_iter().map(key).collect();
    JoinKeys::of(&keys, |key| &key.left)
}

pub(super) fn number(value: impl Into<Option<i64>>) -> Expr {
    Expr::literal(big(value), BIGINT)
}

pub(super) fn big(value: impl Into<Option<i64>>) -> Value {
    value.into().map_or(Value::Null, Value::BigInt)
}

pub(super) fn call(name: &str, arguments: Vec<Expr>) -> Expr {
    let types: Vec<_> = arguments.iter().map(|a| Some(a.data_type)).collect();
    let overload = resolve(name, &types).expect("a function").overload;
    Expr {
        data_type: overload.returns,
        kind: ExprKind::Call {
            overload,
            arguments,
        },
    }
}

pub(super) fn boolean(kind: ExprKind) -> Expr {
    Expr {
        kind,
        data_type: DataType::Boolean,
    }
}

/// Rows of BIGINTs, `None` for NULL.
pub(super) type Numbers = Vec<Vec<Option<i64>>>;

/// A pipeline that begins with these rows.
pub(super) fn numbers(width: usize, rows: &Numbers) -> Pipeline<'static> {
    let row = |row: &Vec<Option<i64>>| row.iter().map(|value| number(*value)).collect();
    let rows = rows.iter().map(row).collect();
    Pipeline::new(Values::new(rows, schema(&vec![BIGINT; width])))
}

/// All rows that come out; every column is a BIGINT.
pub(super) fn run(pipeline: Pipeline<'_>, context: &ExecContext) -> Result<Numbers> {
    let rows = run_typed(pipeline, context)?;
    let plain = |value: Value| match value {
        Value::BigInt(number) => Some(number),
        _ => None,
    };
    let row = |row: Vec<Value>| row.into_iter().map(plain).collect();
    Ok(rows.into_iter().map(row).collect())
}

/// All rows that come out, by the types of their arrays.
pub(super) fn run_typed(
    mut pipeline: Pipeline<'_>,
    context: &ExecContext,
) -> Result<Vec<Vec<Value>>> {
    let mut rows = Vec::new();
    while let Some(batch) = pipeline.next(context)? {
        assert!(batch.rows > 0, "no batch is empty");
        let type_of = |array: &arrow_array::ArrayRef| {
            [BIGINT, TEXT, DataType::Boolean, DataType::Numeric(None)]
                .into_iter()
                .find(|data_type| data_type.arrow() == *array.data_type())
                .expect("a type that tests use")
        };
        for row in 0..batch.rows {
            let values = batch.columns.iter();
            let values = values.map(|array| value_at(array, type_of(array), row).to_owned());
            rows.push(values.collect());
        }
    }
    Ok(rows)
}

pub(super) fn boxed(
    source: impl Source + 'static,
    operator: impl Operator + 'static,
) -> Pipeline<'static> {
    Pipeline::new(source).with(operator)
}
