//! Lazy: automata whose states are made when they are first reached, over long texts.
//!
//! A search is a walk from state to state, some nanoseconds a byte, and nothing else: so it is done here, in pieces
//! between which it can be told to end. Where such an automaton cannot tell (it looks at word boundaries, and there is
//! a letter that is not ASCII's), it says so, and another way is taken. Where each match begins with one of a few
//! literals, the search for a match goes from one of these to the next.
//!
//! ```text
//!  text   ....from.....|---------------|...............
//!  first               start <-------- end of the first match, of whichever preference
//!  longest             start ------------------> end
//! ```

use super::{AUTOMATON_BYTES_MAX, SEARCH_WORK};
use crate::error::Result;
use crate::function::Work;
use regex_automata::hybrid::LazyStateID;
use regex_automata::hybrid::dfa::{Cache, Config, DFA};
use regex_automata::nfa::thompson::{self, NFA, WhichCaptures};
use regex_automata::util::prefilter::Prefilter;
use regex_automata::util::syntax::{self, Config as SyntaxConfig};
use regex_automata::{Anchored, Input, MatchKind, Span};
use std::cell::RefCell;

/// Bytes that the states of one automaton may take; beyond that they are forgotten.
const STATES_BYTES_MAX: usize = AUTOMATON_BYTES_MAX / 4;
/// The work of a step, and once more for each so many states of the pattern's automaton: a new state of the lazy one
/// is made of these, at some nanoseconds each.
const STEP_WORK: usize = 4;
const STATES_A_STEP: usize = 64;
/// Bytes that are looked through for literals while a step is made.
const FAST_BYTES: usize = 4;
/// The work between two looks at it.
const PIECE_WORK: usize = 16 << 10;

/// The answer of an automaton.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Told {
    At(usize),
    Nowhere,
    /// It cannot tell.
    Nothing,
}

/// The automata of a pattern.
pub(super) struct Lazy {
    first: Automaton,
    first_reverse: Automaton,
    every: Automaton,
}

impl Lazy {
    /// `None` where a pattern cannot have them.
    pub(super) fn new(nfa: &NFA, pattern: &str, syntax: SyntaxConfig) -> Option<Self> {
        let config = thompson::Config::new()
            .reverse(true)
            .which_captures(WhichCaptures::None)
            .nfa_size_limit(Some(AUTOMATON_BYTES_MAX));
        let mut compiler = NFA::compiler();
        let reverse = compiler.syntax(syntax).configure(config).build(pattern);
        let tree = syntax::parse_with(pattern, &syntax).ok()?;
        let literals = Prefilter::from_hir_prefix(MatchKind::LeftmostFirst, &tree);
        let literals = literals.filter(Prefilter::is_fast);
        Some(Self {
            first: Automaton::new(nfa.clone(), MatchKind::LeftmostFirst, literals)?,
            first_reverse: Automaton::new(reverse.ok()?, MatchKind::All, None)?,
            every: Automaton::new(nfa.clone(), MatchKind::All, None)?,
        })
    }

    /// Bytes that they take, with what searches have left.
    pub(super) fn bytes(&self) -> usize {
        let all = [&self.first, &self.first_reverse, &self.every];
        all.map(Automaton::bytes).iter().sum()
    }

    /// Where the first match begins that begins at `from` or later; where any ends, if `any` will do.
    ///
    /// # Errors
    /// Those of `work`; and so with the others.
    pub(super) fn start(
        &self,
        text: &str,
        from: usize,
        any: bool,
        work: &Work<'_>,
    ) -> Result<Told> {
        let input = Input::new(text).range(from..).earliest(any);
        match self.first.forward(&input, work)? {
            // Within a character nothing begins or ends.
            Told::At(end) if !text.is_char_boundary(end) => Ok(Told::Nothing),
            Told::At(end) if !any => {
                let before = Input::new(text).range(from..end).anchored(Anchored::Yes);
                self.first_reverse.backward(&before, work)
            }
            told => Ok(told),
        }
    }

    /// Where the longest match ends that begins at a place, or the shortest.
    pub(super) fn end(
        &self,
        text: &str,
        start: usize,
        shortest: bool,
        work: &Work<'_>,
    ) -> Result<Told> {
        let input = Input::new(text).range(start..).anchored(Anchored::Yes);
        self.every.forward(&input.earliest(shortest), work)
    }
}

struct Automaton {
    dfa: DFA,
    cache: RefCell<Cache>,
    step_work: usize,
    /// Each match begins with one of these, which are soon found.
    literals: Option<Prefilter>,
}

/// A state that is no ordinary one.
enum Tag {
    /// No match has begun. Such a state is told only with literals to look for.
    Start,
    Match,
    Dead,
    Unknown,
}

impl Automaton {
    fn new(nfa: NFA, kind: MatchKind, literals: Option<Prefilter>) -> Option<Self> {
        let config = Config::new()
            .match_kind(kind)
            .specialize_start_states(literals.is_some())
            .unicode_word_boundary(true)
            .cache_capacity(STATES_BYTES_MAX)
            .skip_cache_capacity_check(true);
        let step_work = STEP_WORK * (1 + nfa.states().len() / STATES_A_STEP);
        let dfa = DFA::builder().configure(config).build_from_nfa(nfa).ok()?;
        let cache = RefCell::new(dfa.create_cache());
        Some(Self {
            dfa,
            cache,
            step_work,
            literals,
        })
    }

    /// Bytes between two looks at the work.
    fn piece_bytes(&self) -> usize {
        (PIECE_WORK / self.step_work).max(1)
    }

