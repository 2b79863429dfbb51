//! Tests of paths: true, false, or unknown, which is `None`.
//!
//! Two sides of a test may be many items: it is true where it is for one pair of them. In strict mode all
//! pairs are looked at, and one that cannot be compared makes the whole unknown.

use super::super::packed::Tag;
use super::item::{Fail, Item, Outcome, Shape};
use super::run::{Run, Scope};
use super::{Comparison, Node};
use crate::error::{Error, Result, state};
use crate::function::calendar::DAY;
use crate::function::{Work, regex};
use remora_storage::{DataType, Value};
use std::cmp::Ordering;

type Truth = Option<bool>;

/// Fails for a pattern that is none.
pub(super) fn pattern_is_right(pattern: &str, letters: &str) -> Result<()> {
    if letters.contains('x') && !letters.contains('q') {
        return Err(Error::unsupported(
            "XQuery \"x\" flag (expanded regular expressions)",
        ));
    }
    regex::like_regex("", pattern, letters, &Work::unasked()).map(|_| ())
}

/// Takes a failure of the path for not knowing.
fn or_unknown<T>(outcome: Outcome<T>) -> Result<Option<T>> {
    match outcome {
        Ok(found) => Ok(Some(found)),
        Err(Fail::Path(_)) => Ok(None),
        Err(Fail::Hard(error)) => Err(error),
    }
}

impl<'a> Run<'a> {
    /// What a test comes to.
    pub(super) fn test(&self, test: &'a Node, scope: Scope<'_, 'a>) -> Outcome<Truth> {
        Ok(match test {
            Node::And(left, right) => match self.test(left, scope)? {
                Some(false) => Some(false),
                left => match self.test(right, scope)? {
                    Some(true) => left,
                    right => right,
                },
            },
            Node::Or(left, right) => match self.test(left, scope)? {
                Some(true) => Some(true),
                left => match self.test(right, scope)? {
                    Some(false) => left,
                    right => right,
                },
            },
            Node::Not(inner) => self.test(inner, scope)?.map(|truth| !truth),
            Node::IsUnknown(inner) => Some(self.test(inner, scope)?.is_none()),
            Node::Compare(comparison, left, right) => {
                let right = or_unknown(self.collect(right, scope, true))?;
                self.any_pair(left, right, scope, |a, b| self.compare(*comparison, a, b))?
            }
            Node::StartsWith(left, right) => {
                let right = or_unknown(self.collect(right, scope, false))?;
                self.any_pair(left, right, scope, |whole, start| {
                    Ok(match (whole.text(), start.text()) {
                        (Some(whole), Some(start)) => Some(whole.starts_with(start)),
                        _ => None,
                    })
                })?
            }
            Node::Like(left, pattern, letters) => {
                let once = Some(vec![scope.current.clone()]);
                self.any_pair(left, once, scope, |item, _| match item.text() {
                    Some(text) => Ok(Some(regex::like_regex(text, pattern, letters, &self.work)?)),
                    None => Ok(None),
                })?
            }
            Node::Exists(inner) => self.exists(inner, scope)?,
            // No test: the grammar has none of these here.
            _ => None,
        })
    }

    fn exists(&self, inner: &'a Node, scope: Scope<'_, 'a>) -> Result<Truth> {
        let mut found = false;
        let walked = self.walk(inner, scope, &mut |_| {
            found = true;
            // In strict mode an error may be yet to come.
            Ok(!self.is_lax())
        });
        Ok(or_unknown(walked)?.map(|_| found))
    }

    /// Asks about each pair of items; nobody knows where either side fails.
    fn any_pair(
        &self,
        left: &'a Node,
        right: Option<Vec<Item<'a>>>,
        scope: Scope<'_, 'a>,
        ask: impl Fn(&Item<'a>, &Item<'a>) -> Outcome<Truth>,
    ) -> Outcome<Truth> {
        let left = or_unknown(self.collect(left, scope, true))?;
        let (Some(left), Some(right)) = (left, right) else {
            return Ok(None);
        };
        let (mut found, mut is_unknown) = (false, false);
        for left in &left {
            for right in &right {
                self.context.check()?;
                match ask(left, right)? {
                    Some(true) if self.is_lax() => return Ok(Some(true)),
                    Some(true) => found = true,
                    None if !self.is_lax() => return Ok(None),
                    None => is_unknown = true,
                    Some(false) => {}
                }
            }
        }
        Ok(match (found, is_unknown) {
            (true, _) => Some(true),
            (false, true) => None,
            (false, false) => Some(false),
        })
    }

