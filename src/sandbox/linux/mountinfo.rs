//! The list of mounts, as the kernel writes it.

use std::{ffi::OsString, os::unix::ffi::OsStringExt, path::PathBuf};

use rustix::mount::MountFlags;

/// A mount's point and flags, as `proc_pid_mountinfo(5)` has them (fields 5 and 6).
pub(super) fn mount_of(line: &str) -> Option<(PathBuf, MountFlags)> {
    let mut fields = line.split(' ');
    let point = unescape(fields.nth(4)?);
    let options = fields.next()?;
    let flags = options.split(',').fold(MountFlags::empty(), |flags, option| {
        flags
            | match option {
                "ro" => MountFlags::RDONLY,
                "nosuid" => MountFlags::NOSUID,
                "nodev" => MountFlags::NODEV,
                "noexec" => MountFlags::NOEXEC,
                "noatime" => MountFlags::NOATIME,
                "nodiratime" => MountFlags::NODIRATIME,
                "relatime" => MountFlags::RELATIME,
                _ => MountFlags::empty(),
            }
    });
    Some((point, flags))
}

/// Blanks, tabs, line feeds and backslashes are written as three octal digits.
pub(super) fn unescape(text: &str) -> PathBuf {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, behind @ ..] = rest {
        let octal = |digits: &[u8]| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok();
        match (first, behind.get(..3).and_then(octal)) {
            (b'\\', Some(byte)) => {
                bytes.push(byte);
                rest = &behind[3..];
            }
            _ => {
                bytes.push(*first);
                rest = behind;
            }
        }
    }
    OsString::from_vec(bytes).into()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn mounts_are_read_as_the_kernel_writes_them() {
        let line = r"36 35 98:0 /mnt1 /mnt/two\040words ro,nosuid,noatime shared:1 - ext3 /dev/root rw";
        let (point, flags) = mount_of(line).unwrap();
        assert_eq!(point, Path::new("/mnt/two words"));
        assert_eq!(flags, MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NOATIME);
        assert_eq!(unescape(r"a\134b\1"), Path::new("a\\b\\1"));
    }
}
