//! Memory for large pictures on their way to small ones. To get fresh pages from the system for each takes a fifth of the
//! time that decoding does.

use std::sync::{Mutex, PoisonError};

/// Kept ones; two pictures at a time are decoded on the machines this is for.
const KEPT_MAX: usize = 2;
/// What a larger picture needs is given back: 16 megapixels of three bytes.
const BYTES_MAX: usize = 48_000_000;
/// What a smaller one needs the allocator keeps by itself.
const BYTES_MIN: usize = 8_000_000;

static KEPT: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

/// So many zeros.
pub(crate) fn take(bytes: usize) -> Vec<u8> {
    if !(BYTES_MIN..=BYTES_MAX).contains(&bytes) {
        return vec![0; bytes];
    }
    let kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner).pop();
    match kept {
        Some(mut memory) if memory.capacity() >= bytes => {
            memory.clear();
            memory.resize(bytes, 0);
            memory
        }
        _ => vec![0; bytes],
    }
}

/// Gives memory back, whoever it came from.
pub(crate) fn give_back(memory: Vec<u8>) {
    if (BYTES_MIN..=BYTES_MAX).contains(&memory.capacity()) {
        let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEPT_MAX {
            kept.push(memory);
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
        }
        assert!(KEPT.lock().unwrap().len() <= KEPT_MAX);
    }
}
