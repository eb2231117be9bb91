//! What the kernel says of processes.

use std::fs;
use std::time::Duration;

use super::Usage;
use crate::Result;

/// The unit of /proc/PID/stat: `USER_HZ`, which Linux keeps at 100 on every architecture we build for.
const TICKS_PER_SECOND: u64 = 100;

fn read(process: u32, name: &str) -> Result<String> {
    let file = format!("/proc/{process}/{name}");
    fs::read_to_string(&file).map_err(|error| format!("{file}: {error}").into())
}

/// The fields of /proc/PID/stat from the third on: the second, a name in parentheses, may hold anything.
fn stat_fields(stat: &str) -> impl Iterator<Item = &str> {
    stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_ascii_whitespace()
}

fn cpu(stat: &str) -> Result<Duration> {
    ticks(stat, 11)
}

/// Of its children that have ended.
fn cpu_of_the_dead(stat: &str) -> Result<Duration> {
    ticks(stat, 13)
}

/// User and system time, which stand beside each other.
fn ticks(stat: &str, at: usize) -> Result<Duration> {
    let (user, system) = (stat_fields(stat).nth(at), stat_fields(stat).nth(at + 1));
    let (Some(user), Some(system)) = (user, system) else { return Err("/proc/PID/stat is too short".into()) };
    let ticks = user.parse::<u64>()? + system.parse::<u64>()?;
    Ok(Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND))
}

/// The number behind a label of a /proc file with one label a line.
fn field(text: &str, label: &str) -> Result<u64> {
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix(label))
        .and_then(|rest| rest.split_ascii_whitespace().next())
        .ok_or_else(|| format!("no {label} in /proc"))?;
    Ok(value.parse()?)
}

/// What a process has cost, in user and system time.
pub(crate) fn cpu_of(process: u32) -> Result<Duration> {
    cpu(&read(process, "stat")?)
}

/// What a process has cost since it began.
pub(super) fn usage_of(process: u32) -> Result<Usage> {
    Ok(Usage { cpu: cpu_of(process)?, written: field(&read(process, "io")?, "write_bytes:")? })
}

/// What a process has cost with all its children, also those that have ended.
pub(super) fn usage_of_family(parent: u32) -> Result<Usage> {
    let mut sum = usage_of(parent)?;
    sum.cpu += cpu_of_the_dead(&read(parent, "stat")?)?;
    for child in children(parent)? {
        // One that ends meanwhile is among the dead next time.
        let Ok(usage) = usage_of(child) else { continue };
        sum.cpu += usage.cpu;
        sum.written += usage.written;
    }
    Ok(sum)
}

/// Most memory held at any time, and what is held now.
pub(super) fn memory_of(process: u32) -> Result<(u64, u64)> {
    let status = read(process, "status")?;
    Ok((field(&status, "VmHWM:")? * 1024, field(&status, "VmRSS:")? * 1024))
}

/// Makes what is held now the most. Kernels that refuse make it the most since the start, which is not worth failing for.
pub(super) fn forget_peak(process: u32) {
    drop(fs::write(format!("/proc/{process}/clear_refs"), "5"));
}

/// All processes of that name.
pub(crate) fn processes_called(name: &str) -> Result<Vec<u32>> {
    let numbers = fs::read_dir("/proc")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .filter(|process| read(*process, "comm").is_ok_and(|comm| comm.trim() == name));
    Ok(numbers.collect())
}

pub(super) fn children(parent: u32) -> Result<Vec<u32>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let Some(process) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // A process may end while we look.
        let Ok(stat) = read(process, "stat") else { continue };
        if stat_fields(&stat).nth(1).and_then(|id| id.parse().ok()) == Some(parent) {
            found.push(process);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_name_cannot_shift_the_fields() {
        let stat = "7 (a ) 9 (b) S 3 7 7 0 -1 4194560 1 0 0 0 150 50 30 10 20 0 1 0 1 1 1";
        assert_eq!(cpu(stat).unwrap(), Duration::from_secs(2));
        assert_eq!(cpu_of_the_dead(stat).unwrap(), Duration::from_millis(400));
        assert_eq!(stat_fields(stat).nth(1), Some("3"));
    }

    #[test]
    fn fields_are_found_by_their_whole_label() {
        let io = "rchar: 1\nwchar: 2\nread_bytes: 3\nwrite_bytes: 4096\ncancelled_write_bytes: 5\n";
        assert_eq!(field(io, "write_bytes:").unwrap(), 4096);
        assert_eq!(field("VmPeak:\t 9 kB\nVmHWM:\t    1234 kB\n", "VmHWM:").unwrap(), 1234);
        assert!(field(io, "missing:").is_err());
    }

    #[test]
    fn our_own_process_can_be_read() {
        let own = std::process::id();
        usage_of(own).unwrap();
        usage_of_family(own).unwrap();
        let (most, now) = memory_of(own).unwrap();
        assert!(most >= now && now > 0);
    }
}
