//! Coercion: giving an expression the type that its surroundings want.

use super::mention::Mention;
use super::record::record_as;
use super::{Binder, Bound, Unknown};
use crate::error::{Error, Position, Result, state};
use crate::function::cast::{CastContext, cast_context, cast_value, common_type};
pub(super) use crate::function::type_name as plain;
use crate::function::{EvalContext, element_of, text};
use crate::plan::{Expr, ExprKind};
use remora_storage::catalog::ColumnDef;
use remora_storage::value::{ElementType, PackedType};
use remora_storage::{DataType, Value, ValueRef};
use std::sync::Arc;

impl Binder<'_> {
    /// Gives `bound` exactly the type `to`, by a cast that the rules of its place have allowed.
    ///
    /// # Errors
    /// 22xxx where a quoted literal is no value of the type.
    pub(super) fn coerce(&mut self, bound: Bound, to: DataType) -> Result<Expr> {
        if let Some(record) = self.record_of_relation(to)
            && bound.data_type() != Some(to)
        {
            // What its fields are, is said by the type of records like it.
            let record = self.coerce(bound, record)?;
            return Ok(relabelled(record, to));
        }
        match bound {
            Bound::Typed(expr) if expr.data_type.is_record() => {
                Ok(cast(self.read_as(expr, to), to, false))
            }
            Bound::Typed(expr) => Ok(cast(expr, to, false)),
            Bound::Unknown(Unknown::Null) => Ok(Expr::literal(Value::Null, to)),
            Bound::Unknown(Unknown::Text(literal, at)) => {
                let reading = text::Reading::of(self.path.style());
                let value = match to.made() {
                    None if !to.is_record() => text::parse_in(&literal, to, reading),
                    made => {
                        if let Some(id) = made {
                            self.note(Mention::Label(id, literal.clone()), at);
                        }
                        let types = Some(Arc::clone(self.catalog.type_space()));
                        let context = EvalContext {
                            types,
                            ..EvalContext::default()
                        };
                        cast_value(ValueRef::Text(&literal), to, false, &context)
                    }
                };
                let value = value.map_err(|error| error.at(at))?;
                if text::asks_clock(&literal, to) {
                    let literal = Expr::literal(Value::Text(literal), DataType::Text);
                    return Ok(cast(literal, to, false));
                }
                Ok(Expr::literal(value, to))
            }
            Bound::Unknown(Unknown::Parameter(number)) => Ok(self.parameter(number, to)),
        }
    }

    /// Like [`Binder::coerce`] for a value that has no wanted type: text, if it has none itself.
    pub(super) fn settle(&mut self, bound: Bound) -> Result<Expr> {
        match bound {
            Bound::Typed(expr) => Ok(expr),
            unknown => self.coerce(unknown, DataType::Text),
        }
    }

    /// Gives the type by an explicit cast.
    ///
    /// # Errors
    /// 42846 where there is no such cast, 22xxx as [`Binder::coerce`].
    pub(super) fn cast_explicitly(
        &mut self,
        bound: Bound,
        to: DataType,
        at: Option<Position>,
    ) -> Result<Expr> {
        match bound {
            Bound::Typed(expr) => {
                let from = expr.data_type;
                if from != to && cast_context(from, to).is_none() {
                    let message = format!("cannot cast type {} to {}", plain(from), plain(to));
                    return Err(Error::new(state::CANNOT_COERCE, message).at(at));
                }
                if let Some(record) = self.record_of_relation(to)
                    && from != to
                {
                    return Ok(relabelled(cast(expr, record, true), to));
                }
                Ok(cast(expr, to, true))
            }
            // 'abcdef'::varchar(3) cuts, where INSERT would refuse.
            Bound::Unknown(Unknown::Text(literal, _)) if to.is_string() => {
                let whole = Expr::literal(Value::Text(literal), DataType::Text);
                Ok(cast(whole, to, true))
            }
            // B'101'::bit(2) cuts, and so does '101'::bit(2).
            unknown @ Bound::Unknown(Unknown::Text(..))
                if matches!(
                    to,
                    DataType::Packed(PackedType::Bit(_) | PackedType::VarBit(_))
                ) =>
            {
                Ok(cast(self.coerce(unknown, to.without_modifier())?, to, true))
            }
            unknown if element_of(to).is_some_and(DataType::is_string) => {
                let texts = ElementType::new(DataType::Text).map_or(to, ElementType::array);
                Ok(cast(self.coerce(unknown, texts)?, to, true))
            }
            unknown => self.coerce(unknown, to),
        }
    }

    /// Gives the type of a column that the value is stored in.
    ///
    /// # Errors
    /// 42804 where only an explicit cast would do, 22xxx as [`Binder::coerce`].
    pub(super) fn assign(
        &mut self,
        bound: Bound,
        column: &str,
        to: DataType,
        at: Option<Position>,
    ) -> Result<Expr> {
        if let Some(from) = bound.data_type() {
            let allowed = from == to
                || cast_context(from, to).is_some_and(|needed| needed <= CastContext::Assignment);
            if !allowed {
                let message = format!(
                    "column \"{column}\" is of type {} but expression is of type {}",
                    plain(to),
                    plain(from)
                );
                return Err(Error::new(state::DATATYPE_MISMATCH, message)
                    .with_hint("You will need to rewrite or cast the expression.")
                    .at(at));
            }
        }
        self.coerce(bound, to)
    }

    /// [`Binder::assign`] to a column, which may keep fewer digits than its type has.
    ///
    /// # Errors
    /// As [`Binder::assign`].
    pub(super) fn assign_to(
        &mut self,
        bound: Bound,
        column: &ColumnDef,
        at: Option<Position>,
    ) -> Result<Expr> {
        let span = self.span_within(&bound, column.data_type, column.time_modifier)?;
        let value = match span {
            Some(span) => span,
            None => self.assign(bound, &column.name, column.data_type, at)?,
        };
        match column.time_modifier {
            None => Ok(value),
            Some(modifier) => cut_to(value, modifier, at),
        }
    }

    /// The span that a literal is where the least of its fields is known: a number without a unit is one of that.
    pub(super) fn span_within(
        &self,
        bound: &Bound,
        to: DataType,
        modifier: Option<i32>,
    ) -> Result<Option<Expr>> {
        let (Bound::Unknown(Unknown::Text(literal, at)), DataType::Interval, Some(modifier)) =
            (bound, to, modifier)
        else {
            return Ok(None);
        };
        let range = super::data_type::span_range(modifier);
        let span = text::parse_span(literal, self.path.style(), range);
        let span = Value::Interval(span.map_err(|error| error.at(*at))?);
        Ok(Some(Expr::literal(span, DataType::Interval)))
    }

    /// Gives BOOLEAN to a condition.
    ///
    /// # Errors
    /// 42804 `argument of WHERE must be type boolean, not type integer`
    pub(super) fn condition(
        &mut self,
        bound: Bound,
        what: &str,
        at: Option<Position>,
    ) -> Result<Expr> {
        match bound.data_type() {
            None | Some(DataType::Boolean) => self.coerce(bound, DataType::Boolean),
            Some(other) => Err(sql_error!(
                DATATYPE_MISMATCH,
                "argument of {what} must be type boolean, not type {}",
                plain(other)
            )
            .at(at)),
        }
    }

    /// Brings the branches of a CASE, IN, COALESCE .. to one type.
    ///
    /// # Errors
    /// 42804 where there is none.
    pub(super) fn unify(
        &mut self,
        branches: Vec<Bound>,
        what: &str,
        at: Option<Position>,
    ) -> Result<(Vec<Expr>, DataType)> {
        let types: Vec<_> = branches.iter().map(Bound::data_type).collect();
        let common = common_type(&types, what).map_err(|error| error.at(at))?;
        let exprs = branches
            .into_iter()
            .map(|branch| self.coerce(branch, common))
            .collect::<Result<_>>()?;
        Ok((exprs, common))
    }

    /// A parameter, which is of the type from now on if it had none.
    fn parameter(&mut self, number: usize, to: DataType) -> Expr {
        let known = *self.parameters[number].get_or_insert(to.without_modifier());
        let parameter = Expr::parameter(number, known);
        cast(parameter, to, false)
    }
}

