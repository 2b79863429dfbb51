//! What `ALTER TABLE .. ALTER COLUMN` does and the grammar's crate does not know, written as a default that
//! nobody could write: a word with blanks.
//!
//! ```text
//!   ALTER a DROP EXPRESSION             ALTER a SET DEFAULT DROP EXPRESSION
//!   ALTER a SET STATISTICS 100          ALTER a SET DEFAULT SET STATISTICS
//!   ALTER a SET CACHE 5 RESTART         ALTER a SET DEFAULT ALTER IDENTITY (SET CACHE 5 RESTART)
//! ```
//!
//! [`column_action`] reads it back. `sequence` puts the brackets' contents beside the statement.

use super::around::{is_any, is_space, is_word, next};
use super::changes::Changes;
use sqlparser::ast;
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Span, Token, TokenWithSpan, Word};

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
    /// RESTART, SET GENERATED, and SET before an option of the column's sequence.
    ChangeIdentity,
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
    (&["SET", "STATISTICS"], ColumnAction::Tune, 1),
    (&["SET", "STORAGE"], ColumnAction::Tune, 1),
    (&["SET", "COMPRESSION"], ColumnAction::Tune, 1),
];

/// The word that replaces changes of an identity column.
pub(super) const IDENTITY_CHANGES: &str = "ALTER IDENTITY";

/// Words behind SET that begin a change of an identity column. The last three are then refused.
const IDENTITY_OPTIONS: [&str; 11] = [
    "GENERATED",
    "INCREMENT",
    "MINVALUE",
    "MAXVALUE",
    "NO",
    "START",
    "CACHE",
    "CYCLE",
    "AS",
    "OWNED",
    "RESTART",
];

/// The action that a default stands for, if it does.
pub(crate) fn column_action(default: &ast::Expr) -> Option<ColumnAction> {
    let ast::Expr::Identifier(ident) = default else {
        return None;
    };
    if ident.quote_style.is_some() {
        return None;
    }
    if ident.value == IDENTITY_CHANGES {
        return Some(ColumnAction::ChangeIdentity);
    }
    let stands = |(words, ..): &&(&[&str], ColumnAction, usize)| ident.value == words.join(" ");
    let found = ACTIONS.iter().find(stands);
    found.map(|(_, action, _)| *action)
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
    // The first action on a column of `ALTER TABLE t ALTER a`.
    for number in 5..solid.len() {
        let found = ACTIONS.iter().find(|(words, ..)| {
            let mut words = words.iter().zip(number..);
            words.all(|(word, at)| begins(tokens, at, word))
        });
        // ALTER [COLUMN] name before it.
        let is_action = !begins(tokens, number - 1, "COLUMN")
            && (begins(tokens, number - 2, "ALTER") || begins(tokens, number - 2, "COLUMN"));
        if !is_action {
            continue;
        }
        if let Some((words, _, more)) = found {
            let last = (number + words.len() + more - 1).min(solid.len() - 1);
            let written = default(&words.join(" "), tokens[solid[number]].span);
            changes.replace(solid[number]..solid[last] + 1, written);
        } else if changes_identity(tokens, solid[number]) {
            enclose(tokens, solid[number], &mut changes);
        }
    }
    changes.make(tokens);
}

/// Writes `SET DEFAULT word`.
fn default(word: &str, place: Span) -> [TokenWithSpan; 3] {
    let written = [
        ("SET", Keyword::SET),
        ("DEFAULT", Keyword::DEFAULT),
        (word, Keyword::NoKeyword),
    ];
    written.map(|(value, keyword)| {
        let word = Word {
            value: value.to_owned(),
            quote_style: None,
            keyword,
        };
        TokenWithSpan::new(Token::Word(word), place)
    })
}

/// Returns whether changes of an identity column begin with this token.
fn changes_identity(tokens: &[TokenWithSpan], at: usize) -> bool {
    let option = next(tokens, at).filter(|_| is_word(&tokens[at], "SET"));
    is_word(&tokens[at], "RESTART")
        || option.is_some_and(|option| is_any(&tokens[option], &IDENTITY_OPTIONS))
}

/// Puts the changes from here to the next action in brackets behind [`IDENTITY_CHANGES`].
fn enclose(tokens: &[TokenWithSpan], begin: usize, changes: &mut Changes) {
    let place = tokens[begin].span;
    let ends = |at: &usize| matches!(tokens[*at].token, Token::Comma | Token::EOF);
    let end = (begin..tokens.len()).find(ends).unwrap_or(tokens.len());
    changes.insert(end, [TokenWithSpan::new(Token::RParen, place)]);
    let open = TokenWithSpan::new(Token::LParen, place);
    changes.insert(
        begin,
        default(IDENTITY_CHANGES, place).into_iter().chain([open]),
    );
}
