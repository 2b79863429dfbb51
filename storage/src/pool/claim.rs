//! Claim: how far into the budget a request may reach.
//!
//! ```text
//!  0                                   limit              budget
//!  |<-------- ordinary --------------->|<---- reserve ---->|
//!  |<-------- small --------------------->|  a quarter of it
//!  |<-------- emergency ---------------------------------->|
//! ```
//!
//! A full database should answer small queries: whoever looks for what to delete needs them. So
//! queries reach a little further than what makes the database larger. But they may be many, and be
//! left half read: three quarters of the reserve they never get, whatever they do, so that DELETE
//! and COMMIT do not depend on them.

/// How far into the budget a request may reach.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Claim {
    /// Up to the emergency reserve: whatever makes the database larger.
    #[default]
    Ordinary,
    /// Into the first quarter of the reserve: the little that a query needs to begin.
    Small,
    /// All of the reserve: what makes the database smaller, or ends a transaction.
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

    /// What must be left afterwards, of a reserve of so many bytes.
    pub(super) fn kept(self, reserve: u64) -> u64 {
        match self {
            Self::Ordinary => reserve,
            Self::Small => reserve - reserve / 4,
            Self::Emergency => 0,
        }
    }
}
