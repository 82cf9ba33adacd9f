//! `application/json`: a post, or the posts of KServe's first protocol.
//!
//! Written by hand and not derived, so that what is not needed is passed over unread, an error names its field, and a list
//! ends where the limit does.

use std::fmt;

use bytes::Bytes;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de};

use super::fields::Fields;
use super::{LIST_LEN_MAX, base64};
use crate::error::ApiError;

/// Reads a post: `{"text": "...", "image": "<base64>"}`. An image is also `{"b64": "<base64>"}`, and `null` is nothing.
/// TorchServe's image handlers are sent `{"data": "<base64>"}` or `{"body": ...}`: that is the image, or else an object with
/// the fields.
pub(super) fn read_post(body: &[u8]) -> Result<Fields, ApiError> {
    read(body, Post { wrapped: false })
}

/// Reads `{"instances": [<post>, ...]}`, at most `instances_max` of them.
///
/// # Errors
/// When the body is no such JSON.
pub(crate) fn read_instances(body: &[u8], instances_max: usize) -> Result<Vec<Fields>, ApiError> {
    read(body, Instances { instances_max })
}

fn read<'a, T: DeserializeSeed<'a>>(body: &'a [u8], seed: T) -> Result<T::Value, ApiError> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let value = seed.deserialize(&mut deserializer);
    let whole = value.and_then(|value| deserializer.end().map(|()| value));
    whole.map_err(|error| ApiError::Json(error.to_string()))
}

#[derive(Clone, Copy)]
struct Post {
    /// Whether this is what `data` or `body` of another was.
    wrapped: bool,
}

impl<'de> DeserializeSeed<'de> for Post {
    type Value = Fields;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Fields, D::Error> {
        if self.wrapped { deserializer.deserialize_any(self) } else { deserializer.deserialize_map(self) }
    }
}

impl<'de> Visitor<'de> for Post {
    type Value = Fields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = if self.wrapped { "an image in base64 or an object" } else { "an object" };
        write!(f, "{what} with text and image")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
        let mut found = Fields::default();
        while let Some(key) = map.next_key::<String>()? {
            let set = match key.as_str() {
                "text" => map.next_value::<Option<Text>>()?.map_or(Ok(()), |text| found.set_text(text.0)),
                "image" => map.next_value::<Option<Image>>()?.map_or(Ok(()), |image| found.set_image(image.0)),
                // The one input of a model in TensorFlow Serving's form, which may be all there is.
                "b64" => found.set_image(map.next_value::<Base64>()?.0),
                "data" | "body" if !self.wrapped => found.merge(map.next_value_seed(Self { wrapped: true })?),
                _ => map.next_value::<IgnoredAny>().map(|_| Ok(()))?,
            };
            set.map_err(A::Error::custom)?;
        }
        Ok(found)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Fields, E> {
        if !self.wrapped {
            return Err(E::invalid_type(de::Unexpected::Str(text), &self));
        }
        Ok(Fields { text: None, image: Some(base64::image(text.as_bytes()).map_err(E::custom)?) })
    }
}

/// The text of a post.
struct Text(String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl Visitor<'_> for Read {
            type Value = Text;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text as a string")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Text, E> {
                Ok(Text(text.to_owned()))
            }
        }
        deserializer.deserialize_str(Read)
    }
}

/// The image of a post: base64, alone or as `{"b64": ...}`.
struct Image(Bytes);

impl<'de> Deserialize<'de> for Image {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Image;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("image as a string in base64 or as {\"b64\": ...}")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Image, E> {
                base64::image(text.as_bytes()).map(Image).map_err(E::custom)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Image, A::Error> {
                let mut image = None;
                while let Some(key) = map.next_key::<String>()? {
                    match key.as_str() {
                        "b64" => image = Some(map.next_value::<Base64>()?.0),
                        _ => drop(map.next_value::<IgnoredAny>()?),
                    }
                }
                image.map(Image).ok_or_else(|| A::Error::custom("image has no \"b64\""))
            }
        }
        deserializer.deserialize_any(Read)
    }
}

/// What stands at `b64`.
struct Base64(Bytes);

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl Visitor<'_> for Read {
            type Value = Base64;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("b64 as a string in base64")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Base64, E> {
                base64::image(text.as_bytes()).map(Base64).map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Read)
    }
}

/// The object around the posts, and then the list of them.
#[derive(Clone, Copy)]
struct Instances {
    instances_max: usize,
}

impl<'de> DeserializeSeed<'de> for Instances {
    type Value = Vec<Fields>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        struct Body(Instances);
        impl<'de> Visitor<'de> for Body {
            type Value = Vec<Fields>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with instances")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut instances = None;
                while let Some(key) = map.next_key::<String>()? {
                    match key.as_str() {
                        "instances" => instances = Some(map.next_value_seed(List(self.0))?),
                        _ => drop(map.next_value::<IgnoredAny>()?),
                    }
                }
                instances.ok_or_else(|| A::Error::missing_field("instances"))
            }
        }
        deserializer.deserialize_map(Body(self))
    }
}

struct List(Instances);

