//! What a server is asked, and what it must answer.

use std::path::Path;

use natureddit_core::ClassNames;
use natureddit_image::Photo;
use natureddit_net::own_server::{Answer, FormField};
use serde_json::Value;

use super::super::photo::read_photo;
use crate::examples::Example;

/// How far a probability may be from the model's own: a server answers one post at a time, and the same sums in another
/// order are not the same to the last bit.
pub(super) const TOLERANCE: f64 = 1e-3;

const TITLE: &str = "A fox in the snow at the edge of the forest";

/// A request and what is expected of its answer.
#[derive(Clone, Debug)]
pub(super) struct Request {
    /// What it is, for the reasons: `a title alone`.
    pub(super) what: String,
    pub(super) text: Option<String>,
    pub(super) photo: Option<Vec<u8>>,
    pub(super) expected: Expected,
}

/// What the answer must be.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Expected {
    /// A class with the probabilities of all.
    Prediction,
    /// These probabilities, in the order of the classes.
    Probabilities(Vec<f32>),
    /// No prediction, because of what was sent.
    Refusal,
}

impl Request {
    /// A post as its reader would send it.
    /// `has_title` says whether the model read the title: one that it cannot read would be refused.
    pub(super) fn of_post(example: &Example, photo: Vec<u8>, has_title: bool, probabilities: Vec<f32>) -> Self {
        let text = has_title.then(|| example.title.clone());
        Self {
            what: format!("post {}", example.id),
            text,
            photo: Some(photo),
            expected: Expected::Probabilities(probabilities),
        }
    }

    /// The fields of the form.
    pub(super) fn fields(&self) -> Vec<FormField> {
        let text = self.text.iter().map(|text| FormField::text("text", text));
        let photo = self.photo.iter().map(|photo| FormField::file("image", "photo.jpg", photo.clone()));
        text.chain(photo).collect()
    }

    /// What is wrong with an answer.
    pub(super) fn fault(&self, answer: &Answer, classes: &ClassNames) -> Option<String> {
        let Answer { status, body } = answer;
        if self.expected == Expected::Refusal {
            // A server that fails (5xx) has not understood that the request is wrong.
            return (!(400..500).contains(status)).then(|| format!("it was answered {status}: {}", brief(body)));
        }
        if *status != 200 {
            return Some(format!("the answer is {status}: {}", brief(body)));
        }
        let found = match prediction(body, classes) {
            Ok(found) => found,
            Err(why) => return Some(why),
        };
        let Expected::Probabilities(expected) = &self.expected else { return None };
        let difference = |(found, expected): (&f64, &f32)| (found - f64::from(*expected)).abs();
        let worst = found.iter().zip(expected).map(difference).fold(0.0, f64::max);
        (worst > TOLERANCE).then(|| format!("a probability is {worst:.4} from the model's own"))
    }
}

/// The requests that every server is asked. None of them needs a dataset.
pub(super) fn canned() -> Vec<Request> {
    let photo = drawn();
    let request = |what: &str, text: Option<&str>, photo: Option<&[u8]>, expected| Request {
        what: what.to_owned(),
        text: text.map(str::to_owned),
        photo: photo.map(<[u8]>::to_vec),
        expected,
    };
    vec![
        request("a title alone", Some(TITLE), None, Expected::Prediction),
        request("a photo alone", None, Some(&photo), Expected::Prediction),
        request("a title with a photo", Some(TITLE), Some(&photo), Expected::Prediction),
        request("an empty title", Some(""), None, Expected::Refusal),
        request("half a photo", Some(TITLE), Some(&photo[..photo.len() / 2]), Expected::Refusal),
    ]
}

/// A small JPEG of a sky over a meadow.
fn drawn() -> Vec<u8> {
    const WIDTH: u32 = 96;
    const HEIGHT: u32 = 64;
    let pixel = |at: u32| {
        let (x, y) = (at % WIDTH, at / WIDTH);
        let shade = u8::try_from(x).unwrap_or(u8::MAX);
        if y < HEIGHT / 2 { [90, 140 + shade / 2, 230] } else { [60, 120 + shade, 50] }
    };
    Photo { width: WIDTH, height: HEIGHT, rgb: (0..WIDTH * HEIGHT).flat_map(pixel).collect() }.to_jpeg(90)
}

/// The photo of a post, if it is what it was when the example was made.
pub(super) fn photo_of(example: &Example, images_dir: &Path, bytes_max: u64) -> Option<Vec<u8>> {
    read_photo(&images_dir.join(&example.img_name), &example.sha256?, bytes_max).ok()
}

