//! CREATE TABLE .. AS: the columns are those of a query.

use super::record::refuse_records;
use super::statement::Tagged;
use super::storage_parameter::test_of_table;
use super::table::{new_table, on_commit};
use super::{Binder, name};
use crate::error::{Error, Result, state};
use crate::parse::{CreateTableAs, place, refuse};
use crate::plan::Statement;
use crate::plan::logical::{LogicalStatement, Query};
use remora_storage::ColumnId;
use remora_storage::catalog::{ColumnDef, TableDef};
use remora_storage::limits::COLUMNS_MAX;
use sqlparser::ast::CreateTableOptions;

impl<'a> Binder<'a> {
    /// Binds the statement. Where it makes a table with rows it counts as the query that gives them.
    pub(super) fn create_table_as(&mut self, create: &'a CreateTableAs) -> Result<Tagged> {
        let at = name::object_place(&create.name);
        let located = self.new_relation(&create.name, create.temporary)?;
        if self.relation_exists(&located) {
            if create.if_not_exists && self.catalog.has_name(&located) {
                let nothing = LogicalStatement::Done(Statement::Structure(Vec::new()));
                return Ok((nothing, "CREATE TABLE AS"));
            }
            let message = format!("relation \"{}\" already exists", located.name());
            return Err(Error::new(state::DUPLICATE_TABLE, message).at(at));
        }
        self.outermost = Some(&create.query);
        let query = self.changing(|binder| binder.query(&create.query, &[]))?;
        test_of_table(&CreateTableOptions::With(create.options.clone()), at)?;
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
        let mut table = TableDef {
            on_commit: on_commit(create.on_commit, located.schema, at)?,
            unlogged: create.unlogged,
            ..new_table(located)
        };
        for (position, output) in query.outputs.iter().enumerate() {
            let column = match create.columns.get(position) {
                Some(ident) => name::fold(ident)?,
                None => output.name.clone(),
            };
            if table.column(&column).is_some() {
                let message = format!("column \"{column}\" specified more than once");
                return Err(Error::new(state::DUPLICATE_COLUMN, message));
            }
            refuse_records(&column, output.data_type, at)?;
            self.refuse_row_type(output.data_type, at)?;
            let id = ColumnId(u32::try_from(position).expect("columns are few"));
            let mut column = ColumnDef::new(id, column, output.data_type);
            column.collation = self.collation_kept(&column, output.column)?;
            table.columns.push(column);
        }
        let tag = match create.with_data {
            true => "SELECT",
            false => "CREATE TABLE AS",
        };
        let rows = create.with_data.then(|| Query::from(query));
        Ok((LogicalStatement::CreateTableAs(table, rows), tag))
    }
}
