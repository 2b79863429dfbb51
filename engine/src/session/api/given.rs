//! Where the parameters of a call are gathered.

use super::to_sql::ToSqlOutput;
use remora_storage::Value;
use std::ops::Deref;

/// The values of one call. Those of the call before stay behind them, so that their strings are used again.
#[derive(Debug, Default)]
pub struct Given {
    values: Vec<Value>,
    used: usize,
}

impl Given {
    /// Begins anew.
    pub(in crate::session) fn begin(&mut self) {
        self.used = 0;
    }

    /// Forgets all values, also those that are not in use; the list stays allocated.
    pub(in crate::session) fn forget(&mut self) {
        self.values.clear();
        self.used = 0;
    }

    /// Appends a value.
    #[inline]
    pub(in crate::session) fn push(&mut self, value: ToSqlOutput<'_>) {
        match (self.values.get_mut(self.used), value) {
            (Some(place), ToSqlOutput::Borrowed(value)) => place.assign(value),
            (Some(place), ToSqlOutput::Owned(value)) => *place = value,
            (None, value) => self.values.push(value.into_value()),
        }
        self.used += 1;
    }

    /// Gives the values away, in exchange for as many others.
    pub(in crate::session) fn exchange(&mut self, places: &mut [Value]) {
        self.values[..self.used].swap_with_slice(places);
        self.used = 0;
    }

    /// Gives the values away.
    pub(in crate::session) fn take<C: FromIterator<Value>>(&mut self) -> C {
        self.values
            .drain(..std::mem::take(&mut self.used))
            .collect()
    }
}

impl Deref for Given {
    type Target = [Value];

    #[inline]
    fn deref(&self) -> &[Value] {
        &self.values[..self.used]
    }
}
