//! Writes what fuzzing starts from into a folder, with one folder for each target: the simulator's posts and picture files,
//! and the recordings where they lie beside the repository. `cargo xtask fuzz` runs it.

use std::error::Error;
use std::path::{Path, PathBuf};

use natureddit_core::{ClassNames, fs};
use natureddit_sandbox::{DumpConfig, DumpFormat, Sandbox, SandboxConfig, zoo};
use serde_json::Value;

/// Longer answers are slow to change and no better.
const SEED_BYTES_MAX: usize = 60_000;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(std::env::args_os().nth(1).ok_or("usage: fuzz_seeds DIR")?);
    for file in zoo().into_iter().filter(|file| file.bytes.len() < SEED_BYTES_MAX) {
        write(&folder, "image_headers", &file.name, &file.bytes)?;
    }
    let classes = ClassNames::new(["fauna", "flora", "landscape"].map(str::to_owned).to_vec())?;
    let config = SandboxConfig { varied: true, ..SandboxConfig::new(13, 150, classes) };
    let sandbox = Sandbox::start(config).await?;
    let dump = folder.join("posts.ndjson");
    let of = DumpConfig { format: DumpFormat::Lines, with_flaws: true, ..DumpConfig::default() };
    sandbox.write_dump(&dump, &of)?;
    let lines = fs::read(&dump)?;
    fs::remove_file(&dump)?;
    let lines: Vec<&[u8]> = lines.split(|&byte| byte == b'\n').collect();
    for (number, some) in lines.chunks(5).enumerate() {
        write(&folder, "post_json", &format!("simulated-{number}"), some[0])?;
        write(
            &folder,
            "listing",
            &format!("simulated-{number}"),
            &[b"{\"data\":[", &*some.join(&b','), b"]}"].concat(),
        )?;
        write(&folder, "dump_lines", &format!("simulated-{number}"), &[b"7", &*some.join(&b'\n')].concat())?;
    }
    recordings(&folder)
}

fn recordings(folder: &Path) -> Result<(), Box<dyn Error>> {
    let recorded = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/reddit");
    for path in fs::optional(fs::walk(&recorded.join("posts")))?.unwrap_or_default() {
        let post: Value = serde_json::from_slice(&fs::read(&path)?)?;
        write(folder, "post_json", &name(&path), post["data"].to_string().as_bytes())?;
        write(folder, "dump_lines", &name(&path), format!("9{}", post["data"]).as_bytes())?;
    }
    for path in fs::optional(fs::walk(&recorded.join("http")))?.unwrap_or_default() {
        let exchange: Value = serde_json::from_slice(&fs::read(&path)?)?;
        write(folder, "listing", &name(&path), exchange["response"]["json"].to_string().as_bytes())?;
    }
    Ok(())
}

fn name(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

fn write(folder: &Path, target: &str, name: &str, bytes: &[u8]) -> Result<(), Box<dyn Error>> {
    if bytes.len() < SEED_BYTES_MAX {
        fs::write_atomic(&folder.join(target).join(name), bytes)?;
    }
    Ok(())
}
