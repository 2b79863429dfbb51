//! Epochs: when memory that was unlinked may be freed.
//!
//! ```text
//!  reader      pinned = EPOCH | light fence |  follows links ..      | pinned = 0
//!  reclaimer   unlink ..      | EPOCH += 1  |  heavy fence  | oldest pinned epoch -> free what is older
//! ```
//!
//! 1. Who follows links that others may unlink announces the epoch that it began in, in a slot of
//!    its thread, and clears it when it is done: with an operation on rows, with a look-up in an
//!    index. References end there, however long the snapshot is that they are read for.
//! 2. A reclaimer stamps what was unlinked with the epoch and then raises the epoch. What carries a
//!    stamp below every announced epoch is freed.
//!
//! Why not `crossbeam-epoch`: there each reader executes a full memory fence. A fence waits for all
//! loads before it, so the cache misses of two look-ups never overlap, which costs more than the
//! look-up itself. Here the reader's fence is one for the compiler only; the reclaimer, who comes
//! once in some hundred unlinked things, makes all running threads execute the real one
//! (`membarrier(2)`). Where the system cannot, both sides use a full fence. And what is unlinked
//! stays with whoever unlinked it, so that dropping an index frees all it had, at once.
//!
//! Invariants
//! - *Either the reclaimer sees the announcement, or the reader sees the unlinking.* The reader
//!   stores, fences, loads; the reclaimer stores, fences, loads; one of the fences comes first.
//! - *Who announces an epoch above a stamp sees the unlinking.* The reader's load of the epoch
//!   acquires what the reclaimer's increment released, and that came after the stamping.
//! - An announced epoch may be older than the current one; that only delays freeing.

use crate::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};
use crate::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, compiler_fence, fence};
use crate::sync::{Fault, is_left_out, model};
use std::cell::Cell;
use std::marker::PhantomData;
use std::ptr;
use std::sync::OnceLock;

/// The current epoch; zero stands for *not pinned*.
static EPOCH: AtomicU64 = AtomicU64::new(1);
/// All participants there ever were. They are used again, never freed: as many as there were
/// threads at one time.
static PARTICIPANTS: AtomicPtr<Participant> = AtomicPtr::new(ptr::null_mut());

/// Whether the heavy fence of reclaimers makes up for the light one of readers: found out once.
fn is_asymmetric() -> bool {
    static ASYMMETRIC: OnceLock<bool> = OnceLock::new();
    *ASYMMETRIC.get_or_init(system::register)
}

/// The place where a thread announces its epoch, alone on its cache lines.
#[repr(align(128))]
struct Participant {
    pinned: AtomicU64,
    /// Guards that live; only the thread that has taken the participant changes it.
    guards: AtomicU32,
    taken: AtomicBool,
    /// Constant once the participant is in the list.
    next: *const Participant,
    number: usize,
}

/// A thread's participant, given back when the thread ends.
struct Registered(&'static Participant);

impl Drop for Registered {
    fn drop(&mut self) {
        MINE.set(ptr::null());
        self.0.give_back();
    }
}

thread_local! {
    /// What `REGISTERED` has, or null before the first use, after the last, and always where the
    /// light fence is not light. It is constant at the start and has no destructor, so that a look
    /// at it is a load.
    static MINE: Cell<*const Participant> = const { Cell::new(ptr::null()) };
    static REGISTERED: Registered = Registered(claim());
}

impl Participant {
    fn give_back(&self) {
        // Release: what this thread read comes before what the next owner does.
        self.taken.store(false, Release);
    }
}

/// The right to follow links; what is unlinked from now on stays until the guard is gone.
pub(crate) struct Guard {
    participant: &'static Participant,
    /// The thread is ending and its own participant is gone, or it is a task of a model: this one is
    /// the guard's.
    borrowed: bool,
    /// A guard stays on its thread.
    _here: PhantomData<*const ()>,
}

impl std::fmt::Debug for Guard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Guard").field(&self.thread()).finish()
    }
}

impl Guard {
    /// A number that differs between threads that run at the same time.
    pub(crate) fn thread(&self) -> usize {
        self.participant.number
    }
}

