//! The Remora shell.
fn main() {}
