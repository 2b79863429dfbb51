//! Changes of definitions that rows must follow: columns and their values, identity columns, sequences.

pub(super) mod alter;
pub(super) mod numbered;
pub(super) mod sequence;
