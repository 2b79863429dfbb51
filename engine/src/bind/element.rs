//! Writing to parts of values: `SET a[1] = 5`, `b[2:3] = ..`, `doc['key'] = ..`, `c.field = ..`.
//!
//! A column that is written in parts gets the value that it had with the parts in place. Several parts of one
//! column are put in one after the other; a new row has NULL before.

use super::array::of_element;
use super::expr::start;
use super::{Binder, Bound, Context};
use crate::error::{Error, Position, Result, state};
use crate::function::element_of;
use crate::parse::{place, refuse, too_complex};
use crate::plan::{Expr, ExprKind};
use remora_storage::catalog::ColumnDef;
use remora_storage::value::PackedType;
use remora_storage::{DataType, Value};
use sqlparser::ast::{self, AccessExpr, Subscript};

/// A part of a column that is written.
pub(super) struct Part<'a> {
    chain: &'a [AccessExpr],
    /// The names of a field, and of fields within it.
    fields: Vec<String>,
    /// The type of what is written there.
    pub(super) data_type: DataType,
    /// Where it stands.
    at: Option<Position>,
}

/// Parts of one column that a statement may assign to.
const PARTS_MAX: usize = 200;

impl<'a> Binder<'a> {
    /// The part of a column that a statement names; `None` where it is all of it.
    ///
    /// # Errors
    /// 42804 where the column has no parts.
    pub(super) fn written_part(
        &self,
        name: &ast::Ident,
        column: &ColumnDef,
    ) -> Result<Option<Part<'a>>> {
        let chain = self.aside.subscripts.of(name);
        if chain.is_empty() {
            return Ok(None);
        }
        let at = place(name.span);
        let data_type = match (column.data_type, element_of(column.data_type)) {
            (_, Some(_)) if chain.iter().any(is_slice) => column.data_type,
            (_, Some(element)) => element,
            (jsonb @ DataType::Packed(PackedType::Jsonb), None) => jsonb,
            (other, None) => {
                let message = format!(
                    "cannot subscript type {} because it does not support subscripting",
                    super::coerce::plain(other)
                );
                return Err(Error::new(state::DATATYPE_MISMATCH, message).at(at));
            }
        };
        Ok(Some(Part {
            chain,
            fields: Vec::new(),
            data_type,
            at,
        }))
    }

    /// The field of a column that a statement names.
    ///
    /// # Errors
    /// 42703 where there is none, 42804 where the column is no record, 0A000 where a part of the field is named.
    pub(super) fn written_field(
        &self,
        names: &[&ast::Ident],
        column: &ColumnDef,
    ) -> Result<Part<'a>> {
        let (mut data_type, mut fields) = (column.data_type, Vec::with_capacity(names.len()));
        let mut at = None;
        for ident in names {
            at = place(ident.span);
            if !self.aside.subscripts.of(ident).is_empty() {
                return refuse("a part of a field that is assigned to", at);
            }
            let name = super::name::fold(ident)?;
            let known = self.fields(data_type).ok_or_else(|| {
                let message = format!(
                    "cannot assign to field \"{name}\" of column \"{}\" because its type {} is not a \
                     composite type",
                    column.name,
                    super::coerce::plain(data_type)
                );
                Error::new(state::DATATYPE_MISMATCH, message).at(at)
            })?;
            let field = known.iter().find(|field| field.name == name).ok_or_else(|| {
                let message = format!(
                    "cannot assign to field \"{name}\" of column \"{}\" because there is no such column in \
                     data type {}",
                    column.name,
                    super::coerce::plain(data_type)
                );
                Error::new(state::UNDEFINED_COLUMN, message).at(at)
            })?;
            data_type = field.data_type;
            fields.push(name);
        }
        Ok(Part {
            chain: &[],
            fields,
            data_type,
            at,
        })
    }

    /// A column's value with another one for a part of it.
    pub(super) fn with_part(
        &mut self,
        column: &ColumnDef,
        part: &Part<'a>,
        before: Expr,
        value: Expr,
        cx: &mut Context<'_>,
    ) -> Result<Expr> {
        if within(&before) > PARTS_MAX {
            return Err(too_complex(part.at));
        }
        if !part.fields.is_empty() {
            return self.with_field(before, &part.fields, value, part.at);
        }
        let before = Bound::Typed(before);
        let value = Bound::Typed(value);
        if column.data_type == DataType::Packed(PackedType::Jsonb) {
            let (steps, is_number) = self.json_steps(part.chain, part.at, cx)?;
            let is_number = Expr::literal(Value::Boolean(is_number), DataType::Boolean);
            let mut arguments = vec![before, Bound::Typed(is_number), value];
            arguments.extend(steps);
            let whole = self.call("jsonb_assign", arguments, part.at)?;
            return self.settle(whole);
        }
        let subscripts = self.subscripts_of(part.chain, part.at)?;
        let whole = if part.chain.iter().any(is_slice) {
            let (lower, upper) = self.bounds(&subscripts, part.at, cx)?;
            let arguments = vec![before, value, Bound::Typed(lower), Bound::Typed(upper)];
            self.call("assign_slice", arguments, part.at)?
        } else {
            let mut arguments = vec![before, value];
            for subscript in subscripts {
                if let Subscript::Index { index } = subscript {
                    arguments.push(Bound::Typed(self.subscript(index, part.at, cx)?));
                }
            }
            self.call("assign_element", arguments, part.at)?
        };
        let element = element_of(column.data_type).unwrap_or(column.data_type);
        let whole = match element_of(column.data_type) {
            Some(_) => of_element(whole, element),
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
            return refuse("an array element that is set to DEFAULT", part.at);
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
                    let message = message.replacen(
                        &format!("column \"{}\" is of type", column.name),
                        &format!(
                            "subscripted assignment to \"{}\" requires type",
                            column.name
                        ),
                        1,
                    );
                    Error::new(state::DATATYPE_MISMATCH, message)
                        .with_hint("You will need to rewrite or cast the expression.")
                        .at(error.position())
                }
                _ => error,
            })
    }
}

fn is_slice(access: &AccessExpr) -> bool {
    matches!(access, AccessExpr::Subscript(Subscript::Slice { .. }))
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
