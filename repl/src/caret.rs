//! Errors as people read them: message, the line of SQL with a caret under the place, advice.
//!
//! ```text
//! ERROR 42703: column "x" does not exist
//! LINE 2: WHERE x = 1
//!               ^
//! HINT: Perhaps you meant to reference the column "t.y".
//! ```
//!
//! A long line is cut to a window around the place, as psql does, and the caret is put by display
//! width, so that it stays under its character where the text is not ASCII.

use remora::{Error, Position};
use std::io::{self, Write};
use unicode_width::UnicodeWidthStr;

/// Characters of a SQL line that are shown at most.
const WINDOW_CHARS_MAX: usize = 100;

/// Writes an error of a statement whose text was `sql`.
pub(crate) fn write_error(out: &mut dyn Write, error: &Error, sql: &str) -> io::Result<()> {
    writeln!(out, "ERROR {}: {}", error.sqlstate(), error.message())?;
    if let Some(position) = error.position() {
        write_place(out, sql, position)?;
    }
    if let Some(detail) = error.detail() {
        writeln!(out, "DETAIL: {detail}")?;
    }
    if let Some(hint) = error.hint() {
        writeln!(out, "HINT: {hint}")?;
    }
    Ok(())
}

fn write_place(out: &mut dyn Write, sql: &str, position: Position) -> io::Result<()> {
    let line_index = (position.line as usize).saturating_sub(1);
    let Some(line) = sql.lines().nth(line_index) else {
        return Ok(());
    };
    // A tab's width depends on where it stands; one blank keeps caret and text together.
    let line: Vec<char> = line
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let place = (position.column as usize).saturating_sub(1).min(line.len());
    let (start, end) = window(line.len(), place);
    let label = format!(
        "LINE {}: {}",
        position.line,
        if start > 0 { "..." } else { "" }
    );
    let shown: String = line[start..end].iter().collect();
    let before: String = line[start..place].iter().collect();
    let tail = if end < line.len() { "..." } else { "" };
    writeln!(out, "{label}{shown}{tail}")?;
    writeln!(out, "{:1$}^", "", label.width() + before.width())
}

/// The part of a line of `length` characters to show, `place` within it.
fn window(length: usize, place: usize) -> (usize, usize) {
    if length <= WINDOW_CHARS_MAX {
        return (0, length);
    }
    let start = place
        .saturating_sub(WINDOW_CHARS_MAX / 2)
        .min(length - WINDOW_CHARS_MAX);
    (start, start + WINDOW_CHARS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(sql: &str, line: u32, column: u32) -> String {
        let error = Error::new("42703", "column \"x\" does not exist")
            .at(Some(Position { line, column }))
            .with_hint("Look again.");
        let mut out = Vec::new();
        write_error(&mut out, &error, sql).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_caret_stands_under_the_place() {
        assert_eq!(
            shown("SELECT a,\n  x FROM t", 2, 3),
            "ERROR 42703: column \"x\" does not exist\n\
             LINE 2:   x FROM t\n          ^\nHINT: Look again.\n"
        );
    }

    #[test]
    fn wide_characters_move_the_caret_by_their_width() {
        let text = shown("SELECT '日本', x", 1, 14);
        assert!(text.contains("\n                       ^\n"), "{text}");
    }

    #[test]
    fn a_long_line_is_cut_around_the_place() {
        let sql = format!("SELECT {} x", "1 + ".repeat(100));
        let text = shown(&sql, 1, sql.len() as u32);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[1].starts_with("LINE 1: ...") && lines[1].ends_with('x'));
        assert_eq!(lines[1].len(), lines[2].len());
    }

    #[test]
    fn a_place_outside_the_text_is_no_panic() {
        for (line, column) in [(0, 0), (9, 9), (1, 99), (u32::MAX, u32::MAX)] {
            assert!(shown("SELECT x", line, column).starts_with("ERROR"));
        }
    }
}
