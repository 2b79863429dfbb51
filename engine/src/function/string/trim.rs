//! Trimming: `trim`, `btrim`, `ltrim` and `rtrim` of texts, from either end or both.

use crate::error::Result;
use crate::function::kernel::function;
use crate::function::{Overload, Work};

const BLANK: &str = " ";

/// The text without the characters of a set at its start.
fn start<'t>(text: &'t str, set: &str, work: &Work<'_>) -> Result<&'t str> {
    for (at, c) in text.char_indices() {
        if !set.contains(c) {
            return Ok(&text[at..]);
        }
        work.spend(1 + set.len())?;
    }
    Ok("")
}

/// The text without the characters of a set at its end.
fn end<'t>(text: &'t str, set: &str, work: &Work<'_>) -> Result<&'t str> {
    for (at, c) in text.char_indices().rev() {
        if !set.contains(c) {
            return Ok(&text[..at + c.len_utf8()]);
        }
        work.spend(1 + set.len())?;
    }
    Ok("")
}

/// The text without the characters of a set at either end.
///
/// # Errors
/// Those of [`Work::spend`].
pub(in crate::function) fn both<'t>(text: &'t str, set: &str, work: &Work<'_>) -> Result<&'t str> {
    end(start(text, set, work)?, set, work)
}

macro_rules! trims {
    ($($name:literal $doc:literal $trim:ident),*) => {
        &[$(
            function!(patient $name(Text) -> Text, $doc,
                |context, text: &str| $trim(text, BLANK, &Work::new(context)).map(str::to_owned)),
            function!(patient $name(Text, Text) -> Text, $doc,
                |context, text: &str, set: &str| $trim(text, set, &Work::new(context)).map(str::to_owned)),
        )*]
    };
}

pub(super) static TRIMS: &[Overload] = trims!(
    "btrim" "Without these characters at both ends." both,
    "trim" "Without these characters at both ends." both,
    "ltrim" "Without these characters at the start." start,
    "rtrim" "Without these characters at the end." end
);
