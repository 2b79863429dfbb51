//! FROM: tables and subqueries; joins are in `join`, functions in `table_function`.

use super::collation::of_def;
use super::computed_key::hidden_keys;
use super::expr::query_start;
use super::generated::of_moments;
use super::join::{cross, has_lateral, is_lateral};
use super::locking::Wanted;
use super::query::Relation;
use super::relation::CATALOG_PATH;
use super::scope::Scope;
use super::{Binder, name};
use crate::error::{Error, Position, Result, state};
use crate::function::Located;
use crate::function::host_table::HostTable;
use crate::parse::{given, place, refuse};
use crate::plan::lock::RowLock;
use crate::plan::logical::{Access, Logical, Scan};
use crate::plan::virtual_scan::VirtualScan;
use crate::plan::{Expr, ExprKind};
use crate::system::SystemTable;
use remora_storage::catalog::{Catalog, TableDef, TableEntry};
use remora_storage::{ColumnId, DataType, SchemaId, TypeId};
use sqlparser::ast::{self, TableFactor};
use std::sync::Arc;

/// Items of FROM in one statement, those of WITH queries counted each time they are named.
const FROM_ITEMS_MAX: usize = 1_000;

/// A plan and what names mean in it.
pub(super) struct Source {
    pub plan: Logical,
    pub scope: Scope,
    /// What is to be locked of its rows.
    pub rows: Vec<RowLock>,
}

impl Source {
    /// A plan whose rows need not be locked.
    pub(super) fn new(plan: Logical, scope: Scope) -> Self {
        let rows = Vec::new();
        Self { plan, scope, rows }
    }
}

impl<'a> Binder<'a> {
    /// The whole clause: comma-separated items make cross joins; nothing makes one row of a column
    /// that has no name.
    pub(super) fn from(&mut self, items: &'a [ast::TableWithJoins]) -> Result<Source> {
        let lateral = self.lateral.take();
        let whole = self.crossed_items(items);
        self.lateral = lateral;
        Ok(whole?.unwrap_or_else(|| {
            let row = Logical::one_row(&mut self.columns);
            Source::new(row, Scope::default())
        }))
    }

    fn crossed_items(&mut self, items: &'a [ast::TableWithJoins]) -> Result<Option<Source>> {
        let mut whole: Option<Source> = None;
        for item in items {
            let Some(left) = whole else {
                whole = Some(self.table_with_joins(item)?);
                continue;
            };
            let (right, outer) = match has_lateral(item) {
                true => self.alongside(&left.scope, |binder| binder.table_with_joins(item))?,
                false => (self.table_with_joins(item)?, Vec::new()),
            };
            whole = Some(cross(left, right, outer, factor_place(&item.relation))?);
        }
        Ok(whole)
    }

    fn table_with_joins(&mut self, item: &'a ast::TableWithJoins) -> Result<Source> {
        let mut source = self.factor(&item.relation)?;
        for join in &item.joins {
            let (right, outer) = match is_lateral(&join.relation) {
                true => self.alongside(&source.scope, |binder| binder.factor(&join.relation))?,
                false => (self.factor(&join.relation)?, Vec::new()),
            };
            source = self.join(source, right, join, outer)?;
        }
        Ok(source)
    }

