//! Functions of the program that embeds the database: closures over values, or over batches.
//!
//! A host function has declared types, as all functions here: a call is matched with them by PostgreSQL's rules,
//! arguments are cast to them, and what the closure gives is cast to the declared result as by an assignment.
//!
//! ```text
//!   over values    called row by row              the batch is taken apart and put together around it
//!   over batches   called once a batch, with one Arrow array an argument, all of one length
//! ```
//!
//! A connection has its own list of functions, which it begins with from its database. The list is immutable and
//! replaced when one is added; a plan holds on to the functions that it calls.
//!
//! Invariants
//! - A panic of a closure becomes an error of the statement (38000) and goes no further.
//! - Whether the statement was asked to stop is looked at before each batch, and every so many rows of a closure
//!   over values.
//! - What every writer needs (DEFAULT, CHECK) cannot call them: whoever opens the database next may not have them.
//!   Views and functions in SQL can, and are read by those who have them.

use super::aggregate::host::HostAggregate;
use super::calendar::DAY;
use super::host_table::{HostTable, HostTableFunction};
use super::resolve::{Choice, choose_among};
use super::{ArgumentType, EvalContext, Operand, Volatility, cast};
use crate::error::{Error, Result, state};
use arrow_array::cast::AsArray;
use arrow_array::types::Time64MicrosecondType;
use arrow_array::{Array, ArrayRef};
use remora_storage::value::{ColumnBuilder, value_at};
use remora_storage::{DataType, Numeric, Value, ValueRef};
use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// Rows of a closure over values between two looks at whether to stop.
const ROWS_BETWEEN_CHECKS: usize = 256;

/// A closure over values: one list of arguments, one result.
pub(crate) type HostValues = dyn Fn(&[ValueRef<'_>]) -> Result<Value> + Send + Sync;
/// A closure over batches: an array an argument, and how many rows there are.
pub(crate) type HostBatches = dyn Fn(&[ArrayRef], usize) -> Result<ArrayRef> + Send + Sync;

/// What a host function does.
pub(crate) enum HostKernel {
    /// It is called row by row.
    Values(Box<HostValues>),
    /// It is called batch by batch.
    Batches(Box<HostBatches>),
}

/// A function of the host.
pub(crate) struct HostFunction {
    /// Its name, as an unquoted one is folded.
    pub name: String,
    /// The types it takes, without modifiers.
    pub arguments: Vec<DataType>,
    /// The type it gives.
    pub returns: DataType,
    /// Whether equal arguments give equal results.
    pub volatility: Volatility,
    /// Whether a NULL argument makes the result NULL without a call.
    pub strict: bool,
    /// What it does.
    pub kernel: HostKernel,
}

impl fmt::Debug for HostFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{:?}", self.name, self.arguments)
    }
}

impl PartialEq for HostFunctions {
    fn eq(&self, other: &Self) -> bool {
        same(&self.functions, &other.functions)
            && same(&self.aggregates, &other.aggregates)
            && same(&self.table_functions, &other.table_functions)
            && same(&self.tables, &other.tables)
    }
}

impl Eq for HostFunctions {}

fn same<T>(one: &[Arc<T>], two: &[Arc<T>]) -> bool {
    let mut pairs = one.iter().zip(two);
    one.len() == two.len() && pairs.all(|(one, two)| Arc::ptr_eq(one, two))
}

/// The functions that a connection has beside those of the system and of the database.
#[derive(Clone, Debug, Default)]
pub(crate) struct HostFunctions {
    functions: Vec<Arc<HostFunction>>,
    aggregates: Vec<Arc<HostAggregate>>,
    table_functions: Vec<Arc<HostTableFunction>>,
    tables: Vec<Arc<HostTable>>,
}

impl HostFunctions {
    /// The same with one more; it takes the place of one of its name and types.
    #[must_use]
    pub(crate) fn with(&self, function: HostFunction) -> Self {
        let mut all = self.without(&function.name, &function.arguments);
        all.functions.push(Arc::new(function));
        all
    }

    /// The same without the one of this name and these types.
    #[must_use]
    pub(crate) fn without(&self, name: &str, arguments: &[DataType]) -> Self {
        let is_other = |other: &str, types: &[DataType]| other != name || types != arguments;
        let mut others = self.clone();
        (others.functions).retain(|other| is_other(&other.name, &other.arguments));
        (others.aggregates).retain(|other| is_other(&other.name, &other.arguments));
        (others.table_functions).retain(|other| is_other(&other.name, &other.arguments));
        others
    }

    /// The same with one table function more; it takes the place of what has its name and types.
    #[must_use]
    pub(crate) fn with_table_function(&self, function: HostTableFunction) -> Self {
        let mut all = self.without(&function.name, &function.arguments);
        all.table_functions.push(Arc::new(function));
        all
    }

    /// The same with one virtual table more; it takes the place of the one of its name.
    #[must_use]
    pub(crate) fn with_table(&self, table: HostTable) -> Self {
        let mut all = self.without_table(&table.name);
        all.tables.push(Arc::new(table));
        all
    }

