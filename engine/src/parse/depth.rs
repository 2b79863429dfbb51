//! How deep a syntax tree can become, told from its tokens.
//!
//! The parser counts its own recursion, so nesting by brackets is bounded there. But a chain such
//! as `1 + 1 + 1 + ..` is parsed by a loop into a tree as deep as the chain is long, and every
//! later walk over it, even dropping it, recurses. So the chain is measured beforehand:
//!
//! - at each level of brackets the operators since the last separator are counted, those of a chain of AND and OR
//!   once, and of its terms those of the deepest;
//! - a bracket's depth is the largest of its stretches' operators and inner brackets together;
//! - set operations (`UNION`) chain across separators and are counted apart.
//!
//! How much stack a level takes depends on who compiled it: without optimisation the limits below would need more
//! than the 2 MiB of a thread. So whoever recurses over a long text does it with room ([`crate::stack`]).

use crate::error::{Error, Position, Result};
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan};

/// Levels of recursion the parser may use. A bracket takes about two, a subquery about six; so half as many brackets
/// are refused beforehand, for the parser does not always say what it was that it had too much of.
pub(super) const NESTING_MAX: usize = 400;
/// Operators on one path from the top of a tree to its leaves.
const CHAIN_MAX: usize = 1_000;

/// One level of brackets.
#[derive(Default)]
struct Level {
    /// Operators since the last separator, or since the last AND or OR, and the deepest bracket among them.
    operators: usize,
    inner: usize,
    /// ANDs and ORs since the last separator, and the deepest term before the last of them.
    junctions: usize,
    deepest_term: usize,
    /// The deepest stretch that has ended.
    deepest: usize,
    /// Set operations, which separators do not end.
    set_operations: usize,
}

impl Level {
    fn end_term(&mut self) {
        self.deepest_term = self.deepest_term.max(self.operators + self.inner);
        (self.operators, self.inner) = (0, 0);
    }

    fn end_stretch(&mut self) {
        self.end_term();
        self.deepest = self.deepest.max(self.junctions + self.deepest_term);
        (self.junctions, self.deepest_term) = (0, 0);
    }

    fn depth(&mut self) -> usize {
        self.end_stretch();
        self.deepest + self.set_operations + 1
    }
}

/// Refuses tokens whose tree would be deeper than the stack can bear.
pub(super) fn check(tokens: &[TokenWithSpan]) -> Result<()> {
    let mut outer: Vec<Level> = Vec::new();
    let mut level = Level::default();
    for token in tokens {
        match &token.token {
            Token::LParen | Token::LBracket => outer.push(std::mem::take(&mut level)),
            bracket @ (Token::RParen | Token::RBracket) => {
                let depth = level.depth();
                // An unmatched bracket is the parser's to complain about.
                level = outer.pop().unwrap_or_default();
                level.inner = level.inner.max(depth);
                // Subscripts are chained.
                level.operators += usize::from(*bracket == Token::RBracket);
            }
            // What CASE begins and END ends is like a bracket.
            Token::Word(word) if word.keyword == Keyword::CASE => {
                outer.push(std::mem::take(&mut level));
            }
            Token::Word(word) if word.keyword == Keyword::END && !outer.is_empty() => {
                let depth = level.depth();
                level = outer.pop().unwrap_or_default();
                level.inner = level.inner.max(depth);
            }
            Token::Comma | Token::SemiColon => level.end_stretch(),
            Token::Word(word) => count_keyword(&mut level, word.keyword),
            Token::Whitespace(_) | Token::Period | Token::EOF | Token::Placeholder(_) => {}
            other if is_literal(other) => {}
            _ => level.operators += 1,
        }
        let term = level.deepest_term.max(level.operators + level.inner);
        let chain = level.junctions + term + level.set_operations;
        if chain > CHAIN_MAX || outer.len() > NESTING_MAX / 2 {
            return Err(too_complex(super::token::position(token.span.start)));
        }
    }
    Ok(())
}

/// The error for what nests too deeply.
pub(crate) fn too_complex(place: Option<Position>) -> Error {
    sql_error!(
        STATEMENT_TOO_COMPLEX,
        "statement nests too deeply or chains too many operators"
    )
    .with_hint("Split the expression, or use IN (..) or a join with VALUES for long lists.")
    .at(place)
}

fn count_keyword(level: &mut Level, keyword: Keyword) {
    use Keyword as K;
    match keyword {
        K::UNION | K::EXCEPT | K::INTERSECT | K::MINUS => {
            level.end_stretch();
            level.set_operations += 1;
        }
        K::WHEN | K::THEN | K::ELSE | K::FROM | K::WHERE | K::HAVING | K::ON | K::SET => {
            level.end_stretch();
        }
        K::AND | K::OR => {
            level.end_term();
            level.junctions += 1;
        }
        K::XOR
        | K::NOT
        | K::IS
        | K::IN
        | K::BETWEEN
        | K::LIKE
        | K::ILIKE
        | K::SIMILAR
        | K::RLIKE
        | K::REGEXP
        | K::COLLATE
        | K::AT
        | K::NOTNULL
        | K::OPERATOR
        | K::MEMBER
        | K::OVERLAPS
        | K::JOIN
        | K::EXISTS => level.operators += 1,
        // A whole statement within another one.
        K::EXPLAIN => level.operators += CHAIN_MAX / 50,
        _ => {}
    }
}

fn is_literal(token: &Token) -> bool {
    matches!(
        token,
        Token::Number(..)
            | Token::SingleQuotedString(_)
            | Token::DoubleQuotedString(_)
            | Token::DollarQuotedString(_)
            | Token::EscapedStringLiteral(_)
            | Token::NationalStringLiteral(_)
            | Token::HexStringLiteral(_)
    )
}