/// Announces that this thread follows links.
#[inline(always)]
pub(crate) fn pin() -> Guard {
    if model() != 0 {
        return announce(claim(), true);
    }
    // SAFETY: participants are never freed, and changed through atomics only.
    match unsafe { MINE.get().as_ref() } {
        Some(participant) => {
            let guard = announce(participant, false);
            // The reader's half of the asymmetric fence.
            compiler_fence(SeqCst);
            guard
        }
        None => pin_first(),
    }
}

#[inline(always)]
fn announce(participant: &'static Participant, borrowed: bool) -> Guard {
    // Relaxed: a number of this thread's own.
    let guards = participant.guards.load(Relaxed);
    participant.guards.store(guards + 1, Relaxed);
    if guards == 0 && !is_left_out(Fault::NotPinned) {
        // Acquire: see the second invariant. Release: a reclaimer that sees this announcement and not
        // the zero before it must come after the reads before that zero, too. A fence after it orders
        // the store before the loads to come.
        participant.pinned.store(EPOCH.load(Acquire), Release);
    }
    Guard {
        participant,
        borrowed,
        _here: PhantomData,
    }
}

/// [`pin`] for a thread that has no participant at hand.
#[cold]
fn pin_first() -> Guard {
    let guard = match REGISTERED.try_with(|registered| registered.0) {
        Ok(participant) => {
            if is_asymmetric() {
                MINE.set(participant);
            }
            announce(participant, false)
        }
        Err(_) => announce(claim(), true),
    };
    fence(SeqCst);
    guard
}

impl Drop for Guard {
    #[inline(always)]
    fn drop(&mut self) {
        let guards = self.participant.guards.load(Relaxed) - 1;
        self.participant.guards.store(guards, Relaxed);
        if guards == 0 {
            // Release: the reads come before it, and so before a reclaimer that sees the zero.
            self.participant.pinned.store(0, Release);
        }
        if self.borrowed {
            self.participant.give_back();
        }
    }
}

/// Whether this thread follows links at the moment: then it cannot wait for all who do.
pub(crate) fn is_pinned() -> bool {
    let is_pinned = |registered: &Registered| registered.0.guards.load(Relaxed) > 0;
    model() == 0 && REGISTERED.try_with(is_pinned).unwrap_or(true)
}

/// A stamp for all that the caller has unlinked so far.
pub(crate) fn stamp() -> u64 {
    // Release: the unlinking comes before the new epoch. An increment, so that the stamp is the
    // latest epoch and not one seen late.
    let stamp = EPOCH.fetch_add(1, AcqRel);
    heavy_fence();
    stamp
}

/// Whatever was stamped below this before may be freed. It takes no further fence: after the one of
/// the stamp, who is not seen to be pinned sees the unlinking.
pub(crate) fn bound() -> u64 {
    let mut oldest = u64::MAX;
    find_participant(|participant| {
        // Acquire pairs with the guard's drop.
        let pinned = participant.pinned.load(Acquire);
        if pinned != 0 {
            oldest = oldest.min(pinned);
        }
        false
    });
    oldest
}

/// A stamp for all that the caller has unlinked so far, and the bound.
pub(crate) fn advance() -> (u64, u64) {
    let stamp = stamp();
    (stamp, bound())
}

/// Waits for those who follow links when it is called: tests of one process share the epochs.
#[cfg(test)]
pub(crate) fn wait_for_others() {
    assert!(!is_pinned(), "it would wait for itself");
    let stamp = stamp();
    while bound() <= stamp {
        std::thread::yield_now();
    }
}

fn find_participant(
    mut is_wanted: impl FnMut(&'static Participant) -> bool,
) -> Option<&'static Participant> {
    #[cfg(feature = "shuttle")]
    if model() != 0 {
        return modelled::all().into_iter().find(|each| is_wanted(each));
    }
    let mut next: *const Participant = PARTICIPANTS.load(Acquire);
    // SAFETY: participants are never freed, and `next` is constant once they are in the list.
    while let Some(participant) = unsafe { next.as_ref() } {
        if is_wanted(participant) {
            return Some(participant);
        }
        next = participant.next;
    }
    None
}

