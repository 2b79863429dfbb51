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

/// The longest text that is looked at.
const TEXT_BYTES_MAX: usize = 4 << 10;
/// The most literals of a template.
const LITERALS_MAX: usize = 64;

/// A text without its literals, and the literals. Kept from text to text, so that reading one allocates nothing.
#[derive(Debug, Default)]
pub(in crate::session) struct Template {
    /// The text with parameters, NUL, and a letter for the type of each.
    pub(in crate::session) key: String,
    text_len: usize,
    pub(in crate::session) literals: Vec<Value>,
    /// The text that was read last, if it has one: who asks first whether it is a look-up, and then for its plan, has it
    /// read once.
    last: String,
}

impl Template {
    /// Takes the literals out of a text; false where there is none that can be.
    pub(in crate::session) fn read(&mut self, sql: &str) -> bool {
        if !sql.is_empty() && self.last == sql {
            return true;
        }
        self.key.clear();
        self.literals.clear();
        self.last.clear();
        if sql.len() > TEXT_BYTES_MAX {
            return false;
        }
        let has_one = Pass::new(sql, self).run().is_some();
        if has_one {
            self.last.push_str(sql);
        }
        has_one
    }

    /// The text with parameters.
    pub(in crate::session) fn text(&self) -> &str {
        &self.key[..self.text_len]
    }

    /// The types of its parameters, as far as the literals have one.
    pub(in crate::session) fn types(&self) -> Vec<Option<DataType>> {
        let types = self.literals.iter().map(|literal| match literal {
            Value::Integer(_) => Some(DataType::Integer),
            Value::BigInt(_) => Some(DataType::BigInt),
            _ => None,
        });
        types.collect()
    }
}

// What a byte may be part of: one bit each.
const SPACE: u8 = 1;
const LETTER: u8 = 2;
const DIGIT: u8 = 4;
const OPERATOR: u8 = 8;
/// A byte that is a token, or begins a string or a name in quotes.
const SINGLE: u8 = 16;

const CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        classes[byte] = match byte as u8 {
            b' ' | b'\t' | b'\n' | b'\r' | b'\x0c' => SPACE,
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => LETTER,
            b'0'..=b'9' => DIGIT,
            b'+' | b'-' | b'*' | b'/' | b'<' | b'>' | b'=' | b'~' | b'!' | b'@' | b'#' | b'%'
            | b'^' | b'&' | b'|' => OPERATOR,
            b'(' | b')' | b',' | b';' | b'.' | b'[' | b']' | b':' | b'\'' | b'"' => SINGLE,
            _ => 0,
        };
        byte += 1;
    }
    classes
};

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
    template: &'s mut Template,
    at: usize,
    /// Up to where the text was copied.
    copied: usize,
    before: Before,
    depth: usize,
    is_insert: bool,
    /// How deep the parentheses around the word VALUES are, while its rows are read.
    rows: Option<usize>,
}

impl<'s> Pass<'s> {
    fn new(sql: &'s str, template: &'s mut Template) -> Self {
        Self {
            sql,
            template,
            at: 0,
            copied: 0,
            before: Before::Start,
            depth: 0,
            is_insert: false,
            rows: None,
        }
    }

    fn byte(&self, at: usize) -> Option<u8> {
        self.sql.as_bytes().get(at).copied()
    }

    /// The class of a byte; 0 at the end as well.
    fn class(&self, at: usize) -> u8 {
        self.byte(at).map_or(0, |byte| CLASSES[usize::from(byte)])
    }

    /// The end of the bytes from `at` on that are of these classes.
    fn end_of(&self, mut at: usize, classes: u8) -> usize {
        while self.class(at) & classes != 0 {
            at += 1;
        }
        at
    }

    /// Fills the template; `None` where the text must go the general way.
    fn run(mut self) -> Option<()> {
        while self.step()? {}
        let Template {
            key,
            text_len,
            literals,
            ..
        } = self.template;
        if literals.is_empty() || self.depth > 0 {
            return None;
        }
        key.push_str(&self.sql[self.copied..]);
        *text_len = key.len();
        key.push('\0');
        for literal in literals {
            key.push(match literal {
                Value::Integer(_) => 'i',
                Value::BigInt(_) => 'l',
                _ => 's',
            });
        }
        Some(())
    }

    /// Steps over one token; false at the end.
    fn step(&mut self) -> Option<bool> {
        self.at = self.end_of(self.at, SPACE);
        match self.class(self.at) {
            LETTER => self.word()?,
            DIGIT => self.number()?,
            OPERATOR => self.operator()?,
            SINGLE => return self.single(),
            _ => return (self.at == self.sql.len()).then_some(false),
        }
        Some(true)
    }

    fn single(&mut self) -> Option<bool> {
        match self.byte(self.at)? {
            b'\'' => return self.string().map(|()| true),
            b'"' => return self.quoted_name().map(|()| true),
            b'(' => {
                self.before = match self.rows == Some(self.depth) {
                    true => Before::Row,
                    false => Before::Other,
                };
                self.depth += 1;
            }
            b')' => {
                self.depth = self.depth.checked_sub(1)?;
                self.before = Before::Operand;
            }
            b',' => {
                self.before = match self.rows.map(|rows| rows + 1) == Some(self.depth) {
                    true => Before::Row,
                    false => Before::Other,
                };
            }
            b';' => {
                self.at = self.end_of(self.at + 1, SPACE);
                // Nothing may follow.
                return (self.at == self.sql.len()).then_some(false);
            }
            _ => self.before = Before::Other,
        }
        self.at += 1;
        Some(true)
    }

