//! Scopes: which columns a name can mean at a place in a query.
//!
//! A scope is a list of columns in the order of `SELECT *`. Each knows the table (or alias) it can
//! be qualified with and whether it can be named without. `JOIN .. USING` makes the two columns
//! reachable by qualification only and puts one merged column in front.

use super::name;
use crate::error::{Error, Position, Result, state};
use remora_storage::catalog::ColumnDef;
use remora_storage::{DataType, TypeId};

/// A column that can be named.
#[derive(Clone, Debug)]
pub(crate) struct ScopeColumn {
    /// The table or alias it can be qualified with; `None` for a merged column.
    pub table: Option<String>,
    /// Its name.
    pub name: String,
    /// Its number.
    pub column: usize,
    /// Its type.
    pub data_type: DataType,
    /// Whether it can be named without its table, and is part of `*` unless it is `unlisted`.
    pub bare: bool,
}

/// The columns that can be named at a place, and the tables.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scope {
    /// In the order of `*`.
    pub columns: Vec<ScopeColumn>,
    /// Each table or alias, even if it has no columns; beside it the table that an alias hides.
    pub tables: Vec<(String, Option<String>)>,
    /// Those of them that are aliases: no schema goes before these.
    pub aliases: Vec<String>,
    /// The type of the rows of those that have one.
    pub row_types: Vec<(String, TypeId)>,
    /// The numbers of columns that can be named, but are no part of any `*`.
    pub unlisted: Vec<usize>,
}

impl ScopeColumn {
    /// A column that can be named without its table.
    pub(crate) fn new(
        table: Option<String>,
        name: String,
        column: usize,
        data_type: DataType,
    ) -> Self {
        Self {
            table,
            name,
            column,
            data_type,
            bare: true,
        }
    }
}

impl Scope {
    /// Columns of one table or alias, which hides another name: what each is called, its number and type.
    pub(crate) fn named(
        table: &str,
        hides: Option<String>,
        columns: impl Iterator<Item = (String, usize, DataType)>,
    ) -> Self {
        let columns = columns.map(|(name, column, data_type)| {
            ScopeColumn::new(Some(table.to_owned()), name, column, data_type)
        });
        Self::of(table.to_owned(), hides, columns)
    }

    /// The columns of one table or alias, which hides another name.
    pub(crate) fn of(
        table: String,
        hides: Option<String>,
        columns: impl IntoIterator<Item = ScopeColumn>,
    ) -> Self {
        Self {
            columns: columns.into_iter().collect(),
            tables: vec![(table, hides)],
            ..Self::default()
        }
    }

    /// Leaves columns out of `*` that are unlisted in their table; `columns` are this scope's with their numbers.
    pub(crate) fn leaving_out<'c>(
        mut self,
        columns: impl IntoIterator<Item = (usize, &'c ColumnDef)>,
    ) -> Self {
        let unlisted = columns.into_iter().filter(|(_, column)| column.unlisted);
        self.unlisted.extend(unlisted.map(|(number, _)| number));
        self
    }

    /// Puts another scope behind this one.
    ///
    /// # Errors
    /// 42712 where a table or alias is in both.
    pub(crate) fn append(&mut self, other: Scope, at: Option<Position>) -> Result<()> {
        for (table, _) in &other.tables {
            if self.has_table(table) {
                let message = format!("table name \"{table}\" specified more than once");
                return Err(Error::new(state::DUPLICATE_ALIAS, message).at(at));
            }
        }
        self.columns.extend(other.columns);
        self.tables.extend(other.tables);
        self.aliases.extend(other.aliases);
        self.row_types.extend(other.row_types);
        self.unlisted.extend(other.unlisted);
        Ok(())
    }

    /// Whether a table or alias of the name is here.
    pub(crate) fn has_table(&self, table: &str) -> bool {
        self.tables.iter().any(|(found, _)| found == table)
    }

    /// The type of the rows of a table or alias, where it is that of a relation.
    pub(crate) fn row_type(&self, table: &str) -> Option<TypeId> {
        let found = self.row_types.iter().find(|(name, _)| name == table);
        found.map(|(_, id)| *id)
    }

