//! What a reader of numbers must know of where they come from.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::Result;

pub(super) fn machine() -> Result<serde_json::Value> {
    let first_line = |file: &str| fs::read_to_string(file).unwrap_or_default().trim().to_owned();
    let cpu = fs::read_to_string("/proc/cpuinfo")?;
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    Ok(json!({
        "cores": std::thread::available_parallelism()?.get(),
        "cpu": model.map_or("unknown", |(_, name)| name.trim()),
        "kernel": first_line("/proc/sys/kernel/osrelease"),
        "load before": first_line("/proc/loadavg"),
        "stores on": file_system(&std::env::temp_dir().canonicalize()?, &fs::read_to_string("/proc/self/mountinfo")?),
    }))
}

/// The type of the file system a folder is on: memory would make every write look cheap.
fn file_system(folder: &Path, mounts: &str) -> String {
    let mut found = (0, "unknown");
    for mount in mounts.lines() {
        let Some((before, after)) = mount.split_once(" - ") else { continue };
        let point = before.split(' ').nth(4).unwrap_or_default();
        // Of two mounts on one point the later one is seen.
        if folder.starts_with(point) && point.len() >= found.0 {
            found = (point.len(), after.split(' ').next().unwrap_or_default());
        }
    }
    found.1.to_owned()
}

/// The version of the source and, where git knows it, the commit.
pub(super) fn version(server: &Path) -> String {
    let mut git = Command::new("git");
    git.args(["-C", env!("CARGO_MANIFEST_DIR"), "describe", "--always", "--dirty"]);
    let commit = git.output().ok().filter(|output| output.status.success());
    let commit = commit.map_or_else(String::new, |output| {
        format!(", source at {}", String::from_utf8_lossy(&output.stdout).trim())
    });
    let bytes = fs::metadata(server).map_or(0, |file| file.len());
    format!("{} ({bytes} bytes{commit})", env!("CARGO_PKG_VERSION"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deepest_mount_counts() {
        let mounts = "1 0 8:1 / / rw - ext4 /dev/a rw\n2 1 0:1 / /tmp rw shared:1 - tmpfs tmpfs rw\n";
        assert_eq!(file_system(Path::new("/tmp/x"), mounts), "tmpfs");
        assert_eq!(file_system(Path::new("/tmpx"), mounts), "ext4");
    }
}
