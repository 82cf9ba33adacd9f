use natureddit_core::ContentHash;
use natureddit_model::{image_encoder_from_config, text_encoder_from_config};
use natureddit_testkit::{LIMITS, assets, tiny_bundle};
use tempfile::TempDir;

use super::super::tests::{GOOD, LONG, STOPS, python, server};
use super::*;
use crate::examples::write_split;

const CONFIG: InfraValidatorConfig =
    InfraValidatorConfig { start_timeout: LONG, stop_timeout: LONG, response_timeout: LONG, test_posts_max: 1 };

fn encoders() -> EncoderPair {
    EncoderPair {
        image: image_encoder_from_config("efficientnet_lite0").unwrap().into(),
        text: text_encoder_from_config("all-MiniLM-L6-v2").unwrap().into(),
        title_tokens_max: 64,
    }
}

fn post(id: &str) -> Example {
    Example::title_alone(id.parse().unwrap(), "A meadow".to_owned(), "discs".to_owned())
}

fn row(example: Example, stored: &[f32]) -> Row {
    Row::new(example, b"\xff\xd8 a photo \xff\xd9".to_vec(), true, Prediction::new(stored.to_vec()))
}

fn options() -> PredictorOptions {
    PredictorOptions { limits: LIMITS, threads: 1 }
}

/// For what does not ask the bundle itself.
fn no_runtime() -> anyhow::Result<Runtime> {
    anyhow::bail!("nothing is to be loaded")
}

/// What a server that always answers with these probabilities is reported of.
fn asked(probabilities: [f64; 3], label: &str, stored: &[[f32; 3]]) -> SkewReport {
    asked_of(&["", ""], probabilities, label, stored).0.unwrap()
}

/// The same of a server of which a part is another, and how many rows it was sent.
fn asked_of(
    [from, to]: &[&str; 2],
    probabilities: [f64; 3],
    label: &str,
    stored: &[[f32; 3]],
) -> (anyhow::Result<SkewReport>, usize) {
    let folder = tempfile::tempdir().unwrap();
    tiny_bundle(folder.path(), "m", 1);
    let bundle = ModelBundle::read(folder.path()).unwrap();
    let [discs, stripes, horizon] = probabilities;
    let answer = format!(
        r#"b'{{"label": "{label}", "probabilities": {{"discs": {discs}, "stripes": {stripes}, "horizon": {horizon}}}}}'"#
    );
    let counting = "def do_POST(self):\n        open(sys.argv[1] + '/rows', 'a').write('x')\n";
    let script = if from.is_empty() { GOOD.to_owned() } else { GOOD.replace(from, to) };
    let script = script.replace("def do_POST(self):\n", counting).replace("ANSWER", &answer);
    let program = server(&format!("{script}{STOPS}"));
    let scratch = tempfile::tempdir().unwrap();
    let own = SkewServer::Own { program: &program, scratch: scratch.path() };
    let encoders = encoders();
    let check = SkewCheck {
        bundle: &bundle,
        version: None,
        encoders: &encoders,
        images_dir: Path::new("images"),
        options: options(),
        runtime: &no_runtime,
        rows_max: 10,
        config: &CONFIG,
    };
    let posts = (0..stored.len()).map(|at| post(&format!("p{at}")));
    let rows: Vec<Row> = posts.zip(stored).map(|(post, stored)| row(post, stored)).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let outcomes = runtime.block_on(ask(&own, &rows, &check, &Progress::silent()));
    let sent = fs::optional(fs::read(&scratch.path().join("rows"))).unwrap().unwrap_or_default().len();
    (outcomes.map(|outcomes| report(outcomes, 1, SkewReference::StoredFeatures)), sent)
}

