//! Letter case: `lower`, `upper` and `initcap`, over texts of any length.
//!
//! The case of a letter depends on the letter alone, but for one: a capital sigma becomes another small letter at the
//! end of a word, which is behind a letter and before none (Unicode's *Final_Sigma*). A long text is changed piece by
//! piece, so that it can be told to end: from sigma to sigma, and each of these by what stands beside it.

use super::Occurrences;
use crate::error::Result;
use crate::function::kernel::function;
use crate::function::{EvalContext, Overload, PIECE_BYTES, Work, pieces};

const SIGMA: &str = "Σ";

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
    let mut from = 0;
    for at in Occurrences::of(SIGMA, text, &work) {
        let (before, behind) = text.split_at(at?);
        push_lower(&mut out, &before[from..], &work)?;
        let behind = &behind[SIGMA.len()..];
        let is_last =
            has_letter(before.chars().rev(), &work)? && !has_letter(behind.chars(), &work)?;
        out.push(if is_last { 'ς' } else { 'σ' });
        from = text.len() - behind.len();
    }
    push_lower(&mut out, &text[from..], &work)?;
    Ok(out)
}

/// Appends a text without sigmas in lower case.
fn push_lower(out: &mut String, text: &str, work: &Work<'_>) -> Result<()> {
    for piece in pieces(text) {
        work.spend(piece.len())?;
        out.push_str(&piece.to_lowercase());
    }
    Ok(())
}

/// The work of looking at a character beside a sigma.
const NEIGHBOUR_WORK: usize = 64;

/// Returns whether the first character that is not passed over is a letter with a case.
fn has_letter(characters: impl Iterator<Item = char>, work: &Work<'_>) -> Result<bool> {
    for c in characters {
        work.spend(NEIGHBOUR_WORK)?;
        match role(c) {
            Role::Ignored => {}
            role => return Ok(role == Role::Letter),
        }
    }
    Ok(false)
}

/// How a character beside a sigma tells whether that ends a word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Role {
    Letter,
    /// Passed over, as the apostrophe.
    Ignored,
    Other,
}

/// The role of a character, for which the standard library is asked: it ends words by sigmas itself.
fn role(c: char) -> Role {
    match c {
        'a'..='z' | 'A'..='Z' | 'Α'..='Ρ' | 'Σ'..='ώ' => return Role::Letter,
        ' '..='&' | '('..='-' | '/'..='9' | ';'..='@' => return Role::Other,
        _ => {}
    }
    let ends_word = |before: &[char]| {
        let text: String = before.iter().chain(&['Σ']).collect();
        text.to_lowercase().ends_with('ς')
    };
    match (ends_word(&[c]), ends_word(&['a', c])) {
        (true, _) => Role::Letter,
        (false, true) => Role::Ignored,
        (false, false) => Role::Other,
    }
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

    /// Characters that are told apart without the standard library are as it has them.
    #[test]
    fn known_characters_have_their_role() {
        for c in (' '..='~').chain('Α'..='ώ').filter(|c| *c != '\u{3a2}') {
            let beside = |before: &str, behind: &str| {
                let text = format!("{before}{c}Σ{behind}").to_lowercase();
                text[..text.len() - behind.len()].ends_with('ς')
            };
            let expected = match (beside("", ""), beside("a", "")) {
                (true, _) => Role::Letter,
                (false, true) => Role::Ignored,
                (false, false) => Role::Other,
            };
            assert_eq!(role(c), expected, "{c}");
        }
    }

    #[test]
    fn a_long_text_has_the_letters_that_it_has_as_a_whole() {
        let context = EvalContext::default();
        let parts = [
            "ΑΣ ",
            "ΑΣ.\u{345}Β",
            "Σ",
            "ΣΑ",
            "a'Σ'",
            "Ä ",
            "ΑΣ\u{ad}",
            ".",
            "Σ^",
            "ªΣ",
            "İ",
        ];
        for part in parts {
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
