//! Planner of a session: plans of triggers and rules of tables that running statements ask for, cached while the catalog
//! stays the same.

use crate::error::Result;
use crate::exec::{Planner, TableRules};
use crate::function::SearchPath;
use crate::optimize::{plan_trigger, table_rules};
use crate::plan::trigger::Trigger;
use parking_lot::Mutex;
use remora_storage::TableId;
use remora_storage::catalog::{Catalog, TableEntry, TriggerDef};
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Weak};

/// Answers that are cached before all are dropped.
const CACHED_MAX: usize = 256;

/// The planner of a session's statements.
#[derive(Debug, Default)]
pub(in crate::session) struct SessionPlanner(Mutex<Cache>);

#[derive(Debug, Default)]
struct Cache {
    /// The catalog that the answers hold for. (An address that is weakly held is not used again.)
    catalog: Weak<Catalog>,
    /// The path that triggers are planned with.
    path: Option<SearchPath>,
    triggers: HashMap<(TableId, String), Arc<Trigger>>,
    rules: HashMap<(TableId, Option<BTreeSet<usize>>), Arc<TableRules>>,
}

impl Cache {
    /// Drops what does not hold for a catalog.
    fn follow(&mut self, catalog: &Arc<Catalog>) {
        let is_same = std::ptr::eq(self.catalog.as_ptr(), Arc::as_ptr(catalog));
        if !is_same || self.triggers.len() + self.rules.len() >= CACHED_MAX {
            *self = Self {
                catalog: Arc::downgrade(catalog),
                ..Self::default()
            };
        }
    }
}

impl Planner for SessionPlanner {
    fn table_rules(
        &self,
        table: &TableEntry,
        set: Option<&BTreeSet<usize>>,
        catalog: &Arc<Catalog>,
    ) -> Result<Arc<TableRules>> {
        let key = (table.def.id, set.cloned());
        {
            let mut cache = self.0.lock();
            cache.follow(catalog);
            if let Some(rules) = cache.rules.get(&key) {
                return Ok(Arc::clone(rules));
            }
        }
        let rules = Arc::new(table_rules(&table.def, set, catalog)?);
        self.0.lock().rules.insert(key, Arc::clone(&rules));
        Ok(rules)
    }

    fn trigger(
        &self,
        table: &TableEntry,
        trigger: &TriggerDef,
        (catalog, path): (&Arc<Catalog>, &SearchPath),
    ) -> Result<Arc<Trigger>> {
        let key = (table.def.id, trigger.name.clone());
        {
            let mut cache = self.0.lock();
            cache.follow(catalog);
            if cache.path.as_ref() != Some(path) {
                cache.triggers.clear();
                cache.path = Some(path.clone());
            }
            if let Some(plan) = cache.triggers.get(&key) {
                return Ok(Arc::clone(plan));
            }
        }
        let plan = Arc::new(plan_trigger(trigger, &table.def, catalog, path)?);
        self.0.lock().triggers.insert(key, Arc::clone(&plan));
        Ok(plan)
    }
}
