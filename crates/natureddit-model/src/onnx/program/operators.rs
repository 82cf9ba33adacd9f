//! The operators as burn calculates them, so that what is learnt can be traced back through each.

use burn::tensor::activation::{relu, softmax};
use burn::tensor::module::{conv2d, layer_norm, max_pool2d};
use burn::tensor::ops::{ConvOptions, MaxPoolOptions};
use burn::tensor::{Device, Int, Tensor, TensorData};

use super::step::{Operator, Windows};
use super::value::{Floats, Integers, Value};

impl Operator {
    /// What comes of the inputs.
    ///
    /// # Errors
    /// When there are too few, or they are not of the kind that the operator takes.
    pub(super) fn calculate(&self, inputs: &[&Value], device: &Device) -> Result<Value, String> {
        let input = |at: usize| inputs.get(at).copied().ok_or_else(|| format!("it lacks input {at}"));
        let floats = |at| input(at)?.floats(device);
        let integers = |at| input(at)?.integers();
        let made = match self {
            Self::Conv { windows, groups } => convolution(&floats(0)?, &floats(1)?, &floats(2)?, windows, *groups),
            Self::MaxPool { kernel, windows } => max_pool(&floats(0)?, *kernel, windows),
            Self::GlobalAveragePool => Floats::new(floats(0)?.tensor.mean_dim(3).mean_dim(2), 4),
            Self::Flatten => flatten(&floats(0)?),
            Self::Relu => map(floats(0)?, relu),
            Self::Clip => {
                let (low, high) = (input(1)?.number()?, input(2)?.number()?);
                map(floats(0)?, |x| x.clamp_min(low).clamp_max(high))
            }
            Self::Gelu => map(floats(0)?, gelu),
            Self::Tanh => map(floats(0)?, Tensor::tanh),
            Self::Add => pairwise(floats(0)?, floats(1)?, |a, b| a + b),
            Self::Sub => pairwise(floats(0)?, floats(1)?, |a, b| a - b),
            Self::Mul => pairwise(floats(0)?, floats(1)?, |a, b| a * b),
            Self::Div => pairwise(floats(0)?, floats(1)?, |a, b| a / b),
            Self::Max => {
                let least = input(1)?.number()?;
                map(floats(0)?, |x| x.clamp_min(least))
            }
            Self::MatMul => product(floats(0)?, floats(1)?),
            Self::Softmax => map(floats(0)?, |x| softmax(x, 3)),
            Self::LayerNormalization { epsilon } => normed(floats(0)?, floats(1)?, floats(2)?, *epsilon),
            Self::Reshape => reshape(&floats(0)?, integers(1)?)?,
            Self::Transpose(order) => transpose(floats(0)?, order)?,
            Self::Unsqueeze => unsqueeze(&floats(0)?, integers(1)?)?,
            Self::CastToFloat => cast(integers(0)?, device),
            Self::Gather { axis } => gather(&floats(0)?, integers(1)?, *axis, device)?,
            Self::Shape => return shape(input(0)?),
            Self::Slice => return slice(input(0)?, integers(1)?, integers(2)?, input(3).ok()),
            Self::ReduceSum { keeps } => reduced(&floats(0)?, integers(1)?, *keeps, |x| x)?,
            Self::ReduceL2 { keeps } => {
                let x = floats(0)?;
                reduced(&map(x, |x| x.clone() * x), integers(1)?, *keeps, Tensor::sqrt)?
            }
        };
        Ok(made.into())
    }
}

fn map(x: Floats, change: impl FnOnce(Tensor<4>) -> Tensor<4>) -> Floats {
    let rank = x.rank();
    Floats::new(change(x.tensor), rank)
}

fn pairwise(a: Floats, b: Floats, join: impl FnOnce(Tensor<4>, Tensor<4>) -> Tensor<4>) -> Floats {
    let rank = a.rank().max(b.rank());
    Floats::new(join(a.tensor, b.tensor), rank)
}

/// `x / 2 (1 + erf(x / sqrt 2))`, written out: burn has the slope of its own only by an approximation that is off by a
/// thousandth.
fn gelu(x: Tensor<4>) -> Tensor<4> {
    let share = (x.clone() * std::f32::consts::FRAC_1_SQRT_2).erf() + 1.0;
    x * share * 0.5
}

