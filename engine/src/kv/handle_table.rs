//! Tables that a handle makes where they are not there, and checks where they are.

use crate::error::{Error, Result, state};
use crate::function::quoted;
use crate::session::Connection;
use remora_storage::DataType;

/// A table as a handle wants it.
pub(crate) struct HandleTable<'t> {
    pub(crate) name: &'t str,
    /// The kind of table, as error messages name it.
    pub(crate) kind: &'static str,
}

impl HandleTable<'_> {
    /// Whether there is a table of this name.
    pub(crate) fn is_there(&self, conn: &Connection) -> Result<bool> {
        match conn.prepare(&format!("SELECT FROM {}", quoted(self.name))) {
            Ok(_) => Ok(true),
            Err(error) if error.sqlstate() == state::UNDEFINED_TABLE => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Runs the statements that make the table. Another session may make it at the same time.
    pub(crate) fn make(&self, conn: &Connection, create: &str) -> Result<()> {
        conn.execute_batch(create)
            .or_else(|error| match error.sqlstate() {
                state::DUPLICATE_TABLE | state::SERIALIZATION_FAILURE => Ok(()),
                _ => Err(error),
            })
    }

    /// Checks that the columns which `select` gives are of the types wanted, and that the other statements can be run.
    ///
    /// # Errors
    /// 42809 where that is not so.
    pub(crate) fn check(
        &self,
        conn: &Connection,
        select: &str,
        wanted: &[DataType],
        others: &[&str],
    ) -> Result<()> {
        let found = conn
            .prepare(select)
            .map_err(|error| self.other(&error.to_string()))?;
        for (column, wanted) in found.columns().iter().zip(wanted) {
            if column.data_type != *wanted {
                return Err(self.other(&format!(
                    "column \"{}\" is of type {}, not {wanted}",
                    column.name, column.data_type
                )));
            }
        }
        others.iter().try_for_each(|text| {
            let prepared = conn.prepare(text);
            prepared
                .map(drop)
                .map_err(|error| self.other(&error.to_string()))
        })
    }

    fn other(&self, why: &str) -> Error {
        sql_error!(
            WRONG_OBJECT_TYPE,
            "\"{}\" is not a {}: {why}",
            self.name,
            self.kind
        )
        .with_hint(format!(
            "Take another name, or let the handle make the {}.",
            self.kind
        ))
    }
}
