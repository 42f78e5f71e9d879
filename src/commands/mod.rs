//! The commands: one file for each, its path the words typed.

mod command;
mod configuration;
mod image;
mod serve;
mod versions;

use crate::manager::Entry;

/// Every command: the table of contents of the program.
pub const ALL: &[Entry] = &[
    Entry::new::<command::list::List>("command list"),
    Entry::new::<configuration::show::Show>("configuration show"),
    Entry::new::<image::add::project::Project>("image add project"),
    Entry::new::<image::create::Create>("image create"),
    Entry::new::<image::delete::Delete>("image delete"),
    Entry::new::<image::save::Save>("image download"),
    Entry::new::<image::list::List>("image list"),
    Entry::new::<image::member::get::Get>("image member get"),
    Entry::new::<image::member::list::List>("image member list"),
    Entry::new::<image::remove::project::Project>("image remove project"),
    Entry::new::<image::save::Save>("image save"),
    Entry::new::<image::set::Set>("image set"),
    Entry::new::<image::show::Show>("image show"),
    Entry::new::<image::unset::Unset>("image unset"),
    Entry::new::<serve::Serve>("serve"),
    Entry::new::<versions::show::Show>("versions show"),
];
