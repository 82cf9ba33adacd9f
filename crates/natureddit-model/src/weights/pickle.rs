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

/// How deep a state dict's values lie in each other, and more; what is deeper would be dropped by as deep a recursion.
const DEPTH_MAX: usize = 16;
/// What the values of a state dict never take, in bytes, copies through the memo included: a few bytes of a hostile file
/// can ask for copies of copies without end.
const BYTES_MAX: usize = 64 << 20;

/// Reads one pickle from the front of `bytes` and returns the value and what follows it.
pub(super) fn read_pickle(bytes: &[u8]) -> Result<(Value, &[u8]), String> {
    Machine { input: bytes, stack: Vec::new(), memo: HashMap::new(), bytes_left: BYTES_MAX }.run()
}

struct Machine<'a> {
    input: &'a [u8],
    stack: Vec<Value>,
    memo: HashMap<u32, Value>,
    bytes_left: usize,
}

impl<'a> Machine<'a> {
    fn run(mut self) -> Result<(Value, &'a [u8]), String> {
        loop {
            let opcode = self.take(1)?[0];
            if opcode == b'.' {
                return Ok((self.pop()?, self.input));
            }
            self.step(opcode)?;
        }
    }

    /// Puts a new value on the stack; what is in it was paid for.
    fn push(&mut self, value: Value) -> Result<(), String> {
        let own = size_of::<Value>() + if let Value::Text(text) = &value { text.len() } else { 0 };
        self.pay(own)?;
        self.stack.push(value);
        Ok(())
    }

    fn pay(&mut self, bytes: usize) -> Result<(), String> {
        self.bytes_left = self.bytes_left.checked_sub(bytes).ok_or("the pickle is too large for a weights file")?;
        Ok(())
    }

    fn copy(&mut self, value: &Value) -> Result<Value, String> {
        self.pay(measure(value, DEPTH_MAX)?)?;
        Ok(value.clone())
    }

