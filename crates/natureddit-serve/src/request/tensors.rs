//! The request of KServe's second protocol, the Open Inference Protocol: tensors `text` and `image`.

use std::fmt;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::fields::Fields;
use super::{LIST_LEN_MAX, base64};
use crate::error::ApiError;

/// What can be asked for, and what is answered where nothing is.
const OUTPUTS: [&str; 2] = ["label", "probabilities"];

/// A request for inference.
#[derive(Debug, Deserialize)]
pub(crate) struct InferRequest {
    /// What the client calls the request.
    pub(crate) id: Option<String>,
    inputs: Limited<Tensor>,
    outputs: Option<Limited<Output>>,
}

#[derive(Debug, Deserialize)]
struct Tensor {
    name: String,
    shape: Limited<u64>,
    datatype: String,
    data: Elements,
}

#[derive(Debug, Deserialize)]
struct Output {
    name: String,
}

impl InferRequest {
    /// Reads a body.
    ///
    /// # Errors
    /// When it is no such JSON.
    pub(crate) fn read(body: &[u8]) -> Result<Self, ApiError> {
        serde_json::from_slice(body).map_err(|error| ApiError::Json(error.to_string()))
    }

    /// The outputs that are asked for, in that order.
    ///
    /// # Errors
    /// When one of them is not among [`OUTPUTS`].
    pub(crate) fn outputs(&self) -> Result<Vec<&'static str>, ApiError> {
        let Some(asked) = self.outputs.as_ref().filter(|outputs| !outputs.0.is_empty()) else {
            return Ok(OUTPUTS.to_vec());
        };
        let known = |output: &Output| {
            let found = OUTPUTS.into_iter().find(|name| *name == output.name);
            found.ok_or_else(|| ApiError::Output(output.name.clone()))
        };
        asked.0.iter().map(known).collect()
    }

    /// The posts, of which there are as many as each tensor has elements; `null` is nothing.
    ///
    /// # Errors
    /// When a tensor is another than is read here or says another shape than it has, or there are too many posts.
    pub(crate) fn into_posts(self, instances_max: usize) -> Result<Vec<Fields>, ApiError> {
        let mut posts: Option<Vec<Fields>> = None;
        for tensor in self.inputs.0 {
            let Tensor { name, data, .. } = tensor.checked()?;
            let count = data.0.len();
            if count > instances_max {
                return Err(ApiError::TooManyInstances { instances_max });
            }
            let posts = posts.get_or_insert_with(|| (0..count).map(|_| Fields::default()).collect());
            let named = |reason: String| ApiError::Tensor { name: name.clone(), reason };
            if posts.len() != count {
                return Err(named(format!("it has {count} elements, and the one before it has {}", posts.len())));
            }
            for (post, element) in posts.iter_mut().zip(data.0) {
                let Some(text) = element else { continue };
                let set = match name.as_str() {
                    "text" => post.set_text(text),
                    _ => base64::image(text.as_bytes()).and_then(|image| post.set_image(image)),
                };
                set.map_err(|error| named(error.to_string()))?;
            }
        }
        Ok(posts.unwrap_or_default())
    }
}

impl Tensor {
    /// The same, if it is what it should be.
    fn checked(self) -> Result<Self, ApiError> {
        let count = self.data.0.len();
        let stated = self.shape.0.iter().try_fold(1_u64, |product, side| product.checked_mul(*side));
        let reason = if !matches!(self.name.as_str(), "text" | "image") {
            "it is neither text nor image".to_owned()
        } else if self.datatype != "BYTES" {
            format!("its datatype is {:?} and must be \"BYTES\"", self.datatype)
        } else if !matches!(self.shape.0[..], [_] | [_, 1]) {
            "its shape must be [n] or [n, 1]".to_owned()
        } else if stated != Some(count as u64) {
            format!("its shape is {:?}, and it has {count} elements", self.shape.0)
        } else {
            return Ok(self);
        };
        Err(ApiError::Tensor { name: self.name, reason })
    }
}

/// A list of at most [`LIST_LEN_MAX`].
#[derive(Debug)]
struct Limited<T>(Vec<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Limited<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Read<T> {
            type Value = Limited<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a list of at most {LIST_LEN_MAX}")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Limited<T>, A::Error> {
                let mut found = Vec::new();
                while let Some(element) = list.next_element()? {
                    push(&mut found, element)?;
                }
                Ok(Limited(found))
            }
        }
        deserializer.deserialize_seq(Read(std::marker::PhantomData))
    }
}

fn push<T, E: Error>(list: &mut Vec<T>, element: T) -> Result<(), E> {
    if list.len() == LIST_LEN_MAX {
        return Err(E::custom(format_args!("a list has more than {LIST_LEN_MAX} elements")));
    }
    list.push(element);
    Ok(())
}

/// The elements of a tensor, in one list or in a list of lists, as the protocol allows; in row-major order.
#[derive(Debug)]
struct Elements(Vec<Option<String>>);

