//! Page sets: which of an extent's 512 pages are free, resident or zero.
//!
//! A set is eight words, so that holes are found with shifts and counts and without a loop over pages.

use super::extent::EXTENT_BYTES;
use super::slab::SLAB_BYTES;
use std::ops::Range;

/// The unit in which extents are handed out, charged and given back.
pub(super) const PAGE_BYTES: usize = 4 << 10;
/// Pages of an extent.
pub(super) const PAGES: usize = EXTENT_BYTES / PAGE_BYTES;
/// Pages of a slab's window.
pub(super) const SLAB_PAGES: usize = SLAB_BYTES / PAGE_BYTES;

const WORD_BITS: usize = u64::BITS as usize;
const WORDS: usize = PAGES / WORD_BITS;

/// A set of the pages of one extent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct PageSet([u64; WORDS]);

impl PageSet {
    pub(super) const NONE: Self = Self([0; WORDS]);
    pub(super) const ALL: Self = Self([u64::MAX; WORDS]);

    pub(super) fn insert(&mut self, pages: Range<usize>) {
        for (word, mask) in masks(pages) {
            self.0[word] |= mask;
        }
    }

    pub(super) fn remove(&mut self, pages: Range<usize>) {
        for (word, mask) in masks(pages) {
            self.0[word] &= !mask;
        }
    }

    /// Adds all pages of another set.
    pub(super) fn insert_all(&mut self, other: &Self) {
        for (word, other) in self.0.iter_mut().zip(other.0) {
            *word |= other;
        }
    }

    /// Removes all pages of another set.
    pub(super) fn remove_all(&mut self, other: &Self) {
        for (word, other) in self.0.iter_mut().zip(other.0) {
            *word &= !other;
        }
    }

    pub(super) fn contains(&self, pages: Range<usize>) -> bool {
        masks(pages).all(|(word, mask)| self.0[word] & mask == mask)
    }

    /// Returns how many pages of the range are in the set.
    pub(super) fn count_in(&self, pages: Range<usize>) -> usize {
        let counts = masks(pages).map(|(word, mask)| (self.0[word] & mask).count_ones());
        counts.sum::<u32>() as usize
    }

    pub(super) fn count(&self) -> usize {
        let counts = self.0.iter().map(|word| word.count_ones());
        counts.sum::<u32>() as usize
    }

    pub(super) fn is_empty(&self) -> bool {
        *self == Self::NONE
    }

    /// Returns the pages that are in both sets.
    pub(super) fn and(&self, other: &Self) -> Self {
        let mut both = *self;
        for (word, other) in both.0.iter_mut().zip(other.0) {
            *word &= other;
        }
        both
    }

    /// Returns the runs of neighbouring pages, in order.
    pub(super) fn runs(self) -> impl Iterator<Item = Range<usize>> {
        let mut at = 0;
        std::iter::from_fn(move || {
            let start = self.next(at, true)?;
            let end = self.next(start, false).unwrap_or(PAGES);
            at = end;
            Some(start..end)
        })
    }

    /// Returns the length of the longest run.
    pub(super) fn longest(&self) -> usize {
        self.runs().map(|run| run.len()).max().unwrap_or(0)
    }

    /// Returns where the shortest run of at least `count` pages begins.
    pub(super) fn tightest(&self, count: usize) -> Option<usize> {
        let fitting = self.runs().filter(|run| run.len() >= count);
        fitting.min_by_key(|run| run.len()).map(|run| run.start)
    }

    /// Returns where the first slab window begins whose first `count` pages are in the set.
    pub(super) fn window(&self, count: usize) -> Option<usize> {
        let mut windows = (0..PAGES).step_by(SLAB_PAGES);
        windows.find(|start| self.contains(*start..start + count))
    }

    /// Returns the first page from `at` on that is in the set, or is not.
    fn next(&self, at: usize, is_in: bool) -> Option<usize> {
        let mut word = at / WORD_BITS;
        let mut seen = u64::MAX << (at % WORD_BITS);
        while word < WORDS {
            let bits = if is_in { self.0[word] } else { !self.0[word] } & seen;
            if bits != 0 {
                return Some(word * WORD_BITS + bits.trailing_zeros() as usize);
            }
            seen = u64::MAX;
            word += 1;
        }
        None
    }
}

/// Returns the words that a range touches, each with the bits of the range.
fn masks(pages: Range<usize>) -> impl Iterator<Item = (usize, u64)> {
    debug_assert!(pages.end <= PAGES, "pages of one extent");
    let words = pages.start / WORD_BITS..pages.end.div_ceil(WORD_BITS);
    words.map(move |word| {
        let first = word * WORD_BITS;
        let from = pages.start.saturating_sub(first);
        let to = (pages.end - first).min(WORD_BITS);
        let below = u64::MAX >> (WORD_BITS - to);
        (word, below & (u64::MAX << from))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn range() -> impl Strategy<Value = Range<usize>> {
        (0..PAGES, 1..80_usize).prop_map(|(start, count)| start..PAGES.min(start + count))
    }

    proptest! {
        #[test]
        fn a_set_is_like_a_list_of_booleans(
            changes in prop::collection::vec((range(), any::<bool>()), 0..40),
            asked in range(),
            count in 1..40_usize,
        ) {
            let (mut set, mut model) = (PageSet::NONE, vec![false; PAGES]);
            for (pages, add) in changes {
                model[pages.clone()].fill(add);
                match add {
                    true => set.insert(pages),
                    false => set.remove(pages),
                }
            }
            prop_assert_eq!(set.count(), model.iter().filter(|page| **page).count());
            prop_assert_eq!(set.is_empty(), set.count() == 0);
            let of_range = model[asked.clone()].iter().filter(|page| **page).count();
            prop_assert_eq!(set.count_in(asked.clone()), of_range);
            prop_assert_eq!(set.contains(asked.clone()), of_range == asked.len());
            let runs: Vec<_> = set.runs().collect();
            let of_runs: usize = runs.iter().map(Range::len).sum();
            prop_assert_eq!(of_runs, set.count());
            for run in &runs {
                prop_assert!(model[run.clone()].iter().all(|page| *page));
                prop_assert!(run.end == PAGES || !model[run.end], "a run is as long as it can be");
            }
            prop_assert_eq!(set.longest(), runs.iter().map(Range::len).max().unwrap_or(0));
            let tightest = runs.iter().filter(|run| run.len() >= count).map(Range::len).min();
            let found = set.tightest(count);
            let length = found.map(|start| runs.iter().find(|run| run.start == start).map(Range::len));
            prop_assert_eq!(length.flatten(), tightest);
            let pages = count.min(SLAB_PAGES);
            let window = (0..PAGES).step_by(SLAB_PAGES);
            let window = window.into_iter().find(|at| model[*at..at + pages].iter().all(|page| *page));
            prop_assert_eq!(set.window(pages), window);
        }
    }

    #[test]
    fn sets_are_added_and_taken_away() {
        let (mut one, mut other) = (PageSet::NONE, PageSet::NONE);
        one.insert(60..70);
        other.insert(65..130);
        assert!(one.and(&other).runs().eq(std::iter::once(65..70)));
        one.insert_all(&other);
        assert!(one.runs().eq(std::iter::once(60..130)));
        one.remove_all(&other);
        assert!(one.runs().eq(std::iter::once(60..65)));
        assert_eq!(PageSet::ALL.longest(), PAGES);
    }
}
