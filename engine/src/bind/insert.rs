//! INSERT: every row gets a value for every column, in the table's order and types.

use super::check::{column_position, column_type, is_default};
use super::expr::{query_start, start};
use super::query::Relation;
use super::scope::Scope;
use super::{Binder, Bound, Clause, Context, name};
use crate::error::{Error, Position, Result, state};
use crate::parse::{place, refuse};
use crate::plan::Expr;
use crate::plan::logical::{Logical, LogicalStatement, Query};
use crate::plan::statement::{Insert, InsertSource, OnConflict, Returning, Statement};
use remora_storage::DataType;
use remora_storage::catalog::{TableDef, TableEntry};
use sqlparser::ast::{self, SetExpr};
use std::sync::Arc;

impl<'a> Binder<'a> {
    /// Binds an INSERT.
    pub(super) fn insert(&mut self, insert: &'a ast::Insert) -> Result<LogicalStatement> {
        let at = place(insert.insert_token.0.span);
        refuse_clauses(insert, at)?;
        let ast::TableObject::TableName(table) = &insert.table else {
            return refuse("INSERT into something other than a table", at);
        };
        self.refuse_view(table, "insert into")?;
        let entry = self.table(&name::relation(table)?, name::object_place(table))?;
        let targets = targets(&entry.def, &insert.columns)?;
        let (on_conflict, returning) = self.insert_clauses(insert, table, &entry)?;
        let plan = Insert {
            checks: self.checks(&entry.def, None)?,
            table: entry,
            source: InsertSource::Values(Vec::new()),
            on_conflict: on_conflict.map(Box::new),
            returning,
        };
        let values = |rows| {
            let source = InsertSource::Values(rows);
            LogicalStatement::Done(Statement::Insert(Insert {
                source,
                ..plan.clone()
            }))
        };
        let Some(query) = &insert.source else {
            return Ok(values(vec![self.defaults(&plan.table)?]));
        };
        match bare_values(query) {
            Some(rows) => {
                let rows = self.value_rows(&plan.table, &targets, rows)?;
                match rows.iter().flatten().any(Expr::has_subquery) {
                    true => Ok(self.insert_rows(plan, rows)),
                    false => Ok(values(rows)),
                }
            }
            None => self.insert_query(plan, &targets, query),
        }
    }

    /// ON CONFLICT and RETURNING, which name the table's columns by position.
    fn insert_clauses(
        &mut self,
        insert: &'a ast::Insert,
        table: &ast::ObjectName,
        entry: &Arc<TableEntry>,
    ) -> Result<(Option<OnConflict>, Option<Returning>)> {
        if insert.on.is_none() && insert.returning.is_none() {
            return Ok((None, None));
        }
        let relation = name::relation(table)?;
        let shown = match &insert.table_alias {
            Some(alias) => name::fold(&alias.alias)?,
            None => relation.clone(),
        };
        let hides = (shown != relation).then_some(relation);
        let scope = self.row_scope(entry, &shown, hides);
        debug_assert!(
            scope
                .columns
                .iter()
                .map(|column| column.column)
                .eq(0..entry.def.columns.len()),
            "the table's columns are numbered first"
        );
        let at = place(insert.insert_token.0.span);
        let on_conflict = match &insert.on {
            Some(on) => Some(self.on_conflict(on, entry, &scope, at)?),
            None => None,
        };
        let returning = self.returning(insert.returning.as_ref(), &scope);
        let returning = returning.map_err(|error| match &on_conflict {
            Some(_) => not_excluded(error),
            None => error,
        })?;
        Ok((on_conflict, returning))
    }

    /// The default of every column.
    pub(super) fn defaults(&mut self, entry: &TableEntry) -> Result<Vec<Expr>> {
        let columns = entry.def.columns.iter();
        columns.map(|column| self.default_value(column)).collect()
    }

