//! Images as text: base64 in the forms that clients write it.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;

use crate::error::ApiError;

/// Padding is often left away, and some encoders leave bits behind the end.
const ENGINE: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// The bytes of an image: base64 (RFC 4648) of either alphabet, with or without padding and line breaks, alone or in a
/// `data:` URL. A space counts as `+`: that is what a form makes of one that was not encoded.
///
/// # Errors
/// When it is none of these.
pub(super) fn image(text: &[u8]) -> Result<Bytes, ApiError> {
    let text = match text.strip_prefix(b"data:") {
        Some(url) => data_of(url)?,
        None => text,
    };
    // Most of it is as the standard says; only the rest is copied.
    let decoded = ENGINE.decode(text).or_else(|_| ENGINE.decode(standardised(text)));
    decoded.map(Bytes::from).map_err(|error| ApiError::NotBase64(error.to_string()))
}

/// What stands behind `data:<media type>;base64,` (RFC 2397).
fn data_of(url: &[u8]) -> Result<&[u8], ApiError> {
    let comma = url.iter().position(|&byte| byte == b',');
    let parts = comma.map(|comma| (&url[..comma], &url[comma + 1..]));
    match parts {
        Some((head, data)) if head.to_ascii_lowercase().ends_with(b";base64") => Ok(data),
        _ => Err(ApiError::NotBase64("a data URL must begin with data:<media type>;base64,".to_owned())),
    }
}

fn standardised(text: &[u8]) -> Vec<u8> {
    let digit = |&byte: &u8| match byte {
        b'\r' | b'\n' | b'\t' => None,
        b'-' | b' ' => Some(b'+'),
        b'_' => Some(b'/'),
        other => Some(other),
    };
    text.iter().filter_map(digit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_read_in_the_forms_that_clients_write() {
        let plain = [0xfb, 0xff, 0xbf, 0x01];
        let forms = [
            "+/+/AQ==",
            "+/+/AQ",
            "-_-_AQ==",
            "+/\r\n+/\nAQ==\n",
            " / /AQ==",
            "data:image/png;base64,+/+/AQ==",
            "data:;BASE64,-_-_AQ",
            "+/+/AR",
        ];
        for form in forms {
            assert_eq!(image(form.as_bytes()).unwrap()[..], plain, "{form}");
        }
        assert_eq!(image(b"").unwrap(), Bytes::new());
    }

    #[test]
    fn what_is_no_base64_is_refused_with_the_reason() {
        for text in ["AQ*=", "A", "\u{e4}A", "data:image/png,AQ==", "data:image/png;base64"] {
            let Err(ApiError::NotBase64(reason)) = image(text.as_bytes()) else { panic!("{text} was read") };
            assert!(!reason.is_empty());
        }
    }
}
