//! One line of output.

use remora::internal::text::{self, Style};
use remora::{DataType, Delivery, Error, Outcome, Row, RowSet, ValueRef};
use serde::Serialize;
use serde::ser::{SerializeSeq, Serializer};
use std::time::Duration;

/// The largest magnitude up to which every whole number is a double: what readers of JSON that
/// know no other numbers can hold.
const EXACT_MAX: u64 = 1 << 53;

/// The answer to a reset.
pub(super) const DONE: Done = Done { ok: true };

#[derive(Serialize)]
pub(super) struct Done {
    ok: bool,
}

/// The line that comes before the answer to a statement that waits for another session.
#[derive(Serialize)]
pub(super) struct Waiting<'a> {
    session: &'a str,
    waiting: bool,
}

impl<'a> Waiting<'a> {
    pub(super) fn new(session: &'a str) -> Self {
        Self {
            session,
            waiting: true,
        }
    }
}

/// The line of a notification, or of some that were lost, which answers nothing.
#[derive(Serialize)]
pub(super) struct News<'a> {
    session: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    notification: Option<NotificationLine<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    notifications_lost: Option<u64>,
}

#[derive(Serialize)]
struct NotificationLine<'a> {
    channel: &'a str,
    payload: &'a str,
    pid: u32,
}

impl<'a> News<'a> {
    pub(super) fn new(session: &'a str, delivery: &'a Delivery) -> Self {
        let (notification, notifications_lost) = match delivery {
            Delivery::Notification(one) => {
                let line = NotificationLine {
                    channel: &one.channel,
                    payload: &one.payload,
                    pid: one.process_id,
                };
                (Some(line), None)
            }
            Delivery::Lost(count) => (None, Some(*count)),
        };
        Self {
            session,
            notification,
            notifications_lost,
        }
    }
}

/// The answer to a statement that succeeded.
#[derive(Serialize)]
pub(super) struct Success<'a> {
    ok: bool,
    session: &'a str,
    #[serde(flatten)]
    body: Body<'a>,
    elapsed_us: u64,
}

/// The outcome of a statement, whoever asked for it and however long it took.
#[derive(Serialize)]
pub(super) struct Body<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    columns: Option<Vec<&'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    types: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rows: Option<JsonRows<'a>>,
    changes: u64,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    notices: &'a [String],
}

impl<'a> Success<'a> {
    pub(super) fn new(session: &'a str, body: Body<'a>, elapsed: Duration) -> Self {
        Self {
            ok: true,
            session,
            body,
            elapsed_us: micros(elapsed),
        }
    }
}

/// An answer that was kept: its body was written before.
pub(super) fn of_kept(session: &str, body: &str, elapsed: Duration) -> String {
    let session = serde_json::Value::from(session);
    // A body is an object that is never empty.
    let body = body.strip_prefix('{').unwrap_or(body);
    let body = body.strip_suffix('}').unwrap_or(body);
    let elapsed = micros(elapsed);
    format!("{{\"ok\":true,\"session\":{session},{body},\"elapsed_us\":{elapsed}}}")
}

fn micros(elapsed: Duration) -> u64 {
    u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX)
}

impl<'a> Body<'a> {
    pub(super) fn new(outcome: &'a Outcome, style: &'a Style) -> Self {
        let columns = outcome.rows.as_ref().map(RowSet::columns);
        Self {
            columns: columns.map(|all| all.iter().map(|column| column.name.as_str()).collect()),
            types: columns.map(|all| all.iter().map(|c| c.data_type.to_string()).collect()),
            rows: outcome.rows.as_ref().map(|rows| JsonRows(rows, style)),
            changes: outcome.changes,
            notices: &outcome.notices,
        }
    }
}

/// The answer to what failed.
#[derive(Serialize)]
pub(super) struct Failure<'a> {
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<&'a str>,
    sqlstate: &'a str,
    error: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<u32>,
}

