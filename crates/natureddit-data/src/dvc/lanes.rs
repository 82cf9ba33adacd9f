//! MD5 of many contents at once.
//!
//! Each step of MD5 waits for the one before it, so that a core that hashes one content is idle most of the time. Here four
//! contents go side by side, a step of all four in one instruction, which is three times as fast. No instruction is named:
//! the loop over the lanes in [`compress`] is what compilers turn into those of the processor.

use std::array;

use super::hash::Md5;

/// Contents side by side: as many as a register of every 64-bit processor has room for.
const LANES: usize = 4;
const BLOCK_BYTES: usize = 64;
/// What ends every content: a bit, and its length.
const END_BYTES: usize = 9;

/// So many contents at a time are given to [`md5_of_each`]: with two for each lane, few lanes are idle at the end.
const TOGETHER_MAX: usize = 2 * LANES;
/// So long are those together that are held in memory.
const TOGETHER_BYTES_MAX: u64 = 16 << 20;

/// State words or message words, of each lane.
type Word<const N: usize> = [u32; N];

const START: [u32; 4] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];

/// The hash of each content, in their order.
pub(super) fn md5_of_each(contents: &[&[u8]]) -> Vec<Md5> {
    let mut hashes = vec![Md5::from_bytes([0; 16]); contents.len()];
    // The longest first, so that no long one is left alone at the end.
    let mut order: Vec<usize> = (0..contents.len()).collect();
    order.sort_unstable_by_key(|&at| contents[at].len());
    let mut lanes: [Option<Message>; LANES] = [const { None }; LANES];
    let mut states = START.map(|word| [word; LANES]);
    loop {
        for (at, lane) in lanes.iter_mut().enumerate().filter(|(_, lane)| lane.is_none()) {
            *lane = order.pop().map(|which| Message::new(which, contents[which]));
            (0..4).for_each(|word| states[word][at] = START[word]);
        }
        let running = lanes.iter().flatten().map(Message::blocks_left);
        let Some(blocks) = running.clone().min() else { return hashes };
        if running.count() == 1 {
            // Alone it is faster by itself.
            if let Some((at, message)) = lanes.iter_mut().enumerate().find_map(|(at, lane)| Some((at, lane.take()?))) {
                let which = message.which;
                hashes[which] = message.rest(states.map(|word| word[at]));
            }
            continue;
        }
        for _ in 0..blocks {
            let mut words = [[0; LANES]; 16];
            for (at, lane) in lanes.iter_mut().enumerate() {
                if let Some(message) = lane {
                    put(message.next_block(), &mut words, at);
                }
            }
            compress(&mut states, &words);
        }
        for (at, lane) in lanes.iter_mut().enumerate() {
            if let Some(message) = lane.take_if(|message| message.blocks_left() == 0) {
                hashes[message.which] = hash_of(states.map(|word| word[at]));
            }
        }
    }
}

/// Which files are hashed side by side: neighbours, as long as they fit into memory; a file that does not is alone.
pub(super) fn groups(files: &[usize], bytes_of: impl Fn(usize) -> u64) -> Vec<&[usize]> {
    let mut groups = Vec::new();
    let (mut first, mut bytes) = (0, 0_u64);
    for (at, &file) in files.iter().enumerate() {
        let more = bytes.saturating_add(bytes_of(file));
        let is_full = at - first == TOGETHER_MAX || more > TOGETHER_BYTES_MAX;
        if is_full && at > first {
            groups.push(&files[first..at]);
            first = at;
        }
        bytes = if first == at { bytes_of(file) } else { more };
    }
    if first < files.len() {
        groups.push(&files[first..]);
    }
    groups
}

/// A content in blocks.
struct Message<'a> {
    which: usize,
    content: &'a [u8],
    /// What is left of the content when its whole blocks are gone, and its end.
    end: [u8; 2 * BLOCK_BYTES],
    next: usize,
    blocks: usize,
}

