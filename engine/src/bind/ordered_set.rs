//! `name(direct arguments) WITHIN GROUP (ORDER BY ..)`: aggregates of ordered sets.
//!
//! Percentiles and mode are aggregates whose rows come in order. `rank` and its kin say where a row would
//! stand if it were one of the set; that is told by counting the rows before it:
//!
//! ```text
//!   rank(5) WITHIN GROUP (ORDER BY x)           count(*) FILTER (WHERE x < 5) + 1
//!   dense_rank                                  count(DISTINCT x) FILTER (WHERE x < 5) + 1, NULL being a value
//!   percent_rank                                count(*) FILTER (WHERE x < 5) / count(*)
//!   cume_dist                                   (count(*) FILTER (WHERE x <= 5) + 1) / (count(*) + 1)
//! ```

use super::aggregate::check_place;
use super::expr::{is_null, not};
use super::{Binder, Bound, Context, coerce, name};
use crate::error::{Error, Position, Result, state};
use crate::function::aggregate::host::Callable;
use crate::function::aggregate::{self, ResolvedAggregate, RowOrder};
use crate::function::window::WindowFunction;
use crate::function::{ArgumentType, element_of, no_such_function};
use crate::plan::physical::AggregateCall;
use crate::plan::{Expr, ExprKind, SortKey};
use remora_storage::value::ElementType;
use remora_storage::{DataType, Value};
use sqlparser::ast::{self, DuplicateTreatment, FunctionArgumentList};

/// The arguments of a call, bound.
struct Parts {
    direct: Vec<Bound>,
    keys: Vec<(Bound, SortKey)>,
    filter: Option<Expr>,
    at: Option<Position>,
}

impl<'a> Binder<'a> {
    /// Binds a call with WITHIN GROUP.
    pub(super) fn ordered_set(
        &mut self,
        name: &str,
        syntax: &'a ast::Function,
        list: Option<&'a FunctionArgumentList>,
        cx: &mut Context<'_>,
    ) -> Result<Bound> {
        let at = name::object_place(&syntax.name);
        let hypothetical = WindowFunction::named(name).filter(|found| found.is_hypothetical());
        check_clauses(list).map_err(|error| error.at(at))?;
        if syntax.over.is_some() {
            let message = format!("OVER is not supported for ordered-set aggregate {name}");
            return Err(Error::new(state::FEATURE_NOT_SUPPORTED, message).at(at));
        }
        if hypothetical.is_some() {
            check_place(cx, at)?;
        }
        let captured = self.captured_so_far();
        let outside = std::mem::replace(&mut cx.in_aggregate, true);
        let parts = self.parts(syntax, list, at, cx);
        cx.in_aggregate = outside;
        let parts = parts?;
        match hypothetical {
            Some(function) => self.hypothetical(function, parts, cx),
            None => self.of_set(name, parts, &captured, cx),
        }
    }

    fn parts(
        &mut self,
        syntax: &'a ast::Function,
        list: Option<&'a FunctionArgumentList>,
        at: Option<Position>,
        cx: &mut Context<'_>,
    ) -> Result<Parts> {
        let mut direct = Vec::new();
        for argument in list.map_or(&[][..], |list| &list.args) {
            direct.push(self.argument(argument, at, cx)?);
        }
        let mut keys = Vec::new();
        for key in &syntax.within_group {
            let bound = self.expr(&key.expr, cx)?;
            let expr = self.settle(bound.clone())?;
            self.refuse_keys([&expr], "an ordered set", at)?;
            keys.push((bound, self.sort_key(key, expr)?));
        }
        let filter = match &syntax.filter {
            Some(filter) => Some(self.condition_of(filter, "FILTER", cx)?),
            None => None,
        };
        Ok(Parts {
            direct,
            keys,
            filter,
            at,
        })
    }

