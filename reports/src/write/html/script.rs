//! The script of the pages, and its digest.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use sha2::{Digest as _, Sha256};

/// The script that all pages share, so that there is one digest: the instant of the timelines; which variants are shown; how
/// tables are sorted. Each part leaves a page alone that lacks what the part works on.
pub(crate) const SCRIPT: &str =
    concat!(include_str!("../../../templates/crosshair.js"), include_str!("../../../templates/variants.js"));

/// The script, and the name by which the content security policy of a page allows that script and no other.
pub(crate) struct Script {
    pub(crate) text: &'static str,
    pub(crate) digest: String,
}

impl Script {
    /// The script of every page.
    pub(crate) fn of_pages() -> Self {
        let digest = format!("sha256-{}", BASE64_STANDARD.encode(Sha256::digest(SCRIPT)));
        Self { text: SCRIPT, digest }
    }
}
