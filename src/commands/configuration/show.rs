//! `configuration show`

use clap::Parser;

use crate::context::Context;
use crate::manager::Command;
use crate::output::{Cell, Record};

/// Show the configuration of the cloud
///
/// It is merged from flags, variables and clouds.yaml; nobody is dialled. Secrets are masked unless --unmask is given.
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  rimg configuration show
  rimg configuration show --origin
  rimg configuration show --origin -f value -c region_name -c region_name.origin
  rimg configuration show -f value -c auth.auth_url")]
pub struct Show {
    /// Show beside each value, as NAME.origin, where it came from: a flag, a variable, a file, a vendor profile
    #[arg(long)]
    origin: bool,

    /// Mask passwords and other secrets (the default)
    #[arg(long, overrides_with = "unmask")]
    mask: bool,

    /// Show passwords and other secrets
    #[arg(long)]
    unmask: bool,
}

impl Command for Show {
    type Answer = Record;

    async fn run(self, ctx: &Context) -> anyhow::Result<Record> {
        let configured = ctx.configuration(self.unmask)?.into_iter();
        let fields = configured.flat_map(|each| {
            let origin = self.origin.then(|| (format!("{}.origin", each.name), Cell::from(each.origin)));
            [(each.name, Cell::from(each.value))].into_iter().chain(origin)
        });
        Ok(Record { fields: fields.collect() })
    }
}