    /// One item, without what is joined to it.
    pub(super) fn factor(&mut self, factor: &'a TableFactor) -> Result<Source> {
        let at = factor_place(factor);
        self.from_items += 1;
        if self.from_items > FROM_ITEMS_MAX {
            let message = format!("a statement can name at most {FROM_ITEMS_MAX} tables");
            return Err(Error::new(state::PROGRAM_LIMIT_EXCEEDED, message).at(at));
        }
        match factor {
            TableFactor::Table {
                name,
                alias,
                args: None,
                sample,
                with_ordinality: false,
                ..
            } => {
                let source = self.named(name, alias.as_ref(), at)?;
                match sample {
                    Some(sample) => self.sample(source, sample, at),
                    None => Ok(source),
                }
            }
            TableFactor::Derived {
                lateral,
                subquery,
                alias,
                sample: None,
            } => {
                let Some(alias) = alias else {
                    return Err(
                        sql_error!(SYNTAX_ERROR, "subquery in FROM must have an alias")
                            .with_hint("For example, FROM (SELECT ...) [AS] foo.")
                            .at(at),
                    );
                };
                let shown = name::fold(&alias.name)?;
                self.requests = self
                    .wanted_lock(&shown)
                    .iter()
                    .map(Wanted::within)
                    .collect();
                match lateral {
                    true => self.laterally(|b| b.subquery(subquery, &shown, Some(alias))),
                    false => self.subquery(subquery, &shown, Some(alias)),
                }
            }
            TableFactor::NestedJoin {
                table_with_joins,
                alias,
            } => {
                let mut source =
                    self.deeper(at, |binder| binder.table_with_joins(table_with_joins))?;
                if let Some(alias) = alias {
                    let shown = name::fold(&alias.name)?;
                    // What it is made of cannot be named any more.
                    source.scope.columns.retain(|column| column.bare);
                    source.scope.tables = vec![(shown.clone(), None)];
                    rename(&mut source.scope, Some(alias), &shown)?;
                }
                Ok(source)
            }
            TableFactor::Table {
                name,
                alias,
                args: Some(arguments),
                with_ordinality,
                sample: None,
                ..
            } if arguments.settings.is_none() => self.laterally(|binder| {
                let arguments = &arguments.args;
                binder.table_of_function(name, arguments, *with_ordinality, alias.as_ref())
            }),
            TableFactor::Function {
                name,
                args,
                with_ordinality,
                alias,
                ..
            } => self.laterally(|binder| {
                binder.table_of_function(name, args, *with_ordinality, alias.as_ref())
            }),
            TableFactor::UNNEST {
                alias,
                array_exprs,
                with_offset: false,
                with_ordinality,
                ..
            } => self.laterally(|binder| {
                binder.table_of_arrays(array_exprs, *with_ordinality, alias.as_ref())
            }),
            _ => refuse("this kind of item in FROM", at),
        }
    }

