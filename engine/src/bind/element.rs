//! Writing to parts of values: `SET a[1] = 5`, `b[2:3] = ..`, `doc['key'] = ..`, `c.field = ..`, `c.list[1].field = ..`.
//!
//! A column that is written in parts gets the value that it had with the parts in place. Several parts of one
//! column are put in one after the other; a new row has NULL before.

use super::array::of_element;
use super::expr::start;
use super::{Binder, Bound, Context};
use crate::error::{Error, Position, Result, state};
use crate::function::element_of;
use crate::parse::{place, too_complex};
use crate::plan::{Expr, ExprKind};
use remora_storage::catalog::ColumnDef;
use remora_storage::value::PackedType;
use remora_storage::{DataType, Value};
use sqlparser::ast::{self, AccessExpr, Subscript};

/// A part of a column that is written.
pub(super) struct Part<'a> {
    /// The way into the column's value.
    steps: Vec<Step<'a>>,
    /// The type of what is written there.
    pub(super) data_type: DataType,
    /// Where it stands.
    at: Option<Position>,
}

/// A step into a value.
enum Step<'a> {
    /// To a field of a record.
    Field(String),
    /// To an element, or a slice, or a member of a document.
    Element(&'a [AccessExpr]),
}

/// Parts of one column that a statement may assign to.
const PARTS_MAX: usize = 200;
/// Expressions within a value that stands within itself once more.
const REPEATED_MAX: usize = 500;

/// The function that gives an array with another element.
const ASSIGN_ELEMENT: &str = "assign_element";

impl<'a> Binder<'a> {
    /// The part of a column that a statement names, the column's own name first; `None` where it is all of it.
    ///
    /// # Errors
    /// 42703 where a field is not there, 42804 where what has parts is no record or array.
    pub(super) fn written_part(
        &self,
        names: &[&ast::Ident],
        column: &ColumnDef,
    ) -> Result<Option<Part<'a>>> {
        let (mut data_type, mut steps) = (column.data_type, Vec::new());
        let mut at = None;
        for (number, ident) in names.iter().enumerate() {
            at = place(ident.span);
            if number > 0 {
                let name = super::name::fold(ident)?;
                data_type = self.written_field(&name, data_type, column, at)?;
                steps.push(Step::Field(name));
            }
            let chain = self.aside.subscripts.of(ident);
            if !chain.is_empty() {
                data_type = element_type(data_type, chain, at)?;
                steps.push(Step::Element(chain));
            }
        }
        Ok((!steps.is_empty()).then_some(Part {
            steps,
            data_type,
            at,
        }))
    }

    /// The type of a field that is assigned to.
    fn written_field(
        &self,
        name: &str,
        of: DataType,
        column: &ColumnDef,
        at: Option<Position>,
    ) -> Result<DataType> {
        let refused = |state, why: String| {
            let column = &column.name;
            let message =
                format!("cannot assign to field \"{name}\" of column \"{column}\" because {why}");
            Error::new(state, message).at(at)
        };
        let shown = super::coerce::plain(of);
        let known = self.fields(of).ok_or_else(|| {
            let why = format!("its type {shown} is not a composite type");
            refused(state::DATATYPE_MISMATCH, why)
        })?;
        let field = known.iter().find(|field| field.name == name);
        let field = field.ok_or_else(|| {
            let why = format!("there is no such column in data type {shown}");
            refused(state::UNDEFINED_COLUMN, why)
        })?;
        Ok(field.data_type)
    }

    /// A column's value with another one for a part of it.
    pub(super) fn with_part(
        &mut self,
        part: &Part<'a>,
        before: Expr,
        value: Expr,
        cx: &mut Context<'_>,
    ) -> Result<Expr> {
        if within(&before) > PARTS_MAX {
            return Err(too_complex(part.at));
        }
        self.with_steps(&part.steps, part.at, before, value, cx)
    }

    fn with_steps(
        &mut self,
        steps: &[Step<'a>],
        at: Option<Position>,
        before: Expr,
        value: Expr,
        cx: &mut Context<'_>,
    ) -> Result<Expr> {
        let Some((step, further)) = steps.split_first() else {
            return Ok(value);
        };
        let value = match (step, further) {
            (_, []) => value,
            (Step::Field(name), _) => {
                let within = self.field_of_record(before.clone(), name);
                self.deeper(at, |binder| {
                    binder.with_steps(further, at, within, value, cx)
                })?
            }
            (Step::Element(chain), _) => {
                let within = self.element_before(&before, chain, at, cx)?;
                self.deeper(at, |binder| {
                    binder.with_steps(further, at, within, value, cx)
                })?
            }
        };
        match step {
            Step::Field(name) => self.with_field(before, name, value, at),
            Step::Element(chain) => self.with_element(chain, at, before, value, cx),
        }
    }

    /// An element of a value parts of which may have been written before: what was written there, if the subscripts
    /// say so, and otherwise what the value is asked for. That is the value once more within itself: it must be small.
    ///
    /// # Errors
    /// 54001 where it is not.
    fn element_before(
        &mut self,
        before: &Expr,
        chain: &'a [AccessExpr],
        at: Option<Position>,
        cx: &mut Context<'_>,
    ) -> Result<Expr> {
        let mut wanted = Vec::new();
        for subscript in self.subscripts_of(chain, at)? {
            if let Subscript::Index { index } = subscript {
                wanted.push(self.subscript(index, at, cx)?);
            }
        }
        let mut from = before;
        while let Some((array, value, written)) = assigned_element(from) {
            match same_place(written, &wanted) {
                Some(true) => return Ok(value.clone()),
                Some(false) => from = array,
                None => break,
            }
        }
        let mut left = REPEATED_MAX;
        if from.any(&mut |_| {
            left = left.saturating_sub(1);
            left == 0
        }) {
            return Err(too_complex(at));
        }
        let element = self.element_at(Bound::Typed(from.clone()), chain, at, cx)?;
        self.settle(element)
    }

    /// A value with another one for an element or a slice of it.
    fn with_element(
        &mut self,
        chain: &'a [AccessExpr],
        at: Option<Position>,
        before: Expr,
        value: Expr,
        cx: &mut Context<'_>,
    ) -> Result<Expr> {
        let of = before.data_type;
        let before = Bound::Typed(before);
        let value = Bound::Typed(value);
        if of == DataType::Packed(PackedType::Jsonb) {
            let (steps, is_number) = self.json_steps(chain, at, cx)?;
            let is_number = Expr::boolean(is_number);
            let mut arguments = vec![before, Bound::Typed(is_number), value];
            arguments.extend(steps);
            let whole = self.call("jsonb_assign", arguments, at)?;
            return self.settle(whole);
        }
        let subscripts = self.subscripts_of(chain, at)?;
        let whole = if chain.iter().any(is_slice) {
            let (lower, upper) = self.bounds(&subscripts, at, cx)?;
            let arguments = vec![before, value, Bound::Typed(lower), Bound::Typed(upper)];
            self.call("assign_slice", arguments, at)?
        } else {
            let mut arguments = vec![before, value];
            for subscript in subscripts {
                if let Subscript::Index { index } = subscript {
                    arguments.push(Bound::Typed(self.subscript(index, at, cx)?));
                }
            }
            self.call(ASSIGN_ELEMENT, arguments, at)?
        };
        let whole = match element_of(of) {
            Some(element) => of_element(whole, element),
            None => whole,
        };
        self.settle(whole)
    }

    /// What is written to a part.
    pub(super) fn part_value(
        &mut self,
        column: &ColumnDef,
        part: &Part<'a>,
        value: &'a ast::Expr,
        cx: &mut Context<'_>,
    ) -> Result<Expr> {
        if super::check::is_default(value) {
            let what = match part.steps.last() {
                Some(Step::Field(_)) => "a subfield",
                _ => "an array element",
            };
            let message = format!("cannot set {what} to DEFAULT");
            return Err(Error::new(state::FEATURE_NOT_SUPPORTED, message).at(part.at));
        }
        let bound = self.expr(value, cx)?;
        self.assign_part(column, part, bound, start(value))
    }

    /// The same of what is bound already.
    pub(super) fn assign_part(
        &mut self,
        column: &ColumnDef,
        part: &Part<'a>,
        bound: Bound,
        at: Option<Position>,
    ) -> Result<Expr> {
        self.assign(bound, &column.name, part.data_type, at)
            .map_err(|error| match error.sqlstate() {
                state::DATATYPE_MISMATCH => {
                    let message = error.message();
                    let instead = match part.steps.last() {
                        Some(Step::Field(field)) => format!("subfield \"{field}\" is of type"),
                        _ => format!(
                            "subscripted assignment to \"{}\" requires type",
                            column.name
                        ),
                    };
                    let written = format!("column \"{}\" is of type", column.name);
                    let message = message.replacen(&written, &instead, 1);
                    Error::new(state::DATATYPE_MISMATCH, message)
                        .with_hint("You will need to rewrite or cast the expression.")
                        .at(error.position())
                }
                _ => error,
            })
    }
}

