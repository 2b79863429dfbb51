//! Tokens: PostgreSQL's, except that `?` is a placeholder and never part of another operator.
//!
//! PostgreSQL itself has no `?` placeholders, and its operator characters include the question
//! mark, so that `a>?` would read as one operator. Here `?` is a placeholder where an operand is due, and the
//! operator of JSONB (`?`, `?|`, `?&`) behind one. A placeholder takes the number after the largest so far, as
//! in SQLite.
//!
//! Two of PostgreSQL's rules the grammar's crate does not know: an operator does not end in `+` or
//! `-` unless it has one of PostgreSQL's stranger characters (`a<-1` is `a < -1`), and strings with
//! a line break between them are one.

use super::around::{is_space, next};
use super::changes::Changes;
use super::encoded;
use super::extent::Extents;
use crate::error::{Error, Position, Result, state};
use sqlparser::dialect::{Dialect, PostgreSqlDialect};
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Location, Span, Token, TokenWithSpan, Tokenizer, Whitespace};
use std::any::TypeId;

/// As many parameters as PostgreSQL's protocol can carry.
const PARAMETERS_MAX: usize = 65_535;

/// PostgreSQL's lexical rules without the question mark's.
#[derive(Debug)]
struct Lexical(PostgreSqlDialect);

impl Dialect for Lexical {
    fn dialect(&self) -> TypeId {
        self.0.dialect()
    }
    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        self.0.is_delimited_identifier_start(ch)
    }
    fn is_identifier_start(&self, ch: char) -> bool {
        // An unquoted identifier takes letters of any script, but no other strange characters:
        // an invisible blank in a name helps nobody.
        ch.is_alphabetic() || ch == '_'
    }
    fn is_identifier_part(&self, ch: char) -> bool {
        self.is_identifier_start(ch) || ch.is_alphanumeric() || ch == '$'
    }
    fn is_custom_operator_part(&self, ch: char) -> bool {
        ch != '?' && self.0.is_custom_operator_part(ch)
    }
    // The crate knows no surrogate pairs, nor another mark than the backslash: `unicode` does.
    fn supports_unicode_string_literal(&self) -> bool {
        false
    }
    fn supports_string_escape_constant(&self) -> bool {
        true
    }
    fn supports_nested_comments(&self) -> bool {
        true
    }
}

/// Splits a text into tokens with their places, blanks and comments included.
pub(super) fn tokenize(sql: &str) -> Result<Vec<TokenWithSpan>> {
    let dialect = Lexical(PostgreSqlDialect {});
    let tokens = Tokenizer::new(&dialect, sql)
        .tokenize_with_location()
        .map_err(|error| {
            let at = position(error.location);
            let start = Extents::new(sql).offset(error.location);
            let complaint = encoded::complaint(&sql[start..], at);
            complaint.unwrap_or_else(|| {
                Error::new(state::SYNTAX_ERROR, lower_first(&error.message)).at(at)
            })
        })?;
    let mut found = Vec::with_capacity(tokens.len());
    for token in tokens {
        match &token.token {
            Token::CustomBinaryOperator(operator) => match split_signs(operator) {
                Some((before, signs)) => push_split(&mut found, &token, before, signs),
                None => found.push(token),
            },
            Token::SingleQuotedString(more) => match string_before_break(&found) {
                Some(at) => continue_string(&mut found, at, more),
                None => found.push(token),
            },
            // The grammar's crate reads `0x1F` as it reads `X'1F'`, which is as long and two quotes.
            Token::HexStringLiteral(digits) if is_number(&token, digits) => {
                let number = TokenWithSpan {
                    token: Token::Number(format!("0x{digits}"), false),
                    ..token
                };
                return Err(trailing_junk(&number, ""));
            }
            Token::Word(word) if word.quote_style.is_none() => {
                if let Some(number) = found
                    .last()
                    .filter(|before| is_number_up_to(before, &token))
                {
                    return Err(trailing_junk(number, &word.value));
                }
                found.push(token);
            }
            _ => found.push(token),
        }
    }
    super::unicode::rewrite(&mut found)?;
    Ok(questions(found))
}

