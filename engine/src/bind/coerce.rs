//! Coercion: giving an expression the type that its surroundings want.

use super::{Binder, Bound, Unknown};
use crate::error::{Error, Position, Result, state};
use crate::function::cast::{CastContext, cast_context, common_type};
use crate::function::text;
use crate::plan::{Expr, ExprKind};
use remora_storage::{DataType, Value};

impl Binder<'_> {
    /// Gives `bound` exactly the type `to`, by a cast that the rules of its place have allowed.
    ///
    /// # Errors
    /// 22xxx where a quoted literal is no value of the type.
    pub(super) fn coerce(&mut self, bound: Bound, to: DataType) -> Result<Expr> {
        match bound {
            Bound::Typed(expr) => Ok(cast(expr, to, false)),
            Bound::Unknown(Unknown::Null) => Ok(Expr::literal(Value::Null, to)),
            Bound::Unknown(Unknown::Text(literal, at)) => {
                let value = text::parse(&literal, to).map_err(|error| error.at(at))?;
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
                Ok(cast(expr, to, true))
            }
            // 'abcdef'::varchar(3) cuts, where INSERT would refuse.
            Bound::Unknown(Unknown::Text(literal, _)) if to.is_string() => {
                let whole = Expr::literal(Value::Text(literal), DataType::Text);
                Ok(cast(whole, to, true))
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
            Some(other) => Err(Error::new(
                state::DATATYPE_MISMATCH,
                format!(
                    "argument of {what} must be type boolean, not type {}",
                    plain(other)
                ),
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
        let parameter = Expr {
            kind: ExprKind::Parameter(number),
            data_type: known,
        };
        cast(parameter, to, false)
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

/// A type as complaints name it: without its modifier.
pub(super) fn plain(data_type: DataType) -> String {
    match data_type {
        DataType::Char(_) => "character".to_owned(),
        other => other.without_modifier().to_string(),
    }
}