    /// The columns of `*`.
    pub(crate) fn star(&self) -> impl Iterator<Item = &ScopeColumn> {
        let listed = |column: &&ScopeColumn| !self.unlisted.contains(&column.column);
        self.bare().filter(listed)
    }

    /// The columns that can be named without their table.
    fn bare(&self) -> impl Iterator<Item = &ScopeColumn> {
        self.columns.iter().filter(|column| column.bare)
    }

    /// The columns of `table.*`.
    pub(crate) fn table_star<'a, 't>(
        &'a self,
        table: &'t str,
    ) -> impl Iterator<Item = &'a ScopeColumn> + use<'a, 't> {
        let listed = |column: &&ScopeColumn| !self.unlisted.contains(&column.column);
        self.columns_of(table).filter(listed)
    }

    /// The columns that can be named with this table.
    fn columns_of<'a, 't>(
        &'a self,
        table: &'t str,
    ) -> impl Iterator<Item = &'a ScopeColumn> + use<'a, 't> {
        (self.columns.iter()).filter(move |column| column.table.as_deref() == Some(table))
    }

    /// The column that a bare name means, if any does.
    ///
    /// # Errors
    /// 42702 where several do.
    pub(crate) fn find(&self, name: &str, at: Option<Position>) -> Result<Option<&ScopeColumn>> {
        let mut found = self.bare().filter(|column| column.name == name);
        let first = found.next();
        if found.next().is_some() {
            return Err(ambiguous(name).at(at));
        }
        Ok(first)
    }

    /// The column that a bare name means.
    ///
    /// # Errors
    /// 42702, 42703.
    pub(crate) fn resolve(&self, name: &str, at: Option<Position>) -> Result<&ScopeColumn> {
        let found = self.find(name, at)?;
        found.ok_or_else(|| {
            self.unknown(format!("column \"{name}\" does not exist"), name)
                .at(at)
        })
    }

    /// The column that `table.name` means.
    ///
    /// # Errors
    /// 42P01, 42702, 42703.
    pub(crate) fn resolve_qualified(
        &self,
        table: &str,
        name: &str,
        at: Option<Position>,
    ) -> Result<&ScopeColumn> {
        if !self.has_table(table) {
            return Err(self.unknown_table(table).at(at));
        }
        let mut found = self.columns_of(table).filter(|column| column.name == name);
        match (found.next(), found.next()) {
            (Some(column), None) => Ok(column),
            (Some(_), Some(_)) => Err(ambiguous(name).at(at)),
            (None, _) => Err(self
                .unknown(format!("column {table}.{name} does not exist"), name)
                .at(at)),
        }
    }

    /// The complaint about a qualification that is no table of the query.
    pub(crate) fn unknown_table(&self, table: &str) -> Error {
        let hidden = (self.tables.iter()).find(|(_, hides)| hides.as_deref() == Some(table));
        match hidden {
            Some((alias, _)) => sql_error!(
                UNDEFINED_TABLE,
                "invalid reference to FROM-clause entry for table \"{table}\""
            )
            .with_hint(format!(
                "Perhaps you meant to reference the table alias \"{alias}\"."
            )),
            None => sql_error!(
                UNDEFINED_TABLE,
                "missing FROM-clause entry for table \"{table}\""
            ),
        }
    }

    fn unknown(&self, message: String, name: &str) -> Error {
        let error = Error::new(state::UNDEFINED_COLUMN, message);
        let names = self.columns.iter().map(|column| column.name.as_str());
        let Some(near) = name::nearest(name, names) else {
            return error;
        };
        let table = self
            .columns
            .iter()
            .find(|column| column.name == near)
            .and_then(|column| column.table.as_ref());
        let near = match table {
            Some(table) => format!("{table}.{near}"),
            None => near.to_owned(),
        };
        error.with_hint(format!(
            "Perhaps you meant to reference the column \"{near}\"."
        ))
    }
}

fn ambiguous(name: &str) -> Error {
    sql_error!(AMBIGUOUS_COLUMN, "column reference \"{name}\" is ambiguous")
}
