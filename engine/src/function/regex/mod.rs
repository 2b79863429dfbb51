//! Regular expressions with PostgreSQL's meaning, over the engine of the crate `regex-automata`.
//!
//! 1. `syntax` writes a pattern of PostgreSQL's (an *advanced regular expression*) in the crate's syntax,
//!    and finds out whether the whole prefers to match much or little.
//! 2. [`Regex::find`] takes the leftmost match, as the crate does, and of those that begin there the longest
//!    or the shortest, as POSIX does: a crate's search says where it begins, and a search from there with
//!    all alternatives kept says where it ends and what its groups are.
//! 3. Compiled patterns are kept, a few a thread: a pattern comes again with the next row.
//!
//! Every such search takes time linear in the text. Back references and looking ahead or behind need another
//! engine (the crate `fancy-regex`, in `backtracking`), which tries one way after the other, and gives up where
//! these are too many. Within a match of the right extent the groups are those that alternatives
//! and quantifiers prefer from left to right; PostgreSQL gives each part the longest it can have, which differs
//! for patterns like `(a|ab)(c|bcd)?` alone.

mod backtracking;
mod functions;
mod parts;
mod prefix;
mod similar;
mod syntax;

pub(super) use functions::FUNCTIONS;
pub(super) use parts::{all_groups, split_parts};
pub(crate) use prefix::prefix;

use crate::error::{Error, Result};
use backtracking::Backtracking;
use regex_automata::nfa::thompson::pikevm::{self, PikeVM};
use regex_automata::nfa::thompson::{self, WhichCaptures};
use regex_automata::util::captures::Captures;
use regex_automata::util::syntax::Config as SyntaxConfig;
use regex_automata::{Anchored, Input, MatchKind, PatternID, meta};
use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;

/// Compiled patterns that a thread keeps.
const KEPT: usize = 16;
/// What one automaton may take. PostgreSQL has such a limit, too.
const AUTOMATON_BYTES_MAX: usize = 4 << 20;
/// How deep brackets may nest.
const NESTING_MAX: u32 = 200;

/// What the letters behind a pattern ask for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Flags {
    ignore_case: bool,
    /// `.` and `[^x]` match no line break.
    lines_apart: bool,
    /// `^` and `$` match at line breaks.
    anchors_at_lines: bool,
    literal: bool,
    expanded: bool,
    /// Every match, not only the first.
    global: bool,
}

impl Flags {
    /// Reads the letters that functions take as their last argument.
    ///
    /// # Errors
    /// 22023.
    fn parse(letters: &str) -> Result<Self> {
        let mut flags = Self::default();
        for letter in letters.chars() {
            match letter {
                'g' => flags.global = true,
                other if flags.set(other) => {}
                other => {
                    return Err(sql_error!(
                        INVALID_PARAMETER_VALUE,
                        "invalid regular expression option: \"{other}\""
                    ));
                }
            }
        }
        Ok(flags)
    }

    /// Takes a letter; false if it is none. `b` and `e` are other languages, and not taken.
    fn set(&mut self, letter: char) -> bool {
        match letter {
            'i' => self.ignore_case = true,
            'c' => self.ignore_case = false,
            'm' | 'n' => (self.lines_apart, self.anchors_at_lines) = (true, true),
            'p' => (self.lines_apart, self.anchors_at_lines) = (true, false),
            'w' => (self.lines_apart, self.anchors_at_lines) = (false, true),
            's' => (self.lines_apart, self.anchors_at_lines) = (false, false),
            'q' => self.literal = true,
            'x' => self.expanded = true,
            't' => self.expanded = false,
            _ => return false,
        }
        true
    }
}

/// 2201B.
fn invalid(why: &str) -> Error {
    sql_error!(
        INVALID_REGULAR_EXPRESSION,
        "invalid regular expression: {why}"
    )
}

/// Whether a text has a match of a pattern as the paths of JSON have them, whose letters mean something else.
///
/// # Errors
/// As [`compiled`].
pub(super) fn like_regex(text: &str, pattern: &str, letters: &str) -> Result<bool> {
    let has = |letter| letters.contains(letter);
    let flags = Flags {
        ignore_case: has('i'),
        literal: has('q'),
        lines_apart: !has('s') && !has('q'),
        anchors_at_lines: has('m') && !has('q'),
        expanded: false,
        global: false,
    };
    compiled(pattern, flags)?.is_match(text)
}

/// A compiled pattern.
enum Regex {
    Linear(Box<Linear>),
    Backtracking(Backtracking),
}

