//! What paths compute: arithmetic and methods.

use super::super::packed::Tag;
use super::super::write::type_name;
use super::item::{Fail, Item, Outcome, Pair, Shape, fails, string};
use super::run::{Run, Scope};
use super::{Method, Node, Operator};
use crate::error::{Error, state};
use crate::function::{Work, decimal, text};
use remora_storage::{DataType, Numeric, Value};
use std::borrow::Cow;
use std::cmp::Ordering;

/// What tells the objects apart that `.keyvalue()` has taken apart in each other.
const ID_STEP: i64 = 10_000_000_000;

impl<'a> Run<'a> {
    /// `a + b`, of one number each.
    pub(super) fn arithmetic(
        &self,
        operator: Operator,
        left: &'a Node,
        right: &'a Node,
        scope: Scope<'_, 'a>,
    ) -> Outcome<Item<'a>> {
        let left = self.collect(left, scope, true)?;
        let right = self.collect(right, scope, true)?;
        let a = operand(&left, "left", operator)?;
        let b = operand(&right, "right", operator)?;
        let found = match operator {
            Operator::Add => decimal::add(a, b),
            Operator::Subtract => decimal::subtract(a, b),
            Operator::Multiply => decimal::multiply(a, b),
            Operator::Divide => decimal::divide(a, b),
            Operator::Modulo => decimal::remainder(a, b),
        };
        found.and_then(Item::of_number).map_err(Fail::Path)
    }

    /// Gives what a method makes of an item.
    pub(super) fn method(
        &self,
        method: Method,
        item: &Item<'a>,
        is_lenient: bool,
        give: &mut dyn FnMut(Item<'a>),
    ) -> Outcome<()> {
        match method {
            Method::Type => give(Item::Value(Cow::Owned(string(type_of(item)?)))),
            Method::Size => match item.shape()? {
                Shape::Array(members) => give(whole(members.left)?),
                _ if self.is_lax() => give(whole(1)?),
                _ if is_lenient => {}
                _ => {
                    let message = "jsonpath item method .size() can only be applied to an array";
                    return fails(state::SQL_JSON_ARRAY_NOT_FOUND, message);
                }
            },
            Method::Abs | Method::Floor | Method::Ceiling => {
                let Some(number) = item.number()? else {
                    let name = method.name();
                    let message = format!(
                        "jsonpath item method .{name}() can only be applied to a numeric value"
                    );
                    return fails(state::NON_NUMERIC_SQL_JSON_ITEM, message);
                };
                let found = match method {
                    Method::Abs if decimal::signum(number) < 0 => decimal::negate(number),
                    Method::Floor => decimal::whole(number, Ordering::Less),
                    Method::Ceiling => decimal::whole(number, Ordering::Greater),
                    _ => Ok(number),
                };
                give(found.and_then(Item::of_number).map_err(Fail::Path)?);
            }
            Method::Double => give(double(item)?),
            Method::KeyValue => self.pairs(item, give)?,
        }
        Ok(())
    }

    /// `.keyvalue()`
    fn pairs(&self, item: &Item<'a>, give: &mut dyn FnMut(Item<'a>)) -> Outcome<()> {
        let mut pair = |id, key, value| give(Item::Pair(Box::new(Pair { id, key, value })));
        match item.shape()? {
            Shape::Object(mut members) => {
                let id = self.id(item);
                while let Some((key, value)) = members.pair(&self.work)? {
                    self.context.check()?;
                    pair(id, Cow::Borrowed(key), Cow::Borrowed(value));
                }
            }
            Shape::Pair(inner) => {
                for (key, value) in inner.members() {
                    pair(inner.id + ID_STEP, Cow::Borrowed(key), value);
                }
            }
            Shape::Array(_) | Shape::Scalar => {
                let message = "jsonpath item method .keyvalue() can only be applied to an object";
                return fails(state::SQL_JSON_OBJECT_NOT_FOUND, message);
            }
        }
        Ok(())
    }

    /// The number of an object: where it is in the document.
    fn id(&self, item: &Item<'a>) -> i64 {
        let Item::Value(Cow::Borrowed(bytes)) = item else {
            return 0;
        };
        let root = self.root.as_ptr_range();
        match root.contains(&bytes.as_ptr()) {
            true => (bytes.as_ptr() as usize - root.start as usize) as i64,
            // Of a variable.
            false => ID_STEP,
        }
    }

    /// `.datetime()`: the type is that which the text has the form of.
    pub(super) fn moment(&self, item: &Item<'a>, template: Option<&str>) -> Outcome<Item<'a>> {
        let Some(given) = item.text() else {
            let message = "jsonpath item method .datetime() can only be applied to a string";
            return fails(state::INVALID_ARGUMENT_FOR_SQL_JSON_DATETIME, message);
        };
        if template.is_some() {
            return Err(Error::unsupported("a template of .datetime()").into());
        }
        let found = form(given).and_then(|data_type| {
            let value = text::parse(given, data_type).ok()?;
            Some(Item::Moment(Box::new((value, data_type))))
        });
        found.ok_or_else(|| {
            let message = format!("datetime format is not recognized: \"{given}\"");
            Fail::Path(
                Error::new(state::INVALID_ARGUMENT_FOR_SQL_JSON_DATETIME, message).with_hint(
                    "Use a datetime template argument to specify the input data format.",
                ),
            )
        })
    }
}

