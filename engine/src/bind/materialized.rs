//! Materialized views: tables whose rows are those of a query when it was last asked.
//!
//! Such a view is a table with its query beside it, so that reading it, its indexes and what it is on disk are
//! those of tables. Nothing but REFRESH writes it: that computes its rows anew, as ALTER TABLE would.

use super::computed_key::hidden_keys;
use super::from::Source;
use super::view::Record;
use super::{Binder, name};
use crate::error::{Error, Position, Result, state};
use crate::parse::{Refresh, refuse};
use crate::plan::logical::{Logical, LogicalStatement, Query};
use crate::plan::physical::PhysicalPlan;
use crate::plan::structure::{AlterTable, AlteredRows, Tests};
use crate::plan::{Expr, Statement};
use remora_storage::catalog::{Materialized, TableDef, TableEntry, ViewColumn, ViewDef};
use remora_storage::{ColumnId, Value, catalog::ColumnDef};
use sqlparser::ast;
use std::collections::BTreeMap;

impl<'a> Binder<'a> {
    /// Binds a CREATE MATERIALIZED VIEW.
    pub(super) fn create_materialized(
        &mut self,
        create: &'a ast::CreateView,
    ) -> Result<super::statement::Tagged> {
        const TAG: &str = "CREATE MATERIALIZED VIEW";
        let at = name::object_place(&create.name);
        let located = self.new_relation(&create.name, false)?;
        if create.or_replace || create.temporary {
            return Err(name::syntax_error("MATERIALIZED", at));
        }
        super::storage_parameter::test_of_table(&create.options, at)?;
        if self.relation_exists(&located) {
            if create.if_not_exists && self.catalog.has_name(&located) {
                let nothing = Statement::Structure(Vec::new());
                return Ok((LogicalStatement::Done(nothing), TAG));
            }
            return Err(super::relation::already_exists(located.name()).at(at));
        }
        if !self.parameters.is_empty() {
            let message = "materialized views may not be defined using bound parameters";
            return Err(Error::new(state::FEATURE_NOT_SUPPORTED, message).at(at));
        }
        let with_data = !self.aside.definition.without_data;
        self.record = (!with_data).then(Record::default);
        let query: Query = self.query(&create.query, &[])?.into();
        self.record = None;
        let text = create.query.to_string();
        let (outputs, sources) = self.record(&text)?;
        if sources.iter().any(|source| self.is_temporary(source)) {
            let message = "materialized views must not use temporary tables or views";
            return Err(Error::new(state::FEATURE_NOT_SUPPORTED, message).at(at));
        }
        let columns = super::view::named_columns(&create.columns, outputs, at)?;
        for column in &columns {
            self.refuse_row_type(column.data_type, at)?;
        }
        if columns.is_empty() {
            return refuse("a materialized view without columns", at);
        }
        let columns = (0..).zip(columns);
        let columns = columns.map(|(id, column): (u32, ViewColumn)| {
            ColumnDef::new(ColumnId(id), column.name, column.data_type)
        });
        let mut table = super::table::new_table(located);
        table.columns = columns.collect();
        for (column, (_, source)) in table.columns.iter_mut().zip(&query.output) {
            column.collation = self.collation_kept(column, *source)?;
        }
        table.materialized = Some(Materialized {
            query: text,
            sources,
            populated: with_data,
        });
        let rows = with_data.then_some(query);
        let tag = if with_data { "SELECT" } else { TAG };
        Ok((LogicalStatement::CreateTableAs(table, rows), tag))
    }

    /// Binds a REFRESH MATERIALIZED VIEW.
    pub(super) fn refresh(&mut self, refresh: &'a Refresh) -> Result<LogicalStatement> {
        let at = name::object_place(&refresh.name);
        let relation = self.relation_there(&refresh.name)?;
        let entry = match self.catalog.view(&relation) {
            None => self.table(&relation, at)?,
            Some(_) => return Err(not_materialized(relation.name()).at(at)),
        };
        let Some(materialized) = &entry.def.materialized else {
            return Err(not_materialized(relation.name()).at(at));
        };
        if refresh.concurrently {
            refuse_concurrently(&entry, materialized, refresh.with_data, at)?;
        }
        let mut def = entry.def.clone();
        def.materialized = Some(Materialized {
            populated: refresh.with_data,
            ..materialized.clone()
        });
        let Source { plan, scope, .. } =
            self.view(&as_view(&entry.def, materialized), relation.name(), at)?;
        let numbers = scope.columns.iter().map(|column| column.column);
        let plan = match refresh.with_data {
            true => plan,
            false => Logical::Values {
                columns: numbers.clone().collect(),
                rows: Vec::new(),
            },
        };
        let query = self.rows_with_keys(&def, plan, numbers.collect())?;
        let indexes = entry.indexes.iter().map(|index| index.def.clone());
        let alter = AlterTable {
            before: Vec::new(),
            def,
            rows: AlteredRows::Rewritten(Box::new(PhysicalPlan::nothing()), indexes.collect()),
            tests: Tests::default(),
            after: Vec::new(),
            foreign_keys: Vec::new(),
            validated: Vec::new(),
            numbered: Vec::new(),
        };
        Ok(LogicalStatement::AlterTable(Box::new(alter), query))
    }

