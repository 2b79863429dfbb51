//! Harnesses of Remora's tests: what the integration tests and the tools here share.

pub mod crashlab;
pub mod differential;
pub mod faults;
pub mod full_disk;
pub mod golden;
pub mod history;
pub mod kill;
pub mod machine;
pub mod mutation;
pub mod random;
pub mod session;
pub mod source;
pub mod stranding;
pub mod tpch;
pub mod users;
pub mod walks;
pub mod watchdog;