impl<'de> Deserialize<'de> for Elements {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Elements;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("data as a list of strings")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Elements, A::Error> {
                let mut found = Vec::new();
                while let Some(Row(row)) = list.next_element()? {
                    row.into_iter().try_for_each(|element| push(&mut found, element))?;
                }
                Ok(Elements(found))
            }
        }
        deserializer.deserialize_seq(Read)
    }
}

/// A string, `null`, or a list of them.
struct Row(Vec<Option<String>>);

impl<'de> Deserialize<'de> for Row {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Row;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an element of data as a string")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Row, E> {
                Ok(Row(vec![Some(text.to_owned())]))
            }

            fn visit_unit<E: Error>(self) -> Result<Row, E> {
                Ok(Row(vec![None]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Row, A::Error> {
                let mut found = Vec::new();
                while let Some(element) = list.next_element::<Option<String>>()? {
                    push(&mut found, element)?;
                }
                Ok(Row(found))
            }
        }
        deserializer.deserialize_any(Read)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::{Value, json};

    use super::*;

    fn posts(request: &Value) -> Result<Vec<Fields>, ApiError> {
        InferRequest::read(request.to_string().as_bytes())?.into_posts(2)
    }

    fn tensor(name: &str, shape: Value, data: Value) -> Value {
        json!({"name": name, "shape": shape, "datatype": "BYTES", "data": data, "parameters": {"content_type": "str"}})
    }

    #[test]
    fn tensors_of_texts_and_of_images_are_posts() {
        let fields = |text: Option<&str>, image: Option<&'static [u8]>| Fields {
            text: text.map(str::to_owned),
            image: image.map(Bytes::from_static),
        };
        let both = json!({"inputs": [
            tensor("image", json!([2, 1]), json!([["AQ=="], [null]])),
            tensor("text", json!([2]), json!(["a fox", "a meadow"])),
        ]});
        assert_eq!(posts(&both).unwrap(), [fields(Some("a fox"), Some(&[1])), fields(Some("a meadow"), None)]);
        let text = json!({"id": "7", "parameters": {}, "inputs": [tensor("text", json!([1]), json!(["a fox"]))]});
        assert_eq!(posts(&text).unwrap(), [fields(Some("a fox"), None)]);
        assert_eq!(posts(&json!({"inputs": []})).unwrap(), []);
    }

    #[test]
    fn what_is_wrong_with_a_tensor_is_said_with_its_name() {
        let one = |tensor: Value| json!({"inputs": [tensor]});
        let numbers = json!({"name": "text", "shape": [1], "datatype": "FP32", "data": ["1"]});
        let cases = [
            (one(tensor("pixels", json!([1]), json!([""]))), "input \"pixels\": it is neither text nor image"),
            (one(numbers), "input \"text\": its datatype is \"FP32\" and must be \"BYTES\""),
            (one(tensor("text", json!([1, 2]), json!(["a", "b"]))), "its shape must be [n] or [n, 1]"),
            (one(tensor("text", json!([2]), json!(["a"]))), "its shape is [2], and it has 1 elements"),
            (one(tensor("text", json!([u64::MAX, 1]), json!(["a"]))), "and it has 1 elements"),
            (one(tensor("image", json!([1]), json!(["?"]))), "input \"image\": image is not base64: "),
            (one(tensor("text", json!([3]), json!(["a", "b", "c"]))), "more than 2 instances"),
            (one(tensor("text", json!([1]), json!([1]))), "expected an element of data as a string"),
            (one(tensor("text", json!([1]), json!([[["a"]]]))), "invalid type: sequence"),
            (one(tensor("text", json!([1025]), json!(vec!["a"; 1_025]))), "a list has more than 1024 elements"),
            (json!({}), "missing field `inputs`"),
            (json!([]), "the body is not the JSON that is read here: "),
        ];
        for (request, reason) in cases {
            let message = posts(&request).unwrap_err().to_string();
            assert!(message.contains(reason), "{message:?} lacks {reason:?}");
        }
        let text = tensor("text", json!([1]), json!(["a"]));
        let twice = json!({"inputs": [text, text]});
        assert!(posts(&twice).unwrap_err().to_string().contains("field \"text\" is given twice"));
        let uneven = json!({"inputs": [text, tensor("image", json!([2]), json!(["AQ", "AQ"]))]});
        let message = posts(&uneven).unwrap_err().to_string();
        assert_eq!(message, "input \"image\": it has 2 elements, and the one before it has 1");
    }

    #[test]
    fn the_outputs_are_those_that_were_asked_for() {
        let outputs = |asked: Value| {
            let request = InferRequest::read(json!({"inputs": [], "outputs": asked}).to_string().as_bytes()).unwrap();
            request.outputs().map_err(|error| error.to_string())
        };
        assert_eq!(outputs(json!([])).unwrap(), OUTPUTS);
        assert_eq!(outputs(json!(null)).unwrap(), OUTPUTS);
        assert_eq!(outputs(json!([{"name": "probabilities"}])).unwrap(), ["probabilities"]);
        assert!(outputs(json!([{"name": "logits"}])).unwrap_err().contains("\"logits\""));
    }
}
