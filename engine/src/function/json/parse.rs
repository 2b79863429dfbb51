//! The grammar of JSON. What is open stands on a stack of its own, so that no text is too deep for the machine's,
//! and a limit keeps it as deep as PostgreSQL has it.

use super::lex::{Escapes, Kind, Lexer, Token, ended_early, invalid};
use crate::error::{Error, Result};
use crate::function::Work;

/// How deep containers stand in containers. PostgreSQL's limit depends on its stack and lies near it.
pub(super) const DEPTH_MAX: usize = 8_000;

/// Who is told what a text holds, in order.
pub(super) trait Sink {
    /// A container begins.
    fn open(&mut self, token: Token);
    /// The container that began last and is open ends.
    fn close(&mut self, token: Token);
    /// A key of the open object.
    fn key(&mut self, token: Token);
    /// A string, number, boolean or null.
    fn scalar(&mut self, token: Token);
    /// Bytes of what it has made so far.
    fn bytes(&self) -> usize {
        0
    }
}

/// For a text that has only to be right.
impl Sink for () {
    fn open(&mut self, _: Token) {}
    fn close(&mut self, _: Token) {}
    fn key(&mut self, _: Token) {}
    fn scalar(&mut self, _: Token) {}
}

/// What may come next.
enum Expected {
    Value,
    /// The same, or the end of the array that has just begun.
    FirstElement,
    /// A key, or the end of the object that has just begun.
    FirstKey,
    Key,
    /// A comma or the end of what is open.
    More,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Open {
    Array,
    Object,
}

/// Reads a whole text.
///
/// # Errors
/// 22P02, 22P05, and 54001 where it is too deep.
pub(super) fn parse(
    text: &str,
    escapes: Escapes,
    sink: &mut impl Sink,
    work: &Work<'_>,
) -> Result<()> {
    let mut lexer = Lexer::new(text, escapes, work);
    let mut open: Vec<Open> = Vec::new();
    let mut expected = Expected::Value;
    loop {
        work.reach(sink.bytes())?;
        let token = lexer.next()?;
        expected = match (expected, token.kind) {
            (
                Expected::Value | Expected::FirstElement,
                kind @ (Kind::ArrayStart | Kind::ObjectStart),
            ) => {
                if open.len() == DEPTH_MAX {
                    return Err(too_deep());
                }
                sink.open(token);
                if kind == Kind::ArrayStart {
                    open.push(Open::Array);
                    Expected::FirstElement
                } else {
                    open.push(Open::Object);
                    Expected::FirstKey
                }
            }
            (
                Expected::Value | Expected::FirstElement,
                Kind::String | Kind::Number | Kind::True | Kind::False | Kind::Null,
            ) => {
                sink.scalar(token);
                Expected::More
            }
            (Expected::FirstElement, Kind::ArrayEnd) | (Expected::FirstKey, Kind::ObjectEnd) => {
                sink.close(token);
                open.pop();
                Expected::More
            }
            (Expected::FirstKey | Expected::Key, Kind::String) => {
                sink.key(token);
                let colon = lexer.next()?;
                if colon.kind != Kind::Colon {
                    return Err(unexpected(&lexer, colon, "\":\""));
                }
                Expected::Value
            }
            (Expected::More, kind) => match (open.last(), kind) {
                (None, Kind::End) => return Ok(()),
                (Some(Open::Array), Kind::Comma) => Expected::Value,
                (Some(Open::Object), Kind::Comma) => Expected::Key,
                (Some(Open::Array), Kind::ArrayEnd) | (Some(Open::Object), Kind::ObjectEnd) => {
                    sink.close(token);
                    open.pop();
                    Expected::More
                }
                (None, _) => return Err(unexpected(&lexer, token, "end of input")),
                (Some(Open::Array), _) => return Err(unexpected(&lexer, token, "\",\" or \"]\"")),
                (Some(Open::Object), _) => return Err(unexpected(&lexer, token, "\",\" or \"}\"")),
            },
            (Expected::Value | Expected::FirstElement, _) => {
                return Err(unexpected(&lexer, token, "JSON value"));
            }
            (Expected::FirstKey, _) => return Err(unexpected(&lexer, token, "string or \"}\"")),
            (Expected::Key, _) => return Err(unexpected(&lexer, token, "string")),
        };
    }
}

fn unexpected(lexer: &Lexer<'_>, token: Token, wanted: &str) -> Error {
    if token.kind == Kind::End {
        return ended_early();
    }
    let found = &lexer.text()[token.start..token.end];
    invalid(format!("Expected {wanted}, but found \"{found}\"."))
}

pub(super) fn too_deep() -> Error {
    sql_error!(STATEMENT_TOO_COMPLEX, "stack depth limit exceeded").with_hint(format!(
        "JSON may have {DEPTH_MAX} levels of arrays and objects."
    ))
}
