//! Functions: one definition each, run over scalars and over arrays alike.
//!
//! Operators are functions too, under their own names (`+`, `=`, `~~` for LIKE, `||`), as in
//! PostgreSQL's `pg_operator`. The binder asks [`resolve`] with the name and the argument types
//! and gets the [`Overload`] and the casts to insert, by PostgreSQL's rules of resolution.
//!
//! ```text
//!  resolve, registry         from a name and types to an overload
//!  generic                   functions of any type
//!  kernel, native            from one closure to the scalar and the array form
//!  arithmetic, comparison,   the overloads, one file a family
//!  like, math, moment, ..
//!  array                     functions and operators of arrays
//!  range                     functions and operators of ranges and multiranges
//!  decimal, calendar,        what they compute with
//!  interval
//!  call                      a call's operands, its work, and what its values take
//!  statement                 when the statement began, what its functions may use; rate limits
//!  sequence                  numbers that are given away once
//!  ids                       ids that a program makes up, and codes
//!  setting                   settings of the session
//!  definition                what things are defined as
//!  parameters                by name, for the few that are called so
//!  oids, pg_types            things and types by PostgreSQL's numbers
//!  relation_name,            names of relations in texts, and where they are looked for
//!  search_path
//!  text, cast, aggregate     values as text, casts, accumulators
//!  table                     functions that give rows
//!  window                    what windows have beside the aggregates
//! ```
//!
//! A test runs every overload over random rows in both forms and compares; another holds several
//! hundred expressions against PostgreSQL's own answers.

pub(crate) mod aggregate;
pub(crate) mod cast;
pub(crate) mod table;
pub mod text;
pub(crate) mod window;

pub(crate) mod amounts;
mod arithmetic;
mod array;
mod bins;
mod bits;
pub(crate) mod calendar;
mod call;
mod clock;
mod collation;
mod comparison;
pub(crate) mod decimal;
mod definition;
mod digest;
mod format_text;
mod generic;
pub(crate) mod host;
pub(crate) mod host_table;
mod ids;
mod interval;
mod json;
mod kernel;
pub(crate) mod like;
mod like_pattern;
mod made;
pub mod manual;
mod math;
mod moment;
mod native;
mod needs;
pub(crate) mod numbers;
mod oids;
mod overlaps;
mod parameters;
mod part;
mod pg_types;
mod precision;
mod quote;
mod range;
pub(crate) mod record;
pub(crate) mod regex;
mod registry;
mod relation_name;
mod resolve;
mod sample;
mod search_path;
mod sequence;
mod setting;
mod statement;
mod string;
mod system;
#[cfg(test)]
mod tests;
mod timetz;
mod to_char;
mod trigonometry;
mod unicode;
mod updatable;

pub(crate) use array::{ArrayTest, quantified};
pub(crate) use array::{compares_elements, too_many_dimensions as array_too_deep, variadic};
pub(crate) use call::{
    BATCH_BYTES_MAX, MemoryTracker, PIECE_BYTES, Work, check_size, joined, joined_texts,
    owned_bytes, pieces, pieces_from_end, sorted,
};
pub(crate) use collation::{COLLATE, KEY, KEYS, OF_PAIR, PAIR};
pub(crate) use definition::Defined;
pub(crate) use generic::{CallTypes, Generic, GenericCall, GenericKernel, Pattern};
pub(crate) use generic::{element_of, innermost};
pub(crate) use made::{DOMAIN_ERROR, TypesShown, value as made_value};
pub(crate) use needs::Needs;
pub(crate) use oids::{
    array_type_oid, constraint_oid, described, enum_oid, host_table_oid, index_oid, relation_oid,
    schema_oid, sequence_oid, table_oid, type_number, type_oid,
};
pub(crate) use parameters::parameters;
pub(crate) use pg_types::{PG_TYPES, PgType, modifier, pg_type};
pub(crate) use precision::{cut_to, written as written_modifier};
pub(crate) use quote::{quoted, quoted_type};
pub(crate) use range::range_type;
pub(crate) use registry::{exists, nearest_within, only};
pub(crate) use relation_name::RelationName;
pub(crate) use resolve::resolve;
pub(crate) use resolve::{
    Choice, choose_among, exact_match, no_such_function, not_unique, signatures, type_name,
};
pub(crate) use sample::out_of_range as sample_out_of_range;
pub(crate) use search_path::SearchPath;
pub(crate) use search_path::{
    INFORMATION_SCHEMA, Located, NOWHERE, PG_CATALOG, schema_name, schemas_of,
};
pub(crate) use sequence::SessionSequences;
pub(crate) use sequence::{find as find_sequence, name_of as sequence_name};
pub(crate) use setting::{CursorShown, SessionScope, StatementShown};
pub(crate) use statement::{StatementClock, StatementScope, Times};
pub(crate) use system::is_ignored;
pub(crate) use unicode::{Notation, unescape};

