//! What operators take and give.

use burn::tensor::{Device, Tensor};

/// A value of a graph.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    /// A tensor.
    Floats(Box<Floats>),
    /// A constant without a dimension.
    Number(f32),
    /// Token ids, a mask, a shape or axes.
    Integers(Integers),
}

/// A tensor of at most four dimensions. It is kept with four, the first ones 1 where it has fewer: operators spread shorter
/// shapes over longer ones from the last dimension on, so that nothing changes by that.
#[derive(Clone, Debug)]
pub(crate) struct Floats {
    pub(crate) tensor: Tensor<4>,
    rank: usize,
}

/// Integers, which nothing learns from.
#[derive(Clone, Debug)]
pub(crate) struct Integers {
    pub(crate) shape: Vec<usize>,
    pub(crate) values: Vec<i64>,
}

impl Floats {
    pub(crate) fn new(tensor: Tensor<4>, rank: usize) -> Self {
        Self { tensor, rank }
    }

    /// The same values in another shape.
    pub(super) fn reshaped(&self, shape: &[usize]) -> Self {
        Self { tensor: self.tensor.clone().reshape(padded(shape)), rank: shape.len() }
    }

    pub(super) fn shape(&self) -> Vec<usize> {
        self.tensor.dims()[4 - self.rank..].to_vec()
    }

    pub(super) fn rank(&self) -> usize {
        self.rank
    }

    /// Which of the four dimensions an axis is; a negative one counts from the end.
    pub(super) fn dimension(&self, axis: i64) -> Result<usize, String> {
        let from_end = if axis < 0 { -axis } else { self.rank as i64 - axis };
        match usize::try_from(from_end) {
            Ok(from_end) if (1..=self.rank).contains(&from_end) => Ok(4 - from_end),
            _ => Err(format!("it has no axis {axis}")),
        }
    }
}

impl From<Floats> for Value {
    fn from(floats: Floats) -> Self {
        Self::Floats(Box::new(floats))
    }
}

impl Value {
    /// As a tensor.
    pub(super) fn floats(&self, device: &Device) -> Result<Floats, String> {
        match self {
            Self::Floats(floats) => Ok(floats.as_ref().clone()),
            Self::Number(number) => Ok(Floats::new(Tensor::full([1; 4], *number, device), 0)),
            Self::Integers(_) => Err("it takes floats".to_owned()),
        }
    }

    pub(super) fn number(&self) -> Result<f32, String> {
        if let Self::Number(number) = self { Ok(*number) } else { Err("it takes a number".to_owned()) }
    }

    pub(super) fn integers(&self) -> Result<&Integers, String> {
        if let Self::Integers(integers) = self { Ok(integers) } else { Err("it takes integers".to_owned()) }
    }
}

/// A shape with four dimensions.
pub(super) fn padded(shape: &[usize]) -> [usize; 4] {
    let mut padded = [1; 4];
    padded[4 - shape.len()..].copy_from_slice(shape);
    padded
}
