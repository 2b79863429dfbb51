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

    /// Appends copies of values.
    pub(in crate::session) fn copy(&mut self, values: &[Value]) {
        for value in values {
            self.push(ToSqlOutput::Borrowed(value.as_ref()));
        }
    }

    /// Gives the values away, in exchange for as many others, which are used again unless they are large.
    #[inline]
    pub(in crate::session) fn exchange(&mut self, places: &mut [Value]) {
        let values = &mut self.values[..self.used];
        values.swap_with_slice(places);
        values.iter_mut().for_each(Value::forget_large);
        self.used = 0;
    }

    /// Forgets the values that are large.
    pub(in crate::session) fn forget_large(&mut self) {
        self.values.iter_mut().for_each(Value::forget_large);
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
