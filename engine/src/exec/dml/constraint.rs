//! NOT NULL and CHECK: tested by the engine, row by row or over a batch, with one result.

use super::super::ExecContext;
use super::super::batch::Batch;
use super::super::eval::{Evaluator, Row, eval_scalar};
use crate::error::{Error, Result, state};
use crate::function::text;
use crate::plan::Expr;
use crate::plan::statement::{Insert, Update};
use crate::plan::structure::Tests;
use arrow_array::Array;
use remora_storage::catalog::{ColumnDef, TableDef};
use remora_storage::value::value_at;
use remora_storage::{ColumnId, ValueRef};

/// Bytes of one value shown in an error's detail, as in PostgreSQL.
const SHOWN_BYTES_MAX: usize = 64;

/// The constraints of a table that a statement can break.
#[derive(Debug)]
pub(crate) struct Constraints<'a> {
    table: &'a TableDef,
    checks: &'a [(String, Expr)],
    subject: Subject<'a>,
    /// The checks, for batches.
    evaluators: Vec<Evaluator>,
}

/// Whose rows are tested.
#[derive(Clone, Copy, Debug)]
enum Subject<'a> {
    /// Those of an INSERT.
    New,
    /// Those of an UPDATE, which assigns these columns; the others were tested when they were written.
    Assigned(&'a [(ColumnId, Expr)]),
    /// All rows of a table, of which only these columns, by position, are not known to be not NULL.
    All(&'a [usize]),
}

impl<'a> Constraints<'a> {
    /// Of an INSERT.
    pub(crate) fn of_insert(plan: &'a Insert) -> Self {
        Self {
            table: &plan.table.def,
            checks: &plan.checks,
            subject: Subject::New,
            evaluators: Vec::new(),
        }
    }

    /// Of an UPDATE.
    pub(crate) fn of_update(plan: &'a Update) -> Self {
        Self {
            table: &plan.table.def,
            checks: &plan.checks,
            subject: Subject::Assigned(&plan.assignments),
            evaluators: Vec::new(),
        }
    }

    /// Of an ALTER TABLE that makes the table this.
    pub(crate) fn of_alter(table: &'a TableDef, tests: &'a Tests) -> Self {
        Self {
            table,
            checks: &tests.checks,
            subject: Subject::All(&tests.not_null),
            evaluators: Vec::new(),
        }
    }

    /// The same, ready for [`Self::test_batch`].
    #[must_use]
    pub(crate) fn for_batches(mut self) -> Self {
        let checks = self.checks.iter();
        self.evaluators = checks
            .map(|(_, check)| Evaluator::new(check.clone()))
            .collect();
        self
    }

    /// Positions of NOT NULL columns that are written.
    fn not_null(&self) -> impl Iterator<Item = usize> {
        let concerned = |position: usize, column: &ColumnDef| match self.subject {
            Subject::New => true,
            Subject::Assigned(written) => written.iter().any(|(id, _)| *id == column.id),
            Subject::All(columns) => columns.contains(&position),
        };
        let columns = self.table.columns.iter().enumerate();
        let columns = columns.filter(move |(at, column)| column.not_null && concerned(*at, column));
        columns.map(|(position, _)| position)
    }

    /// Tests one row, all columns of the table.
    ///
    /// # Errors
    /// 23502, 23514, and what the checks raise.
    pub(crate) fn test_row<R: Row + ?Sized>(&self, row: &R, context: &ExecContext) -> Result<()> {
        let mut not_null = self.not_null();
        if let Some(position) = not_null.find(|position| row.value(*position).is_null()) {
            return Err(self.null_error(position, |position| row.value(position)));
        }
        for (number, (_, check)) in self.checks.iter().enumerate() {
            let truth = eval_scalar(check, row, context)?;
            if matches!(truth.as_ref(), ValueRef::Boolean(false)) {
                return Err(self.check_error(number, |position| row.value(position)));
            }
        }
        Ok(())
    }

    /// Tests a batch, all columns of the table; the error is about the first bad row.
    ///
    /// # Errors
    /// As [`Self::test_row`].
    pub(crate) fn test_batch(&self, batch: &Batch, context: &ExecContext) -> Result<()> {
        let columns = &self.table.columns;
        let value = |row: usize| {
            move |position: usize| {
                value_at(&batch.columns[position], columns[position].data_type, row)
            }
        };
        let mut first: Option<(usize, Error)> = None;
        let mut offer = |row: usize, error: &dyn Fn() -> Error| {
            if first.as_ref().is_none_or(|(found, _)| row < *found) {
                first = Some((row, error()));
            }
        };
        for position in self.not_null() {
            let column = &batch.columns[position];
            if column.null_count() > 0
                && let Some(row) = (0..batch.rows).find(|row| column.is_null(*row))
            {
                offer(row, &|| self.null_error(position, value(row)));
            }
        }
        for (number, check) in self.evaluators.iter().enumerate() {
            let broken = check.truth(batch, context)?.no;
            if let Some(row) = broken.set_indices().next() {
                offer(row, &|| self.check_error(number, value(row)));
            }
        }
        first.map_or(Ok(()), |(_, error)| Err(error))
    }

    fn null_error<'v>(&self, position: usize, value: impl Fn(usize) -> ValueRef<'v>) -> Error {
        let (table, column) = (&self.table.name, &self.table.columns[position].name);
        if matches!(self.subject, Subject::All(_)) {
            let message =
                format!("column \"{column}\" of relation \"{table}\" contains null values");
            return Error::new(state::NOT_NULL_VIOLATION, message);
        }
        Error::new(
            state::NOT_NULL_VIOLATION,
            format!(
                "null value in column \"{column}\" of relation \"{table}\" \
                 violates not-null constraint"
            ),
        )
        .with_detail(self.failing_row(value))
    }

    fn check_error<'v>(&self, number: usize, value: impl Fn(usize) -> ValueRef<'v>) -> Error {
        let (table, check) = (&self.table.name, &self.checks[number].0);
        if matches!(self.subject, Subject::All(_)) {
            let message = format!(
                "check constraint \"{check}\" of relation \"{table}\" is violated by some row"
            );
            return Error::new(state::CHECK_VIOLATION, message);
        }
        Error::new(
            state::CHECK_VIOLATION,
            format!("new row for relation \"{table}\" violates check constraint \"{check}\""),
        )
        .with_detail(self.failing_row(value))
    }

    fn failing_row<'v>(&self, value: impl Fn(usize) -> ValueRef<'v>) -> String {
        let shown = self.table.columns.iter().enumerate();
        let shown = shown.map(|(position, column)| {
            let shown = text::format(value(position), column.data_type);
            clip(shown.unwrap_or_else(|| "null".to_owned()))
        });
        let shown: Vec<_> = shown.collect();
        format!("Failing row contains ({}).", shown.join(", "))
    }
}

/// Cuts a long value at a character's edge.
fn clip(mut shown: String) -> String {
    if shown.len() > SHOWN_BYTES_MAX {
        let edges = (0..=SHOWN_BYTES_MAX).rev();
        let edge = edges.into_iter().find(|at| shown.is_char_boundary(*at));
        shown.truncate(edge.unwrap_or(0));
        shown.push_str("...");
    }
    shown
}
