//! Blocks, savepoints, and what belongs to a session.

use super::*;

mod chain;
mod savepoints;
mod temporary;
