//! What the steps of a path lead to, and why they may lead nowhere.

use super::super::packed::{self, Members, Tag, View, view};
use super::super::sql::NULL;
use super::super::{number, sql};
use super::decimal_of;
use crate::error::{Error, Result};
use crate::function::text::write_numeric;
use crate::function::{EvalContext, Work};
use remora_storage::{DataType, Numeric, Value};
use std::borrow::Cow;

/// Why a walk ended before its end.
pub(super) enum Fail {
    /// The path does not suit the document.
    Path(Error),
    /// Anything else: an interrupt, a damaged value.
    Hard(Error),
}

impl From<Error> for Fail {
    fn from(error: Error) -> Self {
        Self::Hard(error)
    }
}

pub(super) type Outcome<T> = std::result::Result<T, Fail>;

/// A failure of the path.
pub(super) fn fails<T>(sqlstate: &'static str, message: impl Into<String>) -> Outcome<T> {
    Err(Fail::Path(Error::new(sqlstate, message)))
}

/// What a walk comes to.
#[derive(Clone, Debug)]
pub(super) enum Item<'a> {
    /// A value of JSONB as it stands within others. What is owned is a scalar.
    Value(Cow<'a, [u8]>),
    /// What `.keyvalue()` makes.
    Pair(Box<Pair<'a>>),
    /// What `.datetime()` makes.
    Moment(Box<(Value, DataType)>),
}

/// A pair of an object, which is an object itself.
#[derive(Clone, Debug)]
pub(super) struct Pair<'a> {
    /// The object's number.
    pub(super) id: i64,
    pub(super) key: Cow<'a, str>,
    pub(super) value: Cow<'a, [u8]>,
}

impl<'a> Pair<'a> {
    /// Its own pairs.
    pub(super) fn members(&self) -> [(&'static str, Cow<'a, [u8]>); 3] {
        [
            ("id", Cow::Owned(whole(self.id))),
            ("key", Cow::Owned(string(&self.key))),
            ("value", self.value.clone()),
        ]
    }
}

/// What an item is made of.
pub(super) enum Shape<'a> {
    Array(Members<'a>),
    Object(Members<'a>),
    Pair(Box<Pair<'a>>),
    Scalar,
}

impl<'a> Item<'a> {
    pub(super) fn shape(&self) -> Result<Shape<'a>> {
        Ok(match self {
            Self::Value(Cow::Borrowed(bytes)) => match view(bytes)? {
                View::Array(members) => Shape::Array(members),
                View::Object(members) => Shape::Object(members),
                View::Scalar(..) => Shape::Scalar,
            },
            Self::Pair(pair) => Shape::Pair(pair.clone()),
            Self::Value(Cow::Owned(_)) | Self::Moment(_) => Shape::Scalar,
        })
    }

    /// The tag and the bytes of a scalar of JSONB.
    pub(super) fn scalar(&self) -> Option<(Tag, &[u8])> {
        match self {
            Self::Value(bytes) => match view(bytes) {
                Ok(View::Scalar(tag, _)) => Some((tag, bytes)),
                _ => None,
            },
            _ => None,
        }
    }

    /// The item as a number.
    pub(super) fn number(&self) -> Outcome<Option<Numeric>> {
        match self.scalar() {
            Some((Tag::Negative | Tag::Zero | Tag::Positive, bytes)) => {
                decimal_of(bytes).map(Some).map_err(Fail::Path)
            }
            _ => Ok(None),
        }
    }

    /// The text of a string.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Value(bytes) => match bytes.as_ref() {
                [tag, text @ .., 0] if *tag == Tag::String as u8 => std::str::from_utf8(text).ok(),
                _ => None,
            },
            _ => None,
        }
    }

    /// The item as a document of its own.
    pub(super) fn document(&self, context: &EvalContext) -> Result<Cow<'_, [u8]>> {
        match self {
            Self::Value(bytes) => Ok(Cow::Borrowed(packed::lift(bytes))),
            Self::Pair(pair) => {
                let object = packed::pack_object(&pair.members(), &Work::new(context))?;
                Ok(Cow::Owned(object))
            }
            Self::Moment(moment) => {
                let mut out = Vec::new();
                let style = context.style().of_json();
                let work = Work::new(context);
                sql::pack_value(&mut out, moment.0.as_ref(), moment.1, &style, &work)?;
                Ok(Cow::Owned(out))
            }
        }
    }

    pub(super) fn of_number(value: Numeric) -> Result<Self> {
        let (mut text, mut out) = (String::new(), Vec::new());
        write_numeric(&mut text, value);
        number::pack(&mut out, &text)?;
        Ok(Self::Value(Cow::Owned(out)))
    }
}

pub(super) fn whole(value: i64) -> Vec<u8> {
    let mut out = Vec::new();
    match number::pack(&mut out, &value.to_string()) {
        Ok(()) => out,
        Err(_) => NULL.to_vec(),
    }
}

pub(super) fn string(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    packed::pack_string(&mut out, text);
    out
}
