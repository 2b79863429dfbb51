//! Latches by key: one holder at a time changes or checks the entries of a key.
//!
//! A unique check reads the entries of a key, looks at the rows, and adds its own entry; a removal
//! looks at all versions of a row before it takes the entry away. Between looking and acting
//! nobody else may act on the same key.
//!
//! A row that is new needs no latch. There is nobody who could remove its entry, or add it: the row
//! has no other state. And its unique check is done where its entry is the first one of the key,
//! which the index finds and does in one step ([`super::Index::insert_new`]); else it takes the
//! latch, and does as others do. Those look for other entries in the same way: while an entry of
//! the key is there, which under the latch stays there, nobody adds one without the latch.
//!
//! A latch stands for many keys (a stripe), so a holder takes
//! no second one: two holders could wait for each other.

use crate::sync::{Mutex, MutexGuard};
use hashbrown::DefaultHashBuilder;
use std::hash::BuildHasher;

/// How many latches there are; keys of different stripes never wait for each other.
const STRIPES: usize = 64;

/// One latch, alone on its cache line.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Stripe(Mutex<()>);

/// Latches striped by key.
#[derive(Debug)]
pub struct KeyLatches {
    stripes: Box<[Stripe]>,
    hasher: DefaultHashBuilder,
}

/// The right to check and change the entries of a key; released on drop.
#[derive(Debug)]
#[must_use = "the latch is released when the guard is dropped"]
pub struct KeyGuard<'a>(#[allow(dead_code, reason = "held for its drop")] MutexGuard<'a, ()>);

impl KeyLatches {
    /// What the latches of one index take.
    pub const BYTES: u64 = (STRIPES * size_of::<Stripe>()) as u64;

    /// Latches that nobody holds.
    pub fn new() -> Self {
        Self {
            stripes: (0..STRIPES).map(|_| Stripe::default()).collect(),
            hasher: DefaultHashBuilder::default(),
        }
    }

    /// Waits for the key's latch and takes it. A thread holds at most one at a time.
    pub fn lock(&self, key: &[u8]) -> KeyGuard<'_> {
        let stripe = self.hasher.hash_one(key) as usize % STRIPES;
        KeyGuard(self.stripes[stripe].0.lock())
    }
}

impl Default for KeyLatches {
    fn default() -> Self {
        Self::new()
    }
}
