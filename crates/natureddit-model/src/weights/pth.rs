//! PyTorch's weights files. The legacy form: four pickles, a list of storage keys, then per storage an `int64` count and
//! raw little-endian values. The form since 1.6: a ZIP archive of one pickle, `data.pkl`, and a file of raw little-endian
//! values a storage, `data/<key>`. Tensors are strided views of the storages in both.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::io::{Cursor, Read};

use zip::ZipArchive;

use super::pickle::{Global, Value, read_pickle};
use super::{Tensor, Tensors};

/// The first pickle of every legacy file, as the little-endian digits of 0x1950a86a20f9469cfc6c.
const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
const PROTOCOL: i64 = 1001;

/// How a ZIP archive begins.
const ZIP: &[u8] = b"PK\x03\x04";
/// The pickle of a state dict is a few hundred bytes a tensor.
const PICKLE_BYTES_MAX: u64 = 16 << 20;

/// Every `f32` tensor of a state dict in either form, made contiguous; integer tensors (batch counts) are left out.
pub(super) fn parse_pth(bytes: &[u8]) -> Result<Tensors, String> {
    if bytes.starts_with(ZIP) { parse_zip(bytes) } else { parse_legacy(bytes) }
}

fn parse_legacy(bytes: &[u8]) -> Result<Tensors, String> {
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
    gather(&views, &storages)
}

fn parse_zip(bytes: &[u8]) -> Result<Tensors, String> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|e| e.to_string())?;
    let names = archive.file_names().filter_map(Result::ok);
    let pickles = names.map(Cow::into_owned).find(|name| name.ends_with("/data.pkl"));
    let name = pickles.ok_or("it has no data.pkl")?;
    let folder = name.trim_end_matches("data.pkl").to_owned();
    let order = format!("{folder}byteorder");
    if archive.index_for_name(&order).is_some() && entry(&mut archive, &order, 16)? != b"little" {
        return Err("its numbers are not little-endian".to_owned());
    }
    let pickle = entry(&mut archive, &name, PICKLE_BYTES_MAX)?;
    let views = float_views(read_pickle(&pickle)?.0)?;
    let mut storages = HashMap::new();
    for View { storage, .. } in &views {
        if !storages.contains_key(storage) {
            // Stored as it is, never compressed: no entry is larger than the file.
            let raw = entry(&mut archive, &format!("{folder}data/{storage}"), bytes.len() as u64)?;
            storages.insert(storage.clone(), floats(&raw));
        }
    }
    gather(&views, &storages)
}

fn entry(archive: &mut ZipArchive<Cursor<&[u8]>>, name: &str, bytes_max: u64) -> Result<Vec<u8>, String> {
    let entry = archive.by_name(name).map_err(|e| format!("{name}: {e}"))?;
    let mut content = Vec::new();
    entry.take(bytes_max + 1).read_to_end(&mut content).map_err(|e| format!("{name}: {e}"))?;
    if content.len() as u64 > bytes_max {
        return Err(format!("its {name} is larger than {bytes_max} bytes"));
    }
    Ok(content)
}

fn floats(raw: &[u8]) -> Vec<f32> {
    raw.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}

fn gather(views: &[View], storages: &HashMap<String, Vec<f32>>) -> Result<Tensors, String> {
    // Each tensor may be as large as its storage, and any number of them may look at the same one; that two do is usual,
    // for words may be embedded and predicted by the same numbers.
    let stored: usize = storages.values().map(Vec::len).sum();
    let named = views.iter().try_fold(0_usize, |sum, view| sum.checked_add(view.count()?));
    if named.is_none_or(|named| named > stored.saturating_mul(SHARED_MAX)) {
        return Err("its tensors have more values than the file holds".to_owned());
    }
    views.iter().map(|view| Ok((view.name.clone(), view.gather(storages)?))).collect()
}

/// How often each value of a file may be a tensor's, on average.
const SHARED_MAX: usize = 2;

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
fn read_storages(keys: Value, mut rest: &[u8], wanted: &HashSet<&str>) -> Result<HashMap<String, Vec<f32>>, String> {
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
        let is_float = wanted.contains(key.as_str());
        let length = count.checked_mul(if is_float { 4 } else { 8 }).ok_or_else(cut)?;
        let (raw, after) = after.split_at_checked(length).ok_or_else(cut)?;
        if is_float {
            storages.insert(key, floats(raw));
        }
        rest = after;
    }
    Ok(storages)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;

    /// The same tensor in the newer form.
    fn zipped(byte_order: &str) -> Vec<u8> {
        let mut pickle = b"\x80\x02ccollections\nOrderedDict\n)R(".to_vec();
        pickle.extend(tensor("w"));
        pickle.extend(b"u.");
        let values: Vec<u8> = (0..6_u8).flat_map(|v| f32::from(v).to_le_bytes()).collect();
        let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
        let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
        for (name, content) in [("data.pkl", &pickle[..]), ("byteorder", byte_order.as_bytes()), ("data/7", &values)] {
            archive.start_file(format!("weights/{name}"), stored).unwrap();
            archive.write_all(content).unwrap();
        }
        archive.finish().unwrap().into_inner()
    }

    #[test]
    fn the_newer_form_is_read_too() {
        assert_eq!(parse_pth(&zipped("little")).unwrap(), parse_pth(&transposed()).unwrap());
        assert_eq!(parse_pth(&zipped("big")).unwrap_err(), "its numbers are not little-endian");
    }

    #[test]
    fn an_archive_cut_anywhere_is_an_error() {
        let file = zipped("little");
        for end in (0..file.len()).step_by(7) {
            assert!(parse_pth(&file[..end]).is_err(), "cut at {end}");
        }
    }

    fn text(value: &str) -> Vec<u8> {
        [b"X", (value.len() as u32).to_le_bytes().as_slice(), value.as_bytes()].concat()
    }

    /// A name, and a tensor in storage 7.
    fn tensor(name: &str) -> Vec<u8> {
        let mut item = text(name);
        item.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        item.extend(text("storage"));
        item.extend(b"ctorch\nFloatStorage\n");
        item.extend(text("7"));
        item.extend(text("cpu"));
        item.extend(b"K\x06NtQK\x00K\x02K\x03\x86K\x01K\x02\x86\x89ccollections\nOrderedDict\n)RtR");
        item
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
        names.iter().for_each(|name| file.extend(tensor(name)));
        file.extend(b"u.\x80\x02](");
        file.extend(text("7"));
        file.extend(b"e.");
        file.extend(6_i64.to_le_bytes());
        file.extend((0..6_u8).flat_map(|v| f32::from(v).to_le_bytes()));
        file
    }

    #[test]
    fn one_storage_cannot_be_read_again_and_again() {
        assert_eq!(parse_pth(&file(&["u", "v", "w"])).unwrap_err(), "its tensors have more values than the file holds");
    }

    #[test]
    fn strides_are_followed() {
        let tensors = parse_pth(&transposed()).unwrap();
        assert_eq!(tensors["w"], Tensor { shape: vec![2, 3], data: vec![0.0, 2.0, 4.0, 1.0, 3.0, 5.0] });
    }

    #[test]
    fn a_file_cut_anywhere_is_an_error() {
        let file = transposed();
        for end in 0..file.len() {
            assert!(parse_pth(&file[..end]).is_err(), "cut at {end}");
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
            let _ = parse_pth(&file);
        }
    }
}
