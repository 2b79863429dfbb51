//! Plans of triggers, kept from one firing to the next while the catalog stays the same.

use crate::error::Result;
use crate::function::SearchPath;
use crate::optimize::plan_trigger;
use crate::plan::trigger::Trigger;
use parking_lot::Mutex;
use remora_storage::catalog::{Catalog, TriggerDef};
use remora_storage::{ColumnId, DataType, TableId};
use std::collections::HashMap;
use std::sync::{Arc, Weak};

/// Plans that are kept: more than one statement fires, mostly.
const KEPT_MAX: usize = 256;

/// What a session has planned of its triggers.
#[derive(Debug, Default)]
pub(crate) struct TriggerCache(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    /// The catalog that the plans are good for. (What is only weakly held has no address that comes again.)
    catalog: Weak<Catalog>,
    path: Option<SearchPath>,
    plans: HashMap<(TableId, String), Arc<Trigger>>,
}

impl TriggerCache {
    /// The plan of a trigger of a table or view that is called `table`, and has these columns.
    ///
    /// # Errors
    /// Those of binding what it says.
    pub(super) fn plan(
        &self,
        def: &TriggerDef,
        (id, table): (TableId, &str),
        columns: &[(ColumnId, DataType)],
        (catalog, path): (&Arc<Catalog>, &SearchPath),
    ) -> Result<Arc<Trigger>> {
        let key = (id, def.name.clone());
        {
            let mut kept = self.0.lock();
            let is_same = std::ptr::eq(kept.catalog.as_ptr(), Arc::as_ptr(catalog))
                && kept.path.as_ref() == Some(path);
            if !is_same || kept.plans.len() >= KEPT_MAX {
                kept.plans.clear();
                kept.catalog = Arc::downgrade(catalog);
                kept.path = Some(path.clone());
            }
            if let Some(plan) = kept.plans.get(&key) {
                return Ok(Arc::clone(plan));
            }
        }
        let plan = Arc::new(plan_trigger(def, table, columns, catalog, path)?);
        self.0.lock().plans.insert(key, Arc::clone(&plan));
        Ok(plan)
    }
}
