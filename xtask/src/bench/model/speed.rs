//! How fast the encoders and whole answers are, the latter beside Python's ONNX Runtime, Pillow and tokenizers.

use super::super::{Bar, Figure, number, report};
use super::Bench;
use super::quality::word_after;
use crate::process::{Failure, output};

pub(super) fn measure(bench: &Bench) -> Result<Vec<Figure>, Failure> {
    let (program, folder) = (bench.example("speed")?, bench.folder.join("bundles"));
    let line = output(bench.start(&program).arg("photos").arg(bench.photos()?).arg(&folder))?;
    let told = |key| word_after(&line, key);
    let mut script = bench.script("onnxruntime_prediction.py");
    let report = report(script.arg(&program).arg(&folder).arg(bench.workspace.target().join("bench/photos-1980")))?;
    let at = |path: &[&str]| number(&report, path);
    let times = if bench.has_turbojpeg { 1.9 } else { 1.4 };
    let plain = |name, unit, value| Figure { name, value, unit, bar: Bar::None };
    let barred = |name, unit, value, bar| Figure { name, value, unit, bar };
    Ok(vec![
        barred("embedding of 1080 x 810 photos, two threads", "photos/s", told("floats")?, Bar::AtLeast(150.0)),
        barred("  in eight bits", "photos/s", told("int8")?, Bar::AtLeast(220.0)),
        plain("  lowest cosine between both forms of a photo", "", told("cosine")?),
        barred("one post, photo of 1980 x 1485, against Python", "x", at(&["floats", "ratio"])?, Bar::AtLeast(times)),
        plain("  ours", "ms", at(&["floats", "ours"])?),
        plain("  Python's ONNX Runtime, Pillow and tokenizers", "ms", at(&["floats", "theirs"])?),
        plain("  the fastest answers of both", "x", at(&["floats", "fastest_ratio"])?),
        plain("  against Pillow that may decode less (draft)", "x", at(&["floats", "draft_ratio"])?),
        barred("  in eight bits, both", "x", at(&["int8", "ratio"])?, Bar::AtLeast(times)),
        plain("  ours", "ms", at(&["int8", "ours"])?),
        plain("  Python's", "ms", at(&["int8", "theirs"])?),
        plain("  the fastest answers of both", "x", at(&["int8", "fastest_ratio"])?),
        plain("  against Pillow that may decode less (draft)", "x", at(&["int8", "draft_ratio"])?),
        plain("  bytes of such a photo", "kB", at(&["photo_bytes"])? / 1e3),
        plain("  how far probabilities are apart at most", "", at(&["floats", "apart"])?),
    ])
}
