//! Aggregates: each call becomes a column that an Aggregate node will give.

use super::expr::start;
use super::window::same_keys;
use super::{Binder, Bound, Context, name, order};
use crate::error::{Error, Position, Result, state};
use crate::function::aggregate::{self, Aggregate, RowOrder};
use crate::parse::refuse;
use crate::plan::physical::AggregateCall;
use crate::plan::{Expr, ExprKind, SortKey};
use remora_storage::DataType;
use sqlparser::ast::{self, DuplicateTreatment, FunctionArg, FunctionArgExpr};
use std::collections::BTreeSet;

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
        if found.order == RowOrder::Set {
            return Err(within_group_required(name).at(at));
        }
        let data_type = result_type(found, &types);
        let mut arguments = Vec::with_capacity(bounds.len());
        for (position, bound) in bounds.into_iter().enumerate() {
            let to = found.arguments.get(position).copied();
            arguments.push(match (to, bound) {
                (Some(to), bound) => self.coerce(bound, to)?,
                (None, bound) => self.settle(bound)?,
            });
        }
        let named: BTreeSet<usize> = arguments.iter().flat_map(Expr::columns).collect();
        if !named.is_empty() && named.iter().all(|column| self.is_captured(*column)) {
            return refuse("an aggregate of an outer query", at);
        }
        let filter = match &syntax.filter {
            Some(filter) => Some(self.condition_of(filter, "FILTER", cx)?),
            None => None,
        };
        let distinct = list.duplicate_treatment == Some(DuplicateTreatment::Distinct);
        let mut order = self.order_within(list, &arguments, distinct, at, cx)?;
        if found.order == RowOrder::Any {
            order.clear();
        } else if distinct {
            // As PostgreSQL sorts in order to find what is there twice.
            order.extend(arguments.iter().cloned().map(ascending));
        }
        Ok(AggregateCall {
            aggregate: found,
            arguments,
            distinct,
            filter,
            order,
            data_type,
        })
    }

    /// ORDER BY among the arguments.
    fn order_within(
        &mut self,
        list: &'a ast::FunctionArgumentList,
        arguments: &[Expr],
        distinct: bool,
        at: Option<Position>,
        cx: &mut Context<'_>,
    ) -> Result<Vec<SortKey>> {
        let keys = match list.clauses.as_slice() {
            [] => return Ok(Vec::new()),
            [ast::FunctionArgumentClause::OrderBy(keys)] => keys,
            _ => return refuse("this clause within an aggregate", at),
        };
        let mut order = Vec::with_capacity(keys.len());
        for key in keys {
            let mut expr = self.typed(&key.expr, cx)?;
            if distinct {
                let found = arguments
                    .iter()
                    .find(|argument| uncast(argument).same(&expr));
                let Some(found) = found else {
                    let message = "in an aggregate with DISTINCT, ORDER BY expressions must appear \
                                   in argument list";
                    return Err(
                        Error::new(state::INVALID_COLUMN_REFERENCE, message).at(start(&key.expr))
                    );
                };
                expr = found.clone();
            }
            order.push(order::sort_key(key, expr)?);
        }
        Ok(order)
    }

    /// The column of a call; equal calls share one.
    pub(super) fn aggregate_column(
        &mut self,
        name: &str,
        call: AggregateCall,
        cx: &mut Context<'_>,
    ) -> usize {
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

pub(super) fn check_place(cx: &Context<'_>, at: Option<Position>) -> Result<()> {
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

/// A key that NULLs come last of.
pub(super) fn ascending(expr: Expr) -> SortKey {
    SortKey {
        expr,
        descending: false,
        nulls_first: false,
    }
}

/// An argument as it was written, without the cast to the type that the aggregate takes.
fn uncast(expr: &Expr) -> &Expr {
    match &expr.kind {
        ExprKind::Cast {
            input,
            explicit: false,
        } => input,
        _ => expr,
    }
}

pub(super) fn within_group_required(name: &str) -> Error {
    let message = format!("WITHIN GROUP is required for ordered-set aggregate {name}");
    Error::new(state::WRONG_OBJECT_TYPE, message)
}

fn same(one: &AggregateCall, two: &AggregateCall) -> bool {
    let all =
        |a: &[Expr], b: &[Expr]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.same(b));
    std::ptr::eq(one.aggregate, two.aggregate)
        && one.distinct == two.distinct
        && same_keys(&one.order, &two.order)
        && all(&one.arguments, &two.arguments)
        && all(one.filter.as_slice(), two.filter.as_slice())
}
