//! Logical plans: what a query means. (To be filled by the binder's author.)
