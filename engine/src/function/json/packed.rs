//! The packed form of JSONB.
//!
//! ```text
//!  value  = tag, then
//!    null, false, true, zero   nothing
//!    string                    its UTF-8, then 0 (JSONB has no U+0000)
//!    negative, positive        see `number`
//!    array                     count, that many values
//!    object                    count, that many pairs of a string and a value, in the order of keys:
//!                              the shorter first, among equally long ones by bytes; no key twice
//!  count  = 1 byte below 251, else 251 and 4 bytes, the highest first
//! ```
//!
//! The order of tags is that of kinds in PostgreSQL: null, strings, numbers, booleans, arrays, objects; containers
//! are compared by count, then member by member. So `memcmp` is the order of JSONB, and equal bytes are equal
//! values. One quirk is PostgreSQL's: an empty array that stands alone is below everything, so it has a tag of
//! its own; within others an empty array is above all scalars. [`lift`] and [`embed`] change one into the other.
//!
//! A value says where it ends. No byte tells how long a container is: a member is replaced without touching
//! anything but the container's count, and found by passing over those before it.

use super::parse::{DEPTH_MAX, too_deep};
use super::{MEMBER_WORK, number};
use crate::error::{Error, Result};
use crate::function::{Work, sorted};

/// The first byte of a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum Tag {
    /// An empty array that is no part of another value.
    Nothing = 1,
    Null,
    String,
    Negative,
    Zero,
    Positive,
    False,
    True,
    Array,
    Object,
}

/// The first count that takes five bytes, and the byte that says so.
const COUNT_LONG: u8 = 251;

/// Reads packed bytes from the front. Every method fails (XX001) where the bytes are not what they should be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The complaint about bytes that are no JSONB.
    #[cold]
    pub(super) fn corrupted(&self) -> Error {
        sql_error!(DATA_CORRUPTED, "a jsonb value is damaged")
            .with_detail(format!("{} bytes before its end", self.rest.len()))
    }

    /// What is not read yet.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        match self.rest.split_at_checked(count) {
            Some((taken, rest)) => {
                self.rest = rest;
                Ok(taken)
            }
            None => Err(self.corrupted()),
        }
    }

    pub(super) fn byte(&mut self) -> Result<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    /// The bytes before the next `end`, which is passed over.
    pub(super) fn until(&mut self, end: u8) -> Result<&'a [u8]> {
        let found = memchr::memchr(end, self.rest);
        let taken = self.take(found.ok_or_else(|| self.corrupted())? + 1)?;
        Ok(&taken[..taken.len() - 1])
    }

    pub(super) fn tag(&mut self) -> Result<Tag> {
        use Tag::{Array, False, Negative, Nothing, Null, Object, Positive, String, True, Zero};
        Ok(match self.byte()? {
            1 => Nothing,
            2 => Null,
            3 => String,
            4 => Negative,
            5 => Zero,
            6 => Positive,
            7 => False,
            8 => True,
            9 => Array,
            10 => Object,
            _ => return Err(self.corrupted()),
        })
    }

    pub(super) fn count(&mut self) -> Result<usize> {
        let count = match self.byte()? {
            COUNT_LONG => {
                let bytes = self.take(4)?;
                bytes.iter().fold(0, |n, b| n << 8 | usize::from(*b))
            }
            short @ 0..COUNT_LONG => short.into(),
            _ => return Err(self.corrupted()),
        };
        // A member takes a byte at least: nobody makes room for what cannot be there.
        if count > self.rest.len() {
            return Err(self.corrupted());
        }
        Ok(count)
    }

    /// The text of a string whose tag was read.
    pub(super) fn text(&mut self) -> Result<&'a str> {
        let bytes = self.until(0)?;
        std::str::from_utf8(bytes).map_err(|_| self.corrupted())
    }

    /// The bytes of a key.
    pub(super) fn key(&mut self) -> Result<&'a [u8]> {
        match self.tag()? {
            Tag::String => self.until(0),
            _ => Err(self.corrupted()),
        }
    }

    /// The bytes of the next value, which may be long: all values within it are passed over.
    pub(super) fn value(&mut self, work: &Work<'_>) -> Result<&'a [u8]> {
        let start = self.rest;
        let mut values = 1_usize;
        while values > 0 {
            work.spend(MEMBER_WORK)?;
            values -= 1;
            match self.tag()? {
                Tag::Nothing | Tag::Null | Tag::Zero | Tag::False | Tag::True => {}
                Tag::String => work.spend(self.until(0)?.len())?,
                Tag::Negative => number::skip(self, true)?,
                Tag::Positive => number::skip(self, false)?,
                Tag::Array => values += self.count()?,
                Tag::Object => values += 2 * self.count()?,
            }
        }
        Ok(&start[..start.len() - self.rest.len()])
    }
}

