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
//! and quantifiers prefer from left to right. PostgreSQL gives each part the longest it can have, which differs for
//! patterns like `(a|ab)(c|bcd)?` alone; and there a group has matched nothing if the last repetition around it did
//! without it (`((a)|b)+`), while here it keeps what it matched before.

mod backtracking;
mod functions;
mod lazy_dfa;
mod match_end;
mod matches;
mod parts;
mod prefix;
mod similar;
mod simulation;
mod syntax;

pub(super) use functions::FUNCTIONS;
pub(super) use parts::{all_groups, split_parts};
pub(crate) use prefix::prefix;

use super::{EvalContext, Work};
use crate::error::{Error, Result};
use backtracking::Backtracking;
use lazy_dfa::Told;
use match_end::Extent;
use regex_automata::nfa::thompson::WhichCaptures;
use regex_automata::util::syntax::Config as SyntaxConfig;
use regex_automata::{Input, meta};
use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;

/// Compiled patterns that a thread keeps, and what they may take together.
const KEPT: usize = 16;
const KEPT_BYTES: usize = 2 << 20;
/// The longest pattern: what it takes while it is compiled is some hundred times as much, and nothing interrupts that.
const PATTERN_BYTES_MAX: usize = 64 << 10;
/// What one automaton may take. PostgreSQL has such a limit, too.
const AUTOMATON_BYTES_MAX: usize = 4 << 20;
/// The longest text that is searched in one go by what takes long.
const SHORT_BYTES_MAX: usize = 4 << 10;
/// A text that is longer is not searched in one go at all; nor one where a search may take so many steps of some
/// nanoseconds.
const LONG_BYTES: usize = 256 << 10;
const LONG_STEPS: usize = 8 << 20;
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
    /// 22023, and those of an interrupt.
    fn parse(letters: &str, context: &EvalContext) -> Result<Self> {
        let work = Work::new(context);
        let mut flags = Self::default();
        for letter in letters.chars() {
            work.spend(1)?;
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
pub(super) fn like_regex(
    text: &str,
    pattern: &str,
    letters: &str,
    work: &Work<'_>,
) -> Result<bool> {
    let has = |letter| letters.contains(letter);
    let flags = Flags {
        ignore_case: has('i'),
        literal: has('q'),
        lines_apart: !has('s') && !has('q'),
        anchors_at_lines: has('m') && !has('q'),
        expanded: false,
        global: false,
    };
    compiled(pattern, flags)?.over(text, work).is_match()
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

    /// A search for matches in a text.
    fn over<'a>(&'a self, text: &'a str, work: &'a Work<'a>) -> Search<'a> {
        let simulated = match self {
            Self::Linear(regex) => regex.is_slow_over(text),
            Self::Backtracking(_) => false,
        };
        Search {
            regex: self,
            text,
            simulated,
            work,
        }
    }

    /// Groups that the pattern has.
    fn group_count(&self) -> usize {
        match self {
            Self::Linear(regex) => regex.extent.simulation().group_count(),
            Self::Backtracking(regex) => regex.group_count(),
        }
    }

    /// Bytes that it takes, with what its searches have left.
    fn bytes(&self) -> usize {
        match self {
            Self::Linear(regex) => regex.bytes(),
            Self::Backtracking(regex) => regex.bytes(),
        }
    }
}

/// A pattern without back references.
struct Linear {
    /// Finds where a match begins, and whether there is any.
    search: meta::Regex,
    search_cache: RefCell<meta::Cache>,
    /// Finds where one ends that begins at a place.
    extent: Extent,
}

/// Where a match and its groups are; the first is the whole.
type Groups = Vec<Option<Range<usize>>>;

impl Linear {
    fn new(translated: &syntax::Translated) -> Result<Self> {
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
            .map_err(|_| invalid("regular expression is too complex"))?;
        let extent = Extent::new(&translated.pattern, config, translated.prefers_short)?;
        Ok(Self {
            search_cache: RefCell::new(search.create_cache()),
            search,
            extent,
        })
    }

    fn bytes(&self) -> usize {
        self.search.memory_usage() + self.search_cache.borrow().memory_usage() + self.extent.bytes()
    }

    /// Where the first match begins that begins at `from` or later; any place where one ends, if `any` will do.
    fn start(&self, text: &str, from: usize, any: bool, work: &Work<'_>) -> Result<Option<usize>> {
        if self.takes_long(text.len() - from) {
            let told = match self.extent.lazy() {
                Some(lazy) => lazy.start(text, from, any, work)?,
                None => Told::Nothing,
            };
            return match told {
                Told::At(at) => Ok(Some(at)),
                Told::Nowhere => Ok(None),
                Told::Nothing => self.extent.simulated_start(text, from, work),
            };
        }
        let input = Input::new(text).range(from..).earliest(any);
        let cache = &mut *self.search_cache.borrow_mut();
        Ok(match any {
            true => self
                .search
                .search_half_with(cache, &input)
                .map(|half| half.offset()),
            false => self
                .search
                .search_with(cache, &input)
                .map(|found| found.start()),
        })
    }

    /// Whether the crate's search may take long: where nothing else tells, it steps through the states of the
    /// automaton for each byte. And nothing tells it to end.
    fn takes_long(&self, bytes: usize) -> bool {
        let states = self.extent.simulation().nfa().states().len();
        bytes > LONG_BYTES || bytes.saturating_mul(states) > LONG_STEPS
    }

    /// Whether the crate has no fast search: over word boundaries in a long text that has letters beside ASCII's.
    fn is_slow_over(&self, text: &str) -> bool {
        let looks = self.extent.simulation().nfa().look_set_any();
        text.len() > SHORT_BYTES_MAX && looks.contains_word_unicode() && !text.is_ascii()
    }
}

/// A text in which matches are looked for.
struct Search<'a> {
    regex: &'a Regex,
    text: &'a str,
    /// By a simulation.
    simulated: bool,
    work: &'a Work<'a>,
}

/// The work of a search beside that for each byte.
const SEARCH_WORK: usize = 64;

impl Search<'_> {
    /// Whether there is a match.
    ///
    /// # Errors
    /// 54001 where there is too much to try, and those of the work; and so with [`Self::find`].
    fn is_match(&self) -> Result<bool> {
        match self.regex {
            Regex::Linear(regex) if !self.simulated => {
                self.work.spend(self.text.len())?;
                Ok(regex.start(self.text, 0, true, self.work)?.is_some())
            }
            _ => Ok(self.find(0)?.is_some()),
        }
    }

    /// The first match that begins at `from` or later.
    fn find(&self, from: usize) -> Result<Option<Groups>> {
        let regex = match self.regex {
            Regex::Linear(regex) => regex,
            Regex::Backtracking(regex) => return regex.find(self.text, from, self.work),
        };
        let start = match self.simulated {
            true => regex.extent.simulated_start(self.text, from, self.work)?,
            false => regex.start(self.text, from, false, self.work)?,
        };
        let found = match start {
            Some(start) => regex.extent.find(self.text, start, self.work)?,
            None => None,
        };
        let end = found.as_ref().and_then(matches::whole);
        let end = end.map_or(self.text.len(), |whole| whole.end);
        self.work.spend(SEARCH_WORK + end - from)?;
        Ok(found)
    }
}

