//! Pending limits: what a statement has taken from rate limits and not yet written.
//!
//! ```text
//!   call of rate_limit(..)     what is used: by an earlier call of the statement, else by the row that the statement sees
//!        |                     allowed: noted here
//!   the statement has run      what is noted is written, in its transaction
//! ```
//!
//! So calls of one statement see each other, and nothing is left of a statement that fails. Another transaction that has
//! written the row meanwhile is a conflict, as for any other row: of two that take the last one, one is run again. The table, too,
//! is made by the transaction that takes first.

use super::decision::Decision;
use super::limits::{Kind, Limit, Usage};
use super::usage_table::{Found, UsageKey, UsageTable};
use crate::error::Result;
use remora_storage::RowId;
use remora_storage::catalog::Catalog;
use remora_storage::pool::{Ledger, Owner, Reservation};
use remora_storage::transaction::{ReadView, Transaction};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Bytes of a key and its usage in the map, beside the bytes of both.
const PENDING_BYTES: u64 = 2 * size_of::<(UsageKey, PendingUsage)>() as u64;
/// Bytes that every statement may have without reserving them, and in which the reservation grows.
const RESERVE_STEP: u64 = 64 << 10;

/// Usages of limits that a statement has looked at or changed.
#[derive(Debug, Default)]
pub(crate) struct PendingLimits {
    table: Option<UsageTable>,
    used: BTreeMap<UsageKey, PendingUsage>,
    bytes: u64,
    memory: Option<Reservation>,
}

/// Usage of a limit by a key.
#[derive(Debug)]
struct PendingUsage {
    /// The row that says what was used before the statement.
    row: Option<RowId>,
    usage: Option<Usage>,
    /// Whether it is something else than that, and when the row may go.
    changed: Option<i64>,
}

/// A call: the key, its limit, the cost.
pub(crate) type Call<'c> = (&'c str, &'c Limit, f64);

/// The time of a call: by the clock, and what the call says, if it does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CallTime {
    pub(crate) now: i64,
    pub(crate) given: Option<i64>,
}

impl CallTime {
    pub(crate) fn at(self) -> i64 {
        self.given.unwrap_or(self.now)
    }
}

impl PendingLimits {
    /// Decides on a call.
    ///
    /// # Errors
    /// 22023
    pub(crate) fn take(
        &mut self,
        (catalog, view): (&Catalog, &ReadView),
        (key, limit, cost): (&str, &Limit, f64),
        time: CallTime,
    ) -> Result<Decision> {
        self.find(catalog);
        let pending = self.pending(view, UsageKey::new(key, limit.kind())?)?;
        let (decision, usage) = limit.take(pending.usage.as_ref(), cost, time.at())?;
        if let Some(usage) = usage {
            let more = usage
                .heap_bytes()
                .saturating_sub(heap_bytes(&pending.usage));
            pending.changed = Some(usage.expires_at(time.now, time.given.is_some()));
            pending.usage = Some(usage);
            self.reserve(more, view.core().ledger())?;
        }
        Ok(decision)
    }

    /// The usage of a limit by a key, if there is any.
    ///
    /// # Errors
    /// Those of reading.
    pub(crate) fn used(
        &mut self,
        (catalog, view): (&Catalog, &ReadView),
        key: &str,
        kind: Kind,
    ) -> Result<Option<&Usage>> {
        self.find(catalog);
        Ok(self
            .pending(view, UsageKey::new(key, kind)?)?
            .usage
            .as_ref())
    }

    /// Has nothing be used of a key's limit any more; returns whether anything was.
    ///
    /// # Errors
    /// Those of reading.
    pub(crate) fn reset(
        &mut self,
        (catalog, view): (&Catalog, &ReadView),
        key: &str,
        kind: Kind,
    ) -> Result<bool> {
        self.find(catalog);
        let pending = self.pending(view, UsageKey::new(key, kind)?)?;
        let was_used = pending.usage.take().is_some();
        if was_used {
            pending.changed = Some(0);
        }
        Ok(was_used)
    }

    /// Writes what was taken; returns whether there is a table of limits.
    ///
    /// # Errors
    /// 40001, 42809, 53200
    pub(crate) fn write(&mut self, tx: &mut Transaction) -> Result<bool> {
        while let Some((key, pending)) = self.used.pop_first() {
            let Some(expires_at) = pending.changed else {
                continue;
            };
            let table = match &mut self.table {
                Some(table) => &*table,
                none => none.insert(UsageTable::make(tx)?),
            };
            let usage = pending.usage.as_ref().map(|usage| (usage, expires_at));
            table.write(tx, &key, pending.row, usage)?;
        }
        Ok(self.table.is_some())
    }

    fn find(&mut self, catalog: &Catalog) {
        if self.table.is_none() {
            self.table = UsageTable::find(catalog);
        }
    }

    fn pending(&mut self, view: &ReadView, key: UsageKey) -> Result<&mut PendingUsage> {
        if !self.used.contains_key(&key) {
            let found = match &self.table {
                Some(table) => table.read(view, &key)?,
                None => Found::default(),
            };
            let pending = PendingUsage {
                row: found.row,
                usage: found.usage,
                changed: None,
            };
            let bytes = PENDING_BYTES + key.key.len() as u64 + heap_bytes(&pending.usage);
            self.reserve(bytes, view.core().ledger())?;
            self.used.insert(key.clone(), pending);
        }
        Ok(self.used.get_mut(&key).expect("it was put there"))
    }

    /// Reserves so many bytes more.
    ///
    /// # Errors
    /// 53200
    fn reserve(&mut self, more: u64, ledger: &Arc<Ledger>) -> Result<()> {
        self.bytes += more;
        let wanted = self.bytes / RESERVE_STEP * RESERVE_STEP;
        match &mut self.memory {
            Some(memory) if memory.bytes() < wanted => memory.resize(wanted)?,
            none @ None if wanted > 0 => *none = Some(ledger.reserve(Owner::Query, wanted)?),
            _ => {}
        }
        Ok(())
    }
}

fn heap_bytes(usage: &Option<Usage>) -> u64 {
    usage.as_ref().map_or(0, Usage::heap_bytes)
}
