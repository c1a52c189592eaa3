//! An environment in AWS, and places in S3: buckets as objects, tables as items, and DynamoDB's own export.
//!
//! One verb a call or a page; what is done with them is decided elsewhere.

mod bucket;
mod export;
mod tables;
mod value;

use account::{Kind, Trouble};
use platform::ports::{StoreError, StoreErrorKind};

pub use bucket::Bucket;
pub use export::Exports;
pub use tables::Tables;

/// The meaning of a refusal.
fn failed(trouble: Trouble) -> StoreError {
    let kind = match trouble.kind {
        Kind::Transient => StoreErrorKind::Unavailable,
        Kind::Missing | Kind::AlreadyThere | Kind::Forbidden | Kind::Refused => StoreErrorKind::Permanent,
    };
    let remedy = match trouble.kind {
        Kind::Forbidden => format!("{}; docs/operations/backup.md lists what has to be allowed", trouble.message),
        _ => trouble.message.clone(),
    };
    let (verb, target) = (trouble.action, trouble.subject.clone());
    StoreError { kind, verb, target, remedy, source: Some(Box::new(trouble)) }
}
