//! Stories of durability.
