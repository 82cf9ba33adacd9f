//! The weights of a convolution and of a multiplication as they are stored.

use super::constants::Floats;
use super::scale::{least_scale, stored_bias, stored_weight, weight_scale};

/// Weights, each stored in steps of the scale of its output.
#[derive(Debug, PartialEq)]
pub(super) struct Stored<T> {
    pub(super) values: Vec<T>,
    /// One for each output.
    pub(super) scales: Vec<f32>,
}

/// The weights [outputs, inputs of a group, window...] of a convolution, whose biases are then to be stored in steps of
/// these scales times `activation`, the scale of its input. None where they do not fit each other.
pub(super) fn kernel(weight: &Floats, groups: usize, biases: &[f32], activation: f32) -> Option<Stored<i8>> {
    let &[outputs, inputs, ref window @ ..] = weight.shape.as_slice() else { return None };
    let area: usize = window.iter().product();
    if weight.data.is_empty() || biases.len() != outputs {
        return None;
    }
    // Each output has an input of its own; ONNX Runtime multiplies those without adding neighbours first.
    let depthwise = inputs == 1 && groups == outputs;
    let channels = || weight.data.chunks_exact(inputs * area);
    let scale = |(channel, &bias): (&[f32], &f32)| {
        let orders = if depthwise { each_alone(channel) } else { orders(channel, inputs, area) };
        weight_scale(&orders, least_scale(bias, activation))
    };
    let scales: Vec<f32> = channels().zip(biases).map(scale).collect();
    let stored =
        |(channel, &scale): (&[f32], &f32)| channel.iter().map(|&w| stored_weight(w, scale)).collect::<Vec<_>>();
    let values = channels().zip(&scales).flat_map(stored).collect();
    Some(Stored { values, scales })
}

/// The biases of a convolution that go with the scales of its weights.
pub(super) fn biases(biases: &[f32], weight_scales: &[f32], activation: f32) -> Stored<i32> {
    let scales: Vec<f32> = weight_scales.iter().map(|scale| activation * scale).collect();
    let values = biases.iter().zip(&scales).map(|(&bias, &scale)| stored_bias(bias, scale)).collect();
    Stored { values, scales }
}

/// The weights [inputs, outputs] of a multiplication. None where there are none.
pub(super) fn matrix(weight: &Floats) -> Option<Stored<i8>> {
    let &[_inputs, outputs] = weight.shape.as_slice() else { return None };
    if weight.data.is_empty() {
        return None;
    }
    let column = |at: usize| weight.data.iter().skip(at).step_by(outputs).copied().collect::<Vec<f32>>();
    let scales: Vec<f32> = (0..outputs).map(|at| weight_scale(&[column(at)], 0.0)).collect();
    let stored = |row: &[f32]| row.iter().zip(&scales).map(|(&w, &scale)| stored_weight(w, scale)).collect::<Vec<_>>();
    let values = weight.data.chunks_exact(outputs).flat_map(stored).collect();
    Some(Stored { values, scales })
}

/// Weights of which no two are added before they are put into 32 bits.
fn each_alone(channel: &[f32]) -> Vec<Vec<f32>> {
    channel.iter().map(|&weight| vec![weight]).collect()
}

/// The orders in which the weights [inputs, area] of one output may be multiplied: as they are, or input by input at each
/// place of the window, where an odd number of inputs may be padded, so that other pairs come together.
fn orders(channel: &[f32], inputs: usize, area: usize) -> Vec<Vec<f32>> {
    let inputs_last: Vec<f32> = (0..area).flat_map(|at| channel.iter().skip(at).step_by(area).copied()).collect();
    let shifted = (inputs % 2 == 1).then(|| inputs_last[1..].to_vec());
    [channel.to_vec(), inputs_last].into_iter().chain(shifted).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn floats(shape: &[usize], data: &[f32]) -> Floats {
        Floats { shape: shape.to_vec(), data: data.to_vec() }
    }

    #[test]
    fn neighbours_in_every_order_share_the_sixteen_bits() {
        // One output, two inputs, a window of two: as they are (3, 0) (3, 0), input by input (3, 3) (0, 0).
        let stored = kernel(&floats(&[1, 2, 1, 2], &[3.0, 0.0, 3.0, 0.0]), 1, &[0.0], 1.0).unwrap();
        assert_eq!(stored, Stored { values: vec![64, 0, 64, 0], scales: vec![6.0 / 127.5] });
        // Three inputs: the last two come together when those of the window are padded.
        let stored = kernel(&floats(&[1, 3, 1, 1], &[0.0, 2.0, 2.0]), 1, &[0.0], 1.0).unwrap();
        assert_eq!(stored.scales, [4.0 / 127.5]);
        // Neighbours of opposite sign take the whole range, and so do those of a depthwise convolution.
        let opposite = kernel(&floats(&[1, 2, 1, 1], &[3.0, -3.0]), 1, &[0.0], 1.0).unwrap();
        assert_eq!(opposite, Stored { values: vec![127, -127], scales: vec![3.0 / 127.0] });
        let depthwise = kernel(&floats(&[2, 1, 1, 2], &[3.0, 3.0, 1.0, 0.5]), 2, &[0.0; 2], 1.0).unwrap();
        assert_eq!(depthwise.values, [127, 127, 127, 64]);
    }

    #[test]
    fn a_column_has_its_scale() {
        let stored = matrix(&floats(&[2, 3], &[1.0, 20.0, -0.5, -1.0, 10.0, -0.5])).unwrap();
        assert_eq!(stored.scales, [1.0 / 127.0, 30.0 / 127.5, 1.0 / 127.5]);
        assert_eq!(stored.values, [127, 85, -64, -127, 42, -64]);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        assert!(kernel(&floats(&[2, 1, 1, 1], &[1.0, 1.0]), 1, &[0.0], 1.0).is_none());
        assert!(kernel(&floats(&[2, 0, 1, 1], &[]), 1, &[0.0; 2], 1.0).is_none());
        assert!(matrix(&floats(&[3, 0], &[])).is_none());
    }
}
