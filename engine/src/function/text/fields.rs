//! Date/time text cut into fields: the common ground of dates, times and timestamps.
//!
//! Words, runs of digits, dates (`2024-01-05`, `1/5/2024`, `5-Jan-2024`), times (`10:00:00.5`) and
//! zones (`+02:30`) are told apart by their characters, whatever their order; what they mean
//! together is decided in `datetime.rs`.

/// One field.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Field<'a> {
    /// Letters only.
    Word(&'a str),
    /// Digits only, perhaps with a fraction (`.5`, given apart).
    Digits(&'a str, &'a str),
    /// Parts divided by `-`, `/` or `.`; the third may be missing.
    Date([&'a str; 3]),
    /// Hour, minute, second and fraction; the latter two may be empty.
    Time([&'a str; 4]),
    /// A sign and what follows it: a zone.
    Zone(bool, &'a str),
    /// The name of a zone that is more than a word: `Europe/Berlin`, `GMT+2`.
    ZoneName(&'a str),
}

/// A reader over the text.
struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, wanted: impl Fn(u8) -> bool) -> &'a str {
        let start = self.at;
        while self.peek().is_some_and(&wanted) {
            self.at += 1;
        }
        &self.text[start..self.at]
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn digits(&mut self) -> &'a str {
        self.take(|b| b.is_ascii_digit())
    }
}

/// Cuts the text; `None` where it has characters or shapes that no field has.
pub(super) fn cut(text: &str) -> Option<Vec<Field<'_>>> {
    // Every cut is made at an ASCII character, so other text never gets torn.
    if !text.is_ascii() {
        return None;
    }
    let mut cursor = Cursor { text, at: 0 };
    let mut fields = Vec::new();
    let mut date_seen = false;
    loop {
        // Marks that no field has only divide, as in `(BC)`.
        let divides = |b: u8| b.is_ascii_punctuation() && !b"+-.".contains(&b);
        cursor.take(|b| b.is_ascii_whitespace() || b == 0x0B || divides(b));
        let Some(byte) = cursor.peek() else {
            return Some(fields);
        };
        let field = match byte {
            b'+' | b'-' => {
                cursor.at += 1;
                // A sign may stand apart from a word (`-infinity`) but not from a zone.
                let body = cursor.take(|b| b.is_ascii_alphanumeric() || b == b':');
                Field::Zone(byte == b'-', body)
            }
            b'0'..=b'9' => number(&mut cursor, date_seen)?,
            b if b.is_ascii_alphabetic() => word(&mut cursor)?,
            _ => return None,
        };
        date_seen |= matches!(field, Field::Date(_));
        if fields.len() > 24 {
            return None;
        }
        fields.push(field);
    }
}

/// A word, or a date that begins with a month's name.
fn word<'a>(cursor: &mut Cursor<'a>) -> Option<Field<'a>> {
    let start = cursor.at;
    let letters = cursor.take(|b| b.is_ascii_alphabetic());
    if names_zone(letters, &cursor.text[cursor.at..]) {
        cursor.take(|b| b.is_ascii_alphanumeric() || b"/_+-:".contains(&b));
        return Some(Field::ZoneName(&cursor.text[start..cursor.at]));
    }
    // Jan-05-2024
    let divided = matches!(cursor.peek(), Some(b'-' | b'/'))
        && cursor
            .text
            .as_bytes()
            .get(cursor.at + 1)
            .is_some_and(u8::is_ascii_digit)
        && super::datetime::month_named(letters).is_some();
    if divided {
        return date(cursor, letters);
    }
    // The dot of an abbreviation.
    cursor.eat(b'.');
    Some(Field::Word(letters))
}

/// Whether letters and what follows them are the name of a zone.
fn names_zone(letters: &str, rest: &str) -> bool {
    let follows = |wanted: fn(&u8) -> bool| rest.as_bytes().get(1).is_some_and(wanted);
    match rest.as_bytes().first() {
        Some(b'/' | b'_') => follows(u8::is_ascii_alphabetic),
        Some(b'+' | b'-') => {
            letters.len() >= 3
                && follows(u8::is_ascii_digit)
                && super::datetime::month_named(letters).is_none()
        }
        _ => false,
    }
}

fn number<'a>(cursor: &mut Cursor<'a>, date_seen: bool) -> Option<Field<'a>> {
    let first = cursor.digits();
    match cursor.peek() {
        Some(b':') => time(cursor, first),
        Some(b'/') => date(cursor, first),
        // After a date, or behind more than a four-digit year, `-` begins a zone.
        Some(b'-') if !date_seen => date(cursor, first),
        Some(b'.') => {
            let rest = &cursor.text[cursor.at + 1..];
            let second = rest.bytes().take_while(u8::is_ascii_digit).count();
            if !date_seen && rest.as_bytes().get(second) == Some(&b'.') {
                return date(cursor, first);
            }
            cursor.at += 1;
            Some(Field::Digits(first, cursor.digits()))
        }
        _ => Some(Field::Digits(first, "")),
    }
}

fn time<'a>(cursor: &mut Cursor<'a>, hour: &'a str) -> Option<Field<'a>> {
    cursor.eat(b':');
    let minute = cursor.digits();
    let (mut second, mut fraction) = ("", "");
    if cursor.eat(b':') {
        second = cursor.digits();
        if second.is_empty() {
            return None;
        }
    }
    if cursor.eat(b'.') {
        fraction = cursor.digits();
    }
    (!minute.is_empty()).then_some(Field::Time([hour, minute, second, fraction]))
}

fn date<'a>(cursor: &mut Cursor<'a>, first: &'a str) -> Option<Field<'a>> {
    let divider = cursor.peek()?;
    cursor.at += 1;
    let mut second = cursor.digits();
    if second.is_empty() {
        second = cursor.take(|b| b.is_ascii_alphabetic());
    }
    let third = if cursor.eat(divider) {
        cursor.digits()
    } else {
        ""
    };
    (!second.is_empty()).then_some(Field::Date([first, second, third]))
}
