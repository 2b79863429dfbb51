//! The way of a statement.

use super::*;

mod attempt;
mod bounded;
mod calls;
mod clock;
mod conflicts;
mod durability;
mod eviction;
mod expiry;
mod few_rows;
mod ids;
mod lock_waits;
mod locked_row;
mod needs;
mod phantoms;
mod reads;
mod row_effects;
mod unlogged;
mod with;
