//! What CREATE TABLE and CREATE VIEW may say and the grammar's crate does not know. It is taken out of the
//! tokens before the grammar sees them; where its place matters, something stands there that nobody could write.
//!
//! ```text
//!   CREATE TABLE t (a INT, LIKE u INCLUDING ALL)      CREATE TABLE t (a INT, LIKE 0 INT)
//!   CREATE TABLE t (a INT UNIQUE NULLS NOT DISTINCT)  CREATE TABLE t (a INT UNIQUE COLLATE NULLS NOT DISTINCT)
//!   CREATE TABLE t (..) USING heap TABLESPACE x       CREATE TABLE t (..)
//!   CREATE VIEW v AS .. WITH LOCAL CHECK OPTION       CREATE VIEW v AS ..
//!   CREATE RECURSIVE VIEW v (a) AS ..                 CREATE VIEW v (a) AS WITH RECURSIVE v (a) AS (..) SELECT a FROM v
//!   CREATE MATERIALIZED VIEW v AS .. WITH NO DATA     CREATE MATERIALIZED VIEW v AS ..
//! ```
//!
//! Options without a value (`WITH (security_barrier)`) get theirs. A word of several words and without quotes
//! is nothing that anybody could write.

use super::around::{is_space, is_word};
use super::changes::Changes;
use sqlparser::ast::{self, ObjectName};
use sqlparser::keywords::{ALL_KEYWORDS, ALL_KEYWORDS_INDEX, Keyword};
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Span, Token, TokenWithSpan, Word};
use std::ops::Range;

/// What was taken out of a definition.
#[derive(Clone, Debug, Default)]
pub(crate) struct Clauses {
    /// Each LIKE, in order.
    pub likes: Vec<Like>,
    /// WITH CHECK OPTION of a view.
    pub check_option: Option<CheckOption>,
    /// Whether a materialized view shall have no rows.
    pub without_data: bool,
}

/// Which conditions rows have to fulfil that are written through a view.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum CheckOption {
    /// Its own.
    Local,
    /// Those of the views beneath as well.
    Cascaded,
}

/// LIKE in a list of columns.
#[derive(Clone, Debug)]
pub(crate) struct Like {
    /// Like what.
    pub name: ObjectName,
    /// What else is taken over than columns.
    pub including: Including,
}

/// What LIKE takes over.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Including {
    pub constraints: bool,
    pub defaults: bool,
    pub generated: bool,
    pub identity: bool,
    pub indexes: bool,
}

/// The word that stands for NULLS NOT DISTINCT behind a column's UNIQUE, as a collation.
pub(crate) const NULLS_NOT_DISTINCT: &str = "NULLS NOT DISTINCT";

/// Which LIKE a column stands for, if it does.
pub(crate) fn like_of(column: &ast::Ident) -> Option<usize> {
    let number = column.value.strip_prefix("LIKE ")?;
    number.parse().ok().filter(|_| column.quote_style.is_none())
}

/// Takes out of a CREATE what the grammar does not know.
pub(super) fn take(tokens: &mut Vec<TokenWithSpan>) -> Result<Clauses, ParserError> {
    let mut clauses = Clauses::default();
    let mut at = Solid::new(tokens);
    if !at.is(0, "CREATE") {
        return Ok(clauses);
    }
    let mut number = 1;
    let before = [
        "OR",
        "REPLACE",
        "GLOBAL",
        "LOCAL",
        "TEMP",
        "TEMPORARY",
        "UNLOGGED",
        "RECURSIVE",
        "MATERIALIZED",
    ];
    while before.iter().any(|word| at.is(number, word)) {
        number += 1;
    }
    say_values(tokens);
    at = Solid::new(tokens);
    if at.is(number, "TABLE") {
        take_likes(tokens, &mut clauses)?;
        mark_nulls(tokens);
        take_table_tail(tokens);
    } else if at.is(number, "VIEW") {
        let materialized = (1..number).any(|number| at.is(number, "MATERIALIZED"));
        if materialized {
            take_before_query(tokens);
            take_data(tokens, &mut clauses);
        } else {
            take_check_option(tokens, &mut clauses);
            at = Solid::new(tokens);
            if let Some(recursive) = (1..number).find(|number| at.is(*number, "RECURSIVE")) {
                write_recursive(tokens, recursive, number);
            }
        }
    }
    Ok(clauses)
}

/// The tokens that are not blank, by number.
struct Solid<'t> {
    tokens: &'t [TokenWithSpan],
    places: Vec<usize>,
}

