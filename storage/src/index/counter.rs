//! A count of entries that threads do not fight for.

use crate::sync::atomic::{AtomicIsize, AtomicUsize, Ordering::Relaxed};

const STRIPES: usize = 8;
/// Whoever counts is told at every so many entries to look at the size of the index.
const STEP_BITS: u32 = 3;

static NEXT_STRIPE: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static STRIPE: usize = NEXT_STRIPE.fetch_add(1, Relaxed) % STRIPES;
}

/// One thread's part, alone on its cache line; negative where it removed what others added.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Stripe(AtomicIsize);

/// The count. Relaxed throughout, because it guards nothing.
#[derive(Debug, Default)]
pub(crate) struct Counter([Stripe; STRIPES]);

impl Counter {
    /// Counts so many more or less; says whether it is time to look at the total.
    pub(crate) fn add(&self, more: isize) -> bool {
        let stripe = STRIPE.with(|stripe| *stripe);
        let before = self.0[stripe].0.fetch_add(more, Relaxed);
        before >> STEP_BITS != (before + more) >> STEP_BITS
    }

    /// Counts one more in the stripe of the caller's choice.
    #[inline]
    pub(crate) fn add_in(&self, stripe: usize) {
        self.0[stripe % STRIPES].0.fetch_add(1, Relaxed);
    }

    pub(crate) fn total(&self) -> usize {
        let stripes = self.0.iter().map(|stripe| stripe.0.load(Relaxed));
        usize::try_from(stripes.sum::<isize>()).unwrap_or(0)
    }
}
