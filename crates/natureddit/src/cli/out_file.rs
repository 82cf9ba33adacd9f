//! The file that an option such as `--out` names: never one that is read, nor what a project keeps.

use std::path::{Component, Path, PathBuf};

use anyhow::anyhow;
use natureddit_core::fs;
use natureddit_data::{LABELS_FILE, Labels, POSTS_FILE, TITLES_FILE};

use super::error::{CliError, HintExt};
use super::words::counted;
use crate::config::Config;

/// An option that names a file to write.
#[derive(Clone, Copy)]
pub(super) struct OutFile<'a> {
    /// As it is written: `--out`.
    pub(super) option: &'static str,
    /// What it names.
    pub(super) path: &'a Path,
    /// What it could name.
    pub(super) example: &'static str,
}

/// What no file is written over.
#[derive(Default)]
pub(super) struct Kept {
    files: Vec<PathBuf>,
    folders: Vec<PathBuf>,
    /// Where the labels are that tables of choices become.
    labels_dir: Option<PathBuf>,
}

impl Kept {
    /// Of a project the settings, the tables and what lies in the folders of the pipeline and the models; outside of one
    /// nothing.
    pub(super) fn of(config: &Config) -> Self {
        let Some(settings) = &config.file else { return Self::default() };
        let project = &config.project;
        Self {
            files: vec![
                settings.clone(),
                project.data_dir.join(POSTS_FILE),
                project.labels_dir.join(LABELS_FILE),
                project.labels_dir.join(TITLES_FILE),
            ],
            folders: vec![project.pipeline_root.clone(), project.models_dir.clone()],
            labels_dir: Some(project.labels_dir.clone()),
        }
    }

    /// Also all that lies in the folders of the data and the labels.
    pub(super) fn and_data(mut self, config: &Config) -> Self {
        self.folders.extend([config.project.data_dir.clone(), config.project.labels_dir.clone()]);
        self
    }

    /// How many choices of people stand in a table and nowhere else.
    fn choices_lost(&self, table: &Path) -> usize {
        let is_table =
            table.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv")) && table.is_file();
        let labels = self.labels_dir.as_deref().filter(|_| is_table).map(Labels::read);
        labels.and_then(Result::ok).map_or(0, |labels| labels.not_imported(table))
    }
}

impl OutFile<'_> {
    /// The file to write, where a link leads. Refused is one that is read or kept, what is no file, for a new file would take
    /// the place of the device, and one in a folder that is not there: a misspelt path would be made in silence.
    pub(super) fn resolve(self, read: &[&Path], kept: &Kept) -> Result<PathBuf, CliError> {
        let Self { option, path, example } = self;
        let shown = path.display();
        let out = real(path).ok_or_else(|| CliError::usage(format!("{option} {shown} names no file")))?;
        let found = fs::optional(fs::metadata(&out))?;
        if found.map_or(out.is_symlink(), |found| !found.is_file()) {
            return Err(anyhow!("{option} {shown} is no regular file"))
                .hint(format!("name a file: {option} {example}"));
        }
        let is_out = |file: &Path| real(file).as_deref() == Some(out.as_path());
        if read.iter().any(|file| is_out(file)) {
            return Err(CliError::usage(format!("{option} {shown} would replace what is read")))
                .hint("name another file");
        }
        if kept.files.iter().any(|file| is_out(file)) {
            return Err(CliError::usage(format!("{option} {shown} would replace what the project keeps")))
                .hint("name another file");
        }
        if kept.folders.iter().any(|folder| real(folder).is_some_and(|folder| out.starts_with(folder))) {
            return Err(CliError::usage(format!(
                "{option} {shown} lies in a folder that the project keeps for itself"
            )))
            .hint(format!("name a file outside of it: {option} {example}"));
        }
        let choices = kept.choices_lost(&out);
        if choices > 0 {
            let what = counted(choices as u64, "choice");
            return Err(CliError::usage(format!("{option} {shown} would replace {what} that nobody has imported")))
                .hint(format!("`natureddit label import {shown}` takes them; or name another file"));
        }
        if !out.parent().is_some_and(Path::is_dir) {
            return Err(anyhow!("{option} {shown}: its folder is not there"))
                .hint("make the folder first, or check the path");
        }
        Ok(out)
    }
}

/// Where a path leads when its links are followed; neither the file nor its folders need be there.
fn real(path: &Path) -> Option<PathBuf> {
    if let Ok(found) = path.canonicalize() {
        return Some(found);
    }
    let folder = path.parent()?;
    let mut place = if folder.as_os_str().is_empty() { Path::new(".").canonicalize().ok()? } else { real(folder)? };
    match path.components().next_back()? {
        Component::ParentDir => {
            place.pop();
        }
        part => place.push(part),
    }
    Some(place.canonicalize().unwrap_or(place))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_leads_where_its_folders_will_be() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().canonicalize().unwrap();
        natureddit_core::fs::write_atomic(&at.join("data/posts.csv"), "").unwrap();
        let led = |path: &str| real(&at.join(path)).unwrap();
        assert_eq!(led("./data/../data/posts.csv"), at.join("data/posts.csv"));
        assert_eq!(led("nowhere/../data/posts.csv"), at.join("data/posts.csv"));
        assert_eq!(led("new/folder/x.csv"), at.join("new/folder/x.csv"));
        assert_eq!(real(Path::new("")), None);
    }
}