    /// A percentile, or the mode.
    fn of_set(
        &mut self,
        name: &str,
        parts: Parts,
        captured: &[usize],
        cx: &mut Context<'_>,
    ) -> Result<Bound> {
        let (keys, order): (Vec<Bound>, Vec<SortKey>) = parts.keys.into_iter().unzip();
        let mut bounds: Vec<Bound> = parts.direct.into_iter().chain(keys).collect();
        if let [fractions, value] = bounds.as_mut_slice() {
            self.as_doubles(name, fractions, value, parts.at)?;
        }
        let types: Vec<_> = bounds.iter().map(Bound::data_type).collect();
        let found = aggregate::resolve(name, &types).map_err(|error| error.at(parts.at))?;
        let Some(ResolvedAggregate { aggregate, types }) = found else {
            self.call(name, bounds, parts.at)?;
            let message =
                format!("WITHIN GROUP specified, but {name} is not an aggregate function");
            return Err(Error::new(state::WRONG_OBJECT_TYPE, message).at(parts.at));
        };
        if aggregate.order != RowOrder::Set {
            let message =
                format!("{name} is not an ordered-set aggregate, so it cannot have WITHIN GROUP");
            return Err(Error::new(state::WRONG_OBJECT_TYPE, message).at(parts.at));
        }
        if matches!(name, "mode" | "percentile_disc")
            && let Some(value) = bounds.last()
        {
            coerce::require_type(value, parts.at)?;
        }
        let arguments = bounds.into_iter().zip(types.arguments);
        let arguments = arguments.map(|(bound, to)| self.coerce(bound, to));
        let arguments = arguments.collect::<Result<Vec<_>>>()?;
        if captured.is_empty() {
            let count = arguments.len().saturating_sub(order.len());
            cx.direct.extend_from_slice(&arguments[..count]);
        }
        let call = AggregateCall {
            aggregate: Callable::System(aggregate),
            arguments,
            distinct: false,
            filter: parts.filter,
            order,
            data_type: types.returns,
        };
        let value = self.aggregate_value(name, call, captured, parts.at, cx)?;
        Ok(Bound::Typed(value))
    }

    /// Numbers that are fractions in an array are taken as DOUBLE PRECISION, as one alone is; and those that
    /// something is between as well.
    fn as_doubles(
        &mut self,
        name: &str,
        fractions: &mut Bound,
        value: &mut Bound,
        at: Option<Position>,
    ) -> Result<()> {
        let is_percentile = name == "percentile_cont" || name == "percentile_disc";
        if is_percentile && fractions.data_type().is_none() {
            // What has no type is one fraction.
            let one = self.coerce(fractions.clone(), DataType::Double)?;
            *fractions = Bound::Typed(one);
        }
        let element = fractions.data_type().and_then(element_of);
        let doubles = ElementType::new(DataType::Double).map(ElementType::array);
        let (Some(element), Some(doubles), true) = (element, doubles, is_percentile) else {
            return Ok(());
        };
        let is_other = is_other_number(element);
        if is_other {
            let cast = self.cast_explicitly(fractions.clone(), doubles, at)?;
            *fractions = Bound::Typed(cast);
        }
        if (is_other || element == DataType::Double)
            && name == "percentile_cont"
            && value.data_type().is_some_and(is_other_number)
        {
            let cast = self.coerce(value.clone(), DataType::Double)?;
            *value = Bound::Typed(cast);
        }
        Ok(())
    }

    /// Where a row would stand.
    fn hypothetical(
        &mut self,
        function: WindowFunction,
        parts: Parts,
        cx: &mut Context<'_>,
    ) -> Result<Bound> {
        let Parts {
            direct,
            keys,
            filter,
            at,
        } = parts;
        if direct.len() != keys.len() {
            let all = direct.iter().chain(keys.iter().map(|(bound, _)| bound));
            let types: Vec<ArgumentType> = all.map(Bound::data_type).collect();
            return Err(mismatch(function.name(), &types, direct.len(), keys.len()).at(at));
        }
        let mut pairs = Vec::with_capacity(keys.len());
        for (value, (bound, key)) in direct.into_iter().zip(keys) {
            let (mut both, _) = self.unify(vec![value, bound], "WITHIN GROUP", at)?;
            let (column, value) = (both.pop(), both.pop());
            if let (Some(expr), Some(value)) = (column, value) {
                cx.direct.push(value.clone());
                pairs.push((value, SortKey { expr, ..key }));
            }
        }
        let before = self.before(&pairs)?;
        let one = || Bound::Typed(Expr::literal(Value::BigInt(1), DataType::BigInt));
        let columns =
            |pairs: &[(Expr, SortKey)]| pairs.iter().map(|(_, key)| key.expr.clone()).collect();
        match function {
            WindowFunction::DenseRank => {
                let groups = self.count(columns(&pairs), both(filter, before), cx)?;
                self.call("+", vec![Bound::Typed(groups), one()], at)
            }
            WindowFunction::PercentRank => {
                let rows = self.count(Vec::new(), filter.clone(), cx)?;
                let before = self.count(Vec::new(), both(filter, before), cx)?;
                let share = self.share(Bound::Typed(before), Bound::Typed(rows.clone()))?;
                let none = Expr::literal(Value::BigInt(0), DataType::BigInt);
                let none = self.call("=", vec![Bound::Typed(rows), Bound::Typed(none)], at)?;
                let zero = Expr::literal(Value::Double(0.0), DataType::Double);
                Ok(Bound::Typed(Expr::case(
                    vec![(self.settle(none)?, zero)],
                    share,
                    DataType::Double,
                )))
            }
            WindowFunction::CumeDist => {
                let mut same = Vec::with_capacity(pairs.len());
                for (value, key) in &pairs {
                    same.push(self.not_distinct(value, &key.expr)?);
                }
                let same = Expr::conjunction(same);
                let up_to = same.map_or(before.clone(), |same| any(vec![before, same]));
                let rows = self.count(Vec::new(), filter.clone(), cx)?;
                let up_to = self.count(Vec::new(), both(filter, up_to), cx)?;
                let up_to = self.call("+", vec![Bound::Typed(up_to), one()], at)?;
                let rows = self.call("+", vec![Bound::Typed(rows), one()], at)?;
                self.share(up_to, rows).map(Bound::Typed)
            }
            _ => {
                let before = self.count(Vec::new(), both(filter, before), cx)?;
                self.call("+", vec![Bound::Typed(before), one()], at)
            }
        }
    }

