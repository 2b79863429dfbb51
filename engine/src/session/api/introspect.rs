//! Tables, views, indexes and sequences of a database for programs: their names, and the SQL that makes them again.

use crate::deparse::{all_sql, index_or_constraint, table_with_all, view_with_all};
use crate::error::Result;
use crate::function::{Located, RelationName, SearchPath, TypesShown};
use crate::plan::Field;
use crate::session::api::connection::Connection;
use remora_storage::catalog::{Catalog, ColumnDef, IndexEntry, TableEntry, ViewColumn};
use remora_storage::value::with_type_names;
use std::sync::Arc;

/// An index, for listings.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct IndexInfo {
    /// Its name.
    pub name: String,
    /// The table it is on.
    pub table: String,
    /// Whether it keeps keys from coming twice.
    pub unique: bool,
    /// The statement that makes it; for the index of a constraint, the constraint.
    pub sql: String,
}

/// All of it as the connection's next statement sees it, with what an open transaction has made.
impl Connection {
    /// The names of all tables, in order; not those that are temporary in other sessions.
    ///
    /// # Errors
    /// 55006 when called from within a call of the same connection.
    pub fn tables(&self) -> Result<Vec<String>> {
        let (catalog, path) = self.names()?;
        let tables = catalog.tables().map(|table| &table.def);
        let shown = tables.filter(|table| path.shows(table.schema) && table.materialized.is_none());
        Ok(shown.map(|table| table.name.clone()).collect())
    }

    /// The names of all sequences, in order.
    ///
    /// # Errors
    /// 55006 when called from within a call of the same connection.
    pub fn sequences(&self) -> Result<Vec<String>> {
        let (catalog, path) = self.names()?;
        let sequences = catalog.sequences().map(|sequence| &sequence.def);
        let shown = sequences.filter(|sequence| path.shows(sequence.schema));
        Ok(shown.map(|sequence| sequence.name.clone()).collect())
    }

    /// The names of all views, materialized ones too, in order.
    ///
    /// # Errors
    /// 55006 when called from within a call of the same connection.
    pub fn views(&self) -> Result<Vec<String>> {
        let (catalog, path) = self.names()?;
        let shown = catalog.views().filter(|view| path.shows(view.schema));
        let views = shown.map(|view| view.name.clone());
        let materialized = catalog.materialized().map(|(table, _)| &table.def);
        let materialized = materialized.filter(|table| path.shows(table.schema));
        let materialized = materialized.map(|table| table.name.clone());
        let mut names: Vec<String> = views.chain(materialized).collect();
        names.sort();
        Ok(names)
    }

    /// Names and types of the columns of a table or view.
    ///
    /// # Errors
    /// 42P01 where there is neither.
    pub fn columns(&self, table: &str) -> Result<Vec<Field>> {
        let (catalog, path) = self.names()?;
        if let Some(view) = catalog.view(&located(table, &catalog, &path)) {
            let columns = view.columns.iter();
            let field = |column: &ViewColumn| Field {
                name: column.name.clone(),
                data_type: column.data_type,
            };
            return Ok(columns.map(field).collect());
        }
        let entries = self.entries(Some(table))?;
        let columns = entries.iter().flat_map(|entry| entry.def.listed());
        let field = |(_, column): (usize, &ColumnDef)| Field {
            name: column.name.clone(),
            data_type: column.data_type,
        };
        Ok(columns.map(field).collect())
    }

    /// The indexes of a table, or of all.
    ///
    /// # Errors
    /// 42P01 where there is no such table.
    pub fn indexes(&self, table: Option<&str>) -> Result<Vec<IndexInfo>> {
        let entries = self.entries(table)?;
        let (catalog, _) = self.names()?;
        let indexes = entries.iter().flat_map(|entry| {
            let info = |index: &Arc<IndexEntry>| IndexInfo {
                name: index.def.name.clone(),
                table: entry.def.name.clone(),
                unique: index.def.is_unique(),
                sql: index_or_constraint(&catalog, &entry.def, &index.def),
            };
            entry.indexes.iter().map(info)
        });
        Ok(indexes.collect())
    }

    /// The statements that make a table or view, or all of them, with indexes and the sequences that tables
    /// take numbers from; of all, with all sequences and functions. What others refer to or name comes first,
    /// and sequences go on where they stand.
    ///
    /// ```
    /// # let db = remora::Database::in_memory()?;
    /// # let conn = db.connect()?;
    /// conn.execute("create table t (id bigint primary key, v varchar(3) default 'x')", [])?;
    /// assert_eq!(
    ///     conn.schema(Some("t"))?,
    ///     ["CREATE TABLE t (\n    \
    ///         id bigint NOT NULL,\n    \
    ///         v character varying(3) DEFAULT 'x',\n    \
    ///         CONSTRAINT t_pkey PRIMARY KEY (id)\n\
    ///     );"]
    /// );
    /// # Ok::<(), remora::Error>(())
    /// ```
    ///
    /// # Errors
    /// 42P01 where there is no such table.
    pub fn schema(&self, table: Option<&str>) -> Result<Vec<String>> {
        let (catalog, path) = self.names()?;
        let found = table.map(|name| located(name, &catalog, &path));
        // Nothing temporary is there to be made again, unless it is asked for.
        let catalog = match table {
            None => catalog.lasting(),
            Some(_) => catalog,
        };
        if let Some(view) = found.and_then(|name| catalog.view(&name)) {
            return view_with_all(&catalog, view);
        }
        let names = TypesShown::along(&catalog, None);
        with_type_names(names, || match table {
            None => all_sql(&catalog),
            Some(_) => table_with_all(&catalog, &self.entries(table)?),
        })
    }

    fn entries(&self, table: Option<&str>) -> Result<Vec<Arc<TableEntry>>> {
        let (catalog, path) = self.names()?;
        let Some(name) = table else {
            let shown = catalog
                .tables()
                .filter(|table| path.shows(table.def.schema));
            return Ok(shown.map(Arc::clone).collect());
        };
        match catalog.table(&located(name, &catalog, &path)) {
            Some(entry) => Ok(vec![Arc::clone(entry)]),
            None => Err(sql_error!(
                UNDEFINED_TABLE,
                "relation \"{name}\" does not exist"
            )),
        }
    }
}

/// What a name means, taken as it is.
fn located(name: &str, catalog: &Catalog, path: &SearchPath) -> Located {
    let written = RelationName {
        schema: None,
        name: name.to_owned(),
    };
    path.locate(catalog, written)
}
