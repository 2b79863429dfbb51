//! System tables: columns and rows of what the engine shows of itself.

mod activity;
mod checkpoints;
mod durability;
mod pg_catalog;
mod pg_table;
mod pg_trigger;
mod pg_type;
mod recovery;
mod rows;
mod sequences;
mod table;
mod view;

pub(crate) use rows::rows;
pub(crate) use table::SystemTable;
pub(crate) use view::SystemView;
