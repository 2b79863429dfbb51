//! Beside: two builds of this lab in turn, to see what a change makes faster or slower.
//!
//! ```text
//! cargo run --release -p remora-tests -- beside OTHER [--rounds 3] [--slower 1.1] TOOL [OPTIONS]
//! ```
//!
//! `OTHER` is the lab of the other build, as a checkout of an older commit makes it. Both are run with the tool and its
//! options, and of each line of what they print that has a name and a time, the shortest times of all rounds are
//! compared: a figure above 1 says that this build is slower. It fails where one is by more than `--slower`.

use crate::Result;
use crate::arguments::Arguments;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

pub(crate) fn run(mut arguments: Arguments) -> Result<()> {
    let rounds = arguments.value_or("--rounds", 3)?;
    let slower = arguments.value_or("--slower", 1.1)?;
    let other = arguments
        .next()
        .ok_or("it needs the lab of another build")?;
    let words: Vec<String> = std::iter::from_fn(|| arguments.next()).collect();
    let own = std::env::current_exe()?;
    let mut shortest = BTreeMap::new();
    for round in 0..rounds {
        let mut builds = [(0, own.as_path()), (1, Path::new(&other))];
        // The second one may find a warmer machine.
        builds.rotate_left(round % 2);
        for (build, lab) in builds {
            for (name, time) in times(lab, &words)? {
                let both: &mut [Option<Duration>; 2] = shortest.entry(name).or_default();
                both[build] = Some(both[build].map_or(time, |known| known.min(time)));
            }
        }
    }
    let mut worse = Vec::new();
    println!("| line | this build | the other | times the other's |");
    println!("|---|---|---|---|");
    for (name, both) in shortest {
        let [Some(ours), Some(theirs)] = both else {
            println!("| {name} | {:?} | {:?} | |", both[0], both[1]);
            continue;
        };
        let ratio = ours.as_secs_f64() / theirs.as_secs_f64();
        println!("| {name} | {ours:.1?} | {theirs:.1?} | {ratio:.2} |");
        if ratio > slower {
            worse.push(name);
        }
    }
    match worse.is_empty() {
        true => Ok(()),
        false => Err(format!("slower than {slower} times the other: {}", worse.join(", ")).into()),
    }
}

/// The times that a lab prints, by name.
fn times(lab: &Path, words: &[String]) -> Result<Vec<(String, Duration)>> {
    let run = Command::new(lab).args(words).output()?;
    if !run.status.success() {
        let said = String::from_utf8_lossy(&run.stderr);
        return Err(format!("{}: {said}", lab.display()).into());
    }
    let text = String::from_utf8(run.stdout)?;
    Ok(text.lines().filter_map(line).collect())
}

/// The name that a line begins with, and its last time; cells of a table count as words.
fn line(line: &str) -> Option<(String, Duration)> {
    let cells: Vec<&str> = match line.contains('|') {
        true => line.split('|').map(str::trim).collect(),
        false => line.split_whitespace().collect(),
    };
    let mut cells = cells.into_iter().filter(|cell| !cell.is_empty());
    let name = cells.next()?;
    Some((name.to_owned(), cells.filter_map(time).next_back()?))
}

/// A time as a `Duration` is printed.
fn time(text: &str) -> Option<Duration> {
    let at = text.find(|c: char| c.is_alphabetic() || c == 'µ')?;
    let (number, unit) = text.split_at(at);
    let nanoseconds = match unit {
        "s" => 1e9,
        "ms" => 1e6,
        "µs" => 1e3,
        "ns" => 1.0,
        _ => return None,
    };
    let seconds = number.parse::<f64>().ok()? * nanoseconds / 1e9;
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_tables_and_of_words_have_a_name_and_a_time() {
        let found = |text| line(text).map(|(name, time)| (name, time.as_nanos()));
        let is = |name: &str, time| Some((name.to_owned(), time));
        assert_eq!(
            found("q07     12.3ms      4 rows  as expected"),
            is("q07", 12_300_000)
        );
        assert_eq!(
            found("| range of 100 | 1.02 | 340ns |"),
            is("range of 100", 340)
        );
        assert_eq!(found("| task | least | round |"), None);
        assert_eq!(found("|---|---|"), None);
        assert_eq!(found("loaded in 2.5s"), is("loaded", 2_500_000_000));
        assert_eq!(found(""), None);
    }
}
