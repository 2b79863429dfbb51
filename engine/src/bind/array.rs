//! Arrays in expressions: `ARRAY[..]`, `ARRAY(SELECT ..)`, subscripts, slices, ANY and ALL of an array.

use super::coerce::plain;
use super::expr::start;
use super::operator::boolean;
use super::subquery::subquery_of;
use super::{Binder, Bound, Context, Unknown};
use crate::error::{Error, Position, Result, state};
use crate::function::aggregate::host::Callable;
use crate::function::cast::{CastContext, cast_context};
use crate::function::{ArrayTest, aggregate, element_of, quantified};
use crate::parse::refuse;
use crate::plan::logical::Logical;
use crate::plan::physical::AggregateCall;
use crate::plan::{Asks, Expr, ExprKind, Subquery};
use remora_storage::value::{ARRAY_DIMENSIONS_MAX, ElementType, PackedType};
use remora_storage::{DataType, Value, ValueRef};
use sqlparser::ast::{self, AccessExpr, Subscript};

impl<'a> Binder<'a> {
    /// `ARRAY[..]`; its elements are of type `wanted` where a cast around it says so.
    ///
    /// # Errors
    /// 42P18 where nothing says of what type an empty array is, 42804 where elements do not fit each other.
    pub(super) fn array(
        &mut self,
        array: &'a ast::Array,
        wanted: Option<DataType>,
        at: Option<Position>,
        cx: &mut Context<'_>,
    ) -> Result<Bound> {
        let mut elements = Vec::with_capacity(array.elem.len());
        let mut are_arrays = false;
        for element in &array.elem {
            let bound = match element {
                ast::Expr::Array(inner) => {
                    are_arrays = true;
                    self.deeper(at, |binder| binder.array(inner, wanted, at, cx))?
                }
                other => self.expr(other, cx)?,
            };
            are_arrays |= bound.data_type().and_then(element_of).is_some();
            elements.push(bound);
        }
        let (elements, found) = match wanted {
            Some(wanted) if !are_arrays => {
                let cast = |binder: &mut Self, bound| binder.cast_explicitly(bound, wanted, at);
                let cast = elements.into_iter().map(|bound| cast(self, bound));
                (cast.collect::<Result<Vec<_>>>()?, wanted)
            }
            _ if elements.is_empty() => {
                let message = "cannot determine type of empty array";
                let hint = "Explicitly cast to the desired type, for example ARRAY[]::integer[].";
                let error = Error::new(state::INDETERMINATE_DATATYPE, message);
                return Err(error.with_hint(hint).at(at));
            }
            _ => self.unify(elements, "ARRAY", at)?,
        };
        if elements.is_empty() {
            let element = wanted.and_then(ElementType::new);
            let element = element.ok_or_else(|| no_array(at))?;
            let empty = Value::array(element, []);
            return Ok(Bound::Typed(Expr::literal(empty, element.array())));
        }
        let name = if are_arrays {
            "array_of_arrays"
        } else {
            "array_of"
        };
        self.call(name, elements.into_iter().map(Bound::Typed).collect(), at)
            .map(|bound| of_element(bound, found))
    }

    /// `ARRAY(SELECT ..)`: the values of a column, in the query's order.
    pub(super) fn array_of_query(
        &mut self,
        query: &'a ast::Query,
        at: Option<Position>,
        cx: &mut Context<'_>,
    ) -> Result<Bound> {
        let collected = self.scalar_of(query, Some(&collecting), at, cx)?;
        let data_type = collected.data_type;
        let element = element_of(data_type).and_then(ElementType::new);
        let empty = Value::array(element.ok_or_else(|| no_array(at))?, []);
        let parts = vec![collected, Expr::literal(empty, data_type)];
        Ok(Bound::Typed(Expr {
            kind: ExprKind::Coalesce(parts),
            data_type,
        }))
    }

    /// `a[1][2]`, `a[1:2]`, `(r).f1`
    pub(super) fn subscripts(
        &mut self,
        root: &'a ast::Expr,
        chain: &'a [AccessExpr],
        cx: &mut Context<'_>,
    ) -> Result<Bound> {
        let at = start(root);
        let (mut bound, mut chain) = match self.qualified(root, chain, cx)? {
            Some(found) => found,
            None => (self.expr(root, cx)?, chain),
        };
        // Fields and subscripts take turns: `(r).a[1].b`.
        while let Some(place) = chain.iter().position(|access| field_of(access).is_some()) {
            let (before, after) = chain.split_at(place);
            if !before.is_empty() {
                bound = self.element_at(bound, before, at, cx)?;
            }
            if let Some((ident, rest)) = after
                .split_first()
                .and_then(|(first, rest)| Some((field_of(first)?, rest)))
            {
                bound = self.field(bound, ident, cx)?;
                chain = rest;
            }
        }
        match chain.is_empty() {
            true => Ok(bound),
            false => self.element_at(bound, chain, at, cx),
        }
    }

