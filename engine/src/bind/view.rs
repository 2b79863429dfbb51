//! Views: made with what the names in their queries stand for, and read by binding their queries.
//!
//! 1. CREATE VIEW binds the query and notes which tables and views it names, which columns these have, and
//!    which of them it uses (`Record`). The text stays as it was written.
//! 2. Whoever names the view has its text bound in his own statement, as a query in FROM: the optimizer does
//!    not know that there was a view. Names in it are looked up in what was noted ([`Binder::stored`]), so
//!    they mean what they meant, whatever things are called by now, and `*` is what it was.
//!
//! A view names only what was there before it, or what its own replacement does not lead back to. So the
//! nesting ends; how deep it may be and how many tables may come together is limited as for all queries.

use super::from::Source;
use super::query::Relation;
use super::record::refuse_records;
use super::relation::already_exists;
use super::scope::Scope;
use super::statement::changes;
use super::storage_parameter::of_view;
use super::table::is_cascade;
use super::through::without_check_option;
use super::{Binder, name};
use crate::error::{Error, Position, Result, state};
use crate::function::{Located, SearchPath};
use crate::parse::{CheckOption, parse_query, place, refuse};
use crate::plan::Statement;
use crate::plan::logical::{Logical, LogicalStatement};
use crate::plan::structure::Step;
use remora_storage::catalog::{
    CatalogObject, SourceColumn, ViewCheck, ViewColumn, ViewDef, ViewSource,
};
use remora_storage::{ColumnId, DataType, TableId};
use sqlparser::ast::{self, AlterColumnOperation, AlterTableOperation};
use std::collections::HashMap;

/// What the query of a view that is being made names.
#[derive(Default)]
pub(super) struct Record {
    sources: Vec<ViewSource>,
    /// Numbers of columns: which source, and which of its columns.
    numbers: HashMap<usize, (usize, usize)>,
}

impl Record {
    fn add(&mut self, name: &str, relation: TableId, columns: &[(usize, SourceColumn)]) {
        let known = self.sources.iter().position(|source| source.name == name);
        let source = known.unwrap_or_else(|| {
            let columns = columns.iter().map(|(_, column)| column.clone());
            self.sources.push(ViewSource {
                name: name.to_owned(),
                relation,
                columns: columns.collect(),
            });
            self.sources.len() - 1
        });
        let numbers = columns.iter().enumerate();
        self.numbers
            .extend(numbers.map(|(at, (number, _))| (*number, (source, at))));
    }

    /// What was named.
    pub(super) fn sources(self) -> Vec<ViewSource> {
        self.sources
    }

    fn use_column(&mut self, number: usize) {
        if let Some((source, column)) = self.numbers.get(&number) {
            self.sources[*source].columns[*column].used = true;
        }
    }
}

/// What a view within a view takes of the stack, in levels of expressions.
const VIEW_LEVELS: usize = 6;

impl<'a> Binder<'a> {
    /// Notes that a query names a column.
    pub(super) fn note_use(&mut self, number: usize) {
        if let Some(record) = &mut self.record {
            record.use_column(number);
        }
    }

    /// Notes that a query names a table or view, whose columns have these numbers, in order.
    pub(super) fn note_source(
        &mut self,
        name: &Located,
        relation: TableId,
        columns: impl Iterator<Item = (usize, ColumnId)>,
    ) {
        let Some(record) = &mut self.record else {
            return;
        };
        let column = |(number, id): (usize, ColumnId)| {
            let field = self.columns.field(number);
            let column = SourceColumn {
                id,
                name: field.name.clone(),
                data_type: field.data_type,
                used: false,
            };
            (number, column)
        };
        record.add(
            &name.to_string(),
            relation,
            &columns.map(column).collect::<Vec<_>>(),
        );
    }

    /// What a view shows, under its own names.
    pub(super) fn view(
        &mut self,
        view: &ViewDef,
        shown: &str,
        at: Option<Position>,
    ) -> Result<Source> {
        let relation = self.stored_query(&view.query, Some(&view.sources), self.path, at)?;
        Ok(self.shown_view(view, relation, shown))
    }

