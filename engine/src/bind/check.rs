//! DEFAULT and CHECK: expressions that the catalog holds as text.
//!
//! They are bound anew for each statement that needs them. Columns are numbered by position in the
//! table, which is what inserts and updates evaluate them over.

use super::scope::{Scope, ScopeColumn};
use super::sequence::{named_sequences, with_names};
use super::{Binder, Bound, Clause, Context};
use crate::error::{Error, Result, state};
use crate::parse::parse_expression;
use crate::plan::Expr;
use remora_storage::catalog::{Catalog, ColumnDef, TableDef};
use remora_storage::{DataType, Value};
use sqlparser::ast;
use std::collections::BTreeSet;

/// The columns of a table, numbered by position.
pub(super) fn positions(table: &str, columns: &[ColumnDef]) -> Scope {
    let columns = columns
        .iter()
        .enumerate()
        .map(|(position, column)| ScopeColumn {
            table: Some(table.to_owned()),
            name: column.name.clone(),
            column: position,
            data_type: column.data_type,
            bare: true,
        });
    Scope {
        columns: columns.collect(),
        tables: vec![(table.to_owned(), None)],
    }
}

/// What a column is when nothing is given for it.
pub(crate) fn default_of(catalog: &Catalog, column: &ColumnDef) -> Result<Expr> {
    match &column.default {
        None => Ok(Expr::literal(Value::Null, column.data_type)),
        Some(text) => {
            let bound = bind_default(catalog, &parse_expression(text)?, column)?;
            Ok(with_names(bound, catalog, &column.sequences))
        }
    }
}

impl Binder<'_> {
    /// [`default_of`], in a statement that evaluates it.
    pub(super) fn default_value(&mut self, column: &ColumnDef) -> Result<Expr> {
        let default = default_of(self.catalog, column)?;
        self.note_numbers(&default);
        Ok(default)
    }

    /// [`checks_of`], in a statement that evaluates them.
    pub(super) fn checks(
        &mut self,
        table: &TableDef,
        assigned: Option<&BTreeSet<usize>>,
    ) -> Result<Vec<(String, Expr)>> {
        let checks = checks_of(self.catalog, table, assigned)?;
        checks
            .iter()
            .for_each(|(_, check)| self.note_numbers(check));
        Ok(checks)
    }
}

/// A DEFAULT over no columns, cast to its column's type.
pub(super) fn bind_default(
    catalog: &Catalog,
    syntax: &ast::Expr,
    column: &ColumnDef,
) -> Result<Expr> {
    let scope = Scope::default();
    let mut binder = Binder::new(catalog);
    let bound = binder
        .expr(syntax, &mut Context::new(&scope, Clause::Default))
        .map_err(|error| match error.sqlstate() {
            state::UNDEFINED_COLUMN | state::UNDEFINED_TABLE => Error::new(
                state::FEATURE_NOT_SUPPORTED,
                "cannot use column reference in DEFAULT expression",
            )
            .at(error.position()),
            _ => error,
        })?;
    binder.assign(
        bound,
        &column.name,
        column.data_type,
        super::expr::start(syntax),
    )
}

/// Makes an expression the default of a column.
pub(super) fn set_default(
    catalog: &Catalog,
    syntax: &ast::Expr,
    column: &mut ColumnDef,
) -> Result<()> {
    let bound = bind_default(catalog, syntax, column)?;
    column.sequences = named_sequences(&bound, catalog)?;
    column.default = Some(syntax.to_string());
    Ok(())
}

/// A CHECK over a table's columns.
pub(super) fn bind_check(catalog: &Catalog, syntax: &ast::Expr, scope: &Scope) -> Result<Expr> {
    let mut binder = Binder::new(catalog);
    binder.condition_of(syntax, "CHECK", &mut Context::new(scope, Clause::Check))
}

/// The CHECKs of a table; of an UPDATE only those that name an assigned column.
pub(crate) fn checks_of(
    catalog: &Catalog,
    table: &TableDef,
    assigned: Option<&BTreeSet<usize>>,
) -> Result<Vec<(String, Expr)>> {
    let scope = positions(&table.name, &table.columns);
    let mut checks = Vec::new();
    for check in &table.checks {
        let expr = bind_check(catalog, &parse_expression(&check.expression)?, &scope)?;
        if assigned.is_none_or(|assigned| !assigned.is_disjoint(&expr.columns())) {
            checks.push((check.name.clone(), expr));
        }
    }
    Ok(checks)
}

/// Whether an expression is the bare word DEFAULT.
pub(super) fn is_default(syntax: &ast::Expr) -> bool {
    matches!(syntax, ast::Expr::Identifier(ident)
        if ident.quote_style.is_none() && ident.value.eq_ignore_ascii_case("default"))
}

impl<'a> Binder<'a> {
    /// A value for a column: an expression, or the word DEFAULT.
    pub(super) fn column_value(
        &mut self,
        syntax: &'a ast::Expr,
        column: &ColumnDef,
        cx: &mut Context<'_>,
    ) -> Result<Expr> {
        if is_default(syntax) {
            let default = default_of(self.catalog, column)?;
            self.note_numbers(&default);
            return Ok(default);
        }
        let bound: Bound = self.expr(syntax, cx)?;
        self.assign(
            bound,
            &column.name,
            column.data_type,
            super::expr::start(syntax),
        )
    }
}

/// The position of a column that a statement names.
///
/// # Errors
/// 42703
pub(super) fn column_position(table: &TableDef, ident: &ast::Ident) -> Result<usize> {
    let name = super::name::fold(ident)?;
    if let Some((position, _)) = table.column(&name) {
        return Ok(position);
    }
    let names = table.columns.iter().map(|column| column.name.as_str());
    let error = Error::new(
        state::UNDEFINED_COLUMN,
        format!(
            "column \"{name}\" of relation \"{}\" does not exist",
            table.name
        ),
    );
    let error = match super::name::nearest(&name, names) {
        Some(near) => error.with_hint(format!(
            "Perhaps you meant to reference the column \"{near}\"."
        )),
        None => error,
    };
    Err(error.at(crate::parse::place(ident.span)))
}

/// The type of a table's column.
pub(super) fn column_type(table: &TableDef, position: usize) -> DataType {
    table.columns[position].data_type
}
