use super::{DashboardsArgs, ExitCode, Failure, ProductChoice, print};
use crate::watch::{Product, export};

/// Prints both dashboards as a product imports them.
pub(super) fn dashboards(args: &DashboardsArgs) -> Result<ExitCode, Failure> {
    let product = match args.product {
        ProductChoice::Grafana => Product::Grafana,
        ProductChoice::Datadog => Product::Datadog,
        ProductChoice::Opensearch => Product::OpenSearch,
    };
    print(&export(product))?;
    Ok(ExitCode::Held)
}
