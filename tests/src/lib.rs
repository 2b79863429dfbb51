//! Harnesses of Remora's tests: what the integration tests and the tools here share.

pub mod crashlab;
pub mod faults;
pub mod golden;
pub mod history;
pub mod kill;
pub mod machine;
pub mod random;
pub mod session;
pub mod source;
pub mod users;
pub mod watchdog;
