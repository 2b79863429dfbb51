//! The rows of a result, one at a time.

use super::connection::Connection;
use super::from_sql::{FromSql, FromSqlError};
use crate::error::{Error, Result, state};
use crate::exec::Cursor;
use crate::plan::Field;
use crate::session::execute::dispatch::Output;
use arrow_array::RecordBatch;
use remora_storage::value::value_at;
use remora_storage::{Value, ValueRef};

/// The rows of a running query. The query runs as far as rows are asked for.
///
/// ```
/// # let db = remora::Database::in_memory()?;
/// # let conn = db.connect()?;
/// # conn.execute_batch("CREATE TABLE t (id BIGINT, v TEXT); INSERT INTO t VALUES (1, 'one')")?;
/// let mut statement = conn.prepare("SELECT id, v FROM t WHERE id > ?")?;
/// let mut rows = statement.query([0_i64])?;
/// while let Some(row) = rows.next()? {
///     let (id, v): (i64, String) = (row.get(0)?, row.get("v")?);
///     assert_eq!((id, v.as_str()), (1, "one"));
/// }
/// # Ok::<(), remora::Error>(())
/// ```
#[derive(Debug)]
pub struct Rows<'stmt> {
    connection: &'stmt Connection,
    columns: &'stmt [Field],
    /// The next of the rows that are there, and their end: in `place`, one after another, or in `batch`.
    at: usize,
    end: usize,
    /// The statement's own.
    place: &'stmt mut Vec<Value>,
    batch: Option<RecordBatch>,
    /// Where the rows after these come from.
    source: Source,
}

#[derive(Debug)]
enum Source {
    List(std::vec::IntoIter<Vec<Value>>),
    Cursor(Box<Cursor>),
    End,
}

impl<'stmt> Rows<'stmt> {
    pub(in crate::session) fn new(
        connection: &'stmt Connection,
        columns: &'stmt [Field],
        output: Output,
        place: &'stmt mut Vec<Value>,
    ) -> Self {
        let (rows, source) = match output {
            Output::Point(found) => (usize::from(found), Source::End),
            Output::List(rows) => (0, Source::List(rows.into_iter())),
            Output::Cursor(cursor) => (0, Source::Cursor(cursor)),
            Output::None => (0, Source::End),
        };
        let mut all = Self::in_place(connection, columns, rows, place);
        all.source = source;
        all
    }

    /// So many rows, which are all in place.
    #[inline]
    pub(in crate::session) fn in_place(
        connection: &'stmt Connection,
        columns: &'stmt [Field],
        rows: usize,
        place: &'stmt mut Vec<Value>,
    ) -> Self {
        Self {
            connection,
            columns,
            at: 0,
            end: rows,
            place,
            batch: None,
            source: Source::End,
        }
    }

    /// The next row, or `None` at the end.
    ///
    /// # Errors
    /// What the query meets on its way to the row. In a transaction it then counts as failed.
    #[allow(
        clippy::should_implement_trait,
        reason = "fallible and lending, and named as in rusqlite"
    )]
    #[inline]
    pub fn next(&mut self) -> Result<Option<Row<'_>>> {
        if self.at == self.end && !self.fetch()? {
            return Ok(None);
        }
        let at = self.at;
        self.at += 1;
        let width = self.columns.len();
        Ok(Some(match &self.batch {
            None => Row::of_values(self.columns, &self.place[at * width..][..width]),
            Some(batch) => Row::of_batch(self.columns, batch, at),
        }))
    }

    /// Gets more rows; whether there are any. No batch of a cursor is empty.
    #[inline(never)]
    fn fetch(&mut self) -> Result<bool> {
        let rows = match &mut self.source {
            Source::End => 0,
            Source::List(rows) => match rows.next() {
                Some(row) => {
                    *self.place = row;
                    1
                }
                None => 0,
            },
            Source::Cursor(cursor) => {
                self.batch = match self.connection.fetch(|| cursor.next()) {
                    Ok(batch) => batch,
                    Err(error) => {
                        (self.batch, self.source) = (None, Source::End);
                        return Err(self.connection.fail(error));
                    }
                };
                self.batch.as_ref().map_or(0, RecordBatch::num_rows)
            }
        };
        (self.at, self.end) = (0, rows);
        Ok(rows > 0)
    }

    /// The columns of the result.
    pub fn columns(&self) -> &[Field] {
        self.columns
    }

    /// Each row through `f`, as an iterator.
    pub fn mapped<T, F>(self, f: F) -> MappedRows<'stmt, F>
    where
        F: FnMut(&Row<'_>) -> Result<T>,
    {
        MappedRows { rows: self, f }
    }
}

impl Drop for Rows<'_> {
    fn drop(&mut self) {
        // An interrupt that was meant for this query must not meet the next. Rows that were there at once were given by a
        // call that is over.
        if matches!(self.source, Source::Cursor(_)) {
            self.connection.settle(false);
        }
    }
}

