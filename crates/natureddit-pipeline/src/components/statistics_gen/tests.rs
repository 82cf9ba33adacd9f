use std::path::Path;

use natureddit_core::{ContentHash, Progress, fs};
use natureddit_image::Photo;

use super::*;
use crate::component::InputFolder;
use crate::examples::{ExampleSource, write_split};
use crate::statistics::{FeatureStatistics, ValueStatistics, read_statistics};

/// A component on a folder with examples, photos and a cache.
struct Setup {
    folder: tempfile::TempDir,
    component: StatisticsGen,
}

impl Setup {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let component = StatisticsGen {
            images_dir: folder.path().join("images"),
            cache_dir: folder.path().join("embeddings"),
            limits: ImageLimits { bytes_max: 1 << 20, pixels_max: 1 << 20 },
        };
        for split in Split::ALL {
            write_split(&folder.path().join("examples"), split, &[]).unwrap();
        }
        Self { folder, component }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, split: Split, examples: &[Example]) {
        write_split(&self.path("examples"), split, examples).unwrap();
    }

    fn io(&self, output: &str) -> ExecutionIo {
        let path = self.path("examples");
        ExecutionIo {
            inputs: [("examples", InputFolder { path, hash: ContentHash::of(b"") })].into(),
            outputs: [("statistics", self.path(output))].into(),
        }
    }

    /// Runs it, and tells how many photos it measured.
    fn run(&self, output: &str) -> String {
        let mut cx = ExecutionContext::new(self.component.spec(), Progress::silent());
        self.component.execute(&self.io(output), &mut cx).unwrap();
        cx.details["photos_to_measure"].to_string()
    }

    fn feature(&self, output: &str, split: Split, name: &str) -> FeatureStatistics {
        read_statistics(&self.path(output), split).unwrap().feature(name).unwrap().clone()
    }
}

fn grey_photo(images_dir: &Path, name: &str, grey: u8) -> ContentHash {
    let photo = Photo { width: 80, height: 70, rgb: vec![grey; 80 * 70 * 3] };
    let bytes = photo.to_jpeg(95);
    fs::write_atomic(&images_dir.join(name), &bytes).unwrap();
    ContentHash::of(&bytes)
}

fn post(id: &str, title: &str, photo: ContentHash) -> Example {
    Example {
        img_name: format!("{id}.jpg"),
        sha256: Some(photo),
        source: ExampleSource::Post,
        created_utc: 1_650_000_000,
        width: 80,
        height: 70,
        author: "someone".to_owned(),
        ..Example::title_alone(id.parse().unwrap(), title.to_owned(), "flora".to_owned())
    }
}

fn numbers(feature: &FeatureStatistics) -> (f64, f64, f64) {
    let ValueStatistics::Numeric(numbers) = &feature.values else { panic!("not numbers") };
    (numbers.min, numbers.median, numbers.max)
}

#[test]
fn each_split_has_the_statistics_of_its_examples_and_photos() {
    let setup = Setup::new();
    let hash = |name, grey| grey_photo(&setup.component.images_dir, name, grey);
    let alone = Example::title_alone("t1".parse().unwrap(), "Two of thém".to_owned(), "fauna".to_owned());
    setup.write(Split::Train, &[post("a", "A wild rose", hash("a.jpg", 40)), post("b", "", hash("b.jpg", 200)), alone]);
    assert_eq!(setup.run("out"), "2");
    let feature = |name| setup.feature("out", Split::Train, name);
    let presence = |name| (feature(name).presence.present, feature(name).presence.missing);
    assert_eq!([presence("id"), presence("title"), presence("author")], [(3, 0), (2, 1), (2, 1)]);
    assert_eq!([presence("width"), presence("over_18"), presence("flair")], [(2, 1), (2, 1), (0, 3)]);
    assert_eq!((presence("title_length"), numbers(&feature("title_length"))), ((2, 1), (11.0, 11.0, 11.0)));
    let (darkest, _, brightest) = numbers(&feature("brightness"));
    assert!((darkest - 40.0).abs() < 1.0 && (brightest - 200.0).abs() < 1.0, "{darkest} {brightest}");
    assert_eq!(feature("brightness").derived.unwrap().sources, ["img_name"]);
    assert!(feature("title").derived.is_none());
    let ValueStatistics::Text(choices) = feature("choice").values else { panic!("not texts") };
    assert_eq!(choices.top_values.iter().map(|top| top.count).collect::<Vec<_>>(), [2, 1]);
    let empty = read_statistics(&setup.path("out"), Split::Test).unwrap();
    assert_eq!((empty.examples, empty.features.len()), (0, COLUMNS.len() + 2));
}

#[test]
fn a_photo_is_measured_once_and_the_same_examples_give_the_same_bytes() {
    let setup = Setup::new();
    let photo = grey_photo(&setup.component.images_dir, "a.jpg", 99);
    setup.write(Split::Eval, &[post("a", "A", photo), post("b", "B", photo)]);
    assert_eq!(setup.run("first"), "1");
    fs::remove_dir_all(&setup.component.images_dir).unwrap();
    assert_eq!(setup.run("second"), "0");
    let bytes = |output: &str| fs::read(&setup.path(output).join("Split-eval/FeatureStats.pb")).unwrap();
    assert_eq!(bytes("first"), bytes("second"));
    assert_eq!(setup.feature("second", Split::Eval, "brightness").presence.present, 2);
}

#[test]
fn a_photo_that_cannot_be_read_is_missing_until_its_file_is_mended() {
    let setup = Setup::new();
    let photo = ContentHash::of(b"no photo at all");
    setup.write(Split::Train, &[post("a", "A", photo)]);
    let mut files = FileStates::read(&setup.path("file_states.json"), false);
    assert_eq!(setup.run("out"), "1");
    assert_eq!(setup.feature("out", Split::Train, "brightness").presence.missing, 1);
    assert_eq!(setup.component.change_outside(&setup.io("out"), &mut files), None);
    let path = setup.component.images_dir.join("a.jpg");
    fs::write_atomic(&path, "no photo at all").unwrap();
    assert_eq!(setup.component.change_outside(&setup.io("out"), &mut files), Some(OutsideChange::Readable(path)));
    // Now the file is what it should be, but it is no photo: nothing more is to be expected of it.
    setup.run("again");
    assert_eq!(setup.component.change_outside(&setup.io("again"), &mut files), None);
    assert!(fs::read_to_string(&setup.path("again").join(UNREAD_FILE)).unwrap().contains("not_an_image"));
}
