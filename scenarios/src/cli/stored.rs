//! Results that are kept: `NAME/DATE-HASH` for each run, and `NAME/latest`, a symbolic link to the newest.
//!
//! A link and no copy: a copy could be half written, or of another run than the folder beside it.

use std::path::{Path, PathBuf};
use std::{fs, io, process};

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use reports::sha256;

/// The folder that results are kept in, one below it for each scenario.
pub(super) const RESULTS: &str = "tuesday-results";

/// The name that leads to the newest.
pub(super) const LATEST: &str = "latest";

/// UTC, to the minute: names sort by time, and hold no colon, which some file systems refuse.
const DATE: &str = "%Y-%m-%dT%H%M";

/// Hexadecimal digits of the SHA-256 of a `result.json`.
const DIGITS: usize = 8;

/// When a result was stored and what it is, as its folder is named.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name {
    /// Seconds since the Unix epoch, a whole minute.
    pub(super) at_unix_s: i64,
    /// The first digits of the SHA-256 of its `result.json`.
    pub(super) hash: String,
}

/// The name of the folder that keeps a result from now on.
pub(super) fn name(now: Timestamp, result_json: &str) -> String {
    format!("{}-{}", now.strftime(DATE), &sha256(result_json)[..DIGITS])
}

/// Reads the name of a folder; `None` where it keeps no result.
pub(super) fn read(name: &str) -> Option<Name> {
    let (date, hash) = name.rsplit_once('-')?;
    let is_hash =
        hash.len() == DIGITS && hash.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
    let at = TimeZone::UTC.to_timestamp(DateTime::strptime(DATE, date).ok()?).ok()?;
    // Other ways to write the same minute are no names of ours.
    let is_ours = is_hash && at.strftime(DATE).to_string() == date;
    is_ours.then(|| Name { at_unix_s: at.as_second(), hash: hash.to_owned() })
}

/// Leads `latest` to the folder of that name beside it. The link is made under another name first, so that there is always one.
pub(super) fn lead_to(folder: &Path, name: &str) -> io::Result<PathBuf> {
    let latest = folder.join(LATEST);
    let link = folder.join(format!(".tuesday-{}", process::id()));
    std::os::unix::fs::symlink(name, &link)?;
    fs::rename(&link, &latest).inspect_err(|_| _ = fs::remove_file(&link))?;
    Ok(latest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_minute_and_the_hash() {
        let at = Timestamp::from_second(1_795_951_859).unwrap();
        let name = name(at, "abc");
        assert_eq!(name, "2026-11-29T1130-ba7816bf");
        assert_eq!(read(&name), Some(Name { at_unix_s: 1_795_951_800, hash: "ba7816bf".to_owned() }));
        for other in [
            "",
            "latest",
            "2026-11-29T1130",
            "2026-11-29T1130-BA7816BF",
            "2026-11-29T1130-ba7816b",
            "2026-11-29T2530-ba7816bf",
            "2026-11-29T11:30-ba7816bf",
            "26-11-29T1130-ba7816bf",
            "+2026-11-29T1130-ba7816bf",
        ] {
            assert_eq!(read(other), None, "{other}");
        }
    }

    #[test]
    fn latest_leads_to_the_newest_and_is_never_a_folder_of_another_run() {
        let folder = tempfile::TempDir::new().unwrap();
        for name in ["one", "two"] {
            fs::create_dir(folder.path().join(name)).unwrap();
            fs::write(folder.path().join(name).join("file"), name).unwrap();
            let latest = lead_to(folder.path(), name).unwrap();
            assert_eq!(fs::read_to_string(latest.join("file")).unwrap(), name);
        }
        fs::remove_file(folder.path().join(LATEST)).unwrap();
        fs::create_dir(folder.path().join(LATEST)).unwrap();
        assert!(lead_to(folder.path(), "two").is_err());
        let left = fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(left, 3, "no link under another name is left");
    }
}
