//! The values of a JSON text in the order in which they stand there, without the text.
//!
//! ```text
//!  {"a": [1, 2], "b": 3}      object(2) a array(2) 1 2 b 3
//!                              └── next: behind the last ──┘
//! ```
//!
//! Each node knows its place in the text and which node comes behind its last member.

use super::lex::{self, Escapes, Kind, Token};
use super::number;
use super::packed::{self, Tag};
use super::parse::{Sink, parse};
use crate::error::Result;
use crate::function::Work;
use std::borrow::Cow;

/// The work of a node beside that over its bytes.
const NODE_WORK: usize = 16;

/// A value, or a key.
#[derive(Clone, Copy, Debug)]
struct Node {
    kind: Kind,
    start: u32,
    end: u32,
    /// The node behind this and all it holds.
    next: u32,
    /// How many members it holds; a pair is one.
    members: u32,
}

/// A text and its nodes.
#[derive(Debug)]
pub(super) struct Tape<'a> {
    text: &'a str,
    nodes: Vec<Node>,
    open: Vec<u32>,
    work: &'a Work<'a>,
}

/// A value of a tape.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'t> {
    tape: &'t Tape<'t>,
    at: u32,
}

impl Tape<'_> {
    fn push(&mut self, token: Token) {
        self.nodes.push(Node {
            kind: token.kind,
            start: token.start as u32,
            end: token.end as u32,
            next: self.nodes.len() as u32 + 1,
            members: 0,
        });
    }

    fn count(&mut self) {
        if let Some(container) = self.open.last() {
            self.nodes[*container as usize].members += 1;
        }
    }
}

impl Sink for Tape<'_> {
    fn open(&mut self, token: Token) {
        self.count();
        self.open.push(self.nodes.len() as u32);
        self.push(token);
    }

    fn close(&mut self, token: Token) {
        let next = self.nodes.len() as u32;
        if let Some(container) = self.open.pop() {
            let node = &mut self.nodes[container as usize];
            (node.next, node.end) = (next, token.end as u32);
        }
    }

    fn key(&mut self, token: Token) {
        self.push(token);
    }

    fn scalar(&mut self, token: Token) {
        self.count();
        self.push(token);
    }

    fn bytes(&self) -> usize {
        self.nodes.len() * size_of::<Node>()
    }
}

/// Reads a text.
///
/// # Errors
/// As [`parse`].
pub(super) fn read<'a>(text: &'a str, escapes: Escapes, work: &'a Work<'a>) -> Result<Tape<'a>> {
    if u32::try_from(text.len()).is_err() {
        return Err(sql_error!(
            PROGRAM_LIMIT_EXCEEDED,
            "a JSON text is too long"
        ));
    }
    let mut tape = Tape {
        text,
        nodes: Vec::new(),
        open: Vec::new(),
        work,
    };
    parse(text, escapes, &mut tape, work)?;
    Ok(tape)
}

/// A text of an array or object with a line for each of its members.
pub(super) fn on_lines(text: &str, work: &Work<'_>) -> Result<String> {
    let tape = read(text, Escapes::Form, work)?;
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    let is_object = tape.root().kind() == Kind::ObjectStart;
    let members = tape
        .root()
        .elements()
        .step_by(if is_object { 2 } else { 1 });
    for member in members.skip(1) {
        let start = member.node().start as usize;
        work.spend(NODE_WORK + start - done)?;
        out.push_str(&text[done..start]);
        out.push_str("\n ");
        done = start;
    }
    out.push_str(&text[done..]);
    Ok(out)
}

/// The packed form of a text.
///
/// # Errors
/// As [`parse`], and 22003 for a number beyond NUMERIC's bounds.
pub(super) fn pack(text: &str, work: &Work<'_>) -> Result<Vec<u8>> {
    let tape = read(text, Escapes::Meaning, work)?;
    let mut out = Vec::with_capacity(text.len());
    let mut waiting = vec![0_u32];
    while let Some(at) = waiting.pop() {
        let place = Place { tape: &tape, at };
        work.spend(NODE_WORK)?;
        let members = place.node().members as usize;
        match place.kind() {
            Kind::String => packed::pack_string(&mut out, &place.string()?),
            Kind::Number => number::pack(&mut out, place.text())?,
            Kind::True => out.push(Tag::True as u8),
            Kind::False => out.push(Tag::False as u8),
            Kind::ArrayStart => {
                packed::pack_count(&mut out, Tag::Array, members)?;
                waiting.extend(place.elements().map(|element| element.at));
                let first = waiting.len() - members;
                waiting[first..].reverse();
            }
            Kind::ObjectStart => {
                let pairs = place.unique_pairs()?;
                packed::pack_count(&mut out, Tag::Object, pairs.len())?;
                // A key stands before its value and is packed as a string.
                let nodes = pairs.iter().rev().flat_map(|value| [*value, *value - 1]);
                waiting.extend(nodes);
            }
            _ => out.push(Tag::Null as u8),
        }
    }
    Ok(packed::lifted(out))
}

