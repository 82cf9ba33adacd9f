//! Many small files.

use super::super::{Bar, Figure};
use super::repository::{DATA, Repository, check_same, place};
use super::{Bench, MANY, Tool, remove, rename};
use crate::process::Failure;

/// Each tool adds them once: what counts is what is asked every day.
pub(super) fn measure(bench: &Bench) -> Result<Vec<Figure>, Failure> {
    let data = place(bench, "data");
    println!("--- {} files of {} bytes", MANY.count, MANY.bytes);
    bench.make_files(&data, MANY, 0)?;
    let mut figures = Vec::new();
    let mut pointers = Vec::new();
    let mut rows = Vec::new();
    for tool in [Tool::Theirs, Tool::Ours] {
        let top = place(bench, "many");
        let repository = Repository::create(bench, tool, top.join("repo"), "../../remote", "")?;
        rename(&data, &repository.data())?;
        let add = repository.once(&["add", DATA])?;
        rows.push((add, repository.unchanged(&["status"])?));
        pointers.push(repository.pointer()?);
        rename(&repository.data(), &data)?;
        remove(&top)?;
    }
    remove(&data)?;
    check_same("the .dvc files of the same folder", &pointers[1], &pointers[0])?;
    let [(their_add, their_status), (our_add, our_status)] = rows[..] else {
        return Err(Failure::new("not both tools were run"));
    };
    let plain = |name, value, unit| Figure { name, value, unit, bar: Bar::None };
    figures.push(Figure {
        name: "status of 100,000 files, nothing changed",
        value: our_status,
        unit: "s",
        bar: Bar::Under(0.5),
    });
    figures.push(plain("  against dvc", their_status / our_status, "x"));
    figures.push(plain("  add of them, cold, against dvc", their_add.wall / our_add.wall, "x"));
    figures.push(plain("  natureddit", our_add.wall, "s"));
    figures.push(plain("  peak resident memory of add", our_add.peak_mb, "MB"));
    figures.push(plain("  peak resident memory of dvc's", their_add.peak_mb, "MB"));
    Ok(figures)
}
