//! The safetensors format, through the library of that name.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use natureddit_core::fs;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use super::{Tensor, Tensors, WeightsError};

/// Every `f32` tensor of the file; tensors of integers (position ids) are left out.
pub(crate) fn read_safetensors(path: &Path) -> Result<Tensors, WeightsError> {
    let bytes = fs::read(path)?;
    parse_safetensors(&bytes).map_err(|reason| WeightsError::format(path, reason))
}

/// As [`read_safetensors`].
pub(super) fn parse_safetensors(bytes: &[u8]) -> Result<Tensors, String> {
    let file = SafeTensors::deserialize(bytes).map_err(|e| e.to_string())?;
    let mut tensors = Tensors::new();
    for (name, view) in file.tensors() {
        match view.dtype() {
            Dtype::F32 => drop(tensors.insert(name, tensor(&view))),
            // To leave these out would say later that they are missing.
            other @ (Dtype::F16 | Dtype::BF16 | Dtype::F64) => {
                return Err(format!(
                    "its tensor {name} is of type {other:?}, and only F32 is read: save it as float32"
                ));
            }
            _ => {}
        }
    }
    Ok(tensors)
}

/// What [`write_described`] wrote.
pub(crate) fn read_described(path: &Path) -> Result<(Tensors, String), WeightsError> {
    let bytes = fs::read(path)?;
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|e| WeightsError::format(path, e.to_string()))?;
    let description = header.metadata().as_ref().and_then(|described| described.get(DESCRIPTION)).cloned();
    let description = description.ok_or_else(|| WeightsError::format(path, "it has no description"))?;
    let tensors = parse_safetensors(&bytes).map_err(|reason| WeightsError::format(path, reason))?;
    Ok((tensors, description))
}

/// The entry of the file's metadata that holds a description.
const DESCRIPTION: &str = "natureddit";

fn tensor(view: &TensorView<'_>) -> Tensor {
    let data = view.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    Tensor { shape: view.shape().to_vec(), data }
}

/// Writes the tensors in name order, so that equal tensors give equal bytes.
pub(crate) fn write_safetensors(path: &Path, tensors: &Tensors) -> Result<(), WeightsError> {
    write(path, tensors, None)
}

/// As [`write_safetensors`], with a text that goes with the tensors.
pub(crate) fn write_described(path: &Path, tensors: &Tensors, description: &str) -> Result<(), WeightsError> {
    write(path, tensors, Some(HashMap::from([(DESCRIPTION.to_owned(), description.to_owned())])))
}

fn write(path: &Path, tensors: &Tensors, metadata: Option<HashMap<String, String>>) -> Result<(), WeightsError> {
    let bytes: BTreeMap<&str, Vec<u8>> = tensors
        .iter()
        .map(|(name, t)| (name.as_str(), t.data.iter().flat_map(|v| v.to_le_bytes()).collect()))
        .collect();
    let mut views = Vec::with_capacity(tensors.len());
    for (name, tensor) in tensors {
        let view = TensorView::new(Dtype::F32, tensor.shape.clone(), &bytes[name.as_str()]);
        views.push((name.clone(), view.map_err(|e| WeightsError::format(path, e.to_string()))?));
    }
    let file = safetensors::serialize(views, metadata).map_err(|e| WeightsError::format(path, e.to_string()))?;
    Ok(fs::write_atomic(path, file)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensors_survive_the_file_and_garbage_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.safetensors");
        let tensors = Tensors::from([
            ("b".to_owned(), Tensor { shape: vec![2, 2], data: vec![1.0, -2.0, 3.5, f32::MIN_POSITIVE] }),
            ("a".to_owned(), Tensor { shape: vec![1], data: vec![0.25] }),
        ]);
        write_safetensors(&path, &tensors).unwrap();
        assert_eq!(read_safetensors(&path).unwrap(), tensors);

        let half = TensorView::new(Dtype::F16, vec![1], &[0, 0]).unwrap();
        fs::write_atomic(&path, safetensors::serialize([("h".to_owned(), half)], None).unwrap()).unwrap();
        let told = read_safetensors(&path).unwrap_err().to_string();
        assert!(told.contains("its tensor h is of type F16, and only F32 is read"), "{told}");

        fs::write_atomic(&path, b"<html>").unwrap();
        assert!(matches!(read_safetensors(&path), Err(WeightsError::Format { .. })));
    }
}
