//! Who lived in a data directory, without starting etcd.

use std::fs;
use std::io::{self, Read as _};
use std::path::Path;

use crate::{ClusterId, DataDir, MemberId};

/// How much of a log file is read: its head holds the identity within the first hundred bytes.
const HEAD: u64 = 4096;

/// Looks at a data directory (`data/etcd` of the stack directory). Reads a few kilobytes, changes nothing.
pub fn inspect(data_dir: &Path) -> DataDir {
    look(data_dir).unwrap_or_else(|error| DataDir::Unknown { reason: format!("{}: {error}", data_dir.display()) })
}

fn look(data_dir: &Path) -> io::Result<DataDir> {
    let Some(mut logs) = names(&data_dir.join("member/wal"))? else {
        // somebody else's files in the folder are not etcd's business
        let remains = names(&data_dir.join("member"))?.is_some_and(|found| !found.is_empty());
        return Ok(if remains { DataDir::Remains } else { DataDir::Empty });
    };
    logs.retain(|name| name.strip_suffix(".wal").is_some());
    logs.sort();
    if logs.is_empty() {
        return Ok(DataDir::Remains);
    }
    // Every log file begins with the identity, so the first readable one will do.
    let mut identity = None;
    for name in &logs {
        let mut head = Vec::new();
        fs::File::open(data_dir.join("member/wal").join(name))?.take(HEAD).read_to_end(&mut head)?;
        identity = identity.or_else(|| identity_of_wal(&head));
    }
    Ok(DataDir::Initialised {
        member_id: identity.map(|(_, member)| member),
        cluster_id: identity.map(|(cluster, _)| cluster),
    })
}

/// The file names in a folder; `None` where there is no such folder.
fn names(folder: &Path) -> io::Result<Option<Vec<String>>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    entries
        .map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()))
        .collect::<io::Result<_>>()
        .map(Some)
}

/// Cluster and member id from the head of a write-ahead log file; `None` where it is something else.
///
/// The file is a row of frames: eight bytes little-endian (the low 56 bits are the record's
/// length, the top byte its padding), then a protobuf record `{1: type, 2: crc, 3: data}`. The
/// first record of type 1 holds `{1: member id, 2: cluster id}`.
pub fn identity_of_wal(bytes: &[u8]) -> Option<(ClusterId, MemberId)> {
    const METADATA: u64 = 1;
    let mut rest = bytes;
    loop {
        let (head, tail) = rest.split_first_chunk::<8>()?;
        let frame = u64::from_le_bytes(*head);
        let length = usize::try_from(frame & ((1 << 56) - 1)).ok()?;
        let padding = if frame >> 63 == 1 { usize::try_from((frame >> 56) & 7).ok()? } else { 0 };
        let record = tail.get(..length).filter(|record| !record.is_empty())?;
        let fields = Fields(record);
        if fields.number(1)? == METADATA {
            let metadata = Fields(fields.bytes(3)?);
            return Some((ClusterId(metadata.number(2)?), MemberId(metadata.number(1)?)));
        }
        rest = tail.get(length + padding..)?;
    }
}

/// The fields of a protobuf message, read over again for each question.
#[derive(Clone, Copy)]
struct Fields<'a>(&'a [u8]);

enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

impl<'a> Fields<'a> {
    fn number(self, wanted: u64) -> Option<u64> {
        self.find(wanted).and_then(|value| if let Value::Number(number) = value { Some(number) } else { None })
    }

    fn bytes(self, wanted: u64) -> Option<&'a [u8]> {
        self.find(wanted).and_then(|value| if let Value::Bytes(bytes) = value { Some(bytes) } else { None })
    }

    fn find(self, wanted: u64) -> Option<Value<'a>> {
        let mut rest = self.0;
        while !rest.is_empty() {
            let tag = varint(&mut rest)?;
            let value = match tag & 7 {
                0 => Value::Number(varint(&mut rest)?),
                2 => {
                    let length = usize::try_from(varint(&mut rest)?).ok()?;
                    let (bytes, tail) = rest.split_at_checked(length)?;
                    rest = tail;
                    Value::Bytes(bytes)
                }
                _ => return None,
            };
            if tag >> 3 == wanted {
                return Some(value);
            }
        }
        None
    }
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, tail) = rest.split_first()?;
        *rest = tail;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The head of a log that etcd 3.5.16 wrote: a checksum record, then the identity.
    const REAL: &[u8] = &[
        0x04, 0, 0, 0, 0, 0, 0, 0x84, 0x08, 0x04, 0x10, 0, 0, 0, 0, 0, 0x1f, 0, 0, 0, 0, 0, 0, 0x81, 0x08, 0x01, 0x10,
        0xd5, 0x88, 0x9a, 0xb2, 0x03, 0x1a, 0x15, 0x08, 0xad, 0x9a, 0xcf, 0xd2, 0xb2, 0x86, 0xba, 0xac, 0x39, 0x10,
        0x9d, 0xb8, 0xf1, 0xbb, 0xd9, 0x8c, 0xc1, 0xd9, 0x91, 0x01, 0, 0x0e, 0, 0, 0, 0, 0, 0, 0x82,
    ];

    #[test]
    fn a_real_log_names_its_cluster_and_member() {
        assert_eq!(
            identity_of_wal(REAL).map(|(cluster, member)| (cluster.to_string(), member.to_string())),
            Some(("91b30465977c5c1d".to_owned(), "3958e8332a53cd2d".to_owned()))
        );
    }

    #[test]
    fn a_cut_or_damaged_log_names_nobody_and_never_panics() {
        for end in 0..54 {
            assert_eq!(identity_of_wal(&REAL[..end]), None, "{end}");
        }
        assert_eq!(identity_of_wal(&[0; 4096]), None);
        assert_eq!(identity_of_wal(&[0xff; 4096]), None);
        for at in 0..REAL.len() {
            for bit in 0..8 {
                let mut damaged = REAL.to_vec();
                damaged[at] ^= 1 << bit;
                let _: Option<_> = identity_of_wal(&damaged);
            }
        }
    }

    #[test]
    fn a_folder_is_empty_remains_or_a_members_home() {
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().join("etcd");
        let wal = data.join("member/wal");
        assert_eq!(inspect(&data), DataDir::Empty);
        fs::create_dir_all(&data).expect("made");
        fs::write(data.join(".gitkeep"), "").expect("written");
        assert_eq!(inspect(&data), DataDir::Empty);
        fs::create_dir_all(data.join("member/snap")).expect("made");
        assert_eq!(inspect(&data), DataDir::Remains);
        fs::create_dir_all(&wal).expect("made");
        fs::write(wal.join("0.tmp"), "").expect("written");
        assert_eq!(inspect(&data), DataDir::Remains);
        fs::write(wal.join("0000000000000000-0000000000000000.wal"), REAL).expect("written");
        let home = DataDir::Initialised {
            member_id: Some(MemberId(0x3958_e833_2a53_cd2d)),
            cluster_id: Some(ClusterId(0x91b3_0465_977c_5c1d)),
        };
        assert_eq!(inspect(&data), home);
        fs::write(wal.join("0000000000000000-0000000000000000.wal"), "").expect("written");
        assert_eq!(inspect(&data), DataDir::Initialised { member_id: None, cluster_id: None });
        fs::remove_dir_all(&data).expect("removed");
        fs::write(&data, "a file").expect("written");
        assert!(matches!(inspect(&data), DataDir::Unknown { .. }));
    }
}
