//! Sequences, of which the grammar's crate knows some: CREATE and ALTER SEQUENCE with options in any
//! order, the options of `AS IDENTITY (..)`, and `OVERRIDING .. VALUE` of an INSERT.
//!
//! The statements are parsed here. What stands within other statements is taken out of the tokens
//! before the grammar sees them, and kept beside the syntax tree ([`Aside`]).

use super::Subscripts;
use super::around::{first, is_any, is_space, is_word, next_open, previous};
use super::changes::Changes;
use super::column_action::IDENTITY_CHANGES;
use super::definition::Clauses;
use sqlparser::ast::{self, ObjectName};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Token, TokenWithSpan};

/// PostgreSQL's complaint about an option that was given before.
pub(super) const REDUNDANT: &str = "conflicting or redundant options";

/// The beginning of the error about an option that an identity column does not take.
pub(super) const NOT_HERE: &str = "sequence option ";

/// A statement about a sequence.
#[derive(Clone, Debug)]
pub(crate) enum SequenceSyntax {
    /// CREATE SEQUENCE
    Create {
        name: ObjectName,
        if_not_exists: bool,
        temporary: bool,
        options: SequenceOptions,
    },
    /// ALTER SEQUENCE
    Alter {
        name: ObjectName,
        if_exists: bool,
        options: SequenceOptions,
    },
    /// ALTER SEQUENCE .. RENAME TO
    Rename {
        name: ObjectName,
        if_exists: bool,
        to: ast::Ident,
    },
}

/// What is said of a sequence; `NO MINVALUE` and its like are `Some(None)`.
#[derive(Clone, Debug, Default)]
pub(crate) struct SequenceOptions {
    pub data_type: Option<ast::DataType>,
    pub increment: Option<i64>,
    pub min: Option<Option<i64>>,
    pub max: Option<Option<i64>>,
    pub start: Option<i64>,
    /// RESTART, with a number or without.
    pub restart: Option<Option<i64>>,
    pub cache: Option<i64>,
    pub cycle: Option<bool>,
    pub owner: Option<ObjectName>,
    /// SET GENERATED of an identity column: whether ALWAYS.
    pub generated: Option<bool>,
}

/// What was taken out of a statement.
#[derive(Clone, Debug, Default)]
pub(crate) struct Aside {
    /// Of an INSERT.
    pub overriding: Option<Overriding>,
    /// The options of each `AS IDENTITY`, and the changes of each identity column that is altered, in order.
    pub identities: Vec<SequenceOptions>,
    /// Of CREATE TABLE and CREATE VIEW.
    pub definition: Clauses,
    /// Of the columns that UPDATE and INSERT write.
    pub subscripts: Subscripts,
}

/// OVERRIDING SYSTEM VALUE, OVERRIDING USER VALUE
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Overriding {
    /// What is given counts.
    System,
    /// What is given for identity columns does not.
    User,
}

/// CREATE or ALTER SEQUENCE, if that comes next.
pub(super) fn parse(parser: &mut Parser<'_>) -> Result<Option<SequenceSyntax>, ParserError> {
    for temporary in [None, Some(Keyword::TEMPORARY), Some(Keyword::TEMP)] {
        let words: Vec<Keyword> = [Some(Keyword::CREATE), temporary, Some(Keyword::SEQUENCE)]
            .into_iter()
            .flatten()
            .collect();
        if parser.parse_keywords(&words) {
            let exists = [Keyword::IF, Keyword::NOT, Keyword::EXISTS];
            return Ok(Some(SequenceSyntax::Create {
                if_not_exists: parser.parse_keywords(&exists),
                name: parser.parse_object_name(false)?,
                temporary: temporary.is_some(),
                options: options(parser)?,
            }));
        }
    }
    if !parser.parse_keywords(&[Keyword::ALTER, Keyword::SEQUENCE]) {
        return Ok(None);
    }
    let if_exists = parser.parse_keywords(&[Keyword::IF, Keyword::EXISTS]);
    let name = parser.parse_object_name(false)?;
    if parser.parse_keywords(&[Keyword::RENAME, Keyword::TO]) {
        let to = parser.parse_identifier()?;
        return Ok(Some(SequenceSyntax::Rename {
            name,
            if_exists,
            to,
        }));
    }
    let at = parser.index();
    let options = options(parser)?;
    if parser.index() == at {
        return parser.expected_ref("an option of the sequence", parser.peek_token_ref());
    }
    Ok(Some(SequenceSyntax::Alter {
        name,
        if_exists,
        options,
    }))
}

/// Options, as many as come.
fn options(parser: &mut Parser<'_>) -> Result<SequenceOptions, ParserError> {
    let mut options = SequenceOptions::default();
    while option(parser, &mut options)? {}
    Ok(options)
}

