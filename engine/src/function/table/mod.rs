//! Table functions: functions that give rows.
//!
//! A call is started for a list of arguments and then asked for rows, some at a time, so that a series of a
//! billion numbers takes no room. Most are strict: a call with a NULL gives no rows.

mod channels;
mod elements;
mod series;

use super::host_table::HostTableFunction;
use super::json::{path, rows as json};
use super::resolve::{self, Choice, Signature, choose};
use super::{ArgumentType, CallTypes, EvalContext, Generic};
use crate::error::Result;
use remora_storage::value::ColumnBuilder;
use remora_storage::{DataType, Value};
use std::fmt;
use std::sync::Arc;

/// Starts a call of a table function.
pub(crate) type StartRows = fn(&[Value], &EvalContext) -> Result<Box<dyn TableRows>>;

/// One table function for one list of argument types.
pub(crate) struct TableFunction {
    /// Its name, lower case.
    pub name: &'static str,
    /// The types it takes, without modifiers.
    pub arguments: &'static [DataType],
    /// The type of its only column, if it has one.
    pub returns: DataType,
    /// Its columns, where they have names of their own.
    pub columns: &'static [(&'static str, DataType)],
    /// What it takes and gives, if it takes any types that fit; then those above say nothing.
    pub generic: Option<Generic>,
    /// Whether a NULL argument gives no rows without a call.
    pub strict: bool,
    /// Starts a call.
    pub start: StartRows,
    /// One line for the manual.
    pub doc: &'static str,
}

impl fmt::Debug for TableFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{:?}", self.name, self.arguments)
    }
}

/// A table function of the system, or of the host.
#[derive(Clone, Debug)]
pub(crate) enum TableCallee {
    /// Of the system.
    System(&'static TableFunction),
    /// Of the host.
    Host(Arc<HostTableFunction>),
}

impl TableCallee {
    /// Its name.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::System(function) => function.name,
            Self::Host(function) => &function.name,
        }
    }

    /// Its columns, where they have names of their own.
    pub(crate) fn columns(&self) -> Vec<(&str, DataType)> {
        match self {
            Self::System(function) => function.columns.to_vec(),
            Self::Host(function) => {
                let columns = function.columns.iter();
                columns.map(|(name, of)| (name.as_str(), *of)).collect()
            }
        }
    }

    /// Whether a NULL argument gives no rows without a call.
    pub(crate) fn is_strict(&self) -> bool {
        match self {
            Self::System(function) => function.strict,
            Self::Host(function) => function.strict,
        }
    }

    /// Starts a call.
    ///
    /// # Errors
    /// Those of the function.
    pub(crate) fn start(
        &self,
        arguments: &[Value],
        context: &EvalContext,
    ) -> Result<Box<dyn TableRows>> {
        match self {
            Self::System(function) => (function.start)(arguments, context),
            Self::Host(function) => function.start(arguments),
        }
    }
}

/// A call in progress.
pub(crate) trait TableRows: fmt::Debug + Send {
    /// Appends the next rows, at most `wanted`, to the function's columns; returns how many. Fewer than
    /// wanted are the last ones, and after them there are none.
    ///
    /// # Errors
    /// Those of the function.
    fn next(
        &mut self,
        wanted: usize,
        rows: &mut [ColumnBuilder],
        context: &EvalContext,
    ) -> Result<usize>;
}

/// Every table function there is.
pub(crate) fn all() -> impl Iterator<Item = &'static TableFunction> {
    [
        series::FUNCTIONS,
        elements::FUNCTIONS,
        channels::FUNCTIONS,
        json::FUNCTIONS,
        path::TABLE_FUNCTIONS,
    ]
    .into_iter()
    .flatten()
}

/// Whether a table function has the name.
pub(crate) fn is_table_function(name: &str) -> bool {
    all().any(|function| function.name == name)
}

/// The table function that PostgreSQL would call.
///
/// # Errors
/// 42883 where none takes these arguments, 42725 where several do equally well.
pub(crate) fn resolve(
    name: &str,
    arguments: &[ArgumentType],
) -> Result<(&'static TableFunction, CallTypes)> {
    let named: Vec<_> = all().filter(|function| function.name == name).collect();
    let fits = |function: &&'static TableFunction| {
        let types = function.generic?.fit(arguments, false)?;
        Some((*function, types))
    };
    if let Some(found) = named.iter().find_map(fits) {
        return Ok(found);
    }
    let named: Vec<_> = named
        .into_iter()
        .filter(|function| function.generic.is_none())
        .collect();
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
        Choice::One(index) => {
            let function = named[index];
            let types = CallTypes {
                arguments: function.arguments.to_vec(),
                returns: function.returns,
            };
            Ok((function, types))
        }
        Choice::None => Err(resolve::undefined(name, arguments)),
        Choice::Several => Err(resolve::ambiguous(name, arguments)),
    }
}
