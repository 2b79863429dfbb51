//! `strip_nulls`: objects without the pairs whose value is null, at every depth.

use super::MEMBER_WORK;
use super::lex::{Escapes, Kind};
use super::packed::{self, Reader, Tag};
use super::tape::{self, Place};
use super::write::write_quoted;
use crate::error::Result;
use crate::function::{EvalContext, Work};

/// JSONB without them. Two passes: the first counts what each object keeps, the second writes.
pub(super) fn strip_packed(value: &[u8], work: &Work<'_>) -> Result<Vec<u8>> {
    let kept = count_kept(value, work)?;
    let mut kept = kept.into_iter();
    let mut reader = Reader::new(value);
    let mut out = Vec::with_capacity(value.len());
    let mut open: Vec<(bool, usize)> = vec![(false, 1)];
    while let Some((is_object, left)) = open.last_mut() {
        work.spend(MEMBER_WORK)?;
        if *left == 0 {
            open.pop();
            continue;
        }
        *left -= 1;
        if *is_object {
            let start = reader.rest();
            reader.key()?;
            let key = &start[..start.len() - reader.rest().len()];
            if reader.rest().first() == Some(&(Tag::Null as u8)) {
                reader.byte()?;
                continue;
            }
            out.extend_from_slice(key);
        }
        let start = reader.rest();
        let mut ahead = reader;
        match ahead.tag()? {
            Tag::Array => {
                let count = ahead.count()?;
                packed::pack_count(&mut out, Tag::Array, count)?;
                open.push((false, count));
                reader = ahead;
            }
            Tag::Object => {
                let count = ahead.count()?;
                packed::pack_count(&mut out, Tag::Object, kept.next().unwrap_or(count))?;
                open.push((true, count));
                reader = ahead;
            }
            _ => {
                reader.value(work)?;
                out.extend_from_slice(&start[..start.len() - reader.rest().len()]);
            }
        }
    }
    Ok(out)
}

/// For each object in the order in which they begin, how many pairs stay.
fn count_kept(value: &[u8], work: &Work<'_>) -> Result<Vec<usize>> {
    let mut kept: Vec<usize> = Vec::new();
    let mut reader = Reader::new(value);
    let mut open: Vec<(Option<usize>, usize)> = vec![(None, 1)];
    while let Some((object, left)) = open.last_mut() {
        work.spend(MEMBER_WORK)?;
        if *left == 0 {
            open.pop();
            continue;
        }
        *left -= 1;
        if let Some(object) = *object {
            reader.key()?;
            kept[object] += usize::from(reader.rest().first() != Some(&(Tag::Null as u8)));
        }
        let mut ahead = reader;
        match ahead.tag()? {
            Tag::Array => {
                open.push((None, ahead.count()?));
                reader = ahead;
            }
            Tag::Object => {
                kept.push(0);
                open.push((Some(kept.len() - 1), ahead.count()?));
                reader = ahead;
            }
            _ => drop(reader.value(work)?),
        }
    }
    Ok(kept)
}

/// What is to be written of a text, from the last to the first.
enum Piece<'t> {
    Value(Place<'t>),
    Key(Place<'t>),
    Mark(char),
}

/// JSON without them, and without blanks.
pub(super) fn strip_text(context: &EvalContext, text: &str) -> Result<String> {
    let work = &Work::new(context);
    let tape = tape::read(text, Escapes::Meaning, work)?;
    let mut out = String::with_capacity(text.len());
    let mut pieces = vec![Piece::Value(tape.root())];
    while let Some(piece) = pieces.pop() {
        work.spend(MEMBER_WORK)?;
        match piece {
            Piece::Mark(mark) => out.push(mark),
            Piece::Key(key) => {
                write_quoted(&mut out, &key.string()?, work)?;
                out.push(':');
            }
            Piece::Value(place) => match place.kind() {
                Kind::ObjectStart => {
                    out.push('{');
                    let kept = place
                        .pairs()
                        .filter(|(_, value)| value.kind() != Kind::Null);
                    let members =
                        kept.map(|(key, value)| [Some(Piece::Key(key)), Some(Piece::Value(value))]);
                    push_members(&mut pieces, members, '}', work)?;
                }
                Kind::ArrayStart => {
                    out.push('[');
                    let members = place
                        .elements()
                        .map(|value| [None, Some(Piece::Value(value))]);
                    push_members(&mut pieces, members, ']', work)?;
                }
                Kind::String => write_quoted(&mut out, &place.string()?, work)?,
                _ => out.push_str(place.text()),
            },
        }
    }
    Ok(out)
}

fn push_members<'t>(
    pieces: &mut Vec<Piece<'t>>,
    members: impl Iterator<Item = [Option<Piece<'t>>; 2]>,
    end: char,
    work: &Work<'_>,
) -> Result<()> {
    let first = pieces.len();
    for (i, member) in members.enumerate() {
        work.spend(MEMBER_WORK)?;
        if i > 0 {
            pieces.push(Piece::Mark(','));
        }
        pieces.extend(member.into_iter().flatten());
    }
    pieces.push(Piece::Mark(end));
    pieces[first..].reverse();
    Ok(())
}
