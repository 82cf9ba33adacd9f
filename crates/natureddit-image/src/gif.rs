//! Whether a GIF moves, without decoding it.

/// Whether the file holds more than one frame (GIF89a specification, appendix A). A file that ends or breaks before
/// a second frame has one at most; its decoder says what is wrong with it.
pub(crate) fn is_animated(bytes: &[u8]) -> bool {
    count_frames(bytes, 2) > 1
}

/// How many image blocks there are, counted up to `frames_max`.
fn count_frames(bytes: &[u8], frames_max: usize) -> usize {
    const HEADER: usize = 6;
    const SCREEN_DESCRIPTOR: usize = 7;
    const IMAGE_DESCRIPTOR: usize = 9;
    let Some(&flags) = bytes.get(HEADER + 4) else { return 0 };
    let mut at = HEADER + SCREEN_DESCRIPTOR + color_table(flags);
    let mut frames = 0;
    while frames < frames_max {
        let after = match bytes.get(at) {
            // An extension: its label, then its blocks.
            Some(0x21) => after_blocks(bytes, at + 2),
            // An image: its descriptor, its colour table, the LZW code size, then its blocks.
            Some(0x2C) => {
                frames += 1;
                let flags = bytes.get(at + IMAGE_DESCRIPTOR).copied().unwrap_or(0);
                after_blocks(bytes, at + 1 + IMAGE_DESCRIPTOR + color_table(flags) + 1)
            }
            _ => None,
        };
        let Some(next) = after else { break };
        at = next;
    }
    frames
}

/// The size of the colour table that a packed field announces.
fn color_table(flags: u8) -> usize {
    if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) }
}

/// The offset behind a chain of blocks, each preceded by its length, the last one empty.
fn after_blocks(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let length = usize::from(*bytes.get(at)?);
        at += 1 + length;
        if length == 0 {
            return Some(at);
        }
    }
}