impl<'t> Solid<'t> {
    fn new(tokens: &'t [TokenWithSpan]) -> Self {
        let solid = (0..tokens.len()).filter(|at| !is_space(&tokens[*at]));
        Self {
            places: solid.collect(),
            tokens,
        }
    }

    fn len(&self) -> usize {
        self.places.len()
    }

    fn token(&self, number: usize) -> &Token {
        let place = self.places.get(number);
        place.map_or(&Token::EOF, |place| &self.tokens[*place].token)
    }

    /// Whether the token of a number is this word, unquoted.
    fn is(&self, number: usize, wanted: &str) -> bool {
        let place = self.places.get(number);
        place.is_some_and(|place| is_word(&self.tokens[*place], wanted))
    }

    fn are(&self, number: usize, words: &[&str]) -> bool {
        (number..)
            .zip(words)
            .all(|(number, word)| self.is(number, word))
    }

    /// The bracket that closes the one at a number.
    fn closing(&self, open: usize) -> Option<usize> {
        let mut depth = 0_usize;
        (open..self.len()).find(|number| {
            match self.token(*number) {
                Token::LParen => depth += 1,
                Token::RParen => depth = depth.saturating_sub(1),
                _ => {}
            }
            depth == 0
        })
    }

    /// The brackets of a table's columns.
    fn columns(&self) -> Option<(usize, usize)> {
        let open = (0..self.len()).find(|number| *self.token(*number) == Token::LParen)?;
        Some((open, self.closing(open)?))
    }

    /// The places of the tokens from one number to before another.
    fn places(&self, from: usize, to: usize) -> Range<usize> {
        match (self.places.get(from), self.places.get(to - 1)) {
            (Some(from), Some(last)) => *from..last + 1,
            _ => 0..0,
        }
    }
}

/// Writes `= true` behind each option that has no value.
fn say_values(tokens: &mut Vec<TokenWithSpan>) {
    let at = Solid::new(tokens);
    let opens = |number: &usize| at.is(*number, "WITH") && *at.token(number + 1) == Token::LParen;
    let Some(open) = (0..at.len()).find(opens) else {
        return;
    };
    let Some(close) = at.closing(open + 1) else {
        return;
    };
    let is_word = |number: usize| matches!(at.token(number), Token::Word(_));
    let begins = |number: usize| matches!(at.token(number), Token::LParen | Token::Comma);
    let ends = |number: usize| matches!(at.token(number), Token::RParen | Token::Comma);
    let bare = (open + 2..close)
        .filter(|number| is_word(*number) && begins(number - 1) && ends(number + 1));
    let mut changes = Changes::default();
    for place in bare.map(|number| at.places[number]) {
        let span = tokens[place].span;
        let value = [TokenWithSpan::new(Token::Eq, span), word("true", span)];
        changes.insert(place + 1, value);
    }
    changes.make(tokens);
}

fn take_likes(tokens: &mut Vec<TokenWithSpan>, clauses: &mut Clauses) -> Result<(), ParserError> {
    let mut changes = Changes::default();
    for places in likes(&Solid::new(tokens)) {
        replace_like(tokens, places, &mut changes, clauses)?;
    }
    changes.make(tokens);
    Ok(())
}

/// Where each LIKE among columns lies.
fn likes(at: &Solid<'_>) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let Some((open, close)) = at.columns() else {
        return found;
    };
    let mut depth = 0_usize;
    let mut start = None;
    for number in open..=close {
        let token = at.token(number);
        if *token == Token::RParen {
            depth -= 1;
        }
        let ends = number == close || depth == 1 && *token == Token::Comma;
        if let Some(start) = start.take_if(|_| ends) {
            found.push(at.places(start, number));
        }
        if *token == Token::LParen {
            depth += 1;
        }
        let begins = depth == 1 && matches!(token, Token::LParen | Token::Comma);
        if begins && at.is(number + 1, "LIKE") {
            start = Some(number + 1);
        }
    }
    found
}

/// Puts a column in the place of a LIKE.
fn replace_like(
    tokens: &[TokenWithSpan],
    places: Range<usize>,
    changes: &mut Changes,
    clauses: &mut Clauses,
) -> Result<(), ParserError> {
    let mut parser = super::parser(tokens[places.clone()].to_vec());
    let like = like(&mut parser)?;
    let span = tokens[places.start].span;
    let mark = format!("LIKE {}", clauses.likes.len());
    clauses.likes.push(like);
    changes.replace(places, [word(&mark, span), word("INT", span)]);
    Ok(())
}

