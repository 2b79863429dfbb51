//! Functions of the host: how they are made known to a connection.
//!
//! The names are rusqlite's. Other than there, types are declared: they decide which function a call means, and
//! what the parser makes of a literal beside it.

use super::api::connection::Connection;
use super::api::from_sql::{FromSql, FromSqlError};
use super::api::given::Given;
use super::api::params::Params;
use super::api::to_sql::ToSql;
use crate::error::{Error, Result, state};
use crate::function::Volatility;
use crate::function::aggregate::all as system_aggregates;
use crate::function::aggregate::host::{HostAggregate, HostState, HostSteps};
use crate::function::host::{HostFunction, HostKernel};
use crate::function::host_table::{HostTable, HostTableFunction, RowStream, VTab};
use arrow_array::ArrayRef;
use remora_storage::{DataType, Value, ValueRef};
use std::collections::HashSet;
use std::marker::PhantomData;
use std::ops::BitOr;

/// What is promised of a function of the host. Flags are put together with `|`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct FunctionFlags(u8);

impl FunctionFlags {
    /// Nothing: it is called for each row, with NULLs too.
    pub const NONE: Self = Self(0);
    /// Equal arguments always give equal results: a call may be computed once, while a plan is made.
    pub const DETERMINISTIC: Self = Self(1);
    /// The result is NULL where an argument is, without a call.
    pub const STRICT: Self = Self(2);

    fn has(self, flag: Self) -> bool {
        self.0 & flag.0 == flag.0
    }
}

impl BitOr for FunctionFlags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// The arguments of a call of a function of the host.
#[derive(Clone, Copy, Debug)]
pub struct FunctionContext<'a> {
    values: &'a [ValueRef<'a>],
}

impl<'a> FunctionContext<'a> {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// One of them, of the declared type or NULL; NULL where there is none of that number.
    pub fn get_raw(&self, index: usize) -> ValueRef<'a> {
        self.values.get(index).copied().unwrap_or(ValueRef::Null)
    }

    /// One of them as a Rust value.
    ///
    /// # Errors
    /// 22004 where it is NULL and the Rust type is no `Option`; 42804 where the Rust type does not stand for the
    /// declared one; 22003 where the number does not fit.
    pub fn get<T: FromSql>(&self, index: usize) -> Result<T> {
        T::column_result(self.get_raw(index)).map_err(|error| {
            let sqlstate = match error {
                FromSqlError::Null => state::NULL_VALUE_NOT_ALLOWED,
                FromSqlError::OutOfRange(_) => state::NUMERIC_VALUE_OUT_OF_RANGE,
                FromSqlError::InvalidType | FromSqlError::Other(_) => state::DATATYPE_MISMATCH,
            };
            Error::new(sqlstate, format!("argument {}: {error}", index + 1))
        })
    }
}

