//! Date/time text cut into fields, as PostgreSQL's `ParseDateTime` cuts it: what the characters of a field
//! look like says what it may be; what the fields mean together is decided in `decode.rs`.

/// What a field looks like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// Digits, perhaps with a point.
    Number,
    /// Parts divided by `-`, `/` or `.`, of which one may be a word; or a zone's name.
    Date,
    /// Digits and colons, perhaps with a point.
    Time,
    /// A sign and digits.
    Zone,
    /// Letters.
    Word,
    /// A sign and letters.
    SignedWord,
}

/// One field, in lower case.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Field {
    pub(super) kind: Kind,
    pub(super) text: String,
}

/// As many as PostgreSQL takes.
const FIELDS_MAX: usize = 25;
/// The longest text that PostgreSQL has room for.
const TEXT_BYTES_MAX: usize = 153;

/// What is left of a text.
struct Cursor<'a> {
    rest: &'a [u8],
    field: String,
}

impl Cursor<'_> {
    fn peek(&self) -> u8 {
        self.rest.first().copied().unwrap_or(0)
    }

    fn skip(&mut self) {
        self.rest = &self.rest[1.min(self.rest.len())..];
    }

    /// Takes a character into the field.
    fn take(&mut self) {
        self.field.push(self.peek().to_ascii_lowercase().into());
        self.skip();
    }

    fn take_while(&mut self, wanted: impl Fn(u8) -> bool) {
        while !self.rest.is_empty() && wanted(self.peek()) {
            self.take();
        }
    }

    fn digits(&mut self) {
        self.take_while(|byte| byte.is_ascii_digit());
    }
}

fn is_space(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == 0x0B
}

/// Cuts the text; `None` where it has characters or shapes that no field has. `is_word` knows the words that
/// are no beginning of a date or of a zone's name.
pub(super) fn cut(text: &str, is_word: impl Fn(&str) -> bool) -> Option<Vec<Field>> {
    if text.len() > TEXT_BYTES_MAX {
        return None;
    }
    let mut cursor = Cursor {
        rest: text.as_bytes(),
        field: String::new(),
    };
    let mut fields = Vec::new();
    while !cursor.rest.is_empty() {
        let first = cursor.peek();
        if is_space(first) {
            cursor.skip();
            continue;
        }
        if fields.len() >= FIELDS_MAX {
            return None;
        }
        cursor.field = String::new();
        let kind = match first {
            b'0'..=b'9' => number(&mut cursor),
            b'.' => {
                cursor.take();
                cursor.digits();
                Kind::Number
            }
            b'+' | b'-' => signed(&mut cursor)?,
            _ if first.is_ascii_alphabetic() => word(&mut cursor, &is_word),
            // Other marks only divide.
            _ if first.is_ascii_punctuation() => {
                cursor.skip();
                continue;
            }
            _ => return None,
        };
        fields.push(Field {
            kind,
            text: std::mem::take(&mut cursor.field),
        });
    }
    Some(fields)
}

fn number(cursor: &mut Cursor<'_>) -> Kind {
    cursor.digits();
    let divider = cursor.peek();
    match divider {
        b':' => {
            cursor.take();
            cursor.take_while(|byte| byte.is_ascii_digit() || matches!(byte, b':' | b'.'));
            Kind::Time
        }
        b'-' | b'/' | b'.' => {
            cursor.take();
            if !cursor.peek().is_ascii_digit() {
                // A month's name may come next.
                cursor.take_while(|byte| byte.is_ascii_alphanumeric() || byte == divider);
                return Kind::Date;
            }
            cursor.digits();
            if cursor.peek() == divider {
                cursor.take();
                cursor.take_while(|byte| byte.is_ascii_digit() || byte == divider);
                return Kind::Date;
            }
            match divider {
                b'.' => Kind::Number,
                _ => Kind::Date,
            }
        }
        _ => Kind::Number,
    }
}

fn signed(cursor: &mut Cursor<'_>) -> Option<Kind> {
    cursor.take();
    while is_space(cursor.peek()) {
        cursor.skip();
    }
    match cursor.peek() {
        b'0'..=b'9' => {
            let more = |byte: u8| byte.is_ascii_digit() || matches!(byte, b':' | b'.' | b'-');
            cursor.take_while(more);
            Some(Kind::Zone)
        }
        byte if byte.is_ascii_alphabetic() => {
            cursor.take_while(|byte| byte.is_ascii_alphabetic());
            Some(Kind::SignedWord)
        }
        _ => None,
    }
}

fn word(cursor: &mut Cursor<'_>, is_word: &impl Fn(&str) -> bool) -> Kind {
    cursor.take_while(|byte| byte.is_ascii_alphabetic());
    let is_longer = match cursor.peek() {
        b'-' | b'/' | b'.' => true,
        b'+' | b'0'..=b'9' => !is_word(&cursor.field),
        _ => false,
    };
    if !is_longer {
        return Kind::Word;
    }
    let more = |byte: u8| byte.is_ascii_alphanumeric() || b"+-/_.:".contains(&byte);
    cursor.take_while(more);
    Kind::Date
}
