//! `cargo xtask fuzz`: each fuzz target of `fuzz/` for a minute, where this machine has what that needs.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::arguments::Arguments;
use crate::process::{Failure, run};
use crate::workspace::Workspace;

const HELP: &str = "\
Runs each fuzz target of fuzz/ for 60 s; a crash is a failure and leaves its input in fuzz/artifacts/.

usage: cargo xtask fuzz

Needs cargo-fuzz (`cargo install cargo-fuzz`) and a nightly toolchain (`rustup toolchain install nightly`); without them
it says so and is skipped. The files to start from are written by the simulator's example fuzz_seeds into fuzz/corpus/, which grows
from run to run. What is found is worth a seed in fuzz/seeds/, which the tests change as well.";

/// The programs below fuzz/fuzz_targets, each with the longest input it is given.
const TARGETS: [(&str, u32); 7] = [
    ("post_json", 16_384),
    ("listing", 65_536),
    ("dump_lines", 65_536),
    ("image_headers", 65_536),
    ("post_body", 16_384),
    ("config_properties", 16_384),
    ("model_archive", 65_536),
];

const SECONDS: u32 = 60;

/// `cargo xtask fuzz`.
pub(crate) fn main(arguments: &mut Arguments) -> Result<(), Failure> {
    if arguments.help(HELP) {
        return Ok(());
    }
    arguments.finish("cargo xtask fuzz --help")?;
    fuzz(&Workspace::find()?)
}

/// Runs every target, or says why none can be run.
pub(crate) fn fuzz(workspace: &Workspace) -> Result<(), Failure> {
    let folder = workspace.root().join("fuzz");
    if let Some(missing) = missing(&folder) {
        println!("\nskipped: fuzzing: {missing}");
        return Ok(());
    }
    // Of the whole workspace, so that nothing is compiled again with other features.
    run(&mut workspace.cargo(&["build", "--release", "--workspace", "--example", "fuzz_seeds"]))?;
    let seeds = workspace.target().join("release/examples").join(format!("fuzz_seeds{}", std::env::consts::EXE_SUFFIX));
    run(Command::new(seeds).arg(folder.join("corpus")))?;
    for (target, bytes_max) in TARGETS {
        println!("\n=== fuzzing {target}");
        let mut command = nightly(&folder);
        command.args(["fuzz", "run", "--fuzz-dir", ".", target]);
        // What is found is written into the first folder; the zoo has no file that was written by hand.
        let corpus = format!("corpus/{target}");
        let made = std::fs::create_dir_all(folder.join(&corpus));
        made.map_err(|error| Failure::new(format!("no folder {corpus}: {error}")))?;
        command.args([corpus, format!("seeds/{target}")].iter().filter(|seeds| folder.join(seeds).is_dir()));
        command.arg("--").args([format!("-max_total_time={SECONDS}"), format!("-max_len={bytes_max}")]);
        // A hang is a crash after ten seconds; libFuzzer's own limit is twenty minutes.
        run(command.args(["-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1"]))?;
    }
    Ok(())
}

/// Why no target can be run here.
fn missing(folder: &Path) -> Option<&'static str> {
    let works = |words: [&str; 2]| {
        let command = &mut nightly(folder);
        let status = command.args(words).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    };
    if !works(["--version", "--quiet"]) {
        return Some("there is no nightly toolchain (`rustup toolchain install nightly`)");
    }
    (!works(["fuzz", "--version"])).then_some("there is no cargo-fuzz (`cargo install cargo-fuzz`)")
}

/// Nightly's cargo in the folder of the targets, whatever toolchain this program was started by.
fn nightly(folder: &Path) -> Command {
    let mut command = Command::new("rustup");
    command.args(["run", "nightly", "cargo"]).current_dir(folder);
    for variable in ["CARGO", "RUSTC", "RUSTDOC", "RUSTUP_TOOLCHAIN"] {
        command.env_remove(variable);
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::read_text;

    #[test]
    fn every_target_is_run() {
        let folder = Workspace::find().unwrap().root().join("fuzz");
        let manifest = read_text(&folder.join("Cargo.toml")).unwrap();
        let mut named: Vec<_> =
            manifest.lines().filter_map(|line| line.strip_prefix("path = \"fuzz_targets/")).collect();
        let mut files: Vec<_> = std::fs::read_dir(folder.join("fuzz_targets"))
            .unwrap()
            .map(|entry| format!("{}\"", entry.unwrap().file_name().to_string_lossy()))
            .collect();
        let mut run: Vec<_> = TARGETS.iter().map(|(name, _)| format!("{name}.rs\"")).collect();
        named.sort_unstable();
        files.sort_unstable();
        run.sort_unstable();
        assert_eq!(named, files);
        assert_eq!(run, files);
    }
}
