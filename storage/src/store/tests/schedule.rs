//! Stories of checkpoints that come by themselves, soon enough and not too fast.

use crate::checkpoint::image::IMAGE_HEADER_LEN;
use crate::disk::{Disk, SimDisk};
use crate::format::{PROLOGUE_LEN, read_file, u64_at};
use crate::store::testing::{commit, contents, create_table, model, open, options};
use crate::store::{CheckpointReason, Store, StoreOptions};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Longer than anything here takes on a busy machine.
const LONG: Duration = Duration::from_secs(5);

/// A store that writes checkpoints when it is asked whether one is due.
fn start(medium: &SimDisk, change: impl FnOnce(&mut StoreOptions)) -> Store {
    let mut options = options();
    change(&mut options);
    let opened = Store::open_on(Arc::new(medium.clone()), options);
    opened.expect("a store").0
}

/// Why the checkpoints were written that are there, the newest first.
fn reasons(medium: &SimDisk) -> Vec<CheckpointReason> {
    let list = crate::checkpoint::kept::list(medium).expect("a list");
    let infos = list.checkpoints.into_iter().filter_map(|one| one.info);
    infos.map(|info| info.reason).collect()
}

/// Asks whether a checkpoint is due; returns why the newest one was written.
fn ask(store: &Store, medium: &SimDisk) -> Option<CheckpointReason> {
    store.run_background().expect("a log without failures");
    reasons(medium).first().copied()
}

#[test]
fn one_comes_some_time_after_something_was_logged() {
    let medium = SimDisk::new();
    let store = start(&medium, |options| {
        options.checkpoint_timeout = Some(Duration::ZERO);
    });
    assert_eq!(ask(&store, &medium), None, "nothing was logged");
    create_table(&store).expect("a table");
    let schedule = store.schedule().expect("a directory");
    let timeout = |time| {
        let mut settings = schedule.settings();
        settings.timeout = Some(time);
        schedule.set(settings);
    };
    timeout(Duration::from_secs(3600));
    assert_eq!(ask(&store, &medium), None, "an hour is not over");
    timeout(Duration::ZERO);
    assert_eq!(ask(&store, &medium), Some(CheckpointReason::Time));
}

#[test]
fn one_comes_before_recovery_takes_longer_than_it_may() {
    let medium = SimDisk::new();
    let store = start(&medium, |_| {});
    create_table(&store).expect("a table");
    commit(&store, 0).expect("a commit");
    let schedule = store.schedule().expect("a directory");
    let logged = schedule.logged_since();
    let target = |time| {
        let mut settings = schedule.settings();
        settings.recovery_target = Some(time);
        schedule.set(settings);
    };
    target(schedule.replay_time(logged) * 1000);
    assert_eq!(ask(&store, &medium), None, "recovery is quick enough");
    target(schedule.replay_time(logged) / 2);
    assert_eq!(ask(&store, &medium), Some(CheckpointReason::RecoveryTarget));
    assert_eq!(schedule.initial_settings().recovery_target, None);
}

#[test]
fn one_comes_at_the_close_where_that_is_wished() {
    for wished in [false, true] {
        let medium = SimDisk::new();
        let store = start(&medium, |options| options.checkpoint_on_close = wished);
        create_table(&store).expect("a table");
        commit(&store, 0).expect("a commit");
        store.close().expect("closed");
        drop(store);
        assert_eq!(
            reasons(&medium).first() == Some(&CheckpointReason::Close),
            wished
        );
        let (store, report) = open(medium).expect("a store");
        assert!(report.clean);
        assert_eq!(report.frames_replayed == 0, wished);
        assert_eq!(contents(&store), model(1));
    }
}

/// The background writes so slowly that it would take hours. Alice asks for a checkpoint, and then closes.
#[test]
fn nobody_waits_for_a_checkpoint_that_is_written_slowly() {
    let medium = SimDisk::new();
    let store = start_slowly(&medium);
    let began = Instant::now();
    let mut commits = 0;
    // The log has reached its length, and a checkpoint has begun.
    while medium.list("data").expect("a list").is_empty() {
        // No further: a log that grows on would hurry it.
        if store.log_end().0 < 1 << 10 {
            commit(&store, commits).expect("a commit");
            commits += 1;
        } else {
            std::thread::sleep(Duration::from_millis(1));
        }
        assert!(began.elapsed() < LONG, "no checkpoint began");
    }
    assert_eq!(reasons(&medium), [], "it is slow");
    store.checkpoint().expect("a checkpoint");
    let reasons_now = reasons(&medium);
    assert_eq!(reasons_now[0], CheckpointReason::Command);
    store.close().expect("closed");
    assert!(began.elapsed() < LONG, "it was waited for");
    let (store, _) = open(medium).expect("a store");
    assert_eq!(contents(&store), model(commits));
}

/// A store with a table, whose checkpoints are due early and written a byte a second, by a thread of its own.
fn start_slowly(medium: &SimDisk) -> Store {
    let store = start(medium, |options| {
        options.manual_maintenance = false;
        options.checkpoint_log_bytes = Some(1 << 10);
        options.checkpoint_rate = Some(1);
    });
    create_table(&store).expect("a table");
    store
}

/// A limit must not let the log grow without end.
#[test]
fn a_log_that_grows_on_hurries_a_slow_checkpoint() {
    let medium = SimDisk::new();
    let store = start_slowly(&medium);
    let (began, mut commits) = (Instant::now(), 0);
    while reasons(&medium).is_empty() {
        commit(&store, commits).expect("a commit");
        commits = (commits + 1) % 10;
        assert!(began.elapsed() < LONG, "the checkpoint never ends");
    }
}

/// Who sleeps within a block keeps from being freed what everybody else unlinks.
#[test]
fn a_slow_checkpoint_sleeps_between_blocks() {
    let medium = SimDisk::new();
    let store = start_slowly(&medium);
    let (began, mut commits) = (Instant::now(), 0);
    let data = loop {
        if store.log_end().0 < 1 << 10 {
            commit(&store, commits).expect("a commit");
            commits += 1;
        }
        if let Some(name) = medium.list("data").expect("a list").first() {
            break format!("data/{name}");
        }
        std::thread::sleep(Duration::from_millis(1));
        assert!(began.elapsed() < LONG, "no checkpoint began");
    };
    // The first block is there, though for years to come no byte of it is due.
    let written = || read_file(&medium, &data, u64::MAX).expect("a data file");
    while written().len() < PROLOGUE_LEN + IMAGE_HEADER_LEN {
        std::thread::sleep(Duration::from_millis(1));
        assert!(
            began.elapsed() < LONG,
            "it sleeps before the block is written"
        );
    }
    let mut images = &written()[PROLOGUE_LEN..];
    while !images.is_empty() {
        let length = u64_at(images, 0) as usize;
        images = images.get(length..).expect("whole images");
    }
    assert_eq!(reasons(&medium), [], "it is slow");
    store.checkpoint().expect("a checkpoint");
    assert!(began.elapsed() < LONG, "it was waited for");
}
