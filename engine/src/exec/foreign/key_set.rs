//! Keys of one foreign key, each once, as the index that is referred to writes them.

use super::super::ExecContext;
use super::super::memory::Held;
use crate::error::Result;
use hashbrown::HashMap;
use remora_storage::Value;

/// Values of the columns of a key, in its order.
pub(super) type Key = Vec<Value>;

/// A key that rows referred by and that is not there, or one that was there and is gone.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// Its values.
    pub(super) key: Key,
    /// What it has become, where its row was updated.
    pub(super) becomes: Option<Key>,
}

/// Keys in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct KeySet {
    entries: Vec<Entry>,
    places: HashMap<Box<[u8]>, usize>,
    held: Held,
}

impl KeySet {
    /// Of a statement that makes the database smaller, where `shrinks`.
    pub(super) fn new(shrinks: bool) -> Self {
        Self {
            held: match shrinks {
                true => Held::for_emergency(),
                false => Held::default(),
            },
            ..Self::default()
        }
    }

    /// Adds a key unless it is there.
    ///
    /// # Errors
    /// 53200
    pub(super) fn add(&mut self, bytes: &[u8], entry: Entry, context: &ExecContext) -> Result<()> {
        if self.places.contains_key(bytes) {
            return Ok(());
        }
        let values = entry.key.iter().chain(entry.becomes.iter().flatten());
        let values: usize = values.map(value_bytes).sum();
        // A table of places is at least half empty while it grows.
        let place = 3 * size_of::<(Box<[u8]>, usize)>();
        let room = 2 * size_of::<Entry>() + place + bytes.len() + values;
        self.held.grow(room, context)?;
        self.places.insert(bytes.into(), self.entries.len());
        self.entries.push(entry);
        Ok(())
    }

    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The place of a key.
    pub(super) fn find(&self, bytes: &[u8]) -> Option<usize> {
        self.places.get(bytes).copied()
    }
}

fn value_bytes(value: &Value) -> usize {
    let heap = match value {
        Value::Text(text) => text.len(),
        Value::Bytea(bytes) => bytes.len(),
        _ => 0,
    };
    size_of::<Value>() + heap
}
