//! `FOR [NO KEY] UPDATE | [KEY] SHARE [OF a, b]`, of which the grammar's crate knows `FOR UPDATE | SHARE
//! [OF a]`, and only behind LIMIT.
//!
//! What it does not know is written such that it does, before it looks. The strength and the names of the
//! tables become one name with dots; a strength is no word that anybody could write:
//!
//! ```text
//!   FOR UPDATE                          FOR UPDATE
//!   FOR SHARE OF a, b NOWAIT            FOR SHARE OF a . b NOWAIT
//!   FOR NO KEY UPDATE OF a, b           FOR UPDATE OF "NO KEY UPDATE" . a . b
//!   FOR UPDATE LIMIT 1                  LIMIT 1 FOR UPDATE
//! ```
//!
//! [`request`] reads it back.

use super::around::{first, is_any, is_space, is_word, next, next_word};
use super::changes::Changes;
use super::token;
use crate::error::{Error, Result, state};
use crate::plan::lock::{LockStrength, LockWait};
use sqlparser::ast::{Ident, LockClause, LockType, NonBlock, ObjectNamePart};
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan, Word};

/// A locking clause of a query.
pub(crate) struct Request<'a> {
    pub(crate) strength: LockStrength,
    pub(crate) wait: LockWait,
    /// Of which tables; none for all.
    pub(crate) of: Vec<&'a Ident>,
}

/// What a clause says.
pub(crate) fn request(clause: &LockClause) -> Request<'_> {
    let parts = clause.of.iter().flat_map(|name| &name.0);
    let mut of: Vec<&Ident> = parts.filter_map(ObjectNamePart::as_ident).collect();
    let rare = [LockStrength::NoKeyUpdate, LockStrength::KeyShare];
    let rare = rare.into_iter().find(|strength| {
        let is_mark = |part: &&Ident| part.quote_style.is_none() && part.value == mark(*strength);
        of.first().is_some_and(is_mark)
    });
    if rare.is_some() {
        of.remove(0);
    }
    Request {
        strength: rare.unwrap_or(match clause.lock_type {
            LockType::Update => LockStrength::Update,
            LockType::Share => LockStrength::Share,
        }),
        wait: match clause.nonblock {
            None => LockWait::Wait,
            Some(NonBlock::SkipLocked) => LockWait::Skip,
            Some(NonBlock::Nowait) => LockWait::NoWait,
        },
        of,
    }
}

/// The word that stands for a strength. It has blanks: no unquoted name is like it.
fn mark(strength: LockStrength) -> &'static str {
    strength.name().trim_start_matches("FOR ")
}

/// Rewrites the locking clauses of a statement.
///
/// # Errors
/// 42601 where OF has a qualified name.
pub(super) fn rewrite(tokens: &mut Vec<TokenWithSpan>) -> Result<()> {
    let mut changes = Changes::default();
    // Where the clause lies that was found last, and where it is written. From the end: a clause goes where the
    // one behind it goes.
    let mut behind: Option<(usize, usize)> = None;
    for at in (0..tokens.len()).rev() {
        let clause = is_word(&tokens[at], "FOR").then(|| Clause::at(tokens, at));
        if let Some(clause) = clause.flatten() {
            let follows = next(tokens, clause.end - 1);
            let beside = behind.filter(|(start, _)| follows == Some(*start));
            let to = match beside {
                Some((_, to)) => to,
                None => end_of_query(tokens, clause.end),
            };
            changes.insert(to, clause.written(tokens)?);
            changes.remove(clause.start..clause.end);
            behind = Some((at, to));
        }
    }
    changes.make(tokens);
    Ok(())
}

/// Where a locking clause lies.
struct Clause {
    start: usize,
    strength: LockStrength,
    /// The last word of the strength.
    last: usize,
    /// OF, and the first token behind the names.
    of: Option<(usize, usize)>,
    end: usize,
}

