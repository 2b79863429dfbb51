//! Every crash of a script: at each event of its disk, with each choice of what survives; and of the
//! recovery of what was left, again at each of its events. And the same of runs in which a process dies or a disk
//! fails at each of its operations, and another process goes on.
//!
//! ```text
//!   script  --event--event--event--event--event-->              and again, for each operation and each way:
//!                      |                                        --event--event--x  kill, or fault
//!                      +-- medium: 3 loose things --> 8 images                  \--event--event-->
//!                                                        |                              |
//!                          distinct ones are opened, and checked <----------------------'
//!                                                        |
//!                                recovery --event--event--event-->
//!                                             |
//!                                             +-- images --> opened: what the first recovery found
//! ```
//!
//! An image is looked at once for each script, as deeply as it is wanted: again where it was met first by a
//! crash of a recovery, and then by one of the script, whose recovery is crashed, too. What is *demanded* of
//! it is gathered, and compared with what was found in it.

use super::choice::{Bounds, choices};
use super::course::{Interruption, Kind, Run, States};
use super::examine::{Breach, Depth, Found, Promise, examine, examine_copy};
use super::script::Script;
use crate::random::Random;
use remora::testing::{Event, Image, Medium, SimDisk, Tear};
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex};

/// Images that may wait to be looked at.
const IMAGES_AHEAD: usize = 64;
/// How writes are torn.
pub(super) const TEARS: [Tear; 3] = [Tear::Byte, Tear::Sector(512), Tear::Sector(4096)];
/// Violations after which a script is given up.
const VIOLATIONS_MAX: usize = 5;
/// Steps that are done after an interruption.
const STEPS_AFTER: usize = 2;

/// How much is tried.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// At each event of a script.
    pub script: Bounds,
    /// At each event of a recovery.
    pub recovery: Bounds,
    /// At each event after an interruption.
    pub interrupted: Bounds,
    /// Of all interruptions, at each operation and in each way, every so manieth; none for 0.
    pub interruptions: u64,
    /// Threads.
    pub threads: usize,
}

impl Effort {
    /// For a first look, and to notice a mistake.
    pub fn quick(threads: usize) -> Self {
        Self {
            script: Bounds::QUICK,
            recovery: Bounds::LEAST,
            interrupted: Bounds::LEAST,
            interruptions: 5,
            threads,
        }
    }

    /// For all that can be found.
    pub fn thorough(threads: usize) -> Self {
        Self {
            script: Bounds::THOROUGH,
            recovery: Bounds::THOROUGH_AGAIN,
            interrupted: Bounds::LEAST,
            interruptions: 1,
            threads,
        }
    }
}

/// What an exploration came to.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Crash points of the script.
    pub points: usize,
    /// Runs that were interrupted.
    pub interruptions: usize,
    /// Images that a crash of the script leaves, and no script before.
    pub images: usize,
    /// Further such images that a crash of an interrupted run leaves.
    pub interrupted_images: usize,
    /// Further such images that a crash of a recovery leaves.
    pub recovery_images: usize,
    /// What was wrong.
    pub violations: Vec<Breach>,
}

impl Tally {
    /// All images.
    pub fn states(&self) -> usize {
        self.images + self.interrupted_images + self.recovery_images
    }
}

/// The images that came up in any script: each counts once.
#[derive(Debug, Default)]
pub struct Seen(Mutex<HashSet<u64>>);

impl Seen {
    fn is_new(&self, image: u64) -> bool {
        self.0.lock().expect("no panic under it").insert(image)
    }
}

/// What must be found in an image.
#[derive(Clone, Debug)]
enum Demand {
    /// What is there after some number of steps between these two.
    Between(Arc<States>, usize, usize),
    /// What the recovery that was cut short had found.
    Same(u64),
}

/// An image that came up.
#[derive(Debug, Default)]
struct Known {
    /// How deeply it is looked at, or will be.
    depth: Option<Depth>,
    /// A hash of what is in it, once it was looked at.
    found: Option<u64>,
    /// What was demanded before that.
    demands: Vec<(Demand, Place)>,
}

