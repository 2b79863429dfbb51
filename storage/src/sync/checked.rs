//! The door with the model checker behind it.
//!
//! Atomics are the standard library's with a scheduling point before each access: they keep size
//! and layout, because rows and nodes are made of zeroed memory. Latches are `parking_lot`'s, tried
//! until they are free. Outside of [`check`] nothing is scheduled, so that all other tests run
//! under the feature as well.
//!
//! The checker knows sequential consistency only: it finds wrong *orders of steps*, and not an
//! ordering that is too weak. Those are argued where they stand.

use super::Fault;
use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::sync::atomic::AtomicBool as Point;
use shuttle::{Config, MaxSteps, Runner};
use std::cell::Cell;
use std::fmt;

thread_local! {
    /// Tasks of a model all run on the thread that checks it.
    static IS_CHECKING: Cell<bool> = const { Cell::new(false) };
    static FAULT: Cell<Option<Fault>> = const { Cell::new(None) };
    /// The run of a model that is under way.
    static MODEL: Cell<u64> = const { Cell::new(0) };
}

/// Whatever was set is so again when this goes, also in a panic.
struct Reset<T: Copy + 'static>(&'static std::thread::LocalKey<Cell<T>>, T);

impl<T: Copy> Drop for Reset<T> {
    fn drop(&mut self) {
        self.0.set(self.1);
    }
}

/// Schedules of a kind before the other kind has its turn.
const ROUND: usize = 150;

/// Runs a model under so many random schedules, and as many that prefer one task and preempt it at
/// a few chosen moments.
pub(crate) fn check(schedules: usize, model: fn()) {
    let run = |scheduler: Box<dyn Scheduler + Send>| {
        let mut config = Config::new();
        config.stack_size = 256 << 10;
        config.max_steps = MaxSteps::FailAfter(200_000);
        config.silence_warnings = true;
        let _reset = Reset(&IS_CHECKING, IS_CHECKING.replace(true));
        let _model = Reset(&MODEL, MODEL.get());
        Runner::new(scheduler, config).run(move || {
            static RUNS: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
            MODEL.set(RUNS.fetch_add(1, atomic::Ordering::Relaxed) + 1);
            model();
        });
    };
    // In turns: what only one kind finds is found as soon as it may.
    let mut left = schedules;
    while left > 0 {
        let now = left.min(ROUND);
        run(Box::new(RandomScheduler::new(now)));
        run(Box::new(PctScheduler::new(3, now)));
        left -= now;
    }
}

/// Runs something with a step left out.
pub(crate) fn with_fault<T>(fault: Fault, run: impl FnOnce() -> T) -> T {
    let _reset = Reset(&FAULT, FAULT.replace(Some(fault)));
    run()
}

pub(super) fn is_left_out(fault: Fault) -> bool {
    FAULT.get() == Some(fault)
}

pub(super) fn model() -> u64 {
    MODEL.get()
}

/// Lets the checker choose who goes on.
fn point() {
    if IS_CHECKING.get() {
        Point::new(false).load(atomic::Ordering::SeqCst);
    }
}

/// Lets others go on first.
pub fn yield_now() {
    match IS_CHECKING.get() {
        true => shuttle::thread::yield_now(),
        false => std::thread::yield_now(),
    }
}

