//! The entries of one bucket, under its latch.

use super::identity::{Entry, Identity, Target};
use super::line::{LINE_BYTES, LINK, Latch, Line, Root, SLOTS};
use crate::error::Result;
use crate::ids::RowId;
use crate::index::memory::{Memory, Supply};
use std::ptr::NonNull;

/// Lines of a bucket that are not chained by a link.
const ROOT_LINES: usize = 2;

/// A slot of a line.
#[derive(Clone, Copy)]
pub(super) struct Place<'g> {
    line: &'g Line,
    slot: usize,
}

/// What a bucket has for an entry.
pub(super) enum Search<'g> {
    /// The entry itself.
    Found(Place<'g>),
    /// The marker that the identity's rows are kept elsewhere.
    Heavy(Place<'g>),
    /// Not the entry, but so many others of its identity.
    Others(usize),
}

/// A latched bucket.
pub(super) struct Chain<'g> {
    pub(super) latch: Latch<'g>,
}

/// A line from the pool, for the link of a chain.
pub(super) fn new_line<'g>(supply: Supply<'_>) -> Result<&'g Line> {
    let line = supply.allocate(LINE_BYTES)?;
    // SAFETY: zeroed, as large as a line, aligned to 16, and freed only by `free_links` or through
    // the epoch when it is in no chain.
    Ok(unsafe { line.cast().as_ref() })
}

/// Gives back the lines of a bucket beyond its root; nobody else has the index any more.
pub(super) fn free_links(root: &Root, memory: &Memory) {
    let chain = Chain {
        latch: Latch::take(root),
    };
    let lines: Vec<_> = chain.lines().skip(ROOT_LINES).collect();
    for line in lines {
        // SAFETY: `new_line` gave it, it is in this chain only, and nobody reads any more.
        unsafe { memory.free(NonNull::from(line).cast(), LINE_BYTES) }
    }
}

impl<'g> Chain<'g> {
    fn next(&self, line: &'g Line) -> Option<&'g Line> {
        if std::ptr::eq(line, &self.latch.root.first) {
            return Some(&self.latch.root.second);
        }
        // SAFETY: the bucket is latched and the line is chained, so its link slot has the address
        // of a line that goes back to the pool only through the epoch, and the line's borrow says
        // that this thread is pinned or alone.
        line.is_chained().then(|| unsafe { &*line.link() })
    }

    fn lines(&self) -> impl Iterator<Item = &'g Line> {
        std::iter::successors(Some(&self.latch.root.first), |line| self.next(line))
    }

