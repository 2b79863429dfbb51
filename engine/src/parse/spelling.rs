//! What PostgreSQL's grammar knows in more than one way, and the grammar's crate in one of them:
//!
//! ```text
//!   ANALYSE                                ANALYZE
//!   EXPLAIN (ANALYZE) ..                   EXPLAIN ("analyze") ..
//!   INSERT INTO t (VALUES ..)              INSERT INTO t VALUES ..
//!   FETCH FIRST (1 + 1) ROWS ONLY          LIMIT (1 + 1)
//!   TRIM(LEADING FROM x)                   LTRIM(x), and the others likewise
//!   SUBSTRING(x SIMILAR p ESCAPE e)        SUBSTRING(x FROM p FOR e)
//!   NORMALIZE(x, NFC)                      NORMALIZE(x, 'NFC')
//!   GROUPING SETS (a, GROUPING SETS (b))   GROUPING SETS (a, b)
//!   GROUP BY ALL a                         GROUP BY a
//!   DROP INDEX CONCURRENTLY i              DROP INDEX i
//!   MERGE .. THEN INSERT DEFAULT VALUES    MERGE .. THEN INSERT VALUES (DEFAULT)
//! ```

use super::around::{
    closing, first, is_any, is_word, keyword, next, next_open, next_word, previous,
};
use super::changes::Changes;
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan};

/// Writes a statement as the crate knows it.
pub(super) fn rewrite(tokens: &mut Vec<TokenWithSpan>) {
    let mut changes = Changes::default();
    match first(tokens) {
        Some(at) if is_word(&tokens[at], "ANALYSE") => replace(tokens, at, "ANALYZE"),
        Some(at) if is_word(&tokens[at], "INSERT") => open_values(tokens, at, &mut changes),
        Some(at) if is_word(&tokens[at], "EXPLAIN") => quote_options(tokens, at),
        Some(at) if is_word(&tokens[at], "DROP") => beside_others(tokens, at, &mut changes),
        _ => {}
    }
    for at in 0..tokens.len() {
        match keyword(&tokens[at]) {
            Keyword::FETCH => limit(tokens, at, &mut changes),
            Keyword::TRIM => trim(tokens, at, &mut changes),
            Keyword::SUBSTRING => similar(tokens, at),
            Keyword::NORMALIZE => quote_form(tokens, at),
            Keyword::GROUP => group_by_all(tokens, at, &mut changes),
            Keyword::THEN => insert_defaults(tokens, at, &mut changes),
            _ => {}
        }
    }
    flatten_sets(tokens, &mut changes);
    changes.make(tokens);
}

fn replace(tokens: &mut [TokenWithSpan], at: usize, word: &str) {
    tokens[at].token = Token::make_keyword(word);
}

/// An option of EXPLAIN is called by a word that is no name.
fn quote_options(tokens: &mut [TokenWithSpan], explain: usize) {
    let open = next_open(tokens, explain);
    let Some(end) = open.and_then(|open| closing(tokens, open)) else {
        return;
    };
    for token in &mut tokens[explain..end] {
        if is_any(token, &["ANALYZE", "ANALYSE"]) {
            token.token = Token::make_word("analyze", Some('"'));
        }
    }
}

/// Brackets around the VALUES of an INSERT, if there is nothing to them.
fn open_values(tokens: &[TokenWithSpan], insert: usize, changes: &mut Changes) {
    let mut at = insert;
    while let Some(found) = next(tokens, at) {
        at = found;
        if tokens[at].token != Token::LParen {
            let ends = ["SELECT", "VALUES", "WITH", "TABLE", "DEFAULT"];
            match is_any(&tokens[at], &ends) {
                true => return,
                false => continue,
            }
        }
        let (Some(inner), Some(end)) = (next(tokens, at), closing(tokens, at)) else {
            return;
        };
        if !is_word(&tokens[inner], "VALUES") {
            // The columns.
            at = end;
            continue;
        }
        let is_whole =
            next(tokens, end).is_none_or(|after| is_any(&tokens[after], &["ON", "RETURNING"]));
        if is_whole {
            changes.remove(at..at + 1);
            changes.remove(end..end + 1);
        }
        return;
    }
}

/// A number of rows in brackets.
fn limit(tokens: &mut [TokenWithSpan], fetch: usize, changes: &mut Changes) {
    let first = next(tokens, fetch).filter(|at| is_any(&tokens[*at], &["FIRST", "NEXT"]));
    let open = first.and_then(|first| next_open(tokens, first));
    let end = open.and_then(|open| closing(tokens, open));
    let rows = end.and_then(|end| next(tokens, end));
    let rows = rows.filter(|at| is_any(&tokens[*at], &["ROW", "ROWS"]));
    let only = rows.and_then(|rows| next_word(tokens, rows, "ONLY"));
    if let (Some(first), Some(end), Some(only)) = (first, end, only) {
        replace(tokens, fetch, "LIMIT");
        changes.remove(first..first + 1);
        changes.remove(end + 1..only + 1);
    }
}

/// An index always goes beside others who use it.
fn beside_others(tokens: &[TokenWithSpan], drop: usize, changes: &mut Changes) {
    let index = next_word(tokens, drop, "INDEX");
    if let Some(at) = index.and_then(|at| next_word(tokens, at, "CONCURRENTLY")) {
        changes.remove(at..at + 1);
    }
}