    /// What subscripts give of a value.
    pub(super) fn element_at(
        &mut self,
        bound: Bound,
        chain: &'a [AccessExpr],
        at: Option<Position>,
        cx: &mut Context<'_>,
    ) -> Result<Bound> {
        if let Some(DataType::Packed(PackedType::Jsonb)) = bound.data_type() {
            return self.json_subscripts(bound, chain, at, cx);
        }
        let array = match bound {
            Bound::Typed(array) if element_of(array.data_type).is_some() => array,
            other => {
                let found = other.data_type().unwrap_or(DataType::Text);
                let message = format!(
                    "cannot subscript type {} because it does not support subscripting",
                    plain(found)
                );
                return Err(Error::new(state::DATATYPE_MISMATCH, message).at(at));
            }
        };
        let subscripts = self.subscripts_of(chain, at)?;
        let found = element_of(array.data_type).unwrap_or(DataType::Text);
        if subscripts
            .iter()
            .any(|one| matches!(one, Subscript::Slice { .. }))
        {
            let (lower, upper) = self.bounds(&subscripts, at, cx)?;
            let arguments = vec![array, lower, upper].into_iter().map(Bound::Typed);
            let whole = self.call("slice", arguments.collect(), at)?;
            return Ok(of_element(whole, found));
        }
        let mut arguments = vec![Bound::Typed(array)];
        for subscript in subscripts {
            if let Subscript::Index { index } = subscript {
                arguments.push(Bound::Typed(self.subscript(index, at, cx)?));
            }
        }
        let element = self.call("subscript", arguments, at)?;
        Ok(match element {
            Bound::Typed(element) => Bound::Typed(Expr {
                data_type: found,
                ..element
            }),
            unknown => unknown,
        })
    }

    /// A column with its table's name before it, and what stands behind: the grammar's crate takes `t.a[1]` for a
    /// field of a value `t`.
    fn qualified(
        &mut self,
        root: &ast::Expr,
        chain: &'a [AccessExpr],
        cx: &mut Context<'_>,
    ) -> Result<Option<(Bound, &'a [AccessExpr])>> {
        let ast::Expr::Identifier(first) = root else {
            return Ok(None);
        };
        let mut parts = vec![first];
        for access in chain {
            match access {
                AccessExpr::Dot(ast::Expr::Identifier(part)) => parts.push(part),
                _ => break,
            }
        }
        if parts.len() == 1 {
            return Ok(None);
        }
        let rest = &chain[parts.len() - 1..];
        Ok(Some((self.column(&parts, cx)?, rest)))
    }