/// Where an image came from.
#[derive(Clone, Copy, Debug)]
struct Place {
    /// What was in the run's way.
    interruption: Option<Interruption>,
    /// Events of the script before the crash.
    event: usize,
    /// Events of the recovery before the second crash.
    recovery_event: Option<usize>,
}

struct Explorer<'s> {
    script: &'s Script,
    effort: Effort,
    seen: &'s Seen,
    known: Mutex<HashMap<u64, Known>>,
    violations: Mutex<Vec<Breach>>,
    /// New images by where they come from: the script, an interrupted run, a recovery.
    counts: [AtomicUsize; 3],
}

/// Explores all crashes of a script.
pub fn explore(script: &Script, effort: Effort, seen: &Seen) -> Tally {
    let explorer = Explorer::new(script, effort, seen);
    let disk = SimDisk::recording();
    let (mut points, mut interruptions) = (0, 0);
    match Run::of(script, &disk, None) {
        Ok(run) => {
            points = run.events.len() + 1;
            explorer.explore_run(&run);
            explorer.explore_copies(&run);
            interruptions = explorer.interrupt(disk.operations());
        }
        Err(text) => explorer.violation(None, Promise::Runs.broken(text)),
    }
    explorer.tally(points, interruptions)
}

/// Explores all crashes of a script that was run.
pub fn explore_run(script: &Script, run: &Run, effort: Effort) -> Tally {
    let seen = Seen::default();
    let explorer = Explorer::new(script, effort, &seen);
    explorer.explore_run(run);
    explorer.tally(run.events.len() + 1, 0)
}

/// Gives each image that a crash may leave, with the number of events before it, to the caller, until
/// that has enough. Crashes before event number `from` are left out.
fn follow(
    start: &Image,
    events: &[Event],
    from: usize,
    bounds: Bounds,
    mut each: impl FnMut(usize, Image) -> bool,
) {
    let mut medium = Medium::new(start);
    let mut random = Random::new(events.len() as u64);
    for count in 0..=events.len() {
        if let Some(event) = count.checked_sub(1) {
            medium.apply(&events[event]);
        }
        if count < from {
            continue;
        }
        for tear in TEARS {
            let loose = medium.loose(tear);
            // A write may end at any of its bytes.
            let bytes = medium.loose(Tear::Sector(1));
            if tear == Tear::Byte && bytes.len() <= bounds.bytes {
                for end in 0..=bytes.len() {
                    let go_on = each(count, medium.image(&bytes, |at| at < end, false));
                    if !go_on || !each(count, medium.image(&bytes, |at| at >= end, false)) {
                        return;
                    }
                }
            }
            let overlaps = medium.overlaps(&loose);
            for choice in choices(loose.len(), bounds, &mut random) {
                let mut go_on = each(count, medium.image(&loose, |at| choice[at], false));
                if overlaps {
                    go_on &= each(count, medium.image(&loose, |at| choice[at], true));
                }
                if !go_on {
                    return;
                }
            }
        }
    }
}

impl<'s> Explorer<'s> {
    fn new(script: &'s Script, effort: Effort, seen: &'s Seen) -> Self {
        Self {
            script,
            effort,
            seen,
            known: Mutex::default(),
            violations: Mutex::default(),
            counts: Default::default(),
        }
    }

    fn tally(self, points: usize, interruptions: usize) -> Tally {
        let [images, interrupted_images, recovery_images] = self.counts.map(|c| c.into_inner());
        Tally {
            points,
            interruptions,
            images,
            interrupted_images,
            recovery_images,
            violations: self.violations.into_inner().unwrap_or_default(),
        }
    }

    /// All crashes of a run, on all threads.
    fn explore_run(&self, run: &Run) {
        std::thread::scope(|scope| {
            let (sender, receiver) = sync_channel(IMAGES_AHEAD);
            let receiver = Arc::new(Mutex::new(receiver));
            for _ in 0..self.effort.threads {
                let receiver = Arc::clone(&receiver);
                scope.spawn(move || self.work(&receiver));
            }
            // So that workers who have given up are noticed.
            drop(receiver);
            let (nothing, bounds) = (Image::default(), self.effort.script);
            follow(&nothing, &run.events, 0, bounds, |event, image| {
                let place = Place {
                    interruption: None,
                    event,
                    recovery_event: None,
                };
                match self.claim(&image, run.demand(event), place, Depth::Recovery) {
                    true => sender.send((image, place)).is_ok(),
                    false => true,
                }
            });
        });
    }

