//! NOT NULL and CHECK: tested by the engine, row by row or over a batch, with one result.

use super::super::ExecContext;
use super::super::batch::Batch;
use super::super::eval::{Evaluator, Row, eval_scalar, is_true};
use super::correlated::evaluate;
use crate::error::{Error, Result, state};
use crate::exec::Transaction;
use crate::function::text;
use crate::plan::statement::{Insert, RowCheck, Update};
use crate::plan::structure::Tests;
use arrow_array::Array;
use remora_storage::catalog::{ColumnDef, TableDef, TableEntry};
use remora_storage::value::value_at;
use remora_storage::{ReadView, ValueRef};

/// Bytes of one value shown in an error's detail, as in PostgreSQL.
const SHOWN_BYTES_MAX: usize = 64;

/// The constraints of a table that a statement can break.
#[derive(Debug)]
pub(crate) struct Constraints<'a> {
    table: &'a TableDef,
    checks: &'a [RowCheck],
    subject: Subject<'a>,
    /// The checks, for batches; none of one that asks subqueries.
    evaluators: Vec<Option<Evaluator>>,
    /// What checks see that ask subqueries.
    view: Option<Box<ReadView>>,
}

/// Whose rows are tested.
#[derive(Clone, Copy, Debug)]
enum Subject<'a> {
    /// Those of an INSERT.
    New,
    /// Those of an UPDATE; columns that it does not write were tested when they were written.
    Updated(&'a Update),
    /// Rows whose columns have been tested, as to the views that they are written through.
    OfViews,
    /// All rows of a table, of which only these columns, by position, are not known to be not NULL.
    All(&'a [usize]),
}

impl<'a> Constraints<'a> {
    /// Of an INSERT, before it.
    pub(crate) fn of_insert(plan: &'a Insert) -> Self {
        Self::of_table(&plan.table, &plan.checks[..own_checks(&plan.checks)])
    }

    /// Of a table whose rows get all of their columns.
    pub(crate) fn of_table(table: &'a TableEntry, checks: &'a [RowCheck]) -> Self {
        Self {
            table: &table.def,
            checks,
            subject: Subject::New,
            evaluators: Vec::new(),
            view: None,
        }
    }

    /// Check options of the views that a change goes through, among its checks: they are tested last, so that what
    /// else is wrong with a row is reported first. `None` where there are none.
    pub(crate) fn of_views(
        table: &'a TableEntry,
        checks: &'a [RowCheck],
        tx: &Transaction,
    ) -> Option<Self> {
        let checks = &checks[own_checks(checks)..];
        let of_views = || Self {
            table: &table.def,
            checks,
            subject: Subject::OfViews,
            evaluators: Vec::new(),
            view: None,
        };
        (!checks.is_empty()).then(|| of_views().asking(tx))
    }

    /// The same, of which some may ask subqueries: what the transaction sees by now.
    #[must_use]
    pub(crate) fn asking(mut self, tx: &Transaction) -> Self {
        if self.checks.iter().any(|check| check.asked.is_some()) {
            self.view = Some(Box::new(tx.view()));
        }
        self
    }

    /// Of an UPDATE.
    pub(crate) fn of_update(plan: &'a Update) -> Self {
        Self {
            table: &plan.table.def,
            checks: &plan.checks,
            subject: Subject::Updated(plan),
            evaluators: Vec::new(),
            view: None,
        }
    }

    /// Of an ALTER TABLE that makes the table this.
    pub(crate) fn of_alter(table: &'a TableDef, tests: &'a Tests) -> Self {
        Self {
            table,
            checks: &tests.checks,
            subject: Subject::All(&tests.not_null),
            evaluators: Vec::new(),
            view: None,
        }
    }

    /// The same, ready for [`Self::test_batch`].
    #[must_use]
    pub(crate) fn for_batches(mut self) -> Self {
        let checks = self.checks.iter();
        self.evaluators = checks
            .map(|check| match check.asked {
                None => Some(Evaluator::new(check.condition.clone())),
                Some(_) => None,
            })
            .collect();
        self
    }

    /// Positions of NOT NULL columns that are written.
    fn not_null(&self) -> impl Iterator<Item = usize> {
        let concerned = |position: usize, column: &ColumnDef| match self.subject {
            Subject::New => true,
            Subject::OfViews => false,
            Subject::Updated(plan) => plan.written().any(|(id, _)| *id == column.id),
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
        for (number, check) in self.checks.iter().enumerate() {
            if self.is_broken(check, row, context)? {
                return Err(self.check_error(number, |position| row.value(position)));
            }
        }
        Ok(())
    }

    fn is_broken<R: Row + ?Sized>(
        &self,
        check: &RowCheck,
        row: &R,
        context: &ExecContext,
    ) -> Result<bool> {
        let asking = match (&check.asked, &self.view) {
            (Some(asked), Some(view)) => Some(evaluate(asked, row, view, context)?),
            _ => None,
        };
        let context = asking.as_ref().unwrap_or(context);
        let truth = eval_scalar(&check.condition, row, context)?;
        Ok(match check.of_view {
            true => !is_true(&truth),
            false => matches!(truth.as_ref(), ValueRef::Boolean(false)),
        })
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
            let Some(check) = check else {
                let check = &self.checks[number];
                for row in 0..batch.rows {
                    let values = columns.iter().zip(&batch.columns);
                    let values =
                        values.map(|(column, array)| value_at(array, column.data_type, row));
                    let values: Vec<ValueRef<'_>> = values.collect();
                    if self.is_broken(check, values.as_slice(), context)? {
                        offer(row, &|| self.check_error(number, value(row)));
                        break;
                    }
                }
                continue;
            };
            let truth = check.truth(batch, context)?;
            let broken = match self.checks[number].of_view {
                true => !&truth.yes,
                false => truth.no,
            };
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
        sql_error!(
            NOT_NULL_VIOLATION,
            "null value in column \"{column}\" of relation \"{table}\" \
                 violates not-null constraint"
        )
        .with_detail(self.failing_row(value))
    }

    fn check_error<'v>(&self, number: usize, value: impl Fn(usize) -> ValueRef<'v>) -> Error {
        let (table, check) = (&self.table.name, &self.checks[number].name);
        if self.checks[number].of_view {
            let message = format!("new row violates check option for view \"{check}\"");
            return Error::new(state::WITH_CHECK_OPTION_VIOLATION, message)
                .with_detail(self.failing_row(value));
        }
        if matches!(self.subject, Subject::All(_)) {
            let message = format!(
                "check constraint \"{check}\" of relation \"{table}\" is violated by some row"
            );
            return Error::new(state::CHECK_VIOLATION, message);
        }
        sql_error!(
            CHECK_VIOLATION,
            "new row for relation \"{table}\" violates check constraint \"{check}\""
        )
        .with_detail(self.failing_row(value))
    }

    fn failing_row<'v>(&self, value: impl Fn(usize) -> ValueRef<'v>) -> String {
        let shown = self.table.shown();
        let shown = shown.map(|(position, column)| {
            let shown = text::format(value(position), column.data_type);
            clip(shown.unwrap_or_else(|| "null".to_owned()))
        });
        let shown: Vec<_> = shown.collect();
        format!("Failing row contains ({}).", shown.join(", "))
    }
}

/// How many checks are the table's; those of views stand behind.
fn own_checks(checks: &[RowCheck]) -> usize {
    checks.partition_point(|check| !check.of_view)
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
