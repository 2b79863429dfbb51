//! A message, and what a listener receives.

use crate::error::{Error, Result, state};
use remora_storage::limits::IDENTIFIER_BYTES_MAX;
use std::sync::Arc;

/// Bytes of a payload at most: PostgreSQL's "less than 8000 bytes".
pub(crate) const PAYLOAD_BYTES_MAX: usize = 7999;

/// A message on a channel. Equal ones of a transaction are delivered once.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Message {
    pub(super) channel: Box<str>,
    pub(super) payload: Box<str>,
}

impl Message {
    /// A message; an empty payload is the one of a NOTIFY without any.
    ///
    /// # Errors
    /// 22023 where the channel has no name or one above 63 bytes, or the payload has more than [`PAYLOAD_BYTES_MAX`].
    pub(crate) fn new(channel: &str, payload: &str) -> Result<Arc<Self>> {
        let wrong = match (channel.len(), payload.len()) {
            (0, _) => "channel name cannot be empty",
            (length, _) if length > IDENTIFIER_BYTES_MAX => "channel name too long",
            (_, length) if length > PAYLOAD_BYTES_MAX => "payload string too long",
            _ => {
                return Ok(Arc::new(Self {
                    channel: channel.into(),
                    payload: payload.into(),
                }));
            }
        };
        Err(Error::new(state::INVALID_PARAMETER_VALUE, wrong))
    }

    /// Bytes that it takes.
    pub(super) fn bytes(&self) -> u64 {
        (size_of::<Self>() + self.channel.len() + self.payload.len()) as u64
    }
}

/// A message on a channel that the session listens to.
///
/// ```
/// # let db = remora::Database::in_memory()?;
/// let conn = db.connect()?;
/// conn.execute_batch("LISTEN news; NOTIFY news, 'hello'")?;
/// if let Some(remora::Delivery::Notification(news)) = conn.notifications().try_next()? {
///     assert_eq!((&*news.channel, &*news.payload), ("news", "hello"));
/// }
/// # Ok::<(), remora::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Notification {
    /// Name of the channel, as LISTEN folds it.
    pub channel: String,
    /// Payload, up to 7,999 bytes; empty where NOTIFY has given none.
    pub payload: String,
    /// Number of the session that has sent it, 0 for the database itself (a trigger on rows that expired). PostgreSQL's
    /// process id.
    pub process_id: u32,
}

/// Something that a session which listens receives.
///
/// It is an enum, so that a program cannot pass over a loss: one that has lost notifications knows less than it thinks,
/// and has to look at the tables again.
///
/// ```
/// use remora::{Connection, Delivery};
///
/// fn follow(conn: &Connection) -> remora::Result<()> {
///     for delivery in conn.notifications().iter() {
///         match delivery? {
///             Delivery::Notification(one) => println!("{}: {}", one.channel, one.payload),
///             Delivery::Lost(count) => println!("{count} were lost: read everything again"),
///         }
///     }
///     Ok(())
/// }
/// # let conn = remora::Database::in_memory()?.connect()?;
/// # follow(&conn)?;
/// # Ok::<(), remora::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Delivery {
    /// A notification.
    Notification(Notification),
    /// The number of notifications that are missing at this place, because the session took them too slowly: it has at most
    /// 1 MiB of them waiting, and less where the memory budget is used up.
    Lost(u64),
}
