//! What answering costs where there is no server: the same posts, in this process, on one thread.

use std::path::Path;

use natureddit_core::fs;
use natureddit_model::{ModelBundle, ModelInput, Predictor, PredictorOptions, Prepared};
use natureddit_testkit::{LIMITS, assets};
use serde_json::{Value, json};

use crate::Outcome;
use crate::posts::{photos, title};
use crate::report::own_cpu_seconds;

/// Requests in one run of the model, as the server gathers them.
const BATCH: usize = 8;

/// The processor's time for each of so many posts, in milliseconds: for the photo to be decoded and
/// made as small as the encoder sees it, for the title to be tokenised and for either to be encoded, each for all posts at a
/// stretch; and for all of these, post by post. The latter takes longer, as it does in a server: what one step works with is no
/// longer in the processor's cache when its turn comes again.
pub(crate) fn measure(bundle: &Path, folder: &Path, count: usize) -> Outcome<Value> {
    let files = photos(folder)?;
    let photos = files.iter().cycle().take(count).map(|file| fs::read(file)).collect::<Result<Vec<_>, _>>()?;
    let titles: Vec<String> = (0..count).map(title).collect();
    let options = PredictorOptions { limits: LIMITS, threads: 1 };
    let mut predictor = Predictor::load(&ModelBundle::read(bundle)?, &assets().runtime, &options)?;
    let (decode, images) = {
        let inputs = photos.iter().map(|photo| ModelInput { text: None, image: Some(photo) });
        timed(|| prepare(&predictor, inputs))?
    };
    let (tokenise, texts) = {
        let inputs = titles.iter().map(|title| ModelInput { text: Some(title), image: None });
        timed(|| prepare(&predictor, inputs))?
    };
    let mut encode = |inputs: &[Prepared]| -> Outcome<f64> {
        // The first run allocates.
        predictor.predict(&inputs[..BATCH.min(inputs.len())])?;
        timed(|| inputs.chunks(BATCH).try_for_each(|batch| predictor.predict(batch).map(drop))).map(|(cpu, _)| cpu)
    };
    let (image, text) = (encode(&images)?, encode(&texts)?);
    let (all, _) = timed(|| {
        photos.iter().zip(&titles).try_for_each(|(photo, title)| -> Outcome<()> {
            let post = ModelInput { text: Some(title), image: Some(photo) };
            predictor.predict(&[predictor.preprocessor().prepare(&post)?])?;
            Ok(())
        })
    })?;
    let each = |seconds: f64| seconds * 1e3 / count as f64;
    Ok(json!({
        "posts": count,
        "decode_ms": each(decode),
        "tokenise_ms": each(tokenise),
        "image_ms": each(image),
        "text_ms": each(text),
        "all_ms": each(all),
    }))
}

fn prepare<'a>(predictor: &Predictor, inputs: impl Iterator<Item = ModelInput<'a>>) -> Outcome<Vec<Prepared>> {
    Ok(inputs.map(|input| predictor.preprocessor().prepare(&input)).collect::<Result<_, _>>()?)
}

/// What `work` makes, and the processor's time for it, in seconds.
fn timed<T, E>(work: impl FnOnce() -> Result<T, E>) -> Outcome<(f64, T)>
where
    Box<dyn std::error::Error>: From<E>,
{
    let before = own_cpu_seconds()?;
    let made = work()?;
    Ok((own_cpu_seconds()? - before, made))
}
