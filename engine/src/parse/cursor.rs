//! Cursors: DECLARE, FETCH, MOVE and CLOSE, all that PostgreSQL's grammar says of them.

use super::{Aside, Parsed, Syntax, take_word};
use crate::plan::cursor::{Declare, Movement};
use sqlparser::ast::{self, Ident};
use sqlparser::keywords::Keyword as K;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;
use std::sync::Arc;

/// A statement about a cursor.
#[derive(Clone, Debug)]
pub(crate) enum CursorSyntax {
    /// DECLARE, and the query.
    Declare(Ident, Options, Arc<Parsed>),
    /// FETCH and MOVE.
    Fetch {
        name: Ident,
        movement: Movement,
        is_move: bool,
    },
    /// CLOSE of one, or of all.
    Close(Option<Ident>),
}

/// What DECLARE says of a cursor.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Options {
    pub scroll: bool,
    pub no_scroll: bool,
    pub insensitive: bool,
    pub asensitive: bool,
    pub hold: bool,
}

impl Options {
    /// What a cursor of the name becomes.
    pub(crate) fn declare(self, name: String, locks: bool) -> Declare {
        Declare {
            name,
            scrolls: self.scroll || !(self.no_scroll || locks),
            hold: self.hold,
        }
    }
}

/// What the grammar gives: the query of a DECLARE is made whole by [`finish`].
pub(super) enum Found {
    Whole(CursorSyntax),
    Declare(Ident, Options, Box<ast::Statement>),
}

/// A statement about a cursor, if it comes next.
pub(super) fn parse(parser: &mut Parser<'_>) -> Result<Option<Found>, ParserError> {
    if parser.parse_keyword(K::DECLARE) {
        return declare(parser).map(Some);
    }
    let is_move = take_word(parser, "move");
    if is_move || parser.parse_keyword(K::FETCH) {
        let movement = movement(parser)?;
        let name = parser.parse_identifier()?;
        return Ok(Some(Found::Whole(CursorSyntax::Fetch {
            name,
            movement,
            is_move,
        })));
    }
    if parser.parse_keyword(K::CLOSE) {
        let name = match parser.parse_keyword(K::ALL) {
            true => None,
            false => Some(parser.parse_identifier()?),
        };
        return Ok(Some(Found::Whole(CursorSyntax::Close(name))));
    }
    Ok(None)
}

/// Gives the query of a DECLARE what was taken out of the statement, and its parameters.
pub(super) fn finish(
    found: Found,
    aside: &mut Aside,
    parameters: &mut usize,
    text: &Arc<str>,
) -> Syntax {
    Syntax::Cursor(match found {
        Found::Whole(syntax) => syntax,
        Found::Declare(name, options, query) => {
            let query = Parsed {
                syntax: Syntax::Statement(query),
                aside: std::mem::take(aside),
                alone: None,
                parameters: std::mem::take(parameters),
                text: Arc::clone(text),
                memory: None,
            };
            CursorSyntax::Declare(name, options, Arc::new(query))
        }
    })
}

fn declare(parser: &mut Parser<'_>) -> Result<Found, ParserError> {
    let name = parser.parse_identifier()?;
    let mut options = Options::default();
    loop {
        if parser.parse_keywords(&[K::NO, K::SCROLL]) {
            options.no_scroll = true;
        } else if parser.parse_keyword(K::SCROLL) {
            options.scroll = true;
        } else if parser.parse_keyword(K::INSENSITIVE) {
            options.insensitive = true;
        } else if parser.parse_keyword(K::ASENSITIVE) {
            options.asensitive = true;
        } else if !parser.parse_keyword(K::BINARY) {
            break;
        }
    }
    parser.expect_keyword(K::CURSOR)?;
    if parser.parse_keyword(K::WITH) {
        parser.expect_keyword(K::HOLD)?;
        options.hold = true;
    } else if parser.parse_keyword(K::WITHOUT) {
        parser.expect_keyword(K::HOLD)?;
    }
    parser.expect_keyword(K::FOR)?;
    let change = [K::INSERT, K::UPDATE, K::DELETE, K::MERGE];
    if parser.peek_one_of_keywords(&change).is_some() {
        return parser.expected_ref("a query", parser.peek_token_ref());
    }
    let query = parser.parse_query()?;
    let query = Box::new(ast::Statement::Query(query));
    Ok(Found::Declare(name, options, query))
}

/// Which way, how far, and the word before the cursor's name.
fn movement(parser: &mut Parser<'_>) -> Result<Movement, ParserError> {
    let is_name = matches!(parser.peek_nth_token_ref(1).token, Token::EOF);
    let movement = match is_name {
        // `FETCH next`: a cursor of that name.
        true => Movement::Forward(1),
        false => direction(parser)?,
    };
    let _ = parser.parse_one_of_keywords(&[K::FROM, K::IN]);
    Ok(movement)
}

fn direction(parser: &mut Parser<'_>) -> Result<Movement, ParserError> {
    let words = [
        K::NEXT,
        K::PRIOR,
        K::FIRST,
        K::LAST,
        K::ABSOLUTE,
        K::RELATIVE,
        K::ALL,
        K::FORWARD,
        K::BACKWARD,
    ];
    Ok(match parser.parse_one_of_keywords(&words) {
        Some(K::NEXT) => Movement::Forward(1),
        Some(K::PRIOR) => Movement::Backward(1),
        Some(K::FIRST) => Movement::Absolute(1),
        Some(K::LAST) => Movement::Absolute(-1),
        Some(K::ABSOLUTE) => Movement::Absolute(number(parser)?),
        Some(K::RELATIVE) => Movement::Relative(number(parser)?),
        Some(K::ALL) => Movement::Forward(Movement::ALL),
        Some(K::FORWARD) => Movement::Forward(count(parser)?),
        Some(K::BACKWARD) => Movement::Backward(count(parser)?),
        _ => Movement::Forward(count(parser)?),
    })
}

/// A number of rows, ALL, or nothing, which is one.
fn count(parser: &mut Parser<'_>) -> Result<i64, ParserError> {
    if parser.parse_keyword(K::ALL) {
        return Ok(Movement::ALL);
    }
    match parser.peek_token_ref().token {
        Token::Number(..) | Token::Minus | Token::Plus => number(parser),
        _ => Ok(1),
    }
}

fn number(parser: &mut Parser<'_>) -> Result<i64, ParserError> {
    let is_negative = parser.consume_token(&Token::Minus);
    let _ = !is_negative && parser.consume_token(&Token::Plus);
    let next = parser.peek_token_ref().clone();
    match &next.token {
        Token::Number(digits, _) => match digits.parse::<i32>() {
            Ok(number) => {
                parser.advance_token();
                Ok(i64::from(if is_negative { -number } else { number }))
            }
            Err(_) => parser.expected_ref("a number of rows", &next),
        },
        _ => parser.expected_ref("a number of rows", &next),
    }
}