use crate::activity::SessionRecord;
use crate::error::Result;
use arrow_array::{ArrayRef, UInt32Array};
use remora_storage::catalog::Types;
use remora_storage::value::ColumnBuilder;
use remora_storage::{DataType, Value, ValueRef};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// What functions may ask beside their arguments. One a statement.
#[derive(Clone, Debug, Default)]
pub(crate) struct EvalContext {
    /// When the statement and its transaction began: `now()`.
    pub clock: StatementClock,
    /// The session that runs the statement, by which it is asked to stop; `None` where no session
    /// does, as while a plan is made.
    pub session: Option<Arc<SessionRecord>>,
    /// For a statement whose functions use the database.
    pub statement: Option<Arc<StatementScope>>,
    /// For a statement that asks for settings, or for cursors.
    pub scope: Option<Arc<dyn SessionScope>>,
    /// How the session shows and reads values; `None` is the plain style.
    pub style: Option<Arc<text::Style>>,
    /// The types that somebody made, for a statement that may meet their values.
    pub types: Option<Arc<Types>>,
    /// What is evaluated is given up where it takes long.
    pub patience: Patience,
    /// Counts the memory of values that the statement's functions make.
    pub memory: MemoryTracker,
}

/// How often a function may ask whether to go on, which it does after every tenth of a millisecond or so.
#[derive(Debug)]
pub(crate) struct Patience(AtomicU32);

impl Patience {
    /// For what is not needed: whoever has asked twice takes too long.
    pub(crate) fn short() -> Self {
        Self(AtomicU32::new(2))
    }

    /// For tests: the first look is one too many.
    #[cfg(test)]
    pub(crate) fn none() -> Self {
        Self(AtomicU32::new(0))
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
    pub(crate) fn of_planning() -> Self {
        Self {
            patience: Patience::short(),
            ..Self::default()
        }
    }

    /// How values are shown and read.
    #[inline]
    pub(crate) fn style(&self) -> &text::Style {
        self.style.as_deref().unwrap_or(&text::PLAIN)
    }

    /// How texts are read: in the session's style, as of the transaction's start.
    pub(crate) fn reading(&self) -> text::Reading<'_> {
        text::Reading {
            now: Some(self.clock.transaction_start()),
            style: self.style(),
            context: Some(self),
        }
    }

    /// Fails where the statement was asked to stop.
    ///
    /// # Errors
    /// 57014, 25P04, 57P01.
    #[inline]
    pub(crate) fn check(&self) -> Result<()> {
        match &self.session {
            Some(session) => session.interrupt().check(),
            None => self.check_patience(),
        }
    }

    /// Fails where what nothing interrupts takes too long.
    fn check_patience(&self) -> Result<()> {
        match self.patience.is_over() {
            true => Err(sql_error!(
                QUERY_CANCELED,
                "evaluation takes too long to be done in advance"
            )),
            false => Ok(()),
        }
    }
}

/// An argument of a kernel: a column, or one value for all rows.
#[derive(Clone, Debug)]
pub(crate) enum Operand {
    /// One value a row.
    Array(ArrayRef),
    /// The same value for every row.
    Scalar(Value),
}

impl Operand {
    /// As an array of so many rows. A long value is in memory once, however many these are.
    pub(crate) fn into_array(self, data_type: DataType, rows: usize) -> ArrayRef {
        let value = match self {
            Self::Array(array) => return array,
            Self::Scalar(Value::Null) => {
                return arrow_array::new_null_array(&data_type.arrow(), rows);
            }
            Self::Scalar(value) => value,
        };
        if !data_type.is_variable() || rows < 2 {
            return ColumnBuilder::repeat(data_type, &value, rows);
        }
        let one = ColumnBuilder::repeat(data_type, &value, 1);
        let first_only = UInt32Array::from(vec![0; rows]);
        arrow_select::take::take(&one, &first_only, None)
            .expect("the first of an array that has one")
    }
}

