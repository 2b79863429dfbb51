//! Letter case: `lower`, `upper` and `initcap`, over texts of any length.
//!
//! The case of a letter depends on the letter alone, but for one: a capital sigma becomes another small letter at the
//! end of a word. A long text is changed piece by piece, so that it can be told to end, and is cut where no sigma
//! looks across: between two characters that are neither a sigma nor ignored in the search for the end of a word.

use crate::error::Result;
use crate::function::kernel::function;
use crate::function::{EvalContext, Overload, PIECE_BYTES, Work, pieces};

const SIGMA: char = 'Σ';

/// The text in lower case.
///
/// # Errors
/// 57014 and whatever else a statement is stopped with.
pub(in crate::function) fn lower(context: &EvalContext, text: &str) -> Result<String> {
    if text.len() <= PIECE_BYTES {
        return Ok(text.to_lowercase());
    }
    let work = Work::new(context);
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let (piece, behind) = rest.split_at(sigma_cut(rest));
        work.spend(piece.len())?;
        out.push_str(&piece.to_lowercase());
        rest = behind;
    }
    Ok(out)
}

/// The first place behind [`PIECE_BYTES`] where a text can be cut, or its end.
fn sigma_cut(text: &str) -> usize {
    let from = text.floor_char_boundary(PIECE_BYTES);
    let mut before = None;
    for (at, c) in text[from..].char_indices() {
        let is_fixed = ends_search(c);
        if is_fixed && before == Some(true) {
            return from + at;
        }
        before = Some(is_fixed);
    }
    text.len()
}

/// Returns whether a character is no sigma and ends the search for a letter beside one.
fn ends_search(c: char) -> bool {
    let is_last = |text: &[char]| {
        let text: String = text.iter().collect();
        text.to_lowercase().ends_with('ς')
    };
    let is_letter = is_last(&[c, SIGMA]);
    let is_ignored = !is_letter && is_last(&['a', c, SIGMA]);
    c != SIGMA && !is_ignored
}

fn upper(context: &EvalContext, text: &str) -> Result<String> {
    if text.len() <= PIECE_BYTES {
        return Ok(text.to_uppercase());
    }
    let work = Work::new(context);
    let mut out = String::with_capacity(text.len());
    for piece in pieces(text) {
        work.spend(piece.len())?;
        out.push_str(&piece.to_uppercase());
    }
    Ok(out)
}

/// The first letter of each word in upper case, the others in lower case.
fn initcap(context: &EvalContext, text: &str) -> Result<String> {
    let work = Work::new(context);
    let mut out = String::with_capacity(text.len());
    let mut inside = false;
    for piece in pieces(text) {
        work.spend(piece.len())?;
        for c in piece.chars() {
            if inside {
                out.extend(c.to_lowercase());
            } else {
                out.extend(c.to_uppercase());
            }
            inside = c.is_alphanumeric();
        }
    }
    Ok(out)
}

pub(super) static CASES: &[Overload] = &[
    function!(patient "lower"(Text) -> Text, "In lower case.", lower),
    function!(patient "upper"(Text) -> Text, "In upper case.", upper),
    function!(patient "initcap"(Text) -> Text, "Words with a capital.", initcap),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_has_the_letters_that_it_has_as_a_whole() {
        let context = EvalContext::default();
        for part in ["ΑΣ ", "ΑΣ.\u{345}Β", "Σ", "ΣΑ", "a'Σ'", "Ä ", "ΑΣ\u{ad}"] {
            for start in ["", "x", "xy"] {
                let text = format!("{start}{}", part.repeat(PIECE_BYTES));
                assert!(
                    lower(&context, &text).unwrap() == text.to_lowercase(),
                    "{part}"
                );
                assert!(
                    upper(&context, &text).unwrap() == text.to_uppercase(),
                    "{part}"
                );
            }
        }
    }
}
