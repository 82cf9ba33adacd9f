//! The constant tensors of a graph.

use std::collections::BTreeMap;

use super::super::proto::{FLOAT, TensorProto};

/// Constants by name.
pub(super) struct Constants<'a>(BTreeMap<&'a str, &'a TensorProto>);

/// A constant of floats.
pub(super) struct Floats {
    pub(super) shape: Vec<usize>,
    /// Row-major.
    pub(super) data: Vec<f32>,
}

impl<'a> Constants<'a> {
    pub(super) fn of(initializers: &'a [TensorProto]) -> Self {
        Self(initializers.iter().map(|tensor| (tensor.name.as_str(), tensor)).collect())
    }

    /// How many dimensions the floats of that name have; `None` where it is no constant of floats.
    pub(super) fn rank(&self, name: &str) -> Option<usize> {
        self.0.get(name).filter(|tensor| tensor.data_type == FLOAT).map(|tensor| tensor.dims.len())
    }

    /// The floats of that name.
    ///
    /// # Errors
    /// When there are none, or not as many finite ones as the shape says.
    pub(super) fn floats(&self, name: &str) -> Result<Floats, String> {
        let tensor = self.0.get(name).filter(|tensor| tensor.data_type == FLOAT);
        let tensor = tensor.ok_or_else(|| format!("{name} is no constant of floats"))?;
        let shape: Option<Vec<usize>> = tensor.dims.iter().map(|&size| usize::try_from(size).ok()).collect();
        let count = |shape: &Vec<usize>| shape.iter().try_fold(4_usize, |bytes, &size| bytes.checked_mul(size));
        let shape = shape.filter(|shape| count(shape) == Some(tensor.raw_data.len()));
        let shape = shape.ok_or_else(|| format!("{name} has not as many values as its shape says"))?;
        let (values, _rest) = tensor.raw_data.as_chunks::<4>();
        let data: Vec<f32> = values.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
        if !data.iter().all(|value| value.is_finite()) {
            return Err(format!("{name} has values that are not finite"));
        }
        Ok(Floats { shape, data })
    }

    /// The one number of that name.
    pub(super) fn number(&self, name: &str) -> Option<f32> {
        self.floats(name).ok().filter(|floats| floats.data.len() == 1).map(|floats| floats.data[0])
    }
}