impl<'t> Tape<'t> {
    pub(super) fn work(&self) -> &'t Work<'t> {
        self.work
    }

    /// The value that the whole text is.
    pub(super) fn root(&'t self) -> Place<'t> {
        Place { tape: self, at: 0 }
    }
}

impl<'t> Place<'t> {
    fn node(self) -> &'t Node {
        &self.tape.nodes[self.at as usize]
    }

    pub(super) fn kind(self) -> Kind {
        self.node().kind
    }

    /// How many elements or pairs it has.
    pub(super) fn members(self) -> usize {
        self.node().members as usize
    }

    /// The value as it is written.
    pub(super) fn text(self) -> &'t str {
        &self.tape.text[self.node().start as usize..self.node().end as usize]
    }

    /// What a string stands for.
    pub(super) fn string(self) -> Result<Cow<'t, str>> {
        lex::unescape(self.text(), self.tape.work)
    }

    /// The value as SQL's text; `None` for null.
    pub(super) fn as_text(self) -> Result<Option<Cow<'t, str>>> {
        match self.kind() {
            Kind::Null => Ok(None),
            Kind::String => self.string().map(Some),
            _ => Ok(Some(Cow::Borrowed(self.text()))),
        }
    }

    /// The elements of an array.
    pub(super) fn elements(self) -> impl Iterator<Item = Place<'t>> {
        let mut at = self.at + 1;
        std::iter::from_fn(move || {
            (at < self.node().next).then(|| {
                let place = Place { at, ..self };
                at = place.node().next;
                place
            })
        })
    }

    /// The pairs of an object, all of them, in order.
    pub(super) fn pairs(self) -> impl Iterator<Item = (Place<'t>, Place<'t>)> {
        let mut nodes = self.elements();
        std::iter::from_fn(move || Some((nodes.next()?, nodes.next()?)))
    }

    /// The nodes of the values of an object in the order of keys, each key once.
    fn unique_pairs(self) -> Result<Vec<u32>> {
        let mut keys = Vec::with_capacity(self.members());
        for (key, value) in self.pairs() {
            keys.push((key.string()?, value.at));
            self.tape.work.spend(NODE_WORK)?;
        }
        let key = |i: &u32| &*keys[*i as usize].0;
        let order = packed::in_order((0..keys.len() as u32).collect(), key, self.tape.work)?;
        Ok(order.iter().map(|i| keys[*i as usize].1).collect())
    }

    /// The value of a key, the last of several.
    pub(super) fn field(self, name: &str) -> Result<Option<Place<'t>>> {
        if self.kind() != Kind::ObjectStart {
            return Ok(None);
        }
        let mut found = None;
        for (key, value) in self.pairs() {
            self.tape.work.spend(NODE_WORK)?;
            if key.string()? == name {
                found = Some(value);
            }
        }
        Ok(found)
    }

    /// An element; negative numbers count from the end.
    pub(super) fn element(self, index: i64) -> Option<Place<'t>> {
        if self.kind() != Kind::ArrayStart {
            return None;
        }
        let count = self.members() as i64;
        let index = if index < 0 { index + count } else { index };
        self.elements().nth(usize::try_from(index).ok()?)
    }

    /// The value that a path leads to, as `#>` takes it.
    pub(super) fn at_path(self, path: &[&str]) -> Result<Option<Place<'t>>> {
        let mut place = self;
        for step in path {
            let next = match place.kind() {
                Kind::ObjectStart => place.field(step)?,
                Kind::ArrayStart => super::get::index(step).and_then(|i| place.element(i)),
                _ => None,
            };
            match next {
                Some(next) => place = next,
                None => return Ok(None),
            }
        }
        Ok(Some(place))
    }
}
