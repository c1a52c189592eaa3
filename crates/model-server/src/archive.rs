//! The artifact as SageMaker takes it for all that it does with a model: a tar in gzip, unpacked at `/opt/ml/model`.
//!
//! The artifact as it is would do for an endpoint (`ModelDataSource`), but cannot be used with batch transform (Amazon SageMaker API
//! Reference, `ContainerDefinition`; `CreateTransformJob` refuses the model, aws/sagemaker-python-sdk #4777 and #5160).
//!
//! An archive that was published is never overwritten, so that the same artifact has to make the same bytes in each release. A
//! compressor cuts its blocks where it likes, and its next version elsewhere; therefore they are cut here, and stored: the artifact
//! is compressed already.

use std::io::{self, Write};

use crate::artifact;

/// Name of the object beside the artifact.
pub const FILE_NAME: &str = "model.tar.gz";
/// gzip without time, name or system (RFC 1952, 2.3).
const GZIP_HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
/// Longest stored block (RFC 1951, 3.2.4).
const BLOCK_BYTES_MAX: usize = u16::MAX as usize;
/// Bytes of a block before what it stores.
const BLOCK_HEAD_BYTES: usize = 5;
/// Most that tar has besides the file: its head, its padding and the two empty blocks at the end.
const TAR_BYTES_MAX: usize = 4 * 512;

/// The archive with the artifact as its one file. The same bytes for the same artifact, and one allocation of their size.
///
/// # Errors
/// None that happen: all is written to memory.
pub fn pack(artifact: &[u8]) -> io::Result<Vec<u8>> {
    let mut head = tar::Header::new_ustar();
    head.set_entry_type(tar::EntryType::Regular);
    head.set_path(artifact::FILE_NAME)?;
    head.set_size(artifact.len() as u64);
    head.set_mode(0o644);
    head.set_uid(0);
    head.set_gid(0);
    head.set_mtime(0);
    head.set_cksum();
    let mut tar = tar::Builder::new(Gzip::with_room_for(artifact.len() + TAR_BYTES_MAX));
    tar.append(&head, artifact)?;
    Ok(tar.into_inner()?.finish())
}

/// What is written, in stored blocks.
struct Gzip {
    out: Vec<u8>,
    /// What the next block will store.
    block: Vec<u8>,
    checksum: crc32fast::Hasher,
    bytes: u64,
}

impl Gzip {
    fn with_room_for(bytes: usize) -> Self {
        let blocks = bytes / BLOCK_BYTES_MAX + 1;
        let mut out = Vec::with_capacity(GZIP_HEAD.len() + bytes + blocks * BLOCK_HEAD_BYTES + 8);
        out.extend(GZIP_HEAD);
        Self { out, block: Vec::with_capacity(BLOCK_BYTES_MAX), checksum: crc32fast::Hasher::new(), bytes: 0 }
    }

    fn end_block(&mut self, is_last: bool) {
        let length = self.block.len() as u16;
        self.out.push(u8::from(is_last));
        self.out.extend(length.to_le_bytes());
        self.out.extend((!length).to_le_bytes());
        self.out.append(&mut self.block);
    }

    fn finish(mut self) -> Vec<u8> {
        self.end_block(true);
        self.out.extend(self.checksum.finalize().to_le_bytes());
        // Modulo 2³², as gzip wants it.
        self.out.extend((self.bytes as u32).to_le_bytes());
        self.out
    }
}

impl Write for Gzip {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.block.len() == BLOCK_BYTES_MAX {
            self.end_block(false);
        }
        let taken = &bytes[..bytes.len().min(BLOCK_BYTES_MAX - self.block.len())];
        self.block.extend(taken);
        self.checksum.update(taken);
        self.bytes += taken.len() as u64;
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::GzDecoder;
    use proptest::prelude::*;

    use super::*;

    fn artifact(bytes: usize) -> Vec<u8> {
        (0..bytes).map(|at| (at * 7 % 251) as u8).collect()
    }

    fn archive(artifact: &[u8]) -> Vec<u8> {
        let packed = pack(artifact).unwrap();
        let room = Gzip::with_room_for(artifact.len() + TAR_BYTES_MAX).out.capacity();
        assert_eq!(packed.capacity(), room, "more than one allocation of {room} bytes for {}", packed.len());
        packed
    }

    fn is_what_it_was_made_of(artifact: &[u8]) {
        let packed = archive(artifact);
        let mut files = tar::Archive::new(GzDecoder::new(&*packed));
        let mut files = files.entries().unwrap();
        let mut file = files.next().unwrap().unwrap();
        assert_eq!(&*file.path_bytes(), b"model.millrace");
        let mut found = Vec::new();
        file.read_to_end(&mut found).unwrap();
        assert!(found == artifact, "{} bytes became {}", artifact.len(), found.len());
        assert!(files.next().is_none());
    }

    #[test]
    fn an_archive_has_the_artifact_wherever_its_blocks_end() {
        // Behind a head of 512 bytes and before a padding, so that a block ends in the file, with it and behind it.
        for around in [0, 512, BLOCK_BYTES_MAX - 512, BLOCK_BYTES_MAX, 2 * BLOCK_BYTES_MAX] {
            for bytes in around.saturating_sub(2)..around + 3 {
                is_what_it_was_made_of(&artifact(bytes));
            }
        }
    }

    proptest! {
        #[test]
        fn what_goes_in_comes_out(bytes in 0..200_000_usize) {
            is_what_it_was_made_of(&artifact(bytes));
        }
    }

    /// Archives are compared with those that another release has published.
    #[test]
    fn the_same_artifact_makes_the_same_archive_in_each_release() {
        let packed = archive(&artifact(100_000));
        assert_eq!((packed.len(), crc32fast::hash(&packed)), (101_916, 0x4f07_3310));
    }
}
