//! Extent: where a match ends that begins at a place, and what its groups are.
//!
//! 1. In a short text both are found at once, by a [`Simulation`], which takes some 50 ns a byte.
//! 2. In a long one a [`Lazy`] automaton finds the end, at some nanoseconds a byte; the groups are then looked for between
//!    the two ends alone, and only where the pattern has any.
//!
//! Both keep all alternatives, so of the matches at a place they find the longest; or the shortest, where the first
//! one counts.

use super::lazy_dfa::{Lazy, Told};
use super::matches::whole;
use super::simulation::{Simulation, Wanted};
use super::{AUTOMATON_BYTES_MAX, Groups, SHORT_BYTES_MAX, invalid};
use crate::error::Result;
use crate::function::Work;
use regex_automata::nfa::thompson::{self, NFA};
use regex_automata::util::syntax::Config as SyntaxConfig;
use std::cell::OnceCell;

/// Finds where a match ends.
pub(super) struct Extent {
    simulation: Simulation,
    /// Made for the first long text, from this pattern; `None` where it cannot have any.
    lazy: OnceCell<Option<Lazy>>,
    pattern: String,
    syntax: SyntaxConfig,
    prefers_short: bool,
}

impl Extent {
    pub(super) fn new(pattern: &str, syntax: SyntaxConfig, prefers_short: bool) -> Result<Self> {
        let nfa = NFA::compiler()
            .syntax(syntax)
            .configure(thompson::Config::new().nfa_size_limit(Some(AUTOMATON_BYTES_MAX)))
            .build(pattern)
            .map_err(|_| invalid("regular expression is too complex"))?;
        Ok(Self {
            simulation: Simulation::new(nfa),
            lazy: OnceCell::new(),
            pattern: pattern.to_owned(),
            syntax,
            prefers_short,
        })
    }

    pub(super) fn simulation(&self) -> &Simulation {
        &self.simulation
    }

    /// Bytes that it takes, with what its searches have left.
    pub(super) fn bytes(&self) -> usize {
        let lazy = self.lazy.get().and_then(Option::as_ref);
        self.simulation.bytes() + self.pattern.len() + lazy.map_or(0, Lazy::bytes)
    }

    /// The automata for long texts.
    pub(super) fn lazy(&self) -> Option<&Lazy> {
        let make = || Lazy::new(self.simulation.nfa(), &self.pattern, self.syntax);
        self.lazy.get_or_init(make).as_ref()
    }

    /// The match that begins at a place, where one does.
    ///
    /// # Errors
    /// Those of `work`.
    pub(super) fn find(&self, text: &str, start: usize, work: &Work<'_>) -> Result<Option<Groups>> {
        let mut end = text.len();
        if end - start > SHORT_BYTES_MAX
            && let Some(lazy) = self.lazy()
            && let Told::At(found) = lazy.end(text, start, self.prefers_short, work)?
        {
            if self.simulation.group_count() == 0 {
                return Ok(Some(vec![Some(start..found)]));
            }
            end = found;
        }
        let wanted = Wanted {
            here: true,
            shortest: self.prefers_short,
        };
        self.simulation.find(text, start..end, wanted, work)
    }

    /// Where the first match begins that begins at `from` or later, by a simulation.
    ///
    /// # Errors
    /// Those of `work`.
    pub(super) fn simulated_start(
        &self,
        text: &str,
        from: usize,
        work: &Work<'_>,
    ) -> Result<Option<usize>> {
        let anywhere = Wanted {
            here: false,
            shortest: false,
        };
        let found = self
            .simulation
            .find(text, from..text.len(), anywhere, work)?;
        Ok(found
            .and_then(|groups| whole(&groups))
            .map(|whole| whole.start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A lazy automaton and the simulation find the same end.
    #[test]
    fn a_long_text_has_the_match_that_it_has_as_a_short_one() {
        let pattern = "(a|ab|[bc]*)(c|bcd|d\\b|$)?(a*?b)?";
        proptest::proptest!(|(text in "[abcd ä]{0,12}", prefers_short in proptest::bool::ANY)| {
            let extent = Extent::new(pattern, SyntaxConfig::new(), prefers_short).expect("a pattern");
            let work = Work::unasked();
            let found = extent.find(&text, 0, &work).expect("no limits").expect("a match of nothing at least");
            let lazy = extent.lazy().expect("automata");
            if let Told::At(end) = lazy.end(&text, 0, prefers_short, &work).expect("no limits") {
                proptest::prop_assert_eq!(found[0].clone(), Some(0..end));
                let wanted = Wanted { here: true, shortest: prefers_short };
                let groups = extent.simulation.find(&text, 0..end, wanted, &work).expect("no limits");
                proptest::prop_assert_eq!(Some(found), groups);
            }
        });
    }
}