    /// Whether the query of a view groups by a table's primary key, and shows more of the table than that.
    pub(super) fn needs_key(&self, view: &ViewDef, table: TableId) -> bool {
        let mut binder = Binder::new(self.catalog);
        binder.path = self.path;
        binder.keyless = Some(table);
        let bound = binder.stored_query(&view.query, Some(&view.sources), self.path, None);
        bound.is_err_and(|error| error.sqlstate() == state::GROUPING_ERROR)
    }

    /// Binds a query that is kept as text, in which `names` are known beside those of the catalog.
    pub(super) fn stored_query(
        &mut self,
        text: &str,
        names: Option<&[ViewSource]>,
        path: &SearchPath,
        at: Option<Position>,
    ) -> Result<Relation> {
        self.deeper_by(VIEW_LEVELS, at, |binder| {
            let query = parse_query(text)?;
            let mut inner = Binder::new(binder.catalog);
            inner.path = path;
            inner.names = names;
            inner.keyless = binder.keyless;
            inner.depth = binder.depth;
            inner.from_items = binder.from_items;
            inner.parts.all_inlined = binder.all_inlined();
            inner.parts.bound = std::mem::take(&mut binder.parts.bound);
            inner.columns = std::mem::take(&mut binder.columns);
            let bound = inner.query(&query, &[]);
            binder.columns = inner.columns;
            binder.parts.bound = inner.parts.bound;
            binder.parts.reads.extend(inner.parts.reads);
            binder.from_items = inner.from_items;
            binder.needs |= inner.needs;
            binder.shows_commits |= inner.shows_commits;
            bound
        })
    }

    fn shown_view(&mut self, view: &ViewDef, relation: Relation, shown: &str) -> Source {
        let outputs = relation.outputs.into_iter().zip(&view.columns);
        // New numbers, since those of the query are called otherwise.
        let exprs = outputs.map(|(output, column)| {
            let number = (self.columns).add_like(&column.name, output.data_type, output.column);
            (number, self.columns.expr(output.column))
        });
        let exprs: Vec<_> = exprs.collect();
        let columns = exprs.iter().zip(&view.columns);
        let columns =
            columns.map(|((number, expr), column)| (column.name.clone(), *number, expr.data_type));
        let scope = Scope::named(shown, None, columns);
        Source::new(relation.plan.project(exprs), scope)
    }

    /// What a name in the view that is being bound stands for.
    pub(super) fn stored(&self, name: &Located) -> Option<ViewSource> {
        let sources = self.names?;
        let called = |name: &str| sources.iter().find(|source| source.name == name);
        // What is in `public` may have been noted without that.
        let found = called(&name.to_string());
        found.or_else(|| called(name.name())).cloned()
    }

    /// The table or view that a name stands for, with the columns and names of then.
    pub(super) fn stored_source(
        &mut self,
        source: &ViewSource,
        shown: &str,
        at: Option<Position>,
    ) -> Result<Source> {
        let (plan, numbers) = if let Some(table) = self.catalog.table_by_id(source.relation) {
            self.refuse_unpopulated(&table.def, at)?;
            let scan = self.scan(table, false);
            let numbers: Vec<_> = scan
                .columns
                .iter()
                .map(|(number, id)| (*id, *number))
                .collect();
            (Logical::Scan(scan), numbers)
        } else if let Some(view) = self.catalog.view_by_id(source.relation) {
            let inner = self.view(view, shown, at)?;
            let numbers = inner.scope.columns.iter().enumerate();
            let numbers = numbers.map(|(at, column)| (ColumnId(at as u32), column.column));
            (inner.plan, numbers.collect())
        } else {
            let message = format!("relation \"{}\" does not exist", source.name);
            return Err(Error::new(state::UNDEFINED_TABLE, message).at(at));
        };
        let column = |column: &SourceColumn| {
            let (_, number) = numbers.iter().find(|(id, _)| *id == column.id)?;
            let data_type = self.columns.field(*number).data_type;
            Some((column.name.clone(), *number, data_type))
        };
        let hides = (shown != source.name).then(|| source.name.clone());
        let columns = source.columns.iter().filter_map(column);
        Ok(Source::new(plan, Scope::named(shown, hides, columns)))
    }

