//! The headers of a file (ITU-T T.81, annex B).

use super::huffman::{Codes, Kind};

const SOF0: u8 = 0xC0;
const SOF1: u8 = 0xC1;
const DHT: u8 = 0xC4;
const SOI: u8 = 0xD8;
const SOS: u8 = 0xDA;
const DQT: u8 = 0xDB;
const DRI: u8 = 0xDD;
const APP0: u8 = 0xE0;
const APP14: u8 = 0xEE;
const APP15: u8 = 0xEF;
const COM: u8 = 0xFE;

/// The factors of 64 coefficients, in zigzag order.
pub(super) type Factors = [u8; 64];

/// All that is needed to decode the one scan of a file.
pub(super) struct Headers {
    pub(super) width: usize,
    pub(super) height: usize,
    /// Luminance alone, or with two differences of colour.
    pub(super) components: Vec<Component>,
    /// After so many units a marker comes; never where it is zero.
    pub(super) restart_interval: usize,
    pub(super) factors: [Option<Factors>; 4],
    pub(super) dc_codes: [Option<Codes>; 4],
    pub(super) ac_codes: [Option<Codes>; 4],
    /// Of the first byte behind the headers.
    pub(super) scan: usize,
}

/// How one kind of values is stored.
#[derive(Clone, Copy)]
pub(super) struct Component {
    id: u8,
    /// Blocks beside one another in a unit, 1 or 2.
    pub(super) across: usize,
    /// Blocks below one another in a unit, 1 or 2.
    pub(super) down: usize,
    /// Places of its tables.
    pub(super) factors: usize,
    pub(super) dc_codes: usize,
    pub(super) ac_codes: usize,
}

impl Headers {
    /// `None` for whatever is not the common case, or looks odd.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let mut headers = Self {
            width: 0,
            height: 0,
            components: Vec::new(),
            restart_interval: 0,
            factors: [None; 4],
            dc_codes: [const { None }; 4],
            ac_codes: [const { None }; 4],
            scan: 0,
        };
        let mut rest = bytes.strip_prefix(&[0xFF, SOI])?;
        loop {
            let (&[0xFF, code], behind) = rest.split_first_chunk()? else { return None };
            let length = usize::from(u16::from_be_bytes(*behind.first_chunk()?));
            let segment = behind.get(2..length)?;
            rest = &behind[length..];
            match code {
                SOF0 | SOF1 if headers.components.is_empty() => headers.read_frame(segment)?,
                DHT => headers.read_codes(segment)?,
                DQT => headers.read_factors(segment)?,
                DRI => headers.restart_interval = usize::from(u16::from_be_bytes(*segment.as_array()?)),
                APP14 if !means_brightness_and_colours(segment) => return None,
                APP0..=APP15 | COM => {}
                SOS => {
                    headers.read_scan(segment)?;
                    headers.scan = bytes.len() - rest.len();
                    return Some(headers);
                }
                _ => return None,
            }
        }
    }

    fn read_frame(&mut self, segment: &[u8]) -> Option<()> {
        let (&[8, h1, h0, w1, w0, count], components) = segment.split_first_chunk()? else { return None };
        (self.width, self.height) =
            (usize::from(u16::from_be_bytes([w1, w0])), usize::from(u16::from_be_bytes([h1, h0])));
        let (components, []) = components.as_chunks::<3>() else { return None };
        self.components = components
            .iter()
            .map(|&[id, sampling, factors]| {
                let (across, down, factors) =
                    (usize::from(sampling >> 4), usize::from(sampling & 15), usize::from(factors));
                Component { id, across, down, factors, dc_codes: 0, ac_codes: 0 }
            })
            .collect();
        let is_known = match *self.components {
            [grey] => (grey.across, grey.down) == (1, 1),
            [luma, cb, cr] => {
                let are_small = [cb, cr].iter().all(|chroma| (chroma.across, chroma.down) == (1, 1));
                let is_rgb = [luma.id, cb.id, cr.id] == *b"RGB" || [luma.id, cb.id, cr.id] == *b"rgb";
                let differ = luma.id != cb.id && luma.id != cr.id && cb.id != cr.id;
                are_small && !is_rgb && differ && [1, 2].contains(&luma.across) && [1, 2].contains(&luma.down)
            }
            _ => false,
        };
        (is_known && usize::from(count) == self.components.len() && self.width > 0 && self.height > 0).then_some(())
    }

    fn read_factors(&mut self, mut segment: &[u8]) -> Option<()> {
        while let Some((&[place, ref factors @ ..], rest)) = segment.split_first_chunk::<65>() {
            // A place over 3 tells of factors of 16 bits, too, which no 8-bit file has.
            *self.factors.get_mut(usize::from(place))? = Some(*factors);
            if factors.contains(&0) {
                return None;
            }
            segment = rest;
        }
        segment.is_empty().then_some(())
    }

    fn read_codes(&mut self, mut segment: &[u8]) -> Option<()> {
        while let Some((&[place, ref counts @ ..], rest)) = segment.split_first_chunk::<17>() {
            let count = counts.iter().map(|&count| usize::from(count)).sum();
            let symbols = rest.get(..count)?;
            let (tables, kind) = match place >> 4 {
                0 => (&mut self.dc_codes, Kind::Dc),
                1 => (&mut self.ac_codes, Kind::Ac),
                _ => return None,
            };
            *tables.get_mut(usize::from(place & 15))? = Some(Codes::new(kind, counts, symbols)?);
            segment = &rest[count..];
        }
        segment.is_empty().then_some(())
    }

    fn read_scan(&mut self, segment: &[u8]) -> Option<()> {
        let (&count, rest) = segment.split_first()?;
        // All coefficients, with all their bits.
        let (&[ref tables @ .., 0, 63, 0], true) = (rest, usize::from(count) == self.components.len()) else {
            return None;
        };
        let (tables, []) = tables.as_chunks::<2>() else { return None };
        if tables.len() != self.components.len() || tables.is_empty() {
            return None;
        }
        for (component, &[id, places]) in self.components.iter_mut().zip(tables) {
            (component.dc_codes, component.ac_codes) = (usize::from(places >> 4), usize::from(places & 15));
            if id != component.id {
                return None;
            }
        }
        Some(())
    }
}

/// What Adobe's segment says, where it is one of theirs.
fn means_brightness_and_colours(segment: &[u8]) -> bool {
    const YCC: u8 = 1;
    !segment.starts_with(b"Adobe") || segment.get(11) == Some(&YCC)
}
