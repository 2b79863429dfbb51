//! INSERT: every row gets a value for every column, in the table's order and types.

use super::check::{column_type, is_default, positions};
use super::element::Part;
use super::expr::{query_start, start};
use super::instead::stand_in;
use super::materialized::refuse_change;
use super::query::Relation;
use super::scope::Scope;
use super::through::{Through, Written};
use super::{Binder, Bound, Clause, Context, name};
use crate::error::{Error, Position, Result, state};
use crate::parse::{Aside, place, refuse};
use crate::plan::Expr;
use crate::plan::logical::{Logical, LogicalStatement, Query};
use crate::plan::statement::{Insert, InsertSource, OnConflict, Returning, Statement};
use remora_storage::catalog::{ColumnDef, TableEntry, TriggerEvent};
use remora_storage::{DataType, Value};
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
        let table_at = name::object_place(table);
        let relation = self.relation(table)?;
        let view = self.catalog.view(&relation).map(Arc::clone);
        let instead = view
            .as_ref()
            .and_then(|view| stand_in(view, TriggerEvent::Insert));
        if instead.is_some() && insert.on.is_some() {
            return refuse("ON CONFLICT with triggers INSTEAD OF INSERT", table_at);
        }
        let view = view.filter(|_| instead.is_none());
        let entry = match (&view, instead) {
            (_, Some(instead)) => instead,
            (Some(view), None) => self.base_of(view, "insert into", table_at)?,
            (None, None) => self.table(&relation, table_at)?,
        };
        refuse_change(&entry.def, table_at)?;
        self.note_fired(&entry.def);
        let mut through = None;
        if view.is_some() || insert.on.is_some() || insert.returning.is_some() {
            // First of all columns, by position.
            self.numbered_row(&entry);
        }
        let excluded = match insert.on {
            Some(_) => self.row_scope(&entry, "excluded", None),
            None => Scope::default(),
        };
        if let Some(view) = &view {
            through = Some(self.through(view, "insert into", table_at)?);
        }
        let written = Written {
            table: &entry.def,
            through: through.as_ref(),
        };
        let mut targets = targets(written, &insert.columns, self.aside)?;
        if insert.columns.is_empty() && through.is_some() {
            let width = insert.source.as_deref().and_then(bare_values);
            let width = width.and_then(|rows| rows.first());
            let width = width.map_or(usize::MAX, |row| row.content.len());
            targets.positions = written.all(width)?;
        }
        let (on_conflict, returning) =
            self.insert_clauses(insert, (table, through.as_ref()), &entry, excluded)?;
        let mut checks = self.checks(&entry.def, None)?;
        checks.extend(through.into_iter().flat_map(|through| through.checks));
        let plan = Insert {
            checks,
            generated: self.generated(&entry.def)?,
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
        (table, through): (&ast::ObjectName, Option<&Through>),
        entry: &Arc<TableEntry>,
        excluded: Scope,
    ) -> Result<(Option<OnConflict>, Option<Returning>)> {
        if insert.on.is_none() && insert.returning.is_none() {
            return Ok((None, None));
        }
        let relation = self.relation(table)?;
        let shown = match &insert.table_alias {
            Some(alias) => name::fold(&alias.alias)?,
            None => relation.name().to_owned(),
        };
        let hides = (shown != relation.name()).then(|| relation.name().to_owned());
        let mut scope = positions(&shown, &entry.def.columns);
        scope.tables = vec![(shown.clone(), hides.clone())];
        let mut through = through.cloned();
        if let Some(through) = &mut through {
            scope = through.renamed(self, scope);
        }
        let at = place(insert.insert_token.0.span);
        let on_conflict = match &insert.on {
            Some(on) => {
                let through = through.as_mut();
                Some(self.on_conflict(on, (entry, through), (&scope, excluded), at)?)
            }
            None => None,
        };
        if let Some(through) = &mut through {
            scope = through.scope(self, &entry.def, &shown, hides);
        }
        let mut returning = self.returning(insert.returning.as_ref(), &scope);
        if let (Ok(Some(returning)), Some(through)) = (&mut returning, &through) {
            for expr in &mut returning.exprs {
                *expr = through.put_in(expr.clone());
            }
        }
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
                return Err(
                    sql_error!(SYNTAX_ERROR, "VALUES lists must all be the same length")
                        .at(items.first().and_then(start)),
                );
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
        let mut in_parts: Vec<usize> = Vec::new();
        for (at, (position, item)) in targets.positions.iter().zip(items).enumerate() {
            let column = &entry.def.columns[*position];
            if let Some(part) = self.written_part_of(targets, at, column)? {
                let value = self.part_value(column, &part, item, cx)?;
                let before = part_before(&mut in_parts, *position, column, &values[*position]);
                values[*position] = self.with_part(&part, before, value, cx)?;
                continue;
            }
            let value = self.column_value(item, column, cx)?;
            if !self.overrides(column, is_default(item))? {
                values[*position] = value;
            }
        }
        Ok(())
    }

    /// The part of a column that a value is for.
    fn written_part_of(
        &self,
        targets: &Targets,
        at: usize,
        column: &ColumnDef,
    ) -> Result<Option<Part<'a>>> {
        match targets.names.get(at) {
            Some(names) => self.written_part(&names.iter().collect::<Vec<_>>(), column),
            None => Ok(None),
        }
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
        let places = targets.positions.iter().enumerate();
        let parts = places
            .map(|(at, position)| self.written_part_of(targets, at, &table.columns[*position]));
        let parts = parts.collect::<Result<Vec<_>>>()?;
        let hints = targets.positions.iter().zip(&parts);
        let hints = hints.map(|(position, part)| match part {
            Some(part) => part.data_type,
            None => column_type(table, *position),
        });
        let hints: Vec<DataType> = hints.collect();
        let Relation {
            plan: rows,
            outputs,
            ..
        } = self.query(query, &hints)?;
        targets.check_width(outputs.len(), |_| query_start(query))?;
        let mut exprs = self.defaults(&plan.table)?;
        let mut in_parts: Vec<usize> = Vec::new();
        for ((position, part), output) in targets.positions.iter().zip(parts).zip(outputs) {
            let column = &table.columns[*position];
            let bound = match output.unknown {
                Some(unknown) => Bound::Unknown(unknown),
                None => Bound::Typed(Expr::column(output.column, output.data_type)),
            };
            if let Some(part) = part {
                let value = self.assign_part(column, &part, bound, query_start(query))?;
                let before = part_before(&mut in_parts, *position, column, &exprs[*position]);
                let scope = Scope::default();
                let mut cx = Context::new(&scope, Clause::Values);
                exprs[*position] = self.with_part(&part, before, value, &mut cx)?;
                continue;
            }
            let value = self.assign_to(bound, column, query_start(query))?;
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

/// What a column is before a part of it is written: NULL, or what the parts before have made of it.
fn part_before(
    in_parts: &mut Vec<usize>,
    position: usize,
    column: &ColumnDef,
    value: &Expr,
) -> Expr {
    match in_parts.contains(&position) {
        true => value.clone(),
        false => {
            in_parts.push(position);
            Expr::literal(Value::Null, column.data_type)
        }
    }
}

/// The columns that an INSERT or a COPY gives values for.
pub(super) struct Targets {
    /// By position in the table.
    pub positions: Vec<usize>,
    /// Their names, with those of fields behind them, where they are listed; if they are not, fewer values may be given.
    names: Vec<Vec<ast::Ident>>,
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
        } else if !self.names.is_empty() && width < wanted {
            "INSERT has more target columns than expressions"
        } else {
            return Ok(());
        };
        Err(Error::new(state::SYNTAX_ERROR, complaint).at(place_of(wanted)))
    }
}