    /// Binds a CREATE VIEW.
    pub(super) fn create_view(&mut self, create: &'a ast::CreateView) -> Result<Statement> {
        let at = name::object_place(&create.name);
        refuse_clauses(create, at)?;
        let option = of_view(&create.options, at)?;
        let check = self.aside.definition.check_option.map(|check| match check {
            CheckOption::Local => ViewCheck::Local,
            CheckOption::Cascaded => ViewCheck::Cascaded,
        });
        if !self.parameters.is_empty() {
            return Err(sql_error!(UNDEFINED_PARAMETER, "there is no parameter $1").at(at));
        }
        if let ast::SetExpr::Select(select) = &*create.query.body
            && select.into.is_some()
        {
            let message = "views must not contain SELECT INTO";
            return Err(Error::new(state::FEATURE_NOT_SUPPORTED, message).at(at));
        }
        // As it was written, for the sake of the places in complaints; then as it will be read.
        refuse_changes(&create.query).map_err(|error| error.at(at))?;
        // What a materialized view would show, nobody asks yet.
        self.record = Some(Record::default());
        self.query(&create.query, &[])?;
        self.record = None;
        let text = create.query.to_string();
        let (outputs, sources) = self.record(&text)?;
        let temporary = create.temporary || sources.iter().any(|source| self.is_temporary(source));
        let located = self.new_relation(&create.name, temporary)?;
        let replaced = self.catalog.view(&located).filter(|_| create.or_replace);
        if replaced.is_none() && self.relation_exists(&located) {
            return Err(match create.or_replace {
                true => not_a_view(located.name()),
                false => already_exists(located.name()),
            }
            .at(at));
        }
        let def = ViewDef {
            id: replaced.map_or_else(TableId::default, |view| view.id),
            columns: named_columns(&create.columns, outputs, at)?,
            schema: located.schema,
            name: located.written.name,
            query: text,
            sources,
            check: check.or(option),
            triggers: replaced.map_or_else(Vec::new, |view| view.triggers.clone()),
        };
        self.check_option_fits(&def, at)?;
        let Some(replaced) = replaced else {
            return Ok(Statement::Structure(vec![Step::CreateView(def)]));
        };
        check_replacement(replaced, &def).map_err(|error| error.at(at))?;
        if def.leads_to(def.id, self.catalog) {
            let name = &def.name;
            let message = format!("infinite recursion detected in rules for relation \"{name}\"");
            return Err(Error::new(state::INVALID_OBJECT_DEFINITION, message).at(at));
        }
        Ok(Statement::Structure(vec![Step::AlterView(def)]))
    }

    /// Fails where a view has a check option and is not updatable.
    ///
    /// # Errors
    /// 0A000
    pub(super) fn check_option_fits(&self, def: &ViewDef, at: Option<Position>) -> Result<()> {
        if def.check.is_some() {
            let base = self.base_of(def, "update", at);
            base.map_err(|error| without_check_option(&error).at(at))?;
        }
        Ok(())
    }

    /// Names and types of what a query shows, and what it names.
    pub(super) fn record(&self, text: &str) -> Result<(Vec<Shown>, Vec<ViewSource>)> {
        let query = parse_query(text)?;
        let mut binder = Binder::new(self.catalog);
        binder.path = self.path;
        binder.record = Some(Record::default());
        let relation = binder.query(&query, &[])?;
        if !relation.rows.is_empty() {
            return refuse("FOR UPDATE or FOR SHARE in a view", None);
        }
        let outputs = relation.outputs.into_iter();
        let outputs = outputs.map(|output| (output.name, output.data_type));
        let sources = binder.record.map_or_else(Vec::new, Record::sources);
        Ok((outputs.collect(), sources))
    }

    /// Whether a table or view is a session's own: so is a view of it.
    pub(super) fn is_temporary(&self, source: &ViewSource) -> bool {
        [CatalogObject::Table, CatalogObject::View]
            .into_iter()
            .any(|kind| self.catalog.is_temporary(kind(source.relation)))
    }

    /// Binds a DROP VIEW.
    pub(super) fn drop_views(&mut self, syntax: &ast::Statement) -> Result<Statement> {
        let going = self.relations_to_drop(syntax, "view", |catalog, name| {
            catalog.view(name).map(|view| view.id)
        })?;
        let mut steps = self.without("view", &going, is_cascade(syntax))?;
        steps.extend(going.into_iter().map(|(id, _)| Step::DropView(id)));
        Ok(Statement::Structure(steps))
    }