/// A value, looked into one level deep.
#[derive(Clone, Copy, Debug)]
pub(super) enum View<'a> {
    Scalar(Tag, Reader<'a>),
    Array(Members<'a>),
    Object(Members<'a>),
}

/// The members of a container that are not read yet: elements, or pairs of key and value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Members<'a> {
    pub(super) left: usize,
    pub(super) reader: Reader<'a>,
}

impl<'a> Members<'a> {
    /// The next element of an array.
    pub(super) fn element(&mut self, work: &Work<'_>) -> Result<Option<&'a [u8]>> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        self.reader.value(work).map(Some)
    }

    /// The next pair of an object.
    pub(super) fn pair(&mut self, work: &Work<'_>) -> Result<Option<(&'a str, &'a [u8])>> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        let key = self.reader.key()?;
        let key = std::str::from_utf8(key).map_err(|_| self.reader.corrupted())?;
        Ok(Some((key, self.reader.value(work)?)))
    }
}

/// The next level of a value.
pub(super) fn view(value: &[u8]) -> Result<View<'_>> {
    let mut reader = Reader::new(value);
    Ok(match reader.tag()? {
        Tag::Nothing => View::Array(Members { left: 0, reader }),
        Tag::Array => View::Array(Members {
            left: reader.count()?,
            reader,
        }),
        Tag::Object => View::Object(Members {
            left: reader.count()?,
            reader,
        }),
        tag => View::Scalar(tag, reader),
    })
}

pub(super) fn is_scalar(value: &[u8]) -> bool {
    const NOTHING: u8 = Tag::Nothing as u8;
    const ARRAY: u8 = Tag::Array as u8;
    const OBJECT: u8 = Tag::Object as u8;
    !matches!(value.first(), Some(&(NOTHING | ARRAY | OBJECT)))
}

/// An empty array as it stands in others.
const EMPTY_WITHIN: &[u8] = &[Tag::Array as u8, 0];
/// An empty array by itself.
pub(super) const EMPTY_ARRAY: &[u8] = &[Tag::Nothing as u8];

/// A value as it stands alone.
pub(super) fn lift(value: &[u8]) -> &[u8] {
    if value == EMPTY_WITHIN {
        EMPTY_ARRAY
    } else {
        value
    }
}

/// The same of bytes that are owned.
pub(super) fn lifted(value: Vec<u8>) -> Vec<u8> {
    if value == EMPTY_WITHIN {
        EMPTY_ARRAY.to_vec()
    } else {
        value
    }
}

/// A value as it stands within others.
pub(super) fn embed(value: &[u8]) -> &[u8] {
    if value == EMPTY_ARRAY {
        EMPTY_WITHIN
    } else {
        value
    }
}

pub(super) fn pack_string(out: &mut Vec<u8>, text: &str) {
    out.push(Tag::String as u8);
    out.extend_from_slice(text.as_bytes());
    out.push(0);
}

/// Appends what an array begins with.
pub(super) fn pack_count(out: &mut Vec<u8>, tag: Tag, count: usize) -> Result<()> {
    out.push(tag as u8);
    if count < COUNT_LONG.into() {
        out.push(count as u8);
        return Ok(());
    }
    let count = u32::try_from(count).map_err(|_| {
        sql_error!(
            PROGRAM_LIMIT_EXCEEDED,
            "a jsonb container has too many members"
        )
    })?;
    out.push(COUNT_LONG);
    out.extend_from_slice(&count.to_be_bytes());
    Ok(())
}

