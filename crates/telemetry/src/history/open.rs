//! What a file or folder is, by its first bytes or its names.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use super::csv::CsvRows;
use super::error::{HistoryError, Problem};
use super::lake::LakeRows;
use super::ndjson::NdjsonRows;
use super::{Defaults, Form, Source};
use crate::sequence::DIGITS;

/// How much of a file is looked at: the longest header, and more.
const START_BYTES: usize = 64 << 10;

const BRONZE_OBJECT: &str = ".ndjson.zst";
const SILVER_OBJECT: &str = ".parquet";

/// Byte order mark, which spreadsheets write before UTF-8.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// Opens what `path` names.
pub(super) fn source(path: &Path, defaults: &Defaults<'_>) -> Result<Source, HistoryError> {
    let io = |error: std::io::Error| HistoryError::of(path, error.into());
    if fs::metadata(path).map_err(io)?.is_dir() {
        return folder(path, defaults);
    }
    let mut input = BufReader::with_capacity(START_BYTES, File::open(path).map_err(io)?);
    if input.fill_buf().map_err(io)?.starts_with(MARK) {
        input.consume(MARK.len());
    }
    let start = input.fill_buf().map_err(io)?;
    let object = |form| Ok(Source::Lake(LakeRows::new(path, form, vec![path.to_owned()], defaults)));
    match start {
        [0x28, 0xb5, 0x2f, 0xfd, ..] => return object(Form::Bronze),
        [b'P', b'A', b'R', b'1', ..] => return object(Form::Silver),
        start if is_bronze(start) => return object(Form::Bronze),
        _ => {}
    }
    if let Some((found, remedy)) = foreign(start) {
        return Err(HistoryError::of(path, Problem::Foreign { found, remedy }));
    }
    match start.trim_ascii_start().first() {
        None => Err(HistoryError::of(path, Problem::Empty)),
        Some(b'{' | b'[') => Ok(Source::Ndjson(NdjsonRows::open(path, input, defaults))),
        Some(_) => Ok(Source::Csv(CsvRows::open(path, input, defaults)?)),
    }
}

/// Whether this begins as a line of bronze does.
fn is_bronze(start: &[u8]) -> bool {
    let rest = start.strip_prefix(b"{\"seq\":\"").and_then(|rest| rest.split_at_checked(DIGITS));
    rest.is_some_and(|(seq, rest)| seq.iter().all(u8::is_ascii_digit) && rest.starts_with(b"\",\"arrived\":"))
}

/// What people try that is not read here, and what to do with it.
fn foreign(start: &[u8]) -> Option<(&'static str, &'static str)> {
    let line = start.trim_ascii_start().split(|byte| *byte == b'\n').next().unwrap_or_default().trim_ascii_end();
    match start {
        [0x1f, 0x8b, ..] => Some(("gzip", "unpack it first")),
        [b'P', b'K', 3, 4, ..] => Some(("a zip archive or a spreadsheet", "unpack it, or save it as CSV")),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Some(("UTF-16", "save it as UTF-8")),
        _ if start.contains(&0) => Some(("a binary file of an unknown kind", "give CSV, NDJSON, Parquet or bronze")),
        _ if matches!(line, [b'{' | b'[', ..]) && line.len() < start.len() && !matches!(line, [.., b'}' | b']']) => {
            Some(("one JSON value over many lines", "write one payload a line"))
        }
        _ => None,
    }
}

/// The folder of a lake, or one of its folders.
fn folder(path: &Path, defaults: &Defaults<'_>) -> Result<Source, HistoryError> {
    let layer = path.join("bronze");
    let root = if layer.is_dir() { layer.as_path() } else { path };
    let mut objects = Vec::new();
    collect(root, &mut objects).map_err(|error| HistoryError::of(root, error.into()))?;
    objects.sort();
    let silver = objects.iter().filter(|object| has_end(object, SILVER_OBJECT)).count();
    let form = match (objects.len(), silver) {
        (0, _) => return Err(HistoryError::of(path, Problem::NoObjects)),
        (_, 0) => Form::Bronze,
        (all, silver) if all == silver => Form::Silver,
        _ => return Err(HistoryError::of(path, Problem::TwoLayers)),
    };
    Ok(Source::Lake(LakeRows::new(path, form, objects, defaults)))
}

/// The objects below a folder. Links to folders are not followed, so this ends.
fn collect(folder: &Path, objects: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            // Its lines look like bronze and are what bronze could not become.
            if entry.file_name() != "quarantine" {
                collect(&path, objects)?;
            }
        } else if has_end(&path, BRONZE_OBJECT) || has_end(&path, SILVER_OBJECT) {
            objects.push(path);
        }
    }
    Ok(())
}

fn has_end(path: &Path, end: &str) -> bool {
    path.to_str().is_some_and(|path| path.ends_with(end))
}
