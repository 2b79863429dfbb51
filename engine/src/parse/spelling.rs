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

use super::is_space;
use sqlparser::tokenizer::{Token, TokenWithSpan};

/// Writes a statement as the crate knows it.
pub(super) fn rewrite(tokens: &mut Vec<TokenWithSpan>) {
    let first = (0..tokens.len()).find(|at| !is_space(&tokens[*at]));
    match first {
        Some(at) if is(&tokens[at], "ANALYSE") => replace(tokens, at, "ANALYZE"),
        Some(at) if is(&tokens[at], "INSERT") => open_values(tokens, at),
        Some(at) if is(&tokens[at], "EXPLAIN") => quote_options(tokens, at),
        Some(at) if is(&tokens[at], "DROP") => beside_others(tokens, at),
        _ => {}
    }
    // From the end: what lies before stays where it is.
    for at in (0..tokens.len()).rev() {
        if is(&tokens[at], "FETCH") {
            limit(tokens, at);
        } else if is(&tokens[at], "TRIM") {
            trim(tokens, at);
        } else if is(&tokens[at], "SUBSTRING") {
            similar(tokens, at);
        } else if is(&tokens[at], "NORMALIZE") {
            quote_form(tokens, at);
        } else if is(&tokens[at], "GROUPING") {
            flatten_sets(tokens, at);
        } else if is(&tokens[at], "GROUP") {
            group_by_all(tokens, at);
        } else if is(&tokens[at], "THEN") {
            insert_defaults(tokens, at);
        }
    }
}

fn is(token: &TokenWithSpan, wanted: &str) -> bool {
    matches!(&token.token, Token::Word(word)
        if word.quote_style.is_none() && word.value.eq_ignore_ascii_case(wanted))
}

fn replace(tokens: &mut [TokenWithSpan], at: usize, word: &str) {
    tokens[at].token = Token::make_keyword(word);
}

/// The next token that is no blank.
fn next(tokens: &[TokenWithSpan], at: usize) -> Option<usize> {
    (at + 1..tokens.len()).find(|at| !is_space(&tokens[*at]))
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

/// An option of EXPLAIN is called by a word that is no name.
fn quote_options(tokens: &mut [TokenWithSpan], explain: usize) {
    let open = next(tokens, explain).filter(|at| tokens[*at].token == Token::LParen);
    let Some(end) = open.and_then(|open| closing(tokens, open)) else {
        return;
    };
    for token in &mut tokens[explain..end] {
        if is(token, "ANALYZE") || is(token, "ANALYSE") {
            token.token = Token::make_word("analyze", Some('"'));
        }
    }
}

/// Brackets around the VALUES of an INSERT, if there is nothing to them.
fn open_values(tokens: &mut Vec<TokenWithSpan>, insert: usize) {
    let mut at = insert;
    while let Some(found) = next(tokens, at) {
        at = found;
        if tokens[at].token != Token::LParen {
            let ends = ["SELECT", "VALUES", "WITH", "TABLE", "DEFAULT"];
            match ends.iter().any(|word| is(&tokens[at], word)) {
                true => return,
                false => continue,
            }
        }
        let (Some(inner), Some(end)) = (next(tokens, at), closing(tokens, at)) else {
            return;
        };
        if !is(&tokens[inner], "VALUES") {
            // The columns.
            at = end;
            continue;
        }
        let is_whole = next(tokens, end)
            .is_none_or(|after| is(&tokens[after], "ON") || is(&tokens[after], "RETURNING"));
        if is_whole {
            tokens.remove(end);
            tokens.remove(at);
        }
        return;
    }
}

/// A number of rows in brackets.
fn limit(tokens: &mut Vec<TokenWithSpan>, fetch: usize) {
    let Some(first) = next(tokens, fetch) else {
        return;
    };
    let Some(open) = next(tokens, first) else {
        return;
    };
    let begins = is(&tokens[first], "FIRST") || is(&tokens[first], "NEXT");
    if !begins || tokens[open].token != Token::LParen {
        return;
    }
    let Some(end) = closing(tokens, open) else {
        return;
    };
    let rows = next(tokens, end).filter(|at| is(&tokens[*at], "ROW") || is(&tokens[*at], "ROWS"));
    let only = next(tokens, rows.unwrap_or(end)).filter(|at| is(&tokens[*at], "ONLY"));
    if let (Some(_), Some(only)) = (rows, only) {
        tokens.drain(end + 1..=only);
        tokens.remove(first);
        replace(tokens, fetch, "LIMIT");
    }
}

/// An index always goes beside others who use it.
fn beside_others(tokens: &mut Vec<TokenWithSpan>, drop: usize) {
    let index = next(tokens, drop).filter(|at| is(&tokens[*at], "INDEX"));
    let word = index.and_then(|at| next(tokens, at));
    if let Some(at) = word.filter(|at| is(&tokens[*at], "CONCURRENTLY")) {
        tokens.remove(at);
    }
}

/// Sets within sets are sets of the outer ones.
fn flatten_sets(tokens: &mut Vec<TokenWithSpan>, grouping: usize) {
    let Some(open) = sets_at(tokens, grouping) else {
        return;
    };
    let Some(end) = closing(tokens, open) else {
        return;
    };
    // The inner ones come first where one goes from the end: those that are left here have none within.
    let mut at = open + 1;
    let mut end = end;
    while at < end {
        let inner = is(&tokens[at], "GROUPING")
            .then(|| sets_at(tokens, at))
            .flatten();
        if let Some(inner) = inner
            && let Some(close) = closing(tokens, inner)
        {
            tokens.remove(close);
            tokens.drain(at..=inner);
            end -= inner - at + 2;
        } else {
            at += 1;
        }
    }
}

/// Where the bracket opens behind GROUPING SETS.
fn sets_at(tokens: &[TokenWithSpan], grouping: usize) -> Option<usize> {
    let sets = next(tokens, grouping).filter(|at| is(&tokens[*at], "SETS"))?;
    next(tokens, sets).filter(|at| tokens[*at].token == Token::LParen)
}

/// ALL says that sets count as often as they come, which they do.
fn group_by_all(tokens: &mut Vec<TokenWithSpan>, group: usize) {
    let by = next(tokens, group).filter(|at| is(&tokens[*at], "BY"));
    let all = by.and_then(|at| next(tokens, at));
    let Some(all) = all.filter(|at| is(&tokens[*at], "ALL")) else {
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
        _ => !ends.iter().any(|word| is(&tokens[*at], word)),
    });
    if follows.is_some() {
        tokens.remove(all);
    }
}

