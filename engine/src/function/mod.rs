//! Functions: one definition each, run over scalars and over arrays alike.
//!
//! Operators are functions too, under their own names (`+`, `=`, `~~` for LIKE, `||`), as in
//! PostgreSQL's `pg_operator`. The binder asks [`resolve`] with the name and the argument types
//! and gets the [`Overload`] and the casts to insert, by PostgreSQL's rules of resolution.
//!
//! ```text
//!  resolve, registry         from a name and types to an overload
//!  kernel, native            from one closure to the scalar and the array form
//!  arithmetic, comparison,   the overloads, one file a family
//!  like, math, moment, ..
//!  decimal, calendar,        what they compute with
//!  interval
//!  statement_clock           when the statement began
//!  sequence, sequence_name   numbers that are given away once
//!  text, cast, aggregate     values as text, casts, accumulators
//!  table                     functions that give rows
//!  window                    what windows have beside the aggregates
//! ```
//!
//! A test runs every overload over random rows in both forms and compares; another holds several
//! hundred expressions against PostgreSQL's own answers.

pub mod aggregate;
pub mod cast;
pub mod table;
pub mod text;
pub mod window;

mod arithmetic;
mod bins;
pub(crate) mod calendar;
mod clock;
mod comparison;
pub(crate) mod decimal;
mod digest;
mod format_text;
mod interval;
mod kernel;
mod like;
mod math;
mod moment;
mod native;
mod numbers;
mod part;
mod quote;
mod regex;
mod registry;
mod resolve;
mod sequence;
mod sequence_name;
mod statement_clock;
mod string;
mod system;
#[cfg(test)]
mod tests;
mod to_char;
mod trigonometry;

pub(crate) use quote::quote_ident;
pub(crate) use registry::exists;
pub(crate) use resolve::no_such_function;
pub use resolve::resolve;
pub use sequence::{SequenceScope, SessionSequences};
pub(crate) use sequence::{find as find_sequence, is_of_sequences};
pub(crate) use sequence_name::SequenceName;
pub use statement_clock::StatementClock;
pub(crate) use statement_clock::now_micros;

use crate::activity::SessionRecord;
use crate::error::{Error, Result, state};
use arrow_array::ArrayRef;
use remora_storage::{DataType, Value, ValueRef};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// What functions may ask beside their arguments. One a statement.
#[derive(Clone, Debug, Default)]
pub struct EvalContext {
    /// When the statement and its transaction began: `now()`.
    pub clock: StatementClock,
    /// The session that runs the statement, by which it is asked to stop; `None` where no session
    /// does, as while a plan is made.
    pub session: Option<Arc<SessionRecord>>,
    /// For a statement that takes numbers from sequences.
    pub sequences: Option<Arc<SequenceScope>>,
    /// What is evaluated is given up where it takes long.
    pub patience: Patience,
}

/// How often a function may ask whether to go on, which it does after every tenth of a millisecond or so.
#[derive(Debug)]
pub struct Patience(AtomicU32);

impl Patience {
    /// For what is not needed: whoever has asked twice takes too long.
    pub fn short() -> Self {
        Self(AtomicU32::new(2))
    }

    fn is_over(&self) -> bool {
        let left = self.0.load(Relaxed);
        if left < u32::MAX {
            self.0.store(left.saturating_sub(1), Relaxed);
        }
        left == 0
    }
}

impl Default for Patience {
    /// For ever.
    fn default() -> Self {
        Self(AtomicU32::new(u32::MAX))
    }
}

impl Clone for Patience {
    fn clone(&self) -> Self {
        Self(AtomicU32::new(self.0.load(Relaxed)))
    }
}

impl EvalContext {
    /// Of a function that is evaluated while a plan is made, which nothing interrupts: what takes long is left
    /// for the time when the statement runs.
    pub fn of_planning() -> Self {
        Self {
            patience: Patience::short(),
            ..Self::default()
        }
    }

    /// Fails where the statement was asked to stop.
    ///
    /// # Errors
    /// 57014, 25P04, 57P01.
    #[inline]
    pub fn check(&self) -> Result<()> {
        match &self.session {
            Some(session) => session.interrupt().check(),
            None if self.patience.is_over() => Err(Error::new(
                state::QUERY_CANCELED,
                "evaluation takes too long to be done in advance",
            )),
            None => Ok(()),
        }
    }
}

/// An argument of a kernel: a column, or one value for all rows.
#[derive(Clone, Debug)]
pub enum Operand {
    /// One value a row.
    Array(ArrayRef),
    /// The same value for every row.
    Scalar(Value),
}

/// The scalar form of a function.
pub type ScalarKernel = fn(&[ValueRef<'_>], &EvalContext) -> Result<Value>;
/// The array form: `rows` results; at least one operand is an array unless there are none.
pub type VectorKernel = fn(&[Operand], rows: usize, &EvalContext) -> Result<ArrayRef>;

/// Whether equal arguments give equal results.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Volatility {
    /// Always: may be folded.
    Immutable,
    /// Within a statement.
    Stable,
    /// Not even there.
    Volatile,
}

/// One function for one list of argument types.
pub struct Overload {
    /// Its name, lower case.
    pub name: &'static str,
    /// The types it takes (without modifiers); the last repeats where `variadic`.
    pub arguments: &'static [DataType],
    /// Whether the last argument may come any number of times.
    pub variadic: bool,
    /// The type it gives.
    pub returns: DataType,
    /// Whether equal arguments give equal results.
    pub volatility: Volatility,
    /// Whether a NULL argument makes the result NULL without a call.
    pub strict: bool,
    /// Over scalars. That of a strict function must not be called with a NULL: the caller answers.
    pub scalar: ScalarKernel,
    /// Over arrays, NULLs included.
    pub vector: VectorKernel,
    /// One line for the manual.
    pub doc: &'static str,
}

impl Overload {
    /// The same, but its last argument may repeat.
    const fn variadic(mut self) -> Self {
        self.variadic = true;
        self
    }

    /// The same, but not immutable.
    const fn volatility(mut self, volatility: Volatility) -> Self {
        self.volatility = volatility;
        self
    }

    /// The same, but called with NULLs too.
    const fn called_on_null(mut self) -> Self {
        self.strict = false;
        self
    }
}

impl fmt::Debug for Overload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{:?}", self.name, self.arguments)
    }
}

/// An argument as the binder knows it: `None` for an untyped literal, NULL or parameter.
pub type ArgumentType = Option<DataType>;

/// A call, resolved.
#[derive(Clone, Copy, Debug)]
pub struct Resolved {
    /// What to call. Argument `i` must be cast to `overload.arguments[i]` where it is not of it.
    pub overload: &'static Overload,
}
