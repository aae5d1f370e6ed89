use super::{ExitCode, Failure, print};
use crate::file;

pub(super) fn schema() -> Result<ExitCode, Failure> {
    print(&file::json_schema())?;
    Ok(ExitCode::Held)
}
