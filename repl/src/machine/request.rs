//! One line of input.

use remora::{Error, Value, sqlstate as state};
use serde::Deserialize;
use serde_json::Value as Json;
use std::time::Duration;

/// The session of a line that names none.
const DEFAULT_SESSION: &str = "main";

/// How long an answer is kept that is to be given once, if nothing is said.
const TTL: Duration = Duration::from_secs(24 * 3600);

/// A statement that is to be run.
#[derive(Debug)]
pub(super) struct Statement {
    pub(super) sql: String,
    pub(super) params: Vec<Value>,
    pub(super) once: Option<Once>,
}

/// That a statement is run once, however often it is asked for.
#[derive(Debug)]
pub(super) struct Once {
    pub(super) key: String,
    pub(super) ttl: Duration,
    /// All that must be the same when it is asked for again.
    pub(super) payload: Vec<u8>,
}

/// What a line asks.
#[derive(Debug)]
pub(super) enum Request {
    /// `{"sql":..}`
    Run {
        session: String,
        statement: Statement,
    },
    /// `{"cancel":"a"}`
    Cancel(String),
    /// `{"reset":true}`
    Reset,
}

/// A line as it stands. A key that is not known is refused: it may be one of a later version, which asks for something
/// that would not be done.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    sql: Option<String>,
    session: Option<String>,
    params: Option<Vec<Json>>,
    once: Option<String>,
    /// In seconds.
    ttl: Option<f64>,
    cancel: Option<String>,
    reset: Option<bool>,
}

impl Request {
    /// Reads a line. An error comes with the session it belongs to, as far as that is known.
    pub(super) fn parse(line: &[u8]) -> Result<Self, (Option<String>, Error)> {
        let line: Line = serde_json::from_slice(line)
            .map_err(|error| (None, violation(format!("malformed request: {error}"))))?;
        match line {
            Line {
                sql: Some(sql),
                session,
                params,
                once,
                ttl,
                cancel: None,
                reset: None,
            } => {
                let session = session.unwrap_or_else(|| DEFAULT_SESSION.to_owned());
                match statement(sql, &params.unwrap_or_default(), once, ttl) {
                    Ok(statement) => Ok(Self::Run { session, statement }),
                    Err(error) => Err((Some(session), error)),
                }
            }
            Line {
                sql: None,
                cancel: Some(session),
                reset: None,
                once: None,
                ttl: None,
                ..
            } => Ok(Self::Cancel(session)),
            Line {
                sql: None,
                cancel: None,
                reset: Some(true),
                once: None,
                ttl: None,
                ..
            } => Ok(Self::Reset),
            Line {
                once, ttl, session, ..
            } if once.is_some() || ttl.is_some() => Err((
                session,
                violation("\"once\" and \"ttl\" belong to a request with \"sql\""),
            )),
            Line { session, .. } => Err((
                session,
                violation("a request has \"sql\", \"cancel\" or \"reset\":true, and only one"),
            )),
        }
    }
}

fn statement(
    sql: String,
    params: &[Json],
    once: Option<String>,
    ttl: Option<f64>,
) -> Result<Statement, Error> {
    let once = match (once, ttl) {
        (None, None) => None,
        (None, Some(_)) => return Err(violation("\"ttl\" belongs to \"once\"")),
        (Some(key), ttl) => Some(Once {
            key,
            ttl: match ttl {
                None => TTL,
                Some(seconds) => Duration::try_from_secs_f64(seconds).map_err(|_| {
                    let message = format!("\"ttl\" is a number of seconds, and not {seconds}");
                    Error::new(state::INVALID_PARAMETER_VALUE, message)
                })?,
            },
            payload: payload(&sql, params),
        }),
    };
    let params = params.iter().map(parameter).collect::<Result<_, _>>()?;
    Ok(Statement { sql, params, once })
}

/// The text of a statement and its parameters, as bytes.
fn payload(sql: &str, params: &[Json]) -> Vec<u8> {
    let params: Vec<String> = params.iter().map(Json::to_string).collect();
    format!("{}\n{sql}\n[{}]", sql.len(), params.join(",")).into_bytes()
}