impl<'a> Message<'a> {
    fn new(which: usize, content: &'a [u8]) -> Self {
        let (whole, left) = content.split_at(content.len() / BLOCK_BYTES * BLOCK_BYTES);
        let end_blocks = (left.len() + END_BYTES).div_ceil(BLOCK_BYTES);
        let mut end = [0; 2 * BLOCK_BYTES];
        end[..left.len()].copy_from_slice(left);
        end[left.len()] = 0x80;
        // MD5 keeps the length as the lowest 64 bits of the number of bits.
        let bits = (content.len() as u64).wrapping_mul(8);
        end[end_blocks * BLOCK_BYTES - 8..end_blocks * BLOCK_BYTES].copy_from_slice(&bits.to_le_bytes());
        Self { which, content: whole, end, next: 0, blocks: whole.len() / BLOCK_BYTES + end_blocks }
    }

    fn blocks_left(&self) -> usize {
        self.blocks - self.next
    }

    fn next_block(&mut self) -> &[u8] {
        let start = self.next * BLOCK_BYTES;
        self.next += 1;
        match start.checked_sub(self.content.len()) {
            None => &self.content[start..start + BLOCK_BYTES],
            Some(start) => &self.end[start..start + BLOCK_BYTES],
        }
    }

    /// Goes through what is left of it.
    fn rest(mut self, state: [u32; 4]) -> Md5 {
        let mut state = state.map(|word| [word]);
        while self.blocks_left() > 0 {
            let mut words = [[0]; 16];
            put(self.next_block(), &mut words, 0);
            compress(&mut state, &words);
        }
        hash_of(state.map(|[word]| word))
    }
}

fn hash_of(state: [u32; 4]) -> Md5 {
    let mut bytes = [0; 16];
    for (bytes, word) in bytes.chunks_exact_mut(4).zip(state) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    Md5::from_bytes(bytes)
}

/// The words of a block into a lane.
#[inline(always)]
fn put<const N: usize>(block: &[u8], words: &mut [Word<N>; 16], lane: usize) {
    for (bytes, word) in block.as_chunks::<4>().0.iter().zip(words) {
        word[lane] = u32::from_le_bytes(*bytes);
    }
}

/// Takes a block of each lane. Compilers make instructions for all lanes of this loop as long as it is one function, with
/// all steps inside and nothing else: whoever changes it, measures it.
#[inline(never)]
fn compress<const N: usize>(states: &mut [Word<N>; 4], words: &[Word<N>; 16]) {
    for lane in 0..N {
        let state = steps(array::from_fn(|word| states[word][lane]), array::from_fn(|word| words[word][lane]));
        for word in 0..4 {
            states[word][lane] = state[word];
        }
    }
}

/// The 64 steps of RFC 1321 for one lane.
#[inline(always)]
fn steps(before: [u32; 4], words: [u32; 16]) -> [u32; 4] {
    let mut state = before;
    state = round(state, |b, c, d| d ^ (b & (c ^ d)), |at| words[at], &SINES[0], [7, 12, 17, 22]);
    state = round(state, |b, c, d| c ^ (d & (b ^ c)), |at| words[(at * 5 + 1) % 16], &SINES[1], [5, 9, 14, 20]);
    state = round(state, |b, c, d| b ^ c ^ d, |at| words[(at * 3 + 5) % 16], &SINES[2], [4, 11, 16, 23]);
    state = round(state, |b, c, d| c ^ (b | !d), |at| words[at * 7 % 16], &SINES[3], [6, 10, 15, 21]);
    array::from_fn(|word| state[word].wrapping_add(before[word]))
}

#[inline(always)]
fn round(
    mut state: [u32; 4],
    mix: impl Fn(u32, u32, u32) -> u32,
    word: impl Fn(usize) -> u32,
    sines: &[u32; 16],
    by: [u32; 4],
) -> [u32; 4] {
    for at in 0..16 {
        let [a, b, c, d] = state;
        let sum = a.wrapping_add(mix(b, c, d)).wrapping_add(word(at)).wrapping_add(sines[at]);
        state = [d, sum.rotate_left(by[at % 4]).wrapping_add(b), b, c];
    }
    state
}