    /// Binds an ALTER VIEW, which has the grammar of ALTER TABLE.
    pub(super) fn alter_view(&mut self, alter: &'a ast::AlterTable) -> Result<LogicalStatement> {
        let at = name::object_place(&alter.name);
        let relation = self.relation(&alter.name)?;
        if self.catalog.view(&relation).is_none() && self.relation_exists(&relation) {
            return Err(not_a_view(relation.name()).at(at));
        }
        let sets_default = |operation: &AlterTableOperation| {
            matches!(
                operation,
                AlterTableOperation::AlterColumn {
                    op: AlterColumnOperation::SetDefault { .. } | AlterColumnOperation::DropDefault,
                    ..
                }
            )
        };
        match alter.operations.iter().any(sets_default) {
            false => self.alter_table(alter),
            true => refuse("a default of a view's column", at),
        }
    }
}

fn not_a_view(name: &str) -> Error {
    sql_error!(WRONG_OBJECT_TYPE, "\"{name}\" is not a view")
}

/// Name and type of a column that a query shows.
pub(super) type Shown = (String, DataType);

/// The view's columns: called as it says, or else as the query does.
pub(super) fn named_columns(
    given: &[ast::ViewColumnDef],
    outputs: Vec<Shown>,
    at: Option<Position>,
) -> Result<Vec<ViewColumn>> {
    if given.len() > outputs.len() {
        let message = "CREATE VIEW specifies more column names than columns";
        return Err(Error::new(state::SYNTAX_ERROR, message).at(at));
    }
    let mut columns: Vec<ViewColumn> = Vec::with_capacity(outputs.len());
    for (position, (name, data_type)) in outputs.into_iter().enumerate() {
        let (name, at) = match given.get(position) {
            Some(column) => (name::fold(&column.name)?, place(column.name.span)),
            None => (name, at),
        };
        if columns.iter().any(|column| column.name == name) {
            let message = format!("column \"{name}\" specified more than once");
            return Err(Error::new(state::DUPLICATE_COLUMN, message).at(at));
        }
        refuse_records(&name, data_type, at)?;
        columns.push(ViewColumn { name, data_type });
    }
    Ok(columns)
}

/// What others may rely on of a view stays: its columns, with their names and types.
fn check_replacement(old: &ViewDef, new: &ViewDef) -> Result<()> {
    let refused = |message: String| Error::new(state::INVALID_TABLE_DEFINITION, message);
    if new.columns.len() < old.columns.len() {
        return Err(refused("cannot drop columns from view".to_owned()));
    }
    for (old, new) in old.columns.iter().zip(&new.columns) {
        if old.name != new.name {
            let (old, new) = (&old.name, &new.name);
            return Err(refused(format!(
                "cannot change name of view column \"{old}\" to \"{new}\""
            ))
            .with_hint(
                "Use ALTER VIEW ... RENAME COLUMN ... to change name of view column instead.",
            ));
        }
        if old.data_type != new.data_type {
            let (name, from, to) = (&old.name, old.data_type, new.data_type);
            return Err(refused(format!(
                "cannot change data type of view column \"{name}\" from {from} to {to}"
            )));
        }
    }
    Ok(())
}

fn refuse_changes(query: &ast::Query) -> Result<()> {
    let with = query.with.iter().flat_map(|with| &with.cte_tables);
    if !with.into_iter().any(|cte| changes(&cte.query).is_some()) {
        return Ok(());
    }
    let message = "views must not contain data-modifying statements in WITH";
    Err(Error::new(state::FEATURE_NOT_SUPPORTED, message))
}

fn refuse_clauses(create: &ast::CreateView, at: Option<Position>) -> Result<()> {
    let typed =
        |column: &ast::ViewColumnDef| column.data_type.is_some() || column.options.is_some();
    if create.if_not_exists {
        return Err(name::syntax_error("NOT", at));
    }
    let clauses = [(
        create.or_alter
            || create.secure
            || create.with_no_schema_binding
            || create.copy_grants
            || !create.cluster_by.is_empty()
            || create.comment.is_some()
            || create.to.is_some()
            || create.params.is_some()
            || create.columns.iter().any(typed),
        "this form of CREATE VIEW",
    )];
    match clauses.into_iter().find(|(there, _)| *there) {
        Some((_, what)) => refuse(what, at),
        None => Ok(()),
    }
}