fn parameter(json: &Json) -> Result<Value, Error> {
    match json {
        Json::Null => Ok(Value::Null),
        Json::Bool(value) => Ok(Value::Boolean(*value)),
        Json::Number(number) => Ok(match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Value::BigInt(whole),
            // What is beyond BIGINT is left to the type of the parameter.
            (None, _) if number.is_u64() => Value::Text(number.to_string()),
            (None, Some(double)) => Value::Double(double),
            (None, None) => Value::Text(number.to_string()),
        }),
        Json::String(text) => Ok(Value::Text(text.clone())),
        Json::Array(_) | Json::Object(_) => Err(violation(
            "a parameter is null, true, false, a number or a string",
        )),
    }
}

fn violation(message: impl Into<String>) -> Error {
    Error::new(state::PROTOCOL_VIOLATION, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Request, (Option<String>, Error)> {
        Request::parse(line.as_bytes())
    }

    #[test]
    fn a_statement_may_leave_out_session_and_parameters() {
        let Ok(Request::Run { session, statement }) = parse(r#"{"sql":"SELECT 1"}"#) else {
            panic!("a statement")
        };
        let Statement { sql, params, once } = statement;
        assert_eq!((session.as_str(), sql.as_str()), ("main", "SELECT 1"));
        assert!(params.is_empty() && once.is_none());
    }

    #[test]
    fn parameters_keep_their_kind() {
        let line = r#"{"sql":"x","params":[null,true,1,1.5,"1",18446744073709551615]}"#;
        let Ok(Request::Run { statement, .. }) = parse(line) else {
            panic!("a statement")
        };
        let expected = [
            Value::Null,
            Value::Boolean(true),
            Value::BigInt(1),
            Value::Double(1.5),
            Value::Text("1".into()),
            Value::Text("18446744073709551615".into()),
        ];
        assert_eq!(statement.params, expected);
    }

    #[test]
    fn what_is_asked_once_has_a_key_and_all_that_must_be_the_same() {
        let once = |line: &str| match parse(line) {
            Ok(Request::Run { statement, .. }) => statement.once.expect("it has a key"),
            other => panic!("{other:?}"),
        };
        let day = once(r#"{"sql":"x","params":["1"],"once":"a"}"#);
        assert_eq!((day.key.as_str(), day.ttl), ("a", TTL));
        let same = once(r#"{"once":"a","ttl":0.5,"params":["1"],"session":"b","sql":"x"}"#);
        assert_eq!(same.ttl, Duration::from_millis(500));
        assert_eq!(day.payload, same.payload);
        let other = once(r#"{"sql":"x","params":[1],"once":"a"}"#);
        assert_ne!(day.payload, other.payload);
        for ttl in ["-1", "1e300"] {
            let line = format!(r#"{{"sql":"x","once":"a","ttl":{ttl}}}"#);
            let (_, error) = parse(&line).expect_err("no time");
            assert_eq!(error.sqlstate(), "22023");
        }
    }

    #[test]
    fn what_is_no_request_is_a_protocol_violation() {
        for line in [
            "",
            "{",
            "[]",
            "1",
            "{}",
            r#"{"sql":1}"#,
            r#"{"reset":false}"#,
            r#"{"sql":"x","reset":true}"#,
            r#"{"sql":"x","params":[[1]]}"#,
            "{\"sql\":\"\u{0}\"}",
            r#"{"sql":"x","twice":"a"}"#,
            r#"{"sql":"x","ttl":1}"#,
            r#"{"reset":true,"once":"a"}"#,
        ] {
            let (_, error) = parse(line).expect_err(line);
            assert_eq!(error.sqlstate(), "08P01", "{line}");
        }
        let (session, _) = parse(r#"{"session":"a"}"#).expect_err("no statement");
        assert_eq!(session.as_deref(), Some("a"));
    }
}