/// Parses all changes of an identity column that follow: `RESTART`, `SET GENERATED`, and `SET` before an option.
fn identity_changes(parser: &mut Parser<'_>) -> Result<SequenceOptions, ParserError> {
    let mut all = SequenceOptions::default();
    loop {
        if parser.peek_keyword(Keyword::RESTART) {
            option(parser, &mut all)?;
            continue;
        }
        if !parser.parse_keyword(Keyword::SET) {
            return Ok(all);
        }
        let elsewhere = [
            (Keyword::AS, "as"),
            (Keyword::RESTART, "restart"),
            (Keyword::OWNED, "owned_by"),
        ];
        if let Some((_, name)) = elsewhere
            .iter()
            .find(|(word, _)| parser.peek_keyword(*word))
        {
            let message = format!("{NOT_HERE}\"{name}\" not supported here");
            return Err(ParserError::ParserError(message));
        }
        if parser.parse_keyword(Keyword::GENERATED) {
            let always = parser.parse_keyword(Keyword::ALWAYS);
            if !always {
                parser.expect_keywords(&[Keyword::BY, Keyword::DEFAULT])?;
            }
            once(&mut all.generated, always)?;
        } else if !option(parser, &mut all)? {
            return parser.expected_ref("an option of the sequence", parser.peek_token_ref());
        }
    }
}

/// Parses an option; returns `false` where none follows.
fn option(parser: &mut Parser<'_>, all: &mut SequenceOptions) -> Result<bool, ParserError> {
    if parser.parse_keyword(Keyword::AS) {
        let data_type = parser.parse_data_type()?;
        once(&mut all.data_type, data_type)?;
    } else if parser.parse_keyword(Keyword::INCREMENT) {
        let _ = parser.parse_keyword(Keyword::BY);
        once(&mut all.increment, number(parser)?)?;
    } else if parser.parse_keyword(Keyword::MINVALUE) {
        once(&mut all.min, Some(number(parser)?))?;
    } else if parser.parse_keywords(&[Keyword::NO, Keyword::MINVALUE]) {
        once(&mut all.min, None)?;
    } else if parser.parse_keyword(Keyword::MAXVALUE) {
        once(&mut all.max, Some(number(parser)?))?;
    } else if parser.parse_keywords(&[Keyword::NO, Keyword::MAXVALUE]) {
        once(&mut all.max, None)?;
    } else if parser.parse_keyword(Keyword::START) {
        let _ = parser.parse_keyword(Keyword::WITH);
        once(&mut all.start, number(parser)?)?;
    } else if parser.parse_keyword(Keyword::RESTART) {
        let with = parser.parse_keyword(Keyword::WITH);
        let number = match with || is_number(parser) {
            true => Some(number(parser)?),
            false => None,
        };
        once(&mut all.restart, number)?;
    } else if parser.parse_keyword(Keyword::CACHE) {
        once(&mut all.cache, number(parser)?)?;
    } else if parser.parse_keyword(Keyword::CYCLE) {
        once(&mut all.cycle, true)?;
    } else if parser.parse_keywords(&[Keyword::NO, Keyword::CYCLE]) {
        once(&mut all.cycle, false)?;
    } else if parser.parse_keywords(&[Keyword::OWNED, Keyword::BY]) {
        once(&mut all.owner, parser.parse_object_name(false)?)?;
    } else {
        return Ok(false);
    }
    Ok(true)
}

fn once<T>(option: &mut Option<T>, value: T) -> Result<(), ParserError> {
    match option.replace(value) {
        None => Ok(()),
        Some(_) => Err(ParserError::ParserError(REDUNDANT.to_owned())),
    }
}

fn is_number(parser: &Parser<'_>) -> bool {
    matches!(
        parser.peek_token_ref().token,
        Token::Number(..) | Token::Minus | Token::Plus
    )
}

fn number(parser: &mut Parser<'_>) -> Result<i64, ParserError> {
    let is_negative = parser.consume_token(&Token::Minus);
    let _ = !is_negative && parser.consume_token(&Token::Plus);
    let sign = if is_negative { "-" } else { "" };
    let found = match &parser.peek_token_ref().token {
        Token::Number(digits, _) => format!("{sign}{digits}").parse().ok(),
        _ => None,
    };
    match found {
        Some(number) => {
            parser.advance_token();
            Ok(number)
        }
        None => parser.expected_ref("a whole number of 64 bits", parser.peek_token_ref()),
    }
}

/// Takes what the grammar does not know out of a statement.
pub(super) fn take_aside(tokens: &mut Vec<TokenWithSpan>) -> Result<Aside, ParserError> {
    let mut aside = Aside::default();
    let Some(first) = first(tokens) else {
        return Ok(aside);
    };
    if is_any(&tokens[first], &["INSERT", "EXPLAIN"]) {
        aside.overriding = take_overriding(tokens);
    }
    if is_any(&tokens[first], &["CREATE", "ALTER"]) {
        let mut changes = Changes::default();
        let mut from = 0;
        while let Some((at, parse)) = identity(tokens, from) {
            let options = take_options(tokens, at, parse, &mut changes)?;
            aside.identities.push(options);
            from = at + 1;
        }
        changes.make(tokens);
    }
    Ok(aside)
}

