//! For the shell and the tests of this repository; nobody else is promised anything.

pub use crate::function::{manual, text};
