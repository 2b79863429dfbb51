//! Versions in time: who may see what, and when what nobody sees any more may go.
//!
//! ```text
//!   row in its block            version records, newest first
//!   [ begin | head ]---> [ begin | older | image ]---> [ begin | older | image ]---> base row
//!        |                  |
//!        |                  +-- marker (owner, command) ---> slot of the owner: active,
//!        +-- a committed timestamp                           committed at ts, rolling back
//! ```
//!
//! 1. The [`Timeline`] has the clock and one slot a running transaction or view: its registered
//!    snapshot and its state.
//! 2. A [`Stamp`] tells when a row or a deletion begins to count: a committed timestamp, or a
//!    marker that names the owner's slot, which is resolved through that slot.
//! 3. A [`Viewpoint`] (snapshot, owner, command) says which stamps it sees.
//! 4. Rows are looked at in an [`Operation`]. What is unlinked goes to the [`RetireQueue`], and is
//!    freed when every operation that was under way then is over (`epoch`). [`Protected`] is a
//!    pointer under that rule.
//!
//! Invariants
//! - A snapshot is registered before the first row is read through it, and stays so for as long as
//!   an operation for it lives. The borrow of an operation is the proof that a link may be followed.
//! - Nothing is unlinked that a registered snapshot sees, or one that is registered later may see.
//! - Stamping precedes the release of a slot: a word that still holds a marker names a slot whose
//!   owner has not left.
//! - The horizon never overtakes a registered snapshot.

pub(crate) mod epoch;
mod late_commits;
#[cfg(all(test, feature = "shuttle"))]
mod models;
mod operation;
mod protected;
mod registration;
mod retire;
mod seat;
mod snapshots;
mod stamp;
mod timeline;
mod version;
mod viewpoint;

pub use epoch::Grace;
pub use operation::Operation;
pub use protected::Protected;
pub use registration::Registration;
pub use retire::{Garbage, RetireQueue};
pub use seat::{Seat, SeatedRead};
pub use snapshots::Snapshots;
pub use stamp::{OwnerId, Stamp, StampKind};
pub use timeline::{HeldSnapshot, Timeline};
pub use version::{Head, HeadWord, NewVersion, StampWord, Version};
pub use viewpoint::{Resolved, Viewpoint};
