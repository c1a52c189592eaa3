//! Whether the footer and the page headers of a Parquet file are what the format says, before the library reads them.
//!
//! The library (60.1) does not look whether a field has the type that it reads there, reserves the memory that a length
//! claims, and steps over a list of booleans one by one without moving on in the file: 24 KB can hold a process for
//! hours, or end it. What passes here has only known fields, each of its type, no list of more elements than there are
//! bytes, and pages that together unpack to no more than the caller has room for.

use std::ops::Range;

use super::thrift::{BINARY, I32, I64, LIST, STRUCT};

/// What a struct of `parquet.thrift` holds in the field of a number.
type Fields = &'static [(u8, Kind)];

/// What a field holds. Elements of lists are numbers, texts and structs; no list of the format's footer has booleans.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Bool,
    Byte,
    I16,
    I32,
    I64,
    Binary,
    /// At most so many elements.
    List(u64, &'static Kind),
    Struct(Fields),
}

use Kind::{Binary, Bool, Byte, I16, I32 as Int, I64 as Long, List, Struct};

/// As many as the bytes hold.
const MANY: u64 = u64::MAX;

const EMPTY: Kind = Struct(&[]);

const FILE: Fields = &[
    (1, Int),
    (2, List(ELEMENTS_OF_SCHEMA_MAX, &Struct(SCHEMA_ELEMENT))),
    (3, Long),
    (4, List(ROW_GROUPS_MAX, &Struct(ROW_GROUP))),
    (5, List(MANY, &Struct(KEY_VALUE))),
    (6, Binary),
    (7, List(MANY, &Struct(&[(1, EMPTY), (2, EMPTY)]))),
];

const SCHEMA_ELEMENT: Fields = &[
    (1, Int),
    (2, Int),
    (3, Int),
    (4, Binary),
    (5, Int),
    (6, Int),
    (7, Int),
    (8, Int),
    (9, Int),
    (10, Struct(LOGICAL_TYPE)),
];

const TIME: Kind = Struct(&[(1, Bool), (2, Struct(&[(1, EMPTY), (2, EMPTY), (3, EMPTY)]))]);

const LOGICAL_TYPE: Fields = &[
    (1, EMPTY),
    (2, EMPTY),
    (3, EMPTY),
    (4, EMPTY),
    (5, Struct(&[(1, Int), (2, Int)])),
    (6, EMPTY),
    (7, TIME),
    (8, TIME),
    (10, Struct(&[(1, Byte), (2, Bool)])),
    (11, EMPTY),
    (12, EMPTY),
    (13, EMPTY),
    (14, EMPTY),
    (15, EMPTY),
];

const KEY_VALUE: Fields = &[(1, Binary), (2, Binary)];

const ROW_GROUP: Fields = &[
    (1, List(MANY, &Struct(COLUMN_CHUNK))),
    (2, Long),
    (3, Long),
    (4, List(MANY, &Struct(&[(1, Int), (2, Bool), (3, Bool)]))),
    (5, Long),
    (6, Long),
    (7, I16),
];

const COLUMN_CHUNK: Fields =
    &[(1, Binary), (2, Long), (3, Struct(COLUMN_METADATA)), (4, Long), (5, Int), (6, Long), (7, Int)];

const COLUMN_METADATA: Fields = &[
    (1, Int),
    (2, List(MANY, &Int)),
    (3, List(MANY, &Binary)),
    (4, Int),
    (5, Long),
    (6, Long),
    (7, Long),
    (8, List(MANY, &Struct(KEY_VALUE))),
    (9, Long),
    (10, Long),
    (11, Long),
    (12, Struct(STATISTICS)),
    (13, List(MANY, &Struct(&[(1, Int), (2, Int), (3, Int)]))),
    (14, Long),
    (15, Int),
    (16, Struct(&[(1, Long), (2, List(MANY, &Long)), (3, List(MANY, &Long))])),
];

const STATISTICS: Fields =
    &[(1, Binary), (2, Binary), (3, Long), (4, Long), (5, Binary), (6, Binary), (7, Bool), (8, Bool), (9, Long)];

const PAGE_HEADER: Fields = &[
    (1, Int),
    (UNPACKED, Int),
    (PACKED, Int),
    (4, Int),
    (5, Struct(&[(1, Int), (2, Int), (3, Int), (4, Int), (5, Struct(STATISTICS))])),
    (6, EMPTY),
    (7, Struct(&[(1, Int), (2, Int), (3, Bool)])),
    (8, Struct(&[(1, Int), (2, Int), (3, Int), (4, Int), (5, Int), (6, Int), (7, Bool), (8, Struct(STATISTICS))])),
];

/// Fields of a page's header: how long the page is when unpacked, and in the file.
const UNPACKED: u8 = 2;
const PACKED: u8 = 3;

/// More columns than a silver file will have; the library descends once for each.
const ELEMENTS_OF_SCHEMA_MAX: u64 = 256;

/// More groups of rows than any writer makes of one object; the library keeps half a kilobyte for each column of each.
const ROW_GROUPS_MAX: u64 = 4096;

/// Length of the footer, and the magic number, at the end of a file.
const TAIL_BYTES: usize = 8;

