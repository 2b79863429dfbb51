//! Simulation: the automaton of a pattern is run over a text, all its threads at once, a byte at a time.
//!
//! It finds a match and its groups in time linear in the text, as Pike has it (Rob Pike's `sam`; Russ Cox, "Regular
//! Expression Matching: the Virtual Machine Approach"). Threads are in the order in which the pattern prefers them, and
//! there is one at most in each state: that which is preferred.
//!
//! ```text
//!  (a+)(ab|b)?   over  "aab"             state   slots: begin, end, (1, 1), (2, 2)
//!                                        -----   ----------------------
//!  threads behind "aa":                  a+      0 - 0 - - -
//!                                        ab      0 - 0 2 2 -
//!                                        b       0 - 0 2 2 -
//!                                        match   0 2 0 2 - -     until a longer one is found
//! ```
//!
//! The crate has such a machine, too (`PikeVM`), but nothing can tell it to end, and its table has a row of slots for
//! each state: 16 GB for 13,000 groups. Here only threads that live have a row, and each step is counted as work.

use super::Groups;
use crate::error::Result;
use crate::function::Work;
use regex_automata::nfa::thompson::{NFA, State};
use regex_automata::util::primitives::StateID;
use std::cell::RefCell;
use std::mem::swap;
use std::ops::Range;

/// A slot that nothing was written to.
const NOWHERE: usize = usize::MAX;
/// Bytes that threads may keep from one search to the next.
const KEPT_BYTES: usize = 64 << 10;

/// Where a search begins, and which match it takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    /// The match begins where the search does; else the first that begins anywhere.
    pub(super) here: bool,
    /// The shortest of those that begin at the same place; else the longest.
    pub(super) shortest: bool,
}

/// Runs an automaton.
pub(super) struct Simulation {
    nfa: NFA,
    threads: RefCell<[Threads; 2]>,
}

impl Simulation {
    pub(super) fn new(nfa: NFA) -> Self {
        Self {
            nfa,
            threads: RefCell::default(),
        }
    }

    pub(super) fn nfa(&self) -> &NFA {
        &self.nfa
    }

    /// Groups of the pattern, the whole left out.
    pub(super) fn group_count(&self) -> usize {
        self.nfa.group_info().all_group_len() - 1
    }

    /// Bytes that it takes, with what its searches have left.
    pub(super) fn bytes(&self) -> usize {
        let left: usize = self.threads.borrow().iter().map(Threads::bytes).sum();
        self.nfa.memory_usage() + left
    }

    /// A match within a part of a text, and its groups.
    ///
    /// # Errors
    /// Those of `work`.
    pub(super) fn find(
        &self,
        text: &str,
        within: Range<usize>,
        wanted: Wanted,
        work: &Work<'_>,
    ) -> Result<Option<Groups>> {
        let [now, next] = &mut *self.threads.borrow_mut();
        let found = self.run((now, next), text.as_bytes(), within, wanted, work);
        now.forget_large();
        next.forget_large();
        let group = |slots: &[usize]| match slots {
            [begin, end] if *end != NOWHERE => Some(*begin..*end),
            _ => None,
        };
        Ok(found?.map(|row| row.chunks(2).map(group).collect()))
    }

    fn run(
        &self,
        (mut now, mut next): (&mut Threads, &mut Threads),
        text: &[u8],
        within: Range<usize>,
        wanted: Wanted,
        work: &Work<'_>,
    ) -> Result<Option<Vec<usize>>> {
        let mut found: Option<Vec<usize>> = None;
        let slots = self.nfa.group_info().slot_len();
        let none = vec![NOWHERE; slots];
        now.begin(&self.nfa);
        for at in within.start..=within.end {
            if found.is_none() && (at == within.start || !wanted.here) {
                let start = self.nfa.start_anchored();
                now.add(&self.nfa, start, &none, (text, at), work)?;
            }
            if now.states.is_empty() && (found.is_some() || wanted.here) {
                break;
            }
            next.begin(&self.nfa);
            for (state, row) in now.states.iter().zip(now.rows.chunks(slots)) {
                // A match that begins earlier goes before.
                if found.as_ref().is_some_and(|found| found[0] < row[0]) {
                    break;
                }
                if matches!(self.nfa.state(*state), State::Match { .. }) {
                    found = Some(row.to_vec());
                    if wanted.shortest {
                        return Ok(found);
                    }
                } else if at < within.end
                    && let Some(to) = step(self.nfa.state(*state), text[at])
                {
                    next.add(&self.nfa, to, row, (text, at + 1), work)?;
                }
            }
            work.spend(1)?;
            swap(&mut now, &mut next);
        }
        Ok(found)
    }
}

