//! The default memory budget: a share of what this process may use at all.
//!
//! In a container the machine's memory is not what counts but the cgroup's limit, and a limit may
//! stand on any folder above the process's own. So all of them are read and the least wins. Where
//! nothing can be read (other systems than Linux) a fixed budget is assumed.

use std::path::{Path, PathBuf};

/// The share of the granted memory that a database takes by default, in percent.
pub const DEFAULT_BUDGET_PERCENT: u64 = 80;
/// The memory assumed where the system does not say how much there is: 4 GiB.
pub const ASSUMED_MEMORY_BYTES: u64 = 4 << 30;

/// 80 % of the memory of the machine or of its cgroup, whichever is less, in bytes.
pub fn default_budget() -> u64 {
    let granted = machine_memory()
        .into_iter()
        .chain(cgroup_limits())
        .min()
        .unwrap_or(ASSUMED_MEMORY_BYTES);
    granted / 100 * DEFAULT_BUDGET_PERCENT
}

fn machine_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    memory_total(&text)
}

/// Reads `MemTotal:  16314464 kB`.
fn memory_total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|l| l.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

fn cgroup_limits() -> Vec<u64> {
    let cgroups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    limit_files(&cgroups)
        .iter()
        .filter_map(|file| std::fs::read_to_string(file).ok())
        .filter_map(|text| parse_limit(&text))
        .collect()
}

/// The files that may hold a limit: version 2 (`0::/path`) and version 1 (`5:memory:/path`), for
/// the process's own group and all above it.
fn limit_files(cgroups: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for line in cgroups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(group)) = (parts.next(), parts.next()) else {
            continue;
        };
        let (root, file) = match controllers {
            "" => ("/sys/fs/cgroup", "memory.max"),
            c if c.split(',').any(|c| c == "memory") => {
                ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
            }
            _ => continue,
        };
        let folders = Path::new(group.trim_start_matches('/')).ancestors();
        files.extend(folders.map(|folder| Path::new(root).join(folder).join(file)));
    }
    files
}

/// A number of bytes; `max` (version 2) is no limit, and version 1's huge default never wins.
fn parse_limit(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_group_above_the_process_may_limit_it() {
        let files = limit_files("4:cpu,memory:/a\n3:cpu:/x\n0::/b/c\ngarbage\n");
        let files: Vec<_> = files.iter().map(|f| f.to_str().unwrap()).collect();
        assert_eq!(
            files,
            [
                "/sys/fs/cgroup/memory/a/memory.limit_in_bytes",
                "/sys/fs/cgroup/memory/memory.limit_in_bytes",
                "/sys/fs/cgroup/b/c/memory.max",
                "/sys/fs/cgroup/b/memory.max",
                "/sys/fs/cgroup/memory.max",
            ]
        );
    }

    #[test]
    fn limits_and_totals_are_read_and_nonsense_is_not() {
        assert_eq!(parse_limit("1073741824\n"), Some(1 << 30));
        assert_eq!(parse_limit("max\n"), None);
        assert_eq!(
            memory_total("Foo: 1 kB\nMemTotal:   2048 kB\n"),
            Some(2 << 20)
        );
        assert_eq!(memory_total("MemTotal: many kB\n"), None);
        assert!(default_budget() > 0);
    }
}
