//! Aggregates: each call becomes a column that an Aggregate node will give.

use super::{Binder, Bound, Context, name};
use crate::error::{Error, Position, Result, state};
use crate::function::aggregate::{self, Aggregate};
use crate::parse::refuse;
use crate::plan::Expr;
use crate::plan::physical::AggregateCall;
use remora_storage::DataType;
use sqlparser::ast::{self, DuplicateTreatment, FunctionArg, FunctionArgExpr};

impl<'a> Binder<'a> {
    /// Binds a call if it is one of an aggregate; `None` where no aggregate has the name.
    pub(super) fn aggregate(
        &mut self,
        name: &str,
        syntax: &'a ast::Function,
        list: Option<&'a ast::FunctionArgumentList>,
        cx: &mut Context<'_>,
    ) -> Result<Option<Bound>> {
        let at = name::object_place(&syntax.name);
        if !is_aggregate(name) {
            return Ok(None);
        }
        check_place(cx, at)?;
        let Some(list) = list else {
            return Ok(None);
        };
        if !list.clauses.is_empty() {
            return refuse("ORDER BY within an aggregate", at);
        }
        let outside = std::mem::replace(&mut cx.in_aggregate, true);
        let call = self.aggregate_call(name, syntax, list, at, cx);
        cx.in_aggregate = outside;
        let call = call?;
        let data_type = call.data_type;
        let column = self.aggregate_column(name, call, cx);
        Ok(Some(Bound::Typed(Expr::column(column, data_type))))
    }

    pub(super) fn aggregate_call(
        &mut self,
        name: &str,
        syntax: &'a ast::Function,
        list: &'a ast::FunctionArgumentList,
        at: Option<Position>,
        cx: &mut Context<'_>,
    ) -> Result<AggregateCall> {
        let star = matches!(
            list.args.as_slice(),
            [FunctionArg::Unnamed(FunctionArgExpr::Wildcard)]
        );
        let mut bounds = Vec::new();
        if !star {
            for argument in &list.args {
                bounds.push(self.argument(argument, at, cx)?);
            }
            if bounds.is_empty() && name == "count" {
                return Err(Error::new(
                    state::WRONG_OBJECT_TYPE,
                    "count(*) must be used to call a parameterless aggregate function",
                )
                .at(at));
            }
        }
        let types: Vec<_> = bounds.iter().map(Bound::data_type).collect();
        let found = aggregate::resolve(name, &types).map_err(|error| error.at(at))?;
        let Some(found) = found else {
            return refuse(&format!("aggregate {name}"), at);
        };
        let data_type = result_type(found, &types);
        let mut arguments = Vec::with_capacity(bounds.len());
        for (position, bound) in bounds.into_iter().enumerate() {
            let to = found.arguments.get(position).copied();
            arguments.push(match (to, bound) {
                (Some(to), bound) => self.coerce(bound, to)?,
                (None, bound) => self.settle(bound)?,
            });
        }
        let filter = match &syntax.filter {
            Some(filter) => Some(self.condition_of(filter, "FILTER", cx)?),
            None => None,
        };
        Ok(AggregateCall {
            aggregate: found,
            arguments,
            distinct: list.duplicate_treatment == Some(DuplicateTreatment::Distinct),
            filter,
            data_type,
        })
    }

    /// The column of a call; equal calls share one.
    fn aggregate_column(&mut self, name: &str, call: AggregateCall, cx: &mut Context<'_>) -> usize {
        let found = cx
            .aggregates
            .iter()
            .flatten()
            .find(|(_, other)| same(&call, other));
        if let Some((column, _)) = found {
            return *column;
        }
        let column = self.columns.add(name, call.data_type);
        cx.aggregates.get_or_insert_default().push((column, call));
        column
    }
}

/// Whether an aggregate has the name: asked with no argument, a name that fits is either found or
/// complained about.
pub(super) fn is_aggregate(name: &str) -> bool {
    !matches!(aggregate::resolve(name, &[None]), Ok(None))
}

fn check_place(cx: &Context<'_>, at: Option<Position>) -> Result<()> {
    let complaint = if cx.in_aggregate {
        "aggregate function calls cannot be nested".to_owned()
    } else if cx.aggregates.is_none() {
        format!(
            "aggregate functions are not allowed in {}",
            cx.clause.name()
        )
    } else {
        return Ok(());
    };
    Err(Error::new(state::GROUPING_ERROR, complaint).at(at))
}

/// min and max give what they were given, modifier included.
fn result_type(found: &Aggregate, arguments: &[Option<DataType>]) -> DataType {
    match (found.name, arguments) {
        ("min" | "max", [Some(data_type)])
            if data_type.without_modifier() == found.returns.without_modifier()
                && data_type.arrow() == found.returns.arrow() =>
        {
            *data_type
        }
        _ => found.returns,
    }
}

fn same(one: &AggregateCall, two: &AggregateCall) -> bool {
    let all =
        |a: &[Expr], b: &[Expr]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.same(b));
    std::ptr::eq(one.aggregate, two.aggregate)
        && one.distinct == two.distinct
        && all(&one.arguments, &two.arguments)
        && all(one.filter.as_slice(), two.filter.as_slice())
}
