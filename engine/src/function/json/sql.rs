//! Values of SQL as JSON, and JSON as values of SQL.

use super::lex::{Escapes, Kind};
use super::packed::{self, Tag, View, view};
use super::tape::{self, Place};
use super::write::{self, Layout, write_quoted};
use super::{number, parse};
use crate::error::{Error, Result, state};
use crate::function::text::{self, Style};
use crate::function::{Work, check_size, element_of};
use remora_storage::value::{PackedType, SqlArray, SqlRecord};
use remora_storage::{DataType, Value, ValueRef};
use std::borrow::Cow;
use std::fmt::Write;

/// `null`, as JSONB.
pub(super) const NULL: &[u8] = &[Tag::Null as u8];

/// A text as JSON: it is kept as it is if it is right.
///
/// # Errors
/// 22P02, 54001.
pub(crate) fn parse_json(text: &str, work: &Work<'_>) -> Result<()> {
    parse::parse(text, Escapes::Form, &mut (), work)
}

/// A text as JSONB.
///
/// # Errors
/// 22P02, 22P05, 22003, 54001.
pub(crate) fn parse_jsonb(text: &str, work: &Work<'_>) -> Result<Vec<u8>> {
    tape::pack(text, work)
}

/// JSONB as text. Bytes that are none, which only a damaged disk has, end it.
///
/// # Errors
/// Those of [`Work::spend`].
pub(crate) fn write_jsonb(out: &mut String, value: &[u8], work: &Work<'_>) -> Result<()> {
    match write::write(out, value, Layout::Tight, work) {
        // The part before the damage is shown: there is no error in showing a value.
        Err(error) if error.sqlstate() == state::DATA_CORRUPTED => Ok(()),
        other => other,
    }
}

/// The work of an element beside that over its bytes.
const ELEMENT_WORK: usize = 16;

