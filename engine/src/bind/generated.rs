//! Generated columns: what a column is computed from, which the catalog holds as text.
//!
//! The expression is bound anew for each statement that writes the table, over its columns by position, and
//! is evaluated when all other columns are known. It names no other generated column, so that there is no
//! order among them, and gives the same for the same row at all times, so that it need not be evaluated
//! where none of its columns is assigned.

use super::check::{is_default, positions};
use super::expr::start;
use super::storage_parameter::ttl::COLUMN;
use super::{Binder, Clause, Context};
use crate::error::{Error, Position, Result, state};
use crate::function::{ArgumentType, resolve};
use crate::parse::parse_expression;
use crate::plan::Expr;
use crate::plan::statement::RowCheck;
use remora_storage::catalog::{Catalog, ColumnDef, Expiry, TableDef};
use remora_storage::{ColumnId, DataType, Value};
use sqlparser::ast;
use std::collections::BTreeSet;

/// Generated columns with their expressions, and checks with their names.
type Follows = (Vec<(ColumnId, Expr)>, Vec<RowCheck>);

/// The generated columns of a table, by position; where `written` columns are assigned, only those that are
/// computed from them or are among them.
pub(crate) fn generated_of(
    catalog: &Catalog,
    table: &TableDef,
    written: Option<&BTreeSet<usize>>,
) -> Result<Vec<(usize, Expr)>> {
    let mut found = Vec::new();
    let is_hidden = |position: usize| table.columns[position].is_hidden();
    for (position, column) in table.columns.iter().enumerate() {
        let Some(text) = &column.generated else {
            continue;
        };
        let syntax = parse_expression(text)?;
        if (table.expiry.as_ref()).is_some_and(|expiry| expiry.column == column.id) {
            found.push((position, moment(catalog, table, &syntax)?));
            continue;
        }
        let scope = positions(&table.name, &table.columns);
        let mut binder = Binder::new(catalog);
        binder.collate_positions(&table.columns);
        let bound = binder.expr(&syntax, &mut Context::new(&scope, Clause::Generated))?;
        let value = binder.assign_to(bound, column, None)?;
        found.push((
            position,
            match column.is_hidden() {
                true => binder.sorted_key(value, None)?,
                false => value,
            },
        ));
    }
    // A key may be computed from a column that is computed itself.
    if found.iter().any(|(position, _)| is_hidden(*position)) {
        let shown = found.iter().filter(|(position, _)| !is_hidden(*position));
        let shown: Vec<(usize, Expr)> = shown.cloned().collect();
        let keys = found
            .iter_mut()
            .filter(|(position, _)| is_hidden(*position));
        keys.for_each(|(_, expr)| put_in(expr, &shown));
    }
    if let Some(written) = written {
        found.retain(|(position, expr)| {
            written.contains(position) || !written.is_disjoint(&expr.columns())
        });
    }
    Ok(found)
}

/// Puts expressions in the place of columns.
fn put_in(expr: &mut Expr, computed: &[(usize, Expr)]) {
    expr.change(|expr| expr.substitute(computed));
}

/// Makes an expression what a column of a table is computed from.
///
/// # Errors
/// 42P17 where it names a generated column or may give another value for the same row.
pub(super) fn set_generated(
    catalog: &Catalog,
    syntax: &ast::Expr,
    table: &mut TableDef,
    position: usize,
) -> Result<()> {
    table.columns[position].generated = Some(syntax.to_string());
    let scope = positions(&table.name, &table.columns);
    let column = &table.columns[position];
    let mut binder = Binder::new(catalog);
    binder.collate_positions(&table.columns);
    let bound = binder.expr(syntax, &mut Context::new(&scope, Clause::Generated));
    let bound = bound.map_err(no_column)?;
    let expr = binder.assign_to(bound, column, start(syntax))?;
    let mut named = expr.columns().into_iter().map(|at| &table.columns[at]);
    if let Some(other) = named.find(|column| column.generated.is_some()) {
        let message = format!(
            "cannot use generated column \"{}\" in column generation expression",
            other.name
        );
        return Err(Error::new(state::INVALID_OBJECT_DEFINITION, message)
            .with_detail("A generated column cannot reference another generated column.")
            .at(start(syntax)));
    }
    if !expr.is_immutable() {
        let message = "generation expression is not immutable";
        return Err(Error::new(state::INVALID_OBJECT_DEFINITION, message));
    }
    Ok(())
}

/// What is said where a name is not that of a column: that of the table, which stands for its row, or one that
/// PostgreSQL has in every table.
fn no_column(error: Error) -> Error {
    let is_missing = |name: &str| error.message() == format!("column \"{name}\" does not exist");
    let mut system = ["xmin", "xmax", "cmin", "cmax", "ctid"].into_iter();
    if let Some(name) = system.find(|name| is_missing(name)) {
        let message =
            format!("cannot use system column \"{name}\" in column generation expression");
        return Error::new(state::INVALID_COLUMN_REFERENCE, message).at(error.position());
    }
    error
}

/// The names of the generated columns that are computed from a column.
pub(super) fn computed_from(
    catalog: &Catalog,
    table: &TableDef,
    column: ColumnId,
) -> Result<Vec<String>> {
    let written = table.position(column).into_iter().collect();
    let found = generated_of(catalog, table, Some(&written))?.into_iter();
    let others = found.filter(|(position, _)| !written.contains(position));
    let others = others.filter(|(position, _)| !table.columns[*position].is_hidden());
    Ok(others
        .map(|(position, _)| table.columns[position].name.clone())
        .collect())
}

