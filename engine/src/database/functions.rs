//! Functions and tables of the host that every connection to come begins with.

use super::Database;
use crate::error::Result;
use crate::function::host::{HostFunctions, HostKernel};
use crate::function::host_table::{RowStream, VTab};
use crate::session::host::{
    declared, declared_aggregate, declared_rows, declared_table, host_functions, over_values,
};
use crate::session::{AggregateFunction, FunctionContext, FunctionFlags, ToSql};
use arrow_array::ArrayRef;
use remora_storage::DataType;

host_functions!(Database {
    /// As [`Connection::create_scalar_function`](crate::Connection::create_scalar_function), for all connections
    /// that are made from now on.
    ///
    /// ```
    /// use remora::{DataType, FunctionFlags};
    /// # let db = remora::Database::in_memory()?;
    /// let (integer, flags) = (DataType::Integer, FunctionFlags::DETERMINISTIC);
    /// db.create_scalar_function("plus_one", &[integer], integer, flags, |context| {
    ///     Ok(context.get::<i32>(0)? + 1)
    /// })?;
    /// let n: i32 = db.connect()?.query_row("SELECT plus_one(41)", [], |row| row.get(0))?;
    /// assert_eq!(n, 42);
    /// # Ok::<(), remora::Error>(())
    /// ```
    ///
    /// # Errors
    /// 42P13 where a type has a modifier, or the name is empty.
    scalar;

    /// As [`Connection::create_batch_function`](crate::Connection::create_batch_function), for all connections
    /// that are made from now on.
    ///
    /// # Errors
    /// As [`Database::create_scalar_function`].
    batch;

    /// As [`Connection::create_aggregate_function`](crate::Connection::create_aggregate_function), for all
    /// connections that are made from now on.
    ///
    /// # Errors
    /// 42P13
    aggregate;

    /// As [`Connection::create_table_function`](crate::Connection::create_table_function), for all connections
    /// that are made from now on.
    ///
    /// # Errors
    /// 42P13
    rows;

    /// As [`Connection::create_virtual_table`](crate::Connection::create_virtual_table), for all connections that
    /// are made from now on.
    ///
    /// # Errors
    /// 42P16, 42701, 38000
    table;

    /// Connections that are made from now on do not have a function.
    ///
    /// # Errors
    /// None.
    remove;

    /// Connections that are made from now on do not have a virtual table.
    ///
    /// # Errors
    /// None.
    remove_table;
});

impl Database {
    fn change_host(&self, change: impl FnOnce(&HostFunctions) -> HostFunctions) -> Result<()> {
        let mut host = self.sessions.host.lock();
        *host = change(&host);
        Ok(())
    }
}
