//! What PostgreSQL's grammar knows in FROM and around it, and the grammar's crate does not:
//!
//! ```text
//!   FROM ONLY t, FROM ONLY (t), FROM t *      FROM t: no table has others that inherit from it
//!   ROWS FROM (f(x), g(x))                    LATERAL (SELECT f(x), g(x))
//!   .. WITH ORDINALITY                        LATERAL (SELECT *, row_number() OVER () AS ordinality FROM (..))
//!   x BETWEEN SYMMETRIC a AND b               x BETWEEN "between symmetric"(a) AND b
//!   varchar 'x', interval(0) 'x'              CAST ('x' AS varchar), CAST ('x' AS interval(0))
//!   char 'xyz'                                CAST ('xyz' AS char(3)): a literal's length is not limited
//!   JOIN t USING (a, b) AS j                  JOIN t USING (a, b, "using alias".j)
//! ```

use super::around::{
    closing, first, is_any, is_space, is_word, last_beside, next, next_open, next_word, previous,
};
use super::changes::Changes;
use sqlparser::ast::DollarQuotedString;
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan};

/// The function by which the binder knows that the order of two bounds does not matter.
pub(crate) const SYMMETRIC: &str = "between symmetric";

/// What goes before the name of the columns of USING together, behind them.
pub(crate) const USING_ALIAS: &str = "using alias";

/// Types among the crate's keywords that it takes for names of columns where a literal follows, as it does with all
/// that are no keywords; and INTERVAL, whose precision it drops there.
const TYPES: [&str; 6] = ["VARCHAR", "BPCHAR", "CHAR", "CHARACTER", "NAME", "INTERVAL"];

/// Types that are of one character where no length is given, except before a literal.
const CHARS: [&str; 3] = ["BPCHAR", "CHAR", "CHARACTER"];

/// Writes a statement as the crate knows it.
pub(super) fn rewrite(tokens: &mut Vec<TokenWithSpan>) {
    let has_options = first(tokens).is_some_and(|at| is_any(&tokens[at], &["COPY", "SET"]));
    let mut changes = Changes::default();
    for (at, token) in tokens.iter().enumerate() {
        let Token::Word(word) = &token.token else {
            continue;
        };
        if word.quote_style.is_some() {
            continue;
        }
        match word.keyword {
            Keyword::ONLY => take_only(tokens, at, &mut changes),
            Keyword::FROM | Keyword::JOIN | Keyword::UPDATE => take_star(tokens, at, &mut changes),
            Keyword::ROWS => rows_from(tokens, at, &mut changes),
            Keyword::SYMMETRIC => symmetric(tokens, at, &mut changes),
            Keyword::USING => name_columns(tokens, at, &mut changes),
            Keyword::NoKeyword if !has_options => typed_string(tokens, at, &mut changes),
            Keyword::INTERVAL if next_open(tokens, at).is_none() => {}
            _ if is_any(token, &TYPES) => typed_string(tokens, at, &mut changes),
            _ => {}
        }
    }
    changes.make(tokens);
}

/// `ONLY t`, but not `ROWS ONLY` and `READ ONLY`.
fn take_only(tokens: &[TokenWithSpan], only: usize, changes: &mut Changes) {
    let begins = [
        "FROM", "JOIN", "UPDATE", "TABLE", "USING", "INTO", "TRUNCATE",
    ];
    let is_before = previous(tokens, only)
        .is_some_and(|at| tokens[at].token == Token::Comma || is_any(&tokens[at], &begins));
    let Some(name) = next(tokens, only).filter(|_| is_before) else {
        return;
    };
    match &tokens[name].token {
        Token::Word(_) => changes.remove(only..only + 1),
        Token::LParen => {
            let Some(end) = closing(tokens, name) else {
                return;
            };
            let is_name = |token: &TokenWithSpan| {
                is_space(token) || matches!(token.token, Token::Word(_) | Token::Period)
            };
            if tokens[name + 1..end].iter().all(is_name) {
                // A blank in the place of the bracket, if there was none.
                changes.replace(only..name + 1, words(tokens[only].span, &[" "]));
                changes.remove(end..end + 1);
            }
        }
        _ => {}
    }
}

