//! Random weights that follow from a seed, for tests and benchmarks: bit for bit the same on every machine.

use natureddit_core::ContentHasher;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::Tensor;

/// The tensor of that name and shape. What has inputs (two dimensions or more) is uniform within sqrt(6 / inputs), so that
/// ReLU keeps the scale of what goes through it (He et al. 2015, <https://arxiv.org/abs/1502.01852>); gains and variances
/// are one, shifts and means zero. Each tensor has a stream of its own: none depends on which others there are.
pub(super) fn seeded(seed: u64, name: &str, shape: &[usize]) -> Tensor {
    let count = shape.iter().product();
    let [_, inputs @ ..] = shape else { return Tensor { shape: Vec::new(), data: vec![0.0] } };
    if inputs.is_empty() {
        let is_one = name.ends_with(".weight") || name.ends_with(".running_var");
        return Tensor { shape: shape.to_vec(), data: vec![if is_one { 1.0 } else { 0.0 }; count] };
    }
    let bound = (6.0 / inputs.iter().product::<usize>() as f32).sqrt();
    let mut hasher = ContentHasher::new();
    hasher.part("random weights, version 1").part(seed.to_le_bytes()).part(name);
    let mut rng = ChaCha8Rng::from_seed(*hasher.finish().as_bytes());
    let data = (0..count).map(|_| (rng.random::<f32>() * 2.0 - 1.0) * bound).collect();
    Tensor { shape: shape.to_vec(), data }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tensor_follows_from_its_seed_name_and_shape() {
        let one = seeded(1, "a.weight", &[8, 4, 3, 3]);
        assert_eq!(one, seeded(1, "a.weight", &[8, 4, 3, 3]));
        assert_ne!(one.data, seeded(2, "a.weight", &[8, 4, 3, 3]).data);
        assert_ne!(one.data, seeded(1, "b.weight", &[8, 4, 3, 3]).data);
        let bound = (6.0_f32 / 36.0).sqrt();
        assert!(
            one.data.iter().all(|value| value.abs() <= bound) && one.data.iter().any(|value| value.abs() > bound / 2.0)
        );
    }

    #[test]
    fn norms_change_nothing() {
        assert_eq!(seeded(1, "n.weight", &[2]).data, [1.0, 1.0]);
        assert_eq!(seeded(1, "n.running_var", &[2]).data, [1.0, 1.0]);
        assert_eq!(seeded(1, "n.bias", &[2]).data, [0.0, 0.0]);
        assert_eq!(seeded(1, "n.running_mean", &[2]).data, [0.0, 0.0]);
    }
}
