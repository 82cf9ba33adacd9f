//! An ONNX file of any network, with declared preprocessing.

use std::path::{Path, PathBuf};

use super::source::{HashedFile, TokenizerSource};
use super::{EncoderError, ImageEncoder, ImageGraph, LICENCE_UNKNOWN, Ports, TextEncoder, TextGraph};
use crate::onnx::{Header, Value, ValueType};
use crate::preprocess::ImagePreprocess;
use crate::weights::{FILE_BYTES_MAX, read_verified};

/// An image encoder in an ONNX file: `input` [batch, 3, size, size] -> `output` [batch, features].
#[derive(Clone, Debug)]
pub struct OnnxImageEncoder {
    /// Its name in the config.
    pub name: String,
    /// The file, one that keeps its weights in itself.
    pub file: PathBuf,
    /// The input that takes the pixels; `None`: the only one there is.
    pub input: Option<String>,
    /// The output that gives the features; `None`: the only one there is.
    pub output: Option<String>,
    /// How many there are; `None`: as the file says.
    pub features: Option<usize>,
    /// How a photo becomes pixels.
    pub preprocess: ImagePreprocess,
    /// The licence of its weights.
    pub licence: Option<String>,
}

/// A text encoder in an ONNX file: token ids and their mask [batch, sequence] -> `output` [batch, features].
#[derive(Clone, Debug)]
pub struct OnnxTextEncoder {
    /// Its name in the config.
    pub name: String,
    /// The file, one that keeps its weights in itself.
    pub file: PathBuf,
    /// Its `tokenizer.json`.
    pub tokenizer: PathBuf,
    /// The input that takes the token ids.
    pub ids: String,
    /// The input that takes 1 for a token and 0 for padding.
    pub mask: String,
    /// The input that takes the kinds of tokens, where there is one: it gets zeros.
    pub kinds: Option<String>,
    /// The output that gives the features; `None`: the only one there is.
    pub output: Option<String>,
    /// How many there are; `None`: as the file says.
    pub features: Option<usize>,
    /// The most tokens it has places for.
    pub tokens_max: usize,
    /// The licence of its weights.
    pub licence: Option<String>,
}

pub(super) fn image(declared: &OnnxImageEncoder) -> Result<ImageEncoder, EncoderError> {
    let refused = |reason: String| EncoderError::format(&declared.file, reason);
    declared.preprocess.check().map_err(refused)?;
    let (file, header) = look_at(&declared.file)?;
    let pixels = choose("input", &header.inputs, declared.input.as_deref()).map_err(refused)?;
    let side = i64::from(declared.preprocess.size);
    check_input(pixels, ValueType::F32, &[Some(3), Some(side), Some(side)]).map_err(refused)?;
    check_all_fed(&header, &[&pixels.name]).map_err(refused)?;
    let (output, features) = output(&header, declared.output.as_deref(), declared.features).map_err(refused)?;
    Ok(ImageEncoder {
        name: declared.name.clone(),
        features,
        licence: declared.licence.clone().unwrap_or_else(|| LICENCE_UNKNOWN.to_owned()),
        preprocess: declared.preprocess.clone(),
        graph: ImageGraph::Onnx(file, Ports::new(&[&pixels.name], &output)),
    })
}

pub(super) fn text(declared: &OnnxTextEncoder) -> Result<TextEncoder, EncoderError> {
    let refused = |reason: String| EncoderError::format(&declared.file, reason);
    let (file, header) = look_at(&declared.file)?;
    let mut inputs = vec![declared.ids.as_str(), declared.mask.as_str()];
    inputs.extend(declared.kinds.as_deref());
    for name in &inputs {
        let value = choose("input", &header.inputs, Some(name)).map_err(refused)?;
        check_input(value, ValueType::I64, &[None]).map_err(refused)?;
    }
    check_all_fed(&header, &inputs).map_err(refused)?;
    let (output, features) = output(&header, declared.output.as_deref(), declared.features).map_err(refused)?;
    Ok(TextEncoder {
        name: declared.name.clone(),
        features,
        licence: declared.licence.clone().unwrap_or_else(|| LICENCE_UNKNOWN.to_owned()),
        tokenizer: TokenizerSource::File(HashedFile::look_at(declared.tokenizer.clone())?),
        tokens_max: declared.tokens_max,
        graph: TextGraph::Onnx(file, Ports::new(&inputs, &output)),
    })
}

