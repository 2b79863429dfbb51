//! SET: which columns a statement assigns, and what.
//!
//! `a = 1`, or several at once: `(a, b) = (1, 2)`, where the right side may be written as `ROW(1, 2)`.

use super::check::{column_position, is_default};
use super::expr::start;
use super::sequence::refuse_update;
use super::{Binder, Context, name};
use crate::error::{Error, Result, state};
use crate::parse::refuse;
use crate::plan::Expr;
use remora_storage::catalog::TableEntry;
use sqlparser::ast::{self, AssignmentTarget, FunctionArg, FunctionArgExpr, FunctionArguments};

impl<'a> Binder<'a> {
    /// Columns, by position in the table, with their values, cast to the columns' types.
    ///
    /// # Errors
    /// 42601 where a column comes twice, or lists are not equally long; 42703.
    pub(super) fn assignments(
        &mut self,
        table: &TableEntry,
        list: &'a [ast::Assignment],
        cx: &mut Context<'_>,
    ) -> Result<Vec<(usize, Expr)>> {
        let mut assignments: Vec<(usize, Expr)> = Vec::new();
        for assignment in list {
            for (position, value) in pairs(table, assignment)? {
                let column = &table.def.columns[position];
                if assignments.iter().any(|(other, _)| *other == position) {
                    let message =
                        format!("multiple assignments to same column \"{}\"", column.name);
                    return Err(Error::new(state::SYNTAX_ERROR, message).at(start(value)));
                }
                if !is_default(value) {
                    refuse_update(column)?;
                }
                let value = self.column_value(value, column, cx)?;
                assignments.push((position, value));
            }
        }
        Ok(assignments)
    }
}

/// The columns of one assignment with their values.
fn pairs<'a>(
    table: &TableEntry,
    assignment: &'a ast::Assignment,
) -> Result<Vec<(usize, &'a ast::Expr)>> {
    let position = |name: &ast::ObjectName| match name::parts(name)?.as_slice() {
        [ident, ..] => column_position(&table.def, ident),
        [] => refuse("an empty name", None),
    };
    let names = match &assignment.target {
        AssignmentTarget::ColumnName(name) => {
            return Ok(vec![(position(name)?, &assignment.value)]);
        }
        AssignmentTarget::Tuple(names) => names,
    };
    let values = row(&assignment.value)?;
    if names.len() != values.len() {
        let message = "number of columns does not match number of values";
        return Err(Error::new(state::SYNTAX_ERROR, message).at(start(&assignment.value)));
    }
    let positions = names.iter().map(position).collect::<Result<Vec<_>>>()?;
    Ok(positions.into_iter().zip(values).collect())
}

/// The values of a row that is written out.
fn row(value: &ast::Expr) -> Result<Vec<&ast::Expr>> {
    match value {
        ast::Expr::Tuple(values) => Ok(values.iter().collect()),
        ast::Expr::Subquery(_) => refuse("assigning a subquery", start(value)),
        ast::Expr::Function(call) if is_row(call) => match &call.args {
            FunctionArguments::List(list) => list.args.iter().map(|arg| unnamed(arg)).collect(),
            _ => Err(no_row(value)),
        },
        other => Err(no_row(other)),
    }
}

fn is_row(call: &ast::Function) -> bool {
    matches!(name::parts(&call.name).as_deref(), Ok([ident])
        if ident.quote_style.is_none() && ident.value.eq_ignore_ascii_case("row"))
}

fn unnamed(argument: &FunctionArg) -> Result<&ast::Expr> {
    match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(value)) => Ok(value),
        _ => refuse("this form of ROW", None),
    }
}

fn no_row(value: &ast::Expr) -> Error {
    let message =
        "source for a multiple-column UPDATE item must be a sub-SELECT or ROW() expression";
    Error::new(state::FEATURE_NOT_SUPPORTED, message).at(start(value))
}
