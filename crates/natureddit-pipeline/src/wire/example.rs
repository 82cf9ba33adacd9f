//! `tf.train.Example`: an example as TensorFlow's tools read it, one feature a column.
//!
//! Written by hand, since its bytes decide the split in TFX: Python's deterministic serialisation sorts the map of
//! features and writes key and value of every entry, also an empty value, which `prost` leaves out.

use std::collections::BTreeMap;

use natureddit_core::ContentHash;

/// The features of an example by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Features(pub(crate) BTreeMap<String, Feature>);

/// The values of one column. TFX's CsvExampleGen writes a missing cell as an empty list of the column's kind, and a cell
/// of a column in which all are missing as [`Feature::Unset`].
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Feature {
    /// Of no kind.
    #[default]
    Unset,
    /// Texts or bytes.
    Bytes(Vec<Vec<u8>>),
    /// Numbers with a fraction.
    Floats(Vec<f32>),
    /// Whole numbers.
    Ints(Vec<i64>),
}

/// Bytes that are no `tf.train.Example`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExampleBytesError {
    /// They end within a field.
    #[error("the example is cut off")]
    Cut,
    /// A field's kind is not the one the message has.
    #[error("field {0} is not as in a tf.train.Example")]
    BadField(u64),
    /// A name that is not UTF-8.
    #[error("the name of a feature is not UTF-8")]
    BadName,
    /// A number of more than 64 bits.
    #[error("a number is too long")]
    BadNumber,
}

type Result<T> = std::result::Result<T, ExampleBytesError>;

const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const BYTES: u64 = 2;
const FIXED32: u64 = 5;

impl Features {
    /// The bytes that Python's `SerializeToString(deterministic=True)` gives.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut map = Vec::new();
        for (name, feature) in &self.0 {
            let mut entry = Vec::new();
            put_bytes(&mut entry, 1, name.as_bytes());
            put_bytes(&mut entry, 2, &feature.to_bytes());
            put_bytes(&mut map, 1, &entry);
        }
        let mut example = Vec::with_capacity(map.len() + 4);
        // An example without features is written without the map, as the field was never set.
        if !map.is_empty() {
            put_bytes(&mut example, 1, &map);
        }
        example
    }

    /// The hash that decides the bucket in TFX's ExampleGen.
    pub(crate) fn hash(&self) -> ContentHash {
        ContentHash::of(&self.to_bytes())
    }

    /// Reads the bytes of an example, its features in any order; fields that the message has not are passed over.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let mut features = BTreeMap::new();
        each_field(bytes, |number, field| match number {
            1 => each_field(field.bytes(number)?, |number, field| {
                if number == 1 {
                    let (name, feature) = read_entry(field.bytes(number)?)?;
                    features.insert(name, feature);
                }
                Ok(())
            }),
            _ => Ok(()),
        })?;
        Ok(Self(features))
    }
}

impl Feature {
    fn to_bytes(&self) -> Vec<u8> {
        let mut list = Vec::new();
        let number = match self {
            Self::Unset => return list,
            Self::Bytes(values) => {
                values.iter().for_each(|value| put_bytes(&mut list, 1, value));
                1
            }
            Self::Floats(values) => {
                put_packed(&mut list, &values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>());
                2
            }
            Self::Ints(values) => {
                let mut packed = Vec::new();
                values.iter().for_each(|value| put_varint(&mut packed, value.cast_unsigned()));
                put_packed(&mut list, &packed);
                3
            }
        };
        let mut feature = Vec::with_capacity(list.len() + 4);
        put_bytes(&mut feature, number, &list);
        feature
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let mut feature = Self::Unset;
        each_field(bytes, |number, field| {
            match number {
                1 => feature = Self::Bytes(read_texts(field.bytes(number)?)?),
                2 => feature = Self::Floats(read_floats(field.bytes(number)?)?),
                3 => feature = Self::Ints(read_ints(field.bytes(number)?)?),
                _ => {}
            }
            Ok(())
        })?;
        Ok(feature)
    }
}

fn read_entry(entry: &[u8]) -> Result<(String, Feature)> {
    let (mut name, mut feature) = (String::new(), Feature::Unset);
    each_field(entry, |number, field| {
        match number {
            1 => name = str::from_utf8(field.bytes(number)?).map_err(|_| ExampleBytesError::BadName)?.to_owned(),
            2 => feature = Feature::from_bytes(field.bytes(number)?)?,
            _ => {}
        }
        Ok(())
    })?;
    Ok((name, feature))
}

fn read_texts(list: &[u8]) -> Result<Vec<Vec<u8>>> {
    let mut values = Vec::new();
    each_field(list, |number, field| {
        if number == 1 {
            values.push(field.bytes(number)?.to_vec());
        }
        Ok(())
    })?;
    Ok(values)
}

/// Writers pack numbers into one field; readers take them one by one as well.
fn read_floats(list: &[u8]) -> Result<Vec<f32>> {
    let mut values = Vec::new();
    each_field(list, |number, field| {
        match field {
            _ if number != 1 => {}
            Field::Fixed32(value) => values.push(f32::from_le_bytes(value)),
            Field::Bytes(packed) => {
                let (whole, rest) = packed.as_chunks::<4>();
                if !rest.is_empty() {
                    return Err(ExampleBytesError::Cut);
                }
                values.extend(whole.iter().map(|&value| f32::from_le_bytes(value)));
            }
            _ => return Err(ExampleBytesError::BadField(number)),
        }
        Ok(())
    })?;
    Ok(values)
}

