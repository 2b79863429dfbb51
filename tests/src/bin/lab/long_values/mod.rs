//! Tools about values of megabytes: what the functions that make and read them take of memory, and of time.

pub(crate) mod budget;
mod calls;
pub(crate) mod lateness;
