//! The legacy PyTorch weights file (before the zip form): four pickles, a list of storage keys, then per
//! storage an `int64` count and raw little-endian values. Tensors are strided views of the storages.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use natureddit_core::fs;

use super::pickle::{Global, Value, read_pickle};
use super::{Tensor, Tensors, WeightsError};

/// The first pickle of every legacy file, as the little-endian digits of 0x1950a86a20f9469cfc6c.
const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
const PROTOCOL: i64 = 1001;

/// Every `f32` tensor of a legacy `.pth` state dict, made contiguous; integer tensors (batch counts) are left out.
pub(crate) fn read_pth(path: &Path) -> Result<Tensors, WeightsError> {
    let bytes = fs::read(path)?;
    parse(&bytes).map_err(|reason| WeightsError::format(path, reason))
}

fn parse(bytes: &[u8]) -> Result<Tensors, String> {
    let (magic, rest) = read_pickle(bytes)?;
    if magic != Value::Long(MAGIC.to_vec()) {
        return Err("it is not a legacy PyTorch file".to_owned());
    }
    let (protocol, rest) = read_pickle(rest)?;
    if protocol != Value::Int(PROTOCOL) {
        return Err(format!("its protocol is not {PROTOCOL}"));
    }
    let (_system_info, rest) = read_pickle(rest)?;
    let (state, rest) = read_pickle(rest)?;
    let (keys, rest) = read_pickle(rest)?;
    let views = float_views(state)?;
    let floats: HashSet<&str> = views.iter().map(|view| view.storage.as_str()).collect();
    let storages = read_storages(keys, rest, &floats)?;
    // Each tensor may be as large as its storage, and any number of them may look at the same one.
    let stored: usize = storages.values().map(Vec::len).sum();
    let named = views.iter().try_fold(0_usize, |sum, view| sum.checked_add(view.count()?));
    if named.is_none_or(|named| named > stored) {
        return Err("its tensors have more values than the file holds".to_owned());
    }
    views.iter().map(|view| Ok((view.name.clone(), view.gather(&storages)?))).collect()
}

/// A tensor as the state dict describes it: a window on a storage.
struct View {
    name: String,
    storage: String,
    offset: usize,
    shape: Vec<usize>,
    strides: Vec<usize>,
}

impl View {
    /// How many values it has; `None` where no number can say it.
    fn count(&self) -> Option<usize> {
        self.shape.iter().try_fold(1_usize, |count, &size| count.checked_mul(size))
    }

    /// Copies the values out in row-major order, following the strides.
    fn gather(&self, storages: &HashMap<String, Vec<f32>>) -> Result<Tensor, String> {
        let storage = storages.get(&self.storage).ok_or_else(|| format!("{} has no storage", self.name))?;
        let outside = || format!("{} reaches outside its storage", self.name);
        let count = self.count().ok_or_else(outside)?;
        let reach = self
            .shape
            .iter()
            .zip(&self.strides)
            .try_fold(self.offset, |end, (&d, &stride)| end.checked_add(d.saturating_sub(1).checked_mul(stride)?));
        if count > storage.len() || reach.is_none_or(|end| count > 0 && end >= storage.len()) {
            return Err(outside());
        }
        let mut data = Vec::with_capacity(count);
        let mut index = vec![0; self.shape.len()];
        for _ in 0..count {
            data.push(storage[self.offset + index.iter().zip(&self.strides).map(|(i, s)| i * s).sum::<usize>()]);
            for axis in (0..index.len()).rev() {
                index[axis] += 1;
                if index[axis] < self.shape[axis] {
                    break;
                }
                index[axis] = 0;
            }
        }
        Ok(Tensor { shape: self.shape.clone(), data })
    }
}

/// The float tensors of the state dict, and the storage each looks at.
fn float_views(state: Value) -> Result<Vec<View>, String> {
    let Value::Dict(entries) = state else {
        return Err("the state is not a dict".to_owned());
    };
    let views = entries.into_iter().map(|(key, value)| match (key, value) {
        (Value::Text(name), Value::Tensor(arguments)) => view(name, &arguments),
        (Value::Text(name), _) => Err(format!("{name} is not a tensor")),
        _ => Err("a name of the state is not a text".to_owned()),
    });
    views.filter_map(Result::transpose).collect()
}