    fn named(
        &mut self,
        name: &'a ast::ObjectName,
        alias: Option<&ast::TableAlias>,
        at: Option<Position>,
    ) -> Result<Source> {
        let table = self.relation(name)?;
        let shown = match alias {
            Some(alias) => name::fold(&alias.name)?,
            None => table.name().to_owned(),
        };
        let with = match name.0.len() {
            1 => self
                .with
                .iter()
                .rposition(|(found, _)| found == table.name()),
            _ => None,
        };
        let wanted = self.wanted_lock(&shown);
        if name.0.len() == 1
            && with.is_none()
            && let Some(rows) = self.transition_table(table.name())
        {
            return self.derived(rows, &shown, alias);
        }
        if let Some(index) = with {
            if let Some(wanted) = &wanted {
                wanted.refuse_named("a WITH query")?;
            }
            let with = self.with[index].1;
            let mut source = self.with_query(with, &shown, at, Some(name))?;
            rename(&mut source.scope, alias, &shown)?;
            return Ok(source);
        }
        if let Some(entry) = self.catalog.sequence(&table) {
            let sequence = SystemTable::sequence(entry.def.id);
            let mut source = self.system(sequence, alias, &shown)?;
            // Its name is not that of its kind.
            source.scope.tables = vec![(shown.clone(), hidden(&shown, &table))];
            return Ok(source);
        }
        let stored = self.stored(&table);
        if wanted.is_some() && (stored.is_some() || self.catalog.view(&table).is_some()) {
            return refuse("locking the rows of a view, or within one", at);
        }
        if let Some(source) = stored {
            let mut source = self.stored_source(&source, &shown, at)?;
            rename(&mut source.scope, alias, &shown)?;
            return Ok(source);
        }
        if let Some(view) = self.catalog.view(&table) {
            let mut source = self.view(view, &shown, at)?;
            let numbers = source.scope.columns.iter().enumerate();
            let numbers = numbers.map(|(at, column)| (column.column, ColumnId(at as u32)));
            let numbers: Vec<_> = numbers.collect();
            self.note_source(&table, view.id, numbers.into_iter());
            source.scope.tables[0].1 = hidden(&shown, &table);
            rename(&mut source.scope, alias, &shown)?;
            source.scope.row_types = vec![(shown, TypeId(view.id.0))];
            return Ok(source);
        }
        let is_there = self.catalog.table(&table).is_some();
        if let Some(found) = self.host_table(&table).filter(|_| !is_there) {
            if let Some(wanted) = &wanted {
                wanted.refuse_named("a virtual table")?;
            }
            return self.virtual_table(&found, alias, &shown);
        }
        if let Some(system) = self.system_table(&table).filter(|_| !is_there) {
            if let Some(wanted) = &wanted {
                wanted.refuse_named("a system table")?;
            }
            return self.system(system, alias, &shown);
        }
        if let Some(view) = self.system_view(&table).filter(|_| !is_there) {
            if let Some(wanted) = &wanted {
                wanted.refuse_named("a system view")?;
            }
            let relation = self.stored_query(view.query, None, &CATALOG_PATH, at)?;
            return self.derived(relation, &shown, alias);
        }
        let entry = self.table(&table, at)?;
        self.refuse_unpopulated(&entry.def, at)?;
        if wanted.is_some() && entry.def.materialized.is_some() {
            let message = format!("cannot lock rows in materialized view \"{}\"", table.name());
            return Err(Error::new(state::WRONG_OBJECT_TYPE, message).at(at));
        }
        let mut scan = self.scan(&entry, wanted.is_some());
        scan.skips_locked = wanted.as_ref().is_some_and(Wanted::skips);
        let lock = (wanted.as_ref().zip(scan.row_id)).map(|(wanted, row)| wanted.lock(&entry, row));
        let named = scan.columns.iter().copied().zip(&entry.def.columns);
        let named = named.filter(|(_, column)| !column.is_hidden());
        self.note_source(&table, entry.def.id, named.map(|(column, _)| column));
        let mut scope = table_scope(&scan, shown.clone(), hidden(&shown, &table));
        rename(&mut scope, alias, &shown)?;
        scope.row_types = vec![(shown, TypeId(entry.def.id.0))];
        Ok(Source {
            plan: Logical::Scan(scan),
            scope,
            rows: lock.into_iter().collect(),
        })
    }

    fn system(
        &mut self,
        table: SystemTable,
        alias: Option<&ast::TableAlias>,
        shown: &str,
    ) -> Result<Source> {
        self.needs |= table.needs();
        self.shows_commits |= table.shows_commits();
        let columns = table.columns().iter().copied();
        self.unstored(table.name(), columns, alias, shown, |columns| {
            Logical::System { table, columns }
        })
    }

    fn virtual_table(
        &mut self,
        table: &Arc<HostTable>,
        alias: Option<&ast::TableAlias>,
        shown: &str,
    ) -> Result<Source> {
        let columns = table.columns.iter().map(|(name, of)| (name.as_str(), *of));
        self.unstored(&table.name, columns, alias, shown, |columns| {
            Logical::Virtual(VirtualScan {
                table: Arc::clone(table),
                columns,
                constraints: Vec::new(),
                filter: Vec::new(),
            })
        })
    }

