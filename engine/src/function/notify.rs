//! `pg_notify`: messages to the sessions that listen, when the transaction commits; and the number by which they know the
//! sender.

use super::Volatility::{Stable, Volatile};
use super::kernel::function;
use super::sequence::scope;
use super::{EvalContext, Needs, Overload};
use crate::error::Result;
use crate::notification::Message;
use remora_storage::{Value, ValueRef};
use std::sync::Arc;

impl EvalContext {
    /// Sends a message, if the transaction commits.
    ///
    /// # Errors
    /// 53200
    pub(crate) fn notify(&self, message: Arc<Message>) -> Result<()> {
        scope(self)?.send(message)
    }
}

/// A channel and a payload; NULL is an empty text.
fn pg_notify(arguments: &[ValueRef<'_>], context: &EvalContext) -> Result<Value> {
    let text = |at: usize| match arguments[at] {
        ValueRef::Text(text) => text,
        _ => "",
    };
    context.notify(Message::new(text(0), text(1))?)?;
    Ok(Value::Text(String::new()))
}

static NOTIFY: &[Overload] = &[
    function!(row "pg_notify"(Text, Text) -> Text,
        "Sends a payload to the sessions that listen to a channel.", pg_notify)
    .volatility(Volatile)
    .needs(Needs::EFFECTS),
    function!(context "pg_backend_pid"() -> Integer, "The number of the session.", |context| {
        let session = context.session.as_ref();
        Ok(session.map_or(0, |session| session.number() as i32))
    })
    .volatility(Stable),
];

/// All overloads of this file.
pub(super) static FUNCTIONS: &[&[Overload]] = &[NOTIFY];
