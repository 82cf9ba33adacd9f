//! `tf.train.Example`: an example as TensorFlow's tools read it, one feature a column.
//!
//! Written by hand, since its bytes decide the split in TFX: Python's deterministic serialisation sorts the map of
//! features and writes key and value of every entry, also an empty value, which `prost` leaves out.

use smallvec::SmallVec;

/// The features of an example by name, in the order of their names.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Features<'a>(SmallVec<[(&'a str, Feature<'a>); 16]>);

/// The values of one column. TFX's CsvExampleGen writes a missing cell as an empty list of the column's kind, and a cell
/// of a column in which all are missing as [`Feature::Unset`].
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Feature<'a> {
    /// Of no kind.
    #[default]
    Unset,
    /// Texts or bytes.
    Bytes(Values<&'a [u8]>),
    /// Numbers with a fraction.
    Floats(Values<f32>),
    /// Whole numbers.
    Ints(Values<i64>),
}

/// Most columns have one value, which then needs no memory of its own.
pub(crate) type Values<T> = SmallVec<[T; 1]>;

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

impl<'a> Features<'a> {
    /// Of several features of one name the last counts, as in a map on the wire.
    pub(crate) fn new(features: impl IntoIterator<Item = (&'a str, Feature<'a>)>) -> Self {
        let mut sorted: SmallVec<[_; 16]> = features.into_iter().collect();
        sorted.sort_by_key(|(name, _)| *name);
        let mut features: SmallVec<[(&str, Feature<'_>); 16]> = SmallVec::with_capacity(sorted.len());
        for (name, feature) in sorted {
            match features.last_mut() {
                Some((last, value)) if *last == name => *value = feature,
                _ => features.push((name, feature)),
            }
        }
        Self(features)
    }

    /// The feature of that name; unset where there is none.
    pub(crate) fn get(&self, name: &str) -> &Feature<'a> {
        let found = self.0.binary_search_by_key(&name, |(name, _)| *name);
        found.map_or(&Feature::Unset, |at| &self.0[at].1)
    }

    /// The bytes that Python's `SerializeToString(deterministic=True)` gives.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let entry_len = |(name, feature): &(&str, Feature<'_>)| field_len(name.len()) + field_len(feature.len());
        let map_len: usize = self.0.iter().map(|entry| field_len(entry_len(entry))).sum();
        let mut bytes = Vec::with_capacity(packed_len(map_len));
        // An example without features is written without the map, as the field was never set.
        if map_len > 0 {
            put_key(&mut bytes, 1, map_len);
        }
        for entry in &self.0 {
            let (name, feature) = entry;
            put_key(&mut bytes, 1, entry_len(entry));
            put_bytes(&mut bytes, 1, name.as_bytes());
            put_key(&mut bytes, 2, feature.len());
            feature.put(&mut bytes);
        }
        bytes
    }

    /// Reads the bytes of an example, its features in any order; fields that the message has not are passed over.
    pub(crate) fn from_bytes(bytes: &'a [u8]) -> Result<Self> {
        let mut features: SmallVec<[_; 16]> = SmallVec::new();
        each_field(bytes, |number, field| match number {
            1 => each_field(field.bytes(number)?, |number, field| {
                if number == 1 {
                    features.push(read_entry(field.bytes(number)?)?);
                }
                Ok(())
            }),
            _ => Ok(()),
        })?;
        Ok(Self::new(features))
    }
}

impl<'a> Feature<'a> {
    /// The field of its kind and how many bytes its list has; `None` where it is of no kind.
    fn list(&self) -> Option<(u64, usize)> {
        match self {
            Self::Unset => None,
            Self::Bytes(values) => Some((1, values.iter().map(|value| field_len(value.len())).sum())),
            Self::Floats(values) => Some((2, packed_len(values.len() * 4))),
            Self::Ints(values) => Some((3, packed_len(ints_len(values)))),
        }
    }

    fn len(&self) -> usize {
        self.list().map_or(0, |(_, length)| field_len(length))
    }

    fn put(&self, out: &mut Vec<u8>) {
        if let Some((number, length)) = self.list() {
            put_key(out, number, length);
        }
        match self {
            Self::Unset => {}
            Self::Bytes(values) => values.iter().for_each(|value| put_bytes(out, 1, value)),
            // A list without values is empty; numbers are packed into its only field.
            Self::Floats(values) if !values.is_empty() => {
                put_key(out, 1, values.len() * 4);
                out.extend(values.iter().flat_map(|value| value.to_le_bytes()));
            }
            Self::Ints(values) if !values.is_empty() => {
                put_key(out, 1, ints_len(values));
                values.iter().for_each(|value| put_varint(out, value.cast_unsigned()));
            }
            Self::Floats(_) | Self::Ints(_) => {}
        }
    }

