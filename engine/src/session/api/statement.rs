//! Prepared statements.

use super::connection::Connection;
use super::export;
use super::rows::{MappedRows, Row, Rows, first_row, no_row};
use crate::error::{Result, state};
use crate::plan::Field;
use crate::session::Params;
use crate::session::execute::dispatch::{Output, Pipe};
use crate::session::plans::call::Call;
use crate::session::plans::prepared::Prepared;
use arrow_array::RecordBatch;
use remora_storage::DataType;

/// A statement that was parsed and planned once, to be run many times. It is planned again by
/// itself after a change of the schema.
///
/// ```
/// # use remora::params;
/// # let db = remora::Database::in_memory()?;
/// # let conn = db.connect()?;
/// conn.execute("CREATE TABLE t (id BIGINT PRIMARY KEY, v TEXT)", [])?;
/// let mut insert = conn.prepare("INSERT INTO t VALUES ($1, $2)")?;
/// for (id, v) in [(1_i64, "one"), (2, "two")] {
///     assert_eq!(insert.execute(params![id, v])?, 1);
/// }
/// # Ok::<(), remora::Error>(())
/// ```
// No Drop here: it would stretch the borrow of the connection to the end of the scope, and
// `Connection::transaction` could not be called while a prepared statement is about.
#[derive(Debug)]
pub struct Statement<'conn> {
    connection: &'conn Connection,
    prepared: Prepared,
    call: Box<Call>,
}

impl<'conn> Statement<'conn> {
    pub(in crate::session) fn new(
        connection: &'conn Connection,
        prepared: Prepared,
        call: Box<Call>,
    ) -> Self {
        Self {
            connection,
            prepared,
            call,
        }
    }

    pub(in crate::session) fn into_call(self) -> Box<Call> {
        self.call
    }

    /// Whether its parameters stand for the literals of a text.
    pub(in crate::session) fn is_of_literals(&self) -> bool {
        self.prepared.is_of_literals()
    }

    /// Whether it can go the short way of few rows.
    #[cfg(test)]
    pub(in crate::session) fn is_read_by_key(&self) -> bool {
        self.prepared.plan.point.is_some()
    }

    /// Its plan, as it is debugged.
    #[cfg(test)]
    pub(in crate::session) fn shape(&self) -> String {
        format!("{:?}", self.prepared.plan.planned.statement)
    }

    /// Runs the statement and returns the number of rows it changed (0 for a query, whose rows
    /// are not looked at).
    ///
    /// # Errors
    /// What the statement meets; 08P01 where the number of parameters is wrong.
    pub fn execute(&mut self, params: impl Params) -> Result<usize> {
        self.call.give(params)?;
        self.run()
    }

    /// Runs it with the parameters that it has.
    pub(in crate::session) fn run(&mut self) -> Result<usize> {
        let (prepared, call) = (&mut self.prepared, &mut self.call);
        self.connection.with_session(|session| {
            let done = session.step(prepared, call, &mut Pipe::None)?;
            if let Output::Cursor(mut cursor) = done.output {
                while cursor.next()?.is_some() {}
            }
            Ok(usize::try_from(done.changes).unwrap_or(usize::MAX))
        })
    }

