//! A scanner for SQL text: enough of the lexical rules to know where a statement ends.
//!
//! The shell must know this before the engine sees anything: whether Enter ends a statement, how
//! a script falls into statements, what to colour. So the scanner knows only what hides a `;`:
//!
//! 1. `'..'` and `".."` with doubled quotes; `E'..'` with backslashes besides.
//! 2. `$tag$ .. $tag$`, where the tag is empty or an identifier.
//! 3. `-- ..` to the end of the line, and `/* .. */`, which nest as in PostgreSQL.
//!
//! Everything else is a word, a number, blanks or a single character. Tokens cover the text
//! without gaps, so that the text can be rebuilt from them; an unterminated token runs to the end
//! and says so.

/// What a token is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum TokenKind {
    /// A keyword or an unquoted identifier.
    Word,
    /// A quoted identifier.
    Quoted,
    /// A string literal of any kind.
    String,
    /// A number.
    Number,
    /// A comment of either kind.
    Comment,
    /// White space.
    Space,
    /// Any other character.
    Symbol,
}

/// A piece of the text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Token<'a> {
    /// What it is.
    pub(crate) kind: TokenKind,
    /// Its characters.
    pub(crate) text: &'a str,
    /// Byte offset in the scanned text.
    pub(crate) start: usize,
    /// Whether its end was found; `false` only for quotes, dollar quotes and block comments.
    pub(crate) closed: bool,
}

/// The tokens of a text, in order and without gaps.
pub(crate) fn tokens(text: &str) -> impl Iterator<Item = Token<'_>> {
    let mut start = 0;
    std::iter::from_fn(move || {
        let rest = &text[start..];
        let (kind, length, closed) = token(rest)?;
        let token = Token {
            kind,
            text: &rest[..length],
            start,
            closed,
        };
        start += length;
        Some(token)
    })
}

/// The statements of a script, without their semicolons, and what follows the last semicolon.
pub(crate) struct Split<'a> {
    /// Each with at least one token that is neither blank nor comment.
    pub(crate) statements: Vec<&'a str>,
    /// Trimmed; empty where nothing but blanks and comments follow.
    pub(crate) rest: &'a str,
}

/// Cuts a script at the semicolons that end statements.
pub(crate) fn split(text: &str) -> Split<'_> {
    let mut statements = Vec::new();
    // Start of the current statement's first token that means something.
    let mut begin = None;
    let mut block = Block::default();
    for token in tokens(text) {
        block.note(&token);
        match token.kind {
            TokenKind::Symbol if token.text == ";" && !block.is_open() => {
                block = Block::default();
                if let Some(begin) = begin.take() {
                    statements.push(text[begin..token.start].trim_end());
                }
            }
            TokenKind::Space => {}
            TokenKind::Comment if token.closed => {}
            _ => begin = begin.or(Some(token.start)),
        }
    }
    let rest = begin.map_or("", |begin| text[begin..].trim_end());
    Split { statements, rest }
}

/// Whether the text holds nothing that waits for more: no unfinished statement, quote or comment.
pub(crate) fn is_complete(text: &str) -> bool {
    split(text).rest.is_empty()
}

/// Whether a statement has got into a block of others, whose semicolons do not end it: `CREATE FUNCTION ..
/// BEGIN ATOMIC .. END`, `CREATE TRIGGER .. BEGIN .. END`.
#[derive(Default)]
struct Block {
    head: Head,
    /// BEGIN and CASE without their END.
    depth: usize,
}

/// How far the words of a statement have told what it is.
#[derive(Default, PartialEq, Eq)]
enum Head {
    #[default]
    Start,
    Create,
    Or,
    /// It can have a block.
    Container,
    /// It cannot.
    Other,
}

impl Block {
    fn is_open(&self) -> bool {
        self.depth > 0
    }

    fn note(&mut self, token: &Token<'_>) {
        if matches!(token.kind, TokenKind::Space | TokenKind::Comment) {
            return;
        }
        let word = match token.kind {
            TokenKind::Word if self.head != Head::Other => token.text.to_ascii_uppercase(),
            _ => String::new(),
        };
        match (&self.head, word.as_str()) {
            (Head::Start, "CREATE") | (Head::Or, "REPLACE") => self.head = Head::Create,
            (Head::Create, "OR") => self.head = Head::Or,
            (Head::Create, "CONSTRAINT" | "TEMP" | "TEMPORARY") => {}
            (Head::Create, "FUNCTION" | "PROCEDURE" | "TRIGGER") => self.head = Head::Container,
            (Head::Container, "BEGIN") if self.depth == 0 => self.depth = 1,
            (Head::Container, "CASE") if self.depth > 0 => self.depth += 1,
            (Head::Container, "END") => self.depth = self.depth.saturating_sub(1),
            (Head::Container, _) => {}
            _ => self.head = Head::Other,
        }
    }
}