    fn from_bytes(bytes: &'a [u8]) -> Result<Self> {
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

fn read_entry(entry: &[u8]) -> Result<(&str, Feature<'_>)> {
    let (mut name, mut feature) = ("", Feature::Unset);
    each_field(entry, |number, field| {
        match number {
            1 => name = str::from_utf8(field.bytes(number)?).map_err(|_| ExampleBytesError::BadName)?,
            2 => feature = Feature::from_bytes(field.bytes(number)?)?,
            _ => {}
        }
        Ok(())
    })?;
    Ok((name, feature))
}

fn read_texts(list: &[u8]) -> Result<Values<&[u8]>> {
    let mut values = Values::new();
    each_field(list, |number, field| {
        if number == 1 {
            values.push(field.bytes(number)?);
        }
        Ok(())
    })?;
    Ok(values)
}

/// Writers pack numbers into one field; readers take them one by one as well.
fn read_floats(list: &[u8]) -> Result<Values<f32>> {
    let mut values = Values::new();
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

fn read_ints(list: &[u8]) -> Result<Values<i64>> {
    let mut values = Values::new();
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
    put_key(out, number, bytes.len());
    out.extend_from_slice(bytes);
}

/// What goes before so many bytes of a field.
fn put_key(out: &mut Vec<u8>, number: u64, length: usize) {
    put_varint(out, number << 3 | BYTES);
    put_varint(out, length as u64);
}

/// How long a field of so many bytes is; the numbers of all fields here take one byte.
fn field_len(length: usize) -> usize {
    1 + varint_len(length as u64) + length
}

/// The list's only field; without values it is not written.
fn packed_len(length: usize) -> usize {
    if length == 0 { 0 } else { field_len(length) }
}

fn ints_len(values: &[i64]) -> usize {
    values.iter().map(|value| varint_len(value.cast_unsigned())).sum()
}

fn varint_len(value: u64) -> usize {
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
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
    use natureddit_core::ContentHash;
    use proptest::prelude::*;

    use super::*;

    /// A feature that owns its values: its kind, texts, numbers.
    type Owned = (u8, Vec<Vec<u8>>, Vec<f32>, Vec<i64>);

    fn feature(owned: &Owned) -> Feature<'_> {
        match owned {
            (0, ..) => Feature::Unset,
            (1, texts, ..) => Feature::Bytes(texts.iter().map(Vec::as_slice).collect()),
            (2, _, numbers, _) => Feature::Floats(numbers.iter().copied().collect()),
            (_, _, _, numbers) => Feature::Ints(numbers.iter().copied().collect()),
        }
    }

    fn owned() -> impl Strategy<Value = Owned> {
        let floats = proptest::collection::vec(-1e6_f32..1e6, 0..5);
        (0_u8..4, any::<Vec<Vec<u8>>>(), floats, any::<Vec<i64>>())
    }

    proptest! {
        #[test]
        fn features_survive_their_bytes(
            owned in proptest::collection::btree_map(any::<String>(), owned(), 0..6)
        ) {
            let features = || Features::new(owned.iter().map(|(name, values)| (name.as_str(), feature(values))));
            let bytes = features().to_bytes();
            // The room that was taken is what is needed.
            prop_assert_eq!(bytes.len(), bytes.capacity());
            prop_assert_eq!(Features::from_bytes(&bytes).unwrap(), features());
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes in any::<Vec<u8>>()) {
            let _ = Features::from_bytes(&bytes);
        }
    }

    #[test]
    fn of_features_of_one_name_the_last_counts() {
        let of = |name, value| (name, Feature::Ints([value].into_iter().collect()));
        let features = Features::new([of("b", 1), of("a", 2), of("b", 3)]);
        assert_eq!(features, Features::new([of("a", 2), of("b", 3)]));
        assert_eq!((features.get("b"), features.get("c")), (&of("", 3).1, &Feature::Unset));
    }

    const PYTHON: &str = "0a770a170a0562656c6f77120e1a0c0a0affffffffffffffffff010a090a05656d70747912000a0b0a05666c61697212020a0\
        00a0c0a0668656967687412021a000a110a05726174696f120812060a040000003f0a120a057469746c6512090a070a054120666f780a0f0a0577\
        6964746812061a040a02ac02";
    const PYTHON_SHA256: &str = "b8f992b7f3fe15bb5269001872581fda3f1a3e5cc463e7e08d28dcdad170311b";

    /// The bytes are those of Python's protobuf 7 with `deterministic=True`, of cells that are there and missing.
    #[test]
    fn the_bytes_are_those_of_python() {
        let text: &[u8] = b"A fox";
        let features = Features::new([
            ("title", Feature::Bytes([text].into_iter().collect())),
            ("flair", Feature::Bytes(Values::new())),
            ("width", Feature::Ints([300].into_iter().collect())),
            ("height", Feature::Ints(Values::new())),
            ("ratio", Feature::Floats([0.5].into_iter().collect())),
            ("empty", Feature::Unset),
            ("below", Feature::Ints([-1].into_iter().collect())),
        ]);
        let bytes = features.to_bytes();
        assert_eq!(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>(), PYTHON);
        assert_eq!(ContentHash::of(&bytes).to_string(), PYTHON_SHA256);
    }

    #[test]
    fn numbers_that_are_not_packed_are_read_too() {
        // int64_list { value: 5 value: 300 }, one field each.
        let bytes = [0x1a, 5, 0x08, 5, 0x08, 0xac, 0x02];
        assert_eq!(Feature::from_bytes(&bytes), Ok(Feature::Ints([5, 300].into_iter().collect())));
        assert_eq!(Feature::from_bytes(&bytes[..5]), Err(ExampleBytesError::Cut));
    }
}
