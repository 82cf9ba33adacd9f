//! Aligned columns on the terminal.

/// Rows of words as lines, each column as wide as its widest word, two spaces between; no line ends in spaces.
pub(crate) fn aligned<const N: usize>(rows: &[[String; N]]) -> String {
    let mut widths = [0; N];
    for row in rows {
        for (width, word) in widths.iter_mut().zip(row) {
            *width = (*width).max(word.chars().count());
        }
    }
    let mut lines = String::new();
    for row in rows {
        let cells: Vec<String> = row.iter().zip(widths).map(|(word, width)| format!("{word:<width$}")).collect();
        lines.push_str(cells.join("  ").trim_end());
        lines.push('\n');
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_no_line_ends_in_spaces() {
        let rows = [["step", "seconds"], ["fmt", "1.2"], ["long step", ""]].map(|row| row.map(str::to_owned));
        assert_eq!(aligned(&rows), "step       seconds\nfmt        1.2\nlong step\n");
    }
}
