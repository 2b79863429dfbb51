//! Keys of one foreign key, each once, as the index that is referred to writes them.
//!
//! What a transaction has relied on outlives its statement: [`Keys`] is the part that may be shared with its
//! reads, which count it as theirs. What a [`KeySet`] has reserved goes with the statement.

use crate::error::Result;
use crate::exec::ExecContext;
use crate::exec::memory::Held;
use hashbrown::HashMap;
use remora_storage::Value;
use std::sync::Arc;

/// Bytes of a set that are not reserved: a statement that changes a row or two asks nobody for memory.
pub(super) const FREE_BYTES: usize = 2 << 10;

/// Values of the columns of a key, in its order.
pub(super) type Key = Vec<Value>;

/// A key that rows referred by and that is not there, or one that was there and is gone.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// Its values.
    pub(super) key: Key,
    /// What it has become, where its row was updated.
    pub(super) becomes: Option<Key>,
    /// The key that is referred to, as its index writes it.
    pub(super) bytes: Arc<[u8]>,
}

/// Keys in the order in which they came.
#[derive(Clone, Debug, Default)]
pub(super) struct Keys {
    entries: Vec<Entry>,
    places: HashMap<Arc<[u8]>, usize>,
    bytes: usize,
}

/// Keys with the memory that they are in.
#[derive(Debug, Default)]
pub(super) struct KeySet {
    keys: Arc<Keys>,
    held: Held,
}

impl Keys {
    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The place of a key.
    pub(super) fn find(&self, bytes: &[u8]) -> Option<usize> {
        self.places.get(bytes).copied()
    }

    /// Bytes that they take on the heap.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
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
    pub(super) fn add(
        &mut self,
        bytes: &[u8],
        key: Key,
        becomes: Option<Key>,
        context: &ExecContext,
    ) -> Result<()> {
        if self.keys.places.contains_key(bytes) {
            return Ok(());
        }
        let values = key.iter().chain(becomes.iter().flatten());
        let values: usize = values.map(value_bytes).sum();
        // A table of places is at least half empty while it grows.
        let place = 3 * size_of::<(Arc<[u8]>, usize)>();
        let counts = 2 * size_of::<usize>();
        let room = 2 * size_of::<Entry>() + place + counts + bytes.len() + values;
        let all = self.keys.bytes + room;
        if all > FREE_BYTES {
            self.held.reach(all, context)?;
        }
        // Nobody shares a set that still grows.
        let keys = Arc::make_mut(&mut self.keys);
        let bytes: Arc<[u8]> = bytes.into();
        keys.bytes = all;
        keys.places.insert(Arc::clone(&bytes), keys.entries.len());
        keys.entries.push(Entry {
            key,
            becomes,
            bytes,
        });
        Ok(())
    }

    /// Adds those of another set that are not there.
    ///
    /// # Errors
    /// 53200
    pub(super) fn merge(&mut self, other: &Self, context: &ExecContext) -> Result<()> {
        for entry in other.entries() {
            let (key, becomes) = (entry.key.clone(), entry.becomes.clone());
            self.add(&entry.bytes, key, becomes, context)?;
        }
        Ok(())
    }

    pub(super) fn keys(&self) -> &Arc<Keys> {
        &self.keys
    }

    pub(super) fn entries(&self) -> &[Entry] {
        &self.keys.entries
    }

    pub(super) fn is_empty(&self) -> bool {
        self.keys.entries.is_empty()
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
