//! A project with as many labelled posts as asked for, for `cargo xtask bench pipeline runs`.
//!
//! usage: `many_examples DIR FIRST COUNT [cached]`
//!
//! Adds COUNT posts to `DIR/data` and `DIR/labels`, the first of which has the number FIRST. Photos are small drawings of
//! coloured fields, each another. With `cached`, their features are put into the embedding cache, so that no encoder
//! need run: points around a centre for each class, as encoders give them for classes that can be told apart.

use std::env::args;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use natureddit_core::{ContentHash, ContentHasher, fs};
use natureddit_image::{ImageLimits, Photo, examine};
use natureddit_model::{EncoderPair, image_encoder_from_config, text_encoder_from_config};
use natureddit_pipeline::embeddings::{EmbeddingCache, ReadLimits};

const CLASSES: [&str; 3] = ["fauna", "flora", "landscape"];
const SUBREDDITS: [&str; 4] = ["wildlifephotography", "flowers", "EarthPorn", "NatureIsFuckingLit"];
const WIDTH: u32 = 64;
const HEIGHT: u32 = 48;
/// How far features lie from their class's centre; the centres' coordinates are up to 1.
const SPREAD: f32 = 0.5;
/// 2021-01-01.
const FIRST_SECOND: u64 = 1_609_459_200;

fn main() -> anyhow::Result<()> {
    let args: Vec<String> = args().skip(1).collect();
    let [dir, first, count, rest @ ..] = args.as_slice() else { anyhow::bail!("give DIR FIRST COUNT [cached]") };
    let (first, count): (u64, u64) = (first.parse()?, count.parse()?);
    let mut project = Project::open(Path::new(dir), rest.first().is_some_and(|word| word == "cached"))?;
    for number in first..first + count {
        project.add(number)?;
    }
    project.write()
}

/// Numbers that look random and are the same every time.
struct Noise(u64);

impl Noise {
    fn of(what: &str, number: u64) -> Self {
        let hash = ContentHasher::new().part(what).part(number.to_le_bytes()).finish();
        Self(u64::from_le_bytes(std::array::from_fn(|at| hash.as_bytes()[at])))
    }

    /// Xorshift, as Marsaglia gives it.
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// From -1 to 1.
    fn coordinate(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
    }
}

struct Project {
    dir: PathBuf,
    posts: String,
    labels: String,
    caches: Option<(EmbeddingCache, EmbeddingCache)>,
}

impl Project {
    fn open(dir: &Path, cached: bool) -> anyhow::Result<Self> {
        let header = |path: &str, columns: &str| -> anyhow::Result<String> {
            Ok(fs::optional(fs::read_to_string(&dir.join(path)))?.unwrap_or_else(|| format!("{columns}\n")))
        };
        let posts = header(
            "data/posts.csv",
            "author,created_utc,full_link,id,subreddit,title,url,img_name,source,flair,over_18,width,height,sha256,phash",
        )?;
        let labels = header("labels/labels.csv", "id,img_name,choice,labelled_by,labelled_at")?;
        let caches = if cached { Some(caches(&dir.join("pipeline/embeddings"))?) } else { None };
        Ok(Self { dir: dir.to_owned(), posts, labels, caches })
    }

    fn add(&mut self, number: u64) -> anyhow::Result<()> {
        let (class, mut noise) = ((number % 3) as usize, Noise::of("post", number));
        let (id, author) = (format!("p{number:x}"), format!("author{}", number / 4));
        let title = format!("The {:x} {:x} of {number}", noise.next() % 4096, noise.next() % 4096);
        let subreddit = SUBREDDITS[(noise.next() % 4) as usize];
        let (jpeg, img_name, second) = (photo(number), format!("{id}.jpg"), FIRST_SECOND + number * 600);
        let limits = ImageLimits { bytes_max: 1 << 20, pixels_max: 1 << 20 };
        let (_, phash) = examine(&jpeg, &limits)?;
        let sha256 = ContentHash::of(&jpeg);
        fs::write_unsynced(&self.dir.join("data/images").join(&img_name), &jpeg)?;
        let created = jiff::Timestamp::from_second(i64::try_from(second)?)?.strftime("%Y-%m-%d %H:%M:%S");
        let link = format!("https://www.reddit.com/r/{subreddit}/comments/{id}/");
        self.posts += &format!(
            "{author},{created},{link},{id},{subreddit},{title},https://i.redd.it/{img_name},{img_name},bench,,false,\
             {WIDTH},{HEIGHT},{sha256},{phash}\n"
        );
        self.labels += &format!("{id},{img_name},{},bench,2026-01-01T00:00:00Z\n", CLASSES[class]);
        if let Some((photos, titles)) = &mut self.caches {
            photos.insert(&sha256, &features(class, "photo", number, 1280))?;
            titles.insert(&ContentHash::of(title.as_bytes()), &features(class, "title", number, 384))?;
        }
        Ok(())
    }

    fn write(self) -> anyhow::Result<()> {
        if let Some((mut photos, mut titles)) = self.caches {
            photos.keep_keys()?;
            titles.keep_keys()?;
        }
        fs::write_atomic(&self.dir.join("data/posts.csv"), self.posts)?;
        Ok(fs::write_atomic(&self.dir.join("labels/labels.csv"), self.labels)?)
    }
}

fn caches(dir: &Path) -> anyhow::Result<(EmbeddingCache, EmbeddingCache)> {
    let image = image_encoder_from_config("efficientnet_lite0").context("no such encoder")?;
    let text = text_encoder_from_config("all-MiniLM-L6-v2").context("no such encoder")?;
    let encoders = EncoderPair { image: Arc::new(image), text: Arc::new(text), title_tokens_max: 64 };
    // As if read under limits that no settings are below.
    let limits = ReadLimits { bytes_max: 1, pixels_max: 0 };
    let photos = EmbeddingCache::open(dir, &encoders.image_hash(), encoders.image.features, limits)?;
    Ok((photos, EmbeddingCache::open(dir, &encoders.text_hash(), encoders.text.features, limits)?))
}

fn features(class: usize, what: &str, number: u64, width: usize) -> Vec<f32> {
    let (mut centre, mut noise) = (Noise::of(what, class as u64), Noise::of(what, number + 1000));
    (0..width).map(|_| centre.coordinate() + SPREAD * noise.coordinate()).collect()
}

/// Fields of colours, another for each number.
fn photo(number: u64) -> Vec<u8> {
    const FIELD: u32 = 8;
    let mut noise = Noise::of("photo", number);
    let columns = WIDTH / FIELD;
    let colours: Vec<[u8; 3]> =
        (0..columns * (HEIGHT / FIELD)).map(|_| noise.next().to_le_bytes()).map(|b| [b[0], b[1], b[2]]).collect();
    let field = |at: u32| ((at / WIDTH / FIELD) * columns + at % WIDTH / FIELD) as usize;
    let rgb = (0..WIDTH * HEIGHT).flat_map(|at| colours[field(at)]).collect();
    Photo { width: WIDTH, height: HEIGHT, rgb }.to_jpeg(80)
}
