//! What TorchServe tells of the machine: load of the processor, memory and disk, reckoned as its psutil does.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use natureddit_core::fs;

use super::exposition::Exposition;
use super::model::help;

const GIGABYTE: f64 = 1024.0 * 1024.0 * 1024.0;

/// The machine, as it was seen last.
pub(crate) struct Host {
    pub(super) name: String,
    /// What the processor had done then.
    before: Mutex<Option<CpuTime>>,
}

/// Ticks since the machine was started.
#[derive(Clone, Copy, Debug, PartialEq)]
struct CpuTime {
    idle: f64,
    all: f64,
}

impl Host {
    /// As it is now. Reads files: not for an async thread.
    pub(crate) fn new() -> Self {
        let name = fs::read_to_string(Path::new("/proc/sys/kernel/hostname")).unwrap_or_default();
        let name = Some(name.trim()).filter(|name| !name.is_empty()).unwrap_or("localhost").to_owned();
        Self { name, before: Mutex::new(cpu_time()) }
    }

    /// Adds what can be told on this system.
    pub(super) fn expose(&self, exposition: &mut Exposition) {
        let labels = [("Level", "Host"), ("Hostname", self.name.as_str())];
        let mut add = |name, unit, value| exposition.add_now((name, &help("gauge", unit)), value, &labels);
        if let Some(percent) = self.cpu_percent() {
            add("CPUUtilization", "Percent", percent);
        }
        if let Some(memory) = fs::read_to_string(Path::new("/proc/meminfo")).ok().as_deref().and_then(Memory::parse) {
            add("MemoryUsed", "Megabytes", memory.used);
            add("MemoryAvailable", "Megabytes", memory.available);
            add("MemoryUtilization", "Percent", percent(memory.total - memory.available, memory.total));
        }
        if let Ok(disk) = rustix::fs::statvfs("/") {
            #[expect(clippy::cast_precision_loss, reason = "a rounding of bytes is nothing on a disk")]
            let gigabytes = |blocks: u64| blocks as f64 * disk.f_frsize as f64 / GIGABYTE;
            let (used, free) = (gigabytes(disk.f_blocks.saturating_sub(disk.f_bfree)), gigabytes(disk.f_bavail));
            add("DiskUsage", "Gigabytes", used);
            add("DiskAvailable", "Gigabytes", free);
            add("DiskUtilization", "Percent", percent(used, used + free));
        }
    }

    /// How busy the processor was since this was asked last.
    fn cpu_percent(&self) -> Option<f64> {
        let now = cpu_time()?;
        let before = self.before.lock().unwrap_or_else(PoisonError::into_inner).replace(now)?;
        Some(now.busy_since(before))
    }
}

impl CpuTime {
    /// The first line of `/proc/stat`: user, nice, system, idle, iowait, irq, softirq, steal; the rest is in these already.
    fn parse(stat: &str) -> Option<Self> {
        let ticks = stat.lines().next()?.strip_prefix("cpu ")?.split_whitespace();
        let ticks: Vec<f64> = ticks.take(8).map_while(|ticks| ticks.parse().ok()).collect();
        let idle = ticks.get(3)? + ticks.get(4).copied().unwrap_or(0.0);
        Some(Self { idle, all: ticks.iter().sum() })
    }

    fn busy_since(self, before: Self) -> f64 {
        let all = self.all - before.all;
        percent(all - (self.idle - before.idle), all)
    }
}

fn cpu_time() -> Option<CpuTime> {
    fs::read_to_string(Path::new("/proc/stat")).ok().as_deref().and_then(CpuTime::parse)
}

/// In megabytes.
#[derive(Debug, PartialEq)]
struct Memory {
    total: f64,
    used: f64,
    available: f64,
}

impl Memory {
    /// `/proc/meminfo`, in kilobytes.
    fn parse(meminfo: &str) -> Option<Self> {
        let kilobytes = |key: &str| {
            let line = meminfo.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
            line.trim().strip_suffix("kB")?.trim().parse::<f64>().ok()
        };
        let total = kilobytes("MemTotal")?;
        let cached = kilobytes("Cached")? + kilobytes("SReclaimable").unwrap_or(0.0);
        let used = total - kilobytes("MemFree")? - kilobytes("Buffers")? - cached;
        let available = kilobytes("MemAvailable")?;
        Some(Self { total: total / 1024.0, used: used / 1024.0, available: available / 1024.0 })
    }
}

/// A part of a whole, in percent; of nothing it is none. As psutil rounds it.
fn percent(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { (1000.0 * part / whole).round().clamp(0.0, 1000.0) / 10.0 } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn load_is_what_was_not_idle_since_the_look_before() {
        let before = CpuTime::parse("cpu  100 0 50 800 50 0 0 0 7 7\ncpu0 1 1 1 1").unwrap();
        assert_eq!(before, CpuTime { idle: 850.0, all: 1000.0 });
        let now = CpuTime::parse("cpu  150 0 75 820 55 0 0 0 9 9").unwrap();
        assert!((now.busy_since(before) - 75.0).abs() < 1e-9);
        assert!(before.busy_since(before).abs() < 1e-9, "no time has passed");
        assert_eq!(CpuTime::parse("intr 1 2 3"), None);
    }

    #[test]
    fn memory_is_told_as_psutil_does() {
        let meminfo = "MemTotal:       4096 kB\nMemFree:        1024 kB\nMemAvailable:   2048 kB\nBuffers:         512 kB\n\
                       Cached:          256 kB\nSwapCached:        9 kB\nSReclaimable:    256 kB\n";
        let memory = Memory::parse(meminfo).unwrap();
        assert_eq!(memory, Memory { total: 4.0, used: 2.0, available: 2.0 });
        assert_eq!(Memory::parse("MemTotal: 1 kB\n"), None);
    }
}
