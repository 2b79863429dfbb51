//! Table functions: functions that give rows.
//!
//! A call is started for a list of arguments and then asked for rows, some at a time, so that a series of a
//! billion numbers takes no room. No argument is NULL: a call with a NULL gives no rows.

mod series;

use super::resolve::{self, Choice, Signature, choose};
use super::{ArgumentType, EvalContext};
use crate::error::Result;
use remora_storage::value::ColumnBuilder;
use remora_storage::{DataType, Value};
use std::fmt;

/// One table function for one list of argument types.
pub struct TableFunction {
    /// Its name, lower case.
    pub name: &'static str,
    /// The types it takes, without modifiers.
    pub arguments: &'static [DataType],
    /// The type of its only column.
    pub returns: DataType,
    /// Starts a call.
    pub start: fn(&[Value]) -> Result<Box<dyn TableRows>>,
    /// One line for the manual.
    pub doc: &'static str,
}

impl fmt::Debug for TableFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{:?}", self.name, self.arguments)
    }
}

/// A call in progress.
pub trait TableRows: fmt::Debug + Send {
    /// Appends the next rows, at most `wanted`; returns how many. Fewer than wanted are the last ones, and after
    /// them there are none.
    ///
    /// # Errors
    /// Those of the function.
    fn next(
        &mut self,
        wanted: usize,
        rows: &mut ColumnBuilder,
        context: &EvalContext,
    ) -> Result<usize>;
}

/// Every table function there is.
pub(crate) fn all() -> impl Iterator<Item = &'static TableFunction> {
    series::FUNCTIONS.iter()
}

/// Whether a table function has the name.
pub(crate) fn is_table_function(name: &str) -> bool {
    all().any(|function| function.name == name)
}

/// The table function that PostgreSQL would call.
///
/// # Errors
/// 42883 where none takes these arguments, 42725 where several do equally well.
pub(crate) fn resolve(name: &str, arguments: &[ArgumentType]) -> Result<&'static TableFunction> {
    let named: Vec<_> = all().filter(|function| function.name == name).collect();
    let types: Vec<_> = arguments
        .iter()
        .map(|found| found.map(resolve::base))
        .collect();
    let signatures: Vec<_> = named
        .iter()
        .map(|function| Signature {
            types: function.arguments,
            variadic: false,
        })
        .collect();
    match choose(&types, &signatures) {
        Choice::One(index) => Ok(named[index]),
        Choice::None => Err(resolve::undefined(name, arguments)),
        Choice::Several => Err(resolve::ambiguous(name, arguments)),
    }
}