fn whole(count: usize) -> Outcome<Item<'static>> {
    let number = Numeric::new(count as i128, 0).unwrap_or(Numeric::ZERO);
    Ok(Item::of_number(number)?)
}

fn operand(items: &[Item<'_>], side: &str, operator: Operator) -> Outcome<Numeric> {
    let found = match items {
        [only] => only.number()?,
        _ => None,
    };
    match found {
        Some(number) => Ok(number),
        None => {
            let sign = operator.sign();
            let message =
                format!("{side} operand of jsonpath operator {sign} is not a single numeric value");
            fails(state::SINGLETON_SQL_JSON_ITEM_REQUIRED, message)
        }
    }
}

fn type_of(item: &Item<'_>) -> Outcome<&'static str> {
    Ok(match item {
        Item::Value(bytes) => type_name(bytes)?,
        Item::Pair(_) => "object",
        Item::Moment(moment) => match moment.1 {
            DataType::Date => "date",
            DataType::Time => "time without time zone",
            DataType::Timestamp => "timestamp without time zone",
            _ => "timestamp with time zone",
        },
    })
}

/// `.double()`: a number that fits, or a string that is one.
fn double(item: &Item<'_>) -> Outcome<Item<'static>> {
    const WHAT: &str = "argument of jsonpath item method .double() is";
    let (kind, given) = match item.scalar() {
        Some((Tag::Negative | Tag::Zero | Tag::Positive, bytes)) => {
            let shown = super::super::write::to_string(
                bytes,
                super::super::write::Layout::Tight,
                &Work::unasked(),
            )?;
            let number = Item::Value(Cow::Owned(bytes.to_vec()));
            let fits = text::parse(&shown, DataType::Double);
            return match fits {
                Ok(Value::Double(value)) if value.is_finite() => Ok(number),
                _ => fails(
                    state::NON_NUMERIC_SQL_JSON_ITEM,
                    format!("numeric {WHAT} out of range for type double precision"),
                ),
            };
        }
        _ => match item.text() {
            Some(given) => ("string", given),
            None => {
                let message = "jsonpath item method .double() can only be applied to a string or numeric value";
                return fails(state::NON_NUMERIC_SQL_JSON_ITEM, message);
            }
        },
    };
    let found = match text::parse(given, DataType::Double) {
        Ok(Value::Double(value)) if value.is_finite() => decimal::from_float(value, 15).ok(),
        _ => None,
    };
    match found {
        Some(number) => Ok(Item::of_number(number)?),
        None => fails(
            state::NON_NUMERIC_SQL_JSON_ITEM,
            format!("{kind} {WHAT} not a valid representation of a double precision number"),
        ),
    }
}

/// The type whose form a text has, to the letter: `2020-01-31`, `12:30:00`, or both with `T` or a blank between
/// them and perhaps a time zone behind.
fn form(given: &str) -> Option<DataType> {
    let is_date = |text: &str| pattern(text, "dddd-dd-dd");
    let (date, time) = match given.split_once(['T', ' ']) {
        Some((date, time)) => (Some(date), time),
        None if is_date(given) => return Some(DataType::Date),
        None => (None, given),
    };
    if date.is_some_and(|date| !is_date(date)) {
        return None;
    }
    let (time, zone) = match time.find(['+', '-']) {
        Some(at) => (&time[..at], Some(&time[at + 1..])),
        None => (time, None),
    };
    let (clock, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let is_fraction = !fraction.is_empty() && fraction.bytes().all(|b| b.is_ascii_digit());
    let is_zone = zone.is_none_or(|zone| pattern(zone, "dd") || pattern(zone, "dd:dd"));
    if !pattern(clock, "dd:dd:dd") || !is_fraction || !is_zone {
        return None;
    }
    match (date, zone) {
        (None, None) => Some(DataType::Time),
        (Some(_), None) => Some(DataType::Timestamp),
        (Some(_), Some(_)) => Some(DataType::TimestampTz),
        (None, Some(_)) => None,
    }
}

/// Whether a text has a digit for each `d` and is the pattern else.
fn pattern(text: &str, pattern: &str) -> bool {
    let fits = |(found, wanted): (u8, u8)| match wanted {
        b'd' => found.is_ascii_digit(),
        other => found == other,
    };
    text.len() == pattern.len() && text.bytes().zip(pattern.bytes()).all(fits)
}
