//! Rate limits: how much of something a key may take, now and over time.
//!
//! ```text
//!   Database::limiter        rate_limit(key, ..) in SQL
//!   commits by itself        part of the statement's transaction
//!          \                    /
//!           Limit::take(usage, cost, at)      pure: from what was taken to a Decision and what is taken then
//!                    |
//!           UsageTable           rows of remora_internal.rate_limit, made when the first is written; they expire
//! ```
//!
//! Five kinds of limits. The first two let a rate through, the others an amount for each window of time:
//!
//! | kind | takes | and gives back |
//! |---|---|---|
//! | token bucket | tokens | so many a second, up to its capacity |
//! | leaky bucket | room | so much a second, until it is empty |
//! | sliding window | of two counts: of this window, and of the one before in proportion to what is left of it | as windows pass |
//! | fixed window | of a count | with the next window |
//! | log | of a list of all that was taken | what is as old as the window |
//!
//! Invariants
//! - All arithmetic is in whole numbers: a call that is made again after `retry_after` is allowed, if nobody was in between.
//! - A refusal changes nothing. A time before the last one counts as the last one.
//! - A row that is missing, or has expired, says as much as one of which nothing is used any more. So rows may go at any time
//!   after that.
//!
//! If we crash: calls within transactions are there or not with them. Those of limiters are in the log, but nobody waits until
//! they are durable: the last ones may be forgotten.

mod bucket;
mod decision;
mod limits;
mod pending;
mod quota;
#[cfg(test)]
mod tests;
mod usage_bytes;
mod usage_table;

pub use decision::Decision;
pub(crate) use limits::Kind;
pub use limits::Limit;
pub(crate) use pending::{Call, CallTime, PendingLimits};
pub(crate) use usage_table::{decide_alone, forget_alone, usage_now};
