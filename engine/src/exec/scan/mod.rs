//! Scans: sources of rows, and what is asked of the rows where they are read.
//!
//! - [`table_scan`], [`index_scan`], [`index_union`] of several indexes, [`system_scan`] of system tables, [`virtual_scan`] of the host's tables, [`values`].
//! - [`filter`] leaves out rows; [`row_test`] says for storage whether a row passes, where a serializable transaction
//!   records what it has read; [`lock_rows`] locks those that are given.

pub(super) mod filter;
pub(super) mod index_scan;
pub(super) mod index_union;
pub(super) mod lock_rows;
pub(super) mod row_test;
pub(super) mod system_scan;
pub(super) mod table_scan;
pub(super) mod values;
pub(super) mod virtual_scan;
