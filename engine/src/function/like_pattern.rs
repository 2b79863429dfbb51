//! A LIKE pattern that is compiled once for all rows it is compared with.
//!
//! ```text
//!   'ab%cd%ef'      begins with ab, then cd somewhere, ends with ef
//! ```
//!
//! Most patterns are literals with `%` between them: each literal is searched from where the one before it ended, as early
//! as it comes, by `memmem`, which compares many bytes at a time. UTF-8 has no character within another one, so bytes do.
//! A pattern with `_` or an escape character is matched character by character ([`super::like`]).

use memchr::memmem::Finder;

/// The longest pattern that is compiled: each of its literals takes some hundred bytes.
const PATTERN_BYTES_MAX: usize = 64 << 10;

/// A pattern of literals with `%` between them.
pub(super) struct LikePattern<'p> {
    start: &'p [u8],
    middle: Vec<Finder<'p>>,
    /// `None` where the pattern has no `%`: then `start` is the whole text.
    end: Option<&'p [u8]>,
}

impl<'p> LikePattern<'p> {
    /// Compiles a pattern; `None` where it has other wildcards than `%`, or is longer than what pays.
    pub(super) fn new(pattern: &'p str) -> Option<Self> {
        if pattern.len() > PATTERN_BYTES_MAX || pattern.contains(['_', '\\']) {
            return None;
        }
        let mut parts = pattern.split('%').map(str::as_bytes);
        let start = parts.next().unwrap_or_default();
        let end = parts.next_back();
        let middle = parts.filter(|part| !part.is_empty()).map(Finder::new);
        Some(Self {
            start,
            middle: middle.collect(),
            end,
        })
    }

    /// Returns whether a text matches.
    pub(super) fn matches(&self, text: &str) -> bool {
        let text = text.as_bytes();
        let Some(end) = self.end else {
            return text == self.start;
        };
        let rest = text.strip_prefix(self.start);
        let Some(mut rest) = rest.and_then(|rest| rest.strip_suffix(end)) else {
            return false;
        };
        self.middle.iter().all(|literal| {
            let found = literal.find(rest);
            if let Some(at) = found {
                rest = &rest[at + literal.needle().len()..];
            }
            found.is_some()
        })
    }
}
