//! The safetensors format, through the library of that name.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use natureddit_core::fs;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use super::half::{from_bf16, from_f16};
use super::{FILE_BYTES_MAX, Tensor, Tensors, WeightsError};

/// Every tensor of floats of the file; those of integers (position ids) are left out.
pub(crate) fn read_safetensors(path: &Path) -> Result<Tensors, WeightsError> {
    let bytes = fs::read(path)?;
    parse_safetensors(&bytes).map_err(|reason| WeightsError::format(path, reason))
}

/// As [`read_safetensors`]. Floats of 16 bits become such of 32, which have all of their values.
pub(super) fn parse_safetensors(bytes: &[u8]) -> Result<Tensors, String> {
    let file = SafeTensors::deserialize(bytes).map_err(|e| e.to_string())?;
    let mut tensors = Tensors::new();
    let mut floats_bytes = 0;
    for (name, view) in file.tensors() {
        let floats: fn(&[u8]) -> Vec<f32> = match view.dtype() {
            Dtype::F32 => |data| data.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect(),
            Dtype::F16 => |data| data.as_chunks().0.iter().map(|bytes| from_f16(u16::from_le_bytes(*bytes))).collect(),
            Dtype::BF16 => {
                |data| data.as_chunks().0.iter().map(|bytes| from_bf16(u16::from_le_bytes(*bytes))).collect()
            }
            // To leave these out would say later that they are missing.
            Dtype::F64 => {
                return Err(format!(
                    "its tensor {name} is of type F64, and F32, F16 and BF16 are read: save it as float32"
                ));
            }
            _ => continue,
        };
        // Counted before they are made: half floats take twice the room of their file.
        floats_bytes += view.shape().iter().product::<usize>() as u64 * 4;
        if floats_bytes > FILE_BYTES_MAX {
            return Err(format!("its tensors have more than {FILE_BYTES_MAX} bytes as float32, which is the limit"));
        }
        tensors.insert(name, Tensor { shape: view.shape().to_vec(), data: floats(view.data()) });
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

        let double = TensorView::new(Dtype::F64, vec![1], &[0; 8]).unwrap();
        fs::write_atomic(&path, safetensors::serialize([("d".to_owned(), double)], None).unwrap()).unwrap();
        let told = read_safetensors(&path).unwrap_err().to_string();
        assert!(told.contains("its tensor d is of type F64, and F32, F16 and BF16 are read"), "{told}");

        fs::write_atomic(&path, b"<html>").unwrap();
        assert!(matches!(read_safetensors(&path), Err(WeightsError::Format { .. })));
    }

    #[test]
    fn floats_of_16_bits_are_read_as_such_of_32() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.safetensors");
        // 1, -2, 65504 and the least above 0 of IEEE's, and 1, -2, 3 of Google's.
        let half: Vec<u8> = [0x3c00_u16, 0xc000, 0x7bff, 0x0001].into_iter().flat_map(u16::to_le_bytes).collect();
        let brain: Vec<u8> = [0x3f80_u16, 0xc000, 0x4040].into_iter().flat_map(u16::to_le_bytes).collect();
        let numbers = [7_u8; 8];
        let views = [
            ("h".to_owned(), TensorView::new(Dtype::F16, vec![2, 2], &half).unwrap()),
            ("b".to_owned(), TensorView::new(Dtype::BF16, vec![3], &brain).unwrap()),
            ("i".to_owned(), TensorView::new(Dtype::I64, vec![1], &numbers).unwrap()),
        ];
        fs::write_atomic(&path, safetensors::serialize(views, None).unwrap()).unwrap();
        let tensors = read_safetensors(&path).unwrap();
        let h = Tensor { shape: vec![2, 2], data: vec![1.0, -2.0, 65504.0, 2.0_f32.powi(-24)] };
        let b = Tensor { shape: vec![3], data: vec![1.0, -2.0, 3.0] };
        assert_eq!(tensors, Tensors::from([("b".to_owned(), b), ("h".to_owned(), h)]));
    }
}
