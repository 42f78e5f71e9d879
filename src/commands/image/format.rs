//! What the data is against what it is declared to be, before it is sent.

use crate::context::Context;
use crate::disk_format::{DiskFormat, Verdict};
use crate::error::{Error, Kind, Result};
use crate::image::Image;
use crate::transfer::Data;

/// Looks into the data: its format is used, or must agree with the one
/// declared, by an option or by the `image` that is there already. `force`
/// turns refusals into warnings.
pub fn settle(
    ctx: &Context,
    data: &Data,
    image: Option<&Image>,
    disk_format: &mut Option<String>,
    container_format: &str,
    force: bool,
) -> Result<()> {
    let found = data.inspect()?;
    let name = &data.name;
    let unless_forced = |problem: String, next: String| match force {
        true => {
            ctx.warn(&problem);
            Ok(())
        }
        false => Err(Error::new(Kind::UnsupportedMedia, problem).next(next)),
    };
    if let Some(danger) = found.dangers.first() {
        unless_forced(
            format!("`{name}` is not safe to hand to a cloud: {danger}"),
            "convert it, for instance with `qemu-img convert`, or insist with `--force-format`".to_owned(),
        )?;
    }
    let recognised = found.format.glance_name().unwrap_or("raw");
    let declared = disk_format.get_or_insert_with(|| {
        match found.format {
            DiskFormat::Raw => ctx.note(&format!("`{name}` has no known disk format, so it is taken as `raw`")),
            format => ctx.note(&format!("`{name}` is {format}, so its disk format is `{recognised}`")),
        }
        recognised.to_owned()
    });
    match found.verdict(declared, container_format) {
        Verdict::Agrees => Ok(()),
        Verdict::Doubtful(reason) => {
            ctx.warn(&format!("`{name}`: {reason}"));
            Ok(())
        }
        Verdict::Contradicts(reason) => {
            let (declaration, remedy) = match image.map(Image::id) {
                None => (
                    format!("`--disk-format {declared}`"),
                    format!("use `--disk-format {recognised}`, leave the option out"),
                ),
                Some(id) => (
                    format!("the image's disk format `{declared}`"),
                    format!("change that with `rimg image set {id} --disk-format {recognised}`"),
                ),
            };
            unless_forced(
                format!("`{name}` contradicts {declaration}: {reason}"),
                format!("{remedy}, or insist with `--force-format`"),
            )
        }
    }
}