    /// Looks at images of the script, with their recoveries, as they come.
    fn work(&self, images: &Mutex<Receiver<(Image, Place)>>) {
        while !self.is_hopeless() {
            let next = images.lock().expect("no panic under the lock").recv();
            match next {
                Ok((image, place)) => self.examine_with_recovery(&image, place),
                Err(_) => return,
            }
        }
    }

    /// All crashes of the disks that the database was copied to: there is the whole copy, or none and the place for
    /// one; and once the copying has returned, it is there.
    fn explore_copies(&self, run: &Run) {
        for (events, state) in &run.copies {
            let (nothing, bounds) = (Image::default(), self.effort.script);
            let wanted = run.states.contents(*state);
            follow(&nothing, events, 0, bounds, |event, image| {
                if self.seen.is_new(image.digest()) {
                    self.counts[0].fetch_add(1, Relaxed);
                    let is_done = event == events.len();
                    if let Err(breach) = examine_copy(self.script, &image, wanted, is_done) {
                        let place = Place {
                            interruption: None,
                            event,
                            recovery_event: None,
                        };
                        let Breach { promise, text } = breach;
                        self.violation(Some(place), promise.broken(format!("a copy: {text}")));
                    }
                }
                !self.is_hopeless()
            });
        }
    }

    /// Interrupts the script at its disk's operations, on all threads; how often.
    fn interrupt(&self, operations: u64) -> usize {
        let ways = Kind::ALL.len() as u64;
        let (all, every) = (operations * ways, self.effort.interruptions);
        if every == 0 {
            return 0;
        }
        let next = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..self.effort.threads {
                scope.spawn(|| {
                    while !self.is_hopeless() {
                        let number = next.fetch_add(1, Relaxed) * every;
                        if number >= all {
                            return;
                        }
                        self.explore_interrupted(Interruption {
                            at: number / ways,
                            kind: Kind::ALL[(number % ways) as usize],
                            steps_after: if self.script.leaves_out {
                                0
                            } else {
                                STEPS_AFTER
                            },
                        });
                    }
                });
            }
        });
        all.div_ceil(every) as usize
    }

    fn explore_interrupted(&self, interruption: Interruption) {
        let disk = SimDisk::recording();
        let mut place = Place {
            interruption: Some(interruption),
            event: 0,
            recovery_event: None,
        };
        let run = match Run::of(self.script, &disk, Some(interruption)) {
            Ok(run) => run,
            Err(text) => return self.violation(Some(place), Promise::Runs.broken(text)),
        };
        let (nothing, bounds) = (Image::default(), self.effort.interrupted);
        follow(
            &nothing,
            &run.events,
            run.new_from,
            bounds,
            |event, image| {
                place.event = event;
                if self.claim(&image, run.demand(event), place, Depth::All) {
                    self.examine_image(&image, Depth::All, place);
                }
                !self.is_hopeless()
            },
        );
    }

    /// Demands something of an image; whether the caller is to look at it so deeply.
    fn claim(&self, image: &Image, demand: Demand, place: Place, depth: Depth) -> bool {
        let digest = image.digest();
        if self.seen.is_new(digest) {
            let count = match place {
                Place {
                    recovery_event: Some(_),
                    ..
                } => 2,
                Place {
                    interruption: Some(_),
                    ..
                } => 1,
                _ => 0,
            };
            self.counts[count].fetch_add(1, Relaxed);
        }
        let mut known = self.known.lock().expect("no panic under the lock");
        let entry = known.entry(digest).or_default();
        let is_wanted = entry.depth < Some(depth);
        entry.depth = entry.depth.max(Some(depth));
        match entry.found {
            Some(found) => {
                drop(known);
                self.compare(found, None, &demand, place);
            }
            None => entry.demands.push((demand, place)),
        }
        is_wanted
    }

    fn is_hopeless(&self) -> bool {
        let violations = self.violations.lock().expect("no panic under the lock");
        violations.len() >= VIOLATIONS_MAX
    }

    fn examine_with_recovery(&self, image: &Image, place: Place) {
        let Some(found) = self.examine_image(image, Depth::All, place) else {
            return;
        };
        let bounds = self.effort.recovery;
        follow(image, &found.events, 0, bounds, |event, image| {
            let place = Place {
                recovery_event: Some(event),
                ..place
            };
            if self.claim(&image, Demand::Same(found.digest), place, Depth::Contents) {
                self.examine_image(&image, Depth::Contents, place);
            }
            !self.is_hopeless()
        });
    }

    /// Looks at an image, and compares it with all that is demanded of it.
    fn examine_image(&self, image: &Image, depth: Depth, place: Place) -> Option<Found> {
        let found = match examine(self.script, image, depth) {
            Ok(found) => found,
            Err(breach) => {
                self.violation(Some(place), breach);
                return None;
            }
        };
        let demands = {
            let mut known = self.known.lock().expect("no panic under the lock");
            let entry = known.entry(image.digest()).or_default();
            entry.found = Some(found.digest);
            std::mem::take(&mut entry.demands)
        };
        for (demand, place) in demands {
            self.compare(found.digest, Some(&found.contents), &demand, place);
        }
        Some(found)
    }

    fn compare(&self, found: u64, contents: Option<&str>, demand: &Demand, place: Place) {
        let contents = contents.unwrap_or("(seen before)");
        let text = match demand {
            Demand::Between(states, least, most) if !states.is_between(found, *least, *most) => {
                let wanted = states.contents(*least);
                format!(
                    "neither what is there after {least} steps nor any up to {most}: {contents}\n\
                     after {least} steps there is: {wanted}"
                )
            }
            Demand::Same(before) if *before != found => {
                format!("not what the recovery before had found: {contents}")
            }
            _ => return,
        };
        self.violation(Some(place), Promise::Contents.broken(text));
    }

    fn violation(&self, place: Option<Place>, breach: Breach) {
        let place = place.map_or(String::new(), |place| place.to_string());
        let Breach { promise, text } = breach;
        let breach = promise.broken(format!("{}{place}: {text}", self.script.name));
        let mut violations = self.violations.lock().expect("no panic under the lock");
        violations.push(breach);
    }
}

