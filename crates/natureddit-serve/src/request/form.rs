//! `application/x-www-form-urlencoded`: what `curl -d` sends.

use std::borrow::Cow;

use bytes::Bytes;
use percent_encoding::percent_decode;

use super::fields::{self, Fields};
use super::{PARTS_MAX, base64};
use crate::error::ApiError;

/// Reads `text` and `image` (or `data`, as TorchServe's image handlers call it); others are skipped. The image is base64, or
/// the bytes of the file as `curl --data-urlencode image@photo.jpg` sends them, which TorchServe's handlers see as such.
pub(super) fn read(body: &[u8]) -> Result<Fields, ApiError> {
    let mut found = Fields::default();
    for (count, pair) in body.split(|&byte| byte == b'&').enumerate() {
        if count == PARTS_MAX {
            return Err(ApiError::TooManyParts { parts_max: PARTS_MAX });
        }
        let equals = pair.iter().position(|&byte| byte == b'=').unwrap_or(pair.len());
        let value = || decoded(pair.get(equals + 1..).unwrap_or_default());
        match &*decoded(&pair[..equals]) {
            b"text" => found.set_text(fields::text(&value())?)?,
            b"image" | b"data" => found.set_image(image(&value())?)?,
            _ => {}
        }
    }
    Ok(found)
}

/// As the URL standard says: `+` is a space, `%` and two hexadecimal digits a byte.
fn decoded(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.iter().any(|byte| b"+%".contains(byte)) {
        return Cow::Borrowed(text);
    }
    let spaced: Vec<u8> = text.iter().map(|&byte| if byte == b'+' { b' ' } else { byte }).collect();
    Cow::Owned(percent_decode(&spaced).collect())
}

/// No file of an image is ASCII, and all base64 is.
fn image(value: &[u8]) -> Result<Bytes, ApiError> {
    if value.is_ascii() { base64::image(value) } else { Ok(Bytes::copy_from_slice(value)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(text: Option<&str>, image: Option<&[u8]>) -> Fields {
        Fields { text: text.map(str::to_owned), image: image.map(Bytes::copy_from_slice) }
    }

    #[test]
    fn a_form_has_a_text_and_an_image_as_base64_or_as_its_bytes() {
        let plain: &[u8] = &[0xfb, 0xff, 0xbf, 0x01];
        let cases = [
            ("text=a%20red+f%C3%B6x&z=1", fields(Some("a red föx"), None)),
            ("text=&image=%2B%2F%2B%2FAQ%3D%3D", fields(Some(""), Some(plain))),
            // Base64 that was not encoded for a form.
            ("image=+/+/AQ==", fields(None, Some(plain))),
            ("data=-_-_AQ", fields(None, Some(plain))),
            ("image=%FB%FF%BF%01&text=x", fields(Some("x"), Some(plain))),
            ("title=x&&=&text", fields(Some(""), None)),
            ("100%", fields(None, None)),
        ];
        for (form, expected) in cases {
            assert_eq!(read(form.as_bytes()).unwrap(), expected, "{form}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let refused = |form: &str| read(form.as_bytes()).unwrap_err().to_string();
        assert_eq!(refused("text=a&text=b"), "field \"text\" is given twice");
        assert_eq!(refused("image=AQ&data=AQ"), "field \"image\" is given twice");
        assert!(refused("image=A*").starts_with("image is not base64: "));
        assert!(refused("text=%FF").starts_with("text is not UTF-8: "));
        assert_eq!(refused(&"a&".repeat(16)), "the body has more than 16 parts");
    }
}