/// Whether this is no `FROM` of `EXTRACT (.. FROM ..)` and its like, nor of `IS DISTINCT FROM`.
fn begins_clause(tokens: &[TokenWithSpan], from: usize) -> bool {
    if previous(tokens, from).is_some_and(|at| is_word(&tokens[at], "DISTINCT")) {
        return false;
    }
    let clauses = ["SELECT", "FROM", "JOIN", "UPDATE"];
    let before = last_beside(tokens, from, |token| is_any(token, &clauses));
    let calls = ["EXTRACT", "SUBSTRING", "TRIM", "OVERLAY"];
    let open = before.filter(|at| tokens[*at].token == Token::LParen);
    let called = open.and_then(|at| previous(tokens, at));
    !called.is_some_and(|at| is_any(&tokens[at], &calls))
}

/// The star behind the name of a table.
fn take_star(tokens: &[TokenWithSpan], from: usize, changes: &mut Changes) {
    if !begins_clause(tokens, from) {
        return;
    }
    let mut at = next(tokens, from);
    loop {
        let Some(word) = at.filter(|at| matches!(tokens[*at].token, Token::Word(_))) else {
            return;
        };
        match next(tokens, word) {
            Some(dot) if tokens[dot].token == Token::Period => at = next(tokens, dot),
            Some(star) if tokens[star].token == Token::Mul => {
                changes.remove(star..star + 1);
                return;
            }
            _ => return,
        }
    }
}

fn words(span: sqlparser::tokenizer::Span, text: &[&str]) -> Vec<TokenWithSpan> {
    let written = text.iter().map(|word| match *word {
        "(" => Token::LParen,
        ")" => Token::RParen,
        "*" => Token::Mul,
        "," => Token::Comma,
        " " => Token::Whitespace(sqlparser::tokenizer::Whitespace::Space),
        word if word.starts_with('"') => Token::make_word(word.trim_matches('"'), Some('"')),
        word => Token::make_keyword(word),
    });
    written.map(|token| TokenWithSpan { token, span }).collect()
}

fn rows_from(tokens: &[TokenWithSpan], rows: usize, changes: &mut Changes) {
    let open = next_word(tokens, rows, "FROM").and_then(|at| next_open(tokens, at));
    let Some((open, close)) = open.and_then(|open| Some((open, closing(tokens, open)?))) else {
        return;
    };
    let span = tokens[rows].span;
    let with = next_word(tokens, close, "WITH");
    let ordinality = with.and_then(|at| next_word(tokens, at, "ORDINALITY"));
    let (head, tail, end) = match ordinality {
        Some(end) => (
            words(
                span,
                &[
                    "LATERAL",
                    "(",
                    "SELECT",
                    "*",
                    ",",
                    "\"row_number\"",
                    "(",
                    ")",
                    "OVER",
                    "(",
                    ")",
                    "AS",
                    "ordinality",
                    "FROM",
                    "(",
                    "SELECT",
                ],
            ),
            words(span, &[")", "AS", "\"rows\"", ")"]),
            end,
        ),
        None => (
            words(span, &["LATERAL", "(", "SELECT"]),
            words(span, &[")"]),
            close,
        ),
    };
    changes.replace(close..end + 1, tail);
    changes.replace(rows..open + 1, head);
}

