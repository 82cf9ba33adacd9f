//! Messages whose fields are listed once, by name and number, for every format they are written in.

/// A message of optional and repeated fields.
pub(crate) trait Message: Clone + Default {
    /// Shows each field to `f`, ascending by number, as protobuf's own printers go.
    fn fields<F: Fields>(&mut self, f: &mut F) -> Result<(), F::Error>;
}

/// A word of an enumeration, with its number.
pub(crate) trait Word: Copy + PartialEq + 'static {
    /// Every word.
    const WORDS: &[(&str, i32, Self)];
}

/// What is done with each field: read it or write it.
pub(crate) trait Fields {
    /// Why a field cannot be read.
    type Error;

    fn text(&mut self, name: &str, number: u64, slot: &mut Option<String>) -> Result<(), Self::Error>;
    fn texts(&mut self, name: &str, number: u64, slot: &mut Vec<String>) -> Result<(), Self::Error>;
    fn int(&mut self, name: &str, number: u64, slot: &mut Option<i64>) -> Result<(), Self::Error>;
    fn double(&mut self, name: &str, number: u64, slot: &mut Option<f64>) -> Result<(), Self::Error>;
    fn float(&mut self, name: &str, number: u64, slot: &mut Option<f32>) -> Result<(), Self::Error>;
    fn flag(&mut self, name: &str, number: u64, slot: &mut Option<bool>) -> Result<(), Self::Error>;
    fn word<W: Word>(&mut self, name: &str, number: u64, slot: &mut Option<W>) -> Result<(), Self::Error>;
    fn message<M: Message>(&mut self, name: &str, number: u64, slot: &mut Option<M>) -> Result<(), Self::Error>;
    fn messages<M: Message>(&mut self, name: &str, number: u64, slot: &mut Vec<M>) -> Result<(), Self::Error>;
}

/// The message as bytes.
pub(crate) fn to_bytes(mut message: impl Message) -> Vec<u8> {
    let mut bytes = Bytes(Vec::new());
    match message.fields(&mut bytes) {
        Ok(()) => bytes.0,
        Err(never) => match never {},
    }
}

struct Bytes(Vec<u8>);

impl Bytes {
    fn key(&mut self, number: u64, wire_type: prost::encoding::WireType) {
        let number = u32::try_from(number).unwrap_or_default();
        prost::encoding::encode_key(number, wire_type, &mut self.0);
    }

    fn varint(&mut self, number: u64, value: u64) {
        self.key(number, prost::encoding::WireType::Varint);
        prost::encoding::encode_varint(value, &mut self.0);
    }

    fn bytes(&mut self, number: u64, bytes: &[u8]) {
        self.key(number, prost::encoding::WireType::LengthDelimited);
        prost::encoding::encode_varint(bytes.len() as u64, &mut self.0);
        self.0.extend_from_slice(bytes);
    }
}

type Written = Result<(), std::convert::Infallible>;

impl Fields for Bytes {
    type Error = std::convert::Infallible;

    fn text(&mut self, _: &str, number: u64, slot: &mut Option<String>) -> Written {
        slot.iter().for_each(|text| self.bytes(number, text.as_bytes()));
        Ok(())
    }

    fn texts(&mut self, _: &str, number: u64, slot: &mut Vec<String>) -> Written {
        slot.iter().for_each(|text| self.bytes(number, text.as_bytes()));
        Ok(())
    }

    fn int(&mut self, _: &str, number: u64, slot: &mut Option<i64>) -> Written {
        slot.iter().for_each(|value| self.varint(number, value.cast_unsigned()));
        Ok(())
    }

    fn double(&mut self, _: &str, number: u64, slot: &mut Option<f64>) -> Written {
        if let Some(value) = slot {
            self.key(number, prost::encoding::WireType::SixtyFourBit);
            self.0.extend_from_slice(&value.to_le_bytes());
        }
        Ok(())
    }

    fn float(&mut self, _: &str, number: u64, slot: &mut Option<f32>) -> Written {
        if let Some(value) = slot {
            self.key(number, prost::encoding::WireType::ThirtyTwoBit);
            self.0.extend_from_slice(&value.to_le_bytes());
        }
        Ok(())
    }

    fn flag(&mut self, _: &str, number: u64, slot: &mut Option<bool>) -> Written {
        slot.iter().for_each(|&value| self.varint(number, value.into()));
        Ok(())
    }

    fn word<W: Word>(&mut self, _: &str, number: u64, slot: &mut Option<W>) -> Written {
        let code = W::WORDS.iter().find(|(.., word)| Some(*word) == *slot).map(|(_, code, _)| *code);
        code.iter().for_each(|&code| self.varint(number, i64::from(code).cast_unsigned()));
        Ok(())
    }

    fn message<M: Message>(&mut self, _: &str, number: u64, slot: &mut Option<M>) -> Written {
        slot.iter().for_each(|message| self.bytes(number, &to_bytes(message.clone())));
        Ok(())
    }

    fn messages<M: Message>(&mut self, _: &str, number: u64, slot: &mut Vec<M>) -> Written {
        slot.iter().for_each(|message| self.bytes(number, &to_bytes(message.clone())));
        Ok(())
    }
}
