//! What a file is, by its first bytes: neither its name nor its `Content-Type` can be trusted.

use std::fmt;

use crate::ImageError;

/// A format that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// JPEG (ITU-T T.81), baseline and progressive.
    Jpeg,
    /// PNG.
    Png,
    /// WebP, lossy and lossless.
    WebP,
    /// GIF with one frame.
    Gif,
    /// Windows bitmap.
    Bmp,
}

impl Format {
    /// The usual ending of a file name, without the dot.
    #[must_use]
    pub fn extension(self) -> &'static str {
        match self {
            Self::Jpeg => "jpg",
            Self::Png => "png",
            Self::WebP => "webp",
            Self::Gif => "gif",
            Self::Bmp => "bmp",
        }
    }

    /// The media type: `image/jpeg`.
    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::WebP => "image/webp",
            Self::Gif => "image/gif",
            Self::Bmp => "image/bmp",
        }
    }

    /// The format of a file by its first bytes.
    ///
    /// # Errors
    /// [`ImageError::Empty`], [`ImageError::Html`], [`ImageError::Unsupported`] or [`ImageError::NotAnImage`].
    pub fn sniff(bytes: &[u8]) -> Result<Self, ImageError> {
        match bytes {
            [] => Err(ImageError::Empty),
            [0xFF, 0xD8, 0xFF, ..] => Ok(Self::Jpeg),
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1A, b'\n', ..] => Ok(Self::Png),
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Ok(Self::WebP),
            [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Ok(Self::Gif),
            _ if is_bmp(bytes) => Ok(Self::Bmp),
            _ => Err(refuse(bytes)),
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Jpeg => "JPEG",
            Self::Png => "PNG",
            Self::WebP => "WebP",
            Self::Gif => "GIF",
            Self::Bmp => "BMP",
        })
    }
}

/// `BM` alone begins many a text: the size of the second header must be one of those in use, too.
fn is_bmp(bytes: &[u8]) -> bool {
    let header_size = bytes.get(14..18).map(|size| u32::from_le_bytes([size[0], size[1], size[2], size[3]]));
    bytes.starts_with(b"BM") && matches!(header_size, Some(12 | 40 | 52 | 56 | 64 | 108 | 124))
}

fn refuse(bytes: &[u8]) -> ImageError {
    if let Some(what) = unsupported(bytes) {
        return ImageError::Unsupported { what };
    }
    let start = bytes.iter().take(8).map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ");
    markup(bytes).unwrap_or(ImageError::NotAnImage { start })
}

/// Formats worth naming, by their signatures.
fn unsupported(bytes: &[u8]) -> Option<&'static str> {
    Some(match bytes {
        [_, _, _, _, b'f', b't', b'y', b'p', brand @ ..] => match brand.get(..4) {
            Some(b"avif" | b"avis") => "an AVIF image",
            Some(b"heic" | b"heix" | b"hevc" | b"heim" | b"heis" | b"mif1" | b"msf1") => "a HEIC image",
            _ => "an MP4 or QuickTime video",
        },
        [b'I', b'I', 42 | 43, 0, ..] | [b'M', b'M', 0, 42 | 43, ..] => "a TIFF image",
        [0xFF, 0x0A, ..] | [0, 0, 0, 12, b'J', b'X', b'L', b' ', ..] => "a JPEG XL image",
        [0, 0, 0, 12, b'j', b'P', b' ', b' ', ..] | [0xFF, 0x4F, 0xFF, 0x51, ..] => "a JPEG 2000 image",
        [b'8', b'B', b'P', b'S', ..] => "a Photoshop image",
        [0, 0, 1, 0, ..] => "an icon",
        [0x1A, 0x45, 0xDF, 0xA3, ..] => "a WebM or Matroska video",
        [b'R', b'I', b'F', b'F', _, _, _, _, b'A', b'V', b'I', b' ', ..] => "an AVI video",
        [0, 0, 1, 0xB3 | 0xBA, ..] => "an MPEG video",
        [b'%', b'P', b'D', b'F', ..] => "a PDF",
        _ => return None,
    })
}

/// Text that opens with a tag: an SVG, or some page.
fn markup(bytes: &[u8]) -> Option<ImageError> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes).trim_ascii_start();
    let [b'<', b'!' | b'?' | b'a'..=b'z' | b'A'..=b'Z', ..] = bytes else { return None };
    let head = bytes[..bytes.len().min(1024)].to_ascii_lowercase();
    let is_svg = head.windows(4).any(|tag| tag == b"<svg") && !head.windows(5).any(|tag| tag == b"<html");
    Some(if is_svg { ImageError::Unsupported { what: "an SVG drawing" } } else { ImageError::Html })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(bytes: &[u8]) -> &'static str {
        Format::sniff(bytes).map_or_else(|e| e.code(), Format::extension)
    }

    #[test]
    fn the_first_bytes_decide() {
        assert_eq!(code(b"\xFF\xD8\xFF\xE0"), "jpg");
        assert_eq!(code(b"\x89PNG\r\n\x1A\n"), "png");
        assert_eq!(code(b"RIFF\x10\0\0\0WEBPVP8 "), "webp");
        assert_eq!(code(b"GIF89a"), "gif");
        assert_eq!(code(b"BM\0\0\0\0\0\0\0\0\0\0\0\0\x28\0\0\0"), "bmp");
    }

    #[test]
    fn what_is_no_image_gets_its_reason() {
        assert_eq!(code(b""), "empty");
        assert_eq!(code(b"\n  <!DOCTYPE html><title>removed</title>"), "html");
        assert_eq!(code(b"\xEF\xBB\xBF<html><svg></svg></html>"), "html");
        assert_eq!(code(b"{\"error\": 404}"), "not_an_image");
        assert_eq!(code(b"BMW makes cars, and this is a text about them"), "not_an_image");
        assert_eq!(code(b"<3"), "not_an_image");
    }

    #[test]
    fn known_foreign_formats_are_named() {
        let name = |bytes: &[u8]| Format::sniff(bytes).unwrap_err().to_string();
        assert!(name(b"\0\0\0\x1Cftypavif").starts_with("an AVIF image"));
        assert!(name(b"\0\0\0\x18ftypheic").starts_with("a HEIC image"));
        assert!(name(b"\0\0\0\x18ftypmp42").starts_with("an MP4"));
        assert!(name(b"\0\0\0\x18ftyp").starts_with("an MP4"));
        assert!(name(b"II*\0").starts_with("a TIFF"));
        assert!(name(b"<?xml version='1.0'?><svg>").starts_with("an SVG"));
    }
}
