//! What an answer hangs on, for people as bars and blocks and for programs as numbers.

use std::fmt;
use std::path::{Path, PathBuf};

use console::measure_text_width;
use natureddit_core::fs;
use natureddit_image::{ImageLimits, decode};
use natureddit_model::{Explanation, OcclusionMap, WordWeight};
use serde::Serialize;

use crate::cli::error::{CliError, HintExt};
use crate::cli::words::printable;

/// The longest side of a drawn heat map, in pixels.
const DRAWN_SIDE_MAX: u32 = 1600;
const JPEG_QUALITY: u8 = 90;
/// How long the bar of a weight of 1 is.
const BAR_CHARS: f32 = 30.0;

/// An explanation under the answer that it is of.
#[derive(Serialize)]
pub(super) struct Explained {
    /// The class that was answered, whose probability falls by each weight.
    class: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    words: Option<Vec<Word>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    photo: Option<Map>,
    /// The picture that was drawn.
    #[serde(skip_serializing_if = "Option::is_none")]
    heat_map: Option<PathBuf>,
}

#[derive(Serialize)]
struct Word {
    word: String,
    /// Where it begins in the title, in bytes.
    start: usize,
    end: usize,
    weight: f32,
}

#[derive(Serialize)]
struct Map {
    cells_a_side: usize,
    /// Row by row from the top.
    weights: Vec<Vec<f32>>,
    /// The grid covers the square in the middle whose side is this share of the photo's short side.
    #[serde(skip_serializing_if = "Option::is_none")]
    middle: Option<f32>,
    #[serde(skip)]
    shades: Vec<f32>,
}

impl Explained {
    pub(super) fn new(explanation: &Explanation, class: &str, heat_map: Option<PathBuf>) -> Self {
        let word = |WordWeight { word, at, weight }: &WordWeight| Word {
            word: word.clone(),
            start: at.start,
            end: at.end,
            weight: *weight,
        };
        let map = |map: &OcclusionMap| Map {
            cells_a_side: map.cells_a_side,
            weights: map.rows().map(<[f32]>::to_vec).collect(),
            middle: map.middle,
            shades: map.shades(),
        };
        Self {
            class: class.to_owned(),
            words: explanation.words.as_ref().map(|words| words.iter().map(word).collect()),
            photo: explanation.photo.as_ref().map(map),
            heat_map,
        }
    }
}

impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { class, words, photo, heat_map } = self;
        if let Some(words) = words {
            writeln!(f, "\nthe title: how far the probability of {class} falls without the word")?;
            let width = words.iter().map(|word| measure_text_width(&word.word)).max().unwrap_or(0);
            words.iter().try_for_each(|word| word.write(f, width))?;
        }
        if let Some(map) = photo {
            let part = if map.middle.is_some() { "the middle of the photo, which the model sees" } else { "the photo" };
            writeln!(f, "\n{part}: how far it falls when the part is covered")?;
            map.write(f)?;
        }
        heat_map.as_ref().map_or(Ok(()), |file| writeln!(f, "heat map: {}", file.display()))
    }
}

impl Word {
    fn write(&self, f: &mut fmt::Formatter<'_>, width: usize) -> fmt::Result {
        let gap = " ".repeat(width.saturating_sub(measure_text_width(&self.word)));
        let bar = "█".repeat((self.weight.max(0.0) * BAR_CHARS).round() as usize);
        let line = format!("  {}{gap}  {:+.3}  {bar}", printable(&self.word), self.weight);
        writeln!(f, "{}", line.trim_end())
    }
}

impl Map {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for row in self.shades.chunks(self.cells_a_side.max(1)) {
            writeln!(f, "  {}", row.iter().map(|shade| block(*shade)).collect::<String>())?;
        }
        let all = || self.weights.iter().flatten().copied();
        let (most, least) = (all().fold(f32::MIN, f32::max), all().fold(f32::MAX, f32::min));
        writeln!(
            f,
            "  from {least:+.3} to {most:+.3}; ██ ▓▓ ▒▒ ░░ speak for it, · hardly count, - and -- speak against it"
        )
    }
}

