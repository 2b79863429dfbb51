//! CREATE FUNCTION and DROP FUNCTION, all that PostgreSQL's grammar says of them.
//!
//! The clauses behind the parameters come in any order and more than once; which of them agree is for the
//! binder to say, in PostgreSQL's words. A body `BEGIN ATOMIC .. END` was taken out before (`block`), as its
//! semicolons end no statement.

use super::around::is_word;
use sqlparser::ast::{self, DataType, Expr, Ident, ObjectName};
use sqlparser::keywords::Keyword as K;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Token, TokenWithSpan};

/// CREATE FUNCTION
#[derive(Clone, Debug)]
pub(crate) struct CreateFunction {
    pub or_replace: bool,
    pub name: ObjectName,
    pub parameters: Vec<Parameter>,
    pub returns: Option<Returns>,
    pub clauses: Vec<Clause>,
}

/// Which way a parameter goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mode {
    In,
    Out,
    InOut,
    Variadic,
}

/// A parameter.
#[derive(Clone, Debug)]
pub(crate) struct Parameter {
    pub mode: Mode,
    pub name: Option<Ident>,
    pub data_type: DataType,
    pub default: Option<Expr>,
}

/// What follows RETURNS.
#[derive(Clone, Debug)]
pub(crate) enum Returns {
    One(DataType),
    SetOf(DataType),
    Table(Vec<(Ident, DataType)>),
}

