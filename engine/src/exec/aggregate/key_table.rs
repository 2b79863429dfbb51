//! KeyTable: numbers distinct keys from 0 in order of first appearance.
//!
//! The numbers are what operators work with: a group's place in an accumulator, a join key's
//! stretch of rows, or merely whether a key is new.
//!
//! Integers are mostly hashed; but what is grouped by has often few values close to each other (ages,
//! codes, days), so the numbers of keys in a *window* around the first key are found by place.

use super::keys::{ByteKeys, Keys, is_integer};
use crate::error::{Error, Result};
use hashbrown::hash_table::Entry;
use hashbrown::{DefaultHashBuilder, HashTable};
use remora_storage::DataType;
use std::hash::BuildHasher;

/// The number of a key that a table does not have.
pub(in crate::exec) const MISSING: u32 = u32::MAX;

/// Bytes that an entry may take while its table doubles: 17 in each of up to 16/7 places.
const GROWTH_BYTES: usize = 40;

/// Keys that the smallest hash table has room for.
const TABLE_KEYS_MIN: usize = 4;

/// Keys in the window.
const WINDOW_KEYS: usize = 4096;

/// The numbers of integers close to each other, by place. All of them are in the hash table, too.
#[derive(Debug, Default)]
struct Window {
    /// The key at the first place.
    low: i64,
    /// [`MISSING`] where the key has none yet; empty before the first key.
    numbers: Vec<u32>,
}

impl Window {
    /// Around a first key; later calls do nothing.
    fn open(&mut self, key: i64) {
        if self.numbers.is_empty() {
            self.low = key.saturating_sub(WINDOW_KEYS as i64 / 2);
            self.numbers = vec![MISSING; WINDOW_KEYS];
        }
    }

    /// The place of a key, if it is in the window.
    fn place(&mut self, key: i64) -> Option<&mut u32> {
        let at = usize::try_from(key.wrapping_sub(self.low) as u64).ok()?;
        self.numbers.get_mut(at)
    }
}

/// Numbers distinct keys.
#[derive(Debug)]
pub(in crate::exec) struct KeyTable {
    hasher: DefaultHashBuilder,
    kind: Kind,
    /// Keys so far.
    count: u32,
}

#[derive(Debug)]
enum Kind {
    Integers {
        table: HashTable<(i64, u32)>,
        window: Window,
        null: Option<u32>,
    },
    /// Hash and number; the key itself is in `keys` at its number.
    Bytes {
        table: HashTable<(u64, u32)>,
        keys: ByteKeys,
    },
}

impl KeyTable {
    /// An empty table for keys of these types.
    pub(in crate::exec) fn new(types: &[DataType]) -> Self {
        let kind = match is_integer(types) {
            true => Kind::Integers {
                table: HashTable::new(),
                window: Window::default(),
                null: None,
            },
            false => return Self::of_bytes(),
        };
        Self::of(kind)
    }

    /// An empty table for keys of bytes, whatever their types are.
    pub(in crate::exec) fn of_bytes() -> Self {
        Self::of(Kind::Bytes {
            table: HashTable::new(),
            keys: ByteKeys::default(),
        })
    }

    fn of(kind: Kind) -> Self {
        Self {
            hasher: DefaultHashBuilder::default(),
            kind,
            count: 0,
        }
    }

    /// How many keys it has.
    pub(in crate::exec) fn len(&self) -> usize {
        self.count as usize
    }

    /// Bytes held.
    pub(in crate::exec) fn bytes(&self) -> usize {
        match &self.kind {
            Kind::Integers { table, window, .. } => {
                table.allocation_size() + window.numbers.capacity() * size_of::<u32>()
            }
            Kind::Bytes { table, keys } => table.allocation_size() + keys.bytes(),
        }
    }

    /// Bytes that these keys may take beside [`Self::bytes`], to be reserved before they come.
    pub(in crate::exec) fn growth(&self, keys: &Keys) -> usize {
        let (capacity, arena) = match (&self.kind, keys) {
            (Kind::Bytes { table, keys: own }, Keys::Bytes { bytes, .. }) => {
                (table.capacity(), own.growth(bytes))
            }
            (Kind::Bytes { table, .. }, _) => (table.capacity(), 0),
            (Kind::Integers { table, .. }, _) => (table.capacity(), 0),
        };
        let entries = self.len() + keys.len();
        let table = match entries > capacity {
            // Even a single key gets a table of some size.
            true => GROWTH_BYTES * entries.max(TABLE_KEYS_MIN),
            false => 0,
        };
        let window = match &self.kind {
            // It is opened by the first key that is not NULL.
            Kind::Integers { window, .. } if window.numbers.is_empty() => {
                WINDOW_KEYS * size_of::<u32>()
            }
            _ => 0,
        };
        table + window + arena
    }