fn read_ints(list: &[u8]) -> Result<Vec<i64>> {
    let mut values = Vec::new();
    each_field(list, |number, field| {
        match field {
            _ if number != 1 => {}
            Field::Varint(value) => values.push(value.cast_signed()),
            Field::Bytes(mut packed) => {
                while !packed.is_empty() {
                    values.push(take_varint(&mut packed)?.cast_signed());
                }
            }
            _ => return Err(ExampleBytesError::BadField(number)),
        }
        Ok(())
    })?;
    Ok(values)
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push((value & 0x7f) as u8);
}

fn put_bytes(out: &mut Vec<u8>, number: u64, bytes: &[u8]) {
    put_varint(out, number << 3 | BYTES);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// The list's only field; without values it is not written.
fn put_packed(list: &mut Vec<u8>, values: &[u8]) {
    if !values.is_empty() {
        put_bytes(list, 1, values);
    }
}

/// A field of a message as it is on the wire.
enum Field<'a> {
    Varint(u64),
    Fixed64,
    Fixed32([u8; 4]),
    Bytes(&'a [u8]),
}

impl<'a> Field<'a> {
    fn bytes(&self, number: u64) -> Result<&'a [u8]> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            _ => Err(ExampleBytesError::BadField(number)),
        }
    }
}

/// Calls `visit` with the number and value of each field of a message.
fn each_field<'a>(mut bytes: &'a [u8], mut visit: impl FnMut(u64, Field<'a>) -> Result<()>) -> Result<()> {
    while !bytes.is_empty() {
        let key = take_varint(&mut bytes)?;
        let field = match key & 7 {
            VARINT => Field::Varint(take_varint(&mut bytes)?),
            FIXED64 => {
                take(&mut bytes, 8)?;
                Field::Fixed64
            }
            FIXED32 => Field::Fixed32(take(&mut bytes, 4)?.try_into().unwrap_or_default()),
            BYTES => {
                let length = take_varint(&mut bytes)?;
                Field::Bytes(take(&mut bytes, usize::try_from(length).unwrap_or(usize::MAX))?)
            }
            _ => return Err(ExampleBytesError::BadField(key >> 3)),
        };
        visit(key >> 3, field)?;
    }
    Ok(())
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Result<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(length).ok_or(ExampleBytesError::Cut)?;
    *bytes = rest;
    Ok(taken)
}

fn take_varint(bytes: &mut &[u8]) -> Result<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = take(bytes, 1)?[0];
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(ExampleBytesError::BadNumber)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn feature() -> impl Strategy<Value = Feature> {
        let list = |values: Vec<f32>| Feature::Floats(values);
        prop_oneof![
            Just(Feature::Unset),
            any::<Vec<Vec<u8>>>().prop_map(Feature::Bytes),
            proptest::collection::vec(-1e6_f32..1e6, 0..5).prop_map(list),
            any::<Vec<i64>>().prop_map(Feature::Ints),
        ]
    }

    proptest! {
        #[test]
        fn features_survive_their_bytes(
            features in proptest::collection::btree_map(any::<String>(), feature(), 0..6)
        ) {
            let features = Features(features);
            prop_assert_eq!(Features::from_bytes(&features.to_bytes()).unwrap(), features);
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes in any::<Vec<u8>>()) {
            let _ = Features::from_bytes(&bytes);
        }
    }

    const PYTHON: &str = "0a770a170a0562656c6f77120e1a0c0a0affffffffffffffffff010a090a05656d70747912000a0b0a05666c61697212020a0\
        00a0c0a0668656967687412021a000a110a05726174696f120812060a040000003f0a120a057469746c6512090a070a054120666f780a0f0a0577\
        6964746812061a040a02ac02";
    const PYTHON_SHA256: &str = "b8f992b7f3fe15bb5269001872581fda3f1a3e5cc463e7e08d28dcdad170311b";

    /// The bytes are those of Python's protobuf 7 with `deterministic=True`, of cells that are there and missing.
    #[test]
    fn the_bytes_are_those_of_python() {
        let features = [
            ("title", Feature::Bytes(vec![b"A fox".to_vec()])),
            ("flair", Feature::Bytes(Vec::new())),
            ("width", Feature::Ints(vec![300])),
            ("height", Feature::Ints(Vec::new())),
            ("ratio", Feature::Floats(vec![0.5])),
            ("empty", Feature::Unset),
            ("below", Feature::Ints(vec![-1])),
        ];
        let features = Features(features.into_iter().map(|(name, value)| (name.to_owned(), value)).collect());
        let hex: String = features.to_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, PYTHON);
        assert_eq!(features.hash().to_string(), PYTHON_SHA256);
    }

    #[test]
    fn numbers_that_are_not_packed_are_read_too() {
        // int64_list { value: 5 value: 300 }, one field each.
        let bytes = [0x1a, 5, 0x08, 5, 0x08, 0xac, 0x02];
        assert_eq!(Feature::from_bytes(&bytes), Ok(Feature::Ints(vec![5, 300])));
        assert_eq!(Feature::from_bytes(&bytes[..5]), Err(ExampleBytesError::Cut));
    }
}