    fn value_rows(
        &mut self,
        entry: &Arc<TableEntry>,
        targets: &Targets,
        rows: &'a [ast::Parens<Vec<ast::Expr>>],
    ) -> Result<Vec<Vec<Expr>>> {
        let scope = Scope::default();
        let mut cx = Context::new(&scope, Clause::Values);
        let width = rows.first().map_or(0, |row| row.content.len());
        let defaults = self.defaults(entry)?;
        let mut bound = Vec::with_capacity(rows.len());
        for row in rows {
            let items = &row.content;
            if items.len() != width {
                return Err(Error::new(
                    state::SYNTAX_ERROR,
                    "VALUES lists must all be the same length",
                )
                .at(items.first().and_then(start)));
            }
            targets.check_width(width, |extra| items.get(extra).and_then(start))?;
            let mut values = defaults.clone();
            self.fill(entry, targets, items, &mut values, &mut cx)?;
            bound.push(values);
        }
        Ok(bound)
    }

    /// A row of expressions over a scope.
    pub(super) fn one_row(
        &mut self,
        entry: &TableEntry,
        targets: &Targets,
        items: &'a [ast::Expr],
        scope: &Scope,
    ) -> Result<Vec<Expr>> {
        targets.check_width(items.len(), |extra| items.get(extra).and_then(start))?;
        let mut values = self.defaults(entry)?;
        let mut cx = Context::new(scope, Clause::Values);
        self.fill(entry, targets, items, &mut values, &mut cx)?;
        Ok(values)
    }

    /// Puts what is given in the place of defaults.
    fn fill(
        &mut self,
        entry: &TableEntry,
        targets: &Targets,
        items: &'a [ast::Expr],
        values: &mut [Expr],
        cx: &mut Context<'_>,
    ) -> Result<()> {
        for (position, item) in targets.positions.iter().zip(items) {
            let column = &entry.def.columns[*position];
            let value = self.column_value(item, column, cx)?;
            if !self.overrides(column, is_default(item))? {
                values[*position] = value;
            }
        }
        Ok(())
    }

    /// Rows that are written out, but ask queries.
    fn insert_rows(&mut self, plan: Insert, rows: Vec<Vec<Expr>>) -> LogicalStatement {
        let table = &plan.table.def;
        let numbers: Vec<usize> = (table.columns.iter())
            .map(|column| self.columns.add(&column.name, column.data_type))
            .collect();
        let names = table.columns.iter().map(|column| column.name.clone());
        let output = names.zip(numbers.iter().copied()).collect();
        let rows = Logical::Values {
            columns: numbers,
            rows,
        };
        LogicalStatement::InsertQuery(plan, Query { plan: rows, output })
    }

    fn insert_query(
        &mut self,
        plan: Insert,
        targets: &Targets,
        query: &'a ast::Query,
    ) -> Result<LogicalStatement> {
        let table = &plan.table.def;
        let hints = targets
            .positions
            .iter()
            .map(|position| column_type(table, *position));
        let hints: Vec<DataType> = hints.collect();
        let Relation {
            plan: rows,
            outputs,
            ..
        } = self.query(query, &hints)?;
        targets.check_width(outputs.len(), |_| query_start(query))?;
        let mut exprs = self.defaults(&plan.table)?;
        for (position, output) in targets.positions.iter().zip(outputs) {
            let column = &table.columns[*position];
            let bound = match output.unknown {
                Some(unknown) => Bound::Unknown(unknown),
                None => Bound::Typed(Expr::column(output.column, output.data_type)),
            };
            let value = self.assign(bound, &column.name, column.data_type, query_start(query))?;
            if !self.overrides(column, false)? {
                exprs[*position] = value;
            }
        }
        let named = exprs.into_iter().zip(&table.columns);
        let exprs: Vec<_> = named
            .map(|(expr, column)| (self.columns.add(&column.name, column.data_type), expr))
            .collect();
        let output = exprs.iter().zip(&table.columns);
        let output = output
            .map(|((number, _), column)| (column.name.clone(), *number))
            .collect();
        let rows = Logical::Project {
            input: Box::new(rows),
            exprs,
        };
        Ok(LogicalStatement::InsertQuery(
            plan,
            Query { plan: rows, output },
        ))
    }
}

