//! Thrift's compact protocol, as far as the headers and the footer of a Parquet file need it (Apache Thrift,
//! `thrift-compact-protocol.md`).

/// Types of fields and elements.
pub(super) const I32: u8 = 5;
pub(super) const I64: u8 = 6;
pub(super) const BINARY: u8 = 8;
pub(super) const LIST: u8 = 9;
pub(super) const STRUCT: u8 = 12;

/// Writes the fields of one struct after the other into a buffer that its caller keeps.
pub(super) struct Thrift<'o> {
    out: &'o mut Vec<u8>,
    /// Number of the last field.
    last: u8,
}

impl<'o> Thrift<'o> {
    /// A struct at the end of `out`.
    pub(super) fn new(out: &'o mut Vec<u8>) -> Self {
        Self { out, last: 0 }
    }

    /// Fields are numbered upwards, less than 16 apart.
    fn field(&mut self, id: u8, kind: u8) {
        self.out.push((id - self.last) << 4 | kind);
        self.last = id;
    }

    pub(super) fn i32(&mut self, id: u8, value: i32) {
        self.field(id, I32);
        zigzag(i64::from(value), self.out);
    }

    pub(super) fn i64(&mut self, id: u8, value: i64) {
        self.field(id, I64);
        zigzag(value, self.out);
    }

    pub(super) fn bool(&mut self, id: u8, value: bool) {
        self.field(id, if value { 1 } else { 2 });
    }

    pub(super) fn binary(&mut self, id: u8, value: &[u8]) {
        self.field(id, BINARY);
        binary(value, self.out);
    }

    /// A struct in a field.
    pub(super) fn nested(&mut self, id: u8, write: impl FnOnce(&mut Thrift<'_>)) {
        self.field(id, STRUCT);
        structure(self.out, write);
    }

    /// A list in a field; `write` appends the elements.
    pub(super) fn list(&mut self, id: u8, kind: u8, len: usize, write: impl FnOnce(&mut Vec<u8>)) {
        self.field(id, LIST);
        if len < 15 {
            self.out.push((len as u8) << 4 | kind);
        } else {
            self.out.push(0xf0 | kind);
            varint(len as u64, self.out);
        }
        write(self.out);
    }

    pub(super) fn texts(&mut self, id: u8, texts: &[&str]) {
        self.list(id, BINARY, texts.len(), |out| texts.iter().for_each(|text| binary(text.as_bytes(), out)));
    }

    pub(super) fn numbers(&mut self, id: u8, numbers: &[i32]) {
        self.list(id, I32, numbers.len(), |out| numbers.iter().for_each(|number| zigzag(i64::from(*number), out)));
    }
}

/// Appends a whole struct.
pub(super) fn structure(out: &mut Vec<u8>, write: impl FnOnce(&mut Thrift<'_>)) {
    write(&mut Thrift::new(out));
    out.push(0);
}

fn binary(value: &[u8], out: &mut Vec<u8>) {
    varint(value.len() as u64, out);
    out.extend_from_slice(value);
}

/// Appends an unsigned LEB128 number.
pub(super) fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a signed number, small ones of either sign in few bytes.
pub(super) fn zigzag(value: i64, out: &mut Vec<u8>) {
    varint((value << 1 ^ value >> 63) as u64, out);
}
