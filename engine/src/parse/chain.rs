//! Long chains of AND and OR, as query builders write them: `a = 1 OR a = 2 OR ..`, thousands of times.
//!
//! The grammar's crate makes a tree of a chain that is as deep as the chain is long, and whatever walks it, even what
//! drops it, recurses as deep. Both operators are associative, so brackets change nothing but the shape:
//!
//! ```text
//!   a OR b OR c OR d OR e OR f      ->      a OR (b OR c) OR (d OR e) OR f
//! ```
//!
//! 1. The operators of one chain are those of one level of brackets with nothing between them that ends an expression.
//!    An OR ends a chain of ANDs. The AND of BETWEEN is not part of one.
//! 2. Only terms with an operator of the chain on both sides are put in brackets, so that it does not matter where the
//!    first term begins and where the last one ends.
//! 3. A word that ends no expression may end a chain here (`ON` in a place where it is a name): then there are two
//!    chains, each with brackets of its own. What is deep nevertheless is refused by [`depth`](super::depth).

use super::around::{is_word, keyword, next, next_open, previous};
use super::changes::Changes;
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan};

/// Operators of a chain that needs no brackets, and of each level of one that does.
const WIDTH: usize = 64;

/// Puts brackets in long chains.
pub(super) fn put_brackets(tokens: &mut Vec<TokenWithSpan>) {
    let mut operators = tokens.iter().filter(|token| {
        let keyword = keyword(token);
        matches!(keyword, Keyword::AND | Keyword::OR)
    });
    if operators.nth(WIDTH).is_none() {
        return;
    }
    let mut changes = Changes::default();
    let mut outer: Vec<Level> = Vec::new();
    let mut level = Level::default();
    for (at, token) in tokens.iter().enumerate() {
        match &token.token {
            Token::LParen | Token::LBracket => outer.push(std::mem::take(&mut level)),
            Token::RParen | Token::RBracket => {
                level.end(tokens, &mut changes);
                level = outer.pop().unwrap_or_default();
            }
            Token::Comma | Token::SemiColon => level.end(tokens, &mut changes),
            Token::Word(_) => match keyword(token) {
                Keyword::CASE => outer.push(std::mem::take(&mut level)),
                Keyword::END => {
                    level.end(tokens, &mut changes);
                    level = outer.pop().unwrap_or_default();
                }
                Keyword::BETWEEN => level.betweens += 1,
                Keyword::AND if level.betweens > 0 => level.betweens -= 1,
                Keyword::AND => level.ands.push(at),
                Keyword::OR => {
                    bracket(&level.ands, tokens, &mut changes);
                    level.ands.clear();
                    level.ors.push(at);
                }
                word if ends_expression(word, tokens, at) => level.end(tokens, &mut changes),
                _ => {}
            },
            _ => {}
        }
    }
    level.end(tokens, &mut changes);
    changes.make(tokens);
}

/// The chains of a level of brackets that are not at their end.
#[derive(Default)]
struct Level {
    /// Where their operators are.
    ors: Vec<usize>,
    ands: Vec<usize>,
    /// BETWEENs whose AND is still to come.
    betweens: usize,
}

impl Level {
    fn end(&mut self, tokens: &[TokenWithSpan], changes: &mut Changes) {
        for chain in [&mut self.ands, &mut self.ors] {
            bracket(chain, tokens, changes);
            chain.clear();
        }
        self.betweens = 0;
    }
}

/// Puts the terms between these operators into brackets, and within those again.
fn bracket(operators: &[usize], tokens: &[TokenWithSpan], changes: &mut Changes) {
    let terms = operators.len().saturating_sub(1);
    if terms < WIDTH {
        return;
    }
    let size = terms.div_ceil(WIDTH);
    if size == 1 {
        return;
    }
    let mut first = 0;
    while first < terms {
        let last = (first + size).min(terms);
        // Operators within the group, and those around it.
        let (before, behind) = (operators[first], operators[last]);
        if last - first > 1 {
            let like = |token, at: usize| TokenWithSpan {
                token,
                span: tokens[at].span,
            };
            let begin = next(tokens, before).unwrap_or(before + 1);
            let end = previous(tokens, behind).unwrap_or(before) + 1;
            changes.insert(begin, [like(Token::LParen, before)]);
            changes.insert(end, [like(Token::RParen, behind)]);
            bracket(&operators[first + 1..last], tokens, changes);
        }
        first = last;
    }
}

