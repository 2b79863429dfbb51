//! From PostgreSQL's regular expressions to the crate's.
//!
//! A descent over alternatives, branches and quantified atoms that writes as it reads. Beside the text it
//! carries up what the whole prefers, by PostgreSQL's rules: a quantifier makes its atom prefer much or
//! little (a fixed count changes nothing), a branch prefers what its first atom with a preference does, and
//! alternatives prefer much.

use super::{Flags, NESTING_MAX, invalid};
use crate::error::{Error, Result};

/// The largest count a quantifier may have.
const COUNT_MAX: u32 = 255;

pub(super) struct Translated {
    pub(super) pattern: String,
    /// Whether the shortest of the matches at a place is meant.
    pub(super) prefers_short: bool,
    /// Whether a quantifier prefers little.
    pub(super) has_little: bool,
    /// Whether it refers back, or looks ahead or behind.
    pub(super) tries: bool,
}

/// What a part prefers; `None` where it has one length.
type Preference = Option<Prefers>;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Prefers {
    Much,
    Little,
}

/// # Errors
/// 2201B for what is none; 0A000 for what is not supported.
pub(super) fn translate(pattern: &str, mut flags: Flags) -> Result<Translated> {
    let mut rest = pattern;
    if let Some(literal) = rest.strip_prefix("***=") {
        (rest, flags.literal) = (literal, true);
    } else if let Some(after) = rest.strip_prefix("***:") {
        rest = after;
    } else if rest.starts_with("***") {
        return Err(invalid("quantifier operand invalid"));
    }
    if !flags.literal {
        rest = embedded_options(rest, &mut flags)?;
    }
    let mut out = String::with_capacity(rest.len() + 16);
    if flags.ignore_case {
        out.push_str("(?i)");
    }
    if flags.literal {
        rest.chars().for_each(|c| literal(&mut out, c));
        return Ok(Translated {
            pattern: out,
            prefers_short: false,
            has_little: false,
            tries: false,
        });
    }
    let mut reader = Reader {
        chars: rest.chars().collect(),
        at: 0,
        flags,
        out,
        depth: 0,
        groups: 0,
        looking: 0,
        has_little: false,
        tries: false,
    };
    let preference = reader.alternatives()?;
    if reader.at < reader.chars.len() {
        return Err(invalid("parentheses () not balanced"));
    }
    Ok(Translated {
        pattern: reader.out,
        prefers_short: preference == Some(Prefers::Little),
        has_little: reader.has_little,
        tries: reader.tries,
    })
}

/// `(?i)` at the start.
fn embedded_options<'a>(pattern: &'a str, flags: &mut Flags) -> Result<&'a str> {
    let Some(body) = pattern.strip_prefix("(?") else {
        return Ok(pattern);
    };
    if !body.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return Ok(pattern);
    }
    let bad = || invalid("invalid embedded option");
    let end = body.find(')').ok_or_else(bad)?;
    for letter in body[..end].chars() {
        if letter != 'e' && !flags.set(letter) {
            return match letter {
                'b' => Err(Error::unsupported("a basic regular expression")),
                _ => Err(bad()),
            };
        }
    }
    Ok(&body[end + 1..])
}

/// A character that means itself.
fn literal(out: &mut String, c: char) {
    // `\<` would be a place.
    if c.is_ascii_punctuation() && !matches!(c, '<' | '>') {
        out.push('\\');
    }
    out.push(c);
}

struct Reader {
    chars: Vec<char>,
    at: usize,
    flags: Flags,
    out: String,
    depth: u32,
    groups: u32,
    /// In how many brackets that look ahead or behind; there are no groups in these.
    looking: u32,
    has_little: bool,
    tries: bool,
}

/// How often an atom comes at least, and at most if that is bounded; and whether it leaves the preference to the atom,
/// as `{3}` does, but not `{3,3}`.
type Count = (u32, Option<u32>, bool);

