//! Planes into a baseline JPEG of 4:2:0: the bytes that `jpeg-encoder` makes of the same planes, in less time.

mod band;
mod bits;
mod fdct;
mod huffman;
mod quantise;
mod seen;
#[cfg(test)]
mod tests;

use band::Band;
use bits::Bits;
use huffman::{CHROMA, CHROMA_AC, CHROMA_DC, Codes, LUMA, LUMA_AC, LUMA_DC, Table, ZIGZAG};
use quantise::Quantiser;

use crate::planes::Plane;

const SOF0: u8 = 0xC0;
const DHT: u8 = 0xC4;
const SOI: u8 = 0xD8;
const EOI: u8 = 0xD9;
const SOS: u8 = 0xDA;
const DQT: u8 = 0xDB;
const APP0: u8 = 0xE0;

/// Version 1.02, square pixels, no thumbnail.
const JFIF: [u8; 14] = *b"JFIF\0\x01\x02\0\0\x01\0\x01\0\0";

/// A file of `quality` 1 to 100 from luminance and, unless it is grey, two differences of colour of half as many
/// samples each way, rounded up. The luminance has 1 to 65535 samples each way.
/// Beside it the luminance that decoders see in it.
pub(crate) fn to_jpeg(luma: &Plane, chroma: Option<&[Plane; 2]>, quality: u8) -> (Vec<u8>, Plane) {
    let quantisers = [Quantiser::luma(quality), Quantiser::chroma(quality)];
    // Most photos take less, so that nothing is copied while it grows.
    let mut bytes = Vec::with_capacity(luma.samples.len() / 2 + 1024);
    write_headers(&mut bytes, luma, &quantisers);
    let mut bits = Bits::behind(bytes);
    let units = (luma.width.div_ceil(16), luma.height().div_ceil(16));
    let mut brightness = Channel::new(luma, units.0 * 2, 2, &LUMA, &quantisers[0]);
    let mut colours =
        chroma.map(|planes| planes.each_ref().map(|plane| Channel::new(plane, units.0, 1, &CHROMA, &quantisers[1])));
    let (mut seen, mut seen_band) = (Plane::new(luma.width, luma.height()), Band::new(units.0 * 2, 2));
    let mut samples = [0; 64];
    for y in 0..units.1 {
        brightness.band.fill(luma, y * 16);
        colours.iter_mut().flatten().for_each(|colour| colour.band.fill(colour.plane, y * 8));
        for x in 0..units.0 {
            for (right, below) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
                let block = brightness.write_block(&mut bits, x * 2 + right, below);
                seen::samples(&block, &quantisers[0].factors, &mut samples);
                seen_band.set_block(x * 2 + right, below, &samples);
            }
            match &mut colours {
                Some(colours) => colours.iter_mut().for_each(|colour| {
                    colour.write_block(&mut bits, x, 0);
                }),
                // Of no colour all is zero.
                None => (0..2).for_each(|_| CHROMA.write(&[0; 64], 0, &mut bits)),
            }
        }
        seen_band.pour(&mut seen, y * 16);
    }
    let mut bytes = bits.into_bytes();
    bytes.extend_from_slice(&[0xFF, EOI]);
    (bytes, seen)
}

/// One kind of values while it is encoded.
struct Channel<'a> {
    plane: &'a Plane,
    /// What of it is being encoded.
    band: Band,
    codes: &'a Codes,
    quantiser: &'a Quantiser,
    /// The mean value of the block before.
    mean: i16,
}

impl<'a> Channel<'a> {
    /// So many blocks across, and so many of a unit below one another.
    fn new(plane: &'a Plane, across: usize, down: usize, codes: &'a Codes, quantiser: &'a Quantiser) -> Self {
        Self { plane, band: Band::new(across, down), codes, quantiser, mean: 0 }
    }

    /// Writes block `x` of row `y` of the band, and tells the whole numbers that are stored.
    #[inline(always)]
    fn write_block(&mut self, bits: &mut Bits, x: usize, y: usize) -> [i16; 64] {
        let rows = self.band.block(x, y);
        let mut block = [0; 64];
        fdct::forward(&rows, &mut block);
        self.quantiser.quantise(&mut block);
        self.codes.write(&block, self.mean, bits);
        self.mean = block[0];
        block
    }
}

fn write_headers(bytes: &mut Vec<u8>, luma: &Plane, quantisers: &[Quantiser; 2]) {
    bytes.extend_from_slice(&[0xFF, SOI]);
    write_segment(bytes, APP0, &[&JFIF]);
    let [height, width] = [luma.height(), luma.width].map(|side| (side as u16).to_be_bytes());
    // Number, sampling and factors of each.
    let components = [0, 0x22, 0, 1, 0x11, 1, 2, 0x11, 1];
    write_segment(bytes, SOF0, &[&[8], &height, &width, &[3], &components]);
    for (place, quantiser) in (0..).zip(quantisers) {
        write_segment(bytes, DQT, &[&[place], &ZIGZAG.map(|at| quantiser.factors[usize::from(at)])]);
    }
    let tables: [(u8, &Table); 4] = [(0, &LUMA_DC), (0x10, &LUMA_AC), (1, &CHROMA_DC), (0x11, &CHROMA_AC)];
    for (place, table) in tables {
        write_segment(bytes, DHT, &[&[place], &table.counts, table.symbols]);
    }
    // Number and codes of each, then: all coefficients, with all their bits.
    write_segment(bytes, SOS, &[&[3, 0, 0, 1, 0x11, 2, 0x11], &[0, 63, 0]]);
}

fn write_segment(bytes: &mut Vec<u8>, code: u8, parts: &[&[u8]]) {
    let length = 2 + parts.iter().map(|part| part.len()).sum::<usize>();
    bytes.extend_from_slice(&[0xFF, code]);
    bytes.extend_from_slice(&(length as u16).to_be_bytes());
    parts.iter().for_each(|part| bytes.extend_from_slice(part));
}