/// The scalar form of a function.
pub(crate) type ScalarKernel = fn(&[ValueRef<'_>], &EvalContext) -> Result<Value>;
/// The array form: `rows` results; at least one operand is an array unless there are none.
pub(crate) type VectorKernel = fn(&[Operand], rows: usize, &EvalContext) -> Result<ArrayRef>;

/// Whether equal arguments give equal results.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Volatility {
    /// Always: may be folded.
    Immutable,
    /// Within a statement.
    Stable,
    /// Not even there.
    Volatile,
}

/// How a function is computed.
#[derive(Clone, Copy)]
pub(crate) enum Kernel {
    /// Of values of the overload's types.
    Typed {
        /// Over scalars. That of a strict function must not be called with a NULL: the caller answers.
        scalar: ScalarKernel,
        /// Over arrays, NULLs included; without one the scalar form is called row by row.
        vector: Option<VectorKernel>,
    },
    /// Of values of any types that fit these patterns; the overload's own types say nothing.
    Generic(Generic, GenericKernel),
}

/// One function for one list of argument types.
pub(crate) struct Overload {
    /// Its name, lower case.
    pub name: &'static str,
    /// The types it takes (without modifiers); the last repeats where `variadic`.
    pub arguments: &'static [DataType],
    /// Whether the last argument may come any number of times.
    pub variadic: bool,
    /// The type it gives.
    pub returns: DataType,
    /// The fields of the records that it gives, where they are the same in all.
    pub fields: &'static [(&'static str, DataType)],
    /// Whether equal arguments give equal results.
    pub volatility: Volatility,
    /// Whether a NULL argument makes the result NULL without a call.
    pub strict: bool,
    /// The needs that it has of the session.
    pub needs: Needs,
    /// How it is computed.
    pub kernel: Kernel,
    /// One line for the manual.
    pub doc: &'static str,
}

impl Overload {
    /// A function of any types that fit.
    const fn generic(
        name: &'static str,
        arguments: &'static [Pattern],
        returns: Pattern,
        doc: &'static str,
        kernel: GenericKernel,
    ) -> Self {
        Self {
            name,
            arguments: &[],
            variadic: false,
            returns: DataType::Text,
            fields: &[],
            volatility: Volatility::Immutable,
            strict: true,
            needs: Needs::NOTHING,
            kernel: Kernel::Generic(Generic { arguments, returns }, kernel),
            doc,
        }
    }

    /// Calls it over scalars. One that is strict must not be called with a NULL: the caller answers.
    ///
    /// # Errors
    /// Those of the function.
    #[inline]
    pub(crate) fn call(
        &self,
        values: &[ValueRef<'_>],
        types: impl FnOnce() -> CallTypes,
        context: &EvalContext,
    ) -> Result<Value> {
        match self.kernel {
            Kernel::Typed { scalar, .. } => scalar(values, context),
            Kernel::Generic(_, kernel) => {
                let CallTypes { arguments, returns } = types();
                kernel(&GenericCall {
                    values,
                    types: &arguments,
                    returns,
                    context,
                })
            }
        }
    }

    /// Calls it over arrays: `rows` results.
    ///
    /// # Errors
    /// Those of the function.
    pub(crate) fn call_over(
        &self,
        operands: &[Operand],
        types: impl FnOnce() -> CallTypes,
        rows: usize,
        context: &EvalContext,
    ) -> Result<ArrayRef> {
        let by_row = |types, scalar: &kernel::RowKernel<'_>| {
            kernel::rowwise(operands, types, self.strict, rows, context, scalar)
        };
        match self.kernel {
            Kernel::Typed { scalar, vector } => match vector {
                Some(vector) => vector(operands, rows, context),
                None => by_row((self.arguments, self.returns), &scalar),
            },
            Kernel::Generic(_, kernel) => {
                let CallTypes { arguments, returns } = types();
                by_row((&arguments, returns), &|values, context| {
                    kernel(&GenericCall {
                        values,
                        types: &arguments,
                        returns,
                        context,
                    })
                })
            }
        }
    }

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

    /// Gives it needs.
    const fn needs(mut self, needs: Needs) -> Self {
        self.needs = needs;
        self
    }

    /// Names the fields of the records that it gives.
    const fn fields(mut self, fields: &'static [(&'static str, DataType)]) -> Self {
        self.fields = fields;
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
pub(crate) type ArgumentType = Option<DataType>;

/// A call, resolved.
#[derive(Clone, Debug)]
pub(crate) struct Resolved {
    /// What to call.
    pub overload: &'static Overload,
    /// On what types.
    pub types: CallTypes,
}