/// The columns that an INSERT or a COPY gives values for.
pub(super) struct Targets {
    /// By position in the table.
    pub positions: Vec<usize>,
    /// Whether they were listed; if not, fewer values may be given.
    listed: bool,
}

impl Targets {
    fn check_width(
        &self,
        width: usize,
        place_of: impl Fn(usize) -> Option<Position>,
    ) -> Result<()> {
        let wanted = self.positions.len();
        let complaint = if width > wanted {
            "INSERT has more expressions than target columns"
        } else if self.listed && width < wanted {
            "INSERT has more target columns than expressions"
        } else {
            return Ok(());
        };
        Err(Error::new(state::SYNTAX_ERROR, complaint).at(place_of(wanted)))
    }
}

/// The columns named, or all.
pub(super) fn targets(table: &TableDef, names: &[ast::ObjectName]) -> Result<Targets> {
    let mut idents = Vec::with_capacity(names.len());
    for name in names {
        match name::parts(name)?.as_slice() {
            [ident] => idents.push(*ident),
            _ => return refuse("a qualified column name here", name::object_place(name)),
        }
    }
    target_idents(table, &idents)
}

/// As [`targets`].
pub(super) fn target_idents(table: &TableDef, idents: &[&ast::Ident]) -> Result<Targets> {
    if idents.is_empty() {
        return Ok(Targets {
            positions: (0..table.columns.len()).collect(),
            listed: false,
        });
    }
    let mut positions = Vec::with_capacity(idents.len());
    for ident in idents {
        let position = column_position(table, ident)?;
        if positions.contains(&position) {
            let name = &table.columns[position].name;
            return Err(Error::new(
                state::DUPLICATE_COLUMN,
                format!("column \"{name}\" specified more than once"),
            )
            .at(place(ident.span)));
        }
        positions.push(position);
    }
    Ok(Targets {
        positions,
        listed: true,
    })
}

/// The rows, if the query is nothing but VALUES.
fn bare_values(query: &ast::Query) -> Option<&[ast::Parens<Vec<ast::Expr>>]> {
    let bare = query.with.is_none()
        && query.order_by.is_none()
        && query.limit_clause.is_none()
        && query.fetch.is_none()
        && query.locks.is_empty();
    match &*query.body {
        SetExpr::Values(values) if bare => Some(&values.rows),
        _ => None,
    }
}

/// What RETURNING names of the row that was to be inserted is not to be had there.
fn not_excluded(error: Error) -> Error {
    if error.message() != "missing FROM-clause entry for table \"excluded\"" {
        return error;
    }
    let message = "invalid reference to FROM-clause entry for table \"excluded\"";
    Error::new(state::UNDEFINED_TABLE, message)
        .with_hint(
            "There is an entry for table \"excluded\", but it cannot be referenced from this \
             part of the query.",
        )
        .at(error.position())
}

fn refuse_clauses(insert: &ast::Insert, at: Option<Position>) -> Result<()> {
    let clauses = [
        (insert.output.is_some(), "OUTPUT"),
        (
            insert.or.is_some()
                || insert.ignore
                || insert.overwrite
                || insert.replace_into
                || insert.priority.is_some()
                || insert.partitioned.is_some()
                || insert.insert_alias.is_some()
                || insert.settings.is_some()
                || insert.format_clause.is_some()
                || insert.multi_table_insert_type.is_some()
                || !insert.assignments.is_empty()
                || !insert.after_columns.is_empty(),
            "this form of INSERT",
        ),
    ];
    match clauses.into_iter().find(|(there, _)| *there) {
        Some((_, what)) => refuse(what, at),
        None => Ok(()),
    }
}
