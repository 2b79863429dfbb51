//! Build side: a hash join keeps its right input in memory, so that should be the smaller one.
//!
//! Only inner joins are turned around. Where nothing speaks against it, the order stays as written.

use super::estimate::rows;
use crate::plan::logical::{Join, Logical};
use crate::plan::physical::JoinKind;

/// Applies the rule to a plan.
pub(super) fn choose_build_sides(plan: Logical) -> Logical {
    match plan.map_inputs(&mut choose_build_sides) {
        Logical::Join(join)
            if join.kind == JoinKind::Inner
                && join.outer.is_empty()
                && join.lookup.is_none()
                && !join.keeps_order
                && rows(&join.right) > rows(&join.left) =>
        {
            Logical::Join(Join {
                left: join.right,
                right: join.left,
                ..join
            })
        }
        other => other,
    }
}