#[test]
fn a_server_that_would_answer_no_row_is_not_asked_on() {
    if !python() {
        return;
    }
    let post = r#"if self.headers["accept"] == "text/plain": return self.answer(200, "text/plain", b"flora")"#;
    let get = r#"self.answer(PING, "application/json", b'{"status": "Healthy"}')"#;
    let of = |part: &str, answer: &str| asked_of(&[part, answer], [0.7, 0.2, 0.1], "discs", &[[0.7, 0.2, 0.1]; 3]);
    for (part, answer, told, rows) in [
        (post, r#"return self.answer(404, "text/plain", b"no version 9")"#, "404: no version 9", 1),
        (post, r#"return self.answer(401, "text/plain", b"no key")"#, "401: no key", 1),
        (get, r#"self.answer(400, "text/plain", b"this port speaks HTTPS")"#, "400: this port speaks HTTPS", 0),
        (get, r#"self.answer(301, "text/plain", b"elsewhere")"#, "301: elsewhere", 0),
    ] {
        let (report, sent) = of(part, answer);
        let error = report.unwrap_err().to_string();
        assert_eq!(error, format!("the server cannot be asked: it answers {told}"));
        assert_eq!(sent, rows, "{told}");
    }
    // What may be of one row is told of each.
    let (report, sent) = of(post, r#"return self.answer(400, "text/plain", b"no photo")"#);
    let report = report.unwrap();
    assert_eq!((report.unanswered, report.difference_max, sent), (3, None, 3), "{report:?}");
}

#[test]
fn a_server_that_answers_as_the_stored_features_do_has_no_skew() {
    if !python() {
        return;
    }
    let report = asked([0.7, 0.2, 0.1], "discs", &[[0.7, 0.2, 0.1], [0.700_05, 0.199_95, 0.1]]);
    assert!(report.holds && report.rows == 2 && report.skipped == 1, "{report:?}");
    assert!(
        (report.difference_max.unwrap() - 5e-5).abs() < 1e-6 && report.worst[0].id.to_string() == "p1",
        "{report:?}"
    );
}

#[test]
fn each_way_to_differ_is_counted_and_the_worst_come_first() {
    if !python() {
        return;
    }
    let stored = [[0.7, 0.2, 0.1], [0.6998, 0.2002, 0.1], [0.2, 0.7, 0.1]];
    let report = asked([0.7, 0.2, 0.1], "discs", &stored);
    assert_eq!((report.holds, report.unanswered, report.other_labels, report.too_far), (false, 0, 1, 2));
    let told = |row: &SkewedRow| (row.id.to_string(), row.stored.clone(), row.served.clone());
    assert_eq!(told(&report.worst[0]), ("p2".to_owned(), "stripes".to_owned(), Some("discs".to_owned())));
    assert_eq!(report.worst[1].id.to_string(), "p1");
    // A server whose label is not that of its probabilities has given no prediction.
    let report = asked([0.7, 0.2, 0.1], "horizon", &[[0.7, 0.2, 0.1]]);
    assert_eq!((report.holds, report.unanswered), (false, 1));
    assert!(report.worst[0].fault.as_ref().is_some_and(|fault| fault.contains("horizon")), "{report:?}");
}

/// A folder of examples with these photos, and one of features by other encoders than the bundle's.
fn of_other_encoders(bundle: &ModelBundle, photos: &[Vec<u8>]) -> (TempDir, PathBuf, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let [examples, transformed] = ["examples", "transformed"].map(|name| folder.path().join(name));
    let example = |(at, photo): (usize, &Vec<u8>)| {
        let img_name = format!("p{at}.jpg");
        fs::write_atomic(&folder.path().join("images").join(&img_name), photo).unwrap();
        let (sha256, source) = (Some(ContentHash::of(photo)), ExampleSource::Post);
        Example { img_name, sha256, source, group: format!("p{at}"), ..post(&format!("p{at}")) }
    };
    let train: Vec<Example> = photos.iter().enumerate().map(example).collect();
    write_split(&examples, Split::Train, &train).unwrap();
    let text = bundle.manifest.text_encoder.hash;
    EncoderHashes { image: ContentHash::of(b"another"), text }.write(&transformed).unwrap();
    (folder, examples, transformed)
}

#[test]
fn a_model_with_encoders_of_its_own_is_compared_with_what_it_says_itself() {
    if !python() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let bundle = natureddit_testkit::bundle(dir.path(), "m");
    let mut photos: Vec<Vec<u8>> = (0..4).map(|seed| natureddit_testkit::photo(Class(seed % 3), 7)).collect();
    photos[3].truncate(300);
    let (folder, examples, transformed) = of_other_encoders(&bundle, &photos);
    let runtime = &assets().runtime;
    let mut predictor = Predictor::load(&bundle, runtime, &options()).unwrap();
    let input = ModelInput { text: Some("A meadow"), image: Some(&photos[0]) };
    let prepared = predictor.preprocessor().prepare(&input).unwrap();
    let own = predictor.predict(&[prepared]).unwrap().remove(0);
    let told: Vec<String> = bundle.manifest.classes.names().map(str::to_owned).collect();
    let pairs = told.iter().zip(&own.probabilities).map(|(name, p)| format!("{name:?}: {p}"));
    let probabilities = pairs.collect::<Vec<_>>().join(", ");
    let label = &told[own.class.0];
    let answer = format!("b'{{\"label\": {label:?}, \"probabilities\": {{{probabilities}}}}}'");
    let program = server(&format!("{}{STOPS}", GOOD.replace("ANSWER", &answer)));
    let scratch = tempfile::tempdir().unwrap();
    let own = SkewServer::Own { program: &program, scratch: scratch.path() };
    let encoders = encoders();
    let (images_dir, load) = (folder.path().join("images"), || Ok(runtime.clone()));
    let check = |rows_max| SkewCheck {
        bundle: &bundle,
        version: None,
        encoders: &encoders,
        images_dir: &images_dir,
        options: options(),
        runtime: &load,
        rows_max,
        config: &CONFIG,
    };
    let verified =
        |check: &SkewCheck<'_>| verify_skew((&examples, &transformed), &own, check, &Progress::silent()).unwrap();
    // The server says of every photo what the model says of the first.
    let report = verified(&check(1));
    assert_eq!((report.holds, report.rows, report.reference), (true, 1, SkewReference::Bundle), "{report:?}");
    let report = verified(&check(10));
    assert_eq!((report.holds, report.rows, report.skipped), (false, 3, 1), "{report:?}");
    assert!(report.too_far == 2 && report.worst[0].id.to_string() != "p0", "{report:?}");
}

#[test]
fn rows_are_spread_over_all() {
    let numbers = |count: usize, most| spread((0..count).collect(), most);
    assert_eq!(numbers(10, 3), [0, 3, 6]);
    assert_eq!(numbers(2, 5), [0, 1]);
    assert!(numbers(0, 5).is_empty() && numbers(5, 0).is_empty());
}
