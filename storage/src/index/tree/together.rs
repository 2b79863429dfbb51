//! Several keys looked up at once.
//!
//! ```text
//!   key 0   root - node - node - bucket       each key goes down one level in a pass, and asks for
//!   key 1   root - node - bucket              the memory of the next; so they wait for it together,
//!   key 2   root - node - node - row          and not one after the other
//! ```
//!
//! Where the tree is larger than the processor's cache, a look-up is little else than waiting.

use super::bucket::Found;
use super::word::Word;
use super::{OrderedIndex, Step};
use crate::ids::RowId;
use crate::index::TOGETHER;
use crate::mvcc::epoch;
use smallvec::SmallVec;

/// A key on its way down.
struct Way<'k> {
    /// Its number.
    at: usize,
    word: Word,
    rest: &'k [u8],
}

impl OrderedIndex {
    /// Calls `visit` with the number of a key and a row that it has, key by key; there are at most [`TOGETHER`] keys.
    pub(in crate::index) fn find_together(
        &self,
        keys: &[&[u8]],
        mut visit: impl FnMut(usize, RowId),
    ) {
        for (at, found) in self.find_all(keys).into_iter().enumerate() {
            match found {
                Found::Nothing => {}
                Found::Row(row) => visit(at, row),
                Found::Rows => {
                    let mut rows = Vec::new();
                    self.get(keys[at], &mut rows);
                    rows.into_iter().for_each(|row| visit(at, row));
                }
            }
        }
    }

    fn find_all(&self, keys: &[&[u8]]) -> SmallVec<[Found; TOGETHER]> {
        let _guard = epoch::pin();
        let mut found = SmallVec::new();
        found.resize_with(keys.len(), || Found::Nothing);
        let begin = |at: usize| Way {
            at,
            word: Word::load(&self.root),
            rest: keys[at],
        };
        let mut ways: SmallVec<[Way<'_>; TOGETHER]> = (0..keys.len()).map(begin).collect();
        while !ways.is_empty() {
            ways.retain(|way| match Self::step(way.word, way.rest) {
                Ok(Step::Down(word, rest)) => {
                    word.prefetch_for(rest);
                    (way.word, way.rest) = (word, rest);
                    true
                }
                Ok(Step::Done(result)) => {
                    found[way.at] = result;
                    false
                }
                Err(_) => {
                    *way = begin(way.at);
                    true
                }
            });
        }
        found
    }
}
