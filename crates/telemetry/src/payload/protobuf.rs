//! Reads protobuf where it stands: fields as they come, lengths as slices of the payload.
//!
//! Generated types would copy every text and allow a small payload to become a large tree; Sparkplug B and KPL need a
//! handful of fields. Wire format: protobuf.dev, "Encoding". Groups, deprecated and used by neither, are refused.

/// Bytes that are not protobuf, or a field of another type than its schema says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

/// The value of one field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field<'p> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'p [u8]),
    Fixed32(u32),
}

impl<'p> Field<'p> {
    pub(crate) fn varint(self) -> Result<u64, Malformed> {
        if let Self::Varint(value) = self { Ok(value) } else { Err(Malformed) }
    }

    pub(crate) fn bytes(self) -> Result<&'p [u8], Malformed> {
        if let Self::Bytes(bytes) = self { Ok(bytes) } else { Err(Malformed) }
    }

    pub(crate) fn text(self) -> Result<&'p str, Malformed> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Malformed)
    }

    pub(crate) fn float(self) -> Result<f32, Malformed> {
        if let Self::Fixed32(bits) = self { Ok(f32::from_bits(bits)) } else { Err(Malformed) }
    }

    pub(crate) fn double(self) -> Result<f64, Malformed> {
        if let Self::Fixed64(bits) = self { Ok(f64::from_bits(bits)) } else { Err(Malformed) }
    }
}

/// The fields of a message, with their numbers, up to the end or the first malformed one.
#[derive(Debug, Clone)]
pub(crate) struct Fields<'p>(&'p [u8]);

impl<'p> Fields<'p> {
    pub(crate) const fn of(message: &'p [u8]) -> Self {
        Self(message)
    }

    fn varint(&mut self) -> Result<u64, Malformed> {
        const BYTES_MAX: usize = 10;
        let mut value = 0_u64;
        for (index, byte) in self.0.iter().take(BYTES_MAX).enumerate() {
            // The tenth byte has room for one bit only.
            if index + 1 == BYTES_MAX && *byte > 1 {
                return Err(Malformed);
            }
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                self.0 = &self.0[index + 1..];
                return Ok(value);
            }
        }
        Err(Malformed)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (bytes, rest) = self.0.split_first_chunk().ok_or(Malformed)?;
        self.0 = rest;
        Ok(*bytes)
    }

    fn field(&mut self) -> Result<(u32, Field<'p>), Malformed> {
        let key = self.varint()?;
        let number = u32::try_from(key >> 3).map_err(|_| Malformed)?;
        if !(1..1 << 29).contains(&number) {
            return Err(Malformed);
        }
        let field = match key & 7 {
            0 => Field::Varint(self.varint()?),
            1 => Field::Fixed64(u64::from_le_bytes(self.array()?)),
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| Malformed)?;
                let (bytes, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
                self.0 = rest;
                Field::Bytes(bytes)
            }
            5 => Field::Fixed32(u32::from_le_bytes(self.array()?)),
            _ => return Err(Malformed),
        };
        Ok((number, field))
    }
}

impl<'p> Iterator for Fields<'p> {
    type Item = Result<(u32, Field<'p>), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(bytes: &[u8]) -> Result<Vec<(u32, Field<'_>)>, Malformed> {
        Fields::of(bytes).collect()
    }

    #[test]
    fn each_wire_type_is_read() {
        assert_eq!(fields(&[0x08, 0x96, 0x01]), Ok(vec![(1, Field::Varint(150))]));
        assert_eq!(fields(b"\x12\x07testing"), Ok(vec![(2, Field::Bytes(b"testing"))]));
        assert_eq!(fields(&[0x65, 0, 0, 0x80, 0x3f]).unwrap()[0].1.float(), Ok(1.0));
        assert_eq!(fields(&[0x69, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f]).unwrap()[0].1.double(), Ok(1.0));
        let largest = [0x08, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1];
        assert_eq!(fields(&largest), Ok(vec![(1, Field::Varint(u64::MAX))]));
    }

    #[test]
    fn broken_bytes_are_malformed() {
        let overlong = [0x08, 255, 255, 255, 255, 255, 255, 255, 255, 255, 2];
        for bytes in [&[0x08][..], &[0x08, 0x80], &[0x12, 5, 1], &[0x0b], &[0x0e], &[0x00, 1], &[0x65, 0], &overlong] {
            assert_eq!(fields(bytes), Err(Malformed), "{bytes:?}");
        }
    }
}