fn like(parser: &mut Parser<'_>) -> Result<Like, ParserError> {
    parser.expect_keyword(Keyword::LIKE)?;
    let name = parser.parse_object_name(false)?;
    let mut including = Including::default();
    loop {
        let takes = super::take_word(parser, "including");
        if !takes && !super::take_word(parser, "excluding") {
            break;
        }
        let option = parser.parse_identifier()?;
        let all = &mut including;
        match option.value.to_ascii_lowercase().as_str() {
            "constraints" => all.constraints = takes,
            "defaults" => all.defaults = takes,
            "generated" => all.generated = takes,
            "identity" => all.identity = takes,
            "indexes" => all.indexes = takes,
            "comments" | "compression" | "statistics" | "storage" => {}
            "all" => {
                including = Including {
                    constraints: takes,
                    defaults: takes,
                    generated: takes,
                    identity: takes,
                    indexes: takes,
                };
            }
            _ => return parser.expected_ref("what LIKE may include", parser.peek_token_ref()),
        }
    }
    match parser.peek_token_ref().token {
        Token::EOF => Ok(Like { name, including }),
        _ => parser.expected_ref("',' or ')' after LIKE", parser.peek_token_ref()),
    }
}

/// Marks each UNIQUE of a column whose NULLs are one value; that they are not is what is so anyway.
fn mark_nulls(tokens: &mut Vec<TokenWithSpan>) {
    let at = Solid::new(tokens);
    let mut changes = Changes::default();
    for unique in 0..at.len() {
        let nulls = unique + 1;
        let not = at.are(unique, &["UNIQUE", "NULLS", "NOT", "DISTINCT"]);
        let end = nulls + 2 + usize::from(not);
        let is_mark = not || at.are(unique, &["UNIQUE", "NULLS", "DISTINCT"]);
        if !is_mark || *at.token(end) == Token::LParen {
            continue;
        }
        let places = at.places(nulls, end);
        let span = tokens[places.start].span;
        let written = match not {
            true => vec![word("COLLATE", span), word(NULLS_NOT_DISTINCT, span)],
            false => Vec::new(),
        };
        changes.replace(places, written);
    }
    changes.make(tokens);
}

/// Takes away what says where and how a table is kept.
fn take_table_tail(tokens: &mut Vec<TokenWithSpan>) {
    let at = Solid::new(tokens);
    let Some((_, close)) = at.columns() else {
        return;
    };
    let mut changes = Changes::default();
    for number in close + 1..at.len() {
        let is_clause = at.is(number, "TABLESPACE")
            || at.is(number, "USING")
            || at.are(number, &["WITHOUT", "OIDS"]);
        if is_clause {
            changes.remove(at.places(number, number + 2));
        }
        if at.is(number, "AS") {
            break;
        }
    }
    changes.make(tokens);
}

/// The same of a materialized view, before its query.
fn take_before_query(tokens: &mut Vec<TokenWithSpan>) {
    let at = Solid::new(tokens);
    let Some(query) = (0..at.len()).find(|number| at.is(*number, "AS")) else {
        return;
    };
    let is_clause = |number: &usize| at.is(*number, "TABLESPACE") || at.is(*number, "USING");
    let mut changes = Changes::default();
    for number in (0..query).filter(is_clause) {
        changes.remove(at.places(number, number + 2));
    }
    changes.make(tokens);
}

fn take_data(tokens: &mut Vec<TokenWithSpan>, clauses: &mut Clauses) {
    for (words, without) in [
        (&["WITH", "NO", "DATA"][..], true),
        (&["WITH", "DATA"], false),
    ] {
        if take_last(tokens, words) {
            clauses.without_data = without;
            return;
        }
    }
}

fn take_check_option(tokens: &mut Vec<TokenWithSpan>, clauses: &mut Clauses) {
    for (words, option) in [
        (
            &["WITH", "LOCAL", "CHECK", "OPTION"][..],
            CheckOption::Local,
        ),
        (
            &["WITH", "CASCADED", "CHECK", "OPTION"],
            CheckOption::Cascaded,
        ),
        (&["WITH", "CHECK", "OPTION"], CheckOption::Cascaded),
    ] {
        if take_last(tokens, words) {
            clauses.check_option = Some(option);
            return;
        }
    }
}

/// Takes words away that the statement ends with.
fn take_last(tokens: &mut Vec<TokenWithSpan>, words: &[&str]) -> bool {
    let at = Solid::new(tokens);
    let Some(start) = at.len().checked_sub(words.len()) else {
        return false;
    };
    let found = at.are(start, words);
    if found {
        let places = at.places(start, at.len());
        tokens.drain(places);
    }
    found
}

