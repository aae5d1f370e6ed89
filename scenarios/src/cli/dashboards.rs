//! `tuesday dashboards`: the dashboards as files to import.

use super::{DashboardsArgs, ExitCode, Failure, ProductChoice, print};
use crate::watch::grafana_dashboards;

/// Prints both dashboards as a product imports them.
pub(super) fn dashboards(args: &DashboardsArgs) -> Result<ExitCode, Failure> {
    match args.product {
        ProductChoice::Grafana => print(&grafana_dashboards())?,
    }
    Ok(ExitCode::Held)
}
