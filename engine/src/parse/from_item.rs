//! What PostgreSQL's grammar knows in FROM and around it, and the grammar's crate does not:
//!
//! ```text
//!   FROM ONLY t, FROM ONLY (t), FROM t *      FROM t: no table has others that inherit from it
//!   ROWS FROM (f(x), g(x))                    LATERAL (SELECT f(x), g(x))
//!   .. WITH ORDINALITY                        LATERAL (SELECT *, row_number() OVER () AS ordinality FROM (..))
//!   x BETWEEN SYMMETRIC a AND b               x BETWEEN "between symmetric"(a) AND b
//!   varchar 'x'                               CAST ('x' AS varchar)
//!   JOIN t USING (a, b) AS j                  JOIN t USING (a, b, "using alias".j)
//! ```

use super::is_space;
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan};

/// The function by which the binder knows that the order of two bounds does not matter.
pub(crate) const SYMMETRIC: &str = "between symmetric";

/// What goes before the name of the columns of USING together, behind them.
pub(crate) const USING_ALIAS: &str = "using alias";

/// Types among the crate's keywords that it takes for names of columns where a literal follows, as it does with all
/// that are no keywords.
const TYPES: [&str; 5] = ["VARCHAR", "BPCHAR", "CHAR", "CHARACTER", "NAME"];

/// Writes a statement as the crate knows it.
pub(super) fn rewrite(tokens: &mut Vec<TokenWithSpan>) {
    let first = (0..tokens.len()).find(|at| !is_space(&tokens[*at]));
    let has_options = first.is_some_and(|at| is(&tokens[at], "COPY") || is(&tokens[at], "SET"));
    // From the end: what lies before stays where it is.
    for at in (0..tokens.len()).rev() {
        let Token::Word(word) = &tokens[at].token else {
            continue;
        };
        if word.quote_style.is_some() {
            continue;
        }
        match word.keyword {
            Keyword::ONLY => take_only(tokens, at),
            Keyword::FROM | Keyword::JOIN | Keyword::UPDATE => take_star(tokens, at),
            Keyword::ROWS => rows_from(tokens, at),
            Keyword::SYMMETRIC => symmetric(tokens, at),
            Keyword::USING => name_columns(tokens, at),
            Keyword::NoKeyword if !has_options => typed_string(tokens, at),
            _ if TYPES
                .iter()
                .any(|name| word.value.eq_ignore_ascii_case(name)) =>
            {
                typed_string(tokens, at);
            }
            _ => {}
        }
    }
}

fn is(token: &TokenWithSpan, wanted: &str) -> bool {
    matches!(&token.token, Token::Word(word)
        if word.quote_style.is_none() && word.value.eq_ignore_ascii_case(wanted))
}

fn next(tokens: &[TokenWithSpan], at: usize) -> Option<usize> {
    (at + 1..tokens.len()).find(|at| !is_space(&tokens[*at]))
}

fn before(tokens: &[TokenWithSpan], at: usize) -> Option<usize> {
    (0..at).rev().find(|at| !is_space(&tokens[*at]))
}

/// Where the bracket ends that is open at a token.
fn closing(tokens: &[TokenWithSpan], open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token.token {
            Token::LParen => depth += 1,
            Token::RParen if depth <= 1 => return Some(at),
            Token::RParen => depth -= 1,
            _ => {}
        }
    }
    None
}

/// `ONLY t`, but not `ROWS ONLY` and `READ ONLY`.
fn take_only(tokens: &mut Vec<TokenWithSpan>, only: usize) {
    let begins = [
        "FROM", "JOIN", "UPDATE", "TABLE", "USING", "INTO", "TRUNCATE",
    ];
    let is_before = before(tokens, only).is_some_and(|at| {
        tokens[at].token == Token::Comma || begins.iter().any(|word| is(&tokens[at], word))
    });
    let Some(name) = next(tokens, only).filter(|_| is_before) else {
        return;
    };
    match &tokens[name].token {
        Token::Word(_) => drop(tokens.remove(only)),
        Token::LParen => {
            let Some(end) = closing(tokens, name) else {
                return;
            };
            let is_name = |token: &TokenWithSpan| {
                is_space(token) || matches!(token.token, Token::Word(_) | Token::Period)
            };
            if tokens[name + 1..end].iter().all(is_name) {
                tokens.remove(end);
                tokens.drain(only..=name);
                // A blank in the place of the bracket, if there was none.
                let span = tokens[only].span;
                let blank = Token::Whitespace(sqlparser::tokenizer::Whitespace::Space);
                tokens.insert(only, TokenWithSpan { token: blank, span });
            }
        }
        _ => {}
    }
}

