//! Errors that say that this machine has no descriptors, ports or buffers left.

use std::io;

use nix::errno::Errno;

/// Whether something failed for want of what the machine has: descriptors (`EMFILE`, `ENFILE`), ports
/// (`EADDRNOTAVAIL`) or buffers (`ENOBUFS`). It says nothing of the other side.
pub fn is_exhaustion(error: &io::Error) -> bool {
    let number = error.raw_os_error().map(Errno::from_raw);
    matches!(number, Some(Errno::EMFILE | Errno::ENFILE | Errno::EADDRNOTAVAIL | Errno::ENOBUFS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_machine_lacks_is_told_from_what_the_other_side_does() {
        for ours in [Errno::ENFILE, Errno::EMFILE, Errno::EADDRNOTAVAIL, Errno::ENOBUFS] {
            assert!(is_exhaustion(&ours.into()), "{ours}");
        }
        for theirs in [Errno::ECONNABORTED, Errno::ECONNREFUSED] {
            assert!(!is_exhaustion(&theirs.into()), "{theirs}");
        }
        assert!(!is_exhaustion(&io::ErrorKind::ConnectionReset.into()));
    }
}
