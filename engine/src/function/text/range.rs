//! Ranges from and to text: `[1,5)`, `(,"a b"]`, `empty`; multiranges: `{[1,3),[5,9)}`.

use super::super::cast::cast_value;
use super::super::range::{Bounds, RANGE_WORK, Ranges, canonical, multirange, normal};
use super::super::{EvalContext, Work};
use super::scanner::{Scanner, is_space, write_part};
use super::{Style, without_blanks, write_counted};
use crate::error::{Error, Result, state};
use remora_storage::value::{RangeBound, RangeType, SqlArrayBuilder, SqlRange};
use remora_storage::{Value, ValueRef};

const EMPTY: &str = "empty";

/// Reads a range.
///
/// # Errors
/// 22P02 with what is wrong, 22000 where its bounds are not in order, and those of the bounds' type.
pub(crate) fn parse(text: &str, of: RangeType, context: &EvalContext) -> Result<Value> {
    let mut reader = Reader {
        whole: text,
        scanner: Scanner { rest: text },
        work: Work::new(context),
    };
    let Some(read) = reader.range()? else {
        return Ok(SqlRange::EMPTY.value(of));
    };
    let bound = |text: &Option<String>| match text {
        None => Ok(None),
        Some(text) => cast_value(ValueRef::Text(text), of.subtype(), false, context).map(Some),
    };
    let (lower, upper) = (bound(&read.lower)?, bound(&read.upper)?);
    let lower = RangeBound::lower(lower.as_ref().map(Value::as_ref), read.inclusive.0);
    let upper = RangeBound::upper(upper.as_ref().map(Value::as_ref), read.inclusive.1);
    Ok(canonical(of, lower, upper)?.value(of))
}

/// Reads a multirange.
///
/// # Errors
/// As [`parse`].
pub(crate) fn parse_multirange(text: &str, of: RangeType, context: &EvalContext) -> Result<Value> {
    let work = &Work::new(context);
    // One piece of memory for all, which is given back at once.
    let mut builder = SqlArrayBuilder::new(of.element());
    for range in parts(text, work)? {
        work.spend(RANGE_WORK)?;
        builder.push(parse(range, of, context)?.as_ref());
    }
    let encoded = builder.finish_list();
    let ranges = encoded.as_ref().as_array().unwrap_or_default();
    let mut bounds: Vec<Bounds<'_>> = Vec::with_capacity(ranges.len());
    for range in ranges.iter() {
        work.spend(RANGE_WORK)?;
        bounds.extend(range.as_range().and_then(|range| range.bounds()));
    }
    multirange(of, &normal(of, bounds, work)?, work)
}

/// Appends a range's text form.
pub(super) fn write_range(
    out: &mut String,
    range: SqlRange<'_>,
    of: RangeType,
    style: &Style,
    work: &Work<'_>,
) -> Result<()> {
    match range.bounds() {
        None => out.push_str(EMPTY),
        Some(bounds) => write_bounds(out, bounds, of, style, work)?,
    }
    Ok(())
}

/// Appends a multirange's text form.
pub(super) fn write_multirange(
    out: &mut String,
    ranges: Ranges<'_>,
    of: RangeType,
    style: &Style,
    work: &Work<'_>,
) -> Result<()> {
    out.push('{');
    for (number, bounds) in ranges.iter().enumerate() {
        if number > 0 {
            out.push(',');
        }
        work.spend(RANGE_WORK)?;
        write_bounds(out, bounds, of, style, work)?;
    }
    out.push('}');
    Ok(())
}

fn write_bounds(
    out: &mut String,
    (lower, upper): Bounds<'_>,
    of: RangeType,
    style: &Style,
    work: &Work<'_>,
) -> Result<()> {
    out.push(if lower.inclusive { '[' } else { '(' });
    write_bound(out, lower, of, style, work)?;
    out.push(',');
    write_bound(out, upper, of, style, work)?;
    out.push(if upper.inclusive { ']' } else { ')' });
    Ok(())
}

fn write_bound(
    out: &mut String,
    bound: RangeBound<'_>,
    of: RangeType,
    style: &Style,
    work: &Work<'_>,
) -> Result<()> {
    let Some(value) = bound.value else {
        return Ok(());
    };
    let mut text = String::new();
    write_counted(&mut text, value, of.subtype(), style, work)?;
    write_part(out, &text, "()[],", None, work)
}

/// Whether a text begins with the word `empty`.
fn is_empty_word(text: &str) -> bool {
    let word = text.as_bytes().get(..EMPTY.len());
    word.is_some_and(|word| word.eq_ignore_ascii_case(EMPTY.as_bytes()))
}