    /// A table that is not in storage, whose columns each get a number.
    fn unstored<'n>(
        &mut self,
        table: &str,
        columns: impl Iterator<Item = (&'n str, DataType)>,
        alias: Option<&ast::TableAlias>,
        shown: &str,
        plan: impl FnOnce(Vec<(usize, usize)>) -> Logical,
    ) -> Result<Source> {
        let mut numbers = Vec::new();
        let columns = columns.enumerate().map(|(position, (name, data_type))| {
            let column = self.columns.add(name, data_type);
            numbers.push((column, position));
            (name.to_owned(), column, data_type)
        });
        let hides = (shown != table).then(|| table.to_owned());
        let mut scope = Scope::named(shown, hides, columns);
        rename(&mut scope, alias, shown)?;
        Ok(Source::new(plan(numbers), scope))
    }

    /// A table of the catalog.
    ///
    /// # Errors
    /// 42P01, with a guess at what was meant; 42809 for a system table, which can only be read.
    pub(super) fn table(&self, name: &Located, at: Option<Position>) -> Result<Arc<TableEntry>> {
        if let Some(entry) = self.catalog.table(name) {
            return Ok(Arc::clone(entry));
        }
        if self.catalog.sequence(name).is_some() {
            return Err(sql_error!(WRONG_OBJECT_TYPE, "cannot change sequence \"{name}\"").at(at));
        }
        if self.catalog.view(name).is_some() {
            return Err(sql_error!(WRONG_OBJECT_TYPE, "\"{name}\" is not a table").at(at));
        }
        if self.host_table(name).is_some() {
            let message = format!("\"{name}\" is a virtual table: it can only be read");
            return Err(Error::new(state::WRONG_OBJECT_TYPE, message).at(at));
        }
        if self.system_table(name).is_some() || self.system_view(name).is_some() {
            let message = format!("\"{name}\" is a system table: it can only be read");
            return Err(Error::new(state::WRONG_OBJECT_TYPE, message).at(at));
        }
        let error = sql_error!(UNDEFINED_TABLE, "relation \"{name}\" does not exist");
        let is_seen = |schema: SchemaId| self.path.schemas(self.catalog).any(|seen| seen == schema);
        let tables = self.catalog.tables().map(|entry| &entry.def);
        let tables = tables.filter(|table| is_seen(table.schema));
        let views = self.catalog.views().filter(|view| is_seen(view.schema));
        let names = tables.map(|table| table.name.as_str());
        let names = names.chain(views.map(|view| view.name.as_str()));
        let names = names.chain(SystemTable::suggestions());
        let error = match name::nearest(name.name(), names) {
            Some(near) => error.with_hint(format!(
                "Perhaps you meant to reference the table \"{near}\"."
            )),
            None => error,
        };
        Err(error.at(at))
    }

    /// A scan of all columns of a table, each with a new number.
    pub(super) fn scan(&mut self, entry: &Arc<TableEntry>, row_id: bool) -> Scan {
        self.shows_commits = true;
        let columns = entry.def.columns.iter();
        let columns = columns.map(|c| (self.columns.add(&c.name, c.data_type), c.id));
        let columns: Vec<(usize, ColumnId)> = columns.collect();
        for ((number, _), column) in columns.iter().zip(&entry.def.columns) {
            self.columns.collations.set(*number, of_def(column));
        }
        Scan {
            table: Arc::clone(entry),
            computed: keys_of(self.catalog, entry, &columns),
            row_id: row_id.then(|| self.columns.add("row id", DataType::BigInt)),
            filter: alive(&entry.def, &columns).into_iter().collect(),
            columns,
            skips_locked: false,
            read_max: None,
            access: Access::Table { bounds: Vec::new() },
        }
    }

    fn subquery(
        &mut self,
        query: &'a ast::Query,
        shown: &str,
        alias: Option<&ast::TableAlias>,
    ) -> Result<Source> {
        let at = query_start(query);
        let relation = self.deeper(at, |binder| binder.query(query, &[]))?;
        self.derived(relation, shown, alias)
    }