    /// The same without the virtual table of this name.
    #[must_use]
    pub(crate) fn without_table(&self, name: &str) -> Self {
        let mut others = self.clone();
        others.tables.retain(|table| table.name != name);
        others
    }

    /// All virtual tables.
    pub(crate) fn tables(&self) -> impl Iterator<Item = &Arc<HostTable>> {
        self.tables.iter()
    }

    /// The virtual table of a name.
    pub(crate) fn table(&self, name: &str) -> Option<&Arc<HostTable>> {
        self.tables.iter().find(|table| table.name == name)
    }

    /// Whether any table function has the name.
    pub(crate) fn has_table_function(&self, name: &str) -> bool {
        let mut all = self.table_functions.iter();
        all.any(|function| function.name == name)
    }

    /// The table function that a call means; `None` where none of the name takes these arguments.
    ///
    /// # Errors
    /// 42725 where several do equally well.
    pub(crate) fn table_function(
        &self,
        name: &str,
        arguments: &[ArgumentType],
    ) -> Result<Option<&Arc<HostTableFunction>>> {
        chosen(name, arguments, &self.table_functions, |function| {
            (&function.name, &function.arguments)
        })
    }

    /// The same with one aggregate more; it takes the place of what has its name and types.
    #[must_use]
    pub(crate) fn with_aggregate(&self, aggregate: HostAggregate) -> Self {
        let mut all = self.without(&aggregate.name, &aggregate.arguments);
        all.aggregates.push(Arc::new(aggregate));
        all
    }

    /// Whether any aggregate has the name.
    pub(crate) fn has_aggregate(&self, name: &str) -> bool {
        self.aggregates
            .iter()
            .any(|aggregate| aggregate.name == name)
    }

    /// The aggregate that a call means.
    ///
    /// # Errors
    /// 42883 where none of the name takes these arguments, 42725 where several do equally well.
    pub(crate) fn aggregate(
        &self,
        name: &str,
        arguments: &[ArgumentType],
    ) -> Result<&Arc<HostAggregate>> {
        let found = chosen(name, arguments, &self.aggregates, |aggregate| {
            (&aggregate.name, &aggregate.arguments)
        });
        found?.ok_or_else(|| super::no_such_function(name, arguments))
    }

    /// Whether any has the name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.functions.iter().any(|function| function.name == name)
    }

    /// The one that a call means; `None` where none of the name takes these arguments.
    ///
    /// # Errors
    /// 42725 where several do equally well.
    pub(crate) fn resolve(
        &self,
        name: &str,
        arguments: &[ArgumentType],
    ) -> Result<Option<&Arc<HostFunction>>> {
        chosen(name, arguments, &self.functions, |function| {
            (&function.name, &function.arguments)
        })
    }
}

/// The one of a list that a call means; `None` where none of the name takes these arguments.
fn chosen<'a, T>(
    name: &str,
    arguments: &[ArgumentType],
    all: &'a [T],
    declared: impl Fn(&T) -> (&String, &Vec<DataType>),
) -> Result<Option<&'a T>> {
    let named: Vec<&T> = all.iter().filter(|one| declared(one).0 == name).collect();
    let lists: Vec<Vec<DataType>> = named.iter().map(|one| declared(one).1.clone()).collect();
    match choose_among(arguments, &lists) {
        Choice::One(index) => Ok(Some(named[index])),
        Choice::None => Ok(None),
        Choice::Several => Err(super::not_unique(name, arguments)),
    }
}

impl HostFunction {
    /// The value for one list of arguments.
    ///
    /// # Errors
    /// The closure's; 38000 where it panics or gives what it was not declared to give; those of
    /// [`EvalContext::check`].
    pub(crate) fn call(&self, values: &[ValueRef<'_>], context: &EvalContext) -> Result<Value> {
        if self.strict && values.iter().any(|value| value.is_null()) {
            return Ok(Value::Null);
        }
        context.check()?;
        match &self.kernel {
            HostKernel::Values(closure) => {
                let value = guarded(&self.name, || closure(values))?;
                fitted(&self.name, self.returns, value, context)
            }
            HostKernel::Batches(_) => {
                let arrays = values.iter().zip(&self.arguments);
                let arrays = arrays.map(|(value, data_type)| {
                    Operand::Scalar((*value).to_owned()).into_array(*data_type, 1)
                });
                let array = self.of_batch(&arrays.collect::<Vec<_>>(), 1)?;
                Ok(value_at(array.as_ref(), self.returns, 0).to_owned())
            }
        }
    }

    /// The values for `rows` rows.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub(crate) fn call_rows(
        &self,
        operands: &[Operand],
        rows: usize,
        context: &EvalContext,
    ) -> Result<ArrayRef> {
        let arrays = operands.iter().zip(&self.arguments);
        let arrays =
            arrays.map(|(operand, data_type)| operand.clone().into_array(*data_type, rows));
        let arrays: Vec<ArrayRef> = arrays.collect();
        context.check()?;
        match &self.kernel {
            HostKernel::Batches(_) => self.of_batch(&arrays, rows),
            HostKernel::Values(closure) => {
                let mut results = ColumnBuilder::new(self.returns, rows);
                let mut values = vec![ValueRef::Null; arrays.len()];
                for row in 0..rows {
                    if row % ROWS_BETWEEN_CHECKS == ROWS_BETWEEN_CHECKS - 1 {
                        context.check()?;
                    }
                    for ((value, array), data_type) in
                        values.iter_mut().zip(&arrays).zip(&self.arguments)
                    {
                        *value = value_at(array.as_ref(), *data_type, row);
                    }
                    if self.strict && values.iter().any(|value| value.is_null()) {
                        results.push(ValueRef::Null);
                        continue;
                    }
                    let value = guarded(&self.name, || closure(&values))?;
                    results.push(fitted(&self.name, self.returns, value, context)?.as_ref());
                }
                Ok(results.finish())
            }
        }
    }

