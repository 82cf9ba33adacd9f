//! Memory for large pictures on their way to small ones. To get fresh pages from the system for each takes a fifth of the
//! time that decoding does, and what one thread has freed the allocator does not soon give to another.

use std::sync::{Mutex, PoisonError};

/// What is kept in total: two pictures of 12 megapixels, for so many are decoded at a time on the machines this is for, and
/// what becomes of them.
const KEPT_BYTES_MAX: usize = 96_000_000;
/// What a larger picture needs is given back: 16 megapixels of three bytes.
const BYTES_MAX: usize = 48_000_000;
/// What a smaller one needs the allocator keeps by itself.
const BYTES_MIN: usize = 500_000;

/// The oldest first.
static KEPT: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

/// So many zeros.
pub(crate) fn take(bytes: usize) -> Vec<u8> {
    let Some(mut memory) = take_kept(bytes) else { return vec![0; bytes] };
    memory.clear();
    memory.resize(bytes, 0);
    memory
}

/// So many bytes, whatever they are, for what is overwritten anyway: to make them zeros takes time, too.
pub(crate) fn take_any(bytes: usize) -> Vec<u8> {
    let Some(mut memory) = take_kept(bytes) else { return vec![0; bytes] };
    memory.resize(bytes, 0);
    memory
}

/// A large picture's memory is not for one much smaller, for another large one is likely to come.
fn take_kept(bytes: usize) -> Option<Vec<u8>> {
    if !(BYTES_MIN..=BYTES_MAX).contains(&bytes) {
        return None;
    }
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    let at = kept.iter().position(|memory| (bytes..=bytes.saturating_mul(2)).contains(&memory.capacity()))?;
    Some(kept.remove(at))
}

/// Gives memory back, whoever it came from.
pub(crate) fn give_back(memory: Vec<u8>) {
    if (BYTES_MIN..=BYTES_MAX).contains(&memory.capacity()) {
        let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push(memory);
        while kept.iter().map(Vec::capacity).sum::<usize>() > KEPT_BYTES_MAX {
            kept.remove(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_was_used_is_all_zeros() {
        for bytes in [BYTES_MIN + 5, BYTES_MIN, 3, BYTES_MIN + 9, BYTES_MAX + 1] {
            let mut memory = take(bytes);
            assert!(memory.len() == bytes && memory.iter().all(|&byte| byte == 0));
            memory.fill(7);
            give_back(memory);
            let memory = take_any(bytes);
            assert_eq!(memory.len(), bytes);
            give_back(memory);
        }
        assert!(KEPT.lock().unwrap().iter().map(Vec::capacity).sum::<usize>() <= KEPT_BYTES_MAX);
    }
}
