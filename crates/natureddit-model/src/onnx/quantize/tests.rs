use std::collections::{BTreeMap, BTreeSet};

use super::super::graph::{Attribute, GraphBuilder};
use super::super::proto::{GraphProto, TensorProto};
use super::ranges::Range;
use super::*;

fn ranges(seen: &[(&str, f32, f32)]) -> ActivationRanges {
    let mut ranges = ActivationRanges::default();
    seen.iter().for_each(|&(value, min, max)| ranges.widen(value, Range { min, max }));
    ranges
}

/// Each node as `operator inputs -> output`; no two have one name, which ONNX Runtime refuses.
fn nodes(graph: &GraphProto) -> Vec<String> {
    let names: BTreeSet<&str> = graph.node.iter().map(|node| node.name.as_str()).collect();
    assert_eq!(names.len(), graph.node.len(), "{names:?}");
    let line = |node: &super::super::proto::NodeProto| {
        format!("{} {} -> {}", node.op_type, node.input.join(" "), node.output.join(" "))
    };
    graph.node.iter().map(line).collect()
}

fn constants(graph: &GraphProto) -> BTreeMap<&str, &TensorProto> {
    graph.initializer.iter().map(|tensor| (tensor.name.as_str(), tensor)).collect()
}

fn floats(tensor: &TensorProto) -> Vec<f32> {
    tensor.raw_data.chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect()
}

/// A convolution over one place with ReLU6.
fn small() -> Vec<u8> {
    let mut graph = GraphBuilder::new("small");
    let x = graph.input_f32("x", &[None, Some(2), Some(4), Some(4)]);
    let weight = graph.weight("w", &[2, 2, 1, 1], &[1.0, -0.25, 0.25, 0.25]);
    let bias = graph.weight("b", &[2], &[0.5, -1.0]);
    let conv = graph.node("Conv", "conv", &[&x, &weight, &bias], vec![]);
    let (low, high) = (graph.weight("low", &[], &[0.0]), graph.weight("high", &[], &[6.0]));
    let clip = graph.node("Clip", "clip", &[&conv, &low, &high], vec![]);
    let flat = graph.node("Flatten", "flat", &[&clip], vec![Attribute::Int("axis", 1)]);
    graph.finish(&flat, &[None, Some(32)])
}

#[test]
fn a_small_graph_is_quantised_as_by_hand() {
    let int8 = quantize(&small(), &ranges(&[("x", -1.0, 1.55), ("clip", 0.0, 5.1)])).unwrap();
    let graph = read(&int8).unwrap();
    let expected = [
        "QuantizeLinear x x.scale x.zero -> x.quantised",
        "DequantizeLinear x.quantised x.scale x.zero -> x.dequantised",
        "DequantizeLinear conv.weight.quantised conv.weight.scale conv.weight.zero -> conv.weight.dequantised",
        "DequantizeLinear conv.bias.quantised conv.bias.scale conv.bias.zero -> conv.bias.dequantised",
        "Conv x.dequantised conv.weight.dequantised conv.bias.dequantised -> clip.float",
        "QuantizeLinear clip.float clip.scale clip.zero -> clip.quantised",
        "DequantizeLinear clip.quantised clip.scale clip.zero -> clip",
        "Flatten clip -> flat",
    ];
    assert_eq!(nodes(&graph), expected);
    assert_eq!(graph.output[0].name, "flat");

    let found = constants(&graph);
    assert_eq!(found.len(), 10, "what nothing reads any more is gone: {:?}", found.keys());
    // 2.55 / 255 and 5.1 / 255.
    assert_eq!((floats(found["x.scale"]), &found["x.zero"].raw_data), (vec![0.01], &vec![100]));
    assert_eq!((floats(found["clip.scale"]), &found["clip.zero"].raw_data), (vec![0.02], &vec![0]));
    // The first output's largest weight is 127 steps; the second's two weights together are 127.5.
    assert_eq!(floats(found["conv.weight.scale"]), [1.0 / 127.0, 0.5 / 127.5]);
    let weights: Vec<i8> = found["conv.weight.quantised"].raw_data.iter().map(|&byte| byte as i8).collect();
    assert_eq!(weights, [127, -32, 64, 64]);
    assert_eq!(
        (found["conv.weight.quantised"].data_type, &found["conv.weight.quantised"].dims),
        (3, &vec![2, 2, 1, 1])
    );
    assert_eq!(found["conv.weight.zero"].raw_data, [0, 0]);
    // 0.5 / (0.01 / 127) and -1 / (0.01 * 0.5 / 127.5).
    let biases = [6350_i32, -25500].map(i32::to_le_bytes).concat();
    assert_eq!((found["conv.bias.quantised"].data_type, &found["conv.bias.quantised"].raw_data), (6, &biases));
    let axes: Vec<(&str, i64)> = graph
        .node
        .iter()
        .filter(|node| node.op_type == "DequantizeLinear")
        .flat_map(|node| node.attribute.iter().map(|attribute| (attribute.name.as_str(), attribute.i)))
        .collect();
    assert_eq!(axes, [("axis", 0), ("axis", 0)]);
}