fn token(rest: &str) -> Option<(TokenKind, usize, bool)> {
    let first = rest.chars().next()?;
    Some(match first {
        c if c.is_whitespace() => (TokenKind::Space, run(rest, char::is_whitespace), true),
        '\'' => quoted(rest, TokenKind::String, 0, '\'', false),
        '"' => quoted(rest, TokenKind::Quoted, 0, '"', false),
        'e' | 'E' if rest[1..].starts_with('\'') => quoted(rest, TokenKind::String, 1, '\'', true),
        '-' if rest.starts_with("--") => {
            let length = rest.find('\n').unwrap_or(rest.len());
            (TokenKind::Comment, length, true)
        }
        '/' if rest.starts_with("/*") => block_comment(rest),
        '$' => dollar_quote(rest).unwrap_or((TokenKind::Symbol, 1, true)),
        c if c.is_ascii_digit() => (TokenKind::Number, run(rest, is_number_part), true),
        c if is_word_start(c) => (TokenKind::Word, run(rest, is_word_part), true),
        c => (TokenKind::Symbol, c.len_utf8(), true),
    })
}

fn run(rest: &str, belongs: impl Fn(char) -> bool) -> usize {
    rest.find(|c| !belongs(c)).unwrap_or(rest.len())
}

fn is_word_start(c: char) -> bool {
    c.is_alphabetic() || c == '_'
}

fn is_word_part(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$'
}

fn is_number_part(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '.' || c == '_'
}

/// A quoted token whose opening quote is at `open`. A doubled quote is a quote within.
fn quoted(
    rest: &str,
    kind: TokenKind,
    open: usize,
    quote: char,
    backslash: bool,
) -> (TokenKind, usize, bool) {
    let mut chars = rest[open + 1..].char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if backslash && c == '\\' {
            chars.next();
        } else if c == quote {
            match chars.peek() {
                Some((_, next)) if *next == quote => {
                    chars.next();
                }
                _ => return (kind, open + 1 + at + 1, true),
            }
        }
    }
    (kind, rest.len(), false)
}

fn block_comment(rest: &str) -> (TokenKind, usize, bool) {
    let bytes = rest.as_bytes();
    let mut depth = 0_usize;
    let mut at = 0;
    while at + 1 < bytes.len() {
        match &bytes[at..at + 2] {
            b"/*" => {
                depth += 1;
                at += 2;
            }
            b"*/" => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return (TokenKind::Comment, at, true);
                }
            }
            _ => at += 1,
        }
    }
    (TokenKind::Comment, rest.len(), false)
}

/// `$$ .. $$` or `$tag$ .. $tag$`; `None` where `$` opens no such string (`$1`, a lone `$`).
fn dollar_quote(rest: &str) -> Option<(TokenKind, usize, bool)> {
    let tag = &rest[1..1 + rest[1..].find('$')?];
    let is_tag = !tag.starts_with(|c: char| c.is_ascii_digit())
        && tag.chars().all(|c| c.is_alphanumeric() || c == '_');
    if !is_tag {
        return None;
    }
    let delimiter = &rest[..tag.len() + 2];
    let (length, closed) = match rest[delimiter.len()..].find(delimiter) {
        Some(at) => (delimiter.len() * 2 + at, true),
        None => (rest.len(), false),
    };
    Some((TokenKind::String, length, closed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_semicolon_within_a_block_ends_nothing() {
        let function = "create or replace function f(x int) returns int begin atomic \
                        select case when x > 1 then 2 end; end";
        let script = format!("{function}; begin; select 1; end");
        let found = split(&script).statements;
        assert_eq!(found, [function, "begin", "select 1"]);
        assert!(!is_complete(
            "create function f() returns int begin atomic select 1;"
        ));
        assert!(is_complete("create table begin (a int);"));
    }

    #[test]
    fn a_semicolon_in_quotes_and_comments_ends_nothing() {
        for text in [
            "SELECT 'a;b'",
            "SELECT 'it''s;'",
            r"SELECT E'\';'",
            "SELECT \"a;b\"",
            "SELECT $$a;b$$",
            "SELECT $x$a;$$;b$x$",
            "SELECT 1 -- a;b",
            "SELECT /* a; /* b; */ ; */ 1",
        ] {
            let script = format!("{text}\n; SELECT 2;");
            assert_eq!(split(&script).statements.len(), 2, "{text}");
            assert!(!is_complete(text), "{text}");
            assert!(is_complete(&script), "{text}");
        }
    }

    #[test]
    fn what_is_open_waits_for_more() {
        for text in [
            "SELECT 'a;",
            "SELECT \"a;",
            "SELECT $$a;",
            "/* a;",
            "SELECT E'a\\';",
        ] {
            assert!(!is_complete(text), "{text}");
        }
    }

    #[test]
    fn blanks_and_comments_alone_are_no_statement() {
        for text in ["", " \n", ";", ";;", "-- note", "/* note */ ;"] {
            let split = split(text);
            assert!(
                split.statements.is_empty() && split.rest.is_empty(),
                "{text}"
            );
        }
    }

    #[test]
    fn a_parameter_is_no_dollar_quote() {
        let split = split("SELECT $1; SELECT $2 + $1;");
        assert_eq!(split.statements, ["SELECT $1", "SELECT $2 + $1"]);
    }

    #[test]
    fn tokens_cover_any_text() {
        for text in [
            "é'ü", "$", "$é", "a$b$", "-", "/", "/*", "'", "1.5e3x", "E", "\u{0}",
        ] {
            let whole: String = tokens(text).map(|token| token.text).collect();
            assert_eq!(whole, text);
        }
    }
}
