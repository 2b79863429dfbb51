//! Operations of a simulated disk that fail.

use std::io::ErrorKind;

/// The way in which an operation fails that [`super::SimDisk::fail`] chose.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// It and everything after it fails. If it is a change, that is made and not durable; if it is a sync, that
    /// does not happen.
    PowerLoss,
    /// It alone fails, with this error, and does nothing.
    Once(ErrorKind),
    /// It and everything after it fails with this error; what is there can be read.
    Onwards(ErrorKind),
    /// It alone fails, with this error: a write when half of it was done.
    InPart(ErrorKind),
}

/// The outcome of an operation.
pub(super) enum Verdict {
    Works,
    /// Fails without having done anything.
    Fails(ErrorKind),
    /// Fails when a part of it was done.
    InPart(ErrorKind),
    /// Fails after having been done.
    Lost,
}

impl Fault {
    /// Returns the outcome of the chosen operation.
    pub(super) fn strikes(self) -> Verdict {
        match self {
            Self::PowerLoss => Verdict::Lost,
            Self::Once(kind) | Self::Onwards(kind) => Verdict::Fails(kind),
            Self::InPart(kind) => Verdict::InPart(kind),
        }
    }

    /// Returns the outcome of each operation after it.
    pub(super) fn lasts(self) -> Verdict {
        match self {
            Self::PowerLoss => Verdict::Fails(ErrorKind::BrokenPipe),
            Self::Onwards(kind) => Verdict::Fails(kind),
            Self::Once(_) | Self::InPart(_) => Verdict::Works,
        }
    }
}
