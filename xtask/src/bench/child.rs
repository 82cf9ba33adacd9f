//! A child process and what it costs, from `/proc` (proc(5)).

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::process::{Failure, not_started, shown};

/// Ticks of `/proc/*/stat` in a second: what Linux tells user space on every machine of today.
const TICKS: f64 = 100.0;
/// Between two looks at a process that runs.
const PAUSE: Duration = Duration::from_millis(3);
/// Processes that started one another, one below the other; more would go in a circle.
const DEPTH_MAX: usize = 64;
/// Bytes in a megabyte, as the bars count them.
const KIB_IN_MB: f64 = 1_000_000.0 / 1024.0;

/// What a process took from its start to its end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    /// In seconds, by the clock on the wall.
    pub(crate) wall: f64,
    /// In seconds of a processor, its own and its children's that it waited for.
    pub(crate) cpu: f64,
    /// The most memory it had resident, in megabytes, its children's not counted.
    pub(crate) peak_mb: f64,
}

/// Fails where there is no `/proc`.
pub(crate) fn check_proc() -> Result<(), Failure> {
    if Path::new("/proc/self/stat").exists() {
        return Ok(());
    }
    Err(Failure::new("this bench reads /proc, which this system does not have").hint("run it on Linux"))
}

/// Runs a command to its end and returns what it printed and what it took.
pub(crate) fn measure(command: &mut Command) -> Result<(String, Cost), Failure> {
    let start = Instant::now();
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
    let mut child = child.map_err(|error| not_started(command, &error))?;
    let mut stdout = child.stdout.take();
    let printed = thread::spawn(move || {
        let mut text = String::new();
        stdout.as_mut().map_or(Ok(0), |stdout| stdout.read_to_string(&mut text)).map(|_| text)
    });
    let (wall, peak_kib, cpu) = watch(&child, start)?;
    let status = child.wait().map_err(|error| Failure::new(format!("lost `{}`: {error}", shown(command))))?;
    if !status.success() {
        return Err(Failure::new(format!("`{}` ended with {status}", shown(command))));
    }
    let printed = printed.join().ok().and_then(Result::ok);
    let printed = printed.ok_or_else(|| Failure::new(format!("`{}` did not print UTF-8", shown(command))))?;
    Ok((printed, Cost { wall, cpu, peak_mb: peak_kib / KIB_IN_MB }))
}

/// Looks at a process until it has ended: its time, its peak in KiB as it was last seen, and its CPU seconds.
fn watch(child: &Child, start: Instant) -> Result<(f64, f64, f64), Failure> {
    let mut peak_kib = 0.0;
    loop {
        let stat = read(child, "stat")?;
        // What has ended and was not waited for yet still tells its times.
        if state(&stat) == Some('Z') {
            return Ok((start.elapsed().as_secs_f64(), peak_kib, cpu_ticks(&stat, true).unwrap_or_default() / TICKS));
        }
        peak_kib = resident_peak_kib(&read(child, "status")?).unwrap_or(peak_kib);
        thread::sleep(PAUSE);
    }
}

/// The CPU seconds of a process that runs, without its children's.
pub(crate) fn cpu_seconds(child: &Child) -> Result<f64, Failure> {
    Ok(cpu_ticks(&read(child, "stat")?, false).unwrap_or_default() / TICKS)
}

/// The most memory that a process that runs and those that it started ever had resident, each by itself, in megabytes;
/// `None` where nothing tells.
pub(crate) fn resident_peak_tree_mb(child: &Child) -> Option<f64> {
    let peaks = tree(child.id()).into_iter().filter_map(|id| {
        let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
        resident_peak_kib(&status)
    });
    let kib: f64 = peaks.sum();
    (kib > 0.0).then_some(kib / KIB_IN_MB)
}

/// A process, those that it started, those that they started, and so on. One that ends meanwhile is left out.
pub(crate) fn tree(root: u32) -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let parents: BTreeMap<u32, u32> =
        entries.filter_map(|entry| id(&entry.path())).filter_map(|id| Some((id, parent(id)?))).collect();
    let is_of_tree = |&id: &u32| {
        let ancestors = std::iter::successors(Some(id), |id| parents.get(id).copied());
        ancestors.take(DEPTH_MAX).any(|ancestor| ancestor == root)
    };
    parents.keys().copied().filter(is_of_tree).collect()
}

/// The process whose folder in `/proc` this is.
fn id(path: &Path) -> Option<u32> {
    path.file_name()?.to_str()?.parse().ok()
}

/// The process that started another, by its fourth field.
fn parent(id: u32) -> Option<u32> {
    fields(&fs::read_to_string(format!("/proc/{id}/stat")).ok()?).nth(1)?.parse().ok()
}

fn read(child: &Child, file: &str) -> Result<String, Failure> {
    let path = format!("/proc/{}/{file}", child.id());
    fs::read_to_string(&path).map_err(|error| Failure::new(format!("could not read {path}: {error}")))
}

/// The fields of a `stat` from the third on: the second, a name in brackets, may hold anything.
fn fields(stat: &str) -> impl Iterator<Item = &str> {
    stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace()
}

fn state(stat: &str) -> Option<char> {
    fields(stat).next()?.chars().next()
}

/// Fields 14 and 15 (user and system), and 16 and 17, those of the children it waited for.
fn cpu_ticks(stat: &str, with_children: bool) -> Option<f64> {
    let ticks: Vec<f64> = fields(stat).skip(11).take(4).map_while(|field| field.parse().ok()).collect();
    (ticks.len() == 4).then(|| ticks[..if with_children { 4 } else { 2 }].iter().sum())
}

/// The value of `VmHWM:   123456 kB`.
fn resident_peak_kib(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_read_from_the_status_of_a_process() {
        assert_eq!(resident_peak_kib("Name:\tx\nVmHWM:\t  250000 kB\nVmRSS:\t 1 kB\n"), Some(250_000.0));
        assert_eq!(resident_peak_kib("Name:\tx\n"), None);
    }

    #[test]
    fn times_are_read_behind_a_name_with_brackets() {
        let stat = "42 (a) b) Z 1 2 3 4 5 6 7 8 9 10 150 50 30 20 20 0 1\n";
        assert_eq!(state(stat), Some('Z'));
        assert_eq!((cpu_ticks(stat, false), cpu_ticks(stat, true)), (Some(200.0), Some(250.0)));
        assert_eq!(cpu_ticks("42 (a) R 1 2", true), None);
    }

    #[test]
    fn what_a_process_started_counts_for_its_memory() {
        if check_proc().is_err() {
            return;
        }
        let mut child = Command::new("sh").args(["-c", "cat; true"]).stdin(Stdio::piped()).spawn().unwrap();
        let alone = resident_peak_kib(&read(&child, "status").unwrap()).unwrap() / KIB_IN_MB;
        let deadline = Instant::now() + Duration::from_secs(10);
        while resident_peak_tree_mb(&child).unwrap() < 1.2 * alone && Instant::now() < deadline {
            thread::yield_now();
        }
        assert!(resident_peak_tree_mb(&child).unwrap() > 1.2 * alone);
        drop(child.stdin.take());
        child.wait().unwrap();
    }

    #[test]
    fn a_child_is_measured_to_its_end() {
        if check_proc().is_err() {
            return;
        }
        let (printed, cost) = measure(Command::new("sh").args(["-c", "echo done"])).unwrap();
        assert_eq!(printed, "done\n");
        assert!(cost.wall > 0.0 && cost.cpu >= 0.0, "{cost:?}");
        assert!(measure(Command::new("sh").args(["-c", "exit 3"])).is_err());
    }
}
