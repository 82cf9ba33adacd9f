//! The features of many posts in one file, so that training reads numbers and not photos.

use std::path::Path;

use crate::encoder::Features;
use crate::weights::{Tensor, Tensors, WeightsError, expect, read_safetensors, write_safetensors};

/// Writes the rows as safetensors: per modality `[rows, width]` values and `[rows]` flags, 1 where the row has it.
///
/// # Errors
/// When the file cannot be written.
///
/// # Panics
/// When a row's features are not as wide as its modality.
pub fn write_features(path: &Path, rows: &[Features], image: usize, text: usize) -> Result<(), WeightsError> {
    let mut tensors = Tensors::new();
    insert(&mut tensors, "image", rows.iter().map(|row| row.image.as_deref()), image);
    insert(&mut tensors, "text", rows.iter().map(|row| row.text.as_deref()), text);
    write_safetensors(path, &tensors)
}

/// Reads what [`write_features`] wrote.
///
/// # Errors
/// When the file is not such a table.
pub fn read_features(path: &Path, image: usize, text: usize) -> Result<Vec<Features>, WeightsError> {
    let tensors = read_safetensors(path)?;
    let images = column(&tensors, "image", image)?;
    let texts = column(&tensors, "text", text)?;
    if images.len() != texts.len() {
        return Err(WeightsError::Format {
            path: path.to_owned(),
            reason: format!("{} photo rows beside {} title rows", images.len(), texts.len()),
        });
    }
    Ok(images.into_iter().zip(texts).map(|(image, text)| Features { image, text }).collect())
}

fn insert<'a>(tensors: &mut Tensors, name: &str, rows: impl Iterator<Item = Option<&'a [f32]>>, width: usize) {
    let mut values = Vec::new();
    let mut flags = Vec::new();
    for row in rows {
        flags.push(if row.is_some() { 1.0 } else { 0.0 });
        match row {
            Some(row) => {
                assert_eq!(row.len(), width, "a row of {name} features");
                values.extend_from_slice(row);
            }
            None => values.resize(values.len() + width, 0.0),
        }
    }
    let count = flags.len();
    tensors.insert(name.to_owned(), Tensor { shape: vec![count, width], data: values });
    tensors.insert(format!("{name}.present"), Tensor { shape: vec![count], data: flags });
}

fn column(tensors: &Tensors, name: &str, width: usize) -> Result<Vec<Option<Vec<f32>>>, WeightsError> {
    let count = tensors.get(name).and_then(|tensor| tensor.shape.first()).copied().unwrap_or(0);
    let values = expect(tensors, name, &[count, width])?;
    let present = expect(tensors, &format!("{name}.present"), &[count])?;
    let rows = values.data.chunks_exact(width).zip(&present.data);
    Ok(rows.map(|(row, &flag)| (flag > 0.5).then(|| row.to_vec())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_survive_the_file_with_their_gaps() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("features.safetensors");
        let rows = [
            Features { image: Some(vec![1.0, 2.0]), text: None },
            Features { image: None, text: Some(vec![0.5]) },
            Features { image: None, text: None },
        ];
        write_features(&path, &rows, 2, 1).unwrap();
        assert_eq!(read_features(&path, 2, 1).unwrap(), rows);
        assert!(read_features(&path, 3, 1).is_err());
        write_features(&path, &[], 2, 1).unwrap();
        assert_eq!(read_features(&path, 2, 1).unwrap(), []);
    }
}
