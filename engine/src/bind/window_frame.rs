//! Frame clauses: `ROWS BETWEEN 1 PRECEDING AND CURRENT ROW EXCLUDE TIES`.

use super::expr::start;
use super::literal::beyond_numeric;
use super::window::{Definition, windowing};
use super::{Binder, Bound, Clause, coerce};
use crate::error::{Position, Result};
use crate::function::cast::{CastContext, cast_context};
use crate::plan::Expr;
use crate::plan::window::{Exclude, Frame, FrameEnd, FrameOffset, Units};
use remora_storage::{DataType, Value};
use sqlparser::ast::{self, WindowFrameBound, WindowFrameUnits};

impl<'a> Binder<'a> {
    /// A frame clause of a window, whose order is bound.
    pub(super) fn frame(
        &mut self,
        frame: &'a ast::WindowFrame,
        exclude: Exclude,
        window: &Definition,
        at: Option<Position>,
    ) -> Result<Frame> {
        let end = (frame.end_bound.as_ref()).unwrap_or(&WindowFrameBound::CurrentRow);
        check_ends(&frame.start_bound, end).map_err(|error| error.at(at))?;
        let units = match frame.units {
            WindowFrameUnits::Rows => Units::Rows,
            WindowFrameUnits::Range => Units::Range,
            WindowFrameUnits::Groups => Units::Groups,
        };
        if units == Units::Groups && window.order.is_empty() {
            return Err(windowing("GROUPS mode requires an ORDER BY clause").at(at));
        }
        Ok(Frame {
            units,
            start: self.frame_end(&frame.start_bound, units, window, at)?,
            end: self.frame_end(end, units, window, at)?,
            exclude,
        })
    }

    fn frame_end(
        &mut self,
        bound: &'a WindowFrameBound,
        units: Units,
        window: &Definition,
        at: Option<Position>,
    ) -> Result<FrameEnd> {
        let (amount, following) = match bound {
            WindowFrameBound::CurrentRow => return Ok(FrameEnd::CurrentRow),
            WindowFrameBound::Preceding(None) | WindowFrameBound::Following(None) => {
                return Ok(FrameEnd::Unbounded);
            }
            WindowFrameBound::Preceding(Some(amount)) => (&**amount, false),
            WindowFrameBound::Following(Some(amount)) => (&**amount, true),
        };
        let offset = match units {
            Units::Rows => FrameOffset {
                following,
                amount: self.row_count(amount, Clause::FrameRows)?,
                limit: None,
            },
            Units::Groups => FrameOffset {
                following,
                amount: self.row_count(amount, Clause::FrameGroups)?,
                limit: None,
            },
            Units::Range => self.range_offset(amount, following, window, at)?,
        };
        Ok(FrameEnd::Offset(offset))
    }

    fn range_offset(
        &mut self,
        syntax: &'a ast::Expr,
        following: bool,
        window: &Definition,
        at: Option<Position>,
    ) -> Result<FrameOffset> {
        let [key] = window.order.as_slice() else {
            return Err(windowing(
                "RANGE with offset PRECEDING/FOLLOWING requires exactly one ORDER BY column",
            )
            .at(at));
        };
        let of = key.expr.data_type;
        let is_float = matches!(of, DataType::Real | DataType::Double);
        let amount = match beyond_numeric(syntax) {
            // Farther than any two numbers are apart, or nearer.
            Some(size) if !is_float => {
                let size = Value::Numeric(size);
                Bound::Typed(Expr::literal(size, DataType::Numeric(None)))
            }
            _ => self.without_variables(syntax, Clause::FrameRange)?,
        };
        let wanted = check_offset(of, &amount).map_err(|error| error.at(start(syntax)))?;
        let amount = self.coerce(amount, wanted)?;
        Ok(FrameOffset {
            following,
            limit: self.moment(&key.expr, &amount, following != key.descending)?,
            amount,
        })
    }

    /// A date or timestamp that is so far from the key; `None` for a key that is none.
    fn moment(&mut self, key: &Expr, amount: &Expr, later: bool) -> Result<Option<Expr>> {
        if !matches!(
            key.data_type,
            DataType::Date | DataType::Timestamp | DataType::TimestampTz
        ) {
            return Ok(None);
        }
        let operator = if later { "+" } else { "-" };
        let operands = vec![Bound::Typed(key.clone()), Bound::Typed(amount.clone())];
        let limit = self.call(operator, operands, None)?;
        self.settle(limit).map(Some)
    }
}

/// Fails where a frame could have no rows by its ends alone.
fn check_ends(start: &WindowFrameBound, end: &WindowFrameBound) -> Result<()> {
    use WindowFrameBound::{CurrentRow, Following, Preceding};
    let complaint = match (start, end) {
        (Following(None), _) => "frame start cannot be UNBOUNDED FOLLOWING",
        (_, Preceding(None)) => "frame end cannot be UNBOUNDED PRECEDING",
        (CurrentRow, Preceding(Some(_))) => {
            "frame starting from current row cannot have preceding rows"
        }
        (Following(Some(_)), Preceding(Some(_)) | CurrentRow) => {
            "frame starting from following row cannot have preceding rows"
        }
        _ => return Ok(()),
    };
    Err(windowing(complaint))
}

/// The type of an offset from a key of type `of`.
///
/// # Errors
/// 0A000 where no distance can be told, or not in such a type.
fn check_offset(of: DataType, amount: &Bound) -> Result<DataType> {
    use DataType as T;
    let wanted = match of {
        T::SmallInt | T::Integer | T::BigInt => T::BigInt,
        T::Real | T::Double => T::Double,
        T::Numeric(_) => T::Numeric(None),
        T::Date | T::Time | T::Timestamp | T::TimestampTz | T::Interval => T::Interval,
        _ => {
            return Err(sql_error!(
                FEATURE_NOT_SUPPORTED,
                "RANGE with offset PRECEDING/FOLLOWING is not supported for column type {}",
                coerce::plain(of)
            ));
        }
    };
    let fits = |from| from == wanted || cast_context(from, wanted) == Some(CastContext::Implicit);
    match amount.data_type() {
        Some(from) if !fits(from) => Err(sql_error!(
            FEATURE_NOT_SUPPORTED,
            "RANGE with offset PRECEDING/FOLLOWING is not supported for column type {} and \
                 offset type {}",
            coerce::plain(of),
            coerce::plain(from)
        )
        .with_hint("Cast the offset value to an appropriate type.")),
        _ => Ok(wanted),
    }
}