/// Sets within sets are sets of the outer ones.
fn flatten_sets(tokens: &[TokenWithSpan], changes: &mut Changes) {
    // Whether the brackets are those of sets, and whether they are taken out where they end.
    let mut open: Vec<[bool; 2]> = Vec::new();
    let mut begun = None;
    for (at, token) in tokens.iter().enumerate() {
        match token.token {
            Token::LParen => {
                let grouping = begun.take_if(|(_, sets_open)| *sets_open == at);
                let is_within = open.last().is_some_and(|[is_sets, _]| *is_sets);
                if let (Some((grouping, _)), true) = (grouping, is_within) {
                    changes.remove(grouping..at + 1);
                }
                open.push([grouping.is_some(), grouping.is_some() && is_within]);
            }
            Token::RParen => {
                if let Some([_, true]) = open.pop() {
                    changes.remove(at..at + 1);
                }
            }
            _ if is_word(token, "GROUPING") => {
                let sets = next_word(tokens, at, "SETS");
                let found = sets.and_then(|sets| next_open(tokens, sets));
                begun = found.map(|found| (at, found));
            }
            _ => {}
        }
    }
}

/// ALL says that sets count as often as they come, which they do.
fn group_by_all(tokens: &[TokenWithSpan], group: usize, changes: &mut Changes) {
    let by = next_word(tokens, group, "BY");
    let Some(all) = by.and_then(|at| next_word(tokens, at, "ALL")) else {
        return;
    };
    let ends = [
        "HAVING",
        "ORDER",
        "LIMIT",
        "UNION",
        "WINDOW",
        "OFFSET",
        "FETCH",
        "FOR",
        "EXCEPT",
        "INTERSECT",
    ];
    let follows = next(tokens, all).filter(|at| match &tokens[*at].token {
        Token::RParen | Token::SemiColon | Token::EOF => false,
        _ => !is_any(&tokens[*at], &ends),
    });
    if follows.is_some() {
        changes.remove(all..all + 1);
    }
}

/// A row of nothing but defaults: columns that are not said get theirs.
fn insert_defaults(tokens: &[TokenWithSpan], then: usize, changes: &mut Changes) {
    let insert = next_word(tokens, then, "INSERT");
    let Some(default) = insert.and_then(|at| next_word(tokens, at, "DEFAULT")) else {
        return;
    };
    let Some(values) = next_word(tokens, default, "VALUES") else {
        return;
    };
    let word = tokens[default].clone();
    let bracket = |token| TokenWithSpan {
        token,
        span: word.span,
    };
    let row = [bracket(Token::LParen), word.clone(), bracket(Token::RParen)];
    changes.remove(default..default + 1);
    changes.insert(values + 1, row);
}

/// TRIM with FROM, but without what is trimmed.
fn trim(tokens: &mut [TokenWithSpan], trim: usize, changes: &mut Changes) {
    let Some(side) = next_open(tokens, trim).and_then(|open| next(tokens, open)) else {
        return;
    };
    let names = [
        ("LEADING", "ltrim"),
        ("TRAILING", "rtrim"),
        ("BOTH", "btrim"),
    ];
    let named = names.iter().find(|(word, _)| is_word(&tokens[side], word));
    let (name, from) = match named {
        Some((_, name)) => (*name, next(tokens, side)),
        None => ("btrim", Some(side)),
    };
    if let Some(from) = from.filter(|at| is_word(&tokens[*at], "FROM")) {
        changes.remove(side..from + 1);
        replace(tokens, trim, name);
    }
}

/// SUBSTRING of what is like a pattern. What its words stand for is told by the places they have: not within
/// other brackets, and not before TO, which makes another operator of SIMILAR.
fn similar(tokens: &mut [TokenWithSpan], substring: usize) {
    let open = next_open(tokens, substring);
    let Some((open, end)) = open.and_then(|open| Some((open, closing(tokens, open)?))) else {
        return;
    };
    let mut depth = 0_usize;
    let mut own = (open + 1..end).filter(|at| {
        match tokens[*at].token {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0
    });
    let is_operator = |at| next_word(tokens, at, "TO").is_some();
    let Some(similar) = own.find(|at| is_word(&tokens[*at], "SIMILAR") && !is_operator(*at)) else {
        return;
    };
    if let Some(escape) = own.find(|at| is_word(&tokens[*at], "ESCAPE")) {
        replace(tokens, similar, "FROM");
        replace(tokens, escape, "FOR");
    }
}

/// The form of NORMALIZE is a word.
fn quote_form(tokens: &mut [TokenWithSpan], normalize: usize) {
    let end = next_open(tokens, normalize).and_then(|open| closing(tokens, open));
    let form = end.and_then(|end| previous(tokens, end));
    let Some((form, comma)) = form.and_then(|form| Some((form, previous(tokens, form)?))) else {
        return;
    };
    let forms = ["NFC", "NFD", "NFKC", "NFKD"];
    let named = forms.into_iter().find(|name| is_word(&tokens[form], name));
    if let Some(name) = named.filter(|_| tokens[comma].token == Token::Comma) {
        tokens[form].token = Token::SingleQuotedString(name.to_owned());
    }
}