impl<'a> Failure<'a> {
    pub(super) fn new(session: Option<&'a str>, error: &'a Error) -> Self {
        let position = error.position();
        Self {
            ok: false,
            session,
            sqlstate: error.sqlstate(),
            error: error.message(),
            detail: error.detail(),
            hint: error.hint(),
            line: position.map(|position| position.line),
            column: position.map(|position| position.column),
        }
    }
}

struct JsonRows<'a>(&'a RowSet, &'a Style);

impl Serialize for JsonRows<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut rows = serializer.serialize_seq(Some(self.0.len()))?;
        for row in self.0.iter() {
            rows.serialize_element(&JsonRow(row, self.1))?;
        }
        rows.end()
    }
}

struct JsonRow<'a>(Row<'a>, &'a Style);

impl Serialize for JsonRow<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let columns = self.0.columns();
        let mut values = serializer.serialize_seq(Some(columns.len()))?;
        for (value, column) in self.0.values().zip(columns) {
            values.serialize_element(&JsonValue(value, column.data_type, self.1))?;
        }
        values.end()
    }
}

/// A value: as JSON's own where JSON holds it exactly, else in PostgreSQL's text form.
struct JsonValue<'a>(ValueRef<'a>, DataType, &'a Style);

impl JsonValue<'_> {
    fn shown(&self) -> String {
        text::format_in(self.0, self.1, self.2).unwrap_or_default()
    }
}

impl Serialize for JsonValue<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            ValueRef::Null => serializer.serialize_unit(),
            ValueRef::Boolean(value) => serializer.serialize_bool(value),
            ValueRef::SmallInt(value) => serializer.serialize_i16(value),
            ValueRef::Integer(value) => serializer.serialize_i32(value),
            ValueRef::BigInt(value) if value.unsigned_abs() <= EXACT_MAX => {
                serializer.serialize_i64(value)
            }
            ValueRef::Real(value) if value.is_finite() && self.2.rounds_floats() => {
                serializer.serialize_f32(self.shown().parse().unwrap_or(value))
            }
            ValueRef::Double(value) if value.is_finite() && self.2.rounds_floats() => {
                serializer.serialize_f64(self.shown().parse().unwrap_or(value))
            }
            ValueRef::Real(value) if value.is_finite() => serializer.serialize_f32(value),
            ValueRef::Double(value) if value.is_finite() => serializer.serialize_f64(value),
            _ => serializer.serialize_str(&self.shown()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(value: ValueRef<'_>, data_type: DataType) -> String {
        serde_json::to_string(&JsonValue(value, data_type, &Style::default()))
            .expect("a value is encodable")
    }

    #[test]
    fn what_json_holds_exactly_is_json() {
        assert_eq!(json(ValueRef::Null, DataType::Text), "null");
        assert_eq!(json(ValueRef::Boolean(true), DataType::Boolean), "true");
        assert_eq!(json(ValueRef::Real(0.1), DataType::Real), "0.1");
        assert_eq!(json(ValueRef::Double(-2.5), DataType::Double), "-2.5");
        let edge = ValueRef::BigInt(-(1 << 53));
        assert_eq!(json(edge, DataType::BigInt), "-9007199254740992");
    }

    #[test]
    fn all_else_is_text() {
        let beyond = ValueRef::BigInt((1 << 53) + 1);
        assert_eq!(json(beyond, DataType::BigInt), "\"9007199254740993\"");
        assert_eq!(
            json(ValueRef::Double(f64::NAN), DataType::Double),
            "\"NaN\""
        );
        let infinity = ValueRef::Real(f32::NEG_INFINITY);
        assert_eq!(json(infinity, DataType::Real), "\"-Infinity\"");
        let bytes = ValueRef::Bytea(&[0xDE, 0xAD]);
        assert_eq!(json(bytes, DataType::Bytea), r#""\\xdead""#);
        assert_eq!(json(ValueRef::Date(0), DataType::Date), "\"1970-01-01\"");
        let text = ValueRef::Text("a\"\n\u{1F41F}");
        assert_eq!(json(text, DataType::Text), "\"a\\\"\\n\u{1F41F}\"");
    }
}