/// Rows through a function; see [`Rows::mapped`].
#[derive(Debug)]
pub struct MappedRows<'stmt, F> {
    rows: Rows<'stmt>,
    f: F,
}

impl<T, F> Iterator for MappedRows<'_, F>
where
    F: FnMut(&Row<'_>) -> Result<T>,
{
    type Item = Result<T>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.rows.next() {
            Ok(row) => row.map(|row| (self.f)(&row)),
            Err(error) => Some(Err(error)),
        }
    }
}

/// A row of a result.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    columns: &'a [Field],
    /// Empty where it is one of a batch.
    values: &'a [Value],
    batch: Option<&'a RecordBatch>,
    /// Which row of the batch.
    at: usize,
}

impl<'a> Row<'a> {
    #[inline]
    pub(in crate::session) fn of_values(columns: &'a [Field], values: &'a [Value]) -> Self {
        Self {
            columns,
            values,
            batch: None,
            at: 0,
        }
    }

    #[inline]
    pub(in crate::session) fn of_batch(
        columns: &'a [Field],
        batch: &'a RecordBatch,
        at: usize,
    ) -> Self {
        Self {
            columns,
            values: &[],
            batch: Some(batch),
            at,
        }
    }

    /// The value of a column, converted.
    ///
    /// # Errors
    /// 42703 where there is no such column; 42804 where the value is of another type, 22003 where
    /// it does not fit, 22004 where it is NULL and `T` is no `Option`.
    #[inline(always)]
    pub fn get<I: RowIndex, T: FromSql>(&self, index: I) -> Result<T> {
        let position = index.position(self.columns)?;
        let value = match self.values.get(position) {
            Some(value) => T::kept_result(value),
            None => self.of_column(position),
        };
        value.map_err(|error| self.unfit(position, &error, std::any::type_name::<T>()))
    }

    #[inline(never)]
    fn of_column<T: FromSql>(&self, position: usize) -> Result<T, FromSqlError> {
        T::column_result(self.at(position))
    }

    #[cold]
    fn unfit(&self, position: usize, error: &FromSqlError, wanted: &str) -> Error {
        let column = &self.columns[position];
        let sqlstate = match error {
            FromSqlError::Null => state::NULL_VALUE_NOT_ALLOWED,
            FromSqlError::OutOfRange(_) => state::NUMERIC_VALUE_OUT_OF_RANGE,
            _ => state::DATATYPE_MISMATCH,
        };
        let (name, data_type) = (&column.name, column.data_type);
        Error::new(
            sqlstate,
            format!(
                "column {position} (\"{name}\", {data_type}) cannot be read as {wanted}: {error}"
            ),
        )
    }

    /// The value of a column, borrowed.
    ///
    /// # Errors
    /// 42703 where there is no such column.
    #[inline]
    pub fn get_ref<I: RowIndex>(&self, index: I) -> Result<ValueRef<'a>> {
        Ok(self.at(index.position(self.columns)?))
    }

    /// Its columns.
    pub fn columns(&self) -> &'a [Field] {
        self.columns
    }

    /// Its values, borrowed, from left to right.
    pub fn values(&self) -> impl Iterator<Item = ValueRef<'a>> {
        let row = *self;
        (0..row.columns.len()).map(move |position| row.at(position))
    }

    #[inline]
    fn at(&self, position: usize) -> ValueRef<'a> {
        match self.batch {
            None => self.values[position].as_ref(),
            Some(batch) => {
                let array = batch.column(position).as_ref();
                value_at(array, self.columns[position].data_type, self.at)
            }
        }
    }
}

/// The first of the rows that a look-up has found, through `f`.
#[inline]
pub(super) fn first_row<T>(
    found: usize,
    columns: &[Field],
    place: &[Value],
    f: impl FnOnce(&Row<'_>) -> Result<T>,
) -> Result<T> {
    match found {
        0 => Err(no_row()),
        _ => f(&Row::of_values(columns, &place[..columns.len()])),
    }
}

#[cold]
pub(super) fn no_row() -> Error {
    sql_error!(NO_DATA, "the query returned no rows")
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for usize {}
    impl Sealed for &str {}
}

/// How a column is named: by position from 0, or by name (the first of that name).
pub trait RowIndex: sealed::Sealed + Copy {
    /// The position among `columns`.
    #[doc(hidden)]
    fn position(self, columns: &[Field]) -> Result<usize>;
}

impl RowIndex for usize {
    #[inline]
    fn position(self, columns: &[Field]) -> Result<usize> {
        if self < columns.len() {
            return Ok(self);
        }
        Err(sql_error!(
            UNDEFINED_COLUMN,
            "the result has no column {self}: it has {}",
            columns.len()
        ))
    }
}

impl RowIndex for &str {
    fn position(self, columns: &[Field]) -> Result<usize> {
        let found = columns.iter().position(|column| column.name == self);
        found.ok_or_else(|| sql_error!(UNDEFINED_COLUMN, "the result has no column \"{self}\""))
    }
}