/// `_rebuild_tensor_v2(storage, offset, shape, strides, ..)`; `None` for a tensor of integers.
fn view(name: String, arguments: &[Value]) -> Result<Option<View>, String> {
    let [Value::Persistent(id), Value::Int(offset), Value::Tuple(shape), Value::Tuple(strides), ..] = arguments else {
        return Err(format!("{name} is not described as a tensor"));
    };
    let Value::Tuple(storage) = id.as_ref() else {
        return Err(format!("{name} has no storage"));
    };
    let (kind, key) = match storage.as_slice() {
        [Value::Text(tag), Value::Global(kind), Value::Text(key), ..] if tag == "storage" => (*kind, key),
        _ => return Err(format!("{name} has an unknown kind of storage")),
    };
    if kind != Global::FloatStorage {
        return Ok(None);
    }
    let (shape, strides) = (sizes(shape, &name)?, sizes(strides, &name)?);
    if shape.len() != strides.len() {
        return Err(format!("{name} has {} dimensions and {} strides", shape.len(), strides.len()));
    }
    let offset = usize::try_from(*offset).map_err(|_| format!("{name} has a negative offset"))?;
    Ok(Some(View { name, storage: key.clone(), offset, shape, strides }))
}

fn sizes(values: &[Value], name: &str) -> Result<Vec<usize>, String> {
    let size = |value: &Value| match value {
        Value::Int(n) => usize::try_from(*n).ok(),
        _ => None,
    };
    values.iter().map(size).collect::<Option<_>>().ok_or_else(|| format!("{name} has a bad shape"))
}

/// The storages in the order of `keys`; a storage no float tensor looks at holds 8-byte integers and is skipped.
fn read_storages(keys: Value, mut rest: &[u8], floats: &HashSet<&str>) -> Result<HashMap<String, Vec<f32>>, String> {
    let Value::List(keys) = keys else {
        return Err("the storage keys are not a list".to_owned());
    };
    let mut storages = HashMap::new();
    for key in keys {
        let Value::Text(key) = key else {
            return Err("a storage key is not a text".to_owned());
        };
        let cut = || format!("the file ends in storage {key}");
        let (count, after) = rest.split_first_chunk::<8>().ok_or_else(cut)?;
        let count = usize::try_from(i64::from_le_bytes(*count)).map_err(|_| format!("storage {key} is negative"))?;
        let is_float = floats.contains(key.as_str());
        let length = count.checked_mul(if is_float { 4 } else { 8 }).ok_or_else(cut)?;
        let (raw, after) = after.split_at_checked(length).ok_or_else(cut)?;
        if is_float {
            let values = raw.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
            storages.insert(key, values);
        }
        rest = after;
    }
    Ok(storages)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(value: &str) -> Vec<u8> {
        [b"X", (value.len() as u32).to_le_bytes().as_slice(), value.as_bytes()].concat()
    }

    /// A file with one 2 x 3 tensor `w` whose strides are those of its transpose.
    fn transposed() -> Vec<u8> {
        file(&["w"])
    }

    /// A file with such a tensor under each name, all of them in one storage.
    fn file(names: &[&str]) -> Vec<u8> {
        let mut file = [b"\x80\x02\x8a\x0a".as_slice(), &MAGIC, b"."].concat();
        file.extend(b"\x80\x02M\xe9\x03.\x80\x02}.");
        file.extend(b"\x80\x02ccollections\nOrderedDict\n)R(");
        for name in names {
            file.extend(text(name));
            file.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
            file.extend(text("storage"));
            file.extend(b"ctorch\nFloatStorage\n");
            file.extend(text("7"));
            file.extend(text("cpu"));
            file.extend(b"K\x06NtQK\x00K\x02K\x03\x86K\x01K\x02\x86\x89ccollections\nOrderedDict\n)RtR");
        }
        file.extend(b"u.\x80\x02](");
        file.extend(text("7"));
        file.extend(b"e.");
        file.extend(6_i64.to_le_bytes());
        file.extend((0..6_u8).flat_map(|v| f32::from(v).to_le_bytes()));
        file
    }

    #[test]
    fn one_storage_cannot_be_read_again_and_again() {
        assert_eq!(parse(&file(&["v", "w"])).unwrap_err(), "its tensors have more values than the file holds");
    }

    #[test]
    fn strides_are_followed() {
        let tensors = parse(&transposed()).unwrap();
        assert_eq!(tensors["w"], Tensor { shape: vec![2, 3], data: vec![0.0, 2.0, 4.0, 1.0, 3.0, 5.0] });
    }

    #[test]
    fn a_file_cut_anywhere_is_an_error() {
        let file = transposed();
        for end in 0..file.len() {
            assert!(parse(&file[..end]).is_err(), "cut at {end}");
        }
    }

    #[test]
    fn a_view_outside_its_storage_is_an_error() {
        let view = View { name: "w".into(), storage: "0".into(), offset: 2, shape: vec![2], strides: vec![3] };
        let storages = HashMap::from([("0".to_owned(), vec![0.0; 5])]);
        assert!(view.gather(&storages).is_err());
    }

    proptest! {
        #[test]
        fn a_damaged_file_never_panics(at in 0_usize..400, byte: u8) {
            let mut file = transposed();
            let at = at % file.len();
            file[at] = byte;
            let _ = parse(&file);
        }
    }
}