#[test]
fn a_range_beyond_the_bound_of_a_clip_is_cut_to_it() {
    let wide = quantize(&small(), &ranges(&[("x", -1.0, 1.55), ("clip", -3.0, 9.0)])).unwrap();
    let exact = quantize(&small(), &ranges(&[("x", -1.0, 1.55), ("clip", 0.0, 6.0)])).unwrap();
    assert!(wide == exact);
}

#[test]
fn ranges_that_are_missing_or_none_are_named() {
    let problem = |seen: &[(&str, f32, f32)]| quantize(&small(), &ranges(seen)).unwrap_err();
    assert_eq!(problem(&[("clip", 0.0, 5.1)]), QuantizeProblem::Range("x".to_owned()));
    assert_eq!(problem(&[("x", 0.0, f32::INFINITY), ("clip", 0.0, 5.1)]), QuantizeProblem::Range("x".to_owned()));
    assert_eq!(problem(&[("x", 0.0, 1.0), ("clip", 5.0, 4.0)]), QuantizeProblem::Range("clip".to_owned()));
}

#[test]
fn what_has_no_weights_or_wrong_ones_is_refused() {
    let mut graph = GraphBuilder::new("none");
    let x = graph.input_f32("x", &[None, Some(1)]);
    let y = graph.node("Neg", "y", &[&x], vec![]);
    let none = quantize(&graph.finish(&y, &[None, Some(1)]), &ranges(&[])).unwrap_err();
    assert_eq!(none, QuantizeProblem::Graph("it multiplies nothing by weights".to_owned()));

    let wrong = |weights: &[f32], bias: &[f32]| {
        let mut graph = GraphBuilder::new("wrong");
        let x = graph.input_f32("x", &[None, Some(1), Some(1), Some(1)]);
        let weight = graph.weight("w", &[2, 1, 1, 1], weights);
        let bias = graph.weight("b", &[bias.len()], bias);
        let y = graph.node("Conv", "y", &[&x, &weight, &bias], vec![]);
        let onnx = graph.finish(&y, &[None, Some(2), Some(1), Some(1)]);
        match quantize(&onnx, &ranges(&[("x", 0.0, 1.0), ("y", 0.0, 1.0)])).unwrap_err() {
            QuantizeProblem::Graph(reason) => reason,
            other @ QuantizeProblem::Range(_) => panic!("{other:?}"),
        }
    };
    assert_eq!(wrong(&[1.0, 2.0, 3.0], &[0.0; 2]), "w has not as many values as its shape says");
    assert_eq!(wrong(&[1.0, f32::NAN], &[0.0; 2]), "w has values that are not finite");
    assert_eq!(wrong(&[1.0, 2.0], &[0.0; 3]), "the weights and the bias of y do not fit");
}

/// conv - relu - pool - conv, plus the pooled, with ReLU, pooled over the picture.
fn residual() -> Vec<u8> {
    let mut graph = GraphBuilder::new("residual");
    let x = graph.input_f32("x", &[None, Some(1), Some(8), Some(8)]);
    let weight = graph.weight("w", &[1, 1, 1, 1], &[1.0]);
    let stem = graph.node("Conv", "stem", &[&x, &weight], vec![]);
    let relu = graph.node("Relu", "relu", &[&stem], vec![]);
    let pool = graph.node("MaxPool", "pool", &[&relu], vec![Attribute::Ints("kernel_shape", vec![2, 2])]);
    let conv = graph.node("Conv", "conv", &[&pool, &weight], vec![]);
    let sum = graph.node("Add", "sum", &[&conv, &pool], vec![]);
    let sum = graph.node("Relu", "sum.relu", &[&sum], vec![]);
    let mean = graph.node("GlobalAveragePool", "mean", &[&sum], vec![]);
    graph.finish(&mean, &[None, Some(1), Some(1), Some(1)])
}

#[test]
fn a_residual_block_stays_in_eight_bits_until_the_last_pooling() {
    let seen = ranges(&[("x", 0.0, 1.0), ("relu", 0.0, 1.0), ("conv", -1.0, 1.0), ("sum.relu", 0.0, 2.0)]);
    let graph = read(&quantize(&residual(), &seen).unwrap()).unwrap();
    let quantised: Vec<String> = nodes(&graph).into_iter().filter(|line| !line.starts_with("Deq")).collect();
    let expected = [
        "QuantizeLinear x x.scale x.zero -> x.quantised",
        "Conv x.dequantised stem.weight.dequantised -> relu.float",
        "QuantizeLinear relu.float relu.scale relu.zero -> relu.quantised",
        "MaxPool relu -> pool.float",
        "QuantizeLinear pool.float relu.scale relu.zero -> pool.quantised",
        "Conv pool conv.weight.dequantised -> conv.float",
        "QuantizeLinear conv.float conv.scale conv.zero -> conv.quantised",
        "Add conv pool -> sum.relu.float",
        "QuantizeLinear sum.relu.float sum.relu.scale sum.relu.zero -> sum.relu.quantised",
        "GlobalAveragePool sum.relu -> mean",
    ];
    assert_eq!(quantised, expected);
}