/// What an aggregate of the host does: `A` is what it keeps for a group, `T` what comes of it.
///
/// Rows with a NULL among the arguments are left out. As a window function it takes the rows of each frame anew.
pub trait AggregateFunction<A, T>: Send + Sync + 'static
where
    A: Send + 'static,
    T: ToSql,
{
    /// What is kept for a group before its first row.
    ///
    /// # Errors
    /// Yours: the statement fails with them.
    fn init(&self) -> Result<A>;
    /// Takes a row in.
    ///
    /// # Errors
    /// As above.
    fn step(&self, context: &FunctionContext<'_>, state: &mut A) -> Result<()>;
    /// What comes of a group; `None` where it had no rows.
    ///
    /// # Errors
    /// As above.
    fn finalize(&self, state: Option<A>) -> Result<T>;
}

/// An aggregate as the engine calls it.
struct Steps<D, A, T> {
    aggregate: D,
    types: PhantomData<fn() -> (A, T)>,
}

impl<D, A, T> HostSteps for Steps<D, A, T>
where
    D: AggregateFunction<A, T>,
    A: Send + 'static,
    T: ToSql,
{
    fn init(&self) -> Result<HostState> {
        Ok(Box::new(self.aggregate.init()?))
    }

    fn step(&self, state: &mut HostState, values: &[ValueRef<'_>]) -> Result<()> {
        let state = state.downcast_mut::<A>().expect("its own state");
        self.aggregate.step(&FunctionContext { values }, state)
    }

    fn finalize(&self, state: Option<HostState>) -> Result<Value> {
        let state = state.map(|state| *state.downcast::<A>().expect("its own state"));
        let result = self.aggregate.finalize(state)?;
        Ok(result.to_sql()?.into_value())
    }

    fn state_bytes(&self) -> usize {
        size_of::<A>()
    }
}

/// The functions by which those of the host are made known: of one connection, and of a database to all connections
/// to come. Both have `change_host`.
macro_rules! host_functions {
    ($owner:ty {
        $(#[$scalar:meta])* scalar;
        $(#[$batch:meta])* batch;
        $(#[$aggregate:meta])* aggregate;
        $(#[$rows:meta])* rows;
        $(#[$table:meta])* table;
        $(#[$remove:meta])* remove;
        $(#[$remove_table:meta])* remove_table;
    }) => {
        impl $owner {
            $(#[$scalar])*
            pub fn create_scalar_function<F, T>(
                &self,
                name: &str,
                arguments: &[DataType],
                returns: DataType,
                flags: FunctionFlags,
                function: F,
            ) -> Result<()>
            where
                F: Fn(&FunctionContext<'_>) -> Result<T> + Send + Sync + 'static,
                T: ToSql,
            {
                let kernel = over_values(function);
                let function = declared(name, (arguments, returns), flags, kernel)?;
                self.change_host(|host| host.with(function))
            }

            $(#[$batch])*
            pub fn create_batch_function<F>(
                &self,
                name: &str,
                arguments: &[DataType],
                returns: DataType,
                flags: FunctionFlags,
                function: F,
            ) -> Result<()>
            where
                F: Fn(&[ArrayRef], usize) -> Result<ArrayRef> + Send + Sync + 'static,
            {
                let kernel = HostKernel::Batches(Box::new(function));
                let function = declared(name, (arguments, returns), flags, kernel)?;
                self.change_host(|host| host.with(function))
            }

            $(#[$aggregate])*
            pub fn create_aggregate_function<A, T>(
                &self,
                name: &str,
                arguments: &[DataType],
                returns: DataType,
                aggregate: impl AggregateFunction<A, T>,
            ) -> Result<()>
            where
                A: Send + 'static,
                T: ToSql + 'static,
            {
                let aggregate = declared_aggregate(name, (arguments, returns), aggregate)?;
                self.change_host(|host| host.with_aggregate(aggregate))
            }

            $(#[$rows])*
            pub fn create_table_function<F>(
                &self,
                name: &str,
                arguments: &[DataType],
                columns: &[(&str, DataType)],
                flags: FunctionFlags,
                function: F,
            ) -> Result<()>
            where
                F: Fn(&FunctionContext<'_>) -> Result<RowStream> + Send + Sync + 'static,
            {
                let function = declared_rows(name, arguments, columns, flags, function)?;
                self.change_host(|host| host.with_table_function(function))
            }

            $(#[$table])*
            pub fn create_virtual_table(&self, name: &str, table: impl VTab) -> Result<()> {
                let table = declared_table(name, Box::new(table))?;
                self.change_host(|host| host.with_table(table))
            }

            $(#[$remove])*
            pub fn remove_function(&self, name: &str, arguments: &[DataType]) -> Result<()> {
                let name = name.to_lowercase();
                self.change_host(|host| host.without(&name, arguments))
            }

            $(#[$remove_table])*
            pub fn remove_virtual_table(&self, name: &str) -> Result<()> {
                let name = name.to_lowercase();
                self.change_host(|host| host.without_table(&name))
            }
        }
    };
}
pub(crate) use host_functions;

host_functions!(Connection {
    /// Makes a closure a function of SQL, for this connection
    /// ([`Database::create_scalar_function`](crate::Database::create_scalar_function) for all to come):
    /// called row by row, with the values of a row.
    ///
    /// `name` is folded to lower case; a function of the same name and argument types, made by this call before,
    /// is replaced, and one of the system with just these types goes before it. Statements that were prepared
    /// before are planned anew.
    ///
    /// ```
    /// use remora::{DataType, FunctionFlags};
    /// # let db = remora::Database::in_memory()?;
    /// # let conn = db.connect()?;
    /// let flags = FunctionFlags::DETERMINISTIC | FunctionFlags::STRICT;
    /// conn.create_scalar_function("initials", &[DataType::Text], DataType::Text, flags, |context| {
    ///     let name: String = context.get(0)?;
    ///     let words = name.split_whitespace();
    ///     Ok(words.filter_map(|word| word.chars().next()).collect::<String>())
    /// })?;
    /// let found: String = conn.query_row("SELECT initials('Ada Maria King')", [], |row| row.get(0))?;
    /// assert_eq!(found, "AMK");
    /// // A panic is an error of the statement.
    /// conn.create_scalar_function("boom", &[], DataType::Integer, FunctionFlags::NONE, |_| -> remora::Result<i32> {
    ///     panic!("no such luck")
    /// })?;
    /// let error = conn.query_row("SELECT boom()", [], |row| row.get::<_, i32>(0)).unwrap_err();
    /// assert_eq!((error.sqlstate(), error.message()), ("38000", "function boom panicked: no such luck"));
    /// # Ok::<(), remora::Error>(())
    /// ```
    ///
    /// # Errors
    /// 42P13 where a type has a modifier or is an array, or the name is empty; 55006 when called from within
    /// a call of the same connection.
    scalar;

    /// The same for a closure over batches: it is given one Arrow array an argument and the number of rows, and
    /// gives an array of as many values. The arrays are of the types that [`DataType::arrow`] tells; it is called
    /// with one row where the arguments are constants. With [`FunctionFlags::STRICT`] what it makes of rows with a
    /// NULL does not count.
    ///
    /// ```
    /// use arrow_array::{cast::AsArray, types::Float64Type, ArrayRef, Float64Array};
    /// use remora::{DataType, FunctionFlags};
    /// use std::sync::Arc;
    /// # let db = remora::Database::in_memory()?;
    /// # let conn = db.connect()?;
    /// let (double, flags) = (DataType::Double, FunctionFlags::DETERMINISTIC);
    /// conn.create_batch_function("halve", &[double], double, flags, |arrays, _| {
    ///     let input = arrays[0].as_primitive::<Float64Type>();
    ///     let halves: Float64Array = input.unary(|x| x / 2.0);
    ///     Ok(Arc::new(halves) as ArrayRef)
    /// })?;
    /// let sum: f64 = conn.query_row(
    ///     "SELECT sum(halve(x)) FROM generate_series(1, 10) AS x", [], |row| row.get(0))?;
    /// assert_eq!(sum, 27.5);
    /// # Ok::<(), remora::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Connection::create_scalar_function`].
    batch;

    /// Makes an aggregate of SQL, for this connection, which stands wherever one of the system's can: with DISTINCT,
    /// ORDER BY, FILTER and OVER.
    ///
    /// ```
    /// use remora::{AggregateFunction, DataType, FunctionContext, Result};
    ///
    /// struct Longest;
    ///
    /// impl AggregateFunction<String, Option<String>> for Longest {
    ///     fn init(&self) -> Result<String> {
    ///         Ok(String::new())
    ///     }
    ///     fn step(&self, context: &FunctionContext<'_>, longest: &mut String) -> Result<()> {
    ///         let text: String = context.get(0)?;
    ///         if text.len() > longest.len() {
    ///             *longest = text;
    ///         }
    ///         Ok(())
    ///     }
    ///     fn finalize(&self, longest: Option<String>) -> Result<Option<String>> {
    ///         Ok(longest)
    ///     }
    /// }
    /// # let db = remora::Database::in_memory()?;
    /// # let conn = db.connect()?;
    /// conn.create_aggregate_function("longest", &[DataType::Text], DataType::Text, Longest)?;
    /// let found: String = conn.query_row(
    ///     "SELECT longest(v) FROM (VALUES ('a'), ('abc'), ('ab')) t (v)", [], |row| row.get(0))?;
    /// assert_eq!(found, "abc");
    /// # Ok::<(), remora::Error>(())
    /// ```
    ///
    /// # Errors
    /// 42P13 where a type has a modifier, there is no argument, or the system has an aggregate of the name;
    /// 55006 when called from within a call of the same connection.
    aggregate;

    /// Makes a closure a function of SQL that gives rows, for this connection: it stands in FROM, LATERAL too, and in
    /// a select list where it has one column. It is called once for each list of arguments, and what it gives is
    /// asked for rows only as they are wanted: [`RowStream::rows`] of Rust values, [`RowStream::batches`] of
    /// Arrow batches. With [`FunctionFlags::STRICT`] a NULL among the arguments gives no rows, without a call.
    ///
    /// ```
    /// use remora::{DataType, FunctionFlags, RowStream};
    /// # let db = remora::Database::in_memory()?;
    /// # let conn = db.connect()?;
    /// let columns = [("at", DataType::Integer), ("word", DataType::Text)];
    /// conn.create_table_function("words", &[DataType::Text], &columns, FunctionFlags::STRICT, |context| {
    ///     let text: String = context.get(0)?;
    ///     let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
    ///     Ok(RowStream::rows((1..).zip(words).map(|(at, word): (i32, String)| Ok((at, word)))))
    /// })?;
    /// let found: String = conn.query_row(
    ///     "SELECT w.word FROM (VALUES ('no'), ('to and fro')) t (line), words(t.line) w WHERE w.at = 3",
    ///     [], |row| row.get(0))?;
    /// assert_eq!(found, "fro");
    /// # Ok::<(), remora::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Connection::create_scalar_function`]; 42P13 where there is no column.
    rows;

    /// Makes a table of the host known by a name, for this connection: it is read like any other, by its name
    /// without a schema, and cannot be written to. A stored table or view of the name goes before it.
    ///
    /// ```
    /// use remora::{ConstraintUsage, DataType, IndexConstraintOp, RowStream, VTab, VTabScan, Value};
    ///
    /// /// The squares of all numbers, without end.
    /// struct Squares;
    ///
    /// impl VTab for Squares {
    ///     fn columns(&self) -> Vec<(String, DataType)> {
    ///         vec![("n".into(), DataType::BigInt), ("square".into(), DataType::BigInt)]
    ///     }
    ///     fn best_index(&self, column: usize, op: IndexConstraintOp) -> ConstraintUsage {
    ///         match (column, op) {
    ///             (0, IndexConstraintOp::Ge) => ConstraintUsage::Exact,
    ///             _ => ConstraintUsage::Ignored,
    ///         }
    ///     }
    ///     fn open(&self, scan: &VTabScan<'_>) -> remora::Result<RowStream> {
    ///         let starts = scan.constraints.iter().filter_map(|known| match known.value {
    ///             Value::BigInt(n) => Some(n),
    ///             _ => None,
    ///         });
    ///         let start = starts.max().unwrap_or(0);
    ///         let columns = scan.columns.to_vec();
    ///         Ok(RowStream::rows((start..).map(move |n| {
    ///             let row = columns.iter().map(|column| if *column == 0 { n } else { n * n });
    ///             Ok(row.map(Value::BigInt).collect::<Vec<Value>>())
    ///         })))
    ///     }
    /// }
    /// # let db = remora::Database::in_memory()?;
    /// # let conn = db.connect()?;
    /// conn.create_virtual_table("squares", Squares)?;
    /// let found: i64 = conn.query_row("SELECT square FROM squares WHERE n >= 1000 LIMIT 1", [], |row| row.get(0))?;
    /// assert_eq!(found, 1_000_000);
    /// # Ok::<(), remora::Error>(())
    /// ```
    ///
    /// # Errors
    /// 42P16 where it has no name, no column, or a type that has a modifier or is an array; 42701 where two columns
    /// have one name; 38000 where it panics; 55006 when called from within a call of the same connection.
    table;

    /// Takes a function away that one of these calls has made. Nothing happens where there is none.
    ///
    /// # Errors
    /// 55006 when called from within a call of the same connection.
    remove;

    /// Takes a virtual table away. Nothing happens where there is none.
    ///
    /// # Errors
    /// 55006 when called from within a call of the same connection.
    remove_table;
});

/// The kernel of a closure over values.
pub(crate) fn over_values<F, T>(function: F) -> HostKernel
where
    F: Fn(&FunctionContext<'_>) -> Result<T> + Send + Sync + 'static,
    T: ToSql,
{
    HostKernel::Values(Box::new(move |values| {
        let result = function(&FunctionContext { values })?;
        Ok(result.to_sql()?.into_value())
    }))
}

/// A function as it is declared: what it takes, and what it gives.
///
/// # Errors
/// 42P13
pub(crate) fn declared(
    name: &str,
    (arguments, returns): (&[DataType], DataType),
    flags: FunctionFlags,
    kernel: HostKernel,
) -> Result<HostFunction> {
    check_declaration(name, arguments, returns)?;
    Ok(HostFunction {
        name: name.to_lowercase(),
        arguments: arguments.to_vec(),
        returns,
        volatility: match flags.has(FunctionFlags::DETERMINISTIC) {
            true => Volatility::Immutable,
            false => Volatility::Volatile,
        },
        strict: flags.has(FunctionFlags::STRICT),
        kernel,
    })
}

/// An aggregate as it is declared.
///
/// # Errors
/// 42P13
pub(crate) fn declared_aggregate<A, T>(
    name: &str,
    (arguments, returns): (&[DataType], DataType),
    aggregate: impl AggregateFunction<A, T>,
) -> Result<HostAggregate>
where
    A: Send + 'static,
    T: ToSql + 'static,
{
    check_declaration(name, arguments, returns)?;
    let name = name.to_lowercase();
    if arguments.is_empty() {
        return Err(invalid("an aggregate has an argument"));
    }
    if system_aggregates().any(|other| other.name == name) {
        return Err(invalid(format!("{name} is an aggregate of the system")));
    }
    Ok(HostAggregate {
        name,
        arguments: arguments.to_vec(),
        returns,
        steps: Box::new(Steps {
            aggregate,
            types: PhantomData,
        }),
    })
}

fn check_declaration(name: &str, arguments: &[DataType], returns: DataType) -> Result<()> {
    if name.is_empty() {
        return Err(invalid("a function has a name"));
    }
    let mut types = arguments.iter().chain([&returns]);
    match types.find(|data_type| !is_plain(data_type)) {
        Some(odd) => Err(invalid(format!(
            "a function cannot be declared with type {odd}"
        ))),
        None => Ok(()),
    }
}

/// Whether what the host gives can be of a type. Nobody outside can tell whether the bytes of what is packed are a
/// value.
fn is_plain(data_type: &DataType) -> bool {
    !matches!(data_type, DataType::Char(_) | DataType::Packed(_))
        && data_type.without_modifier() == *data_type
}

/// A table function as it is declared.
///
/// # Errors
/// 42P13
pub(crate) fn declared_rows<F>(
    name: &str,
    arguments: &[DataType],
    columns: &[(&str, DataType)],
    flags: FunctionFlags,
    function: F,
) -> Result<HostTableFunction>
where
    F: Fn(&FunctionContext<'_>) -> Result<RowStream> + Send + Sync + 'static,
{
    if columns.is_empty() {
        return Err(invalid("a table function has a column"));
    }
    for (_, data_type) in columns {
        check_declaration(name, arguments, *data_type)?;
    }
    let columns = columns.iter();
    Ok(HostTableFunction {
        name: name.to_lowercase(),
        arguments: arguments.to_vec(),
        columns: columns
            .map(|(name, of)| (name.to_lowercase(), *of))
            .collect(),
        strict: flags.has(FunctionFlags::STRICT),
        call: Box::new(move |values| function(&FunctionContext { values })),
    })
}

/// A virtual table as it is declared.
///
/// # Errors
/// 42P16, 42701, 38000
pub(crate) fn declared_table(name: &str, table: Box<dyn VTab>) -> Result<HostTable> {
    let invalid = |message: String| Error::new(state::INVALID_TABLE_DEFINITION, message);
    if name.is_empty() {
        return Err(invalid("a virtual table has a name".to_owned()));
    }
    let mut table = HostTable::new(name.to_lowercase(), table)?;
    if table.columns.is_empty() {
        return Err(invalid(format!("virtual table \"{name}\" has no column")));
    }
    let mut names = HashSet::new();
    for (column, data_type) in &mut table.columns {
        *column = column.to_lowercase();
        if !is_plain(data_type) {
            let message =
                format!("column \"{column}\" of a virtual table cannot be of type {data_type}");
            return Err(invalid(message));
        }
        if !names.insert(column.clone()) {
            let message = format!("column \"{column}\" specified more than once");
            return Err(Error::new(state::DUPLICATE_COLUMN, message));
        }
    }
    Ok(table)
}

impl RowStream {
    /// Rows as Rust values, one a column: tuples, arrays, a `Vec` of [`Value`]s, whatever can be the parameters of a
    /// statement. Each value is cast to its column's type as by an assignment.
    pub fn rows<I, R>(rows: I) -> Self
    where
        I: IntoIterator<Item = Result<R>>,
        I::IntoIter: Send + 'static,
        R: Params,
    {
        Self::of_values(rows.into_iter().map(|row| {
            let mut values = Given::default();
            row?.collect_into(&mut values)?;
            Ok(values.take())
        }))
    }
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(state::INVALID_FUNCTION_DEFINITION, message)
}
