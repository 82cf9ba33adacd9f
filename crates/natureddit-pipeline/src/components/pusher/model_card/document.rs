//! A text of few parts, as Markdown and as an HTML page: both say the same.

use std::fmt::Write as _;

use maud::html;

use crate::components::page::page;

/// A title and what stands below it.
pub(super) struct Document {
    pub(super) title: String,
    pub(super) blocks: Vec<Block>,
}

/// A part. Its texts are plain: what they hold of either language is shown and not obeyed.
pub(super) enum Block {
    Heading(&'static str),
    Text(String),
    List(Vec<String>),
    /// The first column is text, the others are numbers.
    Table {
        header: Vec<String>,
        rows: Vec<Vec<String>>,
    },
}

impl Document {
    /// In the Markdown of GitHub.
    pub(super) fn markdown(&self) -> String {
        let mut text = format!("# {}\n", markdown(&self.title));
        for block in &self.blocks {
            text.push('\n');
            block.write_markdown(&mut text);
        }
        text
    }

    /// A page without script that fetches nothing.
    pub(super) fn html(&self) -> String {
        let body = html! {
            h1 { (self.title) }
            @for block in &self.blocks {
                @match block {
                    Block::Heading(text) => h2 { (text) },
                    Block::Text(text) => p { (text) },
                    Block::List(items) => ul { @for item in items { li { (item) } } },
                    Block::Table { header, rows } => div.scroll { table {
                        thead { tr { @for cell in header { th scope="col" { (cell) } } } }
                        tbody { @for row in rows { tr { @for cell in row { td { (cell) } } } } }
                    } },
                }
            }
        };
        page(&self.title, false, &body)
    }
}

impl Block {
    fn write_markdown(&self, text: &mut String) {
        let row = |cells: &[String]| {
            let cells: Vec<String> = cells.iter().map(|cell| markdown(cell)).collect();
            format!("| {} |", cells.join(" | "))
        };
        // Writing to a string does not fail.
        let _ = match self {
            Self::Heading(heading) => writeln!(text, "## {heading}"),
            Self::Text(line) => writeln!(text, "{}", markdown(line)),
            Self::List(items) => items.iter().try_for_each(|item| writeln!(text, "- {}", markdown(item))),
            Self::Table { header, rows } => {
                let line = format!("|---|{}", "---:|".repeat(header.len().saturating_sub(1)));
                writeln!(text, "{}\n{line}", row(header))
                    .and_then(|()| rows.iter().try_for_each(|cells| writeln!(text, "{}", row(cells))))
            }
        };
    }
}

/// A text on one line whose signs mean nothing in Markdown.
fn markdown(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '#' | '~' | '&' | '!' => escaped.extend(['\\', c]),
            c if c.is_control() => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document() -> Document {
        Document {
            title: "A <b>model</b>".to_owned(),
            blocks: vec![
                Block::Heading("Counts"),
                Block::Text("one\ntwo | [three](x)".to_owned()),
                Block::List(vec!["*a*".to_owned()]),
                Block::Table {
                    header: vec!["class".to_owned(), "posts".to_owned()],
                    rows: vec![vec!["<script>|".to_owned(), "3".to_owned()]],
                },
            ],
        }
    }

    #[test]
    fn signs_mean_nothing_in_markdown() {
        let expected = "# A \\<b\\>model\\</b\\>\n\n## Counts\n\none two \\| \\[three\\](x)\n\n- \\*a\\*\n\n\
            | class | posts |\n|---|---:|\n| \\<script\\>\\| | 3 |\n";
        assert_eq!(document().markdown(), expected);
    }

    #[test]
    fn signs_mean_nothing_in_html_and_nothing_is_fetched() {
        let page = document().html();
        assert!(page.contains("&lt;script&gt;|</td>") && page.contains("<title>A &lt;b&gt;model&lt;/b&gt;</title>"));
        assert!(!page.contains("<script") && !page.contains("<b>") && !page.contains("http://"));
        assert!(page.contains("default-src 'none'") && !page.contains("src=") && !page.contains("href="));
    }
}
