//! The names of types that somebody made, for whoever writes down what type something is of.
//!
//! A type is a number to rows and plans, and is written by its name in messages all over. Its name is the
//! catalog's, which whoever writes a message seldom has at hand. So who makes a plan, or runs one, lends its
//! catalog to the thread for that time ([`with_type_names`]); without one, a type is shown by its number.

use crate::ids::TypeId;
use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;

/// Who knows what types are called.
pub trait TypeNames: fmt::Debug {
    /// The name of a type, as messages show it.
    fn type_name(&self, id: TypeId) -> Option<String>;
}

thread_local! {
    static LENT: RefCell<Option<Arc<dyn TypeNames>>> = const { RefCell::new(None) };
}

/// Puts back what was lent before.
struct Lent(Option<Arc<dyn TypeNames>>);

impl Drop for Lent {
    fn drop(&mut self) {
        let before = self.0.take();
        LENT.with(|lent| *lent.borrow_mut() = before);
    }
}

/// Does something during which types have these names, on this thread.
///
/// ```
/// use remora_storage::TypeId;
/// use remora_storage::value::{DataType, PackedType, TypeNames, with_type_names};
/// use std::sync::Arc;
///
/// #[derive(Debug)]
/// struct Moods;
/// impl TypeNames for Moods {
///     fn type_name(&self, _: TypeId) -> Option<String> {
///         Some("mood".to_owned())
///     }
/// }
/// let mood = DataType::Packed(PackedType::Enum(TypeId(7)));
/// assert_eq!(with_type_names(Arc::new(Moods), || mood.to_string()), "mood");
/// assert_eq!(mood.to_string(), "type 7");
/// ```
pub fn with_type_names<T>(names: Arc<dyn TypeNames>, f: impl FnOnce() -> T) -> T {
    let _back = Lent(LENT.with(|lent| lent.borrow_mut().replace(names)));
    f()
}

/// Writes the name of a type.
pub(super) fn type_name(id: TypeId, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let names = LENT.with(|lent| lent.borrow().clone());
    match names.and_then(|names| names.type_name(id)) {
        Some(name) => f.write_str(&name),
        None => write!(f, "type {id}"),
    }
}
