use super::*;

/// A side of the made-up photos, in pixels.
const SIDE: usize = 14;

/// A model without networks: a title's feature is the sum of its tokens, a photo's how bright its first corner of two by two
/// pixels is. The first class is the likelier the larger either is.
fn encode(inputs: &[Prepared]) -> Result<Vec<Features>, ModelError> {
    assert!(inputs.len() <= AT_ONCE, "{} photos are in memory at once", inputs.len());
    let corner = |pixels: &Vec<f32>| vec![pixels[0] + pixels[1] + pixels[SIDE] + pixels[SIDE + 1]];
    let sum = |tokens: &Vec<i64>| vec![tokens.iter().sum::<i64>() as f32];
    let features =
        |input: &Prepared| Features { image: input.pixels.as_ref().map(corner), text: input.tokens.as_ref().map(sum) };
    Ok(inputs.iter().map(features).collect())
}

fn answer(features: &Features) -> Vec<f32> {
    let score: f32 = [&features.image, &features.text].into_iter().flatten().map(|values| values[0]).sum();
    let first = 1.0 / (1.0 + (-score).exp());
    vec![first, 1.0 - first]
}

/// A word is a token: `fox` speaks for the first class, `rock` against it, every other says nothing.
fn tokenise(title: &str) -> Result<Option<Vec<i64>>, InputError> {
    let token = |word: &str| match word.trim_end_matches('!') {
        "fox" => 3,
        "rock" => -1,
        _ => 0,
    };
    let tokens: Vec<i64> = title.split_whitespace().map(token).collect();
    Ok((!tokens.is_empty()).then_some(tokens))
}

/// Dark but for the first cell of seven by seven.
fn photo() -> Vec<f32> {
    let is_bright = |at: usize| at % SIDE < 2 && at / SIDE % SIDE < 2;
    (0..3 * SIDE * SIDE).map(|at| if is_bright(at) { 1.0 } else { -1.0 }).collect()
}

fn explain(title: Option<&str>, pixels: Option<Vec<f32>>) -> Explanation {
    weigh(&variants(title, pixels), encode, answer).unwrap()
}

fn variants(title: Option<&str>, pixels: Option<Vec<f32>>) -> Variants {
    let prepared = Prepared::new(pixels, title.and_then(|title| tokenise(title).unwrap()));
    Variants::of(prepared, title, &ExplainOptions::default(), tokenise).unwrap()
}

#[test]
fn the_word_that_decides_has_the_largest_weight_and_one_against_it_a_negative_one() {
    let words = explain(Some("a fox! on a rock"), None).words.unwrap();
    let weights: Vec<(&str, f32)> = words.iter().map(|word| (word.word.as_str(), word.weight)).collect();
    let [("a", first), ("fox!", fox), ("on", second), ("a", third), ("rock", rock)] = weights[..] else {
        panic!("{weights:?}")
    };
    assert_eq!([first, second, third], [0.0; 3], "{weights:?}");
    // 1 / (1 + exp(-2)) with both, 1 / (1 + exp(1)) without the fox, 1 / (1 + exp(-3)) without the rock.
    assert!((fox - (0.880_797 - 0.268_941)).abs() < 1e-5 && (rock - (0.880_797 - 0.952_574)).abs() < 1e-5);
    assert_eq!(words[1].at, 2..6);
}

#[test]
fn the_corner_that_decides_has_the_only_weight() {
    let Explanation { prediction, words, photo } = explain(None, Some(photo()));
    let OcclusionMap { cells_a_side, weights, .. } = photo.unwrap();
    assert_eq!((cells_a_side, weights.len(), words), (7, 49, None));
    assert!(weights[0] > 0.3, "{weights:?}");
    assert!(weights[1..].iter().all(|weight| *weight == 0.0), "{weights:?}");
    assert_eq!(prediction.class.0, 0);
}

#[test]
fn a_finer_grid_finds_the_pixels() {
    let prepared = Prepared::new(Some(photo()), None);
    let finest = ExplainOptions { cells_a_side: SIDE };
    let variants = Variants::of(prepared, None, &finest, tokenise).unwrap();
    let map = weigh(&variants, encode, answer).unwrap().photo.unwrap();
    let deciding: Vec<usize> = (0..map.weights.len()).filter(|&at| map.weights[at] > 0.0).collect();
    assert_eq!(deciding, [0, 1, SIDE, SIDE + 1]);
}

#[test]
fn weights_are_of_the_class_that_was_answered() {
    let Explanation { prediction, words, .. } = explain(Some("rock rock"), None);
    assert_eq!(prediction.class.0, 1);
    assert!(words.unwrap().iter().all(|word| word.weight > 0.0), "each rock speaks for the second class");
}

#[test]
fn what_a_post_lacks_is_not_explained() {
    let title_alone = explain(Some("fox"), None);
    assert!(title_alone.words.is_some() && title_alone.photo.is_none());
    let photo_alone = explain(None, Some(photo()));
    assert!(photo_alone.words.is_none() && photo_alone.photo.is_some());
    let blank = explain(Some("  "), Some(photo()));
    assert!(blank.words.is_none() && blank.photo.is_some());
    let both = explain(Some("fox"), Some(photo()));
    assert!(both.words.is_some() && both.photo.is_some());
}

#[test]
fn the_only_word_of_a_title_is_weighed_against_a_post_without_a_title() {
    let words = explain(Some("fox"), None).words.unwrap();
    assert!((words[0].weight - (0.952_574 - 0.5)).abs() < 1e-5, "{words:?}");
}

#[test]
fn an_explanation_is_the_same_every_time() {
    let once = || explain(Some("a fox on a rock"), Some(photo()));
    assert_eq!(once(), once());
}

#[test]
fn a_title_that_cannot_be_tokenised_without_a_word_is_an_error() {
    let failing = |_: &str| Err(InputError::Text("no".to_owned()));
    let prepared = Prepared::new(None, Some(vec![1]));
    let failed = Variants::of(prepared, Some("a fox"), &ExplainOptions::default(), failing);
    assert!(matches!(failed, Err(InputError::Text(_))), "{failed:?}");
}

#[test]
fn a_model_that_is_asked_about_whole_posts_gives_the_same_weights() {
    for (title, photo) in [(Some("a fox! on a rock"), Some(photo())), (Some("fox"), None), (None, Some(photo()))] {
        let variants = variants(title, photo);
        let ask = |prepared: &Prepared| {
            let features = encode(std::slice::from_ref(prepared)).unwrap().remove(0);
            Prediction::new(answer(&features))
        };
        let without: Vec<Prediction> = (0..variants.len()).map(|index| ask(&variants.variant(index))).collect();
        let explanation = variants.explanation(ask(variants.whole()), &without);
        assert_eq!(explanation, weigh(&variants, encode, answer).unwrap());
        assert_ne!(explanation, variants.explanation(ask(variants.whole()), &[]), "no answers, no weights");
    }
}
