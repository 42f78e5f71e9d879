//! `versions show`

use clap::Parser;
use serde_json::Value;

use crate::context::{Context, Offered};
use crate::manager::Command;
use crate::output::{Cell, Table};

/// Show the versions of the Images API that the cloud offers
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  rimg versions show
  rimg versions show --status CURRENT -f value -c Version")]
pub struct Show {
    /// Ask the endpoints of all interfaces
    #[arg(long, conflicts_with = "interface")]
    all_interfaces: bool,

    /// Ask the endpoints of this interface
    #[arg(long, default_value = "public", add = crate::manager::words(&["admin", "internal", "public"]))]
    interface: String,

    /// Ask the endpoints of this region only
    #[arg(long, value_name = "REGION")]
    region_name: Option<String>,

    /// The service to ask; rimg knows the image service
    #[arg(long, value_name = "SERVICE", add = crate::manager::words(&["image"]))]
    service: Option<String>,

    /// Show versions of this status only: CURRENT, SUPPORTED, DEPRECATED, EXPERIMENTAL
    #[arg(long, value_name = "STATUS", add = crate::manager::words(&["CURRENT", "SUPPORTED", "DEPRECATED", "EXPERIMENTAL"]))]
    status: Option<String>,
}

const COLUMNS: [&str; 7] =
    ["Region Name", "Service Type", "Version", "Status", "Endpoint", "Min Microversion", "Max Microversion"];

impl Command for Show {
    type Answer = Table;

    const COLUMNS: &'static [&'static str] = &COLUMNS;

    async fn run(self, ctx: &Context) -> anyhow::Result<Table> {
        let mut offered = match self.service.as_deref() {
            None | Some("image") => ctx.image_versions(|region, interface| self.wants(region, interface)).await?,
            Some(service) => {
                ctx.warn(&format!("rimg knows the versions of the image service only, not of `{service}`"));
                Vec::new()
            }
        };
        if let Some(status) = &self.status {
            offered.retain(|each| each.version.status.eq_ignore_ascii_case(status));
        }
        offered.sort_by_cached_key(|each| (each.region.clone(), each.interface.clone(), number(&each.version.id)));
        Ok(Table { columns: COLUMNS.map(str::to_owned).to_vec(), rows: offered.into_iter().map(row).collect() })
    }
}

impl Show {
    fn wants(&self, region: Option<&str>, interface: Option<&str>) -> bool {
        let of_region = self.region_name.is_none() || region.is_none() || region == self.region_name.as_deref();
        let of_interface = self.all_interfaces || interface.is_none_or(|interface| interface == self.interface);
        of_region && of_interface
    }
}

/// `v2.10` comes after `v2.9`.
fn number(id: &str) -> Vec<u32> {
    id.trim_start_matches('v').split('.').map(|part| part.parse().unwrap_or_default()).collect()
}

fn row(offered: Offered) -> Vec<Cell> {
    let Offered { region, version, .. } = offered;
    let id = version.id.trim_start_matches('v').to_owned();
    let texts = [id, version.status, version.url].map(Cell::from);
    let mut row = vec![Cell::from(region), Cell::from("image")];
    row.extend(texts);
    // Glance has no microversions.
    row.extend([Cell::from(Value::Null), Cell::from(Value::Null)]);
    row
}
