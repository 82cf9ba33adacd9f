//! The two fields of a post.

use bytes::Bytes;

use crate::error::ApiError;

/// A text and an image, each at most once.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Fields {
    /// The title.
    pub(crate) text: Option<String>,
    /// The bytes of an image file.
    pub(crate) image: Option<Bytes>,
}

impl Fields {
    pub(super) fn set_text(&mut self, text: String) -> Result<(), ApiError> {
        set_once(&mut self.text, "text", text)
    }

    pub(super) fn set_image(&mut self, image: Bytes) -> Result<(), ApiError> {
        set_once(&mut self.image, "image", image)
    }

    /// Takes over what others have.
    pub(super) fn merge(&mut self, others: Self) -> Result<(), ApiError> {
        others.text.map_or(Ok(()), |text| self.set_text(text))?;
        others.image.map_or(Ok(()), |image| self.set_image(image))
    }
}

fn set_once<T>(slot: &mut Option<T>, name: &'static str, value: T) -> Result<(), ApiError> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(ApiError::FieldTwice(name)),
    }
}

/// The text that these bytes are.
pub(super) fn text(bytes: &[u8]) -> Result<String, ApiError> {
    let text = std::str::from_utf8(bytes).map_err(ApiError::TextNotUtf8)?;
    Ok(text.to_owned())
}
