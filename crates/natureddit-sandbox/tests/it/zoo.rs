//! Picture files of every kind.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use natureddit_image::{ImageError, ImageLimits, decode, inspect};
use natureddit_sandbox::{Sandbox, ZooExpected, zoo};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::RngSeed;

use crate::{Client, config};

const LIMITS: ImageLimits = ImageLimits { bytes_max: 50_000_000, pixels_max: 100_000_000 };

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, rng_seed: RngSeed::Fixed(12), ..ProptestConfig::default() })]

    /// What the fuzz target `image_headers` does, on every kind of file and within seconds: the header decides, and what it
    /// lets through is as large as it says.
    #[test]
    fn changed_files_are_refused_or_are_what_their_header_says(
        file in any::<Index>(),
        changes in proptest::collection::vec((any::<Index>(), any::<u8>()), 0..6),
        // Most of what a decoder acts upon stands at the beginning.
        near in any::<bool>(),
        cut in proptest::option::weighted(0.2, any::<Index>()),
    ) {
        let mut bytes = FILES[file.index(FILES.len())].clone();
        for (at, byte) in changes {
            let within = if near { bytes.len().min(200) } else { bytes.len() };
            let at = at.index(within.max(1));
            bytes.get_mut(at).into_iter().for_each(|old| *old = byte);
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len().max(1)));
        }
        let limits = ImageLimits { bytes_max: 1_000_000, pixels_max: 250_000 };
        match (inspect(&bytes, &limits), decode(&bytes, &limits)) {
            (Ok(info), Ok(photo)) => {
                prop_assert_eq!((info.width, info.height), (photo.width, photo.height));
                prop_assert!(u64::from(info.width) * u64::from(info.height) <= limits.pixels_max);
                prop_assert_eq!(photo.rgb.len(), photo.width as usize * photo.height as usize * 3);
            }
            (Err(header), decoded) => prop_assert_eq!(decoded.err(), Some(header)),
            (Ok(_), Err(_)) => {}
        }
    }
}

/// The files that are decoded fast.
static FILES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let files = zoo().into_iter().map(|file| file.bytes);
    files.filter(|bytes| bytes.len() < 250_000).collect()
});

#[test]
fn every_file_is_what_it_is_said_to_be() {
    let mut wrong = Vec::new();
    for file in zoo() {
        let found = decode(&file.bytes, &LIMITS).map(|photo| (photo.width, photo.height));
        let holds = match file.expected {
            ZooExpected::Photo { width, height } => matches!(found, Ok(size) if size == (width, height)),
            ZooExpected::Animated => inspect(&file.bytes, &LIMITS).map_or(true, |info| info.animated),
            ZooExpected::TooManyPixels => matches!(found, Err(ImageError::TooManyPixels { .. })),
            ZooExpected::Truncated | ZooExpected::NotAPicture | ZooExpected::Empty => found.is_err(),
        };
        if !holds {
            wrong.push(format!("{}: {found:?}", file.name));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn turned_pictures_look_the_same_upright() {
    let hash = |name: &str| {
        let file = zoo().into_iter().find(|file| file.name == name).unwrap();
        decode(&file.bytes, &LIMITS).unwrap().perceptual_hash()
    };
    for orientation in 2..=8 {
        assert!(hash("exif-1.jpg").distance(hash(&format!("exif-{orientation}.jpg"))) <= 4, "{orientation}");
    }
}

#[test]
fn sizes_are_to_the_byte_and_names_are_given_once() {
    let names: BTreeSet<_> = zoo().into_iter().map(|file| file.name).collect();
    assert_eq!(names.len(), zoo().len());
    for file in zoo() {
        if let Some(bytes) = file.name.strip_prefix("bytes-") {
            assert_eq!(file.bytes.len().to_string(), bytes.trim_end_matches(".jpg"));
        }
    }
}

#[tokio::test]
async fn the_zoo_is_open_on_reddits_host() {
    let sandbox = Sandbox::start(config(91, 3)).await.unwrap();
    let client = Client::new(&sandbox);
    let listed = client.simulator("/_sim/zoo.json").await;
    for (file, listed) in zoo().into_iter().zip(listed.as_array().unwrap()) {
        assert_eq!(listed["name"], file.name.as_str());
        assert_eq!(client.bytes(&format!("https://i.redd.it/zoo-{}", file.name)).await, file.bytes);
    }
    assert_eq!(client.get("https://i.redd.it/zoo-unicorn.jpg").await.unwrap().status(), 404);
}
