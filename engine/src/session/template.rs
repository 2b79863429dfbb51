//! Statements that differ only in their literals.
//!
//! Programs that put values into the text (`.. WHERE id = 17`, `.. WHERE id = 18`) never bring the same text twice.
//! One pass over the bytes takes the literals out: what is left, with `$1`, `$2` in their places, is the
//! *template*, and equal templates share a plan.
//!
//! A literal is taken out only where a parameter of the literal's type means the same:
//!
//! - behind an operator of arithmetic or comparison, and right before what ends an operand (`)`, a comma, AND, OR,
//!   the next clause, the end); in VALUES of an INSERT as a whole element of a row. So positions of ORDER BY,
//!   lengths of types, LIMIT, patterns, arguments of functions and operands of casts stay;
//! - whole numbers that fit BIGINT, which become parameters of the literal's own type, and plain strings, which
//!   have no type of their own in either form.
//!
//! Whatever is unusual (comments, placeholders, `E''`, dollar quotes, letters outside of ASCII beside strings,
//! several statements) ends the pass: such a text goes the general way. The pass need not be complete, and it
//! need not understand SQL; where it takes something out, it must be right.

use remora_storage::{DataType, Value};
use std::fmt::Write;

/// The longest text that is looked at.
const TEXT_BYTES_MAX: usize = 4 << 10;
/// The most literals of a template.
const LITERALS_MAX: usize = 64;

/// A text without its literals, and the literals.
#[derive(Debug, PartialEq)]
pub(super) struct Template {
    /// The text with parameters in place of the literals, and behind a NUL the types of the literals.
    pub(super) key: String,
    text_len: usize,
    /// The literals, in order.
    pub(super) literals: Vec<Value>,
}

impl Template {
    /// Takes the literals out of a text; `None` where there is none that can be.
    pub(super) fn of(sql: &str) -> Option<Self> {
        if sql.len() > TEXT_BYTES_MAX {
            return None;
        }
        let mut pass = Pass::new(sql);
        while pass.step()? {}
        pass.finish()
    }

    /// The text with parameters.
    pub(super) fn text(&self) -> &str {
        &self.key[..self.text_len]
    }

    /// The types of its parameters, as far as the literals have one.
    pub(super) fn types(&self) -> Vec<Option<DataType>> {
        let types = self.literals.iter().map(|literal| match literal {
            Value::Integer(_) => Some(DataType::Integer),
            Value::BigInt(_) => Some(DataType::BigInt),
            _ => None,
        });
        types.collect()
    }
}

/// What stands before a place.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    /// The beginning.
    Start,
    /// An operator that compares.
    Comparison,
    /// `+`, `-` or `*` behind an operand.
    Arithmetic,
    /// The beginning of an element of a row of VALUES.
    Row,
    /// A name, or what closes an operand.
    Operand,
    /// Anything else.
    Other,
}

struct Pass<'s> {
    sql: &'s str,
    at: usize,
    /// Up to where the text was copied.
    copied: usize,
    key: String,
    literals: Vec<Value>,
    before: Before,
    depth: usize,
    is_insert: bool,
    /// How deep the parentheses around the word VALUES are, while its rows are read.
    rows: Option<usize>,
}

impl<'s> Pass<'s> {
    fn new(sql: &'s str) -> Self {
        Self {
            sql,
            at: 0,
            copied: 0,
            key: String::new(),
            literals: Vec::new(),
            before: Before::Start,
            depth: 0,
            is_insert: false,
            rows: None,
        }
    }

    fn byte(&self, at: usize) -> Option<u8> {
        self.sql.as_bytes().get(at).copied()
    }

    /// The end of the bytes from `at` on that pass the test.
    fn end_of(&self, at: usize, test: impl Fn(u8) -> bool) -> usize {
        let rest = &self.sql.as_bytes()[at..];
        at + rest
            .iter()
            .position(|byte| !test(*byte))
            .unwrap_or(rest.len())
    }