    fn last(&self) -> &'g Line {
        self.lines().last().expect("a bucket has a root")
    }

    fn slots(&self, line: &Line) -> usize {
        match std::ptr::eq(line, &self.latch.root.first) {
            true => SLOTS,
            false => line.slots(),
        }
    }

    fn places(&self) -> impl Iterator<Item = Place<'g>> {
        self.lines()
            .flat_map(|line| places_of(line).take(self.slots(line)))
    }

    /// Appends all entries to `out`.
    pub(super) fn copy_to(&self, out: &mut Vec<Entry>) {
        out.extend(self.places().filter_map(Place::entry));
    }

    /// Appends all lines beyond the root to `out`.
    pub(super) fn links_to(&self, out: &mut Vec<&'g Line>) {
        out.extend(self.lines().skip(ROOT_LINES));
    }

    /// Looks for an entry.
    pub(super) fn search(&self, identity: Identity, row: RowId) -> Search<'g> {
        let (mut found, mut others) = (None, 0);
        for line in self.lines() {
            line.for_each(identity, self.slots(line), |slot, target| match target {
                Target::Heavy => found = Some(Search::Heavy(Place { line, slot })),
                Target::Row(at) if at == row => found = Some(Search::Found(Place { line, slot })),
                Target::Row(_) => others += 1,
            });
            if let Some(found) = found {
                return found;
            }
        }
        Search::Others(others)
    }

    /// Appends the rows of an identity that is not heavy to `out`.
    pub(super) fn rows_of(&self, identity: Identity, out: &mut Vec<RowId>) {
        for line in self.lines() {
            line.for_each(identity, self.slots(line), |_, target| {
                if let Target::Row(row) = target {
                    out.push(row);
                }
            });
        }
    }

    /// Adds an entry that is not there. On error nothing changed.
    pub(super) fn add(&mut self, entry: Entry, memory: &Memory) -> Result<()> {
        if let Some(Place { line, slot }) = self.free() {
            self.latch.put(line, slot, entry);
            return Ok(());
        }
        let last = self.last();
        let new = new_line(memory.to_grow())?;
        self.latch.put(new, 1, entry);
        if let Some(moved) = last.entry(LINK) {
            self.latch.put(new, 0, moved);
        }
        self.latch.change();
        last.set_chained(true);
        last.set_link(new);
        Ok(())
    }

    /// A slot that an entry may be put in; those before a chain's last line are full.
    fn free(&self) -> Option<Place<'g>> {
        let root = self.latch.root;
        let lines = match root.second.is_chained() {
            true => [self.last(); ROOT_LINES],
            false => [&root.first, &root.second],
        };
        let mut places = lines.into_iter().flat_map(places_of);
        places.find(|place| place.entry().is_none())
    }

    /// Takes an entry out; returns the line that the chain no longer needs.
    pub(super) fn take(&mut self, place: Place<'g>) -> Option<&'g Line> {
        if !self.latch.root.second.is_chained() {
            place.line.clear(place.slot);
            return None;
        }
        self.latch.change();
        let tail = self.last();
        let end = (0..SLOTS).rfind(|slot| tail.entry(*slot).is_some());
        let end = end.expect("the last line of a chain has two entries at least");
        // The hole is filled from the end.
        if let Some(last) = tail.entry(end) {
            tail.clear(end);
            if !(std::ptr::eq(place.line, tail) && place.slot == end) {
                self.latch.put(place.line, place.slot, last);
            }
        }
        if end > 1 {
            return None;
        }
        // One is left: it goes where the link was.
        let before = self
            .lines()
            .skip(1)
            .find(|line| self.next(line).is_some_and(|next| std::ptr::eq(next, tail)))
            .expect("the last line of a chain has one before it");
        let left = tail.entry(0).expect("one is left");
        before.set_chained(false);
        self.latch.put(before, LINK, left);
        Some(tail)
    }

    /// Puts another entry in an entry's place; within a change, where another row follows from it.
    pub(super) fn replace(&mut self, place: Place<'g>, entry: Entry) {
        self.latch.put(place.line, place.slot, entry);
    }

    /// Makes `entries` all that the bucket has; within a change. Takes lines from `spare`, in which
    /// there are enough.
    pub(super) fn rewrite(&mut self, entries: &[Entry], spare: &mut Vec<&'g Line>) {
        let (first, mut left) = entries.split_at(entries.len().min(SLOTS));
        self.rewrite_line(&self.latch.root.first, first);
        let mut line = &self.latch.root.second;
        loop {
            let is_last = left.len() <= SLOTS;
            let (here, rest) = left.split_at(if is_last { left.len() } else { LINK });
            self.rewrite_line(line, here);
            line.set_chained(!is_last);
            if is_last {
                return;
            }
            let next = spare.pop().expect("a line for every five entries");
            line.set_link(next);
            (line, left) = (next, rest);
        }
    }

    /// Makes `entries` all that a line has.
    fn rewrite_line(&mut self, line: &Line, entries: &[Entry]) {
        for slot in 0..SLOTS {
            match entries.get(slot) {
                Some(entry) => self.latch.put(line, slot, *entry),
                None => line.clear(slot),
            }
        }
    }
}

fn places_of(line: &Line) -> impl Iterator<Item = Place<'_>> {
    (0..SLOTS).map(move |slot| Place { line, slot })
}

impl Place<'_> {
    fn entry(self) -> Option<Entry> {
        self.line.entry(self.slot)
    }
}

/// Lines beyond the root that a bucket of so many entries has.
pub(super) fn links_of(entries: usize) -> usize {
    entries.saturating_sub(ROOT_LINES * SLOTS).div_ceil(LINK)
}