/// Makes operators of the question marks that stand behind operands.
fn questions(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    if !tokens.iter().any(|token| is_question(&token.token)) {
        return tokens;
    }
    let mut tokens = tokens;
    let mut changes = Changes::default();
    let mut operand = Operand::Due;
    for at in 0..tokens.len() {
        if is_question(&tokens[at].token) && operand != Operand::Due {
            let adjacent = tokens.get(at + 1);
            let adjacent = adjacent.filter(|next| next.span.start == tokens[at].span.end);
            let before_text = next(&tokens, at).is_some_and(|at| {
                matches!(
                    tokens[at].token,
                    Token::SingleQuotedString(_) | Token::EscapedStringLiteral(_)
                )
            });
            let longer = match adjacent.map(|next| &next.token) {
                Some(Token::Pipe) => Some(Token::QuestionPipe),
                Some(Token::Ampersand) => Some(Token::QuestionAnd),
                _ => None,
            };
            if let Some(longer) = longer {
                let span = Span::new(tokens[at].span.start, tokens[at + 1].span.end);
                tokens[at] = TokenWithSpan::new(longer, span);
                changes.remove(at + 1..at + 2);
            } else if operand == Operand::There || before_text {
                tokens[at].token = Token::Question;
            }
        }
        operand = operand.after(&tokens[at].token);
    }
    changes.make(&mut tokens);
    tokens
}

fn is_question(token: &Token) -> bool {
    matches!(token, Token::Placeholder(name) if name == "?")
}

/// What stands before a token.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Operand {
    /// No operand: one may come.
    Due,
    There,
    /// A word that is a name, or asks for an operand.
    Perhaps,
}

impl Operand {
    fn after(self, token: &Token) -> Self {
        match token {
            Token::Whitespace(_) => self,
            Token::Word(word) => match word.keyword {
                Keyword::NoKeyword => Self::There,
                _ => Self::Perhaps,
            },
            Token::RParen
            | Token::RBracket
            | Token::Placeholder(_)
            | Token::Number(..)
            | Token::SingleQuotedString(_)
            | Token::EscapedStringLiteral(_) => Self::There,
            _ => Self::Due,
        }
    }
}

/// Whether so many digits are written without quotes.
fn is_number(token: &TokenWithSpan, digits: &str) -> bool {
    let Span { start, end } = token.span;
    start.line == end.line && end.column - start.column == digits.len() as u64 + 2
}

/// Whether a number ends where a token begins.
fn is_number_up_to(before: &TokenWithSpan, token: &TokenWithSpan) -> bool {
    matches!(before.token, Token::Number(..)) && before.span.end == token.span.start
}

/// A word right behind a number.
fn trailing_junk(number: &TokenWithSpan, word: &str) -> Error {
    let message = format!(
        "trailing junk after numeric literal at or near \"{}{word}\"",
        number.token
    );
    Error::new(state::SYNTAX_ERROR, message).at(position(number.span.start))
}

/// The signs at the end of an operator that are not part of it, and what is before them.
fn split_signs(operator: &str) -> Option<(&str, &str)> {
    let strange = |c: char| "~!@#%^&|`".contains(c);
    if operator.contains(strange) {
        return None;
    }
    // Of an operator that is nothing but signs, the first is the operator.
    let end = operator.trim_end_matches(['+', '-']).len().max(1);
    (end < operator.len()).then(|| operator.split_at(end))
}

fn push_split(found: &mut Vec<TokenWithSpan>, whole: &TokenWithSpan, before: &str, signs: &str) {
    let mut start = whole.span.start;
    let first = match before {
        "<" => Token::Lt,
        ">" => Token::Gt,
        "<=" => Token::LtEq,
        ">=" => Token::GtEq,
        "<>" => Token::Neq,
        "=" => Token::Eq,
        "+" => Token::Plus,
        "-" => Token::Minus,
        "*" => Token::Mul,
        "/" => Token::Div,
        "<<" => Token::ShiftLeft,
        ">>" => Token::ShiftRight,
        "->" => Token::Arrow,
        "->>" => Token::LongArrow,
        other => Token::CustomBinaryOperator(other.to_owned()),
    };
    let signs = signs.chars().map(|sign| match sign {
        '-' => (Token::Minus, 1),
        _ => (Token::Plus, 1),
    });
    for (token, width) in std::iter::once((first, before.len() as u64)).chain(signs) {
        let end = Location::new(start.line, start.column + width);
        found.push(TokenWithSpan::new(token, Span::new(start, end)));
        start = end;
    }
}