impl Clause {
    /// The clause that begins with this FOR, if it is one.
    fn at(tokens: &[TokenWithSpan], start: usize) -> Option<Self> {
        let next = |at| next(tokens, at);
        let follow = |words: &[&str]| {
            let mut words = words.iter();
            words.try_fold(start, |at, word| next_word(tokens, at, word))
        };
        let (strength, last) = LockStrength::ALL.into_iter().find_map(|strength| {
            let words: Vec<&str> = mark(strength).split(' ').collect();
            Some((strength, follow(&words)?))
        })?;
        let mut clause = Self {
            start,
            strength,
            last,
            of: None,
            end: last + 1,
        };
        let mut at = next(last);
        if let Some(of) = at.filter(|at| is_word(&tokens[*at], "OF")) {
            at = next(of);
            // A name, then a comma or a dot and a name.
            while let Some(name) = at.filter(|at| matches!(tokens[*at].token, Token::Word(_))) {
                clause.end = name + 1;
                at = next(name);
                let parts = |at: &usize| matches!(tokens[*at].token, Token::Comma | Token::Period);
                match at.filter(parts) {
                    Some(between) => at = next(between),
                    None => break,
                }
            }
            if clause.end <= of {
                // No names: the grammar will say so.
                return None;
            }
            clause.of = Some((of, clause.end));
        }
        let tail = [&["NOWAIT"][..], &["SKIP", "LOCKED"]];
        for words in tail {
            let mut words = words.iter();
            let found = words.try_fold(clause.end - 1, |at, word| next_word(tokens, at, word));
            clause.end = found.map_or(clause.end, |last| last + 1);
        }
        // `substring(a FOR share)` is an expression.
        let stands = clause.end - 1;
        let ends = next(stands).is_none_or(|at| follows(&tokens[at]));
        (ends || clause.of.is_some()).then_some(clause)
    }

    /// The clause as the crate knows it.
    fn written(&self, tokens: &[TokenWithSpan]) -> Result<Vec<TokenWithSpan>> {
        let mut names = Vec::new();
        if let Some((of, end)) = self.of {
            for token in tokens[of + 1..end].iter().filter(|token| !is_space(token)) {
                if token.token == Token::Period {
                    return Err(self.qualified(&tokens[of + 1..end]));
                }
                names.push(token.clone());
            }
        }
        for name in &mut names {
            if name.token == Token::Comma {
                name.token = Token::Period;
            }
        }
        let place = tokens[self.last].span;
        let of_place = self.of.map_or(place, |(of, _)| tokens[of].span);
        let word = |value: &str, keyword| {
            Token::Word(Word {
                value: value.to_owned(),
                quote_style: None,
                keyword,
            })
        };
        let is_rare = mark(self.strength).contains(' ');
        let kind = tokens[self.last].clone();
        let mut clause = vec![tokens[self.start].clone(), kind];
        if is_rare || self.of.is_some() {
            clause.push(TokenWithSpan::new(word("OF", Keyword::OF), of_place));
        }
        if is_rare {
            let strength = word(mark(self.strength), Keyword::NoKeyword);
            clause.push(TokenWithSpan::new(strength, place));
            if !names.is_empty() {
                clause.push(TokenWithSpan::new(Token::Period, place));
            }
        }
        clause.append(&mut names);
        let tail = self.of.map_or(self.last + 1, |(_, end)| end);
        clause.extend_from_slice(&tokens[tail..self.end]);
        Ok(clause)
    }

    fn qualified(&self, names: &[TokenWithSpan]) -> Error {
        let message = format!("{} must specify unqualified relation names", self.strength);
        let period = names.iter().position(|token| token.token == Token::Period);
        let before = names[..period.unwrap_or(0)].iter().rev();
        let name = before.into_iter().find(|token| !is_space(token));
        let place = name.and_then(|name| token::position(name.span.start));
        Error::new(state::SYNTAX_ERROR, message).at(place)
    }
}

/// Whether a token may stand behind a locking clause.
fn follows(token: &TokenWithSpan) -> bool {
    let words = ["FOR", "LIMIT", "OFFSET", "FETCH", "NOWAIT", "SKIP"];
    token.token == Token::RParen || is_any(token, &words)
}

