//! `SIMILAR TO`: SQL's own patterns, written as regular expressions.

use crate::error::{Error, Result};

/// The pattern as a regular expression. `escape` is the character that takes away what the next one means;
/// twice before a quotation mark it divides the pattern in three, of which `substring` gives the middle.
///
/// # Errors
/// 22019, 2200C; 54000 where it is too long.
pub(super) fn to_regex(pattern: &str, escape: Option<char>) -> Result<String> {
    super::check_length(pattern)?;
    let mut out = String::from("^(?:");
    let mut escaped = false;
    let mut in_brackets = false;
    let mut marks = 0;
    for c in pattern.chars() {
        if std::mem::take(&mut escaped) {
            if c == '"' && !in_brackets {
                out.push_str(match marks {
                    0 => "){1,1}?(",
                    1 => "){1,1}(?:",
                    _ => return Err(too_many_marks()),
                });
                marks += 1;
            } else {
                out.push('\\');
                out.push(c);
            }
        } else if Some(c) == escape {
            escaped = true;
        } else if in_brackets {
            if c == '\\' {
                out.push('\\');
            }
            out.push(c);
            in_brackets = c != ']';
        } else {
            match c {
                '[' => {
                    out.push('[');
                    in_brackets = true;
                }
                '%' => out.push_str(".*"),
                '_' => out.push('.'),
                '(' => out.push_str("(?:"),
                '\\' | '.' | '^' | '$' => {
                    out.push('\\');
                    out.push(c);
                }
                c => out.push(c),
            }
        }
    }
    out.push_str(")$");
    Ok(out)
}

fn too_many_marks() -> Error {
    sql_error!(
        INVALID_USE_OF_ESCAPE_CHARACTER,
        "SQL regular expression may not contain more than two escape-double-quote separators"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_written_as_postgres_writes_them() {
        let written = |pattern, escape| to_regex(pattern, escape).unwrap();
        assert_eq!(written("%(b|d)%", Some('\\')), "^(?:.*(?:b|d).*)$");
        assert_eq!(written("a#%b", Some('#')), "^(?:a\\%b)$");
        assert_eq!(written("b.c^$_[x%_]", None), "^(?:b\\.c\\^\\$.[x%_])$");
        assert_eq!(
            written("%#\"o_b#\"%", Some('#')),
            "^(?:.*){1,1}?(o.b){1,1}(?:.*)$"
        );
        assert!(to_regex("#\"#\"#\"", Some('#')).is_err());
    }
}