/// A clause behind the parameters.
#[derive(Clone, Debug)]
pub(crate) enum Clause {
    Language(Ident),
    /// IMMUTABLE, STABLE or VOLATILE.
    Volatility(K),
    /// Whether NULL arguments make the result NULL.
    Strict(bool),
    /// AS '..'
    Text(ast::ValueWithSpan),
    /// RETURN ..
    Return(Box<Expr>),
    /// BEGIN ATOMIC .. END, as text.
    Atomic(String),
    /// What makes no difference here: PARALLEL, COST, ROWS, LEAKPROOF, SECURITY.
    Other(&'static str),
    /// What is refused.
    Refused(&'static str),
}

/// DROP FUNCTION
#[derive(Clone, Debug)]
pub(crate) struct DropFunction {
    pub if_exists: bool,
    pub functions: Vec<(ObjectName, Option<Vec<DataType>>)>,
    pub cascade: bool,
}

/// CREATE FUNCTION, if it comes next.
pub(super) fn parse_create(
    parser: &mut Parser<'_>,
    atomic: Option<String>,
) -> Result<Option<CreateFunction>, ParserError> {
    let or_replace = parser.parse_keywords(&[K::CREATE, K::OR, K::REPLACE, K::FUNCTION]);
    if !or_replace && !parser.parse_keywords(&[K::CREATE, K::FUNCTION]) {
        return Ok(None);
    }
    let name = parser.parse_object_name(false)?;
    let parameters = parameters(parser)?;
    let returns = match parser.parse_keyword(K::RETURNS) {
        true => Some(returns(parser)?),
        false => None,
    };
    let mut clauses = Vec::new();
    while let Some(clause) = clause(parser)? {
        clauses.push(clause);
    }
    if let Some(block) = atomic {
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        let (word, body) = block.split_at(block.find(|c| !is_word(c)).unwrap_or(block.len()));
        match word.eq_ignore_ascii_case("atomic") {
            true => clauses.push(Clause::Atomic(body.trim().to_owned())),
            false => return parser.expected_ref("ATOMIC after BEGIN", parser.peek_token_ref()),
        }
    }
    Ok(Some(CreateFunction {
        or_replace,
        name,
        parameters,
        returns,
        clauses,
    }))
}

/// DROP FUNCTION, if it comes next.
pub(super) fn parse_drop(parser: &mut Parser<'_>) -> Result<Option<DropFunction>, ParserError> {
    if !parser.parse_keywords(&[K::DROP, K::FUNCTION]) {
        return Ok(None);
    }
    let if_exists = parser.parse_keywords(&[K::IF, K::EXISTS]);
    let functions = parser.parse_comma_separated(|parser| {
        let name = parser.parse_object_name(false)?;
        let types = match parser.peek_token_ref().token == Token::LParen {
            true => {
                let taken = parameters(parser)?.into_iter();
                let taken = taken.filter(|parameter| parameter.mode != Mode::Out);
                Some(taken.map(|parameter| parameter.data_type).collect())
            }
            false => None,
        };
        Ok((name, types))
    })?;
    let behavior = parser.parse_one_of_keywords(&[K::CASCADE, K::RESTRICT]);
    Ok(Some(DropFunction {
        if_exists,
        functions,
        cascade: behavior == Some(K::CASCADE),
    }))
}

fn parameters(parser: &mut Parser<'_>) -> Result<Vec<Parameter>, ParserError> {
    parser.expect_token(&Token::LParen)?;
    if parser.consume_token(&Token::RParen) {
        return Ok(Vec::new());
    }
    let parameters = parser.parse_comma_separated(parameter)?;
    parser.expect_token(&Token::RParen)?;
    Ok(parameters)
}

fn parameter(parser: &mut Parser<'_>) -> Result<Parameter, ParserError> {
    let words = [K::IN, K::OUT, K::INOUT, K::VARIADIC];
    let mode = match parser.parse_one_of_keywords(&words) {
        Some(K::IN) if parser.parse_keyword(K::OUT) => Mode::InOut,
        Some(K::OUT) => Mode::Out,
        Some(K::INOUT) => Mode::InOut,
        Some(K::VARIADIC) => Mode::Variadic,
        _ => Mode::In,
    };
    let name = match is_name(parser) {
        true => Some(parser.parse_identifier()?),
        false => None,
    };
    let data_type = parser.parse_data_type()?;
    let has_default = parser.parse_keyword(K::DEFAULT) || parser.consume_token(&Token::Eq);
    let default = match has_default {
        true => Some(parser.parse_expr()?),
        false => None,
    };
    Ok(Parameter {
        mode,
        name,
        data_type,
        default,
    })
}

/// Whether the next word is a name before a type: another word follows, and both together are no type.
fn is_name(parser: &Parser<'_>) -> bool {
    let [first, second] = parser.peek_tokens_ref::<2>();
    let (Token::Word(first), Token::Word(second)) = (&first.token, &second.token) else {
        return false;
    };
    let goes_on = match first.keyword {
        K::DOUBLE => second.keyword == K::PRECISION,
        K::CHARACTER | K::CHAR | K::BIT | K::NCHAR => second.keyword == K::VARYING,
        K::TIME | K::TIMESTAMP => matches!(second.keyword, K::WITH | K::WITHOUT),
        K::INTERVAL => matches!(
            second.keyword,
            K::YEAR | K::MONTH | K::DAY | K::HOUR | K::MINUTE | K::SECOND
        ),
        K::NATIONAL => true,
        _ => false,
    };
    let is_quoted = first.quote_style.is_some();
    is_quoted || !(goes_on || second.quote_style.is_none() && second.keyword == K::DEFAULT)
}

fn returns(parser: &mut Parser<'_>) -> Result<Returns, ParserError> {
    if parser.parse_keyword(K::SETOF) {
        return Ok(Returns::SetOf(parser.parse_data_type()?));
    }
    if !parser.parse_keyword(K::TABLE) {
        return Ok(Returns::One(parser.parse_data_type()?));
    }
    parser.expect_token(&Token::LParen)?;
    let columns = parser.parse_comma_separated(|parser| {
        let name = parser.parse_identifier()?;
        Ok((name, parser.parse_data_type()?))
    })?;
    parser.expect_token(&Token::RParen)?;
    Ok(Returns::Table(columns))
}

fn clause(parser: &mut Parser<'_>) -> Result<Option<Clause>, ParserError> {
    let volatility = [K::IMMUTABLE, K::STABLE, K::VOLATILE];
    if let Some(word) = parser.parse_one_of_keywords(&volatility) {
        return Ok(Some(Clause::Volatility(word)));
    }
    let by_words: [(&[K], Clause); 5] = [
        (&[K::STRICT], Clause::Strict(true)),
        (
            &[K::RETURNS, K::NULL, K::ON, K::NULL, K::INPUT],
            Clause::Strict(true),
        ),
        (
            &[K::CALLED, K::ON, K::NULL, K::INPUT],
            Clause::Strict(false),
        ),
        (&[K::WINDOW], Clause::Refused("WINDOW of a function in SQL")),
        (&[K::SET], Clause::Refused("SET of a function")),
    ];
    for (words, clause) in by_words {
        if parser.parse_keywords(words) {
            return Ok(Some(clause));
        }
    }
    let clause = if parser.parse_keyword(K::LANGUAGE) {
        Clause::Language(language(parser)?)
    } else if parser.parse_keyword(K::AS) {
        let text = parser.parse_value()?;
        match parser.consume_token(&Token::Comma) {
            true => {
                parser.parse_value()?;
                Clause::Refused("a function in a library")
            }
            false => Clause::Text(text),
        }
    } else if parser.parse_keyword(K::RETURN) {
        Clause::Return(Box::new(parser.parse_expr()?))
    } else {
        return attribute(parser);
    };
    Ok(Some(clause))
}

/// What tells PostgreSQL's planner or its processes something.
fn attribute(parser: &mut Parser<'_>) -> Result<Option<Clause>, ParserError> {
    if parser.parse_keyword(K::PARALLEL) {
        parser.expect_one_of_keywords(&[K::UNSAFE, K::RESTRICTED, K::SAFE])?;
        return Ok(Some(Clause::Other("PARALLEL")));
    }
    if parser.parse_keyword(K::EXTERNAL) || peeks(parser, "security") {
        super::take_word(parser, "security");
        parser.expect_one_of_keywords(&[K::DEFINER, K::INVOKER])?;
        return Ok(Some(Clause::Other("SECURITY")));
    }
    if super::take_word(parser, "cost") {
        parser.parse_number()?;
        return Ok(Some(Clause::Other("COST")));
    }
    if super::take_word(parser, "rows") {
        parser.parse_number()?;
        return Ok(Some(Clause::Other("ROWS")));
    }
    let is_not = parser.parse_keyword(K::NOT);
    match super::take_word(parser, "leakproof") {
        true => Ok(Some(Clause::Other("LEAKPROOF"))),
        false if is_not => parser.expected_ref("LEAKPROOF", parser.peek_token_ref()),
        false => Ok(None),
    }
}

fn peeks(parser: &Parser<'_>, wanted: &str) -> bool {
    is_word(parser.peek_token_ref(), wanted)
}

/// A language may be named by a string.
fn language(parser: &mut Parser<'_>) -> Result<Ident, ParserError> {
    let TokenWithSpan { token, span } = parser.peek_token_ref().clone();
    match token {
        Token::SingleQuotedString(name) => {
            parser.advance_token();
            let mut ident = Ident::new(name.to_lowercase());
            ident.span = span;
            Ok(ident)
        }
        _ => parser.parse_identifier(),
    }
}
