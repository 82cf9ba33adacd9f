//! Beside TorchServe with a model of the original's architecture, with the settings at which it is best and stable: one worker
//! of one thread.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::super::{Bar, Figure, median};
use super::{Bench, Pair};
use crate::interop::VirtualEnvironment;
use crate::process::{Failure, run};
use crate::served::{MODEL, Served, a_photo, free_port};

/// What its model is made of, beside the repository.
const FILES: [&str; 3] = ["build.py", "full_model.py", "handler.py"];

const OPENSSL_SETTINGS: &str = "\
[req]
distinguished_name = name
x509_extensions = extensions
prompt = no
[name]
CN = localhost
[extensions]
basicConstraints = critical, CA:FALSE
subjectAltName = IP:127.0.0.1
";

pub(super) fn measure(bench: &Bench) -> Result<Vec<Figure>, Failure> {
    let Some(files) = files(bench) else { return Ok(Vec::new()) };
    let python = VirtualEnvironment::prepare(&bench.workspace, "bench", "torchserve")?;
    let (ours, _) = bench.serve(&bench.project(), MODEL)?;
    let (same, _) = bench.serve(&bench.same_project(), "same")?;
    let folder = make_archive(bench, &python, &files)?;
    make_certificate(&folder)?;
    let mut theirs = start(&python, &folder)?;
    let seconds = theirs.first_answer(&a_photo(&bench.photos)?)?;
    let [one, eight, many] = {
        let [one, eight, many] = [1, 8, 32].map(|connections| Pair::measure(bench, &ours, &theirs, connections));
        [one?, eight?, many?]
    };
    let same_eight = Pair::measure(bench, &same, &theirs, 8)?;
    let memory = theirs.resident_peak_mb().unwrap_or(f64::NAN);
    let plain = |name, unit, value| Figure { name, value, unit, bar: Bar::None };
    let barred = |name, unit, value, bar| Figure { name, value, unit, bar };
    let times = || Bar::AtLeast(if bench.has_turbojpeg { 8.0 } else { 5.0 });
    let all = |of: fn(&super::Cell) -> f64| median([&one, &eight, &many].map(|pair| pair.theirs(of)));
    Ok(vec![
        plain("TorchServe, start to first prediction", "s", seconds),
        plain("  memory of all its processes", "MB", memory),
        plain("  throughput, median of 1, 8 and 32 connections", "/s", all(|cell| cell.per_second)),
        plain("  p50 at 1", "ms", one.theirs(|cell| cell.p50)),
        plain("  p99 at 1", "ms", one.theirs(|cell| cell.p99)),
        barred("ours against it: throughput at 8", "x", eight.ratio(|cell| cell.per_second), times()),
        barred("  throughput at 32", "x", many.ratio(|cell| cell.per_second), times()),
        barred("  p50 at 1", "x", one.ratio(|cell| cell.p50), Bar::AtMost(1.0 / 3.0)),
        barred("  p99 at 1", "x", one.ratio(|cell| cell.p99), Bar::AtMost(1.0 / 3.0)),
        barred("  the same architecture: throughput at 8", "x", same_eight.ratio(|c| c.per_second), Bar::AtLeast(3.0)),
        plain("    its throughput", "/s", same_eight.ours(|cell| cell.per_second)),
    ])
}

/// The folder of what its model is made of, where all is there that it needs.
fn files(bench: &Bench) -> Option<PathBuf> {
    let files = bench.workspace.root().parent()?.join("shared/peers/torchserve");
    if !files.is_dir() {
        println!("skipped: ../shared/peers/torchserve is absent");
        return None;
    }
    let java = Command::new("java").arg("-version").stderr(Stdio::null()).status();
    if !java.is_ok_and(|status| status.success()) {
        println!("skipped: TorchServe needs Java");
        return None;
    }
    if !bench.installs_torchserve && !bench.workspace.target().join("bench/torchserve/recipe.txt").exists() {
        println!("skipped: TorchServe is not installed; `cargo xtask bench serve torchserve` installs it (6 GB)");
        return None;
    }
    Some(files)
}

/// Makes its model and packs it; the folder with `model_store/naturedditTI.mar`.
fn make_archive(bench: &Bench, python: &VirtualEnvironment, files: &Path) -> Result<PathBuf, Failure> {
    let folder = bench.folder.join("torchserve");
    let failed = |error| Failure::new(format!("could not write {}: {error}", folder.display()));
    fs::create_dir_all(folder.join("model_store")).map_err(failed)?;
    for file in FILES {
        fs::copy(files.join(file), folder.join(file)).map_err(failed)?;
    }
    run(python.python().arg("build.py").current_dir(&folder).env("OMP_NUM_THREADS", "1").stdout(Stdio::null()))?;
    let mut archiver = Command::new(python.program("torch-model-archiver"));
    archiver.args(["--model-name", MODEL, "--version", "1.0", "--model-file", "full_model.py"]);
    archiver.args(["--serialized-file", "model_weight.pt", "--handler", "handler.py", "--export-path", "model_store"]);
    archiver.args(["--extra-files", "model_cfg.yaml,label_mapping.yaml,vocab.txt"]);
    run(archiver.current_dir(&folder))?;
    Ok(folder)
}

/// Makes a certificate: TorchServe takes keys of RSA only.
fn make_certificate(folder: &Path) -> Result<(), Failure> {
    let written = fs::write(folder.join("openssl.cnf"), OPENSSL_SETTINGS);
    written.map_err(|error| Failure::new(format!("could not write openssl.cnf: {error}")))?;
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-config", "openssl.cnf"]);
    openssl.args(["-keyout", "key.pem", "-out", "certificate.pem"]).stderr(Stdio::null());
    run(openssl.current_dir(folder))
}

fn start(python: &VirtualEnvironment, folder: &Path) -> Result<Served, Failure> {
    let [inference, management, metrics, grpc, grpc_management] =
        [free_port()?, free_port()?, free_port()?, free_port()?, free_port()?];
    let settings = format!(
        "inference_address=https://127.0.0.1:{inference}\nmanagement_address=https://127.0.0.1:{management}\n\
         metrics_address=https://127.0.0.1:{metrics}\ngrpc_inference_port={grpc}\ngrpc_management_port={grpc_management}\n\
         certificate_file=certificate.pem\nprivate_key_file=key.pem\nmodel_store=model_store\nload_models={MODEL}.mar\n\
         default_workers_per_model=1\ndisable_token_authorization=true\nenable_model_api=true\n"
    );
    let written = fs::write(folder.join("config.properties"), settings);
    written.map_err(|error| Failure::new(format!("could not write config.properties: {error}")))?;
    let mut program = Command::new(python.program("torchserve"));
    program.args(["--start", "--foreground", "--ncs", "--ts-config", "config.properties", "--models"]);
    program.arg(format!("{MODEL}={MODEL}.mar")).current_dir(folder).env("OMP_NUM_THREADS", "1").stderr(Stdio::null());
    // There it keeps its number, and does not start where there is one.
    program.env("TMPDIR", folder);
    // Its launcher looks for python and Java in the path.
    let programs = python.program("");
    let path = std::env::var("PATH").unwrap_or_default();
    program.env("PATH", format!("{}:{path}", programs.display()));
    Served::start(vec![(program, inference)], MODEL, folder.join("certificate.pem"))
}