/// A range's text in its parts; a bound that is not there is `None`.
struct Read {
    lower: Option<String>,
    upper: Option<String>,
    inclusive: (bool, bool),
}

/// What is left of a range's text.
struct Reader<'t> {
    whole: &'t str,
    scanner: Scanner<'t>,
    work: Work<'t>,
}

impl Reader<'_> {
    /// A range; `None` for the empty one.
    fn range(&mut self) -> Result<Option<Read>> {
        self.scanner.skip_spaces(&self.work)?;
        if is_empty_word(self.scanner.rest) {
            self.scanner.rest = &self.scanner.rest[EMPTY.len()..];
            self.scanner.skip_spaces(&self.work)?;
            return match self.scanner.rest {
                "" => Ok(None),
                _ => Err(self.malformed("Junk after \"empty\" key word.")),
            };
        }
        let opens_inclusive = match self.scanner.take() {
            Some('[') => true,
            Some('(') => false,
            _ => return Err(self.malformed("Missing left parenthesis or bracket.")),
        };
        let lower = self.bound()?;
        if !self.scanner.eat(',') {
            return Err(self.malformed("Missing comma after lower bound."));
        }
        let upper = self.bound()?;
        let closes_inclusive = match self.scanner.take() {
            Some(']') => true,
            Some(')') => false,
            _ => return Err(self.malformed("Too many commas.")),
        };
        self.scanner.skip_spaces(&self.work)?;
        if !self.scanner.rest.is_empty() {
            return Err(self.malformed("Junk after right parenthesis or bracket."));
        }
        Ok(Some(Read {
            lower,
            upper,
            inclusive: (opens_inclusive, closes_inclusive),
        }))
    }

    /// A bound, up to the sign behind it; `None` where nothing is written.
    fn bound(&mut self) -> Result<Option<String>> {
        const ENDS: [char; 3] = [',', ')', ']'];
        if self.scanner.rest.starts_with(ENDS) {
            return Ok(None);
        }
        match self.scanner.part(&ENDS, &self.work)? {
            None => Err(self.malformed("Unexpected end of input.")),
            bound => Ok(bound),
        }
    }

    fn malformed(&self, detail: &str) -> Error {
        malformed("range", self.whole, detail)
    }
}

fn malformed(what: &str, whole: &str, detail: &str) -> Error {
    let message = format!("malformed {what} literal: \"{whole}\"");
    Error::new(state::INVALID_TEXT_REPRESENTATION, message).with_detail(detail)
}

/// Where in a multirange's text the reader is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Before,
    /// In a range that began here; within quotation marks, or not.
    Within(usize, bool),
    Behind,
}

/// The texts of the ranges of a multirange.
fn parts<'t>(whole: &'t str, work: &Work<'_>) -> Result<Vec<&'t str>> {
    let wrong = |detail: &str| malformed("multirange", whole, detail);
    let Some(inner) = without_blanks(whole, work)?.strip_prefix('{') else {
        return Err(wrong("Missing left brace."));
    };
    let (mut found, mut place, mut seen) = (Vec::new(), Place::Before, false);
    let mut chars = inner.char_indices();
    while let Some((at, c)) = chars.next() {
        work.spend(c.len_utf8())?;
        place = match (place, c) {
            (Place::Within(_, _), '\\') => {
                chars.next();
                place
            }
            (Place::Within(start, is_quoted), '"') => Place::Within(start, !is_quoted),
            (Place::Within(start, false), ']' | ')') => {
                found.push(&inner[start..=at]);
                Place::Behind
            }
            (Place::Within(..), _) => place,
            (_, c) if is_space(c) => place,
            (Place::Before, '[' | '(') => Place::Within(at, false),
            (Place::Before, '}') if !seen => return junk(&inner[at..], found, wrong),
            (Place::Before, _) if is_empty_word(&inner[at..]) => {
                chars.nth(EMPTY.len() - 2);
                Place::Behind
            }
            (Place::Before, _) => return Err(wrong("Expected range start.")),
            (Place::Behind, ',') => Place::Before,
            (Place::Behind, '}') => return junk(&inner[at..], found, wrong),
            (Place::Behind, _) => {
                return Err(wrong("Expected comma or end of multirange."));
            }
        };
        seen |= place != Place::Before;
    }
    Err(wrong("Unexpected end of input."))
}

/// The ranges found, where nothing is behind the brace that closes.
fn junk<'t>(
    closing: &str,
    found: Vec<&'t str>,
    wrong: impl Fn(&str) -> Error,
) -> Result<Vec<&'t str>> {
    match &closing[1..] {
        "" => Ok(found),
        _ => Err(wrong("Junk after closing right brace.")),
    }
}
