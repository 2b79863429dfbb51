//! Stories of the log.