impl<'de> DeserializeSeed<'de> for List {
    type Value = Vec<Fields>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for List {
    type Value = Vec<Fields>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("instances as a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let instances_max = self.0.instances_max.min(LIST_LEN_MAX);
        let mut found = Vec::new();
        loop {
            let post = list.next_element_seed(Post { wrapped: false });
            match post.map_err(|error| A::Error::custom(format_args!("instances[{}]: {error}", found.len())))? {
                None => return Ok(found),
                Some(_) if found.len() == instances_max => {
                    return Err(A::Error::custom(ApiError::TooManyInstances { instances_max }));
                }
                Some(post) => found.push(post),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &[u8] = &[0xfb, 0xff, 0xbf, 0x01];

    fn fields(text: Option<&str>, image: Option<&[u8]>) -> Fields {
        Fields { text: text.map(str::to_owned), image: image.map(Bytes::copy_from_slice) }
    }

    #[test]
    fn a_post_is_read_in_the_forms_that_clients_send() {
        let both = || fields(Some("a fox"), Some(PLAIN));
        let cases = [
            (r#"{"text":"a fox","image":"+/+/AQ=="}"#, both()),
            (r#"{"image":{"b64":"-_-_AQ"},"text":"a fox","more":[{"deep":[1,2,{}]}]}"#, both()),
            (r#"{"text":"a fox","image":"data:image/jpeg;base64,+/+/AQ=="}"#, both()),
            (r#"{"text":"a \u0066ox","image":"+\/+\/AQ=="}"#, both()),
            (r#"{"data":{"text":"a fox","image":"+/+/AQ=="}}"#, both()),
            (r#"{"body":{"text":"a fox"},"image":"+/+/AQ=="}"#, both()),
            (r#"{"data":"+/+/AQ=="}"#, fields(None, Some(PLAIN))),
            (r#"{"data":{"b64":"+/+/AQ=="}}"#, fields(None, Some(PLAIN))),
            (r#"{"b64":"+/+/AQ=="}"#, fields(None, Some(PLAIN))),
            (r#"{"text":null,"image":null}"#, fields(None, None)),
            (" {}\n", fields(None, None)),
        ];
        for (body, expected) in cases {
            assert_eq!(read_post(body.as_bytes()).unwrap(), expected, "{body}");
        }
    }

    #[test]
    fn a_bad_post_is_refused_with_the_name_of_the_field() {
        let cases = [
            (r#"{"text":5}"#, "invalid type: integer `5`, expected text as a string at line 1 column 9"),
            (r#"{"image":5}"#, "expected image as a string in base64 or as {\"b64\": ...}"),
            (r#"{"image":"A*=="}"#, "image is not base64: "),
            (r#"{"image":{"b65":"AQ"}}"#, "image has no \"b64\""),
            (r#"{"image":{"b64":{"b64":"AQ"}}}"#, "expected b64 as a string in base64"),
            (r#"{"text":"a","text":"b"}"#, "field \"text\" is given twice"),
            (r#"{"image":"AQ","data":"AQ"}"#, "field \"image\" is given twice"),
            (r#"{"data":{"data":"AQ"},"body":5}"#, "expected an image in base64 or an object with text and image"),
            (r#""a fox""#, "expected an object with text and image"),
            ("[1]", "expected an object with text and image"),
            (r#"{"text":"a"} x"#, "trailing characters"),
            ("{\"text\":\"\u{0}\"}", "control character"),
            (r#"{"text":"\ud800"}"#, "at line 1 column"),
            ("", "EOF while parsing"),
        ];
        for (body, reason) in cases {
            let Err(ApiError::Json(message)) = read_post(body.as_bytes()) else { panic!("{body} was read") };
            assert!(message.contains(reason), "{message:?} lacks {reason:?}");
        }
    }

    #[test]
    fn what_is_passed_over_may_be_nested_as_deep_as_a_body_is_long() {
        let deep = |key: &str| format!(r#"{{"{key}":{}1{}}}"#, "[".repeat(1 << 20), "]".repeat(1 << 20));
        assert_eq!(read_post(deep("more").as_bytes()).unwrap(), fields(None, None));
        assert!(read_post(deep("text").as_bytes()).unwrap_err().to_string().contains("expected text as a string"));
    }

    #[test]
    fn instances_are_posts_and_have_a_limit() {
        let body = br#"{"signature_name":"x","instances":[{"text":"a"},{"data":"+/+/AQ=="}]}"#;
        let expected = [fields(Some("a"), None), fields(None, Some(PLAIN))];
        assert_eq!(read_instances(body, 2).unwrap(), expected);
        assert_eq!(read_instances(br#"{"instances":[]}"#, 2).unwrap(), []);
        let refused = |body: &str, max| read_instances(body.as_bytes(), max).unwrap_err().to_string();
        assert!(refused(r#"{"instances":[{},{},{}]}"#, 2).contains("more than 2 instances"));
        let many = format!(r#"{{"instances":[{{}}{}]}}"#, ",{}".repeat(2_000));
        assert!(refused(&many, usize::MAX).contains("more than 1024 instances"));
        assert!(refused(r#"{"instances":[{},1]}"#, 2).contains("instances[1]: invalid type: integer `1`"));
        assert!(refused(r#"{"instances":[{"image":"?"}]}"#, 2).contains("instances[0]: image is not base64: "));
        assert!(refused(r#"{"inputs":[]}"#, 2).contains("missing field `instances`"));
        assert!(refused(r#"{"instances":{}}"#, 2).contains("expected instances as a list"));
    }
}