    /// The number of each key, in `numbers`; new keys get the next numbers.
    ///
    /// # Errors
    /// 54000 beyond 2^32 - 1 keys.
    pub(in crate::exec) fn insert(&mut self, keys: &Keys, numbers: &mut Vec<u32>) -> Result<()> {
        if self.len() + keys.len() >= MISSING as usize {
            return Err(too_many());
        }
        numbers.clear();
        numbers.reserve(keys.len());
        let (hasher, count) = (&self.hasher, &mut self.count);
        let mut next = || {
            *count += 1;
            *count - 1
        };
        match (&mut self.kind, keys) {
            (
                Kind::Integers {
                    table,
                    window,
                    null,
                },
                Keys::Integers { values, nulls },
            ) => {
                for (row, value) in values.iter().enumerate() {
                    if nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
                        numbers.push(*null.get_or_insert_with(&mut next));
                        continue;
                    }
                    window.open(*value);
                    let place = window.place(*value);
                    if let Some(number) = place.as_deref().filter(|number| **number != MISSING) {
                        numbers.push(*number);
                        continue;
                    }
                    let hash = hasher.hash_one(value);
                    let same = |entry: &(i64, u32)| entry.0 == *value;
                    let rehash = |entry: &(i64, u32)| hasher.hash_one(entry.0);
                    let entry = table.entry(hash, same, rehash);
                    let number = entry.or_insert_with(|| (*value, next())).get().1;
                    place.into_iter().for_each(|place| *place = number);
                    numbers.push(number);
                }
            }
            (Kind::Bytes { table, keys: own }, Keys::Bytes { bytes, .. }) => {
                for row in 0..bytes.len() {
                    let key = bytes.get(row);
                    let hash = hasher.hash_one(key);
                    let same =
                        |entry: &(u64, u32)| entry.0 == hash && own.get(entry.1 as usize) == key;
                    numbers.push(match table.entry(hash, same, |entry| entry.0) {
                        Entry::Occupied(entry) => entry.get().1,
                        Entry::Vacant(entry) => {
                            own.push(key);
                            entry.insert((hash, next())).get().1
                        }
                    });
                }
            }
            _ => return Err(mixed()),
        }
        Ok(())
    }

    /// The number of each key, in `numbers`; [`MISSING`] where the table does not have it.
    pub(in crate::exec) fn find(&self, keys: &Keys, numbers: &mut Vec<u32>) -> Result<()> {
        numbers.clear();
        numbers.reserve(keys.len());
        match (&self.kind, keys) {
            (Kind::Integers { table, null, .. }, Keys::Integers { values, nulls }) => {
                numbers.extend(values.iter().map(|value| {
                    table
                        .find(self.hasher.hash_one(value), |entry| entry.0 == *value)
                        .map_or(MISSING, |entry| entry.1)
                }));
                if let Some(nulls) = nulls {
                    let null = null.unwrap_or(MISSING);
                    let numbers = numbers.iter_mut().enumerate();
                    let of_nulls = numbers.filter(|(row, _)| nulls.is_null(*row));
                    of_nulls.for_each(|(_, number)| *number = null);
                }
            }
            (Kind::Bytes { table, keys: own }, Keys::Bytes { bytes, .. }) => {
                numbers.extend((0..bytes.len()).map(|row| {
                    let key = bytes.get(row);
                    let hash = self.hasher.hash_one(key);
                    table
                        .find(hash, |entry| {
                            entry.0 == hash && own.get(entry.1 as usize) == key
                        })
                        .map_or(MISSING, |entry| entry.1)
                }));
            }
            _ => return Err(mixed()),
        }
        Ok(())
    }
}

/// More distinct keys or rows than an operator can number.
pub(in crate::exec) fn too_many() -> Error {
    sql_error!(
        PROGRAM_LIMIT_EXCEEDED,
        "more than {} rows in one sort, join or group",
        MISSING - 1
    )
}

/// The planner gives both sides of a key one type; were it wrong, this is reported.
fn mixed() -> Error {
    Error::internal("keys of two types were compared")
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_buffer::NullBuffer;

    /// A NULL counts as a key and opens no window: what the window takes is still to be reserved.
    #[test]
    fn the_window_is_reserved_before_the_first_key_that_opens_it() {
        let mut table = KeyTable::new(&[DataType::BigInt]);
        let keys = |present: bool| Keys::Integers {
            values: vec![7_i64].into(),
            nulls: Some(NullBuffer::from(vec![present])),
        };
        let mut numbers = Vec::new();
        for present in [false, true, true] {
            let most = table.bytes() + table.growth(&keys(present));
            table.insert(&keys(present), &mut numbers).unwrap();
            assert!(table.bytes() <= most, "{} and not {most}", table.bytes());
        }
        assert_eq!(table.len(), 2);
    }
}