/// Wraps the lower bound, which ends at the next AND outside of brackets.
fn symmetric(tokens: &[TokenWithSpan], word: usize, changes: &mut Changes) {
    if !previous(tokens, word).is_some_and(|at| is_word(&tokens[at], "BETWEEN")) {
        return;
    }
    let mut depth = 0_usize;
    let end = (word + 1..tokens.len()).find(|at| {
        let is_outer = depth == 0;
        match &tokens[*at].token {
            Token::LParen | Token::LBracket => depth += 1,
            Token::Comma | Token::RParen | Token::RBracket if is_outer => return true,
            Token::RParen | Token::RBracket => depth -= 1,
            _ if is_word(&tokens[*at], "CASE") => depth += 1,
            _ if is_word(&tokens[*at], "END") => depth = depth.saturating_sub(1),
            _ => {}
        }
        is_outer && is_word(&tokens[*at], "AND")
    });
    let Some(end) = end.filter(|at| is_word(&tokens[*at], "AND")) else {
        return;
    };
    let span = tokens[word].span;
    let name = format!("\"{SYMMETRIC}\"");
    changes.insert(end, words(span, &[")", " "]));
    changes.replace(word..word + 1, words(span, &[&name, "("]));
}

/// A name behind `USING (columns)`, which goes with them.
fn name_columns(tokens: &[TokenWithSpan], using: usize, changes: &mut Changes) {
    let open = next_open(tokens, using);
    let Some((open, close)) = open.and_then(|open| Some((open, closing(tokens, open)?))) else {
        return;
    };
    // Brackets around something else, as in MERGE, have more in them than names and commas in turn.
    let inner = tokens[open + 1..close].iter();
    let inner = inner.filter(|token| !is_space(token)).enumerate();
    let are_names = inner.clone().count() % 2 == 1
        && inner.clone().all(|(number, token)| match &token.token {
            Token::Word(_) => number % 2 == 0,
            Token::Comma => number % 2 == 1,
            _ => false,
        });
    let name = next_word(tokens, close, "AS").and_then(|at| next(tokens, at));
    let Some(name) = name.filter(|at| are_names && matches!(tokens[*at].token, Token::Word(_)))
    else {
        return;
    };
    let alias = tokens[name].clone();
    let span = alias.span;
    changes.remove(close + 1..name + 1);
    let marker = [
        Token::Comma,
        Token::make_word(USING_ALIAS, Some('"')),
        Token::Period,
    ];
    let marker = marker
        .into_iter()
        .map(|token| TokenWithSpan { token, span });
    changes.insert(close, marker.chain([alias]));
}

/// A type before a literal.
fn typed_string(tokens: &[TokenWithSpan], name: usize, changes: &mut Changes) {
    let modified = is_any(&tokens[name], &["BPCHAR", "INTERVAL"]);
    let open = next_open(tokens, name).filter(|_| modified);
    let end = open.and_then(|open| closing(tokens, open)).unwrap_or(name);
    let Some(literal) = next(tokens, end) else {
        return;
    };
    let (Token::SingleQuotedString(text)
    | Token::EscapedStringLiteral(text)
    | Token::DollarQuotedString(DollarQuotedString { value: text, .. })) = &tokens[literal].token
    else {
        return;
    };
    // Behind a name or a number it is none.
    let operand = previous(tokens, name).is_some_and(|at| match &tokens[at].token {
        Token::Word(word) => word.quote_style.is_some() || word.keyword == Keyword::NoKeyword,
        Token::Period
        | Token::DoubleColon
        | Token::RParen
        | Token::RBracket
        | Token::Number(..) => true,
        _ => is_word(&tokens[at], "AS"),
    });
    if operand {
        return;
    }
    let span = tokens[name].span;
    let mut written = words(span, &["CAST", "("]);
    written.push(tokens[literal].clone());
    written.extend(words(span, &[" ", "AS", " "]));
    match is_word(&tokens[name], "BPCHAR") {
        true => written.extend(words(span, &["CHAR"])),
        false => written.push(tokens[name].clone()),
    }
    written.extend_from_slice(&tokens[name + 1..=end]);
    if end == name && is_any(&tokens[name], &CHARS) {
        let length = Token::Number(text.chars().count().max(1).to_string(), false);
        let length = [Token::LParen, length, Token::RParen];
        written.extend(length.map(|token| TokenWithSpan { token, span }));
    }
    written.extend(words(span, &[")"]));
    changes.replace(name..literal + 1, written);
}