/// The parser of the options in brackets behind a word.
type ParseOptions = fn(&mut Parser<'_>) -> Result<SequenceOptions, ParserError>;

/// Finds the next word behind which options of an identity column may stand in brackets.
fn identity(tokens: &[TokenWithSpan], from: usize) -> Option<(usize, ParseOptions)> {
    (from..tokens.len()).find_map(|at| {
        let is_made = || {
            let before = previous(tokens, at);
            is_word(&tokens[at], "IDENTITY") && before.is_some_and(|at| is_word(&tokens[at], "AS"))
        };
        match is_word(&tokens[at], IDENTITY_CHANGES) {
            true => Some((at, identity_changes as ParseOptions)),
            false => is_made().then_some((at, options)),
        }
    })
}

/// The options in brackets that come next.
fn take_options(
    tokens: &[TokenWithSpan],
    at: usize,
    parse: ParseOptions,
    changes: &mut Changes,
) -> Result<SequenceOptions, ParserError> {
    let Some(open) = next_open(tokens, at) else {
        return Ok(SequenceOptions::default());
    };
    // Options have no brackets in them.
    let close = (open..tokens.len()).find(|at| tokens[*at].token == Token::RParen);
    let Some(close) = close else {
        return Ok(SequenceOptions::default());
    };
    let mut parser = super::parser(tokens[open + 1..close].to_vec());
    let found = parse(&mut parser)?;
    if parser.peek_token_ref().token != Token::EOF {
        return parser.expected_ref("an option of the sequence", parser.peek_token_ref());
    }
    changes.remove(open..close + 1);
    Ok(found)
}

fn take_overriding(tokens: &mut Vec<TokenWithSpan>) -> Option<Overriding> {
    for (kind, word) in [(Overriding::System, "SYSTEM"), (Overriding::User, "USER")] {
        let words = ["OVERRIDING", word, "VALUE"];
        if let Some(end) = find(tokens, 0, &words) {
            let is_first = |at: &usize| is_word(&tokens[*at], words[0]);
            let start = (0..end).rev().find(is_first)?;
            tokens.drain(start..end);
            return Some(kind);
        }
    }
    None
}

/// Where words end that follow on each other, with nothing but blanks between.
fn find(tokens: &[TokenWithSpan], from: usize, words: &[&str]) -> Option<usize> {
    let mut matched = 0;
    for (at, token) in tokens.iter().enumerate().skip(from) {
        if is_space(token) {
            continue;
        }
        let is = |wanted: &str| is_word(token, wanted);
        matched = match () {
            () if is(words[matched]) => matched + 1,
            () if is(words[0]) => 1,
            () => 0,
        };
        if matched == words.len() {
            return Some(at + 1);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::{Syntax, parse};

    fn one(sql: &str) -> crate::parse::Parsed {
        let mut parsed = parse(sql).expect(sql);
        parsed.pop().expect("a statement")
    }

    #[test]
    fn options_come_in_any_order_and_each_once() {
        let parsed = one(
            "create sequence if not exists s cycle start 5 no maxvalue increment by -2 minvalue -9 owned by t.k as smallint",
        );
        let Syntax::Sequence(SequenceSyntax::Create {
            options,
            if_not_exists,
            ..
        }) = parsed.syntax
        else {
            panic!("a sequence");
        };
        assert!(if_not_exists && options.owner.is_some() && options.data_type.is_some());
        assert_eq!((options.start, options.increment), (Some(5), Some(-2)));
        assert_eq!((options.min, options.max), (Some(Some(-9)), Some(None)));
        assert_eq!((options.cycle, options.restart), (Some(true), None));
        for wrong in [
            "CREATE SEQUENCE s START 1 START 2",
            "CREATE SEQUENCE s INCREMENT 1.5",
            "CREATE SEQUENCE s MAXVALUE 9223372036854775808",
            "ALTER SEQUENCE s",
            "ALTER SEQUENCE s RENAME",
            "CREATE TABLE t (a INT GENERATED ALWAYS AS IDENTITY (START 1 FOO))",
        ] {
            assert_eq!(
                parse(wrong).expect_err(wrong).sqlstate(),
                "42601",
                "{wrong}"
            );
        }
    }

    #[test]
    fn what_the_grammar_does_not_know_is_kept_beside() {
        let parsed = one(
            "CREATE TABLE t (a INT GENERATED ALWAYS AS IDENTITY (START WITH 3 INCREMENT BY 2), b INT GENERATED BY DEFAULT AS IDENTITY)",
        );
        let starts: Vec<_> = parsed.aside.identities.iter().map(|o| o.start).collect();
        assert_eq!(starts, [Some(3), None]);
        let parsed = one("INSERT INTO t (a) overriding /* no */ user value VALUES (1)");
        assert_eq!(parsed.aside.overriding, Some(Overriding::User));
        let parsed = one("INSERT INTO t VALUES ('OVERRIDING SYSTEM VALUE')");
        assert_eq!(parsed.aside.overriding, None);
    }
}
