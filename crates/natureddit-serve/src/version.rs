//! Versions of models: whole numbers here, `1.0` to clients of TorchServe.

/// The number that a path asks for: `7`, or `7.0` as TorchServe's clients write it. `None` for what is no version of ours.
pub(crate) fn number(text: &str) -> Option<u64> {
    let text = text.strip_suffix(".0").unwrap_or(text);
    // `parse` also takes a sign.
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_a_whole_number_also_as_torchserve_writes_it() {
        assert_eq!(["7", "7.0", "10.0", "0"].map(number), [Some(7), Some(7), Some(10), Some(0)]);
        for text in ["", ".0", "7.1", "7.00", "7.0.0", "+7", "-7", "latest", "99999999999999999999"] {
            assert_eq!(number(text), None, "{text}");
        }
    }
}