/// Complains where columns are computed from a column whose type is to change.
///
/// # Errors
/// 0A000
pub(super) fn refuse_retyping_of_source(
    catalog: &Catalog,
    table: &TableDef,
    position: usize,
    at: Option<Position>,
) -> Result<()> {
    let column = &table.columns[position];
    match computed_from(catalog, table, column.id)?.first() {
        None => Ok(()),
        Some(computed) => {
            let message = "cannot alter type of a column used by a generated column";
            let detail = format!(
                "Column \"{}\" is used by generated column \"{computed}\".",
                column.name
            );
            Err(Error::new(state::FEATURE_NOT_SUPPORTED, message)
                .with_detail(detail)
                .at(at))
        }
    }
}

/// Refuses a value for a generated column.
///
/// # Errors
/// 428C9
pub(super) fn refuse_value(column: &ColumnDef, is_default: bool) -> Result<()> {
    if column.generated.is_none() || is_default {
        return Ok(());
    }
    let message = format!(
        "cannot insert a non-DEFAULT value into column \"{}\"",
        column.name
    );
    Err(Error::new(state::GENERATED_ALWAYS, message).with_detail(is_generated(column)))
}

/// Refuses to set a generated column.
///
/// # Errors
/// 428C9
pub(super) fn refuse_assignment(column: &ColumnDef, value: &ast::Expr) -> Result<()> {
    if column.generated.is_none() || is_default(value) {
        return Ok(());
    }
    let message = format!("column \"{}\" can only be updated to DEFAULT", column.name);
    Err(Error::new(state::GENERATED_ALWAYS, message).with_detail(is_generated(column)))
}

/// What is said of a generated column.
pub(super) fn is_generated(column: &ColumnDef) -> String {
    format!("Column \"{}\" is a generated column.", column.name)
}

impl Binder<'_> {
    /// All generated columns of a table that rows are inserted into.
    pub(super) fn generated(&self, table: &TableDef) -> Result<Vec<(usize, Expr)>> {
        generated_of(self.catalog, table, None)
    }

    /// The changes that follow from assignments: where rows expire, a row's time begins anew; generated columns are computed
    /// anew, those included that are set to DEFAULT, which are no assignments from then on; and checks are tested that name
    /// any of them all.
    pub(super) fn follows(
        &mut self,
        table: &TableDef,
        assignments: &mut Vec<(usize, Expr)>,
    ) -> Result<Follows> {
        if let Some(position) = reset_column(table)
            && assignments.iter().all(|(other, _)| *other != position)
        {
            let anew = self.default_value(&table.columns[position])?;
            assignments.push((position, anew));
        }
        let mut written: BTreeSet<usize> = assignments.iter().map(|(p, _)| *p).collect();
        let generated = generated_of(self.catalog, table, Some(&written))?;
        assignments.retain(|(position, _)| table.columns[*position].generated.is_none());
        written.extend(generated.iter().map(|(position, _)| *position));
        let generated = generated.into_iter();
        let generated = generated.map(|(position, expr)| (table.columns[position].id, expr));
        Ok((generated.collect(), self.checks(table, Some(&written))?))
    }
}

/// The column that an UPDATE sets besides, because it begins a row's time anew.
fn reset_column(table: &TableDef) -> Option<usize> {
    let begins_anew = |expiry: &&Expiry| expiry.resets && expiry.after.is_some();
    let expiry = table.expiry.as_deref().filter(begins_anew)?;
    table.position(expiry.column)
}

/// The moment at which a row expires by an expression, over the columns of its table by position. Times with a zone are
/// those of UTC within it, so that it is the same moment in every zone.
///
/// # Errors
/// 42804 where it is none, and those of the expression.
pub(super) fn moment(catalog: &Catalog, table: &TableDef, syntax: &ast::Expr) -> Result<Expr> {
    let zoned = DataType::TimestampTz;
    let in_utc = |column: &ColumnDef| match column.data_type == zoned {
        true => ColumnDef {
            data_type: DataType::Timestamp,
            ..column.clone()
        },
        false => column.clone(),
    };
    let columns: Vec<ColumnDef> = table.columns.iter().map(in_utc).collect();
    let scope = positions(&table.name, &columns);
    let mut binder = Binder::new(catalog);
    binder.collate_positions(&columns);
    let bound = binder.expr(syntax, &mut Context::new(&scope, Clause::Generated))?;
    let moment = match bound.data_type() {
        Some(DataType::TimestampTz) => binder.assign(bound, COLUMN, zoned, None)?,
        Some(DataType::Timestamp | DataType::Date) | None => {
            let local = binder.assign(bound, COLUMN, DataType::Timestamp, None)?;
            of_moments("timezone", vec![utc(), local], zoned)
        }
        Some(other) => {
            let message =
                format!("column \"{COLUMN}\" is of type {zoned} but expression is of type {other}");
            return Err(Error::new(state::DATATYPE_MISMATCH, message).at(start(syntax)));
        }
    };
    Ok(moment.replace_columns(&mut |at, data_type| {
        let is_zoned = table.columns[at].data_type == zoned;
        let column = || Expr::column(at, zoned);
        is_zoned.then(|| of_moments("timezone", vec![utc(), column()], data_type))
    }))
}

fn utc() -> Expr {
    Expr::literal(Value::Text("UTC".to_owned()), DataType::Text)
}

/// A call of a function of moments.
pub(super) fn of_moments(name: &str, arguments: Vec<Expr>, returns: DataType) -> Expr {
    let types: Vec<ArgumentType> = arguments.iter().map(|one| Some(one.data_type)).collect();
    let found = resolve(name, &types).expect("the functions of moments are there");
    Expr::call(found.overload, arguments, returns)
}