/// Hashes a file, and what it says of itself.
fn look_at(path: &Path) -> Result<(HashedFile, Header), EncoderError> {
    let refused = |reason: String| EncoderError::format(path, reason);
    let bytes = natureddit_core::fs::metadata(path)?.len();
    if bytes > FILE_BYTES_MAX {
        return Err(refused(format!("it has {bytes} bytes, and one ONNX file holds {FILE_BYTES_MAX}")));
    }
    let file = HashedFile::look_at(path.to_owned())?;
    let content = read_verified(path, file.sha256).map_err(|e| refused(e.to_string()))?;
    let header = Header::read(&content).map_err(refused)?;
    Ok((file, header))
}

/// The value of that name, or the only one.
fn choose<'v>(kind: &str, values: &'v [Value], name: Option<&str>) -> Result<&'v Value, String> {
    let names = || values.iter().map(|value| value.name.as_str()).collect::<Vec<_>>().join(", ");
    match (name, values) {
        (Some(name), _) => values
            .iter()
            .find(|value| value.name == name)
            .ok_or_else(|| format!("it has no {kind} {name}; its {kind}s are {}", names())),
        (None, [only]) => Ok(only),
        (None, _) => Err(format!("name one of its {kind}s: {}", names())),
    }
}

/// Whether an input takes any number of rows of these sizes; `None` is one that each run chooses.
fn check_input(value: &Value, value_type: ValueType, row: &[Option<i64>]) -> Result<(), String> {
    let Value { name, value_type: found, shape } = value;
    if *found != value_type {
        return Err(format!("its input {name} is {found} and must be {value_type}"));
    }
    let Some(shape) = shape else { return Ok(()) };
    if let Some(Some(batch)) = shape.first() {
        return Err(format!("its input {name} takes {batch} at once: save it with a batch that is free"));
    }
    // A size that the file leaves free fits whatever comes.
    let fits = |(found, wanted): (&Option<i64>, &Option<i64>)| found.is_none() || found == wanted;
    if shape.len() != row.len() + 1 || !shape[1..].iter().zip(row).all(fits) {
        return Err(format!(
            "its input {name} has the shape {} and must take {}",
            shown(shape),
            shown(&[&[None], row].concat())
        ));
    }
    Ok(())
}

/// Whether nothing else goes into the graph.
fn check_all_fed(header: &Header, fed: &[&str]) -> Result<(), String> {
    match header.inputs.iter().find(|value| !fed.contains(&value.name.as_str())) {
        Some(other) => Err(format!("it also has the input {}, for which there is nothing", other.name)),
        None => Ok(()),
    }
}

/// The output and how many features it gives.
fn output(header: &Header, name: Option<&str>, declared: Option<usize>) -> Result<(String, usize), String> {
    let Value { name, value_type, shape } = choose("output", &header.outputs, name)?;
    if *value_type != ValueType::F32 {
        return Err(format!("its output {name} is {value_type} and must be float32"));
    }
    // Sizes of one, as pooled maps have them, do not count.
    let sizes = shape.as_ref().and_then(|shape| shape.get(1..)).unwrap_or_default();
    let found: Option<i64> = sizes.iter().copied().try_fold(1_i64, |all, size| all.checked_mul(size?));
    let is_vector = sizes.iter().filter(|size| **size != Some(1)).count() == 1;
    let found = found.filter(|_| is_vector).and_then(|found| usize::try_from(found).ok());
    match (found, declared) {
        (Some(found), Some(declared)) if found != declared => {
            Err(format!("its output {name} gives {found} features, not {declared}"))
        }
        (Some(features), _) if features > 0 => Ok((name.clone(), features)),
        (None, Some(features)) if features > 0 && sizes.iter().all(Option::is_none) && sizes.len() <= 1 => {
            Ok((name.clone(), features))
        }
        _ => {
            let shape = shape.as_ref().map_or_else(|| "that is not stated".to_owned(), |shape| shown(shape));
            Err(format!("its output {name} has a shape {shape}, and [batch, features] is needed"))
        }
    }
}

