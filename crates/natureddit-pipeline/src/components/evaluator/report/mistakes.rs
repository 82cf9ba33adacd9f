//! The wrong answers that the model was surest of, with their photos.

use std::path::Path;

use maud::{Markup, html};
use natureddit_core::ClassNames;
use natureddit_image::{ImageError, ImageLimits};
use natureddit_net::base64;

use crate::components::evaluator::Answered;
use crate::components::photo::read_photo;

/// Enough for a picture of the size of a thumb.
const JPEG_QUALITY: u8 = 72;

/// The wrong answers that are shown, and how many there are in all.
pub(in crate::components::evaluator) struct Mistakes {
    pub(super) shown: Vec<Mistake>,
    pub(super) count: usize,
}

/// A wrong answer.
pub(in crate::components::evaluator) struct Mistake {
    pub(super) id: String,
    pub(super) title: String,
    pub(super) subreddit: String,
    pub(super) truth: String,
    pub(super) answer: String,
    /// The probability of the answer.
    pub(super) confidence: f32,
    /// The probability of the truth.
    pub(super) truth_probability: f32,
    pub(super) photo: Thumbnail,
}

/// The photo of a mistake.
pub(super) enum Thumbnail {
    /// A JPEG file as a `data:` address.
    Shown { address: String, width: u32, height: u32 },
    /// Why it is not shown.
    Absent(&'static str),
}

/// Where photos are read and how large they are shown.
pub(in crate::components::evaluator) struct Photos<'a> {
    pub(in crate::components::evaluator) images_dir: &'a Path,
    pub(in crate::components::evaluator) limits: ImageLimits,
    /// The longest side of a thumbnail, in pixels.
    pub(in crate::components::evaluator) side_max: u32,
}

impl Mistakes {
    /// The `shown_max` wrong answers of the highest confidence; of equally sure ones those whose post's id comes first.
    pub(in crate::components::evaluator) fn find(
        answered: &[Answered<'_>],
        classes: &ClassNames,
        shown_max: usize,
        photos: &Photos<'_>,
    ) -> Self {
        let mut wrong: Vec<&Answered<'_>> =
            answered.iter().filter(|answered| answered.judged.truth != answered.judged.prediction.class).collect();
        wrong.sort_by(|a, b| {
            let by_confidence = b.judged.confidence().total_cmp(&a.judged.confidence());
            by_confidence.then_with(|| (&a.example.id, &a.example.img_name).cmp(&(&b.example.id, &b.example.img_name)))
        });
        let shown = wrong.iter().take(shown_max).map(|answered| Mistake::new(answered, classes, photos)).collect();
        Self { shown, count: wrong.len() }
    }
}

impl Mistake {
    fn new(answered: &Answered<'_>, classes: &ClassNames, photos: &Photos<'_>) -> Self {
        let Answered { example, judged, .. } = answered;
        Self {
            id: example.id.to_string(),
            title: example.title.clone(),
            subreddit: example.subreddit.clone(),
            truth: classes.name(judged.truth).to_owned(),
            answer: classes.name(judged.prediction.class).to_owned(),
            confidence: judged.confidence(),
            truth_probability: judged.prediction.probabilities[judged.truth.0],
            photo: photos.thumbnail(answered),
        }
    }
}

impl Photos<'_> {
    fn thumbnail(&self, answered: &Answered<'_>) -> Thumbnail {
        let example = answered.example;
        let Some(hash) = example.sha256 else { return Thumbnail::Absent("no photo") };
        // Reports are passed on to people who did not choose to see it.
        if example.over_18 {
            return Thumbnail::Absent("not safe for work");
        }
        let path = self.images_dir.join(&example.img_name);
        let Ok(bytes) = read_photo(&path, &hash, self.limits.bytes_max) else {
            return Thumbnail::Absent("photo missing");
        };
        self.shrunk(&bytes).unwrap_or(Thumbnail::Absent("photo unreadable"))
    }

    fn shrunk(&self, bytes: &[u8]) -> Result<Thumbnail, ImageError> {
        let info = natureddit_image::inspect(bytes, &self.limits)?;
        let scale = f64::from(self.side_max) / f64::from(info.width.max(info.height));
        let side = |side: u32| if scale < 1.0 { ((f64::from(side) * scale).round() as u32).max(1) } else { side };
        let (width, height) = (side(info.width), side(info.height));
        let photo = natureddit_image::decode_resized(bytes, &self.limits, width, height)?;
        let address = format!("data:image/jpeg;base64,{}", base64(&photo.to_jpeg(JPEG_QUALITY)));
        Ok(Thumbnail::Shown { address, width, height })
    }
}

pub(super) fn section(mistakes: &Mistakes) -> Markup {
    let Mistakes { shown, count } = mistakes;
    html! {
        section aria-labelledby="mistakes" {
            h2 #mistakes { "Worst mistakes" }
            p.note {
                @if *count == 0 { "Every answer is right." }
                @else if *count == 1 { "One answer is wrong; the label may be wrong, too." }
                @else {
                    (count) " answers are wrong. Here are the " (shown.len())
                    " that the candidate was surest of; a label may be wrong, too."
                }
            }
            div.mistakes { @for mistake in shown { (mistake.render()) } }
        }
    }
}

impl Mistake {
    fn render(&self) -> Markup {
        html! {
            article.mistake {
                div.photo {
                    @match &self.photo {
                        Thumbnail::Shown { address, width, height } => {
                            img src=(address) width=(width) height=(height) alt={ "photo of post " (self.id) };
                        }
                        Thumbnail::Absent(why) => span { (why) },
                    }
                }
                div.text {
                    p.title { @if self.title.is_empty() { "(no title)" } @else { bdi { (self.title) } } }
                    dl {
                        dt { "shows" }
                        dd { span.right-answer { (self.truth) } " " (probability(self.truth_probability)) }
                        dt { "said" }
                        dd { span.wrong { (self.answer) } " " (probability(self.confidence)) }
                        dt { "post" }
                        dd { (self.id) @if !self.subreddit.is_empty() { " in " bdi { (self.subreddit) } } }
                    }
                }
            }
        }
    }
}

/// `94.6 %`
fn probability(share: f32) -> String {
    format!("{:.1} %", share * 100.0)
}
