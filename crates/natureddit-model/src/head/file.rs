//! The head's file: safetensors, whose tensors tell which kind of head it is.
//!
//! | tensor | shape | |
//! |---|---|---|
//! | `image.mean`, `image.deviation` | [photo features] | |
//! | `text.mean`, `text.deviation` | [title features] | |
//! | `hidden.weight`, `hidden.bias` | [units, inputs], [units] | absent: a linear head |
//! | `weight`, `bias` | [classes, units or inputs], [classes] | |
//! | `temperature` | [1] | absent: 1 |

use std::path::Path;

use super::{Dense, Head, Standard};
use crate::weights::{Tensor, Tensors, WeightsError, expect, read_safetensors, write_safetensors};

impl Head {
    /// Writes the head as safetensors.
    pub(crate) fn write(&self, path: &Path) -> Result<(), WeightsError> {
        let flat = |data: &[f32]| Tensor { shape: vec![data.len()], data: data.to_vec() };
        let mut tensors = Tensors::new();
        let mut put = |name: &str, tensor| tensors.insert(name.to_owned(), tensor);
        put("image.mean", flat(&self.image.mean));
        put("image.deviation", flat(&self.image.deviation));
        put("text.mean", flat(&self.text.mean));
        put("text.deviation", flat(&self.text.deviation));
        let layers = self.hidden.as_ref().map(|hidden| ("hidden.", hidden)).into_iter().chain([("", &self.output)]);
        for (prefix, dense) in layers {
            let shape = vec![dense.bias.len(), dense.inputs()];
            put(&format!("{prefix}weight"), Tensor { shape, data: dense.weight.clone() });
            put(&format!("{prefix}bias"), flat(&dense.bias));
        }
        // A head without one has the bytes it had before there were temperatures.
        if self.temperature != 1.0 {
            put("temperature", flat(&[self.temperature]));
        }
        write_safetensors(path, &tensors)
    }

    /// Reads a head of `classes` over encoders with so many features.
    pub(crate) fn read(path: &Path, classes: usize, image: usize, text: usize) -> Result<Self, WeightsError> {
        let tensors = read_safetensors(path)?;
        check_values(path, &tensors)?;
        let standard = |name: &str, width: usize| -> Result<Standard, WeightsError> {
            let part = |part: &str| expect(&tensors, &format!("{name}.{part}"), &[width]).map(|t| t.data.clone());
            Ok(Standard { mean: part("mean")?, deviation: part("deviation")? })
        };
        let dense = |prefix: &str, outputs: usize, inputs: usize| -> Result<Dense, WeightsError> {
            let part = |part: &str, shape: &[usize]| {
                expect(&tensors, &format!("{prefix}{part}"), shape).map(|tensor| tensor.data.clone())
            };
            Ok(Dense { weight: part("weight", &[outputs, inputs])?, bias: part("bias", &[outputs])? })
        };
        let (image, text) = (standard("image", image)?, standard("text", text)?);
        // Only now is it known that the widths are those of numbers that are there, and no claim of a manifest.
        let inputs = Self::inputs(&image, &text);
        let units = tensors.get("hidden.bias").map(|bias| bias.data.len());
        Ok(Self {
            image,
            text,
            hidden: units.map(|units| dense("hidden.", units, inputs)).transpose()?,
            output: dense("", classes, units.unwrap_or(inputs))?,
            temperature: match tensors.contains_key("temperature") {
                true => expect(&tensors, "temperature", &[1])?.data[0],
                false => 1.0,
            },
        })
    }
}

/// Refuses values from which on every answer would be no number.
fn check_values(path: &Path, tensors: &Tensors) -> Result<(), WeightsError> {
    let wrong = |(name, tensor): &(&String, &Tensor)| {
        let is_divisor = name.ends_with(".deviation") || *name == "temperature";
        let least = if is_divisor { f32::MIN_POSITIVE } else { f32::MIN };
        tensor.data.iter().any(|value| !(least..=f32::MAX).contains(value))
    };
    match tensors.iter().find(wrong) {
        None => Ok(()),
        Some((name, _)) => Err(WeightsError::Format {
            path: path.to_owned(),
            reason: format!(
                "{name} has a value that is not finite, or a deviation or temperature that is not positive"
            ),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn linear() -> Head {
        let standard = |mean: f32| Standard { mean: vec![mean], deviation: vec![2.0] };
        let weight = vec![1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 3.0, 0.0];
        let output = Dense { weight, bias: vec![0.0, 0.5] };
        Head { image: standard(1.0), text: standard(0.0), hidden: None, output, temperature: 1.0 }
    }

    fn mlp() -> Head {
        let hidden = Dense { weight: (0..12).map(|i| i as f32).collect(), bias: vec![1.0, 2.0, 3.0] };
        let output = Dense { weight: (0..6).map(|i| i as f32).collect(), bias: vec![0.0, 1.0] };
        Head { hidden: Some(hidden), output, temperature: 1.5, ..linear() }
    }

    #[test]
    fn a_head_that_would_answer_with_no_number_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("head.safetensors");
        type Break = (&'static str, fn(&mut Head));
        let breaks: [Break; 5] = [
            ("weight", |h| h.output.weight[3] = f32::NAN),
            ("bias", |h| h.output.bias[0] = f32::INFINITY),
            ("text.deviation", |h| h.text.deviation[0] = 0.0),
            ("temperature", |h| h.temperature = 0.0),
            ("hidden.weight", |h| h.hidden.as_mut().unwrap().weight[0] = f32::NAN),
        ];
        for (name, break_it) in breaks {
            let mut head = mlp();
            break_it(&mut head);
            head.write(&path).unwrap();
            let error = Head::read(&path, 2, 1, 1).unwrap_err().to_string();
            assert!(error.contains(&format!(": {name} has a value")), "{error}");
        }
    }

    #[test]
    fn both_kinds_survive_their_file_and_a_wrong_width_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("head.safetensors");
        for head in [linear(), mlp()] {
            head.write(&path).unwrap();
            assert_eq!(Head::read(&path, 2, 1, 1).unwrap(), head);
            let error = Head::read(&path, 2, 4, 1).unwrap_err().to_string();
            assert_eq!(error, "weights lack image.mean with shape [4], found Some([1])");
        }
        let error = Head::read(&path, 3, 1, 1).unwrap_err().to_string();
        assert_eq!(error, "weights lack weight with shape [3, 3], found Some([2, 3])");
    }

    #[test]
    fn a_linear_head_without_a_temperature_has_the_tensors_of_old_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("head.safetensors");
        linear().write(&path).unwrap();
        let names: Vec<String> = read_safetensors(&path).unwrap().into_keys().collect();
        assert_eq!(names, ["bias", "image.deviation", "image.mean", "text.deviation", "text.mean", "weight"]);
        // What an earlier version wrote has just these.
        assert_eq!(Head::read(&path, 2, 1, 1).unwrap(), linear());
    }
}
