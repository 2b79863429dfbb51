//! `@>`: whether one value of JSONB holds another.
//!
//! An object holds one whose every pair it has, an array one whose every element it has, at any place and any
//! number of times; containers within are held in the same sense, scalars are equal. An array holds a scalar that
//! stands alone.
//!
//! For arrays of containers every candidate is tried, so what is compared is a tree of questions. Its open part is
//! a stack here, the answer of the last question is handed to the one below.

use super::get;
use super::packed::{Members, View, is_scalar, view};
use crate::error::Result;
use crate::function::{EvalContext, Work};
use hashbrown::HashSet;

/// The work of an element in a table.
const ELEMENT_WORK: usize = 64;

/// As many elements are looked for one after the other.
const FEW: usize = 16;

/// A question that waits for another's answer.
enum Question<'a> {
    /// Whether the pairs that are left of the object have those that are left.
    Object { held: Members<'a>, in_: Members<'a> },
    /// Whether the array has the elements that are left; the first of them may be in any of `untried`.
    Array {
        wanted: &'a [u8],
        held: Members<'a>,
        in_: Members<'a>,
        untried: Members<'a>,
    },
}

/// What a question comes to when it is looked at.
enum Step<'a> {
    Answer(bool),
    /// The first asks whether `.0` holds `.1`.
    Ask(Question<'a>, &'a [u8], &'a [u8]),
}

/// Whether `value` holds `part`.
///
/// # Errors
/// XX001 where the bytes are none, and those of an interrupt.
pub(super) fn contains(value: &[u8], part: &[u8], context: &EvalContext) -> Result<bool> {
    let work = &Work::new(context);
    let mut waiting: Vec<Question<'_>> = Vec::new();
    let mut step = start(value, part, true, work)?;
    loop {
        context.check()?;
        step = match step {
            Step::Ask(question, value, part) => {
                waiting.push(question);
                start(value, part, false, work)?
            }
            Step::Answer(answer) => match waiting.pop() {
                None => return Ok(answer),
                Some(question) => resume(question, answer, work)?,
            },
        };
    }
}

fn start<'a>(value: &'a [u8], part: &'a [u8], is_top: bool, work: &Work<'_>) -> Result<Step<'a>> {
    match (view(value)?, view(part)?) {
        (View::Object(in_), View::Object(held)) if in_.left >= held.left => pairs(in_, held, work),
        (View::Array(in_), View::Array(held)) if held.left.min(in_.left) > FEW => {
            many(in_, held, work)
        }
        (View::Array(in_), View::Array(held)) => elements(in_, held, work),
        (View::Array(in_), View::Scalar(..)) if is_top => has(in_, part, work).map(Step::Answer),
        (View::Scalar(..), View::Scalar(..)) => Ok(Step::Answer(value == part)),
        _ => Ok(Step::Answer(false)),
    }
}

/// Goes on with a question when the one it asked has its answer.
fn resume<'a>(question: Question<'a>, answer: bool, work: &Work<'_>) -> Result<Step<'a>> {
    match question {
        Question::Object { .. } if !answer => Ok(Step::Answer(false)),
        Question::Object { held, in_ } => pairs(in_, held, work),
        Question::Array { held, in_, .. } if answer => elements(in_, held, work),
        Question::Array {
            wanted,
            held,
            in_,
            untried,
        } => candidate(wanted, held, in_, untried, work),
    }
}

/// Both are in the order of keys: behind a key that was found is the next one.
fn pairs<'a>(mut in_: Members<'a>, mut held: Members<'a>, work: &Work<'_>) -> Result<Step<'a>> {
    while let Some((key, wanted)) = held.pair(work)? {
        let Some(found) = get::next_member(&mut in_, key, work)? else {
            return Ok(Step::Answer(false));
        };
        if found == wanted {
            continue;
        }
        if is_scalar(found) || is_scalar(wanted) {
            return Ok(Step::Answer(false));
        }
        return Ok(Step::Ask(Question::Object { held, in_ }, found, wanted));
    }
    Ok(Step::Answer(true))
}

fn elements<'a>(in_: Members<'a>, mut held: Members<'a>, work: &Work<'_>) -> Result<Step<'a>> {
    while let Some(wanted) = held.element(work)? {
        if !has(in_, wanted, work)? {
            return match is_scalar(wanted) {
                true => Ok(Step::Answer(false)),
                false => candidate(wanted, held, in_, in_, work),
            };
        }
    }
    Ok(Step::Answer(true))
}

/// As [`elements`], for arrays that are too long to look for one element after the other: what is exactly
/// there is found in a table, and where a scalar is not, or nothing is left, that is the answer.
fn many<'a>(in_: Members<'a>, held: Members<'a>, work: &Work<'_>) -> Result<Step<'a>> {
    work.reach(2 * in_.left * size_of::<&[u8]>())?;
    let (mut known, mut rest) = (HashSet::with_capacity(in_.left), in_);
    while let Some(element) = rest.element(work)? {
        work.spend(ELEMENT_WORK + element.len())?;
        known.insert(element);
    }
    let (mut wanted, mut is_all) = (held, true);
    while let Some(element) = wanted.element(work)? {
        work.spend(ELEMENT_WORK + element.len())?;
        if !known.contains(element) {
            if is_scalar(element) {
                return Ok(Step::Answer(false));
            }
            is_all = false;
        }
    }
    match is_all {
        true => Ok(Step::Answer(true)),
        false => elements(in_, held, work),
    }
}

/// Whether an element is exactly this value.
fn has(mut members: Members<'_>, wanted: &[u8], work: &Work<'_>) -> Result<bool> {
    while let Some(element) = members.element(work)? {
        if element == wanted {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Asks whether the next container that was not tried holds the wanted one.
fn candidate<'a>(
    wanted: &'a [u8],
    held: Members<'a>,
    in_: Members<'a>,
    mut untried: Members<'a>,
    work: &Work<'_>,
) -> Result<Step<'a>> {
    while let Some(element) = untried.element(work)? {
        if is_scalar(element) {
            continue;
        }
        let question = Question::Array {
            wanted,
            held,
            in_,
            untried,
        };
        return Ok(Step::Ask(question, element, wanted));
    }
    Ok(Step::Answer(false))
}