/// What an escape outside of brackets is.
enum Escape {
    Character(char),
    /// A class of characters, as the crate writes it.
    Class(&'static str),
    /// A place, as the crate writes it.
    Place(&'static str),
    /// What a group has matched.
    Back(u32),
}

impl Reader {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn eat(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        self.at += usize::from(found);
        found
    }

    fn eats(&mut self, wanted: &str) -> bool {
        let found = wanted
            .chars()
            .enumerate()
            .all(|(i, c)| self.chars.get(self.at + i) == Some(&c));
        self.at += if found { wanted.len() } else { 0 };
        found
    }

    /// In the expanded syntax blanks mean nothing, and `#` begins a comment; `(?#..)` always is one.
    fn skip_nothing(&mut self) -> Result<()> {
        loop {
            if self.eats("(?#") {
                while !self.eat(')') {
                    if self.peek().is_none() {
                        return Err(invalid("parentheses () not balanced"));
                    }
                    self.at += 1;
                }
            } else if self.flags.expanded && self.peek().is_some_and(char::is_whitespace) {
                self.at += 1;
            } else if self.flags.expanded && self.peek() == Some('#') {
                while self.peek().is_some_and(|c| c != '\n') {
                    self.at += 1;
                }
            } else {
                return Ok(());
            }
        }
    }

    fn alternatives(&mut self) -> Result<Preference> {
        self.depth += 1;
        if self.depth > NESTING_MAX / 2 {
            return Err(invalid("regular expression is too complex"));
        }
        let mut preference = self.branch()?;
        while self.eat('|') {
            self.out.push('|');
            self.branch()?;
            preference = Some(Prefers::Much);
        }
        self.depth -= 1;
        Ok(preference)
    }

    fn branch(&mut self) -> Result<Preference> {
        let mut preference = None;
        loop {
            self.skip_nothing()?;
            match self.peek() {
                None | Some('|' | ')') => return Ok(preference),
                Some(_) => {}
            }
            let found = self.quantified()?;
            preference = preference.or(found);
        }
    }

    /// An atom and its quantifier.
    fn quantified(&mut self) -> Result<Preference> {
        let start = self.out.len();
        let (own, can_repeat) = self.atom()?;
        self.skip_nothing()?;
        let Some((low, high, is_fixed)) = self.quantifier()? else {
            return Ok(own);
        };
        if !can_repeat {
            return Err(invalid("quantifier operand invalid"));
        }
        let little = self.eat('?');
        if matches!(self.peek(), Some('*' | '+' | '?')) || self.begins_count() {
            return Err(invalid("quantifier operand invalid"));
        }
        // A place that is repeated, or nothing, needs brackets before the crate takes it.
        self.out.insert_str(start, "(?:");
        self.out.push(')');
        match (low, high) {
            (0, None) => self.out.push('*'),
            (1, None) => self.out.push('+'),
            (0, Some(1)) => self.out.push('?'),
            (low, None) => self.out.push_str(&format!("{{{low},}}")),
            (low, Some(high)) => self.out.push_str(&format!("{{{low},{high}}}")),
        }
        if is_fixed {
            return Ok(own);
        }
        if little {
            self.has_little = true;
            self.out.push('?');
            if (low, high) == (1, Some(1)) {
                // What is inside shall be short, which in the crate is for the quantifiers inside to say.
                self.out.insert_str(start, "(?U:");
                self.out.push(')');
            }
            return Ok(Some(Prefers::Little));
        }
        Ok(Some(Prefers::Much))
    }

    fn begins_count(&self) -> bool {
        self.peek() == Some('{')
            && self
                .chars
                .get(self.at + 1)
                .is_some_and(char::is_ascii_digit)
    }

    fn quantifier(&mut self) -> Result<Option<Count>> {
        let (low, high) = match self.peek() {
            Some('*') => (0, None),
            Some('+') => (1, None),
            Some('?') => (0, Some(1)),
            Some('{') if self.begins_count() => return self.counted().map(Some),
            _ => return Ok(None),
        };
        self.at += 1;
        Ok(Some((low, high, false)))
    }

    fn counted(&mut self) -> Result<Count> {
        self.at += 1;
        let low = self.count()?.unwrap_or(0);
        let is_fixed = !self.eat(',');
        let high = match is_fixed {
            true => Some(low),
            false => self.count()?,
        };
        if !self.eat('}') {
            return Err(match self.peek() {
                None => invalid("braces {} not balanced"),
                Some(_) => invalid("invalid repetition count(s)"),
            });
        }
        match high {
            Some(high) if high < low => Err(invalid("invalid repetition count(s)")),
            high => Ok((low, high, is_fixed)),
        }
    }

    fn count(&mut self) -> Result<Option<u32>> {
        let mut count = None;
        while let Some(digit) = self.peek().and_then(|c| c.to_digit(10)) {
            let next = count.unwrap_or(0) * 10 + digit;
            if next > COUNT_MAX {
                return Err(invalid("invalid repetition count(s)"));
            }
            count = Some(next);
            self.at += 1;
        }
        Ok(count)
    }

    /// Writes an atom; its preference, and whether it may be repeated.
    fn atom(&mut self) -> Result<(Preference, bool)> {
        let c = self.chars[self.at];
        self.at += 1;
        match c {
            '(' => return self.group(),
            '[' => return self.brackets().map(|repeats| (None, repeats)),
            '.' if self.flags.lines_apart => self.out.push_str("[^\\n]"),
            '.' => self.out.push_str("(?s:.)"),
            '^' | '$' => {
                self.out.push_str(match (c, self.flags.anchors_at_lines) {
                    ('^', false) => "\\A",
                    ('$', false) => "\\z",
                    ('^', true) => "(?m:^)",
                    _ => "(?m:$)",
                });
                return Ok((None, false));
            }
            '*' | '+' | '?' => return Err(invalid("quantifier operand invalid")),
            '{' if self.peek().is_some_and(|c| c.is_ascii_digit()) => {
                return Err(invalid("quantifier operand invalid"));
            }
            '\\' => match self.escape()? {
                Escape::Character(c) => literal(&mut self.out, c),
                Escape::Class(class) => self.out.push_str(class),
                Escape::Place(place) => {
                    self.out.push_str(place);
                    return Ok((None, false));
                }
                Escape::Back(number) => {
                    self.tries = true;
                    self.out.push_str(&format!("(?:\\{number})"));
                }
            },
            c => literal(&mut self.out, c),
        }
        Ok((None, true))
    }

    fn group(&mut self) -> Result<(Preference, bool)> {
        for look in ["?=", "?!", "?<=", "?<!"] {
            if self.eats(look) {
                return self.look(look);
            }
        }
        if self.eats("?:") || self.looking > 0 {
            self.out.push_str("(?:");
        } else {
            self.out.push('(');
            self.groups += 1;
        }
        let preference = self.alternatives()?;
        if !self.eat(')') {
            return Err(invalid("parentheses () not balanced"));
        }
        self.out.push(')');
        Ok((preference, true))
    }

    /// Behind `(?=` and the like: a place, which has no length and cannot be repeated.
    fn look(&mut self, look: &str) -> Result<(Preference, bool)> {
        self.tries = true;
        self.looking += 1;
        self.out.push('(');
        self.out.push_str(look);
        self.alternatives()?;
        if !self.eat(')') {
            return Err(invalid("parentheses () not balanced"));
        }
        self.out.push(')');
        self.looking -= 1;
        Ok((None, false))
    }

    fn escape(&mut self) -> Result<Escape> {
        let bad = || invalid("invalid escape \\ sequence");
        let c = self.peek().ok_or_else(bad)?;
        self.at += 1;
        Ok(match c {
            'A' => Escape::Place("\\A"),
            'Z' => Escape::Place("\\z"),
            'm' => Escape::Place("\\b{start}"),
            'M' => Escape::Place("\\b{end}"),
            'y' => Escape::Place("\\b"),
            'Y' => Escape::Place("\\B"),
            'd' => Escape::Class("[0-9]"),
            'D' => Escape::Class("[^0-9]"),
            's' => Escape::Class("\\s"),
            'S' => Escape::Class("\\S"),
            'w' => Escape::Class("\\w"),
            'W' => Escape::Class("\\W"),
            '1'..='9' => {
                let start = self.at;
                let mut number = c.to_digit(10).unwrap_or(0);
                while let Some(digit) = self.peek().and_then(|c| c.to_digit(10)) {
                    number = number.saturating_mul(10).saturating_add(digit);
                    self.at += 1;
                }
                if self.at > start && number > self.groups {
                    // More than one digit, and no group of that number: a character.
                    self.at = start;
                    return Ok(Escape::Character(self.octal(c)?));
                }
                if number > self.groups || self.looking > 0 {
                    return Err(invalid("invalid backreference number"));
                }
                Escape::Back(number)
            }
            c => Escape::Character(self.character(c)?),
        })
    }

    /// The character of an escape that is one, in brackets or not.
    fn character(&mut self, c: char) -> Result<char> {
        let bad = || invalid("invalid escape \\ sequence");
        Ok(match c {
            'a' => '\u{7}',
            'b' => '\u{8}',
            'B' => '\\',
            'c' => {
                let control = self.peek().ok_or_else(bad)?;
                self.at += 1;
                char::from_u32(u32::from(control) & 0x1F).ok_or_else(bad)?
            }
            'e' => '\u{1b}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\u{b}',
            'u' => self.hexadecimal(4, 4)?,
            'U' => self.hexadecimal(8, 8)?,
            'x' => self.hexadecimal(1, 255)?,
            '0' => self.octal(c)?,
            // In brackets there is no group to refer to.
            '1'..='9' if self.peek().is_some_and(|next| next.is_ascii_digit()) => self.octal(c)?,
            c if c.is_alphanumeric() => return Err(bad()),
            c => c,
        })
    }

    /// A character by up to three octal digits, the first of which was read.
    fn octal(&mut self, first: char) -> Result<char> {
        let bad = || invalid("invalid escape \\ sequence");
        let mut code = first.to_digit(8).ok_or_else(bad)?;
        for _ in 0..2 {
            let Some(digit) = self.peek().and_then(|c| c.to_digit(8)) else {
                break;
            };
            code = code * 8 + digit;
            self.at += 1;
        }
        char::from_u32(code).ok_or_else(bad)
    }

    fn hexadecimal(&mut self, least: usize, most: usize) -> Result<char> {
        let bad = || invalid("invalid escape \\ sequence");
        let (mut code, mut digits) = (0_u32, 0);
        while digits < most
            && let Some(digit) = self.peek().and_then(|c| c.to_digit(16))
        {
            code = code.checked_mul(16).ok_or_else(bad)? | digit;
            (self.at, digits) = (self.at + 1, digits + 1);
        }
        if digits < least {
            return Err(bad());
        }
        char::from_u32(code).ok_or_else(bad)
    }

    /// `[..]`, behind its bracket; whether it may be repeated, as a place in its disguise may not.
    fn brackets(&mut self) -> Result<bool> {
        if self.eats("[:<:]]") {
            self.out.push_str("\\b{start}");
            return Ok(false);
        }
        if self.eats("[:>:]]") {
            self.out.push_str("\\b{end}");
            return Ok(false);
        }
        self.out.push('[');
        if self.eat('^') {
            self.out.push('^');
            if self.flags.lines_apart {
                self.out.push_str("\\n");
            }
        }
        let mut is_first = true;
        loop {
            match self.peek() {
                None => return Err(invalid("brackets [] not balanced")),
                Some(']') if !is_first => {
                    self.at += 1;
                    self.out.push(']');
                    return Ok(true);
                }
                Some(_) => self.bracket_item()?,
            }
            is_first = false;
        }
    }

    /// A character, a range or a class.
    fn bracket_item(&mut self) -> Result<()> {
        if self.eats("[:") {
            let class = self.named(':')?;
            let written = class_named(&class).ok_or_else(|| invalid("invalid character class"))?;
            self.out.push_str(written);
            return Ok(());
        }
        let Some(low) = self.bracket_character()? else {
            return Ok(());
        };
        let is_range = self.peek() == Some('-') && self.chars.get(self.at + 1) != Some(&']');
        if !is_range {
            literal(&mut self.out, low);
            return Ok(());
        }
        self.at += 1;
        let high = self
            .bracket_character()?
            .filter(|high| *high >= low)
            .ok_or_else(|| invalid("invalid character range"))?;
        literal(&mut self.out, low);
        self.out.push('-');
        literal(&mut self.out, high);
        Ok(())
    }

    /// `None` where it was a class, which is written.
    fn bracket_character(&mut self) -> Result<Option<char>> {
        let end = || invalid("brackets [] not balanced");
        if self.eats("[.") || self.eats("[=") {
            let divider = self.chars[self.at - 1];
            let name = self.named(divider)?;
            let mut characters = name.chars();
            return match (characters.next(), characters.next()) {
                (Some(c), None) => Ok(Some(c)),
                _ => Err(invalid("invalid collating element")),
            };
        }
        let c = self.peek().ok_or_else(end)?;
        self.at += 1;
        if c != '\\' {
            return Ok(Some(c));
        }
        let escaped = self.peek().ok_or_else(end)?;
        self.at += 1;
        match escaped {
            'd' => self.out.push_str("0-9"),
            's' => self.out.push_str("\\s"),
            'w' => self.out.push_str("\\w"),
            'D' => self.out.push_str("[^0-9]"),
            'S' => self.out.push_str("\\S"),
            'W' => self.out.push_str("\\W"),
            escaped => return self.character(escaped).map(Some),
        }
        Ok(None)
    }

    /// What is named up to the divider and a bracket.
    fn named(&mut self, divider: char) -> Result<String> {
        let mut name = String::new();
        loop {
            let c = self
                .peek()
                .ok_or_else(|| invalid("brackets [] not balanced"))?;
            self.at += 1;
            if c == divider && self.eat(']') {
                return Ok(name);
            }
            name.push(c);
        }
    }
}

fn class_named(name: &str) -> Option<&'static str> {
    Some(match name {
        "alpha" => "\\p{Alphabetic}",
        "digit" => "0-9",
        "alnum" => "\\p{Alphabetic}\\p{Nd}",
        "upper" => "\\p{Uppercase}",
        "lower" => "\\p{Lowercase}",
        "space" => "\\s",
        "blank" => "\\x20\\t",
        "punct" => "\\p{P}\\p{S}",
        "cntrl" => "\\p{Cc}",
        "xdigit" => "0-9A-Fa-f",
        "word" => "\\w",
        "print" => "[^\\p{Cc}\\p{Cs}\\p{Cn}]",
        "graph" => "[^\\s\\p{Cc}\\p{Cs}\\p{Cn}]",
        "ascii" => "\\x00-\\x7F",
        _ => return None,
    })
}