    /// The subscripts of an array, as many as it may have.
    pub(super) fn subscripts_of(
        &self,
        chain: &'a [AccessExpr],
        at: Option<Position>,
    ) -> Result<Vec<&'a Subscript>> {
        let mut subscripts = Vec::with_capacity(chain.len());
        for access in chain {
            match access {
                AccessExpr::Subscript(subscript) => subscripts.push(subscript),
                AccessExpr::Dot(_) => return refuse("a field of a value", at),
            }
        }
        if subscripts.len() > ARRAY_DIMENSIONS_MAX {
            let message = format!(
                "number of array dimensions ({}) exceeds the maximum allowed ({ARRAY_DIMENSIONS_MAX})",
                subscripts.len()
            );
            return Err(Error::new(state::PROGRAM_LIMIT_EXCEEDED, message).at(at));
        }
        Ok(subscripts)
    }

    /// One subscript as an INTEGER.
    pub(super) fn subscript(
        &mut self,
        syntax: &'a ast::Expr,
        at: Option<Position>,
        cx: &mut Context<'_>,
    ) -> Result<Expr> {
        let bound = self.expr(syntax, cx)?;
        match bound.data_type() {
            None => self.coerce(bound, DataType::Integer),
            Some(found)
                if cast_context(found, DataType::Integer)
                    .is_some_and(|context| context <= CastContext::Assignment) =>
            {
                self.coerce(bound, DataType::Integer)
            }
            Some(_) => {
                let message = "array subscript must have type integer";
                Err(Error::new(state::DATATYPE_MISMATCH, message).at(start(syntax).or(at)))
            }
        }
    }

    /// The lower and upper bounds of a slice, as two arrays of integers; the least or greatest where one is
    /// left out.
    pub(super) fn bounds(
        &mut self,
        subscripts: &[&'a Subscript],
        at: Option<Position>,
        cx: &mut Context<'_>,
    ) -> Result<(Expr, Expr)> {
        let integer = |n| Expr::literal(n, DataType::Integer);
        let (mut lower, mut upper) = (Vec::new(), Vec::new());
        for subscript in subscripts {
            match subscript {
                // Beside a slice, `[n]` means `[1:n]`.
                Subscript::Index { index } => {
                    lower.push(integer(Value::Integer(1)));
                    upper.push(self.subscript(index, at, cx)?);
                }
                Subscript::Slice {
                    lower_bound,
                    upper_bound,
                    stride: None,
                } => {
                    let first = (lower_bound, &mut lower, i32::MIN);
                    for (bound, side, open) in [first, (upper_bound, &mut upper, i32::MAX)] {
                        side.push(match bound {
                            Some(bound) => self.subscript(bound, at, cx)?,
                            None => integer(Value::Integer(open)),
                        });
                    }
                }
                Subscript::Slice { .. } => return refuse("a stride of a slice", at),
            }
        }
        let mut side = |side: Vec<Expr>| {
            let bounds = side.into_iter().map(Bound::Typed).collect();
            let bounds = self.call("array_of", bounds, at)?;
            self.settle(bounds)
        };
        Ok((side(lower)?, side(upper)?))
    }

    /// `left op ANY (array)` and `left op ALL (array)`.
    pub(super) fn any_of_array(
        &mut self,
        left: &'a ast::Expr,
        operator: &str,
        right: &'a ast::Expr,
        test: ArrayTest,
        cx: &mut Context<'_>,
    ) -> Result<Bound> {
        let at = start(left);
        let Some(name) = quantified(operator, test) else {
            return refuse(&format!("operator {operator} with ANY or ALL"), at);
        };
        let left = self.expr(left, cx)?;
        let right = self.expr(right, cx)?;
        if right
            .data_type()
            .is_some_and(|found| element_of(found).is_none())
        {
            let message = "op ANY/ALL (array) requires array on right side";
            return Err(Error::new(state::WRONG_OBJECT_TYPE, message).at(at));
        }
        let (left, right) = match (left, right) {
            // An array without a type is of the value's.
            (left, Bound::Unknown(unknown)) => {
                let found = left.data_type().unwrap_or(DataType::Text);
                let element = ElementType::new(found.without_modifier());
                let array = element.map_or(found, ElementType::array);
                let right = self.coerce(Bound::Unknown(unknown), array)?;
                (left, Bound::Typed(right))
            }
            // A text without a type is of the elements'.
            (Bound::Unknown(Unknown::Text(text, place)), Bound::Typed(right)) => {
                let found = element_of(right.data_type).unwrap_or(DataType::Text);
                let left = self.coerce(Bound::Unknown(Unknown::Text(text, place)), found)?;
                (Bound::Typed(left), Bound::Typed(right))
            }
            both => both,
        };
        let bound = self.call(name, vec![left, right], at)?;
        Ok(match bound {
            Bound::Typed(call) => Bound::Typed(match self.as_subquery(&call, at)? {
                Some(test) => test,
                None => as_list(call, operator, test),
            }),
            unknown => unknown,
        })
    }

    /// `x = ANY (ARRAY(SELECT y ..))` is `x IN (SELECT y ..)`, which can be looked up by an index.
    fn as_subquery(&mut self, call: &Expr, at: Option<Position>) -> Result<Option<Expr>> {
        let Some((input, subquery, rows, value)) = element_of_collected(call) else {
            return Ok(None);
        };
        let mut outer = subquery.outer.clone();
        let left = self.operand(input.clone(), &mut outer);
        let test = self.compare("=", vec![left], vec![Bound::Typed(value.clone())], at)?;
        let mark = self.columns.add("any", DataType::Boolean);
        let asks = Asks::Any {
            test: Box::new(test),
            mark,
        };
        Ok(Some(subquery_of(
            asks,
            rows.clone(),
            outer,
            DataType::Boolean,
        )))
    }
}

