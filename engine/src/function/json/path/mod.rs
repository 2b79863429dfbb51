//! Paths of SQL/JSON (`jsonpath`): a language in which parts of a document are named, filtered and computed.
//!
//! ```text
//!  text ──lex, parse──> Path ──show──> text, as PostgreSQL writes it
//!                        │
//!                document, variables ──run──> items, one after the other
//!                                     test    what filters ask
//!                                     method  `.size()`, `.double()`, ..
//! ```
//!
//! A path stands in SQL as text: a cast to JSONPATH checks it and writes it in its one form, and whoever takes a path
//! reads it from its text. The last ones that a thread has read are kept, since the next row has the same.
//!
//! 1. A path is steps behind a place where they begin. The steps are walked depth first with a stack of
//!    their own, so that items come in the document's order and whoever has seen enough can stop.
//! 2. Expressions nest at most [`NESTING_MAX`] deep, which is what bounds the recursion over them.
//! 3. Every step asks for interrupts.
//! 4. Errors of a path (a key that is not there, a string that is no number) are errors of their own sort: filters
//!    take them for *unknown*, and a silent call for an end.

mod functions;
mod item;
mod lex;
mod method;
mod parse;
mod run;
mod show;
mod test;
#[cfg(test)]
mod tests;

pub(in crate::function) use functions::{FUNCTIONS, TABLE_FUNCTIONS};

use crate::error::{Error, Result, state};
use crate::function::Work;
use remora_storage::Numeric;
use std::cell::RefCell;
use std::rc::Rc;

/// How deep expressions may nest.
const NESTING_MAX: usize = 150;
/// How many paths a thread keeps.
const KEPT: usize = 8;

/// A path that was read.
#[derive(Debug)]
struct Path {
    /// Whether what is not there is an error.
    is_strict: bool,
    root: Node,
}

/// What gives items, or is true, false or unknown.
#[derive(Debug)]
enum Node {
    Null,
    Bool(bool),
    Number(Numeric),
    String(String),
    /// `$name`
    Variable(String),
    /// `$`
    Root,
    /// `@`: the item that a filter asks about.
    Current,
    /// `last`: the number of an array's last element.
    Last,
    /// Steps, one or more, from the items of the first.
    Steps(Box<Node>, Vec<Step>),
    Arithmetic(Operator, Box<Node>, Box<Node>),
    /// A sign: whether it is a minus.
    Sign(bool, Box<Node>),
    And(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
    Not(Box<Node>),
    IsUnknown(Box<Node>),
    Compare(Comparison, Box<Node>, Box<Node>),
    StartsWith(Box<Node>, Box<Node>),
    /// A pattern and the letters behind it.
    Like(Box<Node>, String, String),
    Exists(Box<Node>),
}

impl Node {
    /// Whether it is true, false or unknown.
    fn is_test(&self) -> bool {
        matches!(
            self,
            Self::And(..)
                | Self::Or(..)
                | Self::Not(_)
                | Self::IsUnknown(_)
                | Self::Compare(..)
                | Self::StartsWith(..)
                | Self::Like(..)
                | Self::Exists(_)
        )
    }
}

/// From an item to others.
#[derive(Debug)]
enum Step {
    /// `.key`
    Key(String),
    /// `.*`
    AnyKey,
    /// `[*]`
    AnyElement,
    /// `[1, 3 to last]`
    Elements(Vec<(Node, Option<Node>)>),
    /// `.**{first to last}`, levels below the item; [`LAST_LEVEL`] is the lowest.
    AnyLevel(u32, u32),
    /// `? (..)`
    Filter(Node),
    /// `.size()`
    Method(Method),
    /// `.datetime()`, with or without a template.
    Moment(Option<String>),
}

const LAST_LEVEL: u32 = u32::MAX;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Method {
    Type,
    Size,
    Abs,
    Floor,
    Ceiling,
    Double,
    KeyValue,
}

impl Method {
    const ALL: [(&'static str, Self); 7] = [
        ("type", Self::Type),
        ("size", Self::Size),
        ("abs", Self::Abs),
        ("floor", Self::Floor),
        ("ceiling", Self::Ceiling),
        ("double", Self::Double),
        ("keyvalue", Self::KeyValue),
    ];

    fn name(self) -> &'static str {
        let named = Self::ALL.iter().find(|(_, method)| *method == self);
        named.map_or("", |(name, _)| name)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
}

impl Operator {
    fn sign(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Modulo => "%",
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparison {
    fn sign(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }
}

thread_local! {
    static READ: RefCell<Vec<(String, Rc<Path>)>> = const { RefCell::new(Vec::new()) };
}

/// The path that a text is.
///
/// # Errors
/// 42601, 22P02, 22P05, 2201B, and 54001 where it nests too deep.
fn path(text: &str) -> Result<Rc<Path>> {
    READ.with_borrow_mut(|read| {
        if let Some(at) = read.iter().position(|(known, _)| known == text) {
            return Ok(Rc::clone(&read[at].1));
        }
        if text.len() > PATH_BYTES_MAX {
            return Err(
                sql_error!(PROGRAM_LIMIT_EXCEEDED, "jsonpath is too long").with_detail(format!(
                    "It has {} bytes, and may have {PATH_BYTES_MAX}.",
                    text.len()
                )),
            );
        }
        let path = Rc::new(parse::parse(text)?);
        if read.len() == KEPT {
            read.remove(0);
        }
        read.push((text.to_owned(), Rc::clone(&path)));
        Ok(path)
    })
}

fn syntax_error(message: impl Into<String>) -> Error {
    Error::new(state::SYNTAX_ERROR, message)
}

/// The longest path that is read, which nothing interrupts.
const PATH_BYTES_MAX: usize = 1 << 20;

/// A packed number.
///
/// # Errors
/// 22003 where it has more digits than NUMERIC has here.
fn decimal_of(value: &[u8]) -> Result<Numeric> {
    let text = super::write::to_string(value, super::write::Layout::Tight, &Work::unasked())?;
    crate::function::text::parse_numeric(&text)
}