impl Regex {
    fn new(pattern: &str, flags: Flags) -> Result<Self> {
        let translated = syntax::translate(pattern, flags)?;
        Ok(match translated.tries {
            true => Self::Backtracking(Backtracking::new(&translated)?),
            false => Self::Linear(Box::new(Linear::new(&translated)?)),
        })
    }

    /// # Errors
    /// 54001 where there is too much to try; and so with the others.
    fn is_match(&self, text: &str) -> Result<bool> {
        match self {
            Self::Linear(regex) => Ok(regex.search.is_match(text)),
            Self::Backtracking(regex) => regex.is_match(text),
        }
    }

    /// The first match that begins at `from` or later.
    fn find(&self, text: &str, from: usize) -> Result<Option<Groups>> {
        match self {
            Self::Linear(regex) => Ok(regex.find(text, from)),
            Self::Backtracking(regex) => regex.find(text, from),
        }
    }

    /// Groups that the pattern has.
    fn group_count(&self) -> usize {
        match self {
            Self::Linear(regex) => regex.group_count(),
            Self::Backtracking(regex) => regex.group_count(),
        }
    }
}

/// A pattern without back references.
struct Linear {
    /// Finds where a match begins, and whether there is any.
    search: meta::Regex,
    /// Finds where one ends that begins at a place.
    extent: PikeVM,
    cache: RefCell<pikevm::Cache>,
    prefers_short: bool,
}

/// Where a match and its groups are; the first is the whole.
type Groups = Vec<Option<Range<usize>>>;

impl Linear {
    fn new(translated: &syntax::Translated) -> Result<Self> {
        let too_complex = || invalid("regular expression is too complex");
        let config = SyntaxConfig::new().nest_limit(NESTING_MAX);
        let search = meta::Regex::builder()
            .syntax(config)
            .configure(
                meta::Config::new()
                    .which_captures(WhichCaptures::Implicit)
                    .nfa_size_limit(Some(AUTOMATON_BYTES_MAX))
                    .onepass_size_limit(Some(AUTOMATON_BYTES_MAX))
                    .hybrid_cache_capacity(AUTOMATON_BYTES_MAX),
            )
            .build(&translated.pattern)
            .map_err(|_| too_complex())?;
        let extent = PikeVM::builder()
            .syntax(config)
            .thompson(thompson::Config::new().nfa_size_limit(Some(AUTOMATON_BYTES_MAX)))
            .configure(pikevm::Config::new().match_kind(MatchKind::All))
            .build(&translated.pattern)
            .map_err(|_| too_complex())?;
        let cache = RefCell::new(extent.create_cache());
        Ok(Self {
            search,
            extent,
            cache,
            prefers_short: translated.prefers_short,
        })
    }

    /// The first match that begins at `from` or later.
    fn find(&self, text: &str, from: usize) -> Option<Groups> {
        let found = self.search.find(Input::new(text).range(from..))?;
        let mut captures = self.extent.create_captures();
        let cache = &mut *self.cache.borrow_mut();
        let mut here = Input::new(text)
            .range(found.start()..)
            .anchored(Anchored::Yes);
        if self.prefers_short {
            let shortest = here.clone().earliest(true);
            self.extent.search(cache, &shortest, &mut captures);
            let end = captures.get_match()?.end();
            here = here.range(found.start()..end);
        }
        self.extent.search(cache, &here, &mut captures);
        groups(&captures)
    }

    fn group_count(&self) -> usize {
        self.extent
            .get_nfa()
            .group_info()
            .group_len(PatternID::ZERO)
            - 1
    }
}

fn groups(captures: &Captures) -> Option<Groups> {
    captures.is_match().then(|| {
        captures
            .iter()
            .map(|span| span.map(|span| span.start..span.end))
            .collect()
    })
}

thread_local! {
    /// The patterns that this thread has compiled last, the newest at the end.
    static COMPILED: RefCell<Vec<(String, Flags, Rc<Regex>)>> = const { RefCell::new(Vec::new()) };
}

/// The pattern, compiled.
///
/// # Errors
/// 2201B
fn compiled(pattern: &str, flags: Flags) -> Result<Rc<Regex>> {
    let flags = Flags {
        global: false,
        ..flags
    };
    COMPILED.with_borrow_mut(|kept| {
        let known = kept
            .iter()
            .position(|(text, with, _)| text == pattern && *with == flags);
        if let Some(at) = known {
            kept[at..].rotate_left(1);
        } else {
            let regex = Rc::new(Regex::new(pattern, flags)?);
            if kept.len() >= KEPT {
                kept.remove(0);
            }
            kept.push((pattern.to_owned(), flags, regex));
        }
        Ok(Rc::clone(&kept[kept.len() - 1].2))
    })
}
