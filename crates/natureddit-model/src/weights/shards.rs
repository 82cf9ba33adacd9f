//! Weights from several files.

use std::path::Path;

use super::{FILE_BYTES_MAX, Tensors, WeightsError, parse_weights};

/// The tensors of the files so far.
#[derive(Debug, Default)]
pub(crate) struct Shards {
    tensors: Tensors,
    bytes: u64,
}

impl Shards {
    /// Adds the tensors of these names from a file; one that it lacks is missed where the network asks for it, and others are
    /// left out.
    pub(crate) fn add<'n>(
        &mut self,
        path: &Path,
        bytes: &[u8],
        names: impl Iterator<Item = &'n str>,
    ) -> Result<(), WeightsError> {
        let mut found = parse_weights(path, bytes)?;
        let named = names.filter_map(|name| Some((name.to_owned(), found.remove(name)?)));
        let named: Tensors = named.collect();
        self.bytes += named.values().map(|tensor| tensor.data.len() as u64 * 4).sum::<u64>();
        if self.bytes > FILE_BYTES_MAX {
            let reason = format!("the tensors of all files have more than {FILE_BYTES_MAX} bytes, which is the limit");
            return Err(WeightsError::format(path, reason));
        }
        self.tensors.extend(named);
        Ok(())
    }

    pub(crate) fn into_tensors(self) -> Tensors {
        self.tensors
    }
}
