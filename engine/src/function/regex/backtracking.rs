//! Patterns that refer back to a group, or look ahead or behind: found by trying.
//!
//! There is no way known to match these in linear time. So the steps are counted, and a search that takes too
//! many fails instead of running on. Where no quantifier of the pattern prefers little, of the matches at a place
//! the longest is taken, as PostgreSQL does; else that which alternatives and quantifiers prefer from left to right.

use super::syntax::Translated;
use super::{AUTOMATON_BYTES_MAX, Groups, SHORT_BYTES_MAX, invalid};
use crate::error::{Error, Result};
use crate::function::{PIECE_BYTES, Work};
use fancy_regex::{RegexBuilder, RegexInput};

/// How often a search may turn back; in a long text, from one place.
const STEPS_MAX: usize = 1_000_000;
/// The work of a search: one that takes all its steps is asked about each time.
const SEARCH_WORK: usize = PIECE_BYTES;

pub(super) struct Backtracking {
    regex: fancy_regex::Regex,
    /// Of the pattern, which says more or less how large the program is.
    pattern_bytes: usize,
}

/// Bytes of a program for one of its pattern.
const BYTES_PER_BYTE: usize = 64;

impl Backtracking {
    pub(super) fn new(translated: &Translated) -> Result<Self> {
        RegexBuilder::new(&translated.pattern)
            .backtrack_limit(STEPS_MAX)
            .delegate_size_limit(AUTOMATON_BYTES_MAX)
            .delegate_dfa_size_limit(AUTOMATON_BYTES_MAX)
            .max_prog_size(AUTOMATON_BYTES_MAX / 64)
            .leftmost_longest(!translated.has_little)
            .build()
            .map(|regex| Self {
                regex,
                pattern_bytes: translated.pattern.len(),
            })
            .map_err(|_| invalid("regular expression is too complex"))
    }

    /// # Errors
    /// 54001 where there are too many ways to match; those of `work`.
    pub(super) fn find(
        &self,
        text: &str,
        mut from: usize,
        work: &Work<'_>,
    ) -> Result<Option<Groups>> {
        // A search cannot be told to end: in what is long each place is one of its own.
        while text.len() - from > SHORT_BYTES_MAX {
            let here = RegexInput::new(text).from_pos(from).anchored(true);
            if let Some(groups) = self.search(here, work)? {
                return Ok(Some(groups));
            }
            from = text.ceil_char_boundary(from + 1);
        }
        self.search(RegexInput::new(text).from_pos(from), work)
    }

    fn search(&self, input: RegexInput<'_, str>, work: &Work<'_>) -> Result<Option<Groups>> {
        work.spend(SEARCH_WORK)?;
        let found = self.regex.captures_input(input).map_err(|_| gave_up())?;
        Ok(found.map(|captures| {
            captures
                .iter()
                .map(|group| group.map(|group| group.range()))
                .collect()
        }))
    }

    pub(super) fn bytes(&self) -> usize {
        self.pattern_bytes * BYTES_PER_BYTE
    }

    pub(super) fn group_count(&self) -> usize {
        self.regex.captures_len().saturating_sub(1)
    }
}

fn gave_up() -> Error {
    sql_error!(
        STATEMENT_TOO_COMPLEX,
        "regular expression failed: too many ways to match"
    )
}

#[cfg(test)]
mod tests {
    use super::super::{Flags, Regex};
    use super::*;

    /// In a long text, where each place is tried by itself, the match is that of one search.
    #[test]
    fn a_long_text_has_the_match_that_one_search_finds() {
        let patterns = [
            r"(a|ab)(b*)\1",
            r"(b)\1?a",
            "a(?=b)",
            r"^c*(a)\1",
            r"(.)\1$",
            r"(a*)+b\1",
        ];
        let patterns = patterns.map(|pattern| match Regex::new(pattern, Flags::default()) {
            Ok(Regex::Backtracking(pattern)) => pattern,
            _ => panic!("{pattern}"),
        });
        let work = Work::unasked();
        proptest::proptest!(|(text in "[abcä]{0,12}", which in 0..patterns.len())| {
            let long = format!("{text}{}", "c".repeat(SHORT_BYTES_MAX));
            let found = patterns[which].find(&long, 0, &work).expect("few steps");
            let one = patterns[which].search(RegexInput::new(&long), &work).expect("few steps");
            proptest::prop_assert_eq!(found, one);
        });
    }
}
