//! Claim: how far into the budget a request may reach.
//!
//! ```text
//!  0                                   limit              budget
//!  |<-------- ordinary --------------->|<---- reserve ---->|
//!  |<-------- emergency ---------------------------->|<-q->|
//!  |<-------- small ------------------>|             |<-q->|   q: a quarter of the reserve
//! ```
//!
//! A full database answers small queries: to find out what to delete takes one. So a quarter of the reserve is
//! theirs alone. But they may be many, and be left half read: the other three quarters they never get, so that
//! DELETE and COMPACT do not depend on them, nor they on DELETE and COMPACT.

/// How far into the budget a request may reach.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Claim {
    /// Up to the emergency reserve: whatever makes the database larger.
    #[default]
    Ordinary,
    /// Up to the emergency reserve, and into the quarter of it that is for the little that a query needs to begin.
    Small,
    /// All of the reserve but that quarter: what makes the database smaller, or ends a transaction.
    Emergency,
}

impl Claim {
    /// The claim of a change that makes the database smaller, or not.
    pub fn of_change(shrinks: bool) -> Self {
        match shrinks {
            true => Self::Emergency,
            false => Self::Ordinary,
        }
    }
}

/// The part for small queries, of a reserve of so many bytes.
pub(super) fn small_part(reserve: u64) -> u64 {
    reserve / 4
}