fn shown(shape: &[Option<i64>]) -> String {
    let sizes: Vec<String> =
        shape.iter().map(|size| size.map_or_else(|| "any".to_owned(), |n| n.to_string())).collect();
    format!("[{}]", sizes.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(name: &str, value_type: ValueType, shape: &[Option<i64>]) -> Value {
        Value { name: name.to_owned(), value_type, shape: Some(shape.to_vec()) }
    }

    #[test]
    fn features_are_read_off_the_output_or_declared() {
        let told = |shape: &[Option<i64>], declared| {
            let outputs = vec![value("o", ValueType::F32, shape)];
            output(&Header { inputs: vec![], outputs }, None, declared).map(|(_, features)| features)
        };
        assert_eq!(told(&[None, Some(512)], None), Ok(512));
        assert_eq!(told(&[None, Some(512), Some(1), Some(1)], None), Ok(512));
        assert_eq!(told(&[None, Some(512)], Some(512)), Ok(512));
        assert_eq!(told(&[None, Some(512)], Some(9)), Err("its output o gives 512 features, not 9".to_owned()));
        assert_eq!(told(&[None, None], Some(9)), Ok(9));
        assert_eq!(
            told(&[None, None], None),
            Err("its output o has a shape [any, any], and [batch, features] is needed".to_owned())
        );
        assert!(told(&[None, None, Some(384)], Some(384)).unwrap_err().contains("[any, any, 384]"));
        assert!(told(&[None, Some(7), Some(384)], None).unwrap_err().contains("[any, 7, 384]"));
        assert!(told(&[None], Some(0)).is_err());
    }

    #[test]
    fn an_input_takes_any_number_of_photos_of_the_size() {
        let row = [Some(3), Some(224), Some(224)];
        let told =
            |value_type, shape: &[Option<i64>]| check_input(&value("p", value_type, shape), ValueType::F32, &row);
        assert_eq!(told(ValueType::F32, &[None, Some(3), Some(224), Some(224)]), Ok(()));
        assert_eq!(told(ValueType::F32, &[None, None, None, None]), Ok(()));
        assert!(
            told(ValueType::F32, &[Some(1), Some(3), Some(224), Some(224)]).unwrap_err().contains("takes 1 at once")
        );
        let told_size = told(ValueType::F32, &[None, Some(3), Some(336), Some(336)]).unwrap_err();
        assert_eq!(told_size, "its input p has the shape [any, 3, 336, 336] and must take [any, 3, 224, 224]");
        assert_eq!(told(ValueType::Other(10), &[]).unwrap_err(), "its input p is ONNX's type 10 and must be float32");
    }

    #[test]
    fn a_value_is_chosen_by_its_name_or_because_it_is_the_only_one() {
        let (one, two) = (value("a", ValueType::F32, &[]), value("b", ValueType::F32, &[]));
        let both = [one.clone(), two];
        assert_eq!(choose("output", &both[..1], None), Ok(&one));
        assert_eq!(choose("output", &both, Some("a")), Ok(&one));
        assert_eq!(choose("output", &both, None), Err("name one of its outputs: a, b".to_owned()));
        assert_eq!(choose("input", &both, Some("c")), Err("it has no input c; its inputs are a, b".to_owned()));
        let header = Header { inputs: both.to_vec(), outputs: vec![] };
        assert_eq!(check_all_fed(&header, &["a", "b"]), Ok(()));
        let told = check_all_fed(&header, &["a"]).unwrap_err();
        assert_eq!(told, "it also has the input b, for which there is nothing");
    }
}