/// A cell by its weight beside the strongest, two columns wide as a line is high.
fn block(shade: f32) -> &'static str {
    match shade {
        0.75.. => "██",
        0.5.. => "▓▓",
        0.25.. => "▒▒",
        0.1.. => "░░",
        -0.1.. => " ·",
        -0.5.. => " -",
        _ => "--",
    }
}

/// The forms of a picture that can be drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Png,
    Jpeg,
}

impl Form {
    /// By the ending of its name.
    pub(super) fn of(path: &Path) -> Result<Self, CliError> {
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
        match ending.as_deref() {
            Some("png") => Ok(Self::Png),
            Some("jpg" | "jpeg") => Ok(Self::Jpeg),
            _ => Err(CliError::usage(format!("--heat-map {} is no name of a picture", path.display())))
                .hint("name a file that ends with .png or .jpg: --heat-map map.png"),
        }
    }
}

/// Draws the map over the photo into a file.
pub(super) fn draw(
    map: &OcclusionMap,
    photo: &[u8],
    limits: &ImageLimits,
    (form, file): (Form, &Path),
) -> anyhow::Result<()> {
    let drawn = map.draw_over(&decode(photo, limits)?.fit_within(DRAWN_SIDE_MAX));
    let bytes = match form {
        Form::Png => drawn.to_png(),
        Form::Jpeg => drawn.to_jpeg(JPEG_QUALITY),
    };
    Ok(fs::write_atomic(file, bytes)?)
}

#[cfg(test)]
mod tests {
    use natureddit_image::Photo;
    use natureddit_model::Prediction;

    use super::*;

    fn explanation() -> Explanation {
        let word = |word: &str, start: usize, weight| WordWeight {
            word: word.to_owned(),
            at: start..start + word.len(),
            weight,
        };
        Explanation {
            prediction: Prediction::new(vec![0.9, 0.1]),
            words: Some(vec![word("A", 0, -0.004), word("fox,", 2, 0.512), word("雪", 7, 0.0)]),
            photo: Some(OcclusionMap { cells_a_side: 2, weights: vec![0.5, 0.02, -0.12, 0.2], middle: None }),
        }
    }

    #[test]
    fn words_have_bars_and_the_photo_has_blocks() {
        let text = Explained::new(&explanation(), "fauna", Some("map.png".into())).to_string();
        let expected = "
the title: how far the probability of fauna falls without the word
  A     -0.004
  fox,  +0.512  ███████████████
  雪    +0.000

the photo: how far it falls when the part is covered
  ██ ·
   -▒▒
  from -0.120 to +0.500; ██ ▓▓ ▒▒ ░░ speak for it, · hardly count, - and -- speak against it
heat map: map.png
";
        assert_eq!(text, expected);
    }

    #[test]
    fn what_a_post_lacks_is_not_told() {
        let alone = Explanation { photo: None, ..explanation() };
        let text = Explained::new(&alone, "fauna", None).to_string();
        assert!(text.contains("the title") && !text.contains("the photo"));
        let json = serde_json::to_value(Explained::new(&alone, "fauna", None)).unwrap();
        assert_eq!(json["words"][1]["start"], 2);
        assert!(json.get("photo").is_none() && json.get("heat_map").is_none());
    }

    #[test]
    fn a_picture_is_drawn_in_the_form_that_its_name_asks_for() {
        let folder = tempfile::tempdir().unwrap();
        let photo = Photo { width: 8, height: 4, rgb: vec![120; 96] }.to_jpeg(90);
        let limits = ImageLimits { bytes_max: 1 << 20, pixels_max: 1 << 20 };
        let map = explanation().photo.unwrap();
        for (name, form) in [("a.png", "png"), ("b.JPG", "jpg")] {
            let file = folder.path().join(name);
            draw(&map, &photo, &limits, (Form::of(&file).unwrap(), &file)).unwrap();
            let info = natureddit_image::inspect(&fs::read(&file).unwrap(), &limits).unwrap();
            assert_eq!((info.width, info.height, info.format.extension()), (8, 4, form));
        }
        assert!(Form::of(Path::new("map")).is_err() && Form::of(Path::new("map.webp")).is_err());
    }
}