/// A row of nothing but defaults: columns that are not said get theirs.
fn insert_defaults(tokens: &mut Vec<TokenWithSpan>, then: usize) {
    let insert = next(tokens, then).filter(|at| is(&tokens[*at], "INSERT"));
    let word = insert.and_then(|at| next(tokens, at));
    let Some(default) = word.filter(|at| is(&tokens[*at], "DEFAULT")) else {
        return;
    };
    let Some(values) = next(tokens, default).filter(|at| is(&tokens[*at], "VALUES")) else {
        return;
    };
    let word = tokens[default].clone();
    let bracket = |token| TokenWithSpan {
        token,
        span: word.span,
    };
    let row = [bracket(Token::LParen), word.clone(), bracket(Token::RParen)];
    tokens.splice(values + 1..values + 1, row);
    tokens.remove(default);
}

/// TRIM with FROM, but without what is trimmed.
fn trim(tokens: &mut Vec<TokenWithSpan>, trim: usize) {
    let open = next(tokens, trim).filter(|at| tokens[*at].token == Token::LParen);
    let Some(side) = open.and_then(|open| next(tokens, open)) else {
        return;
    };
    let names = [
        ("LEADING", "ltrim"),
        ("TRAILING", "rtrim"),
        ("BOTH", "btrim"),
    ];
    let named = names.iter().find(|(word, _)| is(&tokens[side], word));
    let (name, from) = match named {
        Some((_, name)) => (*name, next(tokens, side)),
        None => ("btrim", Some(side)),
    };
    if let Some(from) = from.filter(|at| is(&tokens[*at], "FROM")) {
        tokens.drain(side..=from);
        replace(tokens, trim, name);
    }
}

/// SUBSTRING of what is like a pattern. What its words stand for is told by the places they have: not within
/// other brackets, and not before TO, which makes another operator of SIMILAR.
fn similar(tokens: &mut [TokenWithSpan], substring: usize) {
    let open = next(tokens, substring).filter(|at| tokens[*at].token == Token::LParen);
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
    let is_operator = |at| next(tokens, at).is_some_and(|to| is(&tokens[to], "TO"));
    let Some(similar) = own.find(|at| is(&tokens[*at], "SIMILAR") && !is_operator(*at)) else {
        return;
    };
    if let Some(escape) = own.find(|at| is(&tokens[*at], "ESCAPE")) {
        replace(tokens, similar, "FROM");
        replace(tokens, escape, "FOR");
    }
}

/// The form of NORMALIZE is a word.
fn quote_form(tokens: &mut [TokenWithSpan], normalize: usize) {
    let open = next(tokens, normalize).filter(|at| tokens[*at].token == Token::LParen);
    let Some((open, end)) = open.and_then(|open| Some((open, closing(tokens, open)?))) else {
        return;
    };
    let mut before = (open..end).rev().filter(|at| !is_space(&tokens[*at]));
    let (Some(form), Some(comma)) = (before.next(), before.next()) else {
        return;
    };
    let forms = ["NFC", "NFD", "NFKC", "NFKD"];
    let named = forms.into_iter().find(|name| is(&tokens[form], name));
    if let Some(name) = named.filter(|_| tokens[comma].token == Token::Comma) {
        tokens[form].token = Token::SingleQuotedString(name.to_owned());
    }
}
