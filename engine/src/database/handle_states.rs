//! State that all handles on something in a database share, such as those of one work queue: by its type and a name.
//!
//! It lives as long as the database is open, also while there is no handle. It must not hold the database.

use super::Database;
use hashbrown::HashMap;
use parking_lot::Mutex;
use std::any::{Any, TypeId};
use std::fmt;
use std::sync::Arc;

type Shared = Arc<dyn Any + Send + Sync>;

/// States of handles, by type and name.
#[derive(Default)]
pub(super) struct HandleStates(Mutex<HashMap<(TypeId, String), Shared>>);

impl fmt::Debug for HandleStates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandleStates").finish_non_exhaustive()
    }
}

impl Database {
    /// The state of this type and name, which is made when it is asked for first.
    pub(crate) fn handle_state<T: Default + Send + Sync + 'static>(&self, name: &str) -> Arc<T> {
        let mut states = self.handle_states.0.lock();
        let key = (TypeId::of::<T>(), name.to_owned());
        let state = states
            .entry(key)
            .or_insert_with(|| Arc::<T>::default() as Shared);
        // The key says the type.
        Arc::clone(state).downcast().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_share_states_and_other_databases_do_not() {
        let db = Database::in_memory().unwrap();
        let one = db.handle_state::<Mutex<u8>>("a");
        *one.lock() = 7;
        assert_eq!(*db.clone().handle_state::<Mutex<u8>>("a").lock(), 7);
        assert_eq!(*db.handle_state::<Mutex<u8>>("b").lock(), 0);
        assert_eq!(*db.handle_state::<Mutex<u16>>("a").lock(), 0);
        let other = Database::in_memory().unwrap();
        assert_eq!(*other.handle_state::<Mutex<u8>>("a").lock(), 0);
    }
}
