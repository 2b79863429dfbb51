//! Work: what a function does over the bytes of one long value, so counted that it can be told to end.
//!
//! A function over values of any length spends the bytes that it reads or writes, as it goes; each 64 KiB of these
//! ask whether the statement is to stop, which is some microseconds of work. What a library does in one go is given
//! to it in [`pieces`], or its length is bounded (see `docs/sql/limits.md`). Short values never ask.
//!
//! A result may become much longer than what the function was given, and nobody knows how long before it is done. So
//! it says how much it has by now ([`Work::reach`]), and has asked for twice as much before it grows that far.

use super::{VALUE_BYTES_MAX, check_size};
use crate::error::Result;
use crate::function::EvalContext;
use std::cell::Cell;
use std::cmp::Ordering;

/// Bytes of work between two looks at the interrupt.
pub(crate) const PIECE_BYTES: usize = 64 << 10;

/// The work of one call.
#[derive(Debug)]
pub(crate) struct Work<'c> {
    /// `None` where nothing interrupts.
    context: Option<&'c EvalContext>,
    /// Bytes until the next look.
    left: Cell<usize>,
    /// Bytes that it may make without asking.
    room: Cell<usize>,
}

/// Bytes that a function may make without asking.
const ROOM_BYTES: usize = 16 << 10;

impl<'c> Work<'c> {
    /// Work that has not begun.
    pub(crate) fn new(context: &'c EvalContext) -> Self {
        Self {
            context: Some(context),
            ..Self::unasked()
        }
    }

    /// Work outside of a statement, which nothing interrupts: it fails only where a value gets too long.
    pub(crate) fn unasked() -> Self {
        Self {
            context: None,
            left: Cell::new(PIECE_BYTES),
            room: Cell::new(ROOM_BYTES),
        }
    }

    /// Counts bytes that were read or written, or steps that take as long.
    ///
    /// # Errors
    /// 57014 and whatever else a statement is stopped with.
    #[inline]
    pub(crate) fn spend(&self, bytes: usize) -> Result<()> {
        match self.left.get().checked_sub(bytes) {
            Some(left) => {
                self.left.set(left);
                Ok(())
            }
            None => self.look(),
        }
    }

    /// Says that what the function makes is so many bytes by now, in all; a list that grows doubles.
    ///
    /// # Errors
    /// 54000 where no value may be so long; 53200 where the budget does not allow it.
    #[inline]
    pub(crate) fn reach(&self, bytes: usize) -> Result<()> {
        match bytes <= self.room.get() {
            true => Ok(()),
            false => self.ask(bytes),
        }
    }

    #[cold]
    fn ask(&self, bytes: usize) -> Result<()> {
        check_size(Some(bytes))?;
        let wanted = (2 * bytes).min(VALUE_BYTES_MAX);
        if let Some(context) = self.context {
            context.working_memory(wanted - self.room.get().min(wanted))?;
        }
        self.room.set(wanted);
        Ok(())
    }

    #[cold]
    fn look(&self) -> Result<()> {
        self.left.set(PIECE_BYTES);
        self.context.map_or(Ok(()), EvalContext::check)
    }
}

/// A text in pieces of [`PIECE_BYTES`] or a little less, each of whole characters.
pub(crate) fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (piece, behind) = rest.split_at(rest.floor_char_boundary(PIECE_BYTES.min(rest.len())));
        rest = behind;
        Some(piece)
    })
}

/// Like [`pieces`], the last one first.
pub(crate) fn pieces_from_end(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (before, piece) =
            rest.split_at(rest.ceil_char_boundary(rest.len().saturating_sub(PIECE_BYTES)));
        rest = before;
        Some(piece)
    })
}

/// Bytes one behind the other, copied in pieces.
///
/// # Errors
/// 54000 where they are too long together; 53200; and those of [`Work::spend`].
pub(crate) fn joined<'p>(
    parts: impl Iterator<Item = &'p [u8]> + Clone,
    context: &EvalContext,
) -> Result<Vec<u8>> {
    let bytes = (parts.clone()).try_fold(0_usize, |bytes, part| bytes.checked_add(part.len()));
    let mut out = Vec::with_capacity(context.room(bytes)?);
    let work = Work::new(context);
    for piece in parts.flat_map(|part| part.chunks(PIECE_BYTES)) {
        work.spend(piece.len())?;
        out.extend_from_slice(piece);
    }
    Ok(out)
}

