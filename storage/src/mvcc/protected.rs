//! A shared pointer that readers follow in an operation.

use super::operation::Operation;
use crate::sync::atomic::AtomicPtr;
use crate::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use std::ptr;
use std::sync::Arc;

/// Holds an `Arc<T>` or nothing. Reading costs one load, because the borrow of an operation
/// proves that what was taken out meanwhile has not been freed yet: [`Self::take`] gives the `Arc`
/// to be put in the [`super::RetireQueue`].
#[derive(Debug)]
pub struct Protected<T>(AtomicPtr<T>);

impl<T> Default for Protected<T> {
    fn default() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }
}

impl<T> Protected<T> {
    /// What it points to.
    #[inline]
    pub fn get<'a>(&'a self, _proof: &'a Operation<'a>) -> Option<&'a T> {
        // SAFETY: the pointer came from `Arc::into_raw`, and its count is given up only through
        // the retire queue, which waits until every operation that was under way at the time of
        // `take` is over; `_proof` is such an operation for as long as 'a, or began after the
        // `take`, in which case it no longer finds the pointer. Acquire pairs with `set`.
        unsafe { self.0.load(Acquire).as_ref() }
    }

    /// Whether it points to something now.
    pub fn is_set(&self) -> bool {
        // Relaxed: nothing is read through it.
        !self.0.load(Relaxed).is_null()
    }

    /// What it points to, shared: to be held beyond the operation.
    pub fn get_arc(&self, proof: &Operation<'_>) -> Option<Arc<T>> {
        self.get(proof).map(|value| {
            // SAFETY: `value` came from `Arc::into_raw`, and is alive as argued in `get`.
            unsafe {
                Arc::increment_strong_count(value);
                Arc::from_raw(value)
            }
        })
    }

    /// Puts a value where there is none.
    ///
    /// # Panics
    /// When there is one.
    pub fn set(&self, value: Arc<T>) {
        let new = Arc::into_raw(value).cast_mut();
        let result = self
            .0
            .compare_exchange(ptr::null_mut(), new, AcqRel, Acquire);
        assert!(result.is_ok(), "a protected pointer is set once");
    }

    /// Puts another value in the place of `old`, which is to be retired; fails, and gives the new
    /// one back, where something else is there by now.
    pub fn replace(&self, old: &T, value: Arc<T>) -> Result<Retirable<T>, Arc<T>> {
        let new = Arc::into_raw(value).cast_mut();
        let old = ptr::from_ref(old).cast_mut();
        match self.0.compare_exchange(old, new, AcqRel, Acquire) {
            // SAFETY: both pointers came from `Arc::into_raw`; the exchange made this call the only
            // one that gives the old one's count back, or left the new one ours.
            Ok(old) => Ok(Retirable(unsafe { Arc::from_raw(old) })),
            // SAFETY: as above.
            Err(_) => Err(unsafe { Arc::from_raw(new) }),
        }
    }

    /// Takes the value out, to be retired.
    pub fn take(&self) -> Option<Retirable<T>> {
        let old = self.0.swap(ptr::null_mut(), AcqRel);
        // SAFETY: the pointer came from `Arc::into_raw`, and the swap made this call the only one
        // that gives its count back.
        (!old.is_null()).then(|| Retirable(unsafe { Arc::from_raw(old) }))
    }
}

impl<T> Drop for Protected<T> {
    fn drop(&mut self) {
        if let Some(Retirable(value)) = self.take() {
            drop(value);
        }
    }
}

/// What was taken out of a [`Protected`]; it can only be retired.
#[derive(Debug)]
pub struct Retirable<T>(pub(super) Arc<T>);
