//! Needs of functions beyond their arguments: said where they are registered, and summed up for a statement by the
//! binder.

use std::ops::BitOrAssign;

/// Needs of a function, or of a statement, for its session. Most have none.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Needs(u8);

impl Needs {
    pub(crate) const NOTHING: Self = Self(0);
    /// The catalog that the statement sees: others have committed what it shows.
    pub(crate) const CATALOG: Self = Self(1);
    /// The memory of the session: settings, cursors, prepared statements.
    pub(crate) const SESSION: Self = Self(2);
    /// Numbers of sequences, taken or shown, which must be durable before anybody sees them; or settings to be changed, or
    /// messages to other sessions.
    /// Such a statement runs to its end before its first row is given, and nothing of it is left out.
    pub(crate) const EFFECTS: Self = Self(4);
    /// Rows that the statement sees, found by the function itself.
    pub(crate) const ROWS: Self = Self(8);
    /// Rows that are written when the statement has run.
    pub(crate) const WRITES: Self = Self(16);
    /// To look at rate limits.
    pub(crate) const LOOKS: Self = Self(Self::EFFECTS.0 | Self::ROWS.0);
    /// To take from rate limits.
    pub(crate) const TAKES: Self = Self(Self::LOOKS.0 | Self::WRITES.0);
    pub(crate) const ALL: Self = Self(31);

    /// Whether all of these are needed.
    pub(crate) const fn has(self, those: Self) -> bool {
        self.0 & those.0 == those.0
    }

    /// Whether anything is.
    pub(crate) const fn any(self) -> bool {
        self.0 != 0
    }
}

impl BitOrAssign for Needs {
    fn bitor_assign(&mut self, more: Self) {
        self.0 |= more.0;
    }
}