    /// Steps over one token; false at the end, `None` where the text must go the general way.
    fn step(&mut self) -> Option<bool> {
        self.at = self.end_of(self.at, |byte| byte.is_ascii_whitespace());
        let Some(byte) = self.byte(self.at) else {
            return Some(false);
        };
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => self.word()?,
            b'0'..=b'9' => self.number()?,
            b'\'' => self.string()?,
            b'"' => self.quoted_name()?,
            b'(' => {
                self.before = match self.rows == Some(self.depth) {
                    true => Before::Row,
                    false => Before::Other,
                };
                self.depth += 1;
                self.at += 1;
            }
            b')' => {
                self.depth = self.depth.checked_sub(1)?;
                self.before = Before::Operand;
                self.at += 1;
            }
            b',' => {
                self.before = match self.rows.map(|rows| rows + 1) == Some(self.depth) {
                    true => Before::Row,
                    false => Before::Other,
                };
                self.at += 1;
            }
            b';' => {
                self.at = self.end_of(self.at + 1, |byte| byte.is_ascii_whitespace());
                // Nothing may follow.
                return (self.at == self.sql.len()).then_some(false);
            }
            b'.' | b'[' | b']' | b':' => {
                self.before = Before::Other;
                self.at += 1;
            }
            b'+' | b'-' | b'*' | b'/' | b'<' | b'>' | b'=' | b'~' | b'!' | b'@' | b'#' | b'%'
            | b'^' | b'&' | b'|' => self.operator()?,
            _ => return None,
        }
        Some(true)
    }

    fn word(&mut self) -> Option<()> {
        let end = self.end_of(self.at, |byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let word = &self.sql[self.at..end];
        // E'..', U&'..' and their like, names with stranger letters.
        if let Some(b'\'' | b'$' | b'&' | 0x80..) = self.byte(end) {
            return None;
        }
        if self.before == Before::Start {
            self.is_insert = word.eq_ignore_ascii_case("insert");
            let starts = ["select", "insert", "update", "delete"];
            if !starts.iter().any(|start| word.eq_ignore_ascii_case(start)) {
                return None;
            }
        }
        if self.is_insert && word.eq_ignore_ascii_case("values") {
            self.rows = Some(self.depth);
        } else if self.rows == Some(self.depth) {
            self.rows = None;
        }
        self.before = Before::Operand;
        self.at = end;
        Some(())
    }

    fn number(&mut self) -> Option<()> {
        let end = self.end_of(self.at, |byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.')
        });
        let digits = &self.sql[self.at..end];
        let is_whole = digits.bytes().all(|byte| byte.is_ascii_digit());
        let literal =
            digits
                .parse()
                .ok()
                .filter(|_| is_whole)
                .map(|value| match i32::try_from(value) {
                    Ok(value) => Value::Integer(value),
                    Err(_) => Value::BigInt(value),
                });
        let literal = literal.filter(|literal| match self.before {
            Before::Comparison | Before::Row => true,
            // What a sign makes of a larger one is another matter.
            Before::Arithmetic => matches!(literal, Value::Integer(_)),
            _ => false,
        });
        self.operand(end, literal)
    }

    fn string(&mut self) -> Option<()> {
        let mut end = self.at + 1;
        let mut is_plain = true;
        loop {
            end = self.end_of(end, |byte| !matches!(byte, b'\'' | b'\\' | 0));
            match (self.byte(end)?, self.byte(end + 1)) {
                (b'\'', Some(b'\'')) => {
                    is_plain = false;
                    end += 2;
                }
                (b'\'', _) => break,
                _ => return None,
            }
        }
        let literal = matches!(self.before, Before::Comparison | Before::Row).then(|| {
            let inner = &self.sql[self.at + 1..end];
            Value::Text(match is_plain {
                true => inner.into(),
                false => inner.replace("''", "'"),
            })
        });
        self.operand(end + 1, literal)
    }

    fn quoted_name(&mut self) -> Option<()> {
        let end = self.end_of(self.at + 1, |byte| !matches!(byte, b'"' | 0));
        if self.byte(end)? != b'"' {
            return None;
        }
        self.before = Before::Operand;
        self.at = end + 1;
        Some(())
    }

    fn operator(&mut self) -> Option<()> {
        let end = self.end_of(self.at, |byte| b"+-*/<>=~!@#%^&|".contains(&byte));
        let operator = &self.sql[self.at..end];
        if operator.contains("--") || operator.contains("/*") {
            return None;
        }
        let is_binary = self.before == Before::Operand;
        self.before = match operator {
            "=" | "<>" | "!=" | "<" | "<=" | ">" | ">=" if is_binary => Before::Comparison,
            "+" | "-" | "*" if is_binary => Before::Arithmetic,
            _ => Before::Other,
        };
        self.at = end;
        Some(())
    }

    /// Steps over a literal up to `end`, and takes it out if it can be.
    fn operand(&mut self, end: usize, literal: Option<Value>) -> Option<()> {
        match literal.filter(|_| self.ends_operand(end)) {
            Some(literal) => {
                if self.literals.len() == LITERALS_MAX {
                    return None;
                }
                if self.literals.is_empty() {
                    self.key.reserve(self.sql.len() + 16);
                }
                self.key.push_str(&self.sql[self.copied..self.at]);
                self.literals.push(literal);
                write!(self.key, "${}", self.literals.len()).ok()?;
                self.copied = end;
            }
            None if self.byte(end).is_some_and(|byte| byte >= 0x80) => return None,
            None => {}
        }
        self.before = Before::Operand;
        self.at = end;
        Some(())
    }

    /// Whether no operator or cast can follow from `at` on.
    fn ends_operand(&self, at: usize) -> bool {
        let start = self.end_of(at, |byte| byte.is_ascii_whitespace());
        match self.byte(start) {
            None | Some(b')' | b',' | b';') => true,
            Some(byte) if byte.is_ascii_alphabetic() && start > at => {
                let end = self.end_of(start, |byte| byte.is_ascii_alphanumeric() || byte == b'_');
                let word = &self.sql[start..end];
                let clauses = [
                    "and",
                    "or",
                    "as",
                    "from",
                    "where",
                    "returning",
                    "order",
                    "limit",
                    "for",
                ];
                clauses
                    .iter()
                    .any(|clause| word.eq_ignore_ascii_case(clause))
            }
            Some(_) => false,
        }
    }

    fn finish(mut self) -> Option<Template> {
        if self.literals.is_empty() || self.depth > 0 {
            return None;
        }
        self.key.push_str(&self.sql[self.copied..]);
        let text_len = self.key.len();
        self.key.push('\0');
        let types = self.literals.iter().map(|literal| match literal {
            Value::Integer(_) => 'i',
            Value::BigInt(_) => 'l',
            _ => 's',
        });
        self.key.extend(types);
        Some(Template {
            key: self.key,
            text_len,
            literals: self.literals,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The template's text and its literals, as they are shown.
    fn taken(sql: &str) -> Option<(String, String)> {
        let template = Template::of(sql)?;
        let literals = template
            .literals
            .iter()
            .map(|literal| format!("{literal:?}"));
        Some((
            template.text().to_owned(),
            literals.collect::<Vec<_>>().join(" "),
        ))
    }

    #[test]
    fn literals_are_taken_out_where_a_parameter_means_the_same() {
        let cases = [
            (
                "SELECT a FROM t WHERE id = 17",
                "SELECT a FROM t WHERE id = $1",
            ),
            (
                "select a from t where id=17 and s<>'it''s';",
                "select a from t where id=$1 and s<>$2;",
            ),
            (
                "UPDATE t SET a = a + 1, b = 'x' WHERE id = 3 RETURNING a",
                "UPDATE t SET a = a + $1, b = $2 WHERE id = $3 RETURNING a",
            ),
            (
                "INSERT INTO t (a, b) VALUES (1, 'x'), (2, lower('Y'))",
                "INSERT INTO t (a, b) VALUES ($1, $2), ($3, lower('Y'))",
            ),
            (
                "DELETE FROM t WHERE \"id\" = 3000000000",
                "DELETE FROM t WHERE \"id\" = $1",
            ),
        ];
        for (sql, template) in cases {
            assert_eq!(
                taken(sql).map(|(text, _)| text).as_deref(),
                Some(template),
                "{sql}"
            );
        }
        let (_, literals) = taken(cases[1].0).expect("it has literals");
        assert_eq!(literals, "Integer(17) Text(\"it's\")");
    }

    #[test]
    fn other_literals_stay() {
        let cases = [
            "SELECT 1",
            "SELECT a FROM t ORDER BY 1 LIMIT 5",
            "SELECT a FROM t WHERE d = '2020-01-01'::date",
            "SELECT a FROM t WHERE d = DATE '2020-01-01'",
            "SELECT a FROM t WHERE id = 1 + b",
            "SELECT a FROM t WHERE id = -5",
            "SELECT a FROM t WHERE id =-5",
            "SELECT a FROM t WHERE s LIKE 'a%'",
            "SELECT a FROM t WHERE s = 'a' COLLATE \"C\"",
            "SELECT a FROM t WHERE s = 'a'\n'b'",
            "SELECT a FROM t WHERE x = 1.5",
            "SELECT a FROM t WHERE x = 99999999999999999999",
            "SELECT a FROM t WHERE s = E'a'",
            "SELECT a FROM t WHERE s = $$a$$",
            "SELECT a FROM t WHERE id = 5 -- five",
            "SELECT a FROM t WHERE id = ? AND b = 5",
            "SELECT a FROM t WHERE id = 5; SELECT 1",
            "SELECT a FROM t WHERE id = 'open",
            "SELECT f(1, 2)",
            "SET work_mem = 5",
            "CREATE TABLE t (a INT CHECK (a > 5))",
        ];
        for sql in cases {
            assert_eq!(taken(sql), None, "{sql}");
        }
    }

    #[test]
    fn literals_of_different_types_make_different_templates() {
        let key = |sql| Template::of(sql).map(|template| template.key);
        let (small, other) = (
            "SELECT a FROM t WHERE id = 1",
            "SELECT a FROM t WHERE id = 2",
        );
        assert_eq!(key(small), key(other));
        assert_ne!(key(small), key("SELECT a FROM t WHERE id = 3000000000"));
        assert_ne!(key(small), key("SELECT a FROM t WHERE id = '1'"));
    }
}
