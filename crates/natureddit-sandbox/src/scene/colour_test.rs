//! Colours alone must not tell what a picture shows: classifiers of colour histograms stay far from right.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Kind, draw};

/// 4 x 4 x 4 bins.
const BINS: usize = 64;
const ACCURACY_MAX: f64 = 0.8;
const PICTURES: usize = 600;

struct Example {
    histogram: [f64; BINS],
    class: usize,
}

fn examples() -> Vec<Example> {
    let mut rng = ChaCha8Rng::seed_from_u64(20);
    let example = |at: usize, seed: u64, subject: usize| {
        let kind = Kind::ALL[at % 3];
        let picture = draw(&kind.subjects()[subject % kind.subjects().len()], seed, 128, 96);
        let mut histogram = [0.0; BINS];
        for pixel in picture.pixels() {
            let [r, g, b] = pixel.0.map(|v| usize::from(v / 64));
            histogram[r * 16 + g * 4 + b] += 1.0;
        }
        // Square roots keep one large plain surface from hiding all else.
        Example { histogram: histogram.map(|count: f64| (count / (128.0 * 96.0)).sqrt()), class: at % 3 }
    };
    (0..PICTURES).map(|at| example(at, rng.random(), rng.random_range(0..1000))).collect()
}

fn distance(a: &[f64; BINS], b: &[f64; BINS]) -> f64 {
    a.iter().zip(b).map(|(x, y)| (x - y).powi(2)).sum()
}

fn accuracy(test: &[Example], predict: impl Fn(&[f64; BINS]) -> usize) -> f64 {
    test.iter().filter(|e| predict(&e.histogram) == e.class).count() as f64 / test.len() as f64
}

fn nearest_centroid(train: &[Example]) -> impl Fn(&[f64; BINS]) -> usize {
    let mut centroids = [[0.0; BINS]; 3];
    for example in train {
        for (sum, v) in centroids[example.class].iter_mut().zip(example.histogram) {
            *sum += v * 3.0 / train.len() as f64;
        }
    }
    move |h| (0..3).min_by(|&a, &b| distance(&centroids[a], h).total_cmp(&distance(&centroids[b], h))).unwrap()
}

fn nearest_neighbours(train: &[Example]) -> impl Fn(&[f64; BINS]) -> usize {
    move |h| {
        let mut near: Vec<_> = train.iter().map(|e| (distance(&e.histogram, h), e.class)).collect();
        near.sort_by(|a, b| a.0.total_cmp(&b.0));
        let votes = |class: usize| near[..9].iter().filter(|n| n.1 == class).count();
        (0..3).max_by_key(|&class| votes(class)).unwrap()
    }
}

/// Logistic regression by gradient descent with a little weight decay.
fn softmax_regression(train: &[Example]) -> impl Fn(&[f64; BINS]) -> usize {
    let mut weights = [[0.0; BINS]; 3];
    let scores = |weights: &[[f64; BINS]; 3], h: &[f64; BINS]| {
        let raw = weights.map(|w| w.iter().zip(h).map(|(w, v)| w * v).sum::<f64>().exp());
        let total: f64 = raw.iter().sum();
        raw.map(|score| score / total)
    };
    for _ in 0..600 {
        let mut steps = [[0.0; BINS]; 3];
        for example in train {
            let given = scores(&weights, &example.histogram);
            for class in 0..3 {
                let error = given[class] - f64::from(u8::from(class == example.class));
                for (step, v) in steps[class].iter_mut().zip(example.histogram) {
                    *step += error * v / train.len() as f64;
                }
            }
        }
        for (weight, step) in weights.as_flattened_mut().iter_mut().zip(steps.as_flattened()) {
            *weight -= 2.0 * (step + 1e-4 * *weight);
        }
    }
    move |h| {
        let given = scores(&weights, h);
        (0..3).max_by(|&a, &b| given[a].total_cmp(&given[b])).unwrap()
    }
}

fn accuracies(all: &[Example]) -> [(&'static str, f64); 3] {
    let (train, test) = all.split_at(all.len() / 2);
    [
        ("nearest centroid", accuracy(test, nearest_centroid(train))),
        ("nearest neighbours", accuracy(test, nearest_neighbours(train))),
        ("softmax regression", accuracy(test, softmax_regression(train))),
    ]
}

#[test]
fn a_classifier_of_colour_histograms_stays_under_four_fifths() {
    let mut all = examples();
    let results = accuracies(&all);
    println!("accuracy from colours: {results:.3?}");
    assert!(results.iter().all(|(_, accuracy)| *accuracy < ACCURACY_MAX), "{results:.3?}");
    // The same classifiers do find the class once colours are made to tell it: more red for each class.
    for example in &mut all {
        example.histogram.rotate_right(16 * example.class);
    }
    let told = accuracies(&all);
    println!("accuracy from telling colours: {told:.3?}");
    assert!(told[1..].iter().all(|(_, accuracy)| *accuracy > ACCURACY_MAX), "{told:.3?}");
}

#[test]
fn the_same_seed_draws_the_same_picture_at_any_size() {
    for kind in Kind::ALL {
        for (at, subject) in kind.subjects().iter().enumerate() {
            let seed = 77 + at as u64;
            let picture = draw(subject, seed, 160, 120);
            assert_eq!(picture, draw(subject, seed, 160, 120), "{}", subject.names[0]);
            assert_ne!(picture, draw(subject, seed + 1000, 160, 120), "{}", subject.names[0]);
            let larger = draw(subject, seed, 320, 240);
            let reduced = image::imageops::thumbnail(&larger, 160, 120);
            let off: u64 = picture.iter().zip(reduced.iter()).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
            assert!(off / (160 * 120 * 3) < 16, "{} differs by {}", subject.names[0], off / (160 * 120 * 3));
        }
    }
}