/// Whether this is no `FROM` of `EXTRACT (.. FROM ..)` and its like, nor of `IS DISTINCT FROM`.
fn begins_clause(tokens: &[TokenWithSpan], from: usize) -> bool {
    if before(tokens, from).is_some_and(|at| is(&tokens[at], "DISTINCT")) {
        return false;
    }
    let mut depth = 0_usize;
    let open = (0..from).rev().find(|at| match tokens[*at].token {
        Token::RParen => {
            depth += 1;
            false
        }
        Token::LParen if depth == 0 => true,
        Token::LParen => {
            depth -= 1;
            false
        }
        _ => false,
    });
    let calls = ["EXTRACT", "SUBSTRING", "TRIM", "OVERLAY"];
    let called = open.and_then(|at| before(tokens, at));
    !called.is_some_and(|at| calls.iter().any(|name| is(&tokens[at], name)))
}

/// The star behind the name of a table.
fn take_star(tokens: &mut Vec<TokenWithSpan>, from: usize) {
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
                tokens.remove(star);
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

fn rows_from(tokens: &mut Vec<TokenWithSpan>, rows: usize) {
    let from = next(tokens, rows).filter(|at| is(&tokens[*at], "FROM"));
    let open = from
        .and_then(|at| next(tokens, at))
        .filter(|at| tokens[*at].token == Token::LParen);
    let Some((open, close)) = open.and_then(|open| Some((open, closing(tokens, open)?))) else {
        return;
    };
    let span = tokens[rows].span;
    let with = next(tokens, close).filter(|at| is(&tokens[*at], "WITH"));
    let ordinality = with
        .and_then(|at| next(tokens, at))
        .filter(|at| is(&tokens[*at], "ORDINALITY"));
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
    tokens.splice(close..=end, tail);
    tokens.splice(rows..=open, head);
}

/// Wraps the lower bound, which ends at the next AND outside of brackets.
fn symmetric(tokens: &mut Vec<TokenWithSpan>, word: usize) {
    if !before(tokens, word).is_some_and(|at| is(&tokens[at], "BETWEEN")) {
        return;
    }
    let mut depth = 0_usize;
    let mut cases = 0_usize;
    let end = (word + 1..tokens.len()).find(|at| {
        match &tokens[*at].token {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            _ if is(&tokens[*at], "CASE") => cases += 1,
            _ if is(&tokens[*at], "END") => cases = cases.saturating_sub(1),
            _ => {}
        }
        depth == 0 && cases == 0 && is(&tokens[*at], "AND")
    });
    let Some(end) = end else {
        return;
    };
    let span = tokens[word].span;
    tokens.splice(end..end, words(span, &[")", " "]));
    let name = TokenWithSpan {
        token: Token::make_word(SYMMETRIC, Some('"')),
        span,
    };
    let open = TokenWithSpan {
        token: Token::LParen,
        span,
    };
    tokens.splice(word..=word, [name, open]);
}

/// A name behind `USING (columns)`, which goes with them.
fn name_columns(tokens: &mut Vec<TokenWithSpan>, using: usize) {
    let open = next(tokens, using).filter(|at| tokens[*at].token == Token::LParen);
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
    let word = next(tokens, close).filter(|at| is(&tokens[*at], "AS"));
    let name = word.and_then(|at| next(tokens, at));
    let Some(name) = name.filter(|at| are_names && matches!(tokens[*at].token, Token::Word(_)))
    else {
        return;
    };
    let alias = tokens[name].clone();
    let span = alias.span;
    tokens.drain(close + 1..=name);
    let marker = [
        Token::Comma,
        Token::make_word(USING_ALIAS, Some('"')),
        Token::Period,
    ];
    let marker = marker
        .into_iter()
        .map(|token| TokenWithSpan { token, span });
    tokens.splice(close..close, marker.chain([alias]));
}

/// A type before a literal.
fn typed_string(tokens: &mut Vec<TokenWithSpan>, name: usize) {
    let is_literal = |at: &usize| {
        matches!(
            tokens[*at].token,
            Token::SingleQuotedString(_) | Token::EscapedStringLiteral(_)
        )
    };
    let Some(literal) = next(tokens, name).filter(is_literal) else {
        return;
    };
    // Behind a name or a number it is none.
    let operand = before(tokens, name).is_some_and(|at| match &tokens[at].token {
        Token::Word(word) => word.quote_style.is_some() || word.keyword == Keyword::NoKeyword,
        Token::Period
        | Token::DoubleColon
        | Token::RParen
        | Token::RBracket
        | Token::Number(..) => true,
        _ => is(&tokens[at], "AS"),
    });
    if operand {
        return;
    }
    let span = tokens[name].span;
    let (of, text) = (tokens[name].clone(), tokens[literal].clone());
    let mut written = words(span, &["CAST", "("]);
    written.push(text);
    written.extend(words(span, &[" ", "AS", " "]));
    written.push(of);
    written.extend(words(span, &[")"]));
    tokens.splice(name..=literal, written);
}