/// The name of the field that an access is to.
pub(super) fn field_of(access: &AccessExpr) -> Option<&ast::Ident> {
    match access {
        AccessExpr::Dot(ast::Expr::Identifier(ident)) => Some(ident),
        _ => None,
    }
}

/// An array of the type's elements with their modifier, which functions do not know.
pub(super) fn of_element(bound: Bound, found: DataType) -> Bound {
    let element = element_of(found).unwrap_or(found);
    match bound {
        Bound::Typed(expr) => Bound::Typed(Expr {
            data_type: ElementType::new(element).map_or(expr.data_type, ElementType::array),
            ..expr
        }),
        unknown => unknown,
    }
}

/// `x = ANY (ARRAY[a, b])` is `x IN (a, b)`, for which an index or a set can be asked; and `x <> ALL` is NOT IN.
fn as_list(call: Expr, operator: &str, test: ArrayTest) -> Expr {
    let negated = match (operator, test) {
        ("=", ArrayTest::Any) => false,
        ("<>", ArrayTest::All) => true,
        _ => return call,
    };
    let ExprKind::Call { arguments, .. } = &call.kind else {
        return call;
    };
    let [input, array] = arguments.as_slice() else {
        return call;
    };
    let Some(list) = elements(array).filter(|list| !list.is_empty()) else {
        return call;
    };
    let found = boolean(ExprKind::InList {
        input: Box::new(input.clone()),
        list,
    });
    if negated {
        super::expr::not(found)
    } else {
        found
    }
}

/// Of `x = ANY (ARRAY(SELECT y ..))`: `x`, the subquery that collects the array, the rows it is collected of, and `y`.
fn element_of_collected(call: &Expr) -> Option<(&Expr, &Subquery, &Logical, &Expr)> {
    let found = if let ExprKind::Call {
        overload,
        arguments,
    } = &call.kind
        && overload.name == "= ANY"
        && let [input, array] = arguments.as_slice()
        && let ExprKind::Coalesce(parts) = &array.kind
        && let ExprKind::Subquery(subquery) = &parts.first()?.kind
        && let Logical::Project { input: rows, .. } = &subquery.plan
        && let Logical::Aggregate {
            input: rows,
            aggregates,
            ..
        } = &**rows
        && let [(_, collect)] = aggregates.as_slice()
        && let [value] = collect.arguments.as_slice()
        && collect.aggregate.name() == "array_agg"
    {
        (input, subquery, rows, value, array)
    } else {
        return None;
    };
    let (input, subquery, rows, value, array) = found;
    // Arrays of arrays have the elements of these.
    let of = element_of(array.data_type)?.without_modifier();
    (of == value.data_type.without_modifier()).then_some((input, &**subquery, &**rows, value))
}

/// The elements of an array that is written out.
fn elements(array: &Expr) -> Option<Vec<Expr>> {
    match &array.kind {
        ExprKind::Literal(array) => {
            let array = array.as_ref().as_array()?;
            let element = array.element_type();
            let literal = |value: ValueRef<'_>| Expr::literal(value.to_owned(), element);
            Some(array.iter().map(literal).collect())
        }
        ExprKind::Call {
            overload,
            arguments,
        } if overload.name == "array_of" => Some(arguments.clone()),
        // As `ARRAY[1, 2]` beside a BIGINT.
        ExprKind::Cast { input, explicit } => {
            let (from, to) = (element_of(input.data_type)?, element_of(array.data_type)?);
            if !from.is_number() || !to.is_number() {
                return None;
            }
            let explicit = *explicit;
            let cast = |element: Expr| {
                let kind = |input| ExprKind::Cast { input, explicit };
                (element.data_type == from).then(|| Expr::new(kind(Box::new(element)), to))
            };
            elements(input)?.into_iter().map(cast).collect()
        }
        _ => None,
    }
}

/// The call that makes an array of values of this type; of what is to be filled in.
pub(super) fn collecting(data_type: DataType) -> Result<AggregateCall> {
    let found = aggregate::resolve("array_agg", &[Some(data_type)])?;
    let Some(found) = found else {
        return Err(no_array(None));
    };
    Ok(AggregateCall {
        aggregate: Callable::System(found.aggregate),
        arguments: Vec::new(),
        distinct: false,
        filter: None,
        order: Vec::new(),
        data_type: found.types.returns,
    })
}

/// XX000: what has to be of an array's type is not.
fn no_array(at: Option<Position>) -> Error {
    Error::internal("no type of an array").at(at)
}