/// Whether a word stands between two expressions.
fn ends_expression(word: Keyword, tokens: &[TokenWithSpan], at: usize) -> bool {
    use Keyword as K;
    match word {
        // IS DISTINCT FROM
        K::FROM => !previous(tokens, at).is_some_and(|at| is_word(&tokens[at], "DISTINCT")),
        // Functions have these names as well.
        K::LEFT | K::RIGHT => next_open(tokens, at).is_none(),
        K::SELECT
        | K::WHERE
        | K::GROUP
        | K::HAVING
        | K::WINDOW
        | K::ORDER
        | K::LIMIT
        | K::OFFSET
        | K::FETCH
        | K::FOR
        | K::UNION
        | K::EXCEPT
        | K::INTERSECT
        | K::MINUS
        | K::JOIN
        | K::INNER
        | K::FULL
        | K::CROSS
        | K::NATURAL
        | K::ON
        | K::USING
        | K::SET
        | K::VALUES
        | K::RETURNING
        | K::WHEN
        | K::THEN
        | K::ELSE
        | K::AS
        | K::DO
        | K::WITH
        | K::XOR
        | K::CHECK
        | K::DEFAULT => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::token::{text, tokenize};
    use super::*;

    fn written(sql: &str) -> String {
        let mut tokens = tokenize(sql).expect("tokens");
        put_brackets(&mut tokens);
        text(&tokens)
    }

    fn chain(terms: usize, between: &str) -> String {
        let terms: Vec<String> = (0..terms).map(|term| format!("a = {term}")).collect();
        terms.join(between)
    }

    /// How deep the brackets are within each other.
    fn depth(sql: &str) -> usize {
        let mut open = 0_usize;
        let depths = sql.bytes().map(|byte| {
            match byte {
                b'(' => open += 1,
                b')' => open -= 1,
                _ => {}
            }
            open
        });
        depths.max().unwrap_or_default()
    }

    #[test]
    fn a_long_chain_is_a_shallow_tree() {
        for between in [" OR ", " AND "] {
            let sql = format!("SELECT 1 WHERE {}", chain(100_000, between));
            let written = written(&sql);
            assert_eq!(depth(&written), 2, "{between}");
            assert_eq!(written.replace(['(', ')'], ""), sql, "{between}");
        }
    }

    #[test]
    fn short_chains_stay_as_they_are() {
        let sql = format!("SELECT 1 WHERE {}", chain(65, " OR "));
        assert_eq!(written(&sql), sql);
    }

    /// The tokens before the first operator and behind the last one may be anything.
    #[test]
    fn brackets_stand_between_operators_of_one_chain() {
        let long = chain(200, " OR ");
        for (before, behind) in [
            ("SELECT a FROM t JOIN u ON ", " JOIN v ON "),
            ("SELECT a FROM t WHERE ", " GROUP BY a HAVING "),
            ("SELECT CASE WHEN ", " THEN 1 WHEN "),
            ("SELECT ", ", "),
            ("UPDATE t SET a = ", " WHERE "),
        ] {
            let written = written(&format!("{before}{long}{behind}{long}"));
            assert!(written.starts_with(&format!("{before}a = 0 OR (a = 1 OR ")));
            assert!(written.ends_with(" OR a = 199"));
            assert!(!written.contains(&format!("({behind}")));
            let middle = format!("{behind}a = 0 OR (a = 1 OR ");
            assert!(written.contains(&middle), "{before}..{behind}: {written}");
        }
    }

    #[test]
    fn the_and_of_between_is_none_of_a_chain() {
        let terms: Vec<String> = (0..200)
            .map(|term| format!("a BETWEEN {term} AND 5"))
            .collect();
        let written = written(&format!("SELECT {}", terms.join(" AND ")));
        assert!(written.contains("(a BETWEEN 1 AND 5 AND a BETWEEN 2 AND 5"));
        assert!(!written.contains("AND (5") && !written.contains("5) AND 5"));
    }

    #[test]
    fn ands_within_a_chain_of_ors_are_terms_of_it() {
        let terms: Vec<String> = (0..200).map(|term| format!("a = {term} AND b")).collect();
        let written = written(&format!("SELECT {}", terms.join(" OR ")));
        assert!(written.starts_with("SELECT a = 0 AND b OR (a = 1 AND b OR "));
    }
}