    /// Whether a row comes before the values: in the first key that differs.
    fn before(&mut self, pairs: &[(Expr, SortKey)]) -> Result<Expr> {
        let mut ways = Vec::with_capacity(pairs.len());
        let mut alike = Vec::with_capacity(pairs.len());
        for (value, key) in pairs {
            let operator = if key.descending { ">" } else { "<" };
            let operands = [key.expr.clone(), value.clone()].map(Bound::Typed);
            let smaller = self.call(operator, operands.into(), None)?;
            let smaller = self.settle(smaller)?;
            let (null, other) = match key.nulls_first {
                true => (&key.expr, value),
                false => (value, &key.expr),
            };
            let by_null = vec![is_null(null.clone()), not(is_null(other.clone()))];
            let by_null = Expr::conjunction(by_null);
            let here = any(std::iter::once(smaller).chain(by_null).collect());
            let way = alike.iter().cloned().chain([here]).collect();
            ways.extend(Expr::conjunction(way));
            alike.push(self.not_distinct(value, &key.expr)?);
        }
        Ok(any(ways))
    }

    fn not_distinct(&mut self, one: &Expr, two: &Expr) -> Result<Expr> {
        let operands = [one.clone(), two.clone()].map(Bound::Typed);
        let differ = self.call("is_distinct_from", operands.into(), None)?;
        self.settle(differ).map(not)
    }

    fn share(&mut self, part: Bound, whole: Bound) -> Result<Expr> {
        let mut operands = Vec::with_capacity(2);
        for operand in [part, whole] {
            let operand = self.settle(operand)?;
            operands.push(Bound::Typed(coerce::cast(operand, DataType::Double, false)));
        }
        let share = self.call("/", operands, None)?;
        self.settle(share)
    }

    /// count(*), or of distinct `values`, which may be NULL.
    fn count(
        &mut self,
        values: Vec<Expr>,
        filter: Option<Expr>,
        cx: &mut Context<'_>,
    ) -> Result<Expr> {
        let aggregate = aggregate::resolve("count", &[])?;
        let aggregate = aggregate
            .ok_or_else(|| no_such_function("count", &[]))?
            .aggregate;
        let distinct = !values.is_empty();
        // What is counted is the first argument, where it is not NULL.
        let counted = Expr::boolean(true);
        let counted = distinct.then_some(counted);
        let call = AggregateCall {
            aggregate: Callable::System(aggregate),
            arguments: counted.into_iter().chain(values).collect(),
            distinct,
            filter,
            order: Vec::new(),
            data_type: DataType::BigInt,
        };
        let data_type = call.data_type;
        let column = self.aggregate_column("count", call, cx);
        Ok(Expr::column(column, data_type))
    }
}

fn both(filter: Option<Expr>, also: Expr) -> Option<Expr> {
    Expr::conjunction(filter.into_iter().chain([also]).collect())
}

fn any(mut parts: Vec<Expr>) -> Expr {
    match parts.len() {
        1 => parts.remove(0),
        _ => Expr::new(ExprKind::Or(parts), DataType::Boolean),
    }
}

fn check_clauses(list: Option<&FunctionArgumentList>) -> Result<()> {
    let Some(list) = list else {
        return Ok(());
    };
    let complaint = if list.duplicate_treatment == Some(DuplicateTreatment::Distinct) {
        "cannot use DISTINCT with WITHIN GROUP"
    } else if !list.clauses.is_empty() {
        "cannot use multiple ORDER BY clauses with WITHIN GROUP"
    } else {
        return Ok(());
    };
    Err(Error::new(state::SYNTAX_ERROR, complaint))
}

fn mismatch(name: &str, types: &[ArgumentType], direct: usize, keys: usize) -> Error {
    no_such_function(name, types).with_hint(format!(
        "To use the hypothetical-set aggregate {name}, the number of hypothetical direct arguments (here \
         {direct}) must match the number of ordering columns (here {keys})."
    ))
}

/// Whether a type is one of numbers, but not DOUBLE PRECISION.
fn is_other_number(found: DataType) -> bool {
    use DataType as T;
    matches!(
        found,
        T::SmallInt | T::Integer | T::BigInt | T::Real | T::Numeric(_)
    )
}
