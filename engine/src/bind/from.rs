//! FROM: tables and subqueries; joins are in `join`, functions in `table_function`.

use super::expr::query_start;
use super::join::{cross, has_lateral, is_lateral};
use super::locking::Wanted;
use super::query::Relation;
use super::scope::{Scope, ScopeColumn};
use super::{Binder, name};
use crate::error::{Error, Position, Result, state};
use crate::parse::{place, refuse};
use crate::plan::Expr;
use crate::plan::lock::RowLock;
use crate::plan::logical::{Access, Logical, Scan};
use crate::plan::system::SystemTable;
use remora_storage::catalog::TableEntry;
use remora_storage::{ColumnId, DataType, Value};
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

impl<'a> Binder<'a> {
    /// The whole clause: comma-separated items make cross joins; nothing makes one row of a column
    /// that has no name.
    pub(super) fn from(&mut self, items: &'a [ast::TableWithJoins]) -> Result<Source> {
        let lateral = self.lateral.take();
        let whole = self.crossed_items(items);
        self.lateral = lateral;
        Ok(whole?.unwrap_or_else(|| {
            let row = Expr::literal(Value::Boolean(true), DataType::Boolean);
            Source {
                plan: Logical::Values {
                    columns: vec![self.columns.add("", DataType::Boolean)],
                    rows: vec![vec![row]],
                },
                scope: Scope::default(),
                rows: Vec::new(),
            }
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
                sample: None,
                with_ordinality: false,
                ..
            } => self.named(name, alias.as_ref(), at),
            TableFactor::Derived {
                lateral,
                subquery,
                alias,
                sample: None,
            } => {
                let Some(alias) = alias else {
                    return Err(Error::new(
                        state::SYNTAX_ERROR,
                        "subquery in FROM must have an alias",
                    )
                    .with_hint("For example, FROM (SELECT ...) [AS] foo.")
                    .at(at));
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
            _ => refuse("this kind of item in FROM", at),
        }
    }

    fn named(
        &mut self,
        name: &ast::ObjectName,
        alias: Option<&ast::TableAlias>,
        at: Option<Position>,
    ) -> Result<Source> {
        let table = name::relation(name)?;
        let shown = match alias {
            Some(alias) => name::fold(&alias.name)?,
            None => table.clone(),
        };
        let with = match name.0.len() {
            1 => self.with.iter().rposition(|(found, _)| *found == table),
            _ => None,
        };
        let wanted = self.wanted_lock(&shown);
        if let Some(index) = with {
            if let Some(wanted) = &wanted {
                wanted.refuse_named("a WITH query")?;
            }
            let with = self.with[index].1;
            let mut source = self.with_query(with, &shown, at)?;
            rename(&mut source.scope, alias, &shown)?;
            return Ok(source);
        }
        if let Some(entry) = self.catalog.sequence(&table) {
            self.uses_sequences = true;
            let sequence = SystemTable::Sequence(entry.def.id);
            let mut source = self.system(sequence, alias, &shown)?;
            // Its name is not that of its kind.
            let hides = (shown != table).then_some(table);
            source.scope.tables = vec![(shown, hides)];
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
            source.scope.tables[0].1 = (shown != table).then_some(table);
            rename(&mut source.scope, alias, &shown)?;
            return Ok(source);
        }
        let system = SystemTable::named(&table).filter(|_| self.catalog.table(&table).is_none());
        if let Some(system) = system {
            if let Some(wanted) = &wanted {
                wanted.refuse_named("a system table")?;
            }
            return self.system(system, alias, &shown);
        }
        let entry = self.table(&table, at)?;
        let mut scan = self.scan(&entry, wanted.is_some());
        scan.skips_locked = wanted.as_ref().is_some_and(Wanted::skips);
        let lock = (wanted.as_ref().zip(scan.row_id)).map(|(wanted, row)| wanted.lock(&entry, row));
        self.note_source(&table, entry.def.id, scan.columns.iter().copied());
        let hides = (shown != table).then_some(table);
        let mut scope = table_scope(&scan, shown.clone(), hides);
        rename(&mut scope, alias, &shown)?;
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
        // Whoever looks what is at risk must not make it durable by looking.
        self.shows_commits |= table != SystemTable::Durability;
        let mut scope = Scope::default();
        let mut columns = Vec::new();
        for (position, (name, data_type)) in table.columns().iter().enumerate() {
            let column = self.columns.add(*name, *data_type);
            columns.push((column, position));
            scope.columns.push(ScopeColumn {
                table: Some(shown.to_owned()),
                name: (*name).to_owned(),
                column,
                data_type: *data_type,
                bare: true,
            });
        }
        let hides = (shown != table.name()).then(|| table.name().to_owned());
        scope.tables.push((shown.to_owned(), hides));
        rename(&mut scope, alias, shown)?;
        Ok(Source {
            plan: Logical::System { table, columns },
            scope,
            rows: Vec::new(),
        })
    }

    /// A table of the catalog.
    ///
    /// # Errors
    /// 42P01, with a guess at what was meant; 42809 for a system table, which can only be read.
    pub(super) fn table(&self, name: &str, at: Option<Position>) -> Result<Arc<TableEntry>> {
        if let Some(entry) = self.catalog.table(name) {
            return Ok(Arc::clone(entry));
        }
        if self.catalog.sequence(name).is_some() {
            let message = format!("cannot change sequence \"{name}\"");
            return Err(Error::new(state::WRONG_OBJECT_TYPE, message).at(at));
        }
        if self.catalog.view(name).is_some() {
            let message = format!("\"{name}\" is not a table");
            return Err(Error::new(state::WRONG_OBJECT_TYPE, message).at(at));
        }
        if SystemTable::named(name).is_some() {
            let message = format!("\"{name}\" is a system table: it can only be read");
            return Err(Error::new(state::WRONG_OBJECT_TYPE, message).at(at));
        }
        let error = Error::new(
            state::UNDEFINED_TABLE,
            format!("relation \"{name}\" does not exist"),
        );
        let names = self.catalog.tables().map(|entry| entry.def.name.as_str());
        let views = self.catalog.views().map(|view| view.name.as_str());
        let names = names.chain(views);
        let names = names.chain(SystemTable::ALL.map(SystemTable::name));
        let error = match name::nearest(name, names) {
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
        let columns = columns.collect();
        Scan {
            table: Arc::clone(entry),
            columns,
            row_id: row_id.then(|| self.columns.add("row id", DataType::BigInt)),
            filter: Vec::new(),
            skips_locked: false,
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
        let columns = relation.outputs.into_iter().map(|output| ScopeColumn {
            table: Some(shown.to_owned()),
            name: output.name,
            column: output.column,
            data_type: output.data_type,
            bare: true,
        });
        let mut scope = Scope {
            columns: columns.collect(),
            tables: vec![(shown.to_owned(), None)],
        };
        rename(&mut scope, alias, shown)?;
        Ok(Source {
            plan: relation.plan,
            scope,
            rows: relation.rows,
        })
    }
}

/// What names mean in a scan.
pub(super) fn table_scope(scan: &Scan, shown: String, hides: Option<String>) -> Scope {
    let columns = scan.columns.iter().zip(&scan.table.def.columns);
    let columns = columns.map(|((number, _), column)| ScopeColumn {
        table: Some(shown.clone()),
        name: column.name.clone(),
        column: *number,
        data_type: column.data_type,
        bare: true,
    });
    Scope {
        columns: columns.collect(),
        tables: vec![(shown, hides)],
    }
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
    let (given, there) = (alias.columns.len(), scope.columns.len());
    if given > there {
        let message = format!(
            "table \"{shown}\" has {there} columns available but {given} columns specified"
        );
        return Err(Error::new(state::INVALID_COLUMN_REFERENCE, message).at(place(alias.name.span)));
    }
    for (column, new) in scope.columns.iter_mut().zip(&alias.columns) {
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
