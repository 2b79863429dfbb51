//! CREATE TABLE .. AS: the columns are those of a query.

use super::statement::Tagged;
use super::{Binder, name};
use crate::error::{Error, Result, state};
use crate::parse::{CreateTableAs, place, refuse};
use crate::plan::Statement;
use crate::plan::logical::{LogicalStatement, Query};
use remora_storage::ColumnId;
use remora_storage::catalog::{ColumnDef, TableDef};
use remora_storage::limits::COLUMNS_MAX;

impl<'a> Binder<'a> {
    /// Binds the statement. Where it makes a table with rows it counts as the query that gives them.
    pub(super) fn create_table_as(&mut self, create: &'a CreateTableAs) -> Result<Tagged> {
        let at = name::object_place(&create.name);
        if create.temporary {
            return refuse("a temporary table", at);
        }
        if create.unlogged {
            return refuse("an unlogged table", at);
        }
        let table_name = name::relation(&create.name)?;
        if self.relation_exists(&table_name) {
            if create.if_not_exists && self.catalog.has_name(&table_name) {
                let nothing = LogicalStatement::Done(Statement::Structure(Vec::new()));
                return Ok((nothing, "CREATE TABLE AS"));
            }
            let message = format!("relation \"{table_name}\" already exists");
            return Err(Error::new(state::DUPLICATE_TABLE, message).at(at));
        }
        let query = self.query(&create.query, &[])?;
        if create.columns.len() > query.outputs.len() {
            let message = "too many column names were specified";
            let extra = &create.columns[query.outputs.len()];
            return Err(Error::new(state::SYNTAX_ERROR, message).at(place(extra.span)));
        }
        if query.outputs.is_empty() {
            return refuse("a table without columns", at);
        }
        if query.outputs.len() > COLUMNS_MAX {
            let message = format!("tables can have at most {COLUMNS_MAX} columns");
            return Err(Error::new(state::TOO_MANY_COLUMNS, message).at(at));
        }
        let mut table = TableDef::new(table_name, Vec::new());
        for (position, output) in query.outputs.iter().enumerate() {
            let column = match create.columns.get(position) {
                Some(ident) => name::fold(ident)?,
                None => output.name.clone(),
            };
            if table.column(&column).is_some() {
                let message = format!("column \"{column}\" specified more than once");
                return Err(Error::new(state::DUPLICATE_COLUMN, message));
            }
            let id = ColumnId(u32::try_from(position).expect("columns are few"));
            table
                .columns
                .push(ColumnDef::new(id, column, output.data_type));
        }
        let tag = match create.with_data {
            true => "SELECT",
            false => "CREATE TABLE AS",
        };
        let rows = create.with_data.then(|| Query::from(query));
        Ok((LogicalStatement::CreateTableAs(table, rows), tag))
    }
}
