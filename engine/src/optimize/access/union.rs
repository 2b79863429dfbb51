//! Unions of indexes: where one part of a filter is an OR, and an index has the rows of each of its branches, their rows
//! together are all that may pass. A list is an OR as well: it may make several ranges of one.
//!
//! ```text
//!   (k = 1 AND v > 5) OR s = 'x'      ->      k = 1 by one index, s = 'x' by another
//!   g IN (3, 5) AND k < 10            ->      (3, NULL..10) and (5, NULL..10) of an index of g and k
//! ```
//!
//! The filter stays as it is: an index finds rows by a part of their branch.

use super::best;
use super::keys::{Choice, Known};
use crate::plan::logical::Scan;
use crate::plan::physical::IndexKeys;
use crate::plan::{Expr, ExprKind};
use remora_storage::catalog::IndexEntry;
use std::sync::Arc;

/// Branches of an OR that are looked at: each is planned like a scan.
const BRANCHES_MAX: usize = 64;

/// The keys of indexes that find all rows of the scan.
pub(super) fn of(scan: &Scan) -> Option<Vec<(Arc<IndexEntry>, IndexKeys)>> {
    (0..scan.filter.len()).find_map(|part| {
        let branches = branches(&scan.filter[part])?.into_iter();
        branches
            .map(|branch| by_index(scan, part, branch))
            .collect()
    })
}

/// Alternatives of which one is true where the part is.
pub(in crate::optimize) fn branches(part: &Expr) -> Option<Vec<Expr>> {
    match &part.kind {
        ExprKind::Or(branches) if branches.len() <= BRANCHES_MAX => Some(branches.clone()),
        ExprKind::InList { input, list } if list.len() <= BRANCHES_MAX => {
            let one = |value: &Expr| Expr {
                kind: ExprKind::InList {
                    input: input.clone(),
                    list: vec![value.clone()],
                },
                data_type: part.data_type,
            };
            Some(list.iter().map(one).collect())
        }
        _ => None,
    }
}

/// How an index finds the rows for which a branch of a part is true, and with it all other parts.
fn by_index(scan: &Scan, part: usize, branch: Expr) -> Option<(Arc<IndexEntry>, IndexKeys)> {
    let mut alone = scan.clone();
    alone.filter.remove(part);
    alone.filter.extend(branch.conjuncts());
    let known = Known::of(&alone);
    let choice = best(&alone, known.choices().filter(Choice::is_narrow))?;
    Some((choice.index, choice.keys))
}
