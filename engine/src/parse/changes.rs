//! Changes of a statement's tokens.
//!
//! They are noted while the tokens stay as they are, and then made together: a statement of many tokens in which much
//! is rewritten takes as long as both together, not as long as one times the other. So whoever notes some asks
//! the tokens as they were, by places that stay the same, and does not look for what it has written itself.

use sqlparser::tokenizer::TokenWithSpan;
use std::ops::Range;

/// What is written in the place of other tokens; an empty place is before the token that it begins with.
struct Change {
    places: Range<usize>,
    written: Vec<TokenWithSpan>,
}

/// Changes that are to be made.
#[derive(Default)]
pub(super) struct Changes(Vec<Change>);

impl Changes {
    /// Others come to stand in these places.
    pub(super) fn replace(
        &mut self,
        places: Range<usize>,
        written: impl IntoIterator<Item = TokenWithSpan>,
    ) {
        let written = written.into_iter().collect();
        self.0.push(Change { places, written });
    }

    /// More come to stand before a token; before what was to come there until now.
    pub(super) fn insert(&mut self, at: usize, written: impl IntoIterator<Item = TokenWithSpan>) {
        self.replace(at..at, written);
    }

    /// These are taken out.
    pub(super) fn remove(&mut self, places: Range<usize>) {
        self.replace(places, []);
    }

    /// Makes them. Where two are about the same token, which no sound statement asks for, the first is made.
    pub(super) fn make(mut self, tokens: &mut Vec<TokenWithSpan>) {
        if self.0.is_empty() {
            return;
        }
        // What is noted last comes first of what comes to stand in one place, and before what replaces it.
        self.0.reverse();
        self.0
            .sort_by_key(|change| (change.places.start, change.places.end));
        let mut old = std::mem::take(tokens).into_iter();
        let mut at = 0;
        for change in self.0 {
            if change.places.start < at {
                continue;
            }
            tokens.extend(old.by_ref().take(change.places.start - at));
            tokens.extend(change.written);
            at = change.places.end;
            old.by_ref().take(change.places.len()).for_each(drop);
        }
        tokens.extend(old);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sqlparser::tokenizer::{Span, Token};

    fn tokens(text: &str) -> Vec<TokenWithSpan> {
        let token = |word: char| TokenWithSpan::new(Token::Char(word), Span::empty());
        text.chars().map(token).collect()
    }

    fn changed(note: impl FnOnce(&mut Changes)) -> String {
        let (mut found, mut changes) = (tokens("abcdef"), Changes::default());
        note(&mut changes);
        changes.make(&mut found);
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn changes_are_made_together_in_whatever_order_they_are_noted() {
        let found = changed(|changes| {
            changes.insert(6, tokens("."));
            changes.remove(4..5);
            changes.replace(1..3, tokens("xyz"));
            changes.insert(0, tokens("-"));
        });
        assert_eq!(found, "-axyzdf.");
    }

    #[test]
    fn what_is_noted_last_comes_first_in_one_place() {
        let found = changed(|changes| {
            changes.replace(2..3, tokens("C"));
            changes.insert(2, tokens("2"));
            changes.insert(2, tokens("1"));
        });
        assert_eq!(found, "ab12Cdef");
    }

    #[test]
    fn of_two_changes_of_a_token_the_first_is_made() {
        let found = changed(|changes| {
            changes.remove(1..4);
            changes.replace(2..5, tokens("x"));
            changes.insert(4, tokens("y"));
        });
        assert_eq!(found, "ayef");
    }
}
