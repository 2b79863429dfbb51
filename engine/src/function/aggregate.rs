//! Aggregate functions over groups. (Stub: signatures only.)

use super::{ArgumentType, EvalContext};
use crate::error::Result;
use arrow_array::ArrayRef;
use remora_storage::DataType;
use std::fmt;

/// One aggregate for one list of argument types.
pub struct Aggregate {
    /// Its name, lower case. `count(*)` is `count` with no arguments.
    pub name: &'static str,
    /// The types it takes.
    pub arguments: &'static [DataType],
    /// The type it gives.
    pub returns: DataType,
    /// Makes the state for all groups of one operator.
    pub accumulator: fn() -> Box<dyn Accumulator>,
    /// One line for the manual.
    pub doc: &'static str,
}

impl fmt::Debug for Aggregate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{:?}", self.name, self.arguments)
    }
}

/// The state of one aggregate for all groups.
pub trait Accumulator: Send {
    /// Adds rows: row `i` goes to group `groups[i]`; there are `group_count` groups by now.
    fn update(
        &mut self,
        groups: &[u32],
        group_count: usize,
        arguments: &[ArrayRef],
        context: &EvalContext,
    ) -> Result<()>;
    /// One result a group, in order.
    fn finish(&mut self, group_count: usize) -> Result<ArrayRef>;
    /// Bytes held, for the ledger.
    fn bytes(&self) -> usize;
}

/// Finds the aggregate that PostgreSQL would call; `None` where no aggregate has the name.
///
/// # Errors
/// 42883 where the name fits and the arguments do not.
pub fn resolve(_name: &str, _arguments: &[ArgumentType]) -> Result<Option<&'static Aggregate>> {
    todo!()
}
