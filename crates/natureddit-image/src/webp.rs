//! What the headers of a WebP must say before its decoder is trusted with it.

use crate::{Format, ImageError};

const RIFF_HEADER: usize = 12;
const CHUNK_HEADER: usize = 8;

/// Refuses what the decoder would not notice, or too late: a file with less than its headers announce (the picture is
/// read alone, and the EXIF block that follows it would be missed and with it the orientation), and a canvas whose frame
/// has another size, which is decoded as a whole before the two are compared.
pub(crate) fn check(bytes: &[u8]) -> Result<(), ImageError> {
    let truncated = || ImageError::Truncated { format: Format::WebP };
    let announced = u32_at(bytes, 4).ok_or_else(truncated)? as usize;
    if bytes.len() - CHUNK_HEADER < announced {
        return Err(truncated());
    }
    let (mut canvas, mut at) = (None, RIFF_HEADER);
    while at < CHUNK_HEADER + announced {
        let (Some(name), Some(size)) = (bytes.get(at..at + 4), u32_at(bytes, at + 4)) else { break };
        let content = bytes.get(at + CHUNK_HEADER..).unwrap_or_default();
        let Some(content) = content.get(..size as usize) else { return Err(truncated()) };
        match name {
            b"VP8X" => canvas = content.get(4..10).map(|size| (1 + u24(&size[..3]), 1 + u24(&size[3..]))),
            // A frame begins with a tag of three bytes and a start code of three.
            b"VP8 " => {
                let frame = content.get(6..10).map(|size| (side(&size[..2]), side(&size[2..])));
                if canvas.is_some() && canvas != frame {
                    let reason = "the canvas and its frame differ in size".to_owned();
                    return Err(ImageError::Corrupt { format: Format::WebP, reason });
                }
            }
            _ => {}
        }
        at += CHUNK_HEADER + (size as usize).next_multiple_of(2);
    }
    Ok(())
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
}

fn u24(bytes: &[u8]) -> u32 {
    u32::from_le_bytes([bytes[0], bytes[1], bytes[2], 0])
}

/// Fourteen bits; the two above them are a scale that nobody applies.
fn side(bytes: &[u8]) -> u32 {
    u32::from(u16::from_le_bytes([bytes[0], bytes[1]]) & 0x3FFF)
}