    fn compare(&self, comparison: Comparison, a: &Item<'a>, b: &Item<'a>) -> Outcome<Truth> {
        let order = match (a, b) {
            (Item::Moment(a), Item::Moment(b)) => self.order_of_moments(a, b)?,
            _ => order_of_scalars(comparison, a, b)?,
        };
        Ok(match order {
            Order::Of(order) => Some(match comparison {
                Comparison::Equal => order.is_eq(),
                Comparison::NotEqual => order.is_ne(),
                Comparison::Less => order.is_lt(),
                Comparison::LessOrEqual => order.is_le(),
                Comparison::Greater => order.is_gt(),
                Comparison::GreaterOrEqual => order.is_ge(),
            }),
            Order::Known(truth) => Some(truth),
            Order::None => None,
        })
    }

    /// The order of dates, times and timestamps, where there is any.
    fn order_of_moments(&self, a: &(Value, DataType), b: &(Value, DataType)) -> Outcome<Order> {
        let is_zoned = |of: &(Value, DataType)| of.1 == DataType::TimestampTz;
        if is_zoned(a) != is_zoned(b)
            && a.1 != DataType::Time
            && b.1 != DataType::Time
            && !self.has_zone
        {
            let from = if is_zoned(a) { b.1 } else { a.1 };
            let from = match from {
                DataType::Date => "date",
                _ => "timestamp",
            };
            let message =
                format!("cannot convert value from {from} to timestamptz without time zone usage");
            return Err(Fail::Hard(
                Error::new(state::FEATURE_NOT_SUPPORTED, message)
                    .with_hint("Use *_tz() function for time zone support."),
            ));
        }
        Ok(match (micros(&a.0), micros(&b.0)) {
            (Some(a), Some(b)) => Order::Of(a.cmp(&b)),
            _ => match (&a.0, &b.0) {
                (Value::Time(a), Value::Time(b)) => Order::Of(a.cmp(b)),
                _ => Order::None,
            },
        })
    }
}

/// How two items stand to each other.
enum Order {
    Of(Ordering),
    /// Whatever it is, this is the answer.
    Known(bool),
    None,
}

/// A moment as microseconds.
fn micros(value: &Value) -> Option<i128> {
    match value {
        Value::Date(days) => Some(i128::from(*days) * i128::from(DAY)),
        Value::Timestamp(micros) | Value::TimestampTz(micros) => Some((*micros).into()),
        _ => None,
    }
}

fn order_of_scalars(comparison: Comparison, a: &Item<'_>, b: &Item<'_>) -> Result<Order> {
    let is_null = |item: &Item<'_>| matches!(item.scalar(), Some((Tag::Null, _)));
    if is_null(a) != is_null(b) {
        return Ok(Order::Known(comparison == Comparison::NotEqual));
    }
    if !matches!((a.shape()?, b.shape()?), (Shape::Scalar, Shape::Scalar)) {
        return Ok(Order::None);
    }
    let (Some((first, one)), Some((second, other))) = (a.scalar(), b.scalar()) else {
        return Ok(Order::None);
    };
    // Values of one kind compare as their bytes do, and false comes before true.
    Ok(match kind(first) == kind(second) {
        true => Order::Of(one.cmp(other)),
        false => Order::None,
    })
}

/// What is compared with each other.
fn kind(tag: Tag) -> u8 {
    match tag {
        Tag::Null => 0,
        Tag::String => 1,
        Tag::Negative | Tag::Zero | Tag::Positive => 2,
        Tag::False | Tag::True => 3,
        Tag::Nothing | Tag::Array | Tag::Object => 4,
    }
}