fn claim() -> &'static Participant {
    let left = find_participant(|participant| {
        let taken = &participant.taken;
        !taken.load(Relaxed)
            && taken
                .compare_exchange(false, true, Acquire, Relaxed)
                .is_ok()
    });
    left.unwrap_or_else(add_participant)
}

fn add_participant() -> &'static Participant {
    let new = Box::leak(Box::new(Participant {
        pinned: AtomicU64::new(0),
        guards: AtomicU32::new(0),
        taken: AtomicBool::new(true),
        next: ptr::null(),
        number: 0,
    }));
    #[cfg(feature = "shuttle")]
    if model() != 0 {
        return modelled::add(new);
    }
    let new: *mut Participant = new;
    let mut first = PARTICIPANTS.load(Acquire);
    loop {
        // SAFETY: `new` is this thread's alone until the exchange succeeds; the first one of the
        // list is a participant, never freed.
        unsafe {
            (*new).next = first;
            (*new).number = first.as_ref().map_or(0, |first| first.number + 1);
        }
        match PARTICIPANTS.compare_exchange(first, new, AcqRel, Acquire) {
            // SAFETY: participants are never freed, and changed through atomics only from here on.
            Ok(_) => return unsafe { &*new },
            Err(other) => first = other,
        }
    }
}

/// The participants of one run of a model: its tasks share a thread, and when it fails, some of them
/// never come to an end.
#[cfg(feature = "shuttle")]
mod modelled {
    use super::{Participant, model};
    use std::cell::RefCell;

    thread_local! {
        static RUN: RefCell<(u64, Vec<&'static Participant>)> = const { RefCell::new((0, Vec::new())) };
    }

    pub(super) fn all() -> Vec<&'static Participant> {
        RUN.with_borrow(|(run, all)| {
            if *run == model() {
                all.clone()
            } else {
                Vec::new()
            }
        })
    }

    pub(super) fn add(new: &'static mut Participant) -> &'static Participant {
        new.number = all().len();
        let new: &'static Participant = new;
        RUN.with_borrow_mut(|(run, all)| {
            if *run != model() {
                (*run, *all) = (model(), Vec::new());
            }
            all.push(new);
        });
        new
    }
}

/// The reader's half of the asymmetric fence, for others who store, fence and load.
#[inline]
pub(crate) fn light_fence() {
    match is_asymmetric() {
        true => compiler_fence(SeqCst),
        false => fence(SeqCst),
    }
}

/// The reclaimer's half: after it, every thread has executed a full fence.
pub(crate) fn heavy_fence() {
    fence(SeqCst);
    if is_asymmetric() && model() == 0 {
        system::fence_all_threads();
    }
}

/// `membarrier(2)`, from Linux 4.14 on.
#[cfg(all(target_os = "linux", not(miri)))]
mod system {
    /// Announces that this process will use it; whether it may.
    pub(super) fn register() -> bool {
        call(libc::MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED)
    }

    pub(super) fn fence_all_threads() {
        let done = call(libc::MEMBARRIER_CMD_PRIVATE_EXPEDITED);
        assert!(done, "membarrier works once it is registered");
    }

    fn call(command: libc::c_int) -> bool {
        // SAFETY: the call takes three integers and touches no memory of ours.
        unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) == 0 }
    }
}

#[cfg(not(all(target_os = "linux", not(miri))))]
mod system {
    pub(super) fn register() -> bool {
        false
    }

    pub(super) fn fence_all_threads() {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unlinked_under_a_guard_waits_for_it() {
        let outer = pin();
        let inner = pin();
        let (stamp, bound) = advance();
        assert!(bound <= stamp, "a reader of that epoch is pinned");
        drop(outer);
        assert!(
            is_pinned() && advance().1 <= stamp,
            "the inner guard is there"
        );
        drop(inner);
        // Other tests of this process may be pinned, but not for ever.
        while advance().1 <= stamp {
            std::thread::yield_now();
        }
    }

    #[test]
    fn participants_of_ended_threads_are_used_again() {
        let number = || std::thread::spawn(|| pin().thread()).join().unwrap();
        let highest = (0..100).map(|_| number()).max();
        assert!(highest < Some(100), "{highest:?}");
    }
}
