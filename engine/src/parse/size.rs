//! The size of a text: the memory that it will take while it is parsed, planned and run, found out before there is a
//! token of it.
//!
//! Tokens, syntax trees and plans are made by libraries and by code that allocates as it goes, so that memory for them
//! is reserved beforehand, by the number of tokens: one pass over the bytes counts them. It knows what lies in quotes
//! and comments, and no more of SQL; each blank is a token, as it is to the grammar's crate.

/// Bytes that a token takes at most, with the nodes that come of it: measured with long lists of rows, of texts, of
/// numbers and of conditions, each of which took 280 to 400.
const TOKEN_BYTES: usize = 400;
/// Bytes that a statement takes at most beside its tokens: its tree has nodes of all there can be in one.
const STATEMENT_BYTES: usize = 16 << 10;
/// How often a long token, such as a string, is there at a time.
const COPIES: usize = 3;
/// Less than that is not reserved.
const SMALL_BYTES: usize = 1 << 20;
/// Texts up to that length are not looked at: they take some hundred kilobytes, as long as they are no lists of statements.
const SHORT_TEXT_BYTES: usize = 1 << 10;

/// Bytes that the text takes while it runs, 0 where they are few.
pub(crate) fn memory(sql: &str) -> usize {
    if sql.len() <= SHORT_TEXT_BYTES {
        return 0;
    }
    let (tokens, statements) = count(sql.as_bytes());
    let bytes = tokens * TOKEN_BYTES + statements * STATEMENT_BYTES + COPIES * sql.len();
    match bytes > SMALL_BYTES {
        true => bytes,
        false => 0,
    }
}

/// How many tokens and how many statements a text has, or some more.
fn count(sql: &[u8]) -> (usize, usize) {
    let (mut at, mut tokens, mut statements) = (0, 0, 1);
    while at < sql.len() {
        statements += usize::from(sql[at] == b';');
        at = end_of_token(sql, at);
        tokens += 1;
    }
    (tokens, statements)
}

/// Where the token at `at` ends.
fn end_of_token(sql: &[u8], at: usize) -> usize {
    match sql[at] {
        b'\'' => {
            let escapes = match &sql[..at] {
                [.., before, b'e' | b'E'] => !is_word(*before),
                [b'e' | b'E'] => true,
                _ => false,
            };
            end_of_quoted(sql, at, escapes)
        }
        b'"' => end_of_quoted(sql, at, false),
        b'$' => end_of_dollars(sql, at),
        b'-' if sql.get(at + 1) == Some(&b'-') => {
            find(&sql[at..], b"\n").map_or(sql.len(), |line| at + line + 1)
        }
        b'/' if sql.get(at + 1) == Some(&b'*') => end_of_comment(sql, at),
        byte if is_word(byte) => {
            let word = sql[at..].iter().position(|byte| !is_word(*byte));
            word.map_or(sql.len(), |length| at + length)
        }
        _ => at + 1,
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// Behind the quote that closes the one at `at`; two in a row close nothing.
fn end_of_quoted(sql: &[u8], at: usize, escapes: bool) -> usize {
    let mut next = at + 1;
    while next < sql.len() {
        match sql[next] {
            b'\\' if escapes => next += 2,
            byte if byte == sql[at] && sql.get(next + 1) == Some(&byte) => next += 2,
            byte if byte == sql[at] => return next + 1,
            _ => next += 1,
        }
    }
    sql.len()
}

/// Behind a string in dollar quotes; behind the dollar where it begins none.
fn end_of_dollars(sql: &[u8], at: usize) -> usize {
    let inside = &sql[at + 1..];
    let word = inside.iter().position(|byte| !is_word(*byte));
    let opens = at == 0 || !is_word(sql[at - 1]);
    match word.filter(|end| opens && inside[*end] == b'$') {
        Some(end) => {
            let tag = &sql[at..at + end + 2];
            let behind = at + tag.len();
            find(&sql[behind..], tag).map_or(sql.len(), |close| behind + close + tag.len())
        }
        None => at + 1,
    }
}

/// Behind a comment, in which others may nest.
fn end_of_comment(sql: &[u8], at: usize) -> usize {
    let (mut next, mut depth) = (at + 2, 1);
    while next < sql.len() && depth > 0 {
        (next, depth) = match &sql[next..] {
            [b'*', b'/', ..] => (next + 2, depth - 1),
            [b'/', b'*', ..] => (next + 2, depth + 1),
            _ => (next + 1, depth),
        };
    }
    next.min(sql.len())
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    memchr::memmem::find(bytes, wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::token::tokenize;

    #[test]
    fn no_text_has_more_tokens_than_are_counted() {
        let texts = [
            "SELECT 1",
            "INSERT INTO t VALUES (1, 'it''s', -2.5e10), (E'\\'', $$it's$$, $a$ $$ b, c $a$)",
            "SELECT \"a b\".\"c\"\"d\" /* one /* two */ , , */ + 1 -- , , ,\n, $1, x'ff' || U&'d'",
            "SELECT a->>'b' <@ c::text[] FROM \u{e4}\u{f6} WHERE x <> ALL (?)",
            "SELECT 'never closed, , ,",
        ];
        for text in texts {
            let (counted, _) = count(text.as_bytes());
            let found = tokenize(text).map_or(0, |tokens| tokens.len());
            assert!(counted >= found, "{text}: {counted} of {found}");
        }
    }

    #[test]
    fn a_long_string_is_one_token_and_short_texts_take_nothing() {
        assert_eq!(memory("SELECT 1"), 0);
        let long = format!("SELECT '{}'", ", ".repeat(1 << 20));
        assert!(memory(&long) < 4 * long.len());
        let many = format!("SELECT {}", "1,".repeat(1 << 20));
        assert!(memory(&many) > (2 << 20) * 280);
        let crossed = format!("SELECT {}", "/*".repeat(1 << 20));
        assert!(memory(&crossed) < 4 * crossed.len());
    }
}
