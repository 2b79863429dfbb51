//! A model of the time: it goes back for nobody, while the wall clock is set and the hand is moved from half speed to full.
//!
//! ```text
//!   reader              another                          the world
//!   reads the hand      is told the time, and is done    sets the wall clock, lets time pass
//!   reads the clock     begins anew: not earlier
//! ```

use super::{DatabaseTime, ManualTime};
use crate::sync::atomic::{AtomicI64, Ordering::SeqCst};
use crate::sync::check;
use shuttle::thread;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

const SCHEDULES: usize = 2000;
const SECOND: Duration = Duration::from_secs(1);

#[test]
fn nobody_is_told_a_time_before_one_that_was_told() {
    check(SCHEDULES, || {
        let source = ManualTime::at(UNIX_EPOCH + SECOND * 100);
        let time = Arc::new(DatabaseTime::new(Arc::new(source.clone()), false));
        // It begins at half speed, with two seconds to be caught up beyond the minute.
        time.raise(162_000_000);
        assert_eq!(time.begin(), Some(SECOND * 62));
        let told = Arc::new(AtomicI64::new(0));
        let readers: Vec<_> = (0..2)
            .map(|_| {
                let (time, told) = (Arc::clone(&time), Arc::clone(&told));
                thread::spawn(move || {
                    for _ in 0..3 {
                        let before = told.load(SeqCst);
                        let now = time.tell();
                        assert!(now >= before, "{now} after {before}");
                        told.fetch_max(now, SeqCst);
                    }
                })
            })
            .collect();
        // It is caught up by a little: so the slow hand and the fast one differ before that moment.
        source.advance(SECOND * 30);
        source.set(UNIX_EPOCH + SECOND * 178);
        source.advance(SECOND * 3);
        for reader in readers {
            reader.join().unwrap();
        }
    });
}
