//! The nodes of a graph, with their constants read.

use super::super::proto::NodeProto;

/// A node.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) operator: Operator,
    pub(super) inputs: Vec<String>,
    pub(super) output: String,
}

/// What a node does, as <https://onnx.ai/onnx/operators/> defines it: those that the graphs of this program have, in the form
/// they have there.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Operator {
    Conv { windows: Windows, groups: usize },
    MaxPool { kernel: [usize; 2], windows: Windows },
    GlobalAveragePool,
    Flatten,
    Relu,
    Clip,
    Gelu,
    Tanh,
    Add,
    Sub,
    Mul,
    Div,
    Max,
    MatMul,
    Softmax,
    LayerNormalization { epsilon: f64 },
    Reshape,
    Transpose(Vec<i64>),
    Unsqueeze,
    CastToFloat,
    Gather { axis: i64 },
    Shape,
    Slice,
    ReduceSum { keeps: bool },
    ReduceL2 { keeps: bool },
}

/// How a kernel moves over a picture.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Windows {
    pub(super) strides: [usize; 2],
    /// Begin and end of height and width; `None` for as much as gives sizes divided by the strides, the odd one at the end.
    pub(super) pads: Option<[(usize, usize); 2]>,
}

impl Step {
    /// # Errors
    /// Names an operator that is not among them, or not in that form.
    pub(super) fn read(node: &NodeProto) -> Result<Self, String> {
        let operator = operator(node)
            .ok_or_else(|| format!("the operator {} of {} is not one that can be learnt", node.op_type, node.name))?;
        let [output] = node.output.as_slice() else { return Err(format!("{} has not one output", node.name)) };
        Ok(Self { operator, inputs: node.input.clone(), output: output.clone() })
    }
}

fn operator(node: &NodeProto) -> Option<Operator> {
    let integer = |name: &str, default| find(node, name).map_or(default, |attribute| attribute.i);
    let keeps = integer("keepdims", 1) == 1;
    let of_last_axis = integer("axis", -1) == -1;
    Some(match node.op_type.as_str() {
        "Conv" => Operator::Conv { windows: windows(node)?, groups: usize::try_from(integer("group", 1)).ok()? },
        "MaxPool" => Operator::MaxPool { kernel: pair(node, "kernel_shape")?, windows: windows(node)? },
        "GlobalAveragePool" => Operator::GlobalAveragePool,
        "Flatten" if integer("axis", 1) == 1 => Operator::Flatten,
        "Relu" => Operator::Relu,
        "Clip" => Operator::Clip,
        "Gelu" if find(node, "approximate").is_none() => Operator::Gelu,
        "Tanh" => Operator::Tanh,
        "Add" => Operator::Add,
        "Sub" => Operator::Sub,
        "Mul" => Operator::Mul,
        "Div" => Operator::Div,
        "Max" => Operator::Max,
        "MatMul" => Operator::MatMul,
        "Softmax" if of_last_axis => Operator::Softmax,
        "LayerNormalization" if of_last_axis => {
            Operator::LayerNormalization { epsilon: f64::from(find(node, "epsilon").map_or(1e-5, |epsilon| epsilon.f)) }
        }
        "Reshape" => Operator::Reshape,
        "Transpose" => Operator::Transpose(find(node, "perm")?.ints.clone()),
        "Unsqueeze" => Operator::Unsqueeze,
        "Cast" if integer("to", 0) == 1 => Operator::CastToFloat,
        "Gather" => Operator::Gather { axis: integer("axis", 0) },
        "Shape" => Operator::Shape,
        "Slice" => Operator::Slice,
        "ReduceSum" => Operator::ReduceSum { keeps },
        "ReduceL2" => Operator::ReduceL2 { keeps },
        _ => return None,
    })
}

fn find<'n>(node: &'n NodeProto, name: &str) -> Option<&'n super::super::proto::AttributeProto> {
    node.attribute.iter().find(|attribute| attribute.name == name)
}

fn windows(node: &NodeProto) -> Option<Windows> {
    let strides = if find(node, "strides").is_some() { pair(node, "strides")? } else { [1, 1] };
    let pads = match (find(node, "auto_pad"), find(node, "pads")) {
        (Some(padding), None) if padding.s == b"SAME_UPPER" => None,
        (None, None) => Some([(0, 0); 2]),
        (None, Some(pads)) => {
            let pads: [i64; 4] = pads.ints.as_slice().try_into().ok()?;
            let [top, left, bottom, right] = pads.map(|pad| usize::try_from(pad).unwrap_or(0));
            Some([(top, bottom), (left, right)])
        }
        _ => return None,
    };
    Some(Windows { strides, pads })
}

fn pair(node: &NodeProto, name: &str) -> Option<[usize; 2]> {
    let [height, width] = find(node, name)?.ints.as_slice() else { return None };
    Some([usize::try_from(*height).ok()?, usize::try_from(*width).ok()?])
}

impl Windows {
    /// Begin and end of height and width, for pictures and kernels of these sizes.
    pub(super) fn pads(&self, sizes: [usize; 2], kernel: [usize; 2]) -> [(usize, usize); 2] {
        self.pads.unwrap_or_else(|| {
            [0, 1].map(|axis| {
                let stride = self.strides[axis];
                let reach = (sizes[axis].div_ceil(stride) - 1) * stride + kernel[axis];
                let total = reach.saturating_sub(sizes[axis]);
                (total / 2, total - total / 2)
            })
        })
    }
}
