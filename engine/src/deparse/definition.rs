//! The queries of views and the triggers, written out for `pg_get_viewdef` and `pg_get_triggerdef`.

use super::trigger_sql;
use super::view_sql::query_sql;
use crate::error::Result;
use crate::function::{Defined, constraint_oid};
use remora_storage::TableId;
use remora_storage::catalog::{Catalog, TriggerDef};

/// What something is defined as; `None` where there is no such thing.
pub(crate) fn definition(catalog: &Catalog, what: Defined) -> Result<Option<String>> {
    match what {
        Defined::View(id) => {
            let view = catalog.view_by_id(id);
            let view = view.map(|view| (&view.query, &view.sources));
            let table = catalog.table_by_id(id);
            let materialized = table.and_then(|table| table.def.materialized.as_ref());
            let found = view.or(materialized.map(|query| (&query.query, &query.sources)));
            let text = found.map(|(query, sources)| query_sql(query, sources, catalog));
            Ok(text.transpose()?.map(|text| format!(" {text};")))
        }
        Defined::Trigger(oid) => Ok(trigger(catalog, oid)),
    }
}

/// The trigger of an object id.
fn trigger(catalog: &Catalog, oid: i64) -> Option<String> {
    let place = |on: TableId, triggers: &[TriggerDef]| {
        triggers
            .iter()
            .position(|trigger| constraint_oid(on, &format!("trigger {}", trigger.name)) == oid)
    };
    let of_table = catalog.tables().find_map(|table| {
        let at = place(table.def.id, &table.def.triggers)?;
        trigger_sql::of_table_at(table, at, catalog)
    });
    let of_view = || {
        catalog.views().find_map(|view| {
            let at = place(view.id, &view.triggers)?;
            trigger_sql::of_view_at(view, at, catalog)
        })
    };
    let text = of_table.or_else(of_view)?;
    Some(text.trim_end_matches(';').to_owned())
}