    fn of_batch(&self, arrays: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
        let HostKernel::Batches(closure) = &self.kernel else {
            unreachable!("asked for of a function over batches only");
        };
        let found = guarded(&self.name, || closure(arrays, rows))?;
        let wanted = self.returns.arrow();
        if found.len() != rows || *found.data_type() != wanted {
            let what = format!(
                "gave {} values of {} for {rows} rows, and has to give as many of {wanted}",
                found.len(),
                found.data_type(),
            );
            return Err(invalid_result(&self.name, &what));
        }
        check_values(&self.name, self.returns, found.as_ref())?;
        if !self.strict || arrays.iter().all(|array| array.null_count() == 0) {
            return Ok(found);
        }
        // What it made of a NULL does not count.
        let mut results = ColumnBuilder::new(self.returns, rows);
        for row in 0..rows {
            let is_null = arrays.iter().any(|array| array.is_null(row));
            results.push(match is_null {
                true => ValueRef::Null,
                false => value_at(found.as_ref(), self.returns, row),
            });
        }
        Ok(results.finish())
    }
}

/// Calls what the host has written, whose panics are errors.
pub(crate) fn guarded<T>(name: &str, call: impl FnOnce() -> Result<T>) -> Result<T> {
    // What the closure holds may be left half changed by a panic: that is its own to see to, as it is with a
    // thread that panics while it holds a mutex.
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| {
        let message = format!("function {name} panicked: {}", said(panic.as_ref()));
        Err(Error::new(state::EXTERNAL_ROUTINE_EXCEPTION, message))
    })
}

/// What a function gave is not what it was declared to give.
pub(super) fn invalid_result(name: &str, what: &str) -> Error {
    let message = format!("function {name} {what}");
    Error::new(state::EXTERNAL_ROUTINE_EXCEPTION, message)
}

/// Whether an array has values of the declared type only, which the Arrow types of NUMERIC and TIME do not say.
///
/// # Errors
/// 38000.
pub(super) fn check_values(name: &str, data_type: DataType, array: &dyn Array) -> Result<()> {
    let is_good = match data_type {
        DataType::Numeric(None) => {
            let mut bytes = array.as_fixed_size_binary().iter().flatten();
            bytes.all(|bytes| Numeric::from_bytes(bytes).is_some())
        }
        DataType::Time => {
            let times = array.as_primitive::<Time64MicrosecondType>();
            times.iter().flatten().all(|time| (0..=DAY).contains(&time))
        }
        _ => true,
    };
    match is_good {
        true => Ok(()),
        false => {
            let what = format!("gave something that is no value of type {data_type}");
            Err(invalid_result(name, &what))
        }
    }
}

/// A result as the declared type has it.
pub(crate) fn fitted(
    name: &str,
    to: DataType,
    value: Value,
    context: &EvalContext,
) -> Result<Value> {
    let Some(from) = type_of(&value) else {
        return Ok(Value::Null);
    };
    if from == to || from.is_string() && to.is_string() {
        return Ok(value);
    }
    let castable =
        cast::cast_context(from, to).is_some_and(|needed| needed <= cast::CastContext::Assignment);
    if !castable || to.is_string() {
        let what = format!("gave a value of type {from}, and has to give {to}");
        return Err(invalid_result(name, &what));
    }
    cast::cast_value(value.as_ref(), to, false, context)
}

/// The type of a value, as far as it tells.
fn type_of(value: &Value) -> Option<DataType> {
    Some(match value {
        Value::Boolean(_) => DataType::Boolean,
        Value::SmallInt(_) => DataType::SmallInt,
        Value::Integer(_) => DataType::Integer,
        Value::BigInt(_) => DataType::BigInt,
        Value::Real(_) => DataType::Real,
        Value::Double(_) => DataType::Double,
        Value::Numeric(_) => DataType::Numeric(None),
        Value::Text(_) => DataType::Text,
        Value::Bytea(_) => DataType::Bytea,
        Value::Date(_) => DataType::Date,
        Value::Time(_) => DataType::Time,
        Value::Timestamp(_) => DataType::Timestamp,
        Value::TimestampTz(_) => DataType::TimestampTz,
        Value::Interval(_) => DataType::Interval,
        Value::Uuid(_) => DataType::Uuid,
        Value::Packed(packed, _) => DataType::Packed(*packed),
        _ => return None,
    })
}

/// What a panic said.
fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("it did not say why")
}
