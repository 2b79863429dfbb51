//! In which order things are made again: each after what it needs.
//!
//! Tables need what their foreign keys refer to and the functions that their columns and checks call; views
//! what their queries name; functions what their bodies name, and the table or view whose rows they give.
//! What needs itself in a circle, as two tables that refer to each other may, is begun somewhere: foreign
//! keys that refer to what comes later are added at last.

use crate::bind::depends_on;
use remora_storage::TableId;
use remora_storage::catalog::Catalog;

/// Functions, tables and views, materialized ones too, in order.
pub(crate) fn in_order(catalog: &Catalog) -> Vec<TableId> {
    let functions = catalog.functions().map(|function| function.id);
    let tables = catalog.tables().map(|table| table.def.id);
    let views = catalog.views().map(|view| view.id);
    let all = functions.chain(tables).chain(views);
    let mut waiting: Vec<(TableId, Vec<TableId>)> =
        all.map(|id| (id, depends_on(catalog, id))).collect();
    let mut ordered = Vec::with_capacity(waiting.len());
    while !waiting.is_empty() {
        let waits_for = |id: &TableId| waiting.iter().any(|(other, _)| other == id);
        let ready = waiting
            .iter()
            .position(|(_, needs)| !needs.iter().any(waits_for));
        // In a circle a table goes first, whose foreign keys can come later.
        let table = || {
            let is_table = |(id, _): &(TableId, Vec<TableId>)| catalog.table_by_id(*id).is_some();
            waiting.iter().position(is_table)
        };
        let next = ready.or_else(table).unwrap_or(0);
        ordered.push(waiting.remove(next).0);
    }
    ordered
}
