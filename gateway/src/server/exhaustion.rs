use std::io;

/// Whether something failed for want of what the machine has: descriptors (`EMFILE` 24, `ENFILE` 23), ports
/// (`EADDRNOTAVAIL` 99) or buffers (`ENOBUFS` 105), by their numbers on Linux. It says nothing of the other side.
pub fn is_exhaustion(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(23 | 24 | 99 | 105))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_machine_lacks_is_told_from_what_the_other_side_does() {
        for (number, exhausted) in
            [(23, true), (24, true), (99, true), (105, true), (103, false), (111, false)]
        {
            assert_eq!(is_exhaustion(&io::Error::from_raw_os_error(number)), exhausted, "{number}");
        }
        assert!(!is_exhaustion(&io::ErrorKind::ConnectionReset.into()));
    }
}
