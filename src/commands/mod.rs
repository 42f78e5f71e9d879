//! The commands: one file for each, its path the words typed.

mod cache;
mod cached;
mod command;
mod configuration;
mod image;
mod serve;
mod several;
mod versions;

use crate::manager::Entry;

/// Every command: the table of contents of the program.
pub const ALL: &[Entry] = &[
    Entry::new::<cache::clear::Clear>("cache clear"),
    Entry::new::<cached::image::clean::Clean>("cached image clean"),
    Entry::new::<cached::image::clear::Clear>("cached image clear"),
    Entry::new::<cached::image::delete::Delete>("cached image delete"),
    Entry::new::<cached::image::list::List>("cached image list"),
    Entry::new::<cached::image::node::list::List>("cached image node list"),
    Entry::new::<cached::image::prune::Prune>("cached image prune"),
    Entry::new::<cached::image::queue::Queue>("cached image queue"),
    Entry::new::<command::list::List>("command list"),
    Entry::new::<configuration::show::Show>("configuration show"),
    Entry::new::<image::add::project::Project>("image add project"),
    Entry::new::<image::create::Create>("image create"),
    Entry::new::<image::delete::Delete>("image delete"),
    Entry::new::<image::save::Save>("image download"),
    Entry::new::<image::import::Import>("image import"),
    Entry::new::<image::import::info::Info>("image import info"),
    Entry::new::<image::list::List>("image list"),
    Entry::new::<image::location::add::Add>("image location add"),
    Entry::new::<image::location::delete::Delete>("image location delete"),
    Entry::new::<image::location::list::List>("image location list"),
    Entry::new::<image::location::set::Set>("image location set"),
    Entry::new::<image::member::get::Get>("image member get"),
    Entry::new::<image::member::list::List>("image member list"),
    Entry::new::<image::metadef::namespace::create::Create>("image metadef namespace create"),
    Entry::new::<image::metadef::namespace::delete::Delete>("image metadef namespace delete"),
    Entry::new::<image::metadef::namespace::import::Import>("image metadef namespace import"),
    Entry::new::<image::metadef::namespace::list::List>("image metadef namespace list"),
    Entry::new::<image::metadef::namespace::set::Set>("image metadef namespace set"),
    Entry::new::<image::metadef::namespace::show::Show>("image metadef namespace show"),
    Entry::new::<image::metadef::namespace::unset::Unset>("image metadef namespace unset"),
    Entry::new::<image::metadef::object::create::Create>("image metadef object create"),
    Entry::new::<image::metadef::object::delete::Delete>("image metadef object delete"),
    Entry::new::<image::metadef::object::list::List>("image metadef object list"),
    Entry::new::<image::metadef::object::property::show::Show>("image metadef object property show"),
    Entry::new::<image::metadef::object::show::Show>("image metadef object show"),
    Entry::new::<image::metadef::object::update::Update>("image metadef object update"),
    Entry::new::<image::metadef::property::create::Create>("image metadef property create"),
    Entry::new::<image::metadef::property::delete::Delete>("image metadef property delete"),
    Entry::new::<image::metadef::property::list::List>("image metadef property list"),
    Entry::new::<image::metadef::property::set::Set>("image metadef property set"),
    Entry::new::<image::metadef::property::show::Show>("image metadef property show"),
    Entry::new::<image::metadef::resource_type::association::create::Create>(
        "image metadef resource type association create",
    ),
    Entry::new::<image::metadef::resource_type::association::delete::Delete>(
        "image metadef resource type association delete",
    ),
    Entry::new::<image::metadef::resource_type::association::list::List>(
        "image metadef resource type association list",
    ),
    Entry::new::<image::metadef::resource_type::list::List>("image metadef resource type list"),
    Entry::new::<image::metadef::tag::create::Create>("image metadef tag create"),
    Entry::new::<image::metadef::tag::delete::Delete>("image metadef tag delete"),
    Entry::new::<image::metadef::tag::list::List>("image metadef tag list"),
    Entry::new::<image::metadef::tag::set::Set>("image metadef tag set"),
    Entry::new::<image::metadef::tag::show::Show>("image metadef tag show"),
    Entry::new::<image::remove::project::Project>("image remove project"),
    Entry::new::<image::save::Save>("image save"),
    Entry::new::<image::schema::show::Show>("image schema show"),
    Entry::new::<image::set::Set>("image set"),
    Entry::new::<image::show::Show>("image show"),
    Entry::new::<image::stage::Stage>("image stage"),
    Entry::new::<image::stores::list::List>("image stores list"),
    Entry::new::<image::task::create::Create>("image task create"),
    Entry::new::<image::task::list::List>("image task list"),
    Entry::new::<image::task::show::Show>("image task show"),
    Entry::new::<image::unset::Unset>("image unset"),
    Entry::new::<image::upload::Upload>("image upload"),
    Entry::new::<image::usage::Usage>("image usage"),
    Entry::new::<serve::Serve>("serve"),
    Entry::new::<versions::show::Show>("versions show"),
];