    /// A query as a table.
    pub(super) fn derived(
        &mut self,
        relation: Relation,
        shown: &str,
        alias: Option<&ast::TableAlias>,
    ) -> Result<Source> {
        let columns = relation.outputs.into_iter();
        let columns = columns.map(|output| (output.name, output.column, output.data_type));
        let mut scope = Scope::named(shown, None, columns);
        rename(&mut scope, alias, shown)?;
        Ok(Source {
            plan: relation.plan,
            scope,
            rows: relation.rows,
        })
    }
}

/// Which rows of a table are there, over the columns of a scan of it; `None` where none expire.
fn alive(table: &TableDef, columns: &[(usize, ColumnId)]) -> Option<Expr> {
    let expiry = table.expiry.as_ref()?;
    let (number, _) = *columns.iter().find(|(_, id)| *id == expiry.column)?;
    let column = &table.columns[table.position(expiry.column)?];
    let moment = DataType::TimestampTz;
    let now = of_moments("now", Vec::new(), moment);
    let expires = Expr::column(number, moment);
    let later = of_moments(">", vec![expires.clone(), now], DataType::Boolean);
    Some(match column.not_null {
        true => later,
        false => {
            let never = Expr::new(ExprKind::IsNull(Box::new(expires)), DataType::Boolean);
            Expr::new(ExprKind::Or(vec![never, later]), DataType::Boolean)
        }
    })
}

/// What a table's hidden columns are computed from, over the columns of a scan.
fn keys_of(
    catalog: &Catalog,
    entry: &TableEntry,
    columns: &[(usize, ColumnId)],
) -> Vec<(usize, Expr)> {
    // An expression that cannot be bound any more is no way to find rows.
    let keys = hidden_keys(catalog, &entry.def).unwrap_or_default();
    let keys = keys.into_iter().map(|(position, expr)| {
        let numbered =
            expr.replace_columns(&mut |at, data_type| Some(Expr::column(columns[at].0, data_type)));
        (columns[position].0, numbered)
    });
    keys.collect()
}

/// The name that an alias hides.
fn hidden(shown: &str, table: &Located) -> Option<String> {
    (shown != table.name()).then(|| table.name().to_owned())
}

/// What names mean in a scan.
pub(super) fn table_scope(scan: &Scan, shown: String, hides: Option<String>) -> Scope {
    let numbers = scan.columns.iter().map(|(number, _)| *number);
    let columns = numbers.zip(&scan.table.def.columns);
    let columns = columns.filter(|(_, column)| !column.is_hidden());
    let named = columns.clone();
    let named = named.map(|(number, column)| (column.name.clone(), number, column.data_type));
    Scope::named(&shown, hides, named).leaving_out(columns)
}

/// Applies `AS shown(a, b, ..)`.
pub(super) fn rename(
    scope: &mut Scope,
    alias: Option<&ast::TableAlias>,
    shown: &str,
) -> Result<()> {
    for column in &mut scope.columns {
        column.table = Some(shown.to_owned());
    }
    let Some(alias) = alias else {
        return Ok(());
    };
    scope.aliases.push(shown.to_owned());
    let (names, there) = (given(&alias.columns), scope.columns.len());
    let given = names.len();
    if given > there {
        let message = format!(
            "table \"{shown}\" has {there} columns available but {given} columns specified"
        );
        return Err(Error::new(state::INVALID_COLUMN_REFERENCE, message).at(place(alias.name.span)));
    }
    for (column, new) in scope.columns.iter_mut().zip(names) {
        column.name = name::fold(&new.name)?;
    }
    Ok(())
}

pub(super) fn factor_place(factor: &TableFactor) -> Option<Position> {
    match factor {
        TableFactor::Table { name, .. } | TableFactor::Function { name, .. } => {
            name::object_place(name)
        }
        TableFactor::Derived { subquery, .. } => query_start(subquery),
        TableFactor::NestedJoin {
            table_with_joins, ..
        } => match &table_with_joins.relation {
            TableFactor::Table { name, .. } => name::object_place(name),
            _ => None,
        },
        _ => None,
    }
}
