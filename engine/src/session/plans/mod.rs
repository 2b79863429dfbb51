//! How a session comes by a plan: made of a text, kept for the next call, taken from another connection.

pub(super) mod call;
pub(super) mod named;
pub(super) mod plan_cache;
pub(super) mod planning;
pub(super) mod prepared;
pub(super) mod session_planner;
pub(super) mod shared_plans;
pub(super) mod template;
