//! What `ALTER TABLE .. ALTER COLUMN` does and the grammar's crate does not know, written as a default that
//! nobody could write: a word with blanks.
//!
//! ```text
//!   ALTER a DROP EXPRESSION             ALTER a SET DEFAULT DROP EXPRESSION
//!   ALTER a SET STATISTICS 100          ALTER a SET DEFAULT SET STATISTICS
//! ```
//!
//! [`column_action`] reads it back.

use super::around::{is_space, is_word};
use super::changes::Changes;
use sqlparser::ast;
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan, Word};

/// An action on a column that the grammar does not know.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ColumnAction {
    /// DROP EXPRESSION
    DropExpression {
        /// Whether a column that has none is left alone.
        if_exists: bool,
    },
    /// DROP IDENTITY
    DropIdentity {
        /// Whether a column that is none is left alone.
        if_exists: bool,
    },
    /// SET GENERATED
    SetGenerated {
        /// Whether ALWAYS, and not BY DEFAULT.
        always: bool,
    },
    /// What tunes a storage or a planner that is not ours.
    Tune,
}

/// The words of each action, what stands for it, and how many tokens more belong to it.
const ACTIONS: &[(&[&str], ColumnAction, usize)] = &[
    (
        &["DROP", "EXPRESSION", "IF", "EXISTS"],
        ColumnAction::DropExpression { if_exists: true },
        0,
    ),
    (
        &["DROP", "EXPRESSION"],
        ColumnAction::DropExpression { if_exists: false },
        0,
    ),
    (
        &["DROP", "IDENTITY", "IF", "EXISTS"],
        ColumnAction::DropIdentity { if_exists: true },
        0,
    ),
    (
        &["DROP", "IDENTITY"],
        ColumnAction::DropIdentity { if_exists: false },
        0,
    ),
    (
        &["SET", "GENERATED", "ALWAYS"],
        ColumnAction::SetGenerated { always: true },
        0,
    ),
    (
        &["SET", "GENERATED", "BY", "DEFAULT"],
        ColumnAction::SetGenerated { always: false },
        0,
    ),
    (&["SET", "STATISTICS"], ColumnAction::Tune, 1),
    (&["SET", "STORAGE"], ColumnAction::Tune, 1),
    (&["SET", "COMPRESSION"], ColumnAction::Tune, 1),
];

/// The action that a default stands for, if it does.
pub(crate) fn column_action(default: &ast::Expr) -> Option<ColumnAction> {
    let ast::Expr::Identifier(ident) = default else {
        return None;
    };
    let stands = |(words, ..): &&(&[&str], ColumnAction, usize)| ident.value == words.join(" ");
    let found = ACTIONS.iter().find(stands);
    found
        .filter(|_| ident.quote_style.is_none())
        .map(|(_, action, _)| *action)
}

/// Rewrites the actions of an ALTER TABLE.
pub(super) fn rewrite(tokens: &mut Vec<TokenWithSpan>) {
    let solid: Vec<usize> = (0..tokens.len())
        .filter(|at| !is_space(&tokens[*at]))
        .collect();
    let begins = |tokens: &[TokenWithSpan], number: usize, word: &str| {
        let at = solid.get(number);
        at.is_some_and(|at| is_word(&tokens[*at], word))
    };
    if !begins(tokens, 0, "ALTER") || !begins(tokens, 1, "TABLE") {
        return;
    }
    let mut changes = Changes::default();
    for number in 2..solid.len() {
        let found = ACTIONS.iter().find(|(words, ..)| {
            let mut words = words.iter().zip(number..);
            words.all(|(word, at)| begins(tokens, at, word))
        });
        // ALTER [COLUMN] name before it.
        let is_action = begins(tokens, number - 2, "ALTER") || begins(tokens, number - 2, "COLUMN");
        if let Some((words, _, more)) = found.filter(|_| is_action) {
            let last = (number + words.len() + more - 1).min(solid.len() - 1);
            let place = tokens[solid[number]].span;
            let written = [
                ("SET", Keyword::SET),
                ("DEFAULT", Keyword::DEFAULT),
                (&words.join(" "), Keyword::NoKeyword),
            ];
            let written = written.map(|(value, keyword)| {
                let word = Word {
                    value: value.to_owned(),
                    quote_style: None,
                    keyword,
                };
                TokenWithSpan::new(Token::Word(word), place)
            });
            changes.replace(solid[number]..solid[last] + 1, written);
        }
    }
    changes.make(tokens);
}
