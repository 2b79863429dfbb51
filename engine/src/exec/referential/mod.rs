//! Foreign keys: that every row which refers to another one has it, whatever a statement changes.
//!
//! ```text
//!   rows of the statement     insert, update        keys that rows refer by now    -> missing
//!                             update, delete        keys that are gone             -> gone
//!   rounds                    CASCADE, SET NULL ..  change the rows that refer to keys that are gone;
//!                                                   what those miss and take along is added
//!   end                       what is missing is there by now, or 23503
//!                             keys that are gone are back, or nothing refers to them, or 23503
//! ```
//!
//! 1. The row writer of a statement (`dml::row_writer`) tracks, for each key that the statement may break, the keys that
//!    rows refer by (looked up at once; only what is not there waits for the end of the statement) and those that are
//!    gone ([`TrackedChanges`]). Where no foreign key is concerned there is nothing to track.
//! 2. [`follow`] does what follows (`actions`), set at a time: one pass over the rows that refer
//!    for all keys that are gone by one foreign key, by index where there is one (`children`). Each round is
//!    a command of its own, so that it sees what the rounds before have changed. The rounds are a queue:
//!    chains of any length need no stack.
//! 3. RESTRICT waits for its turn among the actions: rows that those before it have taken away are no harm,
//!    those that later ones would take are. NO ACTION looks at the very end, so rows that an
//!    action takes away, or a key that another row has got, are no harm.
//! 4. An error anywhere leaves changes behind: the caller rolls back to the mark before the statement.
//!
//! 5. What a deferred constraint asks for is put off until the transaction commits (`deferred`). Keys that no
//!    two rows may have are checked here as well where they can be deferred (`unique`): at the end of the statement.
//!
//! **Beside other transactions** what was looked at is what the transaction sees, and may be out of date.
//! So whoever refers *shares* the row that has the key, as to the columns of the key alone; and whoever takes
//! a key away shares that no row but its own refers to it. Both are validated when the transaction commits, at
//! every level of isolation; of two that cannot both be, the one that commits second fails with 40001. The
//! argument stands at `storage/src/transaction/foreign.rs`. Those who share a row do not meet.
//!
//! Invariants
//! - No row that was written refers to a key that the transaction does not see at the end of the statement.
//! - What decides about it is shared in the command that looks at it.
//! - Memory that grows with the number of rows is reserved.

mod actions;
mod children;
mod deferred;
mod error;
mod existing;
mod expired;
mod key_set;
mod link;
mod tracked_changes;
mod unique;

pub(super) use actions::follow;
pub(super) use deferred::Deferred;
pub(crate) use deferred::{Said, check_deferred, set_constraints};
pub(super) use existing::test_rows;
pub(super) use expired::{has_expired, is_past};
pub(super) use tracked_changes::{TrackedChanges, row_now};
