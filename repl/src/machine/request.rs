//! One line of input.

use remora::{Error, Value, sqlstate as state};
use serde::Deserialize;
use serde_json::Value as Json;

/// The session of a line that names none.
const DEFAULT_SESSION: &str = "main";

/// What a line asks.
#[derive(Debug)]
pub(super) enum Request {
    /// `{"sql":..}`
    Run {
        session: String,
        sql: String,
        params: Vec<Value>,
    },
    /// `{"cancel":"a"}`
    Cancel(String),
    /// `{"reset":true}`
    Reset,
}

/// A line as it stands. Keys that are not known are passed over.
#[derive(Deserialize)]
struct Line {
    sql: Option<String>,
    session: Option<String>,
    params: Option<Vec<Json>>,
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
                cancel: None,
                reset: None,
            } => {
                let session = session.unwrap_or_else(|| DEFAULT_SESSION.to_owned());
                let params = params.unwrap_or_default();
                match params.iter().map(parameter).collect() {
                    Ok(params) => Ok(Self::Run {
                        session,
                        sql,
                        params,
                    }),
                    Err(error) => Err((Some(session), error)),
                }
            }
            Line {
                sql: None,
                cancel: Some(session),
                reset: None,
                ..
            } => Ok(Self::Cancel(session)),
            Line {
                sql: None,
                cancel: None,
                reset: Some(true),
                ..
            } => Ok(Self::Reset),
            Line { session, .. } => Err((
                session,
                violation("a request has \"sql\", \"cancel\" or \"reset\":true, and only one"),
            )),
        }
    }
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
        let Ok(Request::Run {
            session,
            sql,
            params,
        }) = parse(r#"{"sql":"SELECT 1"}"#)
        else {
            panic!("a statement")
        };
        assert_eq!((session.as_str(), sql.as_str()), ("main", "SELECT 1"));
        assert!(params.is_empty());
    }

    #[test]
    fn parameters_keep_their_kind() {
        let line = r#"{"sql":"x","params":[null,true,1,1.5,"1",18446744073709551615]}"#;
        let Ok(Request::Run { params, .. }) = parse(line) else {
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
        assert_eq!(params, expected);
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
        ] {
            let (_, error) = parse(line).expect_err(line);
            assert_eq!(error.sqlstate(), "08P01", "{line}");
        }
        let (session, _) = parse(r#"{"session":"a"}"#).expect_err("no statement");
        assert_eq!(session.as_deref(), Some("a"));
    }
}