/// Checks that the argument that gives a polymorphic call its type has one. A parameter without a type may get it.
///
/// # Errors
/// 42804 for NULL and quoted literals.
pub(super) fn require_type(argument: &Bound, at: Option<Position>) -> Result<()> {
    match argument {
        Bound::Unknown(Unknown::Text(..) | Unknown::Null) => Err(undetermined().at(at)),
        _ => Ok(()),
    }
}

/// Returns the error that no argument gives a polymorphic call its type.
pub(super) fn undetermined() -> Error {
    sql_error!(
        DATATYPE_MISMATCH,
        "could not determine polymorphic type because input has type unknown"
    )
}

/// A time or span with as much of it as a modifier says: `timestamp(2)`.
pub(super) fn cut_to(value: Expr, modifier: i32, at: Option<Position>) -> Result<Expr> {
    if matches!(value.kind, ExprKind::Literal(Value::Null)) {
        return Ok(value);
    }
    let name = super::data_type::internal_name(value.data_type);
    let arguments = vec![
        value,
        Expr::literal(Value::Integer(modifier), DataType::Integer),
    ];
    let types: Vec<_> = arguments.iter().map(|one| Some(one.data_type)).collect();
    let resolved = crate::function::resolve(name, &types).map_err(|error| error.at(at))?;
    Ok(Expr::call(
        resolved.overload,
        arguments,
        resolved.types.returns,
    ))
}

