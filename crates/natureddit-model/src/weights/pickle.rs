//! A reader of the few pickle opcodes that a state dict is made of. It builds plain values and calls nothing:
//! a global that is not on the list, or an opcode that is not here, is an error.

use std::collections::HashMap;

/// What a pickle may hold here.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    None,
    Bool(bool),
    Int(i64),
    Text(String),
    Global(Global),
    Tuple(Vec<Value>),
    List(Vec<Value>),
    Dict(Vec<(Value, Value)>),
    /// A persistent id: how torch refers to a storage.
    Persistent(Box<Value>),
    /// What `_rebuild_tensor_v2` was called with.
    Tensor(Vec<Value>),
    /// The 10-byte magic number, too long for an integer.
    Long(Vec<u8>),
    Mark,
}

/// The only names a pickle may mention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Global {
    OrderedDict,
    RebuildTensor,
    FloatStorage,
    LongStorage,
}

/// Nesting and size a state dict never reaches.
const STACK_LEN_MAX: usize = 100_000;

/// Reads one pickle from the front of `bytes` and returns the value and what follows it.
pub(super) fn read_pickle(bytes: &[u8]) -> Result<(Value, &[u8]), String> {
    Machine { input: bytes, stack: Vec::new(), memo: HashMap::new() }.run()
}

struct Machine<'a> {
    input: &'a [u8],
    stack: Vec<Value>,
    memo: HashMap<u32, Value>,
}

impl<'a> Machine<'a> {
    fn run(mut self) -> Result<(Value, &'a [u8]), String> {
        loop {
            let opcode = self.take(1)?[0];
            if opcode == b'.' {
                return Ok((self.pop()?, self.input));
            }
            self.step(opcode)?;
            if self.stack.len() > STACK_LEN_MAX {
                return Err("pickle is nested too deeply".to_owned());
            }
        }
    }

    fn step(&mut self, opcode: u8) -> Result<(), String> {
        match opcode {
            0x80 => drop(self.take(1)?),
            b'N' => self.stack.push(Value::None),
            0x88 => self.stack.push(Value::Bool(true)),
            0x89 => self.stack.push(Value::Bool(false)),
            b'K' => {
                let value = self.take(1)?[0];
                self.stack.push(Value::Int(i64::from(value)));
            }
            b'M' => {
                let value = u16::from_le_bytes(self.array()?);
                self.stack.push(Value::Int(i64::from(value)));
            }
            b'J' => {
                let value = i32::from_le_bytes(self.array()?);
                self.stack.push(Value::Int(i64::from(value)));
            }
            0x8a => {
                let length = usize::from(self.take(1)?[0]);
                let digits = self.take(length)?.to_vec();
                self.stack.push(long(digits));
            }
            b'X' => {
                let length = u32::from_le_bytes(self.array()?) as usize;
                let text = std::str::from_utf8(self.take(length)?).map_err(|e| e.to_string())?.to_owned();
                self.stack.push(Value::Text(text));
            }
            b'c' => self.global()?,
            b'Q' => {
                let id = self.pop()?;
                self.stack.push(Value::Persistent(Box::new(id)));
            }
            b'q' | b'r' | b'h' | b'j' => self.memo_step(opcode)?,
            _ => self.container_step(opcode)?,
        }
        Ok(())
    }

    fn memo_step(&mut self, opcode: u8) -> Result<(), String> {
        let key = match opcode {
            b'q' | b'h' => u32::from(self.take(1)?[0]),
            _ => u32::from_le_bytes(self.array()?),
        };
        if matches!(opcode, b'q' | b'r') {
            let top = self.stack.last().ok_or("memo of an empty stack")?.clone();
            self.memo.insert(key, top);
        } else {
            self.stack.push(self.memo.get(&key).ok_or_else(|| format!("memo {key} was never set"))?.clone());
        }
        Ok(())
    }

