//! Where a text occurs in another, or bytes in bytes, of any lengths, so that the search can be told to end.
//!
//! 1. The crate `memchr` looks for a part that is not long. It takes it to pieces first, and then goes over the text at
//!    gigabytes a second; a long text is given to it in windows, the next of which begins where a part could not yet
//!    have ended.
//! 2. For a long part even the first step would take long. There each place has the hash of what begins at it
//!    (Karp and Rabin, 1987: it follows from that of the place before), and only equal hashes are looked into.

use crate::error::Result;
use crate::function::{PIECE_BYTES, Work};
use memchr::memmem;

/// How far a window reaches beyond the part: a tenth of a millisecond or so.
const WINDOW_BYTES: usize = 16 * PIECE_BYTES;
/// The work of a search beside that over the bytes.
const FIND_WORK: usize = 16;
/// An odd number, whose powers weigh the bytes of a hash.
const BASE: u64 = 0x9E37_79B9_7F4A_7C15;

/// Finds a part in texts.
pub(in crate::function) struct Finder<'p> {
    part: &'p [u8],
    /// Of a part that is not long.
    pieces: Option<memmem::Finder<'p>>,
}

impl<'p> Finder<'p> {
    pub(in crate::function) fn of(part: &'p [u8]) -> Self {
        Self {
            part,
            pieces: (part.len() <= PIECE_BYTES).then(|| memmem::Finder::new(part)),
        }
    }

    /// Where the part occurs first at or behind `from`.
    ///
    /// # Errors
    /// Those of the work.
    pub(in crate::function) fn find(
        &self,
        text: &[u8],
        mut from: usize,
        work: &Work<'_>,
    ) -> Result<Option<usize>> {
        let length = self.part.len();
        if text.len() - from < length {
            return Ok(None);
        }
        let Some(pieces) = &self.pieces else {
            return find_long(text, self.part, from, work);
        };
        loop {
            let end = text.len().min(from + length + WINDOW_BYTES);
            let found = pieces.find(&text[from..end]);
            work.spend(FIND_WORK + found.unwrap_or(end - from))?;
            match found {
                Some(at) => return Ok(Some(from + at)),
                None if end == text.len() => return Ok(None),
                None => from = end - length,
            }
        }
    }
}

fn find_long(text: &[u8], part: &[u8], from: usize, work: &Work<'_>) -> Result<Option<usize>> {
    let (wanted, weight) = hash(part, work)?;
    let (mut found, _) = hash(&text[from..from + part.len()], work)?;
    let mut at = from;
    loop {
        if found == wanted {
            work.spend(part.len())?;
            if text[at..at + part.len()] == *part {
                return Ok(Some(at));
            }
        }
        let Some(next) = text.get(at + part.len()) else {
            return Ok(None);
        };
        let gone = weight.wrapping_mul(text[at].into());
        found = with(found, *next).wrapping_sub(gone);
        at += 1;
        work.spend(1)?;
    }
}

/// The hash of some bytes and one more.
fn with(hash: u64, byte: u8) -> u64 {
    hash.wrapping_mul(BASE).wrapping_add(byte.into())
}

/// The hash of some bytes, and what the first weighs once there is one more.
fn hash(bytes: &[u8], work: &Work<'_>) -> Result<(u64, u64)> {
    let (mut hash, mut weight) = (0, 1_u64);
    for piece in bytes.chunks(PIECE_BYTES) {
        work.spend(piece.len())?;
        for byte in piece {
            hash = with(hash, *byte);
            weight = weight.wrapping_mul(BASE);
        }
    }
    Ok((hash, weight))
}

/// The places where a part, which is not empty, occurs in a text, each behind the end of the one before.
pub(in crate::function) struct Occurrences<'a> {
    finder: Finder<'a>,
    text: &'a str,
    from: usize,
    work: &'a Work<'a>,
}

impl<'a> Occurrences<'a> {
    pub(in crate::function) fn of(part: &'a str, text: &'a str, work: &'a Work<'a>) -> Self {
        Self {
            finder: Finder::of(part.as_bytes()),
            text,
            from: 0,
            work,
        }
    }
}

impl Iterator for Occurrences<'_> {
    type Item = Result<usize>;

    fn next(&mut self) -> Option<Result<usize>> {
        let found = self.finder.find(self.text.as_bytes(), self.from, self.work);
        let found = found.transpose()?;
        self.from = match found {
            Ok(at) => at + self.finder.part.len(),
            // Nothing is left to be looked at.
            Err(_) => self.text.len(),
        };
        Some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A search by hashes, and one in windows, find what the standard library finds.
    #[test]
    fn every_way_finds_the_same() {
        let work = Work::unasked();
        proptest::proptest!(|(text in "[abä]{0,30}", part in "[abä]{1,4}")| {
            let found = match text.len() < part.len() {
                true => None,
                false => find_long(text.as_bytes(), part.as_bytes(), 0, &work).expect("no limits"),
            };
            proptest::prop_assert_eq!(found, text.find(&part));
        });
        let far = format!("{}äb{}", "ä".repeat(WINDOW_BYTES), "ab".repeat(7));
        for part in ["äb", "äba", "bab", "abc", "b"] {
            let found: Result<Vec<usize>> = Occurrences::of(part, &far, &work).collect();
            let expected: Vec<usize> = far.match_indices(part).map(|(at, _)| at).collect();
            assert_eq!(found.expect("no limits"), expected, "{part}");
        }
        let part = &far[far.ceil_char_boundary(far.len() - 2 * PIECE_BYTES)..];
        let found = Finder::of(part.as_bytes()).find(far.as_bytes(), 0, &work);
        assert_eq!(found.expect("no limits"), far.find(part));
    }
}