/// What a value becomes as JSON.
enum Shape<'a> {
    Null,
    /// As JSON writes it, without quotes.
    Bare(Cow<'a, str>),
    /// As JSON.
    Document(&'a str),
    /// As JSONB.
    Packed(&'a [u8]),
    /// A string.
    String(Cow<'a, str>),
}

fn shape<'v>(
    value: ValueRef<'v>,
    data_type: DataType,
    style: &Style,
    work: &Work<'_>,
) -> Result<Shape<'v>> {
    let shown = || {
        let mut out = String::new();
        text::write_counted(&mut out, value, data_type, style, work).map(|()| out)
    };
    Ok(match (value, data_type) {
        (ValueRef::Null, _) => Shape::Null,
        (ValueRef::Boolean(v), _) => Shape::Bare(Cow::Borrowed(if v { "true" } else { "false" })),
        (ValueRef::SmallInt(_) | ValueRef::Integer(_) | ValueRef::BigInt(_), _) => {
            Shape::Bare(Cow::Owned(shown()?))
        }
        (ValueRef::Real(_) | ValueRef::Double(_) | ValueRef::Numeric(_), _) => {
            let shown = shown()?;
            // NaN and the infinities are no numbers in JSON.
            match shown.ends_with(|c: char| c.is_ascii_digit()) {
                true => Shape::Bare(Cow::Owned(shown)),
                false => Shape::String(Cow::Owned(shown)),
            }
        }
        (ValueRef::Text(v), DataType::Json) => Shape::Document(v),
        (ValueRef::Packed(PackedType::Jsonb, v), _) => Shape::Packed(v),
        (ValueRef::Text(_), DataType::Char(_)) => Shape::String(Cow::Owned(shown()?)),
        (ValueRef::Text(v), _) => Shape::String(Cow::Borrowed(v)),
        (ValueRef::Timestamp(_) | ValueRef::TimestampTz(_), _) => {
            Shape::String(Cow::Owned(moment(&shown()?)))
        }
        _ => Shape::String(Cow::Owned(shown()?)),
    })
}

/// A moment in the form of ISO 8601.
fn moment(shown: &str) -> String {
    let (time, era) = match shown.strip_suffix(" BC") {
        Some(time) => (time, " BC"),
        None => (shown, ""),
    };
    // A displacement of whole hours has its minutes too.
    let is_short = time.len() > 3 && matches!(time.as_bytes()[time.len() - 3], b'+' | b'-');
    let full = if is_short && time.contains(':') {
        ":00"
    } else {
        ""
    };
    format!("{}{full}{era}", time.replacen(' ', "T", 1))
}

/// Appends any value as JSON.
pub(super) fn write_json(
    out: &mut String,
    value: ValueRef<'_>,
    data_type: DataType,
    style: &Style,
    work: &Work<'_>,
) -> Result<()> {
    work.reach(out.len())?;
    if let Some(array) = value.as_array() {
        let element = element_of(data_type).unwrap_or(array.element_type());
        return write_array(out, &array, element, style, work);
    }
    if let Some(record) = value.as_record() {
        return write_record(out, &record, data_type, style, work);
    }
    match shape(value, data_type, style, work)? {
        Shape::Null => out.push_str("null"),
        Shape::Bare(text) => out.push_str(&text),
        Shape::Document(text) => out.push_str(text),
        Shape::Packed(value) => write::write(out, value, Layout::Tight, work)?,
        Shape::String(text) => write_quoted(out, &text, work)?,
    }
    Ok(())
}

/// Any value as a document of one of the two types.
pub(in crate::function) fn as_json(
    value: ValueRef<'_>,
    data_type: DataType,
    document: DataType,
    style: &Style,
    work: &Work<'_>,
) -> Result<Value> {
    if document == DataType::Json {
        let mut out = String::new();
        write_json(&mut out, value, data_type, style, work)?;
        check_size(Some(out.len()))?;
        return Ok(Value::Text(out));
    }
    let mut out = Vec::new();
    pack_value(&mut out, value, data_type, style, work)?;
    check_size(Some(out.len()))?;
    Ok(owned_jsonb(packed::lifted(out)))
}

/// Appends an array as arrays in arrays, one level for each of its dimensions.
fn write_array(
    out: &mut String,
    array: &SqlArray<'_>,
    element_type: DataType,
    style: &Style,
    work: &Work<'_>,
) -> Result<()> {
    if array.is_empty() {
        out.push_str("[]");
        return Ok(());
    }
    // How many elements lie in one array of each level, from the innermost.
    let lengths: Vec<usize> = array.dimensions().map(|one| one.length as usize).collect();
    let mut sizes: Vec<usize> = Vec::with_capacity(lengths.len());
    for length in lengths.into_iter().rev() {
        sizes.push(length * sizes.last().copied().unwrap_or(1));
    }
    let levels = |at: usize| {
        sizes
            .iter()
            .filter(|size| at.is_multiple_of(**size))
            .count()
    };
    for (at, element) in array.iter().enumerate() {
        work.spend(ELEMENT_WORK)?;
        if at > 0 {
            out.push(',');
        }
        out.extend(std::iter::repeat_n('[', levels(at)));
        write_json(out, element, element_type, style, work)?;
        out.extend(std::iter::repeat_n(']', levels(at + 1)));
    }
    Ok(())
}

/// Appends a record as an object; fields without a name are `f1`, `f2` and so on.
fn write_record(
    out: &mut String,
    record: &SqlRecord<'_>,
    data_type: DataType,
    style: &Style,
    work: &Work<'_>,
) -> Result<()> {
    let named = match data_type {
        DataType::Packed(PackedType::Record(of)) => of.fields(),
        _ => None,
    };
    let named = named.filter(|fields| fields.len() == record.len());
    out.push('{');
    for (at, (data_type, value)) in record.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        let field = named.as_ref().map(|fields| &fields[at]);
        match field {
            Some(field) => write_quoted(out, &field.name, work)?,
            None => write_quoted(out, &format!("f{}", at + 1), work)?,
        }
        out.push(':');
        write_json(
            out,
            value,
            field.map_or(data_type, |field| field.data_type),
            style,
            work,
        )?;
    }
    out.push('}');
    Ok(())
}