/// An array of these values.
pub(super) fn pack_array(elements: &[impl AsRef<[u8]>], work: &Work<'_>) -> Result<Vec<u8>> {
    if elements.is_empty() {
        return Ok(EMPTY_ARRAY.to_vec());
    }
    let mut out = Vec::new();
    pack_count(&mut out, Tag::Array, elements.len())?;
    for element in elements {
        work.spend(MEMBER_WORK + element.as_ref().len())?;
        out.extend_from_slice(embed(element.as_ref()));
    }
    Ok(out)
}

/// An object of these pairs; of several with one key, the last.
pub(super) fn pack_object<K: AsRef<str>, V: AsRef<[u8]>>(
    pairs: &[(K, V)],
    work: &Work<'_>,
) -> Result<Vec<u8>> {
    let key = |i: &u32| pairs[*i as usize].0.as_ref();
    let order = in_order((0..pairs.len() as u32).collect(), key, work)?;
    let mut out = Vec::new();
    pack_count(&mut out, Tag::Object, order.len())?;
    for i in order {
        let value = pairs[i as usize].1.as_ref();
        work.spend(MEMBER_WORK + value.len())?;
        pack_string(&mut out, key(&i));
        out.extend_from_slice(embed(value));
    }
    Ok(out)
}

/// An object of these pairs of texts, where no text is null; of several with one key, the last.
pub(super) fn pack_texts(pairs: &[(&str, Option<&str>)], work: &Work<'_>) -> Result<Vec<u8>> {
    let key = |i: &u32| pairs[*i as usize].0;
    let order = in_order((0..pairs.len() as u32).collect(), key, work)?;
    let mut out = Vec::new();
    pack_count(&mut out, Tag::Object, order.len())?;
    for i in order {
        let (key, value) = pairs[i as usize];
        work.spend(MEMBER_WORK + value.map_or(0, str::len))?;
        pack_string(&mut out, key);
        match value {
            Some(text) => pack_string(&mut out, text),
            None => out.push(Tag::Null as u8),
        }
    }
    Ok(out)
}

/// Brings pairs in the order of their keys and leaves out those that come again later.
pub(super) fn in_order<'a>(
    pairs: Vec<u32>,
    key: impl Fn(&u32) -> &'a str,
    work: &Work<'_>,
) -> Result<Vec<u32>> {
    let order = |a: &u32, b: &u32| compare_keys(key(a).as_bytes(), key(b).as_bytes());
    let pairs = sorted(pairs, order, work)?;
    // The sort is stable: the last of equal keys is the one that stays.
    let is_last = |i: usize| {
        pairs
            .get(i + 1)
            .is_none_or(|next| key(next) != key(&pairs[i]))
    };
    Ok((0..pairs.len())
        .filter(|i| is_last(*i))
        .map(|i| pairs[i])
        .collect())
}

/// The order in which an object holds its keys.
pub(super) fn compare_keys(a: &[u8], b: &[u8]) -> std::cmp::Ordering {
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

/// A value that was put together of others, if it is not deeper than one that can be read.
///
/// # Errors
/// 54001
pub(super) fn bounded(value: Vec<u8>, work: &Work<'_>) -> Result<Vec<u8>> {
    // A level takes two bytes at least.
    if value.len() < 2 * DEPTH_MAX {
        return Ok(value);
    }
    let mut reader = Reader::new(&value);
    // How many values are to come in each container that is open.
    let mut open: Vec<usize> = Vec::new();
    while !reader.rest().is_empty() {
        work.spend(MEMBER_WORK)?;
        let members = match reader.tag()? {
            Tag::String => {
                reader.until(0)?;
                0
            }
            Tag::Negative => {
                number::skip(&mut reader, true)?;
                0
            }
            Tag::Positive => {
                number::skip(&mut reader, false)?;
                0
            }
            Tag::Nothing | Tag::Null | Tag::Zero | Tag::False | Tag::True => 0,
            Tag::Array => reader.count()?,
            Tag::Object => 2 * reader.count()?,
        };
        while open.last() == Some(&0) {
            open.pop();
        }
        if let Some(left) = open.last_mut() {
            *left -= 1;
        }
        if members > 0 {
            if open.len() == DEPTH_MAX {
                return Err(too_deep());
            }
            open.push(members);
        }
    }
    Ok(value)
}