#[test]
fn the_observer_tells_of_every_activation_that_is_needed_and_of_no_other() {
    let observer = Observer::new(&residual()).unwrap();
    let graph = read(&observer.onnx).unwrap();
    let outputs: Vec<&str> = graph.output.iter().map(|output| output.name.as_str()).collect();
    let pairs =
        ["x", "relu", "conv", "sum.relu"].map(|value| ["ReduceMin", "ReduceMax"].map(|op| format!("{value}.{op}")));
    assert_eq!(outputs, pairs.concat());

    let mut seen = ActivationRanges::default();
    let told = |values: &[f32]| values.iter().map(|&value| vec![value]).collect::<Vec<_>>();
    observer.widen(&mut seen, &told(&[0.0, 1.0, 0.5, 0.6, -1.0, 1.0, 0.0, 2.0])).unwrap();
    observer.widen(&mut seen, &told(&[0.1, 0.9, 0.0, 1.0, -0.5, 0.5, 0.0, 1.0])).unwrap();
    assert_eq!(seen, ranges(&[("x", 0.0, 1.0), ("relu", 0.0, 1.0), ("conv", -1.0, 1.0), ("sum.relu", 0.0, 2.0)]));
    quantize(&residual(), &seen).unwrap();
    let wrong = observer.widen(&mut seen, &told(&[0.0, 1.0, 0.0, f32::INFINITY, 0.0, 0.0, 0.0, 0.0]));
    assert_eq!(wrong, Err("relu".to_owned()));
    assert_eq!(observer.widen(&mut seen, &told(&[0.0, 1.0])), Err("relu".to_owned()));
}

#[test]
fn a_bound_stays_where_others_read_what_it_bounds_or_zero_is_out_of_it() {
    let bounded = |low: f32, read_twice: bool| {
        let mut graph = GraphBuilder::new("bounded");
        let x = graph.input_f32("x", &[None, Some(1), Some(1), Some(1)]);
        let weight = graph.weight("w", &[1, 1, 1, 1], &[1.0]);
        let conv = graph.node("Conv", "conv", &[&x, &weight], vec![]);
        let low = graph.weight("low", &[], &[low]);
        let clip = graph.node("Clip", "clip", &[&conv, &low], vec![]);
        let other = if read_twice { &conv } else { &x };
        let y = graph.node("Mul", "y", &[&clip, other], vec![]);
        let onnx = graph.finish(&y, &[None, Some(1), Some(1), Some(1)]);
        let seen = ranges(&[("x", -1.0, 1.0), ("conv", -1.0, 1.0), ("clip", 0.0, 1.0)]);
        nodes(&read(&quantize(&onnx, &seen).unwrap()).unwrap()).into_iter().any(|line| line.starts_with("Clip"))
    };
    assert!(!bounded(0.0, false));
    assert!(bounded(0.0, true));
    assert!(bounded(0.5, false));
}

#[test]
fn a_multiplication_by_weights_takes_eight_bits_and_others_stay() {
    let mut graph = GraphBuilder::new("linear");
    let x = graph.input_f32("x", &[None, None, Some(2)]);
    let weight = graph.weight("w", &[2, 2], &[1.0, 20.0, -0.5, 10.0]);
    let bias = graph.weight("b", &[2], &[1.0, 2.0]);
    let one = graph.node("MatMul", "one", &[&x, &weight], vec![]);
    let two = graph.node("MatMul", "two", &[&x, &weight], vec![]);
    let one = graph.node("Add", "one.sum", &[&one, &bias], vec![]);
    let turned = graph.node("Transpose", "turned", &[&two], vec![Attribute::Ints("perm", vec![0, 2, 1])]);
    let scores = graph.node("MatMul", "scores", &[&one, &turned], vec![]);
    let onnx = graph.finish(&scores, &[None, None, None]);
    let int8 = read(&quantize(&onnx, &ranges(&[("x", -1.0, 1.55)])).unwrap()).unwrap();
    let expected = [
        "QuantizeLinear x x.scale x.zero -> x.quantised",
        "DequantizeLinear x.quantised x.scale x.zero -> x.dequantised",
        "DequantizeLinear one.weight.quantised one.weight.scale one.weight.zero -> one.weight.dequantised",
        "MatMul x.dequantised one.weight.dequantised -> one",
        "DequantizeLinear two.weight.quantised two.weight.scale two.weight.zero -> two.weight.dequantised",
        "MatMul x.dequantised two.weight.dequantised -> two",
        "Add one b -> one.sum",
        "Transpose two -> turned",
        "MatMul one.sum turned -> scores",
    ];
    assert_eq!(nodes(&int8), expected);
    let found = constants(&int8);
    assert_eq!(floats(found["one.weight.scale"]), [1.0 / 127.0, 30.0 / 127.5]);
    assert_eq!(found["one.weight.quantised"].raw_data, [127, 85, -64_i8 as u8, 42]);
    assert_eq!(int8.node[2].attribute[0].i, 1);
    assert!(found.contains_key("b") && !found.contains_key("w"));
}