/// Where a byte leads.
fn step(state: &State, byte: u8) -> Option<StateID> {
    match state {
        State::ByteRange { trans } => trans.matches_byte(byte).then_some(trans.next),
        State::Sparse(transitions) => transitions.matches_byte(byte),
        State::Dense(transitions) => transitions.matches_byte(byte),
        _ => None,
    }
}

/// The threads between two bytes.
#[derive(Default)]
struct Threads {
    /// Of each thread the state that waits for a byte, or has matched, in the order of preference.
    states: Vec<StateID>,
    /// Of each thread the slots: where groups begin and end.
    rows: Vec<usize>,
    /// Of each state of the automaton the number of the step in which it was reached last.
    reached: Vec<u32>,
    step: u32,
    to_do: Vec<ToDo>,
    row: Vec<usize>,
}

/// A part of a thread that divides which is left to be done.
enum ToDo {
    Follow(StateID),
    /// The slot as it was before the branch that is done.
    Restore(usize, usize),
}

impl Threads {
    fn begin(&mut self, nfa: &NFA) {
        self.states.clear();
        self.rows.clear();
        self.to_do.clear();
        self.step = self.step.wrapping_add(1);
        if self.step == 0 || self.reached.len() != nfa.states().len() {
            self.reached.clear();
            self.reached.resize(nfa.states().len(), 0);
            self.step = 1;
        }
    }

    /// Adds the threads that a state leads to without a byte.
    fn add(
        &mut self,
        nfa: &NFA,
        from: StateID,
        row: &[usize],
        (text, at): (&[u8], usize),
        work: &Work<'_>,
    ) -> Result<()> {
        self.row.clear();
        self.row.extend_from_slice(row);
        self.to_do.push(ToDo::Follow(from));
        while let Some(to_do) = self.to_do.pop() {
            match to_do {
                ToDo::Restore(slot, place) => self.row[slot] = place,
                ToDo::Follow(state) => self.follow(nfa, state, (text, at), work)?,
            }
        }
        Ok(())
    }

    fn follow(
        &mut self,
        nfa: &NFA,
        mut state: StateID,
        (text, at): (&[u8], usize),
        work: &Work<'_>,
    ) -> Result<()> {
        while self.reached[state.as_usize()] != self.step {
            self.reached[state.as_usize()] = self.step;
            work.spend(1)?;
            state = match nfa.state(state) {
                State::Look { look, next } if nfa.look_matcher().matches(*look, text, at) => *next,
                State::Look { .. } | State::Fail => return Ok(()),
                State::Union { alternates } => {
                    let Some((first, others)) = alternates.split_first() else {
                        return Ok(());
                    };
                    let others = others.iter().rev();
                    self.to_do.extend(others.map(|other| ToDo::Follow(*other)));
                    *first
                }
                State::BinaryUnion { alt1, alt2 } => {
                    self.to_do.push(ToDo::Follow(*alt2));
                    *alt1
                }
                State::Capture { next, slot, .. } => {
                    let place = &mut self.row[slot.as_usize()];
                    self.to_do.push(ToDo::Restore(slot.as_usize(), *place));
                    *place = at;
                    *next
                }
                State::ByteRange { .. }
                | State::Sparse(_)
                | State::Dense(_)
                | State::Match { .. } => {
                    // One byte may open a way for each group: rows are asked for one by one.
                    let rows = self.rows.len() + self.row.len();
                    work.spend(self.row.len())?;
                    work.reach(2 * rows * size_of::<usize>())?;
                    self.states.push(state);
                    self.rows.extend_from_slice(&self.row);
                    return Ok(());
                }
            };
        }
        Ok(())
    }