    fn bytes(&self) -> usize {
        let literals = self.literals.as_ref().map_or(0, Prefilter::memory_usage);
        self.cache.borrow().memory_usage() + literals
    }

    /// Where a match ends, the last that is seen before the automaton is dead. A state tells of a match one byte late.
    fn forward(&self, input: &Input<'_>, work: &Work<'_>) -> Result<Told> {
        let cache = &mut *self.cache.borrow_mut();
        let Ok(mut state) = self.dfa.start_state_forward(cache, input) else {
            return Ok(Told::Nothing);
        };
        let mut told = Told::Nowhere;
        let text = input.haystack();
        let mut at = input.start();
        while at < text.len() {
            if state.is_start()
                && let Some(literals) = &self.literals
            {
                let Some(next) = literals.find(text, Span::from(at..text.len())) else {
                    return Ok(told);
                };
                work.spend(SEARCH_WORK + (next.start - at) / FAST_BYTES)?;
                at = next.start;
                let Ok(restart) = self
                    .dfa
                    .start_state_forward(cache, &input.clone().range(at..))
                else {
                    return Ok(Told::Nothing);
                };
                state = restart;
            }
            let begin = at;
            for byte in &text[at..text.len().min(at + self.piece_bytes())] {
                let Ok(next) = self.dfa.next_state(cache, state, *byte) else {
                    return Ok(Told::Nothing);
                };
                state = next;
                at += 1;
                match tag(state) {
                    Some(Tag::Start) => break,
                    Some(Tag::Match) => {
                        told = Told::At(at - 1);
                        if input.get_earliest() {
                            return Ok(told);
                        }
                    }
                    Some(Tag::Dead) => return Ok(told),
                    Some(Tag::Unknown) => return Ok(Told::Nothing),
                    None => {}
                }
            }
            work.spend(self.step_work * (at - begin))?;
        }
        // Texts are searched to their end.
        Ok(match self.dfa.next_eoi_state(cache, state) {
            Ok(state) if state.is_match() => Told::At(at),
            Ok(_) => told,
            Err(_) => Told::Nothing,
        })
    }

    /// Where a match begins that ends at the end of the input, the last that is seen.
    fn backward(&self, input: &Input<'_>, work: &Work<'_>) -> Result<Told> {
        let cache = &mut *self.cache.borrow_mut();
        let Ok(mut state) = self.dfa.start_state_reverse(cache, input) else {
            return Ok(Told::Nothing);
        };
        let mut told = Told::Nowhere;
        let mut at = input.end();
        for piece in input.haystack()[input.get_range()].rchunks(self.piece_bytes()) {
            work.spend(self.step_work * piece.len())?;
            for byte in piece.iter().rev() {
                let Ok(next) = self.dfa.next_state(cache, state, *byte) else {
                    return Ok(Told::Nothing);
                };
                state = next;
                match tag(state) {
                    Some(Tag::Match) => told = Told::At(at),
                    Some(Tag::Dead) => return Ok(told),
                    Some(Tag::Unknown) => return Ok(Told::Nothing),
                    Some(Tag::Start) | None => {}
                }
                at -= 1;
            }
        }
        let last = match at.checked_sub(1) {
            Some(before) => self.dfa.next_state(cache, state, input.haystack()[before]),
            None => self.dfa.next_eoi_state(cache, state),
        };
        Ok(match last {
            Ok(state) if state.is_match() => Told::At(at),
            Ok(state) if !state.is_quit() => told,
            _ => Told::Nothing,
        })
    }
}

#[inline]
fn tag(state: LazyStateID) -> Option<Tag> {
    match state.is_tagged() {
        false => None,
        true if state.is_match() => Some(Tag::Match),
        true if state.is_dead() => Some(Tag::Dead),
        true if state.is_quit() => Some(Tag::Unknown),
        true if state.is_start() => Some(Tag::Start),
        true => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use regex_automata::meta;

    const PATTERNS: [&str; 10] = [
        "ab+c?",
        "(?:ab|ad)(?:c|$)",
        "(?m)^ab",
        "(a+)(ab|b)?",
        "b(c)?d|a",
        "((a*)*b?)*(c|\\b)",
        "^(?:(ä)|.)*?(d)",
        "(?m)(^|a)(b+)($|c)",
        "\\Bb|$",
        "",
    ];

    /// The first match, from any place and with what stands before it, begins where the crate's search has it begin.
    #[test]
    fn a_match_begins_where_the_crate_has_it_begin() {
        let made = PATTERNS.map(|pattern| {
            let nfa = NFA::new(pattern).expect("a pattern");
            let lazy = Lazy::new(&nfa, pattern, SyntaxConfig::new()).expect("automata");
            (lazy, meta::Regex::new(pattern).expect("a pattern"))
        });
        let work = Work::unasked();
        proptest::proptest!(|(text in "[abcd\nä]{0,12}", which in 0..PATTERNS.len())| {
            let (lazy, regex) = &made[which];
            let places = text.char_indices().map(|(at, _)| at).chain([text.len()]);
            for from in places {
                let expected = regex.search(&Input::new(&text).range(from..));
                let expected = expected.map_or(Told::Nowhere, |found| Told::At(found.start()));
                match lazy.start(&text, from, false, &work).expect("no limits") {
                    Told::Nothing => {}
                    found => proptest::prop_assert_eq!(found, expected),
                }
                match lazy.start(&text, from, true, &work).expect("no limits") {
                    Told::Nothing => {}
                    found => proptest::prop_assert_eq!(found == Told::Nowhere, expected == Told::Nowhere),
                }
            }
        });
    }
}
