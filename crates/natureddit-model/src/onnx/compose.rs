//! One graph of both encoders and the head:
//! `pixels`, `input_ids`, `attention_mask` -> `probabilities` [batch, classes], `class` [batch].
//!
//! A post without a photo has pixels that are not numbers (NaN), which no photo has; one without a title has an
//! attention mask of zeros. Either part is then what the head takes for a missing one: zeros and its flag.

use super::graph::{Attribute, GraphBuilder, Name, Output};
use crate::head::{Dense, Head, Standard};

/// ONNX's number of the type `bool`.
const BOOL: i64 = 9;
/// ONNX's number of the type `float`.
const FLOAT: i64 = 1;

/// Why two encoders and a head do not make one graph.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ComposeProblem {
    /// The image encoder cannot be taken in.
    Image(String),
    /// The text encoder cannot be taken in.
    Text(String),
    /// The file would have so many bytes, more than protobuf's 2 GB.
    TooLarge(u64),
}

/// Composes the graph from the encoders' files. What the file says of itself is `doc` and `properties`.
pub(crate) fn compose(
    image: &[u8],
    text: &[u8],
    head: &Head,
    doc: &str,
    properties: &[(&str, String)],
) -> Result<Vec<u8>, ComposeProblem> {
    let mut graph = GraphBuilder::new("natureddit");
    let photo = graph.absorb("image.", image).map_err(ComposeProblem::Image)?;
    let title = graph.absorb("text.", text).map_err(ComposeProblem::Text)?;
    let lacks = |name: &str| format!("it has no input {name}");
    let pixels = graph.input("pixels").ok_or_else(|| ComposeProblem::Image(lacks("pixels")))?;
    let mask = graph.input("attention_mask").ok_or_else(|| ComposeProblem::Text(lacks("attention_mask")))?;

    let no_photo = no_photo(&mut graph, &pixels);
    let no_title = no_title(&mut graph, &mask);
    let photo = standardised(&mut graph, "head.image", &photo, &no_photo, &head.image);
    let title = standardised(&mut graph, "head.text", &title, &no_title, &head.text);
    let parts = [&photo, &title, &no_photo, &no_title];
    let row = graph.node("Concat", "head.row", &parts, vec![Attribute::Int("axis", 1)]);
    let classes = head.output.bias.len();
    let scores = scores(&mut graph, row, head);
    let probabilities = graph.node("Softmax", "probabilities", &[&scores], vec![Attribute::Int("axis", 1)]);
    let first_best = vec![Attribute::Int("axis", 1), Attribute::Int("keepdims", 0)];
    let class = graph.node("ArgMax", "class", &[&probabilities], first_best);
    let outputs = [Output::F32(&probabilities, &[None, i64::try_from(classes).ok()]), Output::I64(&class, &[None])];
    graph.finish_described(&outputs, doc, properties).map_err(ComposeProblem::TooLarge)
}

/// [batch, classes]: what the softmax is taken of.
fn scores(graph: &mut GraphBuilder, row: Name, head: &Head) -> Name {
    let row = match &head.hidden {
        None => row,
        Some(hidden) => {
            let units = dense(graph, ["head.hidden", "head.hidden.weight", "head.hidden.bias"], &row, hidden);
            graph.node("Relu", "head.units", &[&units], vec![])
        }
    };
    let scores = dense(graph, ["head.scores", "head.weight", "head.bias"], &row, &head.output);
    if head.temperature == 1.0 {
        return scores;
    }
    let temperature = graph.weight("head.temperature", &[], &[head.temperature]);
    graph.node("Div", "head.scaled", &[&scores, &temperature], vec![])
}

/// A layer named by the first name, its weight and bias by the others.
fn dense(graph: &mut GraphBuilder, [name, weight, bias]: [&str; 3], row: &Name, layer: &Dense) -> Name {
    let weight = graph.weight(weight, &[layer.bias.len(), layer.inputs()], &layer.weight);
    let bias = graph.weight(bias, &[layer.bias.len()], &layer.bias);
    graph.node("Gemm", name, &[row, &weight, &bias], vec![Attribute::Int("transB", 1)])
}