impl Run {
    fn demand(&self, event: usize) -> Demand {
        let mark = self.mark(event);
        Demand::Between(Arc::clone(&self.states), mark.acknowledged, mark.begun)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(Interruption { at, kind, .. }) = self.interruption {
            write!(f, ", {kind:?} at operation {at}")?;
        }
        write!(f, ", after {} events", self.event)?;
        match self.recovery_event {
            Some(event) => write!(f, ", and {event} of recovery"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crashlab::saboteur::Mutation;
    use crate::crashlab::workloads;

    #[test]
    fn what_was_acknowledged_is_there_whatever_the_disk_kept() {
        let script = &workloads::all()[0];
        let seen = Seen::default();
        let tally = explore(script, Effort::quick(2), &seen);
        assert!(tally.violations.is_empty(), "{:#?}", tally.violations);
        assert!(tally.images > 50 && tally.recovery_images > 50, "{tally:?}");
        assert!(
            tally.interruptions > 30 && tally.interrupted_images > 50,
            "{tally:?}"
        );
        let again = explore(script, Effort::quick(2), &seen);
        assert_eq!(again.states(), 0, "each counts once");
    }

    /// What a mistake breaks is a promise about data, not that a damaged database goes on well. The lab's slice makes all
    /// mistakes.
    #[test]
    fn a_mistake_is_noticed() {
        let is_noticed = workloads::all().into_iter().any(|mut script| {
            script.mutation = Some(Mutation::SkipLogSync);
            let tally = explore(&script, Effort::quick(2), &Seen::default());
            tally.violations.iter().any(|one| one.promise.is_of_data())
        });
        assert!(is_noticed);
    }
}