    /// The rows of a query, whose columns have these numbers, with the keys of indexes that are computed from them.
    fn rows_with_keys(
        &mut self,
        def: &TableDef,
        plan: Logical,
        numbers: Vec<usize>,
    ) -> Result<Query> {
        let shown = def.shown().map(|(position, _)| position);
        let number_of: BTreeMap<usize, usize> = shown.zip(numbers).collect();
        let over = |at: usize, data_type| number_of.get(&at).map(|n| Expr::column(*n, data_type));
        let mut exprs: Vec<Expr> = (def.columns.iter().enumerate())
            .map(|(at, column)| {
                let unknown = Expr::literal(Value::Null, column.data_type);
                over(at, column.data_type).unwrap_or(unknown)
            })
            .collect();
        for (position, key) in hidden_keys(self.catalog, def)? {
            exprs[position] = key.replace_columns(&mut |at, data_type| over(at, data_type));
        }
        let named = def.columns.iter().zip(exprs);
        let named = named.map(|(column, expr)| {
            let number = self.columns.add(&column.name, column.data_type);
            (number, expr)
        });
        let exprs: Vec<(usize, Expr)> = named.collect();
        let names = def.columns.iter().map(|column| column.name.clone());
        Ok(Query {
            output: names.zip(exprs.iter().map(|(number, _)| *number)).collect(),
            plan: plan.project(exprs),
        })
    }

    /// Complains where a materialized view is named that was never asked for its rows.
    pub(super) fn refuse_unpopulated(&self, table: &TableDef, at: Option<Position>) -> Result<()> {
        let materialized = table.materialized.as_ref();
        if materialized.is_none_or(|materialized| materialized.populated) || self.record.is_some() {
            return Ok(());
        }
        let message = format!(
            "materialized view \"{}\" has not been populated",
            table.name
        );
        Err(Error::new(state::OBJECT_NOT_IN_PREREQUISITE_STATE, message)
            .with_hint("Use the REFRESH MATERIALIZED VIEW command.")
            .at(at))
    }

    /// Binds a DROP MATERIALIZED VIEW.
    pub(super) fn drop_materialized(&mut self, syntax: &'a ast::Statement) -> Result<Statement> {
        let going = self.relations_to_drop(syntax, "materialized view", |catalog, name| {
            let table = catalog.table(name)?;
            table.def.materialized.as_ref().map(|_| table.def.id)
        })?;
        let cascade = super::table::is_cascade(syntax);
        let before = self.without("materialized view", &going, cascade)?;
        let tables = going.into_iter().map(|(id, _)| id).collect();
        Ok(Statement::DropTable(before, tables))
    }
}

/// Refuses to change the rows of a materialized view.
pub(super) fn refuse_change(table: &TableDef, at: Option<Position>) -> Result<()> {
    if table.materialized.is_none() {
        return Ok(());
    }
    let message = format!("cannot change materialized view \"{}\"", table.name);
    Err(Error::new(state::WRONG_OBJECT_TYPE, message).at(at))
}

/// What is asked for when it is refreshed, as a view.
pub(super) fn as_view(table: &TableDef, materialized: &Materialized) -> ViewDef {
    let columns = table.shown().map(|(_, column)| ViewColumn {
        name: column.name.clone(),
        data_type: column.data_type,
    });
    ViewDef {
        id: table.id,
        schema: table.schema,
        name: table.name.clone(),
        columns: columns.collect(),
        query: materialized.query.clone(),
        sources: materialized.sources.clone(),
        check: None,
        triggers: Vec::new(),
    }
}

fn not_materialized(name: &str) -> Error {
    let message = format!("\"{name}\" is not a materialized view");
    Error::new(state::FEATURE_NOT_SUPPORTED, message)
}

/// What PostgreSQL asks for where others may read meanwhile; here they may in any case.
fn refuse_concurrently(
    entry: &TableEntry,
    materialized: &Materialized,
    with_data: bool,
    at: Option<Position>,
) -> Result<()> {
    if !with_data {
        let message = "CONCURRENTLY and WITH NO DATA options cannot be used together";
        return Err(Error::new(state::SYNTAX_ERROR, message).at(at));
    }
    if !materialized.populated {
        let message = "CONCURRENTLY cannot be used when the materialized view is not populated";
        return Err(Error::new(state::FEATURE_NOT_SUPPORTED, message).at(at));
    }
    let mut indexes = entry.indexes.iter().map(|index| &index.def);
    if indexes.any(|index| index.unique && !index.partial) {
        return Ok(());
    }
    let name = &entry.def.name;
    let message = format!("cannot refresh materialized view \"public.{name}\" concurrently");
    Err(Error::new(state::OBJECT_NOT_IN_PREREQUISITE_STATE, message)
        .with_hint(
            "Create a unique index with no WHERE clause on one or more columns of the \
             materialized view.",
        )
        .at(at))
}
