//! `tuesday schema`: the format of the file as a JSON Schema.

use super::{ExitCode, Failure, print};
use crate::file;

pub(super) fn schema() -> Result<ExitCode, Failure> {
    print(&file::json_schema())?;
    Ok(ExitCode::Held)
}