/// Why the bytes are not what the format says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Misshapen {
    /// It does not begin and end as a Parquet file does, or ends before its footer begins.
    #[error("it is no whole Parquet file: it does not end with a footer and `PAR1`")]
    NoFooter,
    /// A header or a footer goes on where the file or the column ends.
    #[error("a header at byte {at} goes on past its end")]
    Ends {
        /// Counted from the beginning of the file.
        at: usize,
    },
    /// A field that the format does not have, or of another type than it has there.
    #[error("byte {at}: no field of this number and type belongs here")]
    Field {
        /// Counted from the beginning of the file.
        at: usize,
    },
    /// A list of other elements than the format has there, or of more than can follow.
    #[error("byte {at}: a list of {len} such elements cannot stand here")]
    Elements {
        /// Counted from the beginning of the file.
        at: usize,
        /// How many the list claims.
        len: u64,
    },
    /// A number of more than ten bytes.
    #[error("byte {at}: a number does not end")]
    Number {
        /// Counted from the beginning of the file.
        at: usize,
    },
    /// A page of a negative size.
    #[error("the page at byte {at} has a negative size")]
    Page {
        /// Counted from the beginning of the file.
        at: usize,
    },
}

/// Checks the footer of a whole file.
pub(super) fn footer(file: &[u8]) -> Result<(), Misshapen> {
    let body = file.strip_suffix(b"PAR1").filter(|_| file.starts_with(b"PAR1") && file.len() > TAIL_BYTES);
    let Some((body, len)) = body.and_then(|body| body.split_last_chunk::<4>()) else { return Err(Misshapen::NoFooter) };
    let len = u32::from_le_bytes(*len) as usize;
    let start = body.len().checked_sub(len).ok_or(Misshapen::NoFooter)?;
    Walk { bytes: body, at: start }.fields(FILE, &mut |_, _| {})
}

/// Checks the headers of the pages at `chunk`, and tells how many bytes they and the pages unpack to.
pub(super) fn pages(file: &[u8], chunk: Range<usize>) -> Result<u64, Misshapen> {
    let bytes = file.get(..chunk.end).ok_or(Misshapen::Ends { at: file.len() })?;
    let mut walk = Walk { bytes, at: chunk.start };
    let mut unpacked = 0_u64;
    while walk.at < bytes.len() {
        let at = walk.at;
        let (mut whole, mut packed) = (0, 0);
        walk.fields(PAGE_HEADER, &mut |field, value| match field {
            UNPACKED => whole = value,
            PACKED => packed = value,
            _ => {}
        })?;
        let negative = |_| Misshapen::Page { at };
        unpacked = unpacked.saturating_add((walk.at - at) as u64);
        unpacked = unpacked.saturating_add(u64::try_from(whole).map_err(negative)?);
        walk.skip(u64::try_from(packed).map_err(negative)?)?;
    }
    Ok(unpacked)
}

struct Walk<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl Walk<'_> {
    fn byte(&mut self) -> Result<u8, Misshapen> {
        let byte = *self.bytes.get(self.at).ok_or(Misshapen::Ends { at: self.at })?;
        self.at += 1;
        Ok(byte)
    }

    fn skip(&mut self, bytes: u64) -> Result<(), Misshapen> {
        let left = self.bytes.len().saturating_sub(self.at);
        let bytes = usize::try_from(bytes).ok().filter(|bytes| *bytes <= left);
        self.at += bytes.ok_or(Misshapen::Ends { at: self.at })?;
        Ok(())
    }

    fn varint(&mut self) -> Result<u64, Misshapen> {
        let at = self.at;
        let mut value = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Misshapen::Number { at })
    }

    fn number(&mut self) -> Result<i64, Misshapen> {
        let zigzag = self.varint()?;
        Ok((zigzag >> 1) as i64 ^ -((zigzag & 1) as i64))
    }

    /// Walks over a struct and tells of the numbers in it that are fields of its own.
    fn fields(&mut self, fields: Fields, seen: &mut dyn FnMut(u8, i64)) -> Result<(), Misshapen> {
        let mut last = 0_u8;
        loop {
            let at = self.at;
            let head = self.byte()?;
            if head == 0 {
                return Ok(());
            }
            // A step of 0 announces a number of two bytes, which no field of the format needs.
            let step = head >> 4;
            let id = last.checked_add(step).filter(|_| step > 0).ok_or(Misshapen::Field { at })?;
            let kind = fields.iter().find(|(known, kind)| *known == id && kind.is(head & 0xf));
            let (_, kind) = kind.ok_or(Misshapen::Field { at })?;
            if let Some(number) = self.value(*kind)? {
                seen(id, number);
            }
            last = id;
        }
    }

    /// Walks over a value and gives it if it is a number.
    fn value(&mut self, kind: Kind) -> Result<Option<i64>, Misshapen> {
        match kind {
            // Its value is its type.
            Bool => {}
            Byte => self.skip(1)?,
            I16 | Int | Long => return self.number().map(Some),
            Binary => {
                let bytes = self.varint()?;
                self.skip(bytes)?;
            }
            List(most, element) => self.list(most, *element)?,
            Struct(fields) => self.fields(fields, &mut |_, _| {})?,
        }
        Ok(None)
    }

    fn list(&mut self, most: u64, element: Kind) -> Result<(), Misshapen> {
        let at = self.at;
        let head = self.byte()?;
        // Some writers give an empty list no type.
        if head == 0 {
            return Ok(());
        }
        let len = if head >> 4 == 15 { self.varint()? } else { u64::from(head >> 4) };
        let left = self.bytes.len().saturating_sub(self.at) as u64;
        if !element.is(head & 0xf) || len > left.min(most) {
            return Err(Misshapen::Elements { at, len });
        }
        for _ in 0..len {
            self.value(element)?;
        }
        Ok(())
    }
}

impl Kind {
    /// Whether this is the type of Thrift's number `wire`.
    const fn is(self, wire: u8) -> bool {
        match self {
            Bool => matches!(wire, 1 | 2),
            Byte => wire == 3,
            I16 => wire == 4,
            Int => wire == I32,
            Long => wire == I64,
            Binary => wire == BINARY,
            List(..) => wire == LIST,
            Struct(_) => wire == STRUCT,
        }
    }
}
