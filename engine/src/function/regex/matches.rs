//! Matches: a walk over the places of a text that a regular expression matches, one behind the other.

use super::{Flags, Groups, Search};
use crate::error::{Error, Result, state};
use crate::function::EvalContext;
use std::ops::Range;

/// Letters of a function that looks at one match only.
pub(super) fn single(letters: &str, function: &str, context: &EvalContext) -> Result<Flags> {
    one_match(Flags::parse(letters, context)?, function)
}

/// 22023 where every match is asked for.
pub(super) fn one_match(flags: Flags, function: &str) -> Result<Flags> {
    match flags.global {
        false => Ok(flags),
        true => {
            let message = format!("{function}() does not support the \"global\" option");
            Err(Error::new(state::INVALID_PARAMETER_VALUE, message))
        }
    }
}

/// A walk over the matches of a text.
pub(super) struct Matches<'a> {
    search: Search<'a>,
    /// Where the next one is looked for; `None` behind the end.
    from: Option<usize>,
}

impl<'a> Matches<'a> {
    /// From a character on.
    pub(super) fn from(search: Search<'a>, start: i32) -> Self {
        let from = match start {
            1 => Some(0),
            _ => (search.text)
                .char_indices()
                .map(|(at, _)| at)
                .chain([search.text.len()])
                .nth(start as usize - 1),
        };
        Self { search, from }
    }
}

impl Iterator for Matches<'_> {
    type Item = Result<Groups>;

    fn next(&mut self) -> Option<Result<Groups>> {
        let groups = match self.search.find(self.from?) {
            Ok(groups) => groups,
            Err(error) => {
                self.from = None;
                return Some(Err(error));
            }
        };
        self.from = groups.as_ref().and_then(whole).and_then(|found| {
            let next = self.search.text[found.end..].chars().next();
            match (found.is_empty(), next) {
                (false, _) => Some(found.end),
                (true, Some(c)) => Some(found.end + c.len_utf8()),
                (true, None) => None,
            }
        });
        groups.map(Ok)
    }
}

pub(super) fn whole(groups: &Groups) -> Option<Range<usize>> {
    groups.first().cloned().flatten()
}
