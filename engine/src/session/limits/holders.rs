//! Who holds the memory: the facts that a refusal for want of memory is told with.

use crate::error::{Error, state};
use crate::session::execute::core::Session;
use remora_storage::pool::Owner;
use std::fmt::Write;

/// Owners named beside the largest table and index.
const OWNERS_NAMED: usize = 3;

impl Session {
    /// A 53200 with who holds the most; any other error as it is.
    #[cold]
    pub(in crate::session) fn with_holders(&self, error: Error) -> Error {
        if error.sqlstate() != state::OUT_OF_MEMORY || error.detail().is_some() {
            return error;
        }
        let mut entries = self.ledger().entries();
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.bytes));
        let shown = entries.iter().take(OWNERS_NAMED);
        let shown = shown.map(|entry| format!("{} {} bytes", entry.owner.name(), entry.bytes));
        let mut detail = format!("Held: {}.", shown.collect::<Vec<_>>().join(", "));
        let first = entries.first().map(|entry| entry.owner);
        let largest = match first {
            Some(Owner::Index) => self.largest_index(),
            _ => self.largest_table(),
        };
        if let Some((what, bytes)) = largest {
            // A String takes whatever is written.
            let _ = write!(detail, " The largest is {what} with {bytes} bytes.");
        }
        error.with_detail(detail)
    }

    fn largest_table(&self) -> Option<(String, u64)> {
        let view = self.store.begin().ok()?.view();
        let catalog = self.catalog();
        let sizes = catalog.tables().map(|table| {
            let name = format!("table \"{}\"", table.def.name);
            (name, view.table_stats(table).bytes)
        });
        sizes.max_by_key(|(_, bytes)| *bytes)
    }

    fn largest_index(&self) -> Option<(String, u64)> {
        let catalog = self.catalog();
        let indexes = catalog.tables().flat_map(|table| &table.indexes);
        let sizes = indexes.map(|index| {
            let name = format!("index \"{}\"", index.def.name);
            (name, index.index.bytes())
        });
        sizes.max_by_key(|(_, bytes)| *bytes)
    }
}