/// [batch, 1]: 1 where a pixel is not a number, else 0.
fn no_photo(graph: &mut GraphBuilder, pixels: &Name) -> Name {
    let missing = graph.node("IsNaN", "head.pixels.missing", &[pixels], vec![]);
    let missing = graph.node("Cast", "head.pixels.flags", &[&missing], vec![Attribute::Int("to", FLOAT)]);
    let inner = graph.integers("head.pixels.axes", &[1, 2, 3]);
    let flat = vec![Attribute::Int("keepdims", 0)];
    let missing = graph.node("ReduceMax", "head.pixels.flag", &[&missing, &inner], flat);
    let last = graph.integers("head.flag.axis", &[1]);
    graph.node("Unsqueeze", "head.no_photo", &[&missing, &last], vec![])
}

/// [batch, 1]: 1 where the mask has no token, else 0.
fn no_title(graph: &mut GraphBuilder, mask: &Name) -> Name {
    let mask = graph.node("Cast", "head.mask", &[mask], vec![Attribute::Int("to", FLOAT)]);
    let tokens = graph.integers("head.mask.axis", &[1]);
    let present = graph.node("ReduceMax", "head.mask.present", &[&mask, &tokens], vec![Attribute::Int("keepdims", 1)]);
    let one = graph.weight("head.one", &[], &[1.0]);
    graph.node("Sub", "head.no_title", &[&one, &present], vec![])
}

/// Features less their mean over their deviation; zeros where they are missing, whatever the encoder made of nothing.
fn standardised(graph: &mut GraphBuilder, name: &str, features: &Name, missing: &Name, standard: &Standard) -> Name {
    let part = |part: &str| format!("{name}.{part}");
    let width = [standard.mean.len()];
    let mean = graph.weight(&part("mean"), &width, &standard.mean);
    let deviation = graph.weight(&part("deviation"), &width, &standard.deviation);
    let zero = graph.weight(&part("zero"), &[], &[0.0]);
    let centred = graph.node("Sub", &part("centred"), &[features, &mean], vec![]);
    let scaled = graph.node("Div", &part("scaled"), &[&centred, &deviation], vec![]);
    let missing = graph.node("Cast", &part("missing"), &[missing], vec![Attribute::Int("to", BOOL)]);
    graph.node("Where", &part("standardised"), &[&missing, &zero, &scaled], vec![])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head() -> Head {
        let standard = || Standard { mean: vec![0.0], deviation: vec![1.0] };
        let output = Dense { weight: vec![0.0; 8], bias: vec![0.0; 2] };
        Head { image: standard(), text: standard(), hidden: None, output, temperature: 1.0 }
    }

    fn encoder(input: &str) -> Vec<u8> {
        let mut graph = GraphBuilder::new("encoder");
        let value = graph.input_f32(input, &[None, Some(1)]);
        let output = graph.node("Neg", "features", &[&value], vec![]);
        graph.finish(&output, &[None, Some(1)])
    }

    #[test]
    fn what_is_not_understood_is_refused_and_not_lost() {
        let mut newer = encoder("pixels");
        // Field 5, the version of the model, which our encoders do not have.
        newer.extend([5 << 3, 1]);
        let problem = |image: &[u8], text: &[u8]| compose(image, text, &head(), "", &[]).unwrap_err();
        let reason = "it has parts that this program does not write".to_owned();
        assert_eq!(problem(&newer, &encoder("attention_mask")), ComposeProblem::Image(reason));
        let reason = "it has no input attention_mask".to_owned();
        assert_eq!(problem(&encoder("pixels"), &encoder("ids")), ComposeProblem::Text(reason));
        assert!(matches!(problem(b"no graph", &encoder("ids")), ComposeProblem::Image(_)));
    }
}
