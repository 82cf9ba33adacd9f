use super::super::graph::{Attribute, GraphBuilder};
use super::super::{Bert, Block, EfficientNetLite, Pooling, ResNet, bert, efficientnet_lite, resnet};
use super::*;
use crate::weights::Weights;

const SEED: Weights = Weights::Seeded(5);

fn tiny_resnet(block: Block) -> Vec<u8> {
    let (channels, depths) = (vec![8, 16], vec![1, 2]);
    let sizes = ResNet {
        stem: 4,
        channels,
        depths,
        block,
        first_stage_shrinks: false,
        bottleneck_shrinks_first: false,
        size: 32,
    };
    resnet(&sizes, &SEED).unwrap()
}

fn tiny_bert(pooling: Pooling) -> Vec<u8> {
    let (layers, width, heads, feed_forward) = (2, 12, 3, 20);
    let (vocabulary, positions, kinds, epsilon) = (30, 9, 2, 1e-6);
    bert(&Bert { layers, width, heads, feed_forward, vocabulary, positions, kinds, epsilon, pooling }, &SEED).unwrap()
}

fn tiny_efficientnet() -> Vec<u8> {
    efficientnet_lite(&EfficientNetLite { width: 0.25, depth: 0.5, size: 32 }, &SEED).unwrap()
}

/// Numbers between -1 and 1 without a pattern.
fn noise(count: usize) -> Vec<f32> {
    (0..count).map(|at| ((at * 7_919 + 13) % 1_013) as f32 / 506.5 - 1.0).collect()
}

fn pixels(shape: [usize; 4], device: &Device) -> Vec<(&'static str, Value)> {
    let data = TensorData::new(noise(shape.iter().product()), shape);
    vec![("pixels", Floats::new(Tensor::from_data(data, device), 4).into())]
}

/// A title of five tokens and one of three.
fn tokens() -> Vec<(&'static str, Value)> {
    let value = |values: [i64; 10]| Value::Integers(Integers { shape: vec![2, 5], values: values.to_vec() });
    let ids = value([2, 7, 7, 19, 3, 2, 28, 3, 0, 0]);
    vec![("input_ids", ids), ("attention_mask", value([1, 1, 1, 1, 1, 1, 1, 1, 0, 0]))]
}

fn output(program: &Program, inputs: Vec<(&str, Value)>, parameters: &[Vec<f32>]) -> Vec<f32> {
    let device = Device::default();
    let output = program.run(inputs, &program.tensors(parameters, &device), &device).unwrap();
    output.tensor.into_data().try_into_vec().unwrap()
}