    fn step(&mut self, opcode: u8) -> Result<(), String> {
        match opcode {
            0x80 => drop(self.take(1)?),
            b'N' => self.push(Value::None)?,
            0x88 => self.push(Value::Bool(true))?,
            0x89 => self.push(Value::Bool(false))?,
            b'K' => {
                let value = self.take(1)?[0];
                self.push(Value::Int(i64::from(value)))?;
            }
            b'M' => {
                let value = u16::from_le_bytes(self.array()?);
                self.push(Value::Int(i64::from(value)))?;
            }
            b'J' => {
                let value = i32::from_le_bytes(self.array()?);
                self.push(Value::Int(i64::from(value)))?;
            }
            0x8a => {
                let length = usize::from(self.take(1)?[0]);
                let digits = self.take(length)?.to_vec();
                self.push(long(digits))?;
            }
            b'X' => {
                let length = u32::from_le_bytes(self.array()?) as usize;
                let text = std::str::from_utf8(self.take(length)?).map_err(|e| e.to_string())?.to_owned();
                self.push(Value::Text(text))?;
            }
            b'c' => self.global()?,
            b'Q' => {
                let id = self.pop()?;
                measure(&id, DEPTH_MAX - 1)?;
                self.push(Value::Persistent(Box::new(id)))?;
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
            let top = self.pop()?;
            let copy = self.copy(&top)?;
            self.stack.push(top);
            self.memo.insert(key, copy);
        } else {
            let kept = self.memo.remove(&key).ok_or_else(|| format!("memo {key} was never set"))?;
            let copy = self.copy(&kept)?;
            self.memo.insert(key, kept);
            self.stack.push(copy);
        }
        Ok(())
    }

    fn container_step(&mut self, opcode: u8) -> Result<(), String> {
        match opcode {
            b'(' => self.push(Value::Mark)?,
            b')' => self.push(Value::Tuple(Vec::new()))?,
            b']' => self.push(Value::List(Vec::new()))?,
            b'}' => self.push(Value::Dict(Vec::new()))?,
            b't' => {
                let items = self.pop_to_mark()?;
                self.push(Value::Tuple(enclosed(items)?))?;
            }
            0x85..=0x87 => {
                let at = self.stack.len().checked_sub(usize::from(opcode - 0x84)).ok_or("tuple of an empty stack")?;
                let items = self.stack.split_off(at);
                self.push(Value::Tuple(enclosed(items)?))?;
            }
            b'a' => {
                let item = self.pop()?;
                self.append(vec![item])?;
            }
            b'e' => {
                let items = self.pop_to_mark()?;
                self.append(items)?;
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

    fn append(&mut self, items: Vec<Value>) -> Result<(), String> {
        let Some(Value::List(list)) = self.stack.last_mut() else {
            return Err("APPENDS to something that is no list".to_owned());
        };
        list.append(&mut enclosed(items)?);
        Ok(())
    }

    fn set_items(&mut self, items: Vec<Value>) -> Result<(), String> {
        let Some(Value::Dict(dict)) = self.stack.last_mut() else {
            return Err("SETITEMS on something that is no dict".to_owned());
        };
        let mut items = enclosed(items)?.into_iter();
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
        self.push(Value::Global(global))
    }

    fn reduce(&mut self) -> Result<(), String> {
        let (arguments, callee) = (self.pop()?, self.pop()?);
        let made = match (callee, arguments) {
            (Value::Global(Global::OrderedDict), Value::Tuple(a)) if a.is_empty() => Value::Dict(Vec::new()),
            (Value::Global(Global::RebuildTensor), Value::Tuple(a)) => Value::Tensor(a),
            _ => return Err("a call of something else than a tensor is not allowed in a weights file".to_owned()),
        };
        self.push(made)
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
        let mark = self.stack.iter().rposition(|value| matches!(value, Value::Mark)).ok_or("no mark on the stack")?;
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

/// Items that may lie in another value.
fn enclosed(items: Vec<Value>) -> Result<Vec<Value>, String> {
    items.iter().try_for_each(|item| measure(item, DEPTH_MAX - 1).map(|_| ()))?;
    Ok(items)
}

/// How many bytes a value takes; an error when it is more than `depth_max` deep.
fn measure(value: &Value, depth_max: usize) -> Result<usize, String> {
    let below = depth_max.checked_sub(1).ok_or("the pickle is nested too deeply")?;
    let inner = |items: &[Value]| items.iter().try_fold(0, |sum, item| Ok::<_, String>(sum + measure(item, below)?));
    let content = match value {
        Value::Text(text) => text.len(),
        Value::Long(digits) => digits.len(),
        Value::Tuple(items) | Value::List(items) | Value::Tensor(items) => inner(items)?,
        Value::Persistent(id) => measure(id, below)?,
        Value::Dict(items) => items
            .iter()
            .try_fold(0, |sum, (key, value)| Ok::<_, String>(sum + measure(key, below)? + measure(value, below)?))?,
        Value::None | Value::Bool(_) | Value::Int(_) | Value::Global(_) | Value::Mark => 0,
    };
    Ok(size_of::<Value>() + content)
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

    #[test]
    fn a_list_of_one_is_appended_to_without_a_mark() {
        let (value, _) = read_pickle(b"\x80\x02]q\x00K\x07a.").unwrap();
        assert_eq!(value, Value::List(vec![Value::Int(7)]));
    }

    /// Dropping such a value would overflow the stack.
    #[test]
    fn values_in_values_without_end_are_refused() {
        let tuples = [b")".as_slice(), &[0x85; 1_000_000], b"."].concat();
        let ids = [b")".as_slice(), &[b'Q'; 1_000_000], b"."].concat();
        let lists = [vec![b']'; 100_000], vec![b'a'; 99_999], vec![b'.']].concat();
        for file in [tuples, ids, lists] {
            assert_eq!(read_pickle(&file).unwrap_err(), "the pickle is nested too deeply");
        }
    }

    /// Each round doubles a list, or copies a long text: a kilobyte of file would fill the memory.
    #[test]
    fn copies_of_copies_are_refused() {
        let doubled = [b"](K\x01K\x01e".as_slice(), &b"q\x00(h\x00h\x00t".repeat(10), b"."].concat();
        assert!(read_pickle(&doubled).is_ok());
        let wide = [b"(".as_slice(), &b"K\x01".repeat(100_000), b"tq\x00(", &b"h\x00".repeat(100_000), b"t."].concat();
        let text = [b"X\0\0\x10\0".as_slice(), &[b'a'; 1 << 20], b"q\x00(", &b"h\x00".repeat(1000), b"t."].concat();
        for file in [wide, text] {
            assert_eq!(read_pickle(&file).unwrap_err(), "the pickle is too large for a weights file");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read_pickle(&bytes);
        }
    }
}
