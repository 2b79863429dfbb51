//! One seed: a random script, perhaps a fault of its disk, some crashes, and crashes of the recoveries.

use super::examine::{Depth, Found, examine};
use super::explore::TEARS;
use super::oracle::Expected;
use super::random_script;
use super::script::{Mark, Run, Script};
use crate::random::Random;
use remora::disk::{Decay, Fault, Image, Medium, SimDisk};
use std::io::ErrorKind;

/// Crashes of one run.
const CRASHES: usize = 4;
/// Crashes in a row: one of the script, the others of recoveries.
const DEPTH_MAX: usize = 3;
/// Ways in which a closed database decays.
const DECAYS: usize = 3;

/// What seeds came to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Count {
    /// Steps of scripts.
    pub steps: usize,
    /// Runs in which the disk failed.
    pub faults: usize,
    /// Images that were opened after a crash.
    pub images: usize,
    /// Images that were opened after bytes went bad.
    pub decayed: usize,
}

/// Something was lost, or more.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The seed.
    pub seed: u64,
    /// Its script.
    pub script: Script,
    /// The disk's fault, if it had one.
    pub fault: Option<(u64, Fault)>,
    /// What was wrong.
    pub text: String,
}

impl Count {
    /// Adds another count.
    pub fn add(&mut self, other: Self) {
        self.steps += other.steps;
        self.faults += other.faults;
        self.images += other.images;
        self.decayed += other.decayed;
    }
}

/// Tries a seed.
///
/// # Errors
/// What was wrong.
pub fn trial(seed: u64) -> Result<Count, Box<Failure>> {
    let script = random_script::script(seed);
    let mut fault = None;
    attempt(seed, &script, &mut fault).map_err(|text| {
        Box::new(Failure {
            seed,
            script,
            fault,
            text,
        })
    })
}

fn attempt(seed: u64, script: &Script, fault: &mut Option<(u64, Fault)>) -> Result<Count, String> {
    // Another sequence than that of the script.
    let mut random = Random::new(!seed);
    let expected = Expected::of(script).map_err(|error| error.to_string())?;
    let disk = SimDisk::recording();
    let mut run = expected.run(script, &disk, false)?;
    let mut count = Count {
        steps: script.steps.len(),
        ..Count::default()
    };
    if random.below(2) == 0 {
        let at = random.below(disk.operations());
        let kind = any_fault(&mut random);
        *fault = Some((at, kind));
        let disk = SimDisk::recording();
        disk.fail(at, kind);
        run = expected.run(script, &disk, true)?;
        count.faults = 1;
    } else {
        count.decayed = decays(script, &expected, &disk.image(), &mut random)?;
    }
    count.images = crashes(script, &expected, &run, &mut random)?;
    Ok(count)
}

/// A fault of some kind.
fn any_fault(random: &mut Random) -> Fault {
    let kind = match random.below(2) {
        0 => ErrorKind::Other,
        _ => ErrorKind::StorageFull,
    };
    match random.below(3) {
        0 => Fault::Once(kind),
        1 => Fault::Onwards(kind),
        _ => Fault::InPart(kind),
    }
}

/// Crashes at some moments of a run, the last one among them.
fn crashes(
    script: &Script,
    expected: &Expected,
    run: &Run,
    random: &mut Random,
) -> Result<usize, String> {
    let all = run.events.len() as u64 + 1;
    let mut points: Vec<usize> = (1..CRASHES).map(|_| random.below(all) as usize).collect();
    points.push(run.events.len());
    points.sort_unstable();
    let mut medium = Medium::new(&Image::default());
    let mut followed = 0;
    let mut images = 0;
    for point in points {
        run.events[followed..point]
            .iter()
            .for_each(|event| medium.apply(event));
        followed = point;
        let image = any_image(&medium, random);
        images += crash(script, expected, &image, run.mark(point), random)
            .map_err(|text| format!("a crash after {point} events: {text}"))?;
    }
    Ok(images)
}

/// Something that the medium may have kept.
fn any_image(medium: &Medium, random: &mut Random) -> Image {
    let tear = TEARS[random.below(TEARS.len() as u64) as usize];
    let loose = medium.loose(tear);
    let density = random.below(9);
    let kept: Vec<bool> = loose.iter().map(|_| random.below(8) < density).collect();
    medium.image(&loose, |at| kept[at], random.below(4) == 0)
}

/// Looks at what a crash left, and crashes its recovery.
fn crash(
    script: &Script,
    expected: &Expected,
    image: &Image,
    mark: Mark,
    random: &mut Random,
) -> Result<usize, String> {
    let first = examine(script, image, Depth::All)?;
    if !expected.is_between(first.digest, mark.acknowledged, mark.begun) {
        return Err(format!(
            "neither what is there after {} steps nor any up to {}: {}\n\
             after {0} steps there is: {}",
            mark.acknowledged,
            mark.begun,
            first.contents,
            expected.contents(mark.acknowledged)
        ));
    }
    let (mut image, mut events) = (image.clone(), first.events);
    for depth in 1..DEPTH_MAX {
        let mut medium = Medium::new(&image);
        let point = random.below(events.len() as u64 + 1) as usize;
        events[..point].iter().for_each(|event| medium.apply(event));
        image = any_image(&medium, random);
        let again: Found = examine(script, &image, Depth::Contents)?;
        if again.digest != first.digest {
            return Err(format!(
                "after {depth} crashes of recovery, the last after {point} events, there is {}\n\
                 and not: {}",
                again.contents, first.contents
            ));
        }
        events = again.events;
    }
    Ok(DEPTH_MAX)
}

/// Lets bytes of a closed database go bad: it is refused, or nothing that counts was hit.
fn decays(
    script: &Script,
    expected: &Expected,
    closed: &Image,
    random: &mut Random,
) -> Result<usize, String> {
    let paths: Vec<&String> = closed.files.keys().collect();
    for _ in 0..DECAYS {
        let path = paths[random.below(paths.len() as u64) as usize];
        let length = closed.files[path].len() as u64;
        if length == 0 {
            continue;
        }
        let at = random.below(length) as usize;
        let decay = match random.below(4) {
            0 => Decay::Zero { at, len: 512 },
            1 => Decay::Cut { len: at },
            2 => Decay::Swap {
                one: at,
                other: random.below(length) as usize,
                len: 1 + random.below(64) as usize,
            },
            _ => Decay::Flip {
                at,
                bit: random.below(8) as u8,
            },
        };
        let mut image = closed.clone();
        image.decay(path, decay);
        let end = script.steps.len();
        match examine(script, &image, Depth::Contents) {
            Ok(found) if expected.is_between(found.digest, end, end) => {}
            Ok(found) => {
                let text = format!(
                    "{path} with {decay:?} is taken for healthy: {}",
                    found.contents
                );
                return Err(text);
            }
            Err(text) if text.starts_with("recovery: ") => {}
            Err(text) => return Err(format!("{path} with {decay:?}: {text}")),
        }
    }
    Ok(DECAYS)
}
