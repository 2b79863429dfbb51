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
//! 4. What is unlinked goes to the [`RetireQueue`] with the time of unlinking, and is freed when
//!    every registered snapshot is younger than that. [`Protected`] is a pointer under that rule.
//!
//! Invariants
//! - A snapshot is registered before the first row is read through it, and stays so for as long as
//!   a borrow from it lives: the borrow of a [`Registration`] is the proof.
//! - Stamping precedes the release of a slot: a word that still holds a marker names a slot whose
//!   owner has not left.
//! - The horizon never overtakes a registered snapshot.

#[cfg(all(test, feature = "shuttle"))]
mod models;
mod protected;
mod registration;
mod retire;
mod stamp;
mod timeline;
mod version;
mod viewpoint;

pub use protected::Protected;
pub use registration::Registration;
pub use retire::{Garbage, RetireQueue};
pub use stamp::{OwnerId, Stamp, StampKind};
pub use timeline::{HeldSnapshot, Timeline};
pub use version::{Head, HeadWord, NewVersion, StampWord, Version};
pub use viewpoint::{Resolved, Viewpoint};
