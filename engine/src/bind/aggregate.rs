//! Aggregates: each call becomes a column that an Aggregate node will give.

use super::coerce::check_equality;
use super::collation::{are_pairs, of_pair, pair_of};
use super::expr::start;
use super::window::same_keys;
use super::{Binder, Bound, Clause, Context, json, name};
use crate::error::{Error, Position, Result, state};
use crate::function::aggregate::host::Callable;
use crate::function::aggregate::{self, RowOrder};
use crate::function::{ArgumentType, CallTypes};
use crate::parse::refuse;
use crate::plan::collation::Derivation;
use crate::plan::physical::AggregateCall;
use crate::plan::{Expr, ExprKind, SortKey};
use remora_storage::DataType;
use sqlparser::ast::{self, DuplicateTreatment, FunctionArg, FunctionArgExpr};
use std::sync::Arc;

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
        if !self.is_aggregate(name) {
            return Ok(None);
        }
        let Some(list) = list else {
            return Ok(None);
        };
        let captured = self.captured_so_far();
        let outside = std::mem::replace(&mut cx.in_aggregate, true);
        let call = self.aggregate_call(name, syntax, list, at, cx);
        cx.in_aggregate = outside;
        let call = call?;
        let of_pairs = are_pairs(&call.arguments);
        let value = self.aggregate_value(name, call, &captured, at, cx)?;
        Ok(Some(Bound::Typed(match of_pairs {
            true => of_pair(value, Derivation::Default),
            false => value,
        })))
    }

    /// The value of an aggregate, of this query or of the one around that it belongs to. `captured` is what was
    /// captured before its arguments were bound.
    pub(super) fn aggregate_value(
        &mut self,
        name: &str,
        mut call: AggregateCall,
        captured: &[usize],
        at: Option<Position>,
        cx: &mut Context<'_>,
    ) -> Result<Expr> {
        let data_type = call.data_type;
        let column = match self.outer_aggregate(name, &mut call, captured, at)? {
            Some(column) => column,
            None => {
                check_place(cx, at)?;
                self.aggregate_column(name, call, cx)
            }
        };
        Ok(Expr::column(column, data_type))
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
        if star && list.duplicate_treatment.is_some() {
            return Err(name::syntax_error("*", at));
        }
        let mut bounds = Vec::new();
        let mut of_lines = false;
        if !star {
            for argument in &list.args {
                let Some(target) = json::target(name) else {
                    bounds.push(self.argument(argument, at, cx)?);
                    continue;
                };
                let made = self.json_argument(name, target, argument, at, cx)?;
                of_lines |= made.is_structured && name == "json_agg";
                bounds.push(made.value);
            }
            if bounds.is_empty() && name == "count" {
                return Err(sql_error!(
                    WRONG_OBJECT_TYPE,
                    "count(*) must be used to call a parameterless aggregate function"
                )
                .at(at));
            }
        }
        let types: Vec<_> = bounds.iter().map(Bound::data_type).collect();
        let found = self
            .resolve_aggregate(name, &types)
            .map_err(|error| error.at(at))?;
        let Some(found) = found else {
            return refuse(&format!("aggregate {name}"), at);
        };
        let (found, call_types) = found;
        let found = match of_lines {
            true => Callable::System(aggregate::json_agg_of_lines()),
            false => found,
        };
        if found.order() == RowOrder::Set {
            return Err(within_group_required(name).at(at));
        }
        let mut data_type = result_type(&found, &types, call_types.returns);
        let mut arguments = Vec::with_capacity(bounds.len());
        for (bound, to) in bounds.into_iter().zip(call_types.arguments) {
            arguments.push(self.coerce(bound, to)?);
        }
        self.check_search(name, &arguments, at)?;
        if matches!(name, "min" | "max") && Self::is_nocase(self.joint(&arguments), at)? {
            arguments = arguments.into_iter().map(pair_of).collect();
            data_type = DataType::Text;
        }
        let filter = match &syntax.filter {
            Some(filter) => Some(self.condition_of(filter, "FILTER", cx)?),
            None => None,
        };
        let distinct = list.duplicate_treatment == Some(DuplicateTreatment::Distinct);
        if distinct {
            for argument in &arguments {
                check_equality(argument.data_type, at)?;
            }
        }
        if distinct && name == "count" {
            let keys = arguments.into_iter();
            let keys = keys.map(|argument| self.sorted_key(argument, at));
            arguments = keys.collect::<Result<_>>()?;
        } else if distinct {
            self.refuse_keys(&arguments, "DISTINCT within an aggregate", at)?;
        }
        let mut order = self.order_within(list, &arguments, distinct, at, cx)?;
        if found.order() == RowOrder::Any {
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

    /// Whether an aggregate of the system or of the host has the name.
    pub(super) fn is_aggregate(&self, name: &str) -> bool {
        is_aggregate(name) || self.path.host().has_aggregate(name)
    }

    fn resolve_aggregate(
        &self,
        name: &str,
        types: &[ArgumentType],
    ) -> Result<Option<(Callable, CallTypes)>> {
        if self.path.host().has_aggregate(name) {
            let found = Callable::Host(Arc::clone(self.path.host().aggregate(name, types)?));
            let types = CallTypes {
                arguments: found.arguments().to_vec(),
                returns: found.returns(),
            };
            return Ok(Some((found, types)));
        }
        let found = aggregate::resolve(name, types)?;
        Ok(found.map(|found| (Callable::System(found.aggregate), found.types)))
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
            order.push(self.sort_key(key, expr)?);
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
        let column = self.columns.add_call(name, call.data_type, &call.arguments);
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
    match cx.in_aggregate || cx.aggregates.is_none() {
        true => Err(refused(cx.clause, cx.in_aggregate).at(at)),
        false => Ok(()),
    }
}

/// Where there can be no aggregate.
pub(super) fn refused(clause: Clause, in_aggregate: bool) -> Error {
    let complaint = match in_aggregate {
        true => "aggregate function calls cannot be nested".to_owned(),
        false => format!("aggregate functions are not allowed in {}", clause.name()),
    };
    Error::new(state::GROUPING_ERROR, complaint)
}

/// min and max give what they were given, modifier included.
fn result_type(found: &Callable, arguments: &[Option<DataType>], returns: DataType) -> DataType {
    match (found.name(), arguments) {
        ("min" | "max", [Some(data_type)])
            if data_type.without_modifier() == returns.without_modifier()
                && data_type.arrow() == returns.arrow() =>
        {
            *data_type
        }
        _ => returns,
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

/// Whether two calls are written alike.
pub(super) fn same(one: &AggregateCall, two: &AggregateCall) -> bool {
    let all =
        |a: &[Expr], b: &[Expr]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.same(b));
    one.aggregate.same(&two.aggregate)
        && one.distinct == two.distinct
        && same_keys(&one.order, &two.order)
        && all(&one.arguments, &two.arguments)
        && all(one.filter.as_slice(), two.filter.as_slice())
}
