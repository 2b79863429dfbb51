//! TABLESAMPLE: a filter over the ids of a table's rows.

use super::expr::start;
use super::from::Source;
use super::select::filter;
use super::{Binder, Bound, Clause, Unknown};
use crate::error::{Error, Position, Result, state};
use crate::function::{decimal, sample_out_of_range};
use crate::parse::refuse;
use crate::plan::logical::Logical;
use crate::plan::{Asks, Expr, ExprKind, Subquery};
use remora_storage::{DataType, Value};
use sqlparser::ast::{self, TableSampleKind, TableSampleMethod};

impl<'a> Binder<'a> {
    /// A sample of a table.
    pub(super) fn sample(
        &mut self,
        mut source: Source,
        syntax: &'a TableSampleKind,
        at: Option<Position>,
    ) -> Result<Source> {
        let (TableSampleKind::BeforeTableAlias(sample) | TableSampleKind::AfterTableAlias(sample)) =
            syntax;
        let function = match &sample.name {
            Some(TableSampleMethod::Bernoulli) => "tablesample bernoulli",
            Some(TableSampleMethod::System) => "tablesample system",
            _ => return Err(no_method(sample).at(at)),
        };
        let Logical::Scan(scan) = &mut source.plan else {
            let message = "TABLESAMPLE clause can only be applied to tables and materialized views";
            return Err(Error::new(state::FEATURE_NOT_SUPPORTED, message).at(at));
        };
        let row = match scan.row_id {
            Some(row) => row,
            None => {
                let row = self.columns.add("row id", DataType::BigInt);
                *scan.row_id.insert(row)
            }
        };
        let percent = match &sample.quantity {
            Some(quantity) if quantity.unit.is_none() => self.percent(&quantity.value)?,
            _ => return refuse("this form of TABLESAMPLE", at),
        };
        let seed = match &sample.seed {
            None => random(self)?,
            Some(seed) => {
                let bound = self.value(&seed.value)?;
                given(
                    &bound,
                    state::INVALID_TABLESAMPLE_REPEAT,
                    "REPEATABLE parameter",
                )?;
                self.cast_explicitly(bound, DataType::Double, at)?
            }
        };
        let row = Expr::column(row, DataType::BigInt);
        let drawn = self.call(function, [row, percent, seed].map(Bound::Typed).into(), at)?;
        let drawn = self.settle(drawn)?;
        source.plan = filter(source.plan, drawn);
        Ok(source)
    }

    fn percent(&mut self, syntax: &'a ast::Expr) -> Result<Expr> {
        let at = start(syntax);
        let bound = self.without_variables(syntax, Clause::Functions)?;
        given(&bound, state::INVALID_TABLESAMPLE_ARGUMENT, "parameter").map_err(|e| e.at(at))?;
        let percent = self.cast_explicitly(bound, DataType::Double, at)?;
        // An empty table makes no difference to what is wrong with it.
        let known = match uncast(&percent) {
            Value::Integer(percent) => Some(f64::from(*percent)),
            Value::Numeric(percent) => Some(decimal::to_f64(*percent)),
            Value::Double(percent) => Some(*percent),
            _ => None,
        };
        match known.is_none_or(|percent| (0.0..=100.0).contains(&percent)) {
            true => Ok(percent),
            false => Err(sample_out_of_range().at(at)),
        }
    }
}

/// The literal that an expression is, but for casts.
fn uncast(expr: &Expr) -> &Value {
    match &expr.kind {
        ExprKind::Literal(value) => value,
        ExprKind::Cast { input, .. } => uncast(input),
        _ => &Value::Null,
    }
}

fn given(bound: &Bound, state: &'static str, what: &str) -> Result<()> {
    match bound {
        Bound::Unknown(Unknown::Null) => {
            let message = format!("TABLESAMPLE {what} cannot be null");
            Err(Error::new(state, message))
        }
        _ => Ok(()),
    }
}

fn no_method(sample: &ast::TableSample) -> Error {
    let name = match (
        &sample.name,
        sample.quantity.as_ref().map(|found| &found.value),
    ) {
        (Some(name), _) => name.to_string().to_lowercase(),
        (None, Some(ast::Expr::Function(call))) => call.name.to_string().to_lowercase(),
        (None, _) => String::new(),
    };
    sql_error!(UNDEFINED_OBJECT, "tablesample method {name} does not exist")
}

/// A number by chance, the same for all rows: a query gives it.
fn random(binder: &mut Binder<'_>) -> Result<Expr> {
    let number = binder.call("random", Vec::new(), None)?;
    let number = binder.settle(number)?;
    let data_type = number.data_type;
    let value = binder.columns.add("random", data_type);
    let plan = Logical::Values {
        columns: vec![value],
        rows: vec![vec![number]],
    };
    Ok(Expr {
        kind: ExprKind::Subquery(Box::new(Subquery {
            asks: Asks::Value(value),
            plan,
            outer: Vec::new(),
        })),
        data_type,
    })
}