    fn container_step(&mut self, opcode: u8) -> Result<(), String> {
        match opcode {
            b'(' => self.stack.push(Value::Mark),
            b')' => self.stack.push(Value::Tuple(Vec::new())),
            b']' => self.stack.push(Value::List(Vec::new())),
            b'}' => self.stack.push(Value::Dict(Vec::new())),
            b't' => {
                let items = self.pop_to_mark()?;
                self.stack.push(Value::Tuple(items));
            }
            0x85..=0x87 => {
                let at = self.stack.len().checked_sub(usize::from(opcode - 0x84)).ok_or("tuple of an empty stack")?;
                let items = self.stack.split_off(at);
                self.stack.push(Value::Tuple(items));
            }
            b'e' => {
                let mut items = self.pop_to_mark()?;
                match self.stack.last_mut() {
                    Some(Value::List(list)) => list.append(&mut items),
                    other => return Err(format!("APPENDS to {other:?}")),
                }
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.set_items(vec![key, value])?;
            }
            b'u' => {
                let items = self.pop_to_mark()?;
                self.set_items(items)?;
            }
            b'R' => self.reduce()?,
            // The state of an OrderedDict is its version metadata, of no use here.
            b'b' => drop(self.pop()?),
            other => return Err(format!("opcode {other:#04x} is not allowed in a weights file")),
        }
        Ok(())
    }

    fn set_items(&mut self, items: Vec<Value>) -> Result<(), String> {
        let Some(Value::Dict(dict)) = self.stack.last_mut() else {
            return Err("SETITEMS on something that is no dict".to_owned());
        };
        let mut items = items.into_iter();
        while let (Some(key), Some(value)) = (items.next(), items.next()) {
            dict.push((key, value));
        }
        Ok(())
    }

    fn global(&mut self) -> Result<(), String> {
        let (module, name) = (self.line()?, self.line()?);
        let global = match (module.as_str(), name.as_str()) {
            ("collections", "OrderedDict") => Global::OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2") => Global::RebuildTensor,
            ("torch", "FloatStorage") => Global::FloatStorage,
            ("torch", "LongStorage") => Global::LongStorage,
            _ => return Err(format!("global {module}.{name} is not allowed in a weights file")),
        };
        self.stack.push(Value::Global(global));
        Ok(())
    }

    fn reduce(&mut self) -> Result<(), String> {
        let (arguments, callee) = (self.pop()?, self.pop()?);
        let made = match (callee, arguments) {
            (Value::Global(Global::OrderedDict), Value::Tuple(a)) if a.is_empty() => Value::Dict(Vec::new()),
            (Value::Global(Global::RebuildTensor), Value::Tuple(a)) => Value::Tensor(a),
            (callee, _) => return Err(format!("call of {callee:?} is not allowed in a weights file")),
        };
        self.stack.push(made);
        Ok(())
    }

    fn line(&mut self) -> Result<String, String> {
        let end = self.input.iter().position(|&b| b == b'\n').ok_or("name without an end")?;
        let line = std::str::from_utf8(self.take(end)?).map_err(|e| e.to_string())?.to_owned();
        self.take(1)?;
        Ok(line)
    }

    fn pop(&mut self) -> Result<Value, String> {
        self.stack.pop().ok_or_else(|| "empty stack".to_owned())
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Value>, String> {
        let mark = self.stack.iter().rposition(|v| *v == Value::Mark).ok_or("no mark on the stack")?;
        let items = self.stack.split_off(mark + 1);
        self.stack.pop();
        Ok(items)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], String> {
        let (taken, rest) = self.input.split_at_checked(length).ok_or("the file ends in the middle of a pickle")?;
        self.input = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }
}

/// A little-endian two's-complement number of any length, an integer where it fits.
fn long(digits: Vec<u8>) -> Value {
    if digits.len() > 8 {
        return Value::Long(digits);
    }
    let sign = if digits.last().is_some_and(|&top| top >= 0x80) { 0xff } else { 0 };
    let mut bytes = [sign; 8];
    bytes[..digits.len()].copy_from_slice(&digits);
    Value::Int(i64::from_le_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_call_to_anything_else_is_refused() {
        let attack = b"\x80\x02cposix\nsystem\nq\x00X\x02\x00\x00\x00idq\x01\x85q\x02R.";
        let error = read_pickle(attack).unwrap_err();
        assert_eq!(error, "global posix.system is not allowed in a weights file");
    }

    #[test]
    fn plain_values_are_read_and_the_rest_is_returned() {
        let (value, rest) = read_pickle(b"\x80\x02]q\x00(K\x01M\x00\x01J\xff\xff\xff\xffe.after").unwrap();
        assert_eq!(value, Value::List(vec![Value::Int(1), Value::Int(256), Value::Int(-1)]));
        assert_eq!(rest, b"after");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read_pickle(&bytes);
        }
    }
}