    fn word(&mut self) -> Option<()> {
        let end = self.end_of(self.at, LETTER | DIGIT);
        // E'..', U&'..' and their like, names with stranger letters.
        if let Some(b'\'' | b'$' | b'&' | 0x80..) = self.byte(end) {
            return None;
        }
        let word = &self.sql.as_bytes()[self.at..end];
        if self.before == Before::Start {
            self.is_insert = word.eq_ignore_ascii_case(b"insert");
            let others: [&[u8]; 3] = [b"select", b"update", b"delete"];
            let is_other = || others.iter().any(|start| word.eq_ignore_ascii_case(start));
            if !self.is_insert && !is_other() {
                return None;
            }
        }
        if self.is_insert {
            if word.eq_ignore_ascii_case(b"values") {
                self.rows = Some(self.depth);
            } else if self.rows == Some(self.depth) {
                self.rows = None;
            }
        }
        self.before = Before::Operand;
        self.at = end;
        Some(())
    }

    fn number(&mut self) -> Option<()> {
        let digits_end = self.end_of(self.at, DIGIT);
        let is_whole = match self.byte(digits_end) {
            Some(b'.') => false,
            _ => self.class(digits_end) != LETTER,
        };
        if !is_whole {
            let mut end = digits_end;
            while self.byte(end) == Some(b'.') || self.end_of(end, LETTER | DIGIT) > end {
                end += 1;
            }
            return self.operand(end, None);
        }
        let literal = whole(&self.sql.as_bytes()[self.at..digits_end]);
        let literal = literal.filter(|literal| match self.before {
            Before::Comparison | Before::Row => true,
            // What a sign makes of a larger one is another matter.
            Before::Arithmetic => matches!(literal, Value::Integer(_)),
            _ => false,
        });
        self.operand(digits_end, literal)
    }

    fn string(&mut self) -> Option<()> {
        let mut end = self.at + 1;
        let mut is_plain = true;
        loop {
            match (self.byte(end)?, self.byte(end + 1)) {
                (b'\'', Some(b'\'')) => {
                    is_plain = false;
                    end += 2;
                }
                (b'\'', _) => break,
                (b'\\' | 0, _) => return None,
                _ => end += 1,
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
        let mut end = self.at + 1;
        loop {
            match self.byte(end)? {
                b'"' => break,
                0 => return None,
                _ => end += 1,
            }
        }
        self.before = Before::Operand;
        self.at = end + 1;
        Some(())
    }

    fn operator(&mut self) -> Option<()> {
        let end = self.end_of(self.at, OPERATOR);
        let operator = &self.sql.as_bytes()[self.at..end];
        let is_binary = self.before == Before::Operand;
        self.before = match operator {
            b"=" | b"<>" | b"!=" | b"<" | b"<=" | b">" | b">=" if is_binary => Before::Comparison,
            b"+" | b"-" | b"*" if is_binary => Before::Arithmetic,
            _ if operator.windows(2).any(|two| two == b"--" || two == b"/*") => return None,
            _ => Before::Other,
        };
        self.at = end;
        Some(())
    }

    /// Steps over a literal up to `end`, and takes it out if it can be.
    fn operand(&mut self, end: usize, literal: Option<Value>) -> Option<()> {
        match literal.filter(|_| self.ends_operand(end)) {
            Some(literal) => {
                let Template { key, literals, .. } = &mut *self.template;
                if literals.len() == LITERALS_MAX {
                    return None;
                }
                key.push_str(&self.sql[self.copied..self.at]);
                literals.push(literal);
                push_parameter(key, literals.len());
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
        let start = self.end_of(at, SPACE);
        match self.byte(start) {
            None | Some(b')' | b',' | b';') => true,
            Some(byte) if byte.is_ascii_alphabetic() && start > at => {
                let word = &self.sql[start..self.end_of(start, LETTER | DIGIT)];
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
}

/// The number that digits are, if it fits.
fn whole(digits: &[u8]) -> Option<Value> {
    let with = |number: i64, digit: &u8| {
        let tens = number.checked_mul(10)?;
        tens.checked_add(i64::from(digit - b'0'))
    };
    let number = digits.iter().try_fold(0, with)?;
    Some(match i32::try_from(number) {
        Ok(number) => Value::Integer(number),
        Err(_) => Value::BigInt(number),
    })
}

/// Writes `$n`; `n` is at most [`LITERALS_MAX`].
fn push_parameter(key: &mut String, n: usize) {
    let digit = |n: usize| char::from(b'0' + (n % 10) as u8);
    key.push('$');
    if n >= 10 {
        key.push(digit(n / 10));
    }
    key.push(digit(n));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(sql: &str) -> Option<Template> {
        let mut template = Template::default();
        template.read(sql).then_some(template)
    }

    /// The template's text and its literals, as they are shown.
    fn taken(sql: &str) -> Option<(String, String)> {
        let template = read(sql)?;
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
        let key = |sql| read(sql).map(|template| template.key);
        let (small, other) = (
            "SELECT a FROM t WHERE id = 1",
            "SELECT a FROM t WHERE id = 2",
        );
        assert_eq!(key(small), key(other));
        assert_ne!(key(small), key("SELECT a FROM t WHERE id = 3000000000"));
        assert_ne!(key(small), key("SELECT a FROM t WHERE id = '1'"));
    }
}
