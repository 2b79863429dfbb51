//! SET: which columns a statement assigns, and what.
//!
//! `a = 1`, or several at once: `(a, b) = (1, 2)`, where the right side may be written as `ROW(1, 2)`, or be a query of
//! one row at most: `(a, b) = (SELECT ..)`.

use super::check::is_default;
use super::element::Part;
use super::expr::start;
use super::generated::refuse_assignment;
use super::row;
use super::sequence::refuse_update;
use super::subquery::unwrapped;
use super::through::Written;
use super::{Binder, Bound, Context, name};
use crate::error::{Error, Result, state};
use crate::parse::refuse;
use crate::plan::Expr;
use remora_storage::catalog::ColumnDef;
use sqlparser::ast::{self, AssignmentTarget};

impl<'a> Binder<'a> {
    /// Columns, by position in the table, with their values, cast to the columns' types.
    ///
    /// # Errors
    /// 42601 where a column comes twice, or lists are not equally long; 42703.
    pub(super) fn assignments(
        &mut self,
        written: Written<'_>,
        list: &'a [ast::Assignment],
        cx: &mut Context<'_>,
    ) -> Result<Vec<(usize, Expr)>> {
        let mut assignments: Vec<(usize, Expr)> = Vec::new();
        let mut in_parts: Vec<usize> = Vec::new();
        for assignment in list {
            let at = start(&assignment.value);
            for (position, value, part) in self.assignment(written, assignment, cx)? {
                let column = &written.table.columns[position];
                let known = assignments.iter_mut().find(|(other, _)| *other == position);
                if let Some(part) = part {
                    let (known, before) = match known {
                        Some((_, known)) if in_parts.contains(&position) => {
                            let before = known.clone();
                            (Some(known), before)
                        }
                        Some(_) => return Err(twice(column).at(at)),
                        None => (None, Expr::column(position, column.data_type)),
                    };
                    let value = self.with_part(&part, before, value, cx)?;
                    in_parts.push(position);
                    match known {
                        Some(known) => *known = value,
                        None => assignments.push((position, value)),
                    }
                    continue;
                }
                if known.is_some() {
                    return Err(twice(column).at(at));
                }
                assignments.push((position, value));
            }
        }
        Ok(assignments)
    }

    fn assignment(
        &mut self,
        written: Written<'_>,
        assignment: &'a ast::Assignment,
        cx: &mut Context<'_>,
    ) -> Result<Vec<Assigned<'a>>> {
        let value = &assignment.value;
        let names = match &assignment.target {
            AssignmentTarget::ColumnName(name) => {
                let target = self.target(written, name)?;
                return Ok(vec![self.assigned(written, target, value, cx)?]);
            }
            AssignmentTarget::Tuple(names) => names.iter(),
        };
        let positions = names
            .map(|name| self.target(written, name))
            .collect::<Result<Vec<_>>>()?;
        if let Some(values) = row::written(value) {
            check_width(positions.len(), values.len(), value)?;
            let pairs = positions.into_iter().zip(values);
            let assigned = pairs.map(|(target, value)| self.assigned(written, target, value, cx));
            return assigned.collect();
        }
        let values = match (self.row(value, cx)?, unwrapped(value)) {
            (Some(row), _) => row,
            (None, ast::Expr::Subquery(query)) => {
                let row = self.row_of_query(query, start(value), cx)?;
                row.into_iter().map(Bound::Typed).collect()
            }
            _ => return Err(no_row(value)),
        };
        check_width(positions.len(), values.len(), value)?;
        let pairs = positions.into_iter().zip(values);
        let assigned = pairs.map(|((position, part), bound)| {
            let column = &written.table.columns[position];
            refuse_update(column)?;
            refuse_assignment(column, value)?;
            let value = match &part {
                Some(part) => self.assign_part(column, part, bound, start(value))?,
                None => self.assign_to(bound, column, start(value))?,
            };
            Ok((position, value, part))
        });
        assigned.collect()
    }

    /// A value that is written for a column.
    fn assigned(
        &mut self,
        written: Written<'_>,
        (position, part): (usize, Option<Part<'a>>),
        value: &'a ast::Expr,
        cx: &mut Context<'_>,
    ) -> Result<Assigned<'a>> {
        let column = &written.table.columns[position];
        if !is_default(value) {
            refuse_update(column)?;
        }
        refuse_assignment(column, value)?;
        let value = match &part {
            Some(part) => self.part_value(column, part, value, cx)?,
            None => self.column_value(value, column, cx)?,
        };
        Ok((position, value, part))
    }

    /// The position of the column that is assigned, and what part of it.
    fn target(
        &self,
        written: Written<'_>,
        name: &ast::ObjectName,
    ) -> Result<(usize, Option<Part<'a>>)> {
        let position = position(written, name)?;
        let column = &written.table.columns[position];
        Ok((position, self.written_part(&name::parts(name)?, column)?))
    }
}

/// A column's position, what is written, and to what part of the column.
type Assigned<'a> = (usize, Expr, Option<Part<'a>>);

fn twice(column: &ColumnDef) -> Error {
    let message = format!("multiple assignments to same column \"{}\"", column.name);
    Error::new(state::SYNTAX_ERROR, message)
}

/// The position of the column that is assigned.
fn position(written: Written<'_>, name: &ast::ObjectName) -> Result<usize> {
    match name::parts(name)?.as_slice() {
        [ident, ..] => written.position(ident, "update"),
        [] => refuse("an empty name", None),
    }
}

fn check_width(columns: usize, values: usize, value: &ast::Expr) -> Result<()> {
    if columns == values {
        return Ok(());
    }
    let message = "number of columns does not match number of values";
    Err(Error::new(state::SYNTAX_ERROR, message).at(start(value)))
}

fn no_row(value: &ast::Expr) -> Error {
    let message =
        "source for a multiple-column UPDATE item must be a sub-SELECT or ROW() expression";
    Error::new(state::FEATURE_NOT_SUPPORTED, message).at(start(value))
}