/// 54000 where a pattern is too long.
fn check_length(pattern: &str) -> Result<()> {
    match pattern.len() <= PATTERN_BYTES_MAX {
        true => Ok(()),
        false => Err(sql_error!(
            PROGRAM_LIMIT_EXCEEDED,
            "regular expression is too long: {} bytes of at most {PATTERN_BYTES_MAX}",
            pattern.len()
        )),
    }
}

/// Forgets the oldest patterns where there are too many or they take too much; the newest stays.
fn forget_old(kept: &mut Vec<Kept>) {
    let mut bytes = 0;
    let fits = |(_, _, regex): &&Kept| {
        bytes += regex.bytes();
        bytes <= KEPT_BYTES
    };
    let recent = kept.iter().rev().take(KEPT).take_while(fits).count();
    kept.drain(..kept.len() - recent.max(1));
}

/// A pattern, its flags, and what it was compiled to.
type Kept = (String, Flags, Rc<Regex>);

thread_local! {
    /// The patterns that this thread has compiled last, the newest at the end.
    static COMPILED: RefCell<Vec<Kept>> = const { RefCell::new(Vec::new()) };
}

/// The pattern, compiled.
///
/// # Errors
/// 2201B; 54000 where the pattern is too long.
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
            check_length(pattern)?;
            let regex = Rc::new(Regex::new(pattern, flags)?);
            kept.push((pattern.to_owned(), flags, regex));
            forget_old(kept);
        }
        Ok(Rc::clone(&kept[kept.len() - 1].2))
    })
}