/// The probabilities of a prediction in JSON, in the order of the classes, or what is wrong with it.
pub(super) fn prediction(body: &str, classes: &ClassNames) -> Result<Vec<f64>, String> {
    let answer: Value = serde_json::from_str(body).map_err(|_| format!("the answer is no JSON: {}", brief(body)))?;
    let told = answer["probabilities"].as_object().map_or(0, serde_json::Map::len);
    let probabilities: Vec<f64> = classes.names().filter_map(|name| answer["probabilities"][name].as_f64()).collect();
    if told != classes.len() || probabilities.len() != classes.len() {
        return Err(format!("the answer has no probability for each of {classes}: {}", brief(body)));
    }
    let sum: f64 = probabilities.iter().sum();
    if probabilities.iter().any(|p| !(0.0..=1.0).contains(p)) || (sum - 1.0).abs() > TOLERANCE {
        return Err(format!("the probabilities are none, their sum is {sum:.4}"));
    }
    let most = probabilities.iter().copied().fold(0.0, f64::max);
    let label = answer["label"].as_str().and_then(|label| classes.class(label));
    if label.is_none_or(|class| probabilities[class.0] < most) {
        return Err(format!("the label {} is not the most probable of {classes}", brief(&answer["label"].to_string())));
    }
    Ok(probabilities)
}

/// The beginning of a text from elsewhere, on one line and without what steers a terminal.
pub(super) fn brief(text: &str) -> String {
    const CHARS_MAX: usize = 200;
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    let line: String = text.trim().chars().take(CHARS_MAX).map(plain).collect();
    let more = if text.trim().chars().count() > CHARS_MAX { "…" } else { "" };
    line.split_whitespace().collect::<Vec<_>>().join(" ") + more
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classes() -> ClassNames {
        ClassNames::new(["fauna", "flora"].map(str::to_owned).to_vec()).unwrap()
    }

    fn fault(expected: Expected, status: u16, body: &str) -> Option<String> {
        let request = Request { what: "a title".into(), text: Some("x".into()), photo: None, expected };
        request.fault(&Answer { status, body: body.to_owned() }, &classes())
    }

    const GOOD: &str = r#"{"label": "flora", "probabilities": {"fauna": 0.25, "flora": 0.75}}"#;

    #[test]
    fn a_right_answer_has_no_fault() {
        assert_eq!(fault(Expected::Prediction, 200, GOOD), None);
        assert_eq!(fault(Expected::Probabilities(vec![0.2504, 0.7496]), 200, GOOD), None);
        assert_eq!(fault(Expected::Refusal, 400, "no"), None);
    }

    #[test]
    fn each_fault_of_an_answer_is_told() {
        let told = |body: &str| fault(Expected::Prediction, 200, body).unwrap();
        assert_eq!(fault(Expected::Prediction, 503, "busy\n").unwrap(), "the answer is 503: busy");
        assert_eq!(told("flora"), "the answer is no JSON: flora");
        assert!(told(r#"{"label": "flora"}"#).starts_with("the answer has no probability for each of "));
        let third = r#"{"label": "flora", "probabilities": {"fauna": 0.25, "flora": 0.75, "fungi": 0.0}}"#;
        assert!(told(third).starts_with("the answer has no probability for each of "));
        let much = r#"{"label": "flora", "probabilities": {"fauna": 0.5, "flora": 0.75}}"#;
        assert_eq!(told(much), "the probabilities are none, their sum is 1.2500");
        for label in [r#""fauna""#, r#""fungi""#, "null"] {
            let body = GOOD.replace(r#""label": "flora""#, &format!(r#""label": {label}"#));
            assert!(told(&body).starts_with(&format!("the label {label} is not the most probable")), "{label}");
        }
        let other = fault(Expected::Probabilities(vec![0.26, 0.74]), 200, GOOD).unwrap();
        assert_eq!(other, "a probability is 0.0100 from the model's own");
        assert_eq!(fault(Expected::Refusal, 200, GOOD).unwrap(), format!("it was answered 200: {GOOD}"));
        assert!(fault(Expected::Refusal, 500, "").is_some());
    }

    #[test]
    fn the_drawn_photo_is_a_photo_and_half_of_it_is_none() {
        let limits = natureddit_image::ImageLimits { bytes_max: 1 << 20, pixels_max: 1 << 20 };
        let read = |bytes: &[u8]| natureddit_image::inspect(bytes, &limits).map(|info| (info.width, info.height));
        let photo = drawn();
        assert_eq!(read(&photo).unwrap(), (96, 64));
        assert!(natureddit_image::decode(&photo[..photo.len() / 2], &limits).is_err());
    }

    #[test]
    fn a_text_from_elsewhere_is_brief_and_plain() {
        assert_eq!(brief(" a\u{1b}[2J\n b "), "a [2J b");
        assert_eq!(brief(&"x".repeat(500)).chars().count(), 201);
    }
}
