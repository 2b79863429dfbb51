//! Sets of rows from other sets: unions, intersections and differences, recursion, the parts of a WITH, projections.

pub(super) mod adaptive;
pub(super) mod project;
pub(super) mod project_set;
pub(super) mod recursive;
pub(super) mod set_operation;
pub(super) mod union_all;
pub(super) mod with;