/// Behind LIMIT, OFFSET and FETCH, where they come next; else where it begins to look.
fn end_of_query(tokens: &[TokenWithSpan], start: usize) -> usize {
    let words = ["LIMIT", "OFFSET", "FETCH"];
    let first = first(&tokens[start..]);
    if !first.is_some_and(|at| is_any(&tokens[start + at], &words)) {
        return start;
    }
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(start) {
        match &token.token {
            Token::LParen => depth += 1,
            Token::RParen if depth == 0 => return at,
            Token::RParen => depth -= 1,
            _ if depth == 0 && is_word(token, "FOR") => return at,
            _ => {}
        }
    }
    tokens.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::{Syntax, parse};
    use sqlparser::ast::Statement;

    /// The clauses of a query as they are understood.
    fn clauses(sql: &str) -> Vec<String> {
        let parsed = parse(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
        let Syntax::Statement(statement) = &parsed[0].syntax else {
            panic!("{sql}");
        };
        let Statement::Query(query) = &**statement else {
            panic!("{sql}");
        };
        let shown = |clause: &LockClause| {
            let request = request(clause);
            let of: Vec<_> = request.of.iter().map(|name| name.value.as_str()).collect();
            format!("{} [{}] {:?}", request.strength, of.join(" "), request.wait)
        };
        query.locks.iter().map(shown).collect()
    }

    #[test]
    fn every_form_is_understood() {
        for (clause, understood) in [
            ("FOR UPDATE", "FOR UPDATE [] Wait"),
            ("for no key update", "FOR NO KEY UPDATE [] Wait"),
            ("FOR SHARE OF a", "FOR SHARE [a] Wait"),
            ("FOR KEY SHARE OF a, B NOWAIT", "FOR KEY SHARE [a B] NoWait"),
            ("FOR UPDATE OF a,b,c SKIP LOCKED", "FOR UPDATE [a b c] Skip"),
            (
                "FOR /**/ NO KEY\nUPDATE SKIP  LOCKED",
                "FOR NO KEY UPDATE [] Skip",
            ),
            ("FOR UPDATE LIMIT 1", "FOR UPDATE [] Wait"),
            (
                "FOR UPDATE OF a NOWAIT OFFSET 1 FETCH NEXT ROW ONLY",
                "FOR UPDATE [a] NoWait",
            ),
            ("LIMIT (1) FOR KEY SHARE", "FOR KEY SHARE [] Wait"),
        ] {
            assert_eq!(
                clauses(&format!("SELECT * FROM a, b {clause}")),
                [understood]
            );
        }
        assert_eq!(
            clauses("SELECT * FROM a, b FOR UPDATE OF a LIMIT 1 FOR NO KEY UPDATE OF b NOWAIT"),
            ["FOR UPDATE [a] Wait", "FOR NO KEY UPDATE [b] NoWait"]
        );
        assert!(clauses("SELECT * FROM (SELECT 1 FROM t FOR NO KEY UPDATE LIMIT 1) s").is_empty());
    }

    #[test]
    fn what_is_no_clause_is_left_alone() {
        for sql in [
            "SELECT substring(a FROM 1 FOR share) FROM t",
            "SELECT substring(a FROM 1 FOR update + 1) FROM t",
            "SELECT \"FOR\" FROM t",
        ] {
            assert!(clauses(sql).is_empty(), "{sql}");
        }
        for sql in [
            "SELECT * FROM a FOR UPDATE OF",
            "SELECT * FROM a FOR UPDATE OF a b",
            "SELECT * FROM a FOR UPDATE OF a.b",
            "SELECT * FROM a FOR KEY UPDATE",
            "SELECT * FROM a FOR NO KEY SHARE",
            "SELECT * FROM a FOR UPDATE NOWAIT SKIP LOCKED",
            "SELECT * FROM a FOR UPDATE ORDER BY 1",
        ] {
            assert_eq!(parse(sql).unwrap_err().sqlstate(), "42601", "{sql}");
        }
    }
}