    fn bytes(&self) -> usize {
        (self.rows.capacity() + self.row.capacity()) * size_of::<usize>()
            + self.states.capacity() * size_of::<StateID>()
            + self.to_do.capacity() * size_of::<ToDo>()
            + self.reached.capacity() * size_of::<u32>()
    }

    fn forget_large(&mut self) {
        if self.bytes() > KEPT_BYTES {
            *self = Self::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use regex_automata::nfa::thompson::pikevm::{self, PikeVM};
    use regex_automata::{Anchored, Input, MatchKind};

    const PATTERNS: [&str; 7] = [
        "(a+)(ab|b)?",
        "(a|ab|[bc]*)(c|bcd|d\\b|$)?(a*?b)?",
        "((a*)*b?)*(c|\\b)",
        "^(?:(ä)|.)*?(d)",
        "(?m)(^|a)(b*)($|c)",
        "(a*)(a*)(a*)b?",
        "b(c)?d",
    ];

    /// Groups are those of the crate's own machine, from a place and anywhere.
    #[test]
    fn groups_are_those_of_pikes_machine() {
        let machine = |pattern| {
            PikeVM::builder()
                .configure(pikevm::Config::new().match_kind(MatchKind::All))
                .build(pattern)
                .expect("a pattern")
        };
        let machines = PATTERNS.map(machine);
        let simulations = machines
            .each_ref()
            .map(|vm| Simulation::new(vm.get_nfa().clone()));
        proptest::proptest!(|(text in "[abcd\nä]{0,12}", which in 0..PATTERNS.len())| {
            let (vm, simulation) = (&machines[which], &simulations[which]);
            let (mut cache, mut captures) = (vm.create_cache(), vm.create_captures());
            let mut first = None;
            let places = text.char_indices().map(|(at, _)| at).chain([text.len()]);
            for start in places {
                let input = Input::new(&text).range(start..).anchored(Anchored::Yes);
                vm.search(&mut cache, &input, &mut captures);
                let expected = captures.is_match().then(|| {
                    let groups = captures.iter().map(|group| group.map(|group| group.range()));
                    groups.collect::<Groups>()
                });
                let here = Wanted { here: true, shortest: false };
                let work = Work::unasked();
                let found = simulation.find(&text, start..text.len(), here, &work).expect("no limits");
                proptest::prop_assert_eq!(&found, &expected);
                first = first.or(expected);
            }
            let anywhere = Wanted { here: false, shortest: false };
            let found = simulation.find(&text, 0..text.len(), anywhere, &Work::unasked());
            proptest::prop_assert_eq!(found.expect("no limits"), first);
        });
    }

    /// Memory goes with the threads that live, not with the pattern; and a search is told to end.
    #[test]
    fn a_pattern_of_many_groups_takes_little() {
        use crate::function::{EvalContext, Patience};
        let nfa = NFA::new(&"(a|b)".repeat(2000)).expect("a pattern");
        let simulation = Simulation::new(nfa);
        let here = Wanted {
            here: true,
            shortest: false,
        };
        let text = "ab".repeat(1000);
        let find = |work: &Work<'_>| simulation.find(&text, 0..text.len(), here, work);
        let found = find(&Work::unasked()).expect("no limits").expect("a match");
        assert_eq!(found.len(), 2001);
        assert_eq!(found[2000], Some(1999..2000));
        assert!(simulation.bytes() < 4 << 20);
        // Here a way is open for each group before the first byte, and a row of each would take a gigabyte.
        let nfa = NFA::new(&"(a)?".repeat(9000)).expect("a pattern");
        let refused = Simulation::new(nfa).find("a", 0..1, here, &Work::unasked());
        assert_eq!(refused.expect_err("too many rows").sqlstate(), "54000");
        let hurried = EvalContext {
            patience: Patience::none(),
            ..EvalContext::default()
        };
        let refused = find(&Work::new(&hurried)).expect_err("it takes long");
        assert_eq!(refused.sqlstate(), "57014");
    }
}