/// `std::thread_local!`, but that within a model each task has its own.
macro_rules! per_thread {
    ($(#[$attribute:meta])* static $name:ident: $type:ty = $init:expr;) => {
        $(#[$attribute])*
        static $name: $crate::sync::PerThread<$type> = {
            std::thread_local! { static REAL: $type = $init; }
            shuttle::thread_local! { static MODELLED: $type = $init; }
            $crate::sync::PerThread::new(&REAL, &MODELLED)
        };
    };
}
pub(crate) use per_thread;

/// A thread's own value; in a model, a task's.
#[derive(Debug)]
pub struct PerThread<T: 'static> {
    real: &'static std::thread::LocalKey<T>,
    modelled: &'static shuttle::thread::LocalKey<T>,
}

/// The thread is ending, and its value is gone.
#[derive(Debug)]
pub struct Ended;

impl<T> PerThread<T> {
    /// The values of threads and those of tasks.
    pub const fn new(
        real: &'static std::thread::LocalKey<T>,
        modelled: &'static shuttle::thread::LocalKey<T>,
    ) -> Self {
        Self { real, modelled }
    }

    /// Does something with the value.
    pub fn try_with<R>(&self, f: impl FnOnce(&T) -> R) -> Result<R, Ended> {
        match IS_CHECKING.get() {
            true => self.modelled.try_with(f).map_err(|_| Ended),
            false => self.real.try_with(f).map_err(|_| Ended),
        }
    }
}

/// `parking_lot`'s mutex.
#[derive(Default)]
pub struct Mutex<T: ?Sized>(parking_lot::Mutex<T>);

pub use parking_lot::MutexGuard;

impl<T> Mutex<T> {
    /// A free latch around a value.
    pub const fn new(value: T) -> Self {
        Self(parking_lot::Mutex::new(value))
    }

    /// The value.
    pub fn into_inner(self) -> T {
        self.0.into_inner()
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Waits for the latch and takes it.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        wait_for(|| self.0.try_lock(), || self.0.lock())
    }

    /// Takes the latch if it is free.
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        point();
        self.0.try_lock()
    }

    /// The value, which nobody else has.
    pub fn get_mut(&mut self) -> &mut T {
        self.0.get_mut()
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// `parking_lot`'s lock.
#[derive(Default)]
pub struct RwLock<T: ?Sized>(parking_lot::RwLock<T>);

impl<T> RwLock<T> {
    /// A free lock around a value.
    pub const fn new(value: T) -> Self {
        Self(parking_lot::RwLock::new(value))
    }

    /// The value.
    pub fn into_inner(self) -> T {
        self.0.into_inner()
    }
}

impl<T: ?Sized> RwLock<T> {
    /// Waits for a share in the lock and takes it.
    pub fn read(&self) -> parking_lot::RwLockReadGuard<'_, T> {
        wait_for(|| self.0.try_read(), || self.0.read())
    }

    /// Waits for the lock and takes it.
    pub fn write(&self) -> parking_lot::RwLockWriteGuard<'_, T> {
        wait_for(|| self.0.try_write(), || self.0.write())
    }

    /// The value, which nobody else has.
    pub fn get_mut(&mut self) -> &mut T {
        self.0.get_mut()
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

fn wait_for<G>(attempt: impl Fn() -> Option<G>, wait: impl Fn() -> G) -> G {
    if !IS_CHECKING.get() {
        return wait();
    }
    point();
    loop {
        if let Some(taken) = attempt() {
            return taken;
        }
        yield_now();
    }
}

/// The standard library's atomics, with a scheduling point before each access.
pub mod atomic {
    #![allow(missing_docs, reason = "they are the standard library's")]

    use super::point;
    pub use std::sync::atomic::{Ordering, fence};

    macro_rules! forward {
        ($value:ty; $($name:ident($($argument:ident: $type:ty),*) -> $result:ty;)*) => {
            $(
                pub fn $name(&self, $($argument: $type),*) -> $result {
                    point();
                    self.0.$name($($argument),*)
                }
            )*

            pub fn compare_exchange_weak(
                &self,
                current: $value,
                new: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                self.compare_exchange(current, new, success, failure)
            }

            pub fn fetch_update(
                &self,
                set: Ordering,
                fetch: Ordering,
                update: impl FnMut($value) -> Option<$value>,
            ) -> Result<$value, $value> {
                point();
                self.0.fetch_update(set, fetch, update)
            }

            pub fn get_mut(&mut self) -> &mut $value {
                self.0.get_mut()
            }
        };
    }

    macro_rules! atomic {
        ($name:ident, $value:ty; $($more:tt)*) => {
            #[repr(transparent)]
            #[derive(Debug, Default)]
            pub struct $name(std::sync::atomic::$name);

            impl $name {
                pub const fn new(value: $value) -> Self {
                    Self(std::sync::atomic::$name::new(value))
                }

                pub fn into_inner(self) -> $value {
                    self.0.into_inner()
                }

                forward! {
                    $value;
                    load(order: Ordering) -> $value;
                    store(value: $value, order: Ordering) -> ();
                    swap(value: $value, order: Ordering) -> $value;
                    fetch_or(value: $value, order: Ordering) -> $value;
                    fetch_and(value: $value, order: Ordering) -> $value;
                    fetch_xor(value: $value, order: Ordering) -> $value;
                    compare_exchange(
                        current: $value, new: $value, success: Ordering, failure: Ordering
                    ) -> Result<$value, $value>;
                    $($more)*
                }
            }
        };
    }

    macro_rules! atomic_number {
        ($($name:ident $value:ty;)*) => {
            $(
                atomic! {
                    $name, $value;
                    fetch_add(value: $value, order: Ordering) -> $value;
                    fetch_sub(value: $value, order: Ordering) -> $value;
                    fetch_max(value: $value, order: Ordering) -> $value;
                    fetch_min(value: $value, order: Ordering) -> $value;
                }
            )*
        };
    }

    atomic! { AtomicBool, bool; }
    atomic_number! {
        AtomicU8 u8;
        AtomicU16 u16;
        AtomicU32 u32;
        AtomicU64 u64;
        AtomicUsize usize;
        AtomicI32 i32;
        AtomicI64 i64;
        AtomicIsize isize;
    }

    /// As in the standard library.
    #[repr(transparent)]
    #[derive(Debug)]
    pub struct AtomicPtr<T>(std::sync::atomic::AtomicPtr<T>);

    impl<T> Default for AtomicPtr<T> {
        fn default() -> Self {
            Self::new(std::ptr::null_mut())
        }
    }

    impl<T> AtomicPtr<T> {
        pub const fn new(value: *mut T) -> Self {
            Self(std::sync::atomic::AtomicPtr::new(value))
        }

        pub fn into_inner(self) -> *mut T {
            self.0.into_inner()
        }

        forward! {
            *mut T;
            load(order: Ordering) -> *mut T;
            store(value: *mut T, order: Ordering) -> ();
            swap(value: *mut T, order: Ordering) -> *mut T;
            compare_exchange(
                current: *mut T, new: *mut T, success: Ordering, failure: Ordering
            ) -> Result<*mut T, *mut T>;
        }
    }
}