/// A kernel of one pixel is a product of matrices, whose slope burn finds several times faster than that of a convolution.
fn convolution(x: &Floats, weight: &Floats, bias: &Floats, windows: &Windows, groups: usize) -> Floats {
    let [batch, inputs, height, width] = x.tensor.dims();
    let [outputs, _, kernel_height, kernel_width] = weight.tensor.dims();
    let kernel = [kernel_height, kernel_width];
    let pads = windows.pads([height, width], kernel);
    if kernel == [1, 1] && windows.strides == [1, 1] && groups == 1 && pads == [(0, 0); 2] {
        let (x, weight) = (x.reshaped(&[batch, 1, inputs, height * width]), weight.reshaped(&[1, 1, outputs, inputs]));
        let product = weight.tensor.matmul(x.tensor).reshape([batch, outputs, height, width]);
        return Floats::new(product + bias.tensor.clone().reshape([1, outputs, 1, 1]), 4);
    }
    let bias: Tensor<1> = bias.tensor.clone().reshape([outputs]);
    let options = ConvOptions::new_with_padding(windows.strides, pads, [1, 1], groups);
    Floats::new(conv2d(x.tensor.clone(), weight.tensor.clone(), Some(bias), options), 4)
}

fn max_pool(x: &Floats, kernel: [usize; 2], windows: &Windows) -> Floats {
    let [_, _, height, width] = x.tensor.dims();
    let mut options = MaxPoolOptions::new(kernel).with_stride(windows.strides);
    options.padding = windows.pads([height, width], kernel);
    Floats::new(max_pool2d(x.tensor.clone(), options), 4)
}

fn flatten(x: &Floats) -> Floats {
    let shape = x.shape();
    let (first, rest) = shape.split_first().map_or((1, 1), |(first, rest)| (*first, rest.iter().product()));
    x.reshaped(&[first, rest])
}

/// Rows that meet one matrix are one matrix themselves: otherwise its slope would be made once for each of them.
fn product(a: Floats, b: Floats) -> Floats {
    let [outer, batch, rows, inner] = a.tensor.dims();
    let outputs = b.tensor.dims()[3];
    if b.rank() > 2 {
        let rank = a.rank().max(b.rank());
        return Floats::new(a.tensor.matmul(b.tensor), rank);
    }
    let product = a.tensor.clone().reshape([1, 1, outer * batch * rows, inner]).matmul(b.tensor);
    Floats::new(product.reshape([outer, batch, rows, outputs]), a.rank())
}

fn normed(x: Floats, gain: Floats, shift: Floats, epsilon: f64) -> Floats {
    let width = x.tensor.dims()[3];
    let (gain, shift): (Tensor<1>, Tensor<1>) = (gain.tensor.reshape([width]), shift.tensor.reshape([width]));
    map(x, |x| layer_norm(x, gain, Some(shift), epsilon))
}

/// A size of 0 is that of the input at the same place.
fn reshape(x: &Floats, sizes: &Integers) -> Result<Floats, String> {
    let old = x.shape();
    let size = |(at, &size): (usize, &i64)| match size {
        0 => old.get(at).copied().ok_or_else(|| format!("it has no size {at} to keep")),
        size => usize::try_from(size).map_err(|_| format!("it takes no size {size}")),
    };
    let shape = sizes.values.iter().enumerate().map(size).collect::<Result<Vec<_>, _>>()?;
    match shape.len() <= 4 && shape.iter().product::<usize>() == old.iter().product::<usize>() {
        true => Ok(x.reshaped(&shape)),
        false => Err(format!("{old:?} cannot become {shape:?}")),
    }
}

fn transpose(x: Floats, order: &[i64]) -> Result<Floats, String> {
    let mut axes = [0, 1, 2, 3];
    if order.len() != x.rank() {
        return Err(format!("{} axes for {} dimensions", order.len(), x.rank()));
    }
    for (place, &axis) in axes[4 - order.len()..].iter_mut().zip(order) {
        *place = x.dimension(axis)?;
    }
    Ok(map(x, |x| x.permute(axes)))
}

