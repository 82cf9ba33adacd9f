//! A child process and what it costs, from `/proc` (proc(5)).

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
/// Bytes in a megabyte, as the bars count them.
const KIB_IN_MB: f64 = 1_000_000.0 / 1024.0;

/// What a process took from its start to its end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cost {
    /// In seconds, by the clock on the wall.
    pub(super) wall: f64,
    /// In seconds of a processor, its own and its children's that it waited for.
    pub(super) cpu: f64,
    /// The most memory it had resident, in megabytes, its children's not counted.
    pub(super) peak_mb: f64,
}

/// Fails where there is no `/proc`.
pub(super) fn check_proc() -> Result<(), Failure> {
    if Path::new("/proc/self/stat").exists() {
        return Ok(());
    }
    Err(Failure::new("this bench reads /proc, which this system does not have").hint("run it on Linux"))
}

/// Runs a command to its end and returns what it printed and what it took.
pub(super) fn measure(command: &mut Command) -> Result<(String, Cost), Failure> {
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
pub(super) fn cpu_seconds(child: &Child) -> Result<f64, Failure> {
    Ok(cpu_ticks(&read(child, "stat")?, false).unwrap_or_default() / TICKS)
}

/// The most memory a process that runs ever had resident, in megabytes; `None` where nothing tells.
pub(super) fn resident_peak_mb(child: &Child) -> Option<f64> {
    resident_peak_kib(&read(child, "status").ok()?).map(|kib| kib / KIB_IN_MB)
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