/// The type of what is written to an element or a slice.
fn element_type(of: DataType, chain: &[AccessExpr], at: Option<Position>) -> Result<DataType> {
    match (of, element_of(of)) {
        (_, Some(_)) if chain.iter().any(is_slice) => Ok(of),
        (_, Some(element)) => Ok(element),
        (jsonb @ DataType::Packed(PackedType::Jsonb), None) => Ok(jsonb),
        (other, None) => Err(sql_error!(
            DATATYPE_MISMATCH,
            "cannot subscript type {} because it does not support subscripting",
            super::coerce::plain(other)
        )
        .at(at)),
    }
}

fn is_slice(access: &AccessExpr) -> bool {
    matches!(access, AccessExpr::Subscript(Subscript::Slice { .. }))
}

/// An array that another element was given: the array, the element, and its subscripts.
fn assigned_element(expr: &Expr) -> Option<(&Expr, &Expr, &[Expr])> {
    match &expr.kind {
        ExprKind::Call {
            overload,
            arguments,
        } if overload.name == ASSIGN_ELEMENT => match arguments.as_slice() {
            [array, value, subscripts @ ..] => Some((array, value, subscripts)),
            _ => None,
        },
        _ => None,
    }
}

/// Whether subscripts are those of one element; `None` where only their values will tell.
fn same_place(one: &[Expr], other: &[Expr]) -> Option<bool> {
    let is_known = |expr: &Expr| matches!(expr.kind, ExprKind::Literal(Value::Integer(_)));
    let are_known = one.len() == other.len() && one.iter().chain(other).all(is_known);
    are_known.then(|| one.iter().zip(other).all(|(one, other)| one.same(other)))
}

/// How many calls are within each other: each part that is assigned to is a call around the one before.
fn within(expr: &Expr) -> usize {
    let (mut calls, mut expr) = (0, expr);
    loop {
        expr = match &expr.kind {
            ExprKind::Call { arguments, .. } if !arguments.is_empty() => &arguments[0],
            ExprKind::Cast { input, .. } => input,
            _ => return calls,
        };
        calls += 1;
    }
}
