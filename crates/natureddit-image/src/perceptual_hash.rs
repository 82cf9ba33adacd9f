//! What a photo looks like, in 64 bits.

use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use image::{GrayImage, Luma};
use image_hasher::{HashAlg, Hasher, HasherConfig};
use serde::{Deserialize, Serialize};

use crate::Photo;

/// A perceptual hash; printed and parsed as 16 lower-case hexadecimal digits.
///
/// It is the pHash of the literature: which of the 64 lowest frequencies (discrete cosine transform) of the small
/// grey photo are over their median.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PerceptualHash(u64);

/// A text that is not 16 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a perceptual hash of 16 hexadecimal digits: {0:?}")]
pub struct ParsePerceptualHashError(String);

impl PerceptualHash {
    /// The sides of the small photo that is hashed.
    pub(crate) const SIDE: u32 = 32;

    pub(crate) fn of(photo: &Photo) -> Self {
        static HASHER: LazyLock<Hasher<[u8; 8]>> = LazyLock::new(|| {
            HasherConfig::with_bytes_type().hash_size(8, 8).hash_alg(HashAlg::Median).preproc_dct().to_hasher()
        });
        // Shrunk here, for the hasher's own way is slow on a large photo.
        let small = photo.resize(Self::SIDE, Self::SIDE).into_image();
        let grey = GrayImage::from_fn(Self::SIDE, Self::SIDE, |x, y| Luma([luma(small.get_pixel(x, y).0)]));
        let hash = HASHER.hash_image(&grey);
        Self(hash.as_bytes().iter().fold(0, |value, &byte| (value << 8) | u64::from(byte)))
    }

    /// The 64 bits, for indexes that look for near ones.
    #[must_use]
    pub fn bits(self) -> u64 {
        self.0
    }

    /// In how many of the 64 bits two hashes differ. Of 897 real photos, copies that were shrunk, encoded again or made
    /// brighter differ in at most 4 bits and those that lost 2 % at each edge in at most 10; two different photos differ
    /// in 12 at least and in 32 typically.
    #[must_use]
    pub fn distance(self, other: Self) -> u32 {
        (self.0 ^ other.0).count_ones()
    }
}

/// The brightness that a JPEG stores (ITU-T T.871), so that those need not be made into colours first.
fn luma([red, green, blue]: [u8; 3]) -> u8 {
    ((u32::from(red) * 299 + u32::from(green) * 587 + u32::from(blue) * 114 + 500) / 1000) as u8
}

impl fmt::Display for PerceptualHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for PerceptualHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for PerceptualHash {
    type Err = ParsePerceptualHashError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || ParsePerceptualHashError(text.to_owned());
        if text.len() != 16 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(bad());
        }
        u64::from_str_radix(text, 16).map(Self).map_err(|_| bad())
    }
}

impl TryFrom<String> for PerceptualHash {
    type Error = ParsePerceptualHashError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<PerceptualHash> for String {
    fn from(hash: PerceptualHash) -> Self {
        hash.to_string()
    }
}