    /// Runs the statement and returns its rows (none, where it is no query).
    ///
    /// # Errors
    /// As for [`Statement::execute`].
    pub fn query(&mut self, params: impl Params) -> Result<Rows<'_>> {
        self.call.collect(params)?;
        let place = self.call.given_and_rows();
        if let Some(found) = self.connection.read_by_key(&mut self.prepared, place) {
            let columns = self.prepared.plan.columns.as_deref().unwrap_or_default();
            return Ok(Rows::in_place(
                self.connection,
                columns,
                found,
                &mut self.call.rows,
            ));
        }
        self.call.take_collected();
        self.rows()
    }

    /// Its rows with the parameters that it has.
    fn rows(&mut self) -> Result<Rows<'_>> {
        let (prepared, call) = (&mut self.prepared, &mut self.call);
        let done = self
            .connection
            .with_session(|session| session.step(prepared, call, &mut Pipe::None))?;
        Ok(self.shown(done.output))
    }

    #[inline]
    fn shown(&mut self, output: Output) -> Rows<'_> {
        let columns = self.prepared.plan.columns.as_deref().unwrap_or_default();
        Rows::new(self.connection, columns, output, &mut self.call.rows)
    }

    /// Runs the query and gives each row through `f`.
    ///
    /// ```
    /// # let db = remora::Database::in_memory()?;
    /// # let conn = db.connect()?;
    /// let mut statement = conn.prepare("VALUES (1), (2)")?;
    /// let numbers = statement.query_map([], |row| row.get::<_, i32>(0))?;
    /// assert_eq!(numbers.collect::<remora::Result<Vec<_>>>()?, [1, 2]);
    /// # Ok::<(), remora::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`Statement::execute`].
    pub fn query_map<T, F>(&mut self, params: impl Params, f: F) -> Result<MappedRows<'_, F>>
    where
        F: FnMut(&Row<'_>) -> Result<T>,
    {
        Ok(self.query(params)?.mapped(f))
    }

    /// Runs the query and gives its first row through `f`.
    ///
    /// # Errors
    /// 02000 where there is no row (see [`crate::session::OptionalExtension`]), else as for
    /// [`Statement::execute`].
    pub fn query_row<T>(
        &mut self,
        params: impl Params,
        f: impl FnOnce(&Row<'_>) -> Result<T>,
    ) -> Result<T> {
        self.call.collect(params)?;
        let place = self.call.given_and_rows();
        if let Some(found) = self.connection.read_by_key(&mut self.prepared, place) {
            return self.first_of(found, f);
        }
        self.call.take_collected();
        self.row_of_rows(f)
    }

    /// Its rows as record batches, with the parameters that it has.
    pub(in crate::session) fn arrow(&mut self) -> Result<Vec<RecordBatch>> {
        let (prepared, call) = (&mut self.prepared, &mut self.call);
        self.connection.with_session(|session| {
            // Before it does anything.
            if prepared.plan.columns.is_none() {
                return Err(sql_error!(
                    SYNTAX_ERROR,
                    "{} gives no rows",
                    prepared.plan.planned.tag
                ));
            }
            let done = session.step(prepared, call, &mut Pipe::None)?;
            let columns = prepared.plan.columns.as_deref().unwrap_or_default();
            let schema = export::schema(columns);
            let mut batches = Vec::new();
            match done.output {
                Output::Cursor(mut cursor) => {
                    while let Some(batch) = cursor.next()? {
                        batches.push(export::batch(&batch, columns, &schema)?);
                    }
                }
                Output::Point(true) => {
                    let row = std::slice::from_ref(&call.rows);
                    batches.push(export::rows(row, columns, &schema)?);
                }
                Output::List(rows) => batches.push(export::rows(&rows, columns, &schema)?),
                Output::None | Output::Point(false) => {}
            }
            Ok(batches)
        })
    }

    /// Its first row with the parameters that it has.
    pub(in crate::session) fn first_row<T>(
        &mut self,
        f: impl FnOnce(&Row<'_>) -> Result<T>,
    ) -> Result<T> {
        let place = self.call.parameters_and_rows();
        match self.connection.read_by_key(&mut self.prepared, place) {
            Some(found) => self.first_of(found, f),
            None => self.row_of_rows(f),
        }
    }

    #[inline]
    fn first_of<T>(&self, found: usize, f: impl FnOnce(&Row<'_>) -> Result<T>) -> Result<T> {
        first_row(found, self.columns(), &self.call.rows, f)
    }

    fn row_of_rows<T>(&mut self, f: impl FnOnce(&Row<'_>) -> Result<T>) -> Result<T> {
        match self.rows()?.next()? {
            Some(row) => f(&row),
            None => Err(no_row()),
        }
    }

    /// Whether the query has a row.
    ///
    /// # Errors
    /// As for [`Statement::execute`].
    pub fn exists(&mut self, params: impl Params) -> Result<bool> {
        Ok(self.query(params)?.next()?.is_some())
    }

    /// The columns of its result, with their types; none, where it is no query.
    pub fn columns(&self) -> &[Field] {
        self.prepared.plan.columns.as_deref().unwrap_or_default()
    }

    /// The names of its columns.
    pub fn column_names(&self) -> Vec<&str> {
        self.columns().iter().map(|c| c.name.as_str()).collect()
    }

    /// How many columns it gives.
    pub fn column_count(&self) -> usize {
        self.columns().len()
    }

    /// How many parameters it takes.
    pub fn parameter_count(&self) -> usize {
        self.parameter_types().len()
    }

    #[cfg(test)]
    pub(in crate::session) fn needs(&self) -> crate::function::Needs {
        self.prepared.plan.planned.needs
    }

    /// The types that its parameters were found to have.
    pub fn parameter_types(&self) -> &[DataType] {
        &self.prepared.plan.planned.parameters
    }
}

/// Turns the error of a query without rows into `None`.
///
/// ```
/// use remora::OptionalExtension;
/// # let db = remora::Database::in_memory()?;
/// # let conn = db.connect()?;
/// # conn.execute("CREATE TABLE t (id BIGINT)", [])?;
/// let id: Option<i64> = conn.query_row("SELECT id FROM t", [], |row| row.get(0)).optional()?;
/// assert_eq!(id, None);
/// # Ok::<(), remora::Error>(())
/// ```
pub trait OptionalExtension<T> {
    /// `None` for no row; other errors stay.
    ///
    /// # Errors
    /// All but 02000.
    fn optional(self) -> Result<Option<T>>;
}

impl<T> OptionalExtension<T> for Result<T> {
    fn optional(self) -> Result<Option<T>> {
        match self {
            Ok(value) => Ok(Some(value)),
            Err(error) if error.sqlstate() == state::NO_DATA => Ok(None),
            Err(error) => Err(error),
        }
    }
}