/// A record as one of a type with the same fields.
fn relabelled(record: Expr, to: DataType) -> Expr {
    match record.kind {
        ExprKind::Literal(Value::Packed(_, bytes)) => match to {
            DataType::Packed(packed) => Expr::literal(Value::Packed(packed, bytes), to),
            _ => Expr::literal(Value::Null, to),
        },
        ExprKind::Literal(value) => Expr::literal(value, to),
        _ => record_as(record, to),
    }
}

/// A cast where one is needed.
pub(super) fn cast(expr: Expr, to: DataType, explicit: bool) -> Expr {
    match &expr.kind {
        _ if expr.data_type == to => expr,
        ExprKind::Literal(Value::Null) => Expr::literal(Value::Null, to),
        _ => Expr {
            kind: ExprKind::Cast {
                input: Box::new(expr),
                explicit,
            },
            data_type: to,
        },
    }
}

/// Refuses to group values of a type that has no equality.
///
/// # Errors
/// 42883
pub(super) fn check_equality(found: DataType, at: Option<Position>) -> Result<()> {
    match has_order(found) {
        true => Ok(()),
        false => {
            let found = plain(found);
            let message = format!("could not identify an equality operator for type {found}");
            Err(Error::new(state::UNDEFINED_FUNCTION, message).at(at))
        }
    }
}

/// Refuses to sort values of a type that has no order.
///
/// # Errors
/// 42883
pub(super) fn check_order(found: DataType, at: Option<Position>) -> Result<()> {
    match has_order(found) {
        true => Ok(()),
        false => {
            let found = plain(found);
            let message = format!("could not identify an ordering operator for type {found}");
            Err(Error::new(state::UNDEFINED_FUNCTION, message)
                .with_hint("Use an explicit ordering operator or modify the query.")
                .at(at))
        }
    }
}

/// Whether values of a type are compared with each other: all but JSON, whose texts say the same in many ways.
pub(super) fn has_order(found: DataType) -> bool {
    found != DataType::Json && element_of(found) != Some(DataType::Json)
}