/// The columns named, or all.
pub(super) fn targets(
    written: Written<'_>,
    names: &[ast::ObjectName],
    aside: &Aside,
) -> Result<Targets> {
    let names = names.iter().map(name::parts);
    targets_at(written, &names.collect::<Result<Vec<_>>>()?, aside)
}

/// As [`targets`]: the names of columns, with those of fields behind them.
pub(super) fn targets_at(
    written: Written<'_>,
    paths: &[Vec<&ast::Ident>],
    aside: &Aside,
) -> Result<Targets> {
    let table = written.table;
    if paths.is_empty() {
        return Ok(Targets {
            positions: table.listed().map(|(position, _)| position).collect(),
            names: Vec::new(),
        });
    }
    let is_part = |path: &[&ast::Ident]| {
        path.len() > 1
            || path
                .iter()
                .any(|name| !aside.subscripts.of(name).is_empty())
    };
    let mut positions = Vec::with_capacity(paths.len());
    for path in paths {
        let Some(ident) = path.first() else {
            return refuse("an empty name", None);
        };
        let position = written.position(ident, "insert into")?;
        let same = positions.iter().zip(paths);
        let mut same = same.filter(|(other, _)| **other == position);
        if same.any(|(_, other)| !is_part(path) || !is_part(other)) {
            let name = &table.columns[position].name;
            let folded = |path: &[&ast::Ident]| path.first().and_then(|name| name::fold(name).ok());
            let is_same = |other: &&Vec<&ast::Ident>| folded(other) == folded(path);
            if paths.iter().filter(is_same).count() < 2 {
                // Two names of a view for one column.
                let message = format!("multiple assignments to same column \"{name}\"");
                return Err(Error::new(state::SYNTAX_ERROR, message));
            }
            return Err(sql_error!(
                DUPLICATE_COLUMN,
                "column \"{name}\" specified more than once"
            )
            .at(place(ident.span)));
        }
        positions.push(position);
    }
    Ok(Targets {
        positions,
        names: (paths.iter())
            .map(|path| path.iter().map(|name| (*name).clone()).collect())
            .collect(),
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