/// Writes a recursive view as a view of a recursive query.
fn write_recursive(tokens: &mut Vec<TokenWithSpan>, recursive: usize, view: usize) {
    let at = Solid::new(tokens);
    let parts = (view + 1..at.len())
        .find(|number| *at.token(*number) == Token::LParen)
        .and_then(|open| Some((open, at.closing(open)?)))
        .filter(|(_, close)| at.is(close + 1, "AS"));
    let Some((open, close)) = parts else {
        return;
    };
    let part = |from: usize, to: usize| tokens[at.places(from, to)].to_vec();
    let (name, columns) = (part(open - 1, open), part(open + 1, close));
    let list = part(open, close + 1);
    let (head, query) = (part(view, close + 2), part(close + 2, at.len()));
    let span = tokens[at.places[recursive]].span;
    let sign = |token: Token| vec![TokenWithSpan::new(token, span)];
    let words = |text: &str| {
        text.split(' ')
            .map(|one| word(one, span))
            .collect::<Vec<_>>()
    };
    let spaced = |part: Vec<TokenWithSpan>| {
        let space = Token::Whitespace(sqlparser::tokenizer::Whitespace::Space);
        let mut part = part;
        part.push(TokenWithSpan::new(space, span));
        part
    };
    let before = part(0, recursive);
    let written = [
        before,
        head,
        words("WITH RECURSIVE"),
        name.clone(),
        list,
        words("AS"),
        sign(Token::LParen),
        query,
        sign(Token::RParen),
        words("SELECT"),
        columns,
        words("FROM"),
        name,
    ];
    *tokens = written.into_iter().flat_map(spaced).collect();
}

fn word(value: &str, span: Span) -> TokenWithSpan {
    let found = ALL_KEYWORDS.binary_search(&value.to_ascii_uppercase().as_str());
    let word = Word {
        value: value.to_owned(),
        quote_style: None,
        keyword: found.map_or(Keyword::NoKeyword, |at| ALL_KEYWORDS_INDEX[at]),
    };
    TokenWithSpan::new(Token::Word(word), span)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::{Syntax, parse};

    fn clauses(sql: &str) -> (String, Clauses) {
        let mut parsed = parse(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
        let parsed = parsed.pop().expect("a statement");
        let Syntax::Statement(statement) = parsed.syntax else {
            panic!("{sql}");
        };
        (statement.to_string(), parsed.aside.definition)
    }

    #[test]
    fn each_like_is_taken_out_and_marked() {
        let (text, found) = clauses(
            "CREATE TABLE t (LIKE a, b INT CHECK (x LIKE 'y'), LIKE \"C\".d INCLUDING ALL EXCLUDING DEFAULTS)",
        );
        let names: Vec<String> = found
            .likes
            .iter()
            .map(|like| like.name.to_string())
            .collect();
        assert_eq!(names, ["a", "\"C\".d"]);
        let last = found.likes[1].including;
        assert!(last.indexes && last.constraints && !last.defaults);
        assert!(
            text.contains("LIKE 0 INT") && text.contains("LIKE 1 INT"),
            "{text}"
        );
        for wrong in [
            "CREATE TABLE t (LIKE)",
            "CREATE TABLE t (LIKE a INCLUDING)",
            "CREATE TABLE t (LIKE a INCLUDING nothing)",
            "CREATE TABLE t (LIKE a b)",
            "CREATE TABLE t (LIKE a",
        ] {
            assert_eq!(
                parse(wrong).expect_err(wrong).sqlstate(),
                "42601",
                "{wrong}"
            );
        }
    }

    #[test]
    fn a_view_keeps_its_query_and_nothing_else() {
        let (text, found) = clauses("CREATE VIEW v AS SELECT 1 WITH LOCAL CHECK OPTION");
        assert_eq!(found.check_option, Some(CheckOption::Local));
        assert_eq!(text, "CREATE VIEW v AS SELECT 1");
        let (text, _) =
            clauses("CREATE RECURSIVE VIEW v (a) AS SELECT 1 UNION ALL SELECT a FROM v");
        assert!(
            text.starts_with("CREATE VIEW v (a) AS WITH RECURSIVE v (a) AS (SELECT 1 UNION"),
            "{text}"
        );
        let (_, found) =
            clauses("CREATE MATERIALIZED VIEW v USING heap TABLESPACE x AS SELECT 1 WITH NO DATA");
        assert!(found.without_data);
        for wrong in [
            "CREATE RECURSIVE VIEW v AS SELECT 1",
            "CREATE VIEW v AS SELECT 1 WITH CHECK",
        ] {
            assert_eq!(
                parse(wrong).expect_err(wrong).sqlstate(),
                "42601",
                "{wrong}"
            );
        }
    }
}
