//! Which columns of a view can be written.

use super::Binder;
use crate::function::SearchPath;
use crate::plan::ExprKind;
use remora_storage::catalog::{Catalog, ViewDef};

/// For each column of a view whether it is one of the table beneath; `None` where the view cannot be written.
pub(crate) fn updatable_columns(
    catalog: &Catalog,
    path: &SearchPath,
    view: &ViewDef,
) -> Option<Vec<bool>> {
    let mut binder = Binder::new(catalog);
    binder.path = path;
    let base = binder.base_of(view, "update", None).ok()?;
    let through = binder.through(view, "update", None).ok()?;
    let width = base.def.columns.len();
    let columns = through.columns.iter();
    let is_column =
        |kind: &ExprKind| matches!(kind, ExprKind::Column(position) if *position < width);
    Some(columns.map(|(_, expr)| is_column(&expr.kind)).collect())
}
