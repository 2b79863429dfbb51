//! Patterns that refer back to a group, or look ahead or behind: found by trying.
//!
//! There is no way known to match these in linear time. So the steps are counted, and a search that takes too
//! many fails instead of running on. Where no quantifier of the pattern prefers little, of the matches at a place
//! the longest is taken, as PostgreSQL does; else that which alternatives and quantifiers prefer from left to right.

use super::syntax::Translated;
use super::{AUTOMATON_BYTES_MAX, Groups, invalid};
use crate::error::{Error, Result};
use fancy_regex::RegexBuilder;

/// How often a search may turn back.
const STEPS_MAX: usize = 5_000_000;

pub(super) struct Backtracking(fancy_regex::Regex);

impl Backtracking {
    pub(super) fn new(translated: &Translated) -> Result<Self> {
        RegexBuilder::new(&translated.pattern)
            .backtrack_limit(STEPS_MAX)
            .delegate_size_limit(AUTOMATON_BYTES_MAX)
            .delegate_dfa_size_limit(AUTOMATON_BYTES_MAX)
            .max_prog_size(AUTOMATON_BYTES_MAX / 64)
            .leftmost_longest(!translated.has_little)
            .build()
            .map(Self)
            .map_err(|_| invalid("regular expression is too complex"))
    }

    pub(super) fn is_match(&self, text: &str) -> Result<bool> {
        self.0.is_match(text).map_err(|_| gave_up())
    }

    pub(super) fn find(&self, text: &str, from: usize) -> Result<Option<Groups>> {
        let found = self.0.captures_from_pos(text, from);
        let captures = found.map_err(|_| gave_up())?;
        Ok(captures.map(|captures| {
            captures
                .iter()
                .map(|group| group.map(|group| group.range()))
                .collect()
        }))
    }

    pub(super) fn group_count(&self) -> usize {
        self.0.captures_len().saturating_sub(1)
    }
}

fn gave_up() -> Error {
    sql_error!(
        STATEMENT_TOO_COMPLEX,
        "regular expression failed: too many ways to match"
    )
}