/// Texts one behind the other.
///
/// # Errors
/// Those of [`joined`].
pub(crate) fn joined_texts<'p>(
    parts: impl Iterator<Item = &'p str> + Clone,
    context: &EvalContext,
) -> Result<String> {
    let bytes = (parts.clone()).try_fold(0_usize, |bytes, part| bytes.checked_add(part.len()));
    let mut out = String::with_capacity(context.room(bytes)?);
    let work = Work::new(context);
    for piece in parts.flat_map(pieces) {
        work.spend(piece.len())?;
        out.push_str(piece);
    }
    Ok(out)
}

/// The work of a comparison.
const SORT_WORK: usize = 32;
/// Elements that are sorted between two looks at the interrupt.
const RUN_ELEMENTS: usize = 4096;

/// Elements in order, equal ones as they came.
///
/// # Errors
/// Those of [`Work::spend`].
pub(crate) fn sorted<T: Copy>(
    mut elements: Vec<T>,
    compare: impl Fn(&T, &T) -> Ordering,
    work: &Work<'_>,
) -> Result<Vec<T>> {
    for run in elements.chunks_mut(RUN_ELEMENTS) {
        work.spend(PIECE_BYTES)?;
        run.sort_by(&compare);
    }
    // Runs are merged in pairs, until one is left.
    let mut length = RUN_ELEMENTS;
    while length < elements.len() {
        let mut merged = Vec::with_capacity(elements.len());
        for pair in elements.chunks(2 * length) {
            let (mut one, mut two) = pair.split_at(length.min(pair.len()));
            while let ([first, rest_one @ ..], [second, rest_two @ ..]) = (one, two) {
                work.spend(SORT_WORK)?;
                if compare(first, second).is_le() {
                    merged.push(*first);
                    one = rest_one;
                } else {
                    merged.push(*second);
                    two = rest_two;
                }
            }
            merged.extend_from_slice(one);
            merged.extend_from_slice(two);
        }
        elements = merged;
        length *= 2;
    }
    Ok(elements)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::function::Patience;

    #[test]
    fn short_values_never_ask_and_long_ones_once_a_piece() {
        let context = EvalContext {
            patience: Patience::short(),
            ..EvalContext::default()
        };
        let work = Work::new(&context);
        for _ in 0..PIECE_BYTES {
            work.spend(1).unwrap();
        }
        // Two looks are granted while a plan is made.
        work.spend(1).unwrap();
        work.spend(PIECE_BYTES).unwrap();
        work.spend(1).unwrap();
        work.spend(PIECE_BYTES).unwrap();
        work.spend(1).unwrap_err();
    }

    #[test]
    fn long_lists_are_sorted_and_equal_elements_stay_in_order() {
        let count = 5 * RUN_ELEMENTS + 7;
        let elements: Vec<(usize, usize)> = (0..count).map(|n| (n * 7919 % 1000, n)).collect();
        let found = sorted(elements.clone(), |a, b| a.0.cmp(&b.0), &Work::unasked()).unwrap();
        let mut expected = elements;
        expected.sort_by_key(|element| element.0);
        assert_eq!(found, expected);
    }

    #[test]
    fn pieces_are_whole_characters() {
        let text = "aä€".repeat(PIECE_BYTES / 2);
        let found: Vec<&str> = pieces(&text).collect();
        assert_eq!(found.concat(), text);
        assert!(found.iter().all(|piece| piece.len() <= PIECE_BYTES));
        // Each may be a little shorter than it might, so there is one more.
        assert_eq!(found.len(), text.len().div_ceil(PIECE_BYTES) + 1);
        let mut found: Vec<&str> = pieces_from_end(&text).collect();
        found.reverse();
        assert_eq!(found.concat(), text);
        assert!(found.iter().all(|piece| piece.len() <= PIECE_BYTES));
        assert_eq!(pieces("").count(), 0);
    }
}