type Inputs<'a> = &'a dyn Fn(&Device) -> Vec<(&'static str, Value)>;

/// For each weight: how the output, weighed without a pattern, changes along a direction without one, against what the
/// gradients say. `tolerance` is over the length of the gradient.
fn assert_gradients(onnx: &[u8], inputs: Inputs<'_>, step: f32, tolerance: f64) {
    let program = Program::read(onnx, None).unwrap();
    let mut parameters = program.parameters();
    // Random networks have shifts of zero: where nothing comes in, a unit would stand exactly where it begins to count.
    for values in parameters.iter_mut().filter(|values| values.iter().all(|value| *value == 0.0)) {
        *values = noise(values.len()).iter().map(|value| value / 10.0).collect();
    }
    let device = Device::default().autodiff();
    let leaves: Vec<_> = program.tensors(&parameters, &device).into_iter().map(Tensor::require_grad).collect();
    let made = program.run(inputs(&device), &leaves, &device).unwrap().tensor;
    let dims = made.dims();
    let weights = noise(dims.iter().product());
    let loss = made * Tensor::from_data(TensorData::new(weights.clone(), dims), &device);
    let gradients = loss.sum().backward();
    let weighed = |parameters: &[Vec<f32>]| -> Vec<f64> {
        let made = output(&program, inputs(&Device::default()), parameters);
        made.iter().zip(&weights).map(|(value, weight)| f64::from(*value) * f64::from(*weight)).collect()
    };
    let rounding = 1e-6 * weighed(&parameters).iter().map(|value| value.abs()).sum::<f64>() / f64::from(step);
    assert!(!leaves.is_empty());
    for (at, leaf) in leaves.iter().enumerate() {
        let gradient: Vec<f32> = leaf.grad(&gradients).unwrap().into_data().try_into_vec().unwrap();
        let direction: Vec<f32> = noise(gradient.len() + at)[at..].iter().map(|value| value.signum()).collect();
        let moved = |step: f32| {
            let mut moved = parameters.clone();
            moved[at].iter_mut().zip(&direction).for_each(|(value, way)| *value += step * way);
            weighed(&moved).iter().sum::<f64>()
        };
        let measured = (moved(step) - moved(-step)) / (2.0 * f64::from(step));
        let pairs = gradient.iter().zip(&direction);
        let told: f64 = pairs.map(|(slope, way)| f64::from(*slope) * f64::from(*way)).sum();
        let length = gradient.iter().map(|slope| f64::from(*slope).powi(2)).sum::<f64>().sqrt();
        let name = &program.graph.initializer[program.learnt[at]].name;
        let gap = (measured - told).abs();
        assert!(gap <= tolerance * length + rounding, "{name}: {measured} measured, {told} told, length {length}");
    }
}

/// Without limits the output is linear in each weight, so that differences are slopes but for rounding.
#[test]
fn the_gradients_of_every_kind_of_convolution_are_those_of_finite_differences() {
    let mut graph = GraphBuilder::new("g");
    let mut x = graph.input_f32("pixels", &[None, Some(3), Some(9), Some(8)]);
    let pads = |pads: i64| Attribute::Ints("pads", vec![pads; 4]);
    let same = || Attribute::Text("auto_pad", "SAME_UPPER");
    // Outputs, inputs a group, kernel, stride, groups, padding.
    for (at, (outputs, inputs, kernel, stride, groups, padding)) in [
        (6, 3, 1, 1, 1, same()),
        (6, 1, 3, 2, 6, same()),
        (6, 1, 5, 1, 6, same()),
        (4, 6, 3, 1, 1, pads(1)),
        (5, 4, 1, 2, 1, pads(0)),
        (4, 5, 3, 2, 1, pads(1)),
    ]
    .into_iter()
    .enumerate()
    {
        let shape = [outputs, inputs, kernel, kernel];
        let weight = graph.weight(&format!("{at}.weight"), &shape, &noise(shape.iter().product()));
        let bias = graph.weight(&format!("{at}.bias"), &[outputs], &noise(outputs));
        let attributes = vec![
            padding,
            Attribute::Int("group", groups),
            Attribute::Ints("kernel_shape", vec![kernel as i64; 2]),
            Attribute::Ints("strides", vec![stride; 2]),
        ];
        x = graph.node("Conv", &at.to_string(), &[&x, &weight, &bias], attributes);
    }
    let onnx = graph.finish(&x, &[None]);
    assert_gradients(&onnx, &|device| pixels([2, 3, 9, 8], device), 0.1, 1e-3);
}

/// Values a quarter apart, none of which comes to a limit or past another within a step.
#[test]
fn the_gradients_of_limits_and_pools_are_those_of_finite_differences() {
    let places = [5, 12, 0, 9, 14, 3, 7, 10, 1, 15, 6, 11, 8, 2, 13, 4];
    let input = |device: &Device| {
        let values: Vec<f32> = places.iter().map(|place| *place as f32 / 4.0 - 2.0).collect();
        let tensor = Tensor::from_data(TensorData::new(values, [1, 1, 4, 4]), device);
        vec![("pixels", Floats::new(tensor, 4).into())]
    };
    for operator in ["Relu", "Clip", "MaxPool", "GlobalAveragePool"] {
        let mut graph = GraphBuilder::new("g");
        let x = graph.input_f32("pixels", &[None, Some(1), Some(4), Some(4)]);
        let (weight, bias) = (graph.weight("weight", &[1, 1, 1, 1], &[1.0]), graph.weight("bias", &[1], &[0.1]));
        let x = graph.node("Conv", "conv", &[&x, &weight, &bias], vec![]);
        let (low, high) = (graph.weight("low", &[], &[0.0]), graph.weight("high", &[], &[1.0]));
        let inputs = if operator == "Clip" { vec![&x, &low, &high] } else { vec![&x] };
        let pool = vec![
            Attribute::Ints("kernel_shape", vec![3; 2]),
            Attribute::Ints("pads", vec![1; 4]),
            Attribute::Ints("strides", vec![2; 2]),
        ];
        let x = graph.node(operator, "y", &inputs, if operator == "MaxPool" { pool } else { vec![] });
        assert_gradients(&graph.finish(&x, &[None]), &input, 0.01, 1e-3);
    }
}

/// A unit that begins or ends to count within a step makes a difference that is no slope. Of many small terms that nearly
/// cancel each other such a unit's is no small part.
#[test]
fn the_gradients_of_a_picture_network_are_near_those_of_finite_differences() {
    let side = |device: &Device| pixels([2, 3, 32, 32], device);
    for block in [Block::Basic, Block::Bottleneck] {
        assert_gradients(&tiny_resnet(block), &side, 3e-4, 0.25);
    }
    assert_gradients(&tiny_efficientnet(), &side, 3e-4, 0.25);
}

#[test]
fn the_gradients_of_a_text_network_are_those_of_finite_differences_however_it_is_pooled() {
    for pooling in [Pooling::Mean, Pooling::Cls, Pooling::Pooler] {
        assert_gradients(&tiny_bert(pooling), &|_| tokens(), 3e-3, 5e-3);
    }
}

#[test]
fn what_did_not_learn_is_written_back_byte_for_byte_and_what_did_changes_the_output() {
    for (onnx, block) in [
        (tiny_resnet(Block::Basic), "encoder.stages.1."),
        (tiny_bert(Pooling::Mean), "encoder.layer.1."),
        (tiny_efficientnet(), "_blocks.0."),
    ] {
        for block in [None, Some(block)] {
            let program = Program::read(&onnx, block).unwrap();
            let mut parameters = program.parameters();
            assert!(program.write(&parameters) == onnx);
            parameters[0][0] += 1.0;
            let other = program.write(&parameters);
            assert_eq!(Program::read(&other, block).unwrap().parameters(), parameters);
            assert!(other.len() == onnx.len() && other != onnx);
        }
    }
}

#[test]
fn a_graph_in_two_parts_gives_what_it_gives_whole_and_only_the_second_learns() {
    let picture = || pixels([2, 3, 32, 32], &Device::default());
    let resnet = tiny_resnet(Block::Bottleneck);
    for (onnx, block, inputs) in [
        (resnet.clone(), "encoder.stages.1.", picture()),
        (tiny_efficientnet(), "_blocks.1.", picture()),
        (tiny_bert(Pooling::Mean), "encoder.layer.1.", tokens()),
        (tiny_bert(Pooling::Pooler), "encoder.layer.1.", tokens()),
    ] {
        let whole = Program::read(&onnx, None).unwrap();
        let last = Program::read(&onnx, Some(block)).unwrap();
        let first = Program::read(&last.stem().unwrap(), None).unwrap();
        let (all, some, stem) = (whole.parameters(), last.parameters(), first.parameters());
        assert_eq!(all.len(), some.len() + stem.len());
        let device = Device::default();
        let cut = first.run(inputs.clone(), &first.tensors(&stem, &device), &device).unwrap();
        let mut rest = inputs.clone();
        rest.push((last.cut().unwrap(), cut.into()));
        assert_eq!(output(&whole, inputs, &all), output(&last, rest, &some));
    }
    let told = Program::read(&resnet, Some("encoder.stages.2.")).unwrap_err();
    assert_eq!(told, "it has no block encoder.stages.2.");
}

#[test]
fn what_cannot_be_learnt_is_told_by_its_name() {
    let mut graph = GraphBuilder::new("g");
    let x = graph.input_f32("pixels", &[None, Some(3)]);
    let y = graph.node("Hardmax", "hard", &[&x], vec![]);
    let told = Program::read(&graph.finish(&y, &[None]), None).unwrap_err();
    assert_eq!(told, "the operator Hardmax of hard is not one that can be learnt");
    assert!(Program::read(b"<html>", None).is_err());
    let bert = Program::read(&tiny_bert(Pooling::Cls), None).unwrap();
    let device = Device::default();
    let told = bert.run(tokens()[..1].to_vec(), &bert.tensors(&bert.parameters(), &device), &device).unwrap_err();
    assert!(told.ends_with("attention_mask is not known"), "{told}");
    let far = Value::Integers(Integers { shape: vec![1, 1], values: vec![30] });
    let mask = Value::Integers(Integers { shape: vec![1, 1], values: vec![1] });
    let inputs = vec![("input_ids", far), ("attention_mask", mask)];
    let told = bert.run(inputs, &bert.tensors(&bert.parameters(), &device), &device).unwrap_err();
    assert_eq!(told, "word: there is no place 30 among 30");
}