/// Where the string is that ends the tokens but for blanks with a line break among them.
fn string_before_break(found: &[TokenWithSpan]) -> Option<usize> {
    let mut broken = false;
    for (at, token) in found.iter().enumerate().rev() {
        match &token.token {
            Token::Whitespace(Whitespace::Newline | Whitespace::SingleLineComment { .. }) => {
                broken = true;
            }
            Token::Whitespace(Whitespace::Space | Whitespace::Tab) => {}
            Token::SingleQuotedString(_) | Token::EscapedStringLiteral(_) if broken => {
                return Some(at);
            }
            _ => return None,
        }
    }
    None
}

fn continue_string(found: &mut Vec<TokenWithSpan>, at: usize, more: &str) {
    found.truncate(at + 1);
    if let Token::SingleQuotedString(text) | Token::EscapedStringLiteral(text) =
        &mut found[at].token
    {
        text.push_str(more);
    }
}

/// Rewrites a statement's placeholders to `$n` and counts them.
pub(super) fn number_placeholders(
    mut tokens: Vec<TokenWithSpan>,
) -> Result<(Vec<TokenWithSpan>, usize)> {
    let mut largest = 0;
    for token in &mut tokens {
        let Token::Placeholder(name) = &token.token else {
            continue;
        };
        let digits = name.get(1..).unwrap_or_default();
        let behind = digits.trim_start_matches(|c: char| c.is_ascii_digit());
        if behind.len() < digits.len() && !behind.is_empty() {
            let message = format!("trailing junk after parameter at or near \"{name}\"");
            return Err(Error::new(state::SYNTAX_ERROR, message).at(position(token.span.start)));
        }
        let number = match name.get(1..) {
            None | Some("") if name == "?" => Some(largest + 1),
            None => None,
            Some(digits) => digits.parse().ok(),
        };
        let number = number
            .filter(|number| (1..=PARAMETERS_MAX).contains(number))
            .ok_or_else(|| {
                sql_error!(UNDEFINED_PARAMETER, "there is no parameter {name}")
                    .at(position(token.span.start))
            })?;
        largest = largest.max(number);
        token.token = Token::Placeholder(format!("${number}"));
    }
    Ok((tokens, largest))
}

/// A place as the error type has it; `None` for sqlparser's "nowhere".
pub(super) fn position(location: Location) -> Option<Position> {
    let line = u32::try_from(location.line).ok().filter(|line| *line > 0)?;
    let column = u32::try_from(location.column).ok()?;
    Some(Position { line, column })
}

/// Tokens as the text that they are of, but for the blanks around it.
pub(super) fn text(tokens: &[TokenWithSpan]) -> String {
    let text: String = tokens.iter().map(|token| written(&token.token)).collect();
    text.trim().to_owned()
}

/// What tokens say, with one blank between each two.
pub(super) fn spaced<'t>(tokens: impl IntoIterator<Item = &'t TokenWithSpan>) -> String {
    let solid = tokens.into_iter().filter(|token| !is_space(token));
    let words: Vec<String> = solid.map(|token| written(&token.token)).collect();
    words.join(" ")
}

/// A token as it can be read again: the tokenizer has taken quotes and backslashes out of what is quoted.
fn written(token: &Token) -> String {
    match token {
        Token::SingleQuotedString(text) | Token::NationalStringLiteral(text) => {
            format!("'{}'", text.replace('\'', "''"))
        }
        Token::EscapedStringLiteral(text) => {
            let text = text.replace('\\', "\\\\").replace('\'', "''");
            format!("E'{text}'")
        }
        Token::Word(word) if word.quote_style == Some('"') => {
            format!("\"{}\"", word.value.replace('"', "\"\""))
        }
        other => other.to_string(),
    }
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_lowercase().chain(chars).collect(),
        None => String::new(),
    }
}
