//! DEFAULT and CHECK: expressions that the catalog holds as text.
//!
//! They are bound anew for each statement that needs them. Columns are numbered by position in the
//! table, which is what inserts and updates evaluate them over.

use super::domain::{column_check, domain_default};
use super::scope::{Scope, ScopeColumn};
use super::sequence::{named_sequences, with_names};
use super::{Binder, Bound, Clause, Context};
use crate::error::{Result, state};
use crate::function::SearchPath;
use crate::parse::{parse_expression, refuse};
use crate::plan::Expr;
use crate::plan::statement::RowCheck;
use remora_storage::catalog::{Catalog, CatalogObject, ColumnDef, TableDef};
use remora_storage::{DataType, SchemaId, SequenceId, Value};
use sqlparser::ast;
use std::collections::BTreeSet;

/// The columns of a table, numbered by position.
pub(super) fn positions(table: &str, defs: &[ColumnDef]) -> Scope {
    let columns = defs
        .iter()
        .enumerate()
        .map(|(position, column)| ScopeColumn {
            table: (!column.is_hidden()).then(|| table.to_owned()),
            name: column.name.clone(),
            column: position,
            data_type: column.data_type,
            bare: !column.is_hidden(),
        });
    Scope::of(table.to_owned(), None, columns).leaving_out(defs.iter().enumerate())
}

/// What a column is when nothing is given for it.
pub(crate) fn default_of(catalog: &Catalog, column: &ColumnDef) -> Result<Expr> {
    let of_domain = || domain_default(catalog, column);
    match &column.default.clone().or_else(of_domain) {
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
        self.note_needs(&default);
        Ok(default)
    }

    /// [`checks_of`], in a statement that evaluates them.
    pub(super) fn checks(
        &mut self,
        table: &TableDef,
        assigned: Option<&BTreeSet<usize>>,
    ) -> Result<Vec<RowCheck>> {
        let checks = checks_of(self.catalog, table, assigned)?;
        checks
            .iter()
            .for_each(|check| self.note_needs(&check.condition));
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
            state::UNDEFINED_COLUMN | state::UNDEFINED_TABLE => sql_error!(
                FEATURE_NOT_SUPPORTED,
                "cannot use column reference in DEFAULT expression"
            )
            .at(error.position()),
            _ => error,
        })?;
    binder.assign_to(bound, column, super::expr::start(syntax))
}

/// A test is no default of a column's definition unless it stands in brackets: `DEFAULT 1 IN (1, 2)` is none.
pub(super) fn refuse_test(syntax: &ast::Expr) -> Result<()> {
    use ast::{BinaryOperator as B, Expr as E};
    let word = match syntax {
        E::InList { negated: true, .. }
        | E::InSubquery { negated: true, .. }
        | E::Between { negated: true, .. }
        | E::Like { negated: true, .. }
        | E::ILike { negated: true, .. } => "NOT",
        E::InList { .. } | E::InSubquery { .. } => "IN",
        E::Between { .. } => "BETWEEN",
        E::Like { .. } => "LIKE",
        E::ILike { .. } => "ILIKE",
        E::BinaryOp { op: B::And, .. } => "AND",
        E::BinaryOp { op: B::Or, .. } => "OR",
        _ => return Ok(()),
    };
    Err(super::name::syntax_error(word, super::expr::start(syntax)))
}

/// Makes an expression the default of a column of a table in `schema`.
pub(super) fn set_default(
    catalog: &Catalog,
    syntax: &ast::Expr,
    (column, schema): (&mut ColumnDef, SchemaId),
    path: &SearchPath,
) -> Result<()> {
    let bound = bind_default(catalog, syntax, column)?;
    column.sequences = named_sequences(&bound, catalog, path)?;
    let is_temporary = |id: &SequenceId| catalog.is_temporary(CatalogObject::Sequence(*id));
    if !schema.is_temporary() && column.sequences.iter().any(is_temporary) {
        let at = super::expr::start(syntax);
        return refuse("a temporary sequence for a table that is not", at);
    }
    column.default = Some(syntax.to_string());
    Ok(())
}

/// A CHECK over a table's columns.
pub(super) fn bind_check(
    catalog: &Catalog,
    syntax: &ast::Expr,
    (scope, columns): (&Scope, &[ColumnDef]),
) -> Result<Expr> {
    let mut binder = Binder::new(catalog);
    binder.collate_positions(columns);
    binder.condition_of(syntax, "CHECK", &mut Context::new(scope, Clause::Check))
}

/// The CHECKs of a table; of an UPDATE only those that name an assigned column.
pub(crate) fn checks_of(
    catalog: &Catalog,
    table: &TableDef,
    assigned: Option<&BTreeSet<usize>>,
) -> Result<Vec<RowCheck>> {
    let scope = positions(&table.name, &table.columns);
    let mut checks = Vec::new();
    for (position, column) in table.columns.iter().enumerate() {
        if assigned.is_none_or(|assigned| assigned.contains(&position)) {
            checks.extend(column_check(catalog, position, column)?);
        }
    }
    for check in &table.checks {
        let syntax = parse_expression(&check.expression)?;
        let expr = bind_check(catalog, &syntax, (&scope, &table.columns))?;
        if assigned.is_none_or(|assigned| !assigned.is_disjoint(&expr.columns())) {
            checks.push(RowCheck {
                name: check.name.clone(),
                of_view: false,
                asked: None,
                condition: expr,
            });
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
            self.note_needs(&default);
            return Ok(default);
        }
        let bound: Bound = self.expr(syntax, cx)?;
        self.assign_to(bound, column, super::expr::start(syntax))
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
    let error = sql_error!(
        UNDEFINED_COLUMN,
        "column \"{name}\" of relation \"{}\" does not exist",
        table.name
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
