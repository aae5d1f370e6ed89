//! A process without descriptors, for tests that are alone in theirs.

use std::fs::File;
use std::os::fd::AsRawFd;

use rlimit::Resource;

/// A limit of descriptors that leaves room for so many, until it is dropped.
pub(crate) struct Limited {
    before: (u64, u64),
    /// Fill the gaps between the numbers in use.
    _fillers: Vec<File>,
}

impl Limited {
    pub(crate) fn to(more: u64) -> Self {
        let before = rlimit::getrlimit(Resource::NOFILE).unwrap();
        let used = || std::fs::read_dir("/proc/self/fd").unwrap().flatten();
        let highest =
            used().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok()).max().unwrap();
        let mut fillers = Vec::new();
        while fillers.last().is_none_or(|last: &File| last.as_raw_fd() < highest) {
            fillers.push(File::open("/dev/null").unwrap());
        }
        let last = fillers[fillers.len() - 1].as_raw_fd() as u64;
        rlimit::setrlimit(Resource::NOFILE, last + 1 + more, before.1).unwrap();
        Self { before, _fillers: fillers }
    }
}

impl Drop for Limited {
    fn drop(&mut self) {
        let _ = rlimit::setrlimit(Resource::NOFILE, self.before.0, self.before.1);
    }
}