/// Appends any value as JSONB, as it stands within others.
pub(super) fn pack_value(
    out: &mut Vec<u8>,
    value: ValueRef<'_>,
    data_type: DataType,
    style: &Style,
    work: &Work<'_>,
) -> Result<()> {
    if value.as_array().is_some() || value.as_record().is_some() {
        let mut text = String::new();
        write_json(&mut text, value, data_type, style, work)?;
        out.extend_from_slice(packed::embed(&tape::pack(&text, work)?));
        return Ok(());
    }
    match shape(value, data_type, style, work)? {
        Shape::Null => out.push(Tag::Null as u8),
        Shape::Bare(text) => match &*text {
            "true" => out.push(Tag::True as u8),
            "false" => out.push(Tag::False as u8),
            digits => number::pack(out, digits)?,
        },
        Shape::Document(text) => out.extend_from_slice(packed::embed(&tape::pack(text, work)?)),
        Shape::Packed(value) => out.extend_from_slice(packed::embed(value)),
        Shape::String(text) => packed::pack_string(out, &text),
    }
    Ok(())
}

/// What a key of an object is made of: any scalar, written as JSON. `None` for null.
///
/// # Errors
/// 22023 for arrays and objects.
pub(super) fn key_of(json: &str, work: &Work<'_>) -> Result<Option<String>> {
    let tape = tape::read(json, Escapes::Meaning, work)?;
    let root = tape.root();
    match root.kind() {
        Kind::ArrayStart | Kind::ObjectStart => Err(sql_error!(
            INVALID_PARAMETER_VALUE,
            "key value must be scalar, not array, composite, or json"
        )),
        _ => Ok(root.as_text()?.map(Cow::into_owned)),
    }
}

/// A scalar of JSONB as a number or boolean of SQL.
///
/// # Errors
/// 22023 where it is of another kind, 22003 where it does not fit.
pub(crate) fn cast_jsonb(value: &[u8], to: DataType) -> Result<Value> {
    let kind = write::type_name(value)?;
    let wanted = if to == DataType::Boolean {
        "boolean"
    } else {
        "number"
    };
    if kind != wanted {
        let to = to.without_modifier();
        let message = format!("cannot cast jsonb {kind} to type {to}");
        return Err(Error::new(state::INVALID_PARAMETER_VALUE, message));
    }
    match view(value)? {
        View::Scalar(tag @ (Tag::True | Tag::False), _) => Ok(Value::Boolean(tag == Tag::True)),
        _ => text::parse(
            &write::to_string(value, Layout::Tight, &Work::unasked())?,
            DataType::Numeric(None),
        ),
    }
}

/// A value of a JSON text as JSON; `None` is NULL.
pub(super) fn json(place: Option<Place<'_>>) -> Value {
    place.map_or(Value::Null, |place| Value::Text(place.text().to_owned()))
}

/// The same as text: strings without quotes, null as NULL.
pub(super) fn json_text(place: Option<Place<'_>>) -> Result<Value> {
    match place {
        None => Ok(Value::Null),
        Some(place) => Ok(optional(place.as_text()?.map(Cow::into_owned))),
    }
}

/// A value within one of JSONB by itself; `None` is NULL.
pub(super) fn jsonb(value: Option<&[u8]>) -> Value {
    value.map_or(Value::Null, |value| {
        owned_jsonb(packed::lift(value).to_vec())
    })
}

/// The same as text.
pub(super) fn jsonb_text(value: Option<&[u8]>, work: &Work<'_>) -> Result<Value> {
    match value {
        None => Ok(Value::Null),
        Some(value) => Ok(optional(write::to_text(value, work)?)),
    }
}

pub(super) fn owned_jsonb(value: Vec<u8>) -> Value {
    Value::Packed(PackedType::Jsonb, value)
}

pub(super) fn optional(text: Option<String>) -> Value {
    text.map_or(Value::Null, Value::Text)
}

/// Pairs as a JSON object with the blanks of `json_build_object`.
pub(super) fn spaced_object<'a>(
    pairs: impl Iterator<Item = (&'a str, &'a str)>,
    work: &Work<'_>,
) -> Result<String> {
    let mut out = "{".to_owned();
    for (i, (key, value)) in pairs.enumerate() {
        if i > 0 {
            out.push_str(", ");
        }
        work.spend(value.len())?;
        write_quoted(&mut out, key, work)?;
        let _ = write!(out, " : {value}");
    }
    out.push('}');
    Ok(out)
}