/// The integer part of 2³² |sin(n)| for n from 1 to 64, 16 a round.
const SINES: [[u32; 16]; 4] = [
    [
        0xd76a_a478,
        0xe8c7_b756,
        0x2420_70db,
        0xc1bd_ceee,
        0xf57c_0faf,
        0x4787_c62a,
        0xa830_4613,
        0xfd46_9501,
        0x6980_98d8,
        0x8b44_f7af,
        0xffff_5bb1,
        0x895c_d7be,
        0x6b90_1122,
        0xfd98_7193,
        0xa679_438e,
        0x49b4_0821,
    ],
    [
        0xf61e_2562,
        0xc040_b340,
        0x265e_5a51,
        0xe9b6_c7aa,
        0xd62f_105d,
        0x0244_1453,
        0xd8a1_e681,
        0xe7d3_fbc8,
        0x21e1_cde6,
        0xc337_07d6,
        0xf4d5_0d87,
        0x455a_14ed,
        0xa9e3_e905,
        0xfcef_a3f8,
        0x676f_02d9,
        0x8d2a_4c8a,
    ],
    [
        0xfffa_3942,
        0x8771_f681,
        0x6d9d_6122,
        0xfde5_380c,
        0xa4be_ea44,
        0x4bde_cfa9,
        0xf6bb_4b60,
        0xbebf_bc70,
        0x289b_7ec6,
        0xeaa1_27fa,
        0xd4ef_3085,
        0x0488_1d05,
        0xd9d4_d039,
        0xe6db_99e5,
        0x1fa2_7cf8,
        0xc4ac_5665,
    ],
    [
        0xf429_2244,
        0x432a_ff97,
        0xab94_23a7,
        0xfc93_a039,
        0x655b_59c3,
        0x8f0c_cc92,
        0xffef_f47d,
        0x8584_5dd1,
        0x6fa8_7e4f,
        0xfe2c_e6e0,
        0xa301_4314,
        0x4e08_11a1,
        0xf753_7e82,
        0xbd3a_f235,
        0x2ad7_d2bb,
        0xeb86_d391,
    ],
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(contents: &[Vec<u8>]) {
        let contents: Vec<&[u8]> = contents.iter().map(Vec::as_slice).collect();
        let expected: Vec<Md5> = contents.iter().map(|content| Md5::of(content)).collect();
        assert_eq!(md5_of_each(&contents), expected);
    }

    /// Bytes that differ from those of other seeds.
    fn bytes(length: usize, seed: usize) -> Vec<u8> {
        (0..length).map(|at| (at.wrapping_mul(0x9E37_79B1).wrapping_add(seed * 77) >> 7) as u8).collect()
    }

    #[test]
    fn every_length_around_the_edges_of_blocks_is_right() {
        check(&[]);
        check(&(0..=260).map(|length| bytes(length, length)).collect::<Vec<_>>());
        for count in 1..=9 {
            check(&vec![b"same".to_vec(); count]);
        }
    }

    #[test]
    fn one_that_is_much_longer_than_the_others_is_right() {
        check(&[bytes(100, 1), bytes(1_000_003, 2), Vec::new(), bytes(5000, 3), bytes(64, 4), bytes(999, 5)]);
    }

    #[test]
    fn files_are_hashed_side_by_side_as_long_as_they_fit_into_memory() {
        let sizes = [1, u64::MAX, 2, 3, TOGETHER_BYTES_MAX - 5, 1, 1, 1, 1, 1, 1, 1, 1, 1];
        let files: Vec<usize> = (0..sizes.len()).collect();
        let lengths =
            |sizes: &[u64]| groups(&files, |at| sizes[at]).iter().map(|group| group.len()).collect::<Vec<_>>();
        assert_eq!(lengths(&sizes), [1, 1, 3, 8, 1]);
        assert_eq!(lengths(&[u64::MAX; 14]), [1; 14]);
        assert!(groups(&[], |_| 0).is_empty());
    }

    proptest! {
        #[test]
        fn any_contents_in_any_order_are_right(
            contents in prop::collection::vec((0..1500_usize, any::<u16>()), 0..14),
            random in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let mut contents: Vec<_> = contents.into_iter().map(|(length, seed)| bytes(length, seed.into())).collect();
            contents.push(random);
            check(&contents);
        }
    }
}