/// A dimension of 1 at each of these places of the new shape, the lowest first.
fn unsqueeze(x: &Floats, axes: &Integers) -> Result<Floats, String> {
    let mut shape = x.shape();
    for &axis in &axes.values {
        match usize::try_from(axis) {
            Ok(axis) if axis <= shape.len() && shape.len() < 4 => shape.insert(axis, 1),
            _ => return Err(format!("no axis {axis} can be put in")),
        }
    }
    Ok(x.reshaped(&shape))
}

fn cast(integers: &Integers, device: &Device) -> Floats {
    let values: Vec<f32> = integers.values.iter().map(|&value| value as f32).collect();
    let flat = Tensor::from_data(TensorData::new(values, [1, 1, 1, integers.values.len()]), device);
    Floats::new(flat, 1).reshaped(&integers.shape)
}

/// Parts of `x` by their place along an axis; in its stead are the dimensions of the places.
fn gather(x: &Floats, places: &Integers, axis: i64, device: &Device) -> Result<Floats, String> {
    let dimension = x.dimension(axis)?;
    let (mut shape, at) = (x.shape(), dimension + x.rank() - 4);
    let size = shape[at] as i64;
    if let Some(place) = places.values.iter().find(|place| !(0..size).contains(*place)) {
        return Err(format!("there is no place {place} among {size}"));
    }
    shape.splice(at..=at, places.shape.iter().copied());
    let flat = TensorData::new(places.values.clone(), [places.values.len()]);
    let taken = x.tensor.clone().select(dimension, Tensor::<1, Int>::from_data(flat, device));
    if shape.len() > 4 { Err("it has too many dimensions".to_owned()) } else { Ok(reshaped(taken, &shape)) }
}

fn reshaped(tensor: Tensor<4>, shape: &[usize]) -> Floats {
    Floats::new(tensor, 4).reshaped(shape)
}

fn shape(x: &Value) -> Result<Value, String> {
    let shape = match x {
        Value::Floats(floats) => floats.shape(),
        Value::Integers(integers) => integers.shape.clone(),
        Value::Number(_) => Vec::new(),
    };
    let values = shape.iter().map(|&size| size as i64).collect();
    Ok(Value::Integers(Integers { shape: vec![shape.len()], values }))
}

/// From one place to before another, along one axis: the first one where none is named.
fn slice(x: &Value, start: &Integers, end: &Integers, axis: Option<&Value>) -> Result<Value, String> {
    let one = |integers: &Integers| <[i64; 1]>::try_from(integers.values.as_slice()).map(|[value]| value);
    let (Ok(start), Ok(end)) = (one(start), one(end)) else { return Err("it takes one range".to_owned()) };
    let axis = axis.map(Value::integers).transpose()?.map_or(Ok(0), one).map_err(|_| "it takes one axis")?;
    let range = |size: usize| {
        let range = usize::try_from(start).ok()?..usize::try_from(end).ok()?;
        (range.start <= range.end && range.end <= size).then_some(range)
    };
    let outside = || format!("{start} to {end} is not within it");
    match x {
        Value::Integers(integers) if integers.shape.len() == 1 && axis == 0 => {
            let values = integers.values[range(integers.values.len()).ok_or_else(outside)?].to_vec();
            Ok(Value::Integers(Integers { shape: vec![values.len()], values }))
        }
        Value::Floats(floats) => {
            let dimension = floats.dimension(axis)?;
            let range = range(floats.tensor.dims()[dimension]).ok_or_else(outside)?;
            let length = range.end - range.start;
            Ok(map(floats.as_ref().clone(), |x| x.narrow(dimension, range.start, length)).into())
        }
        Value::Integers(_) | Value::Number(_) => Err("it takes a list or floats".to_owned()),
    }
}

/// The sum along an axis, changed, with the axis or without it.
fn reduced(
    x: &Floats,
    axes: &Integers,
    keeps: bool,
    change: impl FnOnce(Tensor<4>) -> Tensor<4>,
) -> Result<Floats, String> {
    let [axis] = axes.values.as_slice() else { return Err("it takes one axis".to_owned()) };
    let dimension = x.dimension(*axis)?;
    let mut shape = x.shape();
    let at = dimension + x.rank() - 4;
    if keeps {
        shape[at] = 1;
    } else {
        shape.remove(at);
    }
    Ok(reshaped(change(x.tensor.clone().sum_dim(dimension)), &shape))
}
