//! `image save`, also known as `image download`

use clap::Parser;

use super::args::Progress;
use crate::context::Context;
use crate::manager::Command;
use crate::signature::{self, Certificate, Verifier};
use crate::transfer::{Meter, Target, Verify, WriteTo};

/// Save the data of an image to a file or stdout
///
/// The data is collected in FILE.part, verified against the digest that the
/// service names, and only then put in its place: a failure leaves an old file
/// as it was. What breaks is asked for again from where it was, up to five times
/// in a row. What is interrupted or killed, or fails for good, leaves FILE.part
/// and FILE.part.json: the same command goes on from there, unless the image has
/// changed. Bytes that are not what they should be end up in FILE.corrupt. On
/// stdout the bytes are out before they can be verified; a mismatch is exit
/// code 1. Blocks of zeros are left out of the file as holes.
///
/// With --verify-certificate the data must also be what was signed, by the
/// properties img_signature, img_signature_hash_method and
/// img_signature_key_type: RSA-PSS, or ECDSA on P-384 or P-521, with SHA-256,
/// SHA-384 or SHA-512. The certificate is taken as it is: neither its dates nor
/// who issued it are looked at.
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  rimg image save cirros --file cirros.qcow2
  rimg image save cirros | gzip > cirros.gz
  rimg image save cirros --file cirros.qcow2 --jobs 4
  rimg image save signed --file x.qcow2 --verify-certificate cert.pem")]
pub struct Save {
    /// The image (name or ID)
    #[arg(value_name = "IMAGE", add = crate::manager::images())]
    image: String,

    /// Write to this file [default: stdout]
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    file: Option<String>,

    /// Fetch so many ranges at a time into the file: for services and networks
    /// that give one connection only a part of what they can
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=16))]
    jobs: u8,

    /// Accepted for scripts; pieces of 256 KiB and more are the fastest anyway
    #[arg(long, value_name = "BYTES", hide = true)]
    chunk_size: Option<u64>,

    /// Store to take the data from, if it is there; may be repeated
    #[arg(long, value_name = "STORE")]
    store_preference: Vec<String>,

    /// Verify by MD5 when the service's algorithm is not known to rimg
    #[arg(long)]
    allow_md5_fallback: bool,

    /// Check only the length, for images without a digest
    #[arg(long, conflicts_with = "allow_md5_fallback")]
    no_verify: bool,

    /// Verify the image's signature, too, with this X.509 certificate, a PEM file
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    verify_certificate: Option<String>,

    #[command(flatten)]
    progress: Progress,
}

impl Command for Save {
    type Answer = ();

    async fn run(self, ctx: &Context) -> anyhow::Result<()> {
        let target = match self.file.as_deref() {
            None | Some("-") => Target::stdout()?,
            Some(path) => {
                let path = path.to_owned();
                // A named pipe waits for its reader.
                ctx.aside(move || Target::file(&path)).await?
            }
        };
        let jobs = match &target {
            Target::File(_) => usize::from(self.jobs),
            _ if self.jobs > 1 => {
                ctx.note("`--jobs` is for files; this is written in the order of its bytes, by one job");
                1
            }
            _ => 1,
        };
        let verify = match (self.no_verify, self.allow_md5_fallback) {
            (true, _) => Verify::LengthOnly,
            (false, true) => Verify::AllowMd5,
            (false, false) => Verify::Required,
        };
        let certificate = match self.verify_certificate.clone() {
            Some(path) => Some(ctx.aside(move || Certificate::read(&path)).await?),
            None => None,
        };
        let service = ctx.images().await?;
        let image = service.find(&self.image).await?;
        let signature = certificate.map(|certificate| Verifier::new(&image, certificate)).transpose()?;
        if signature.is_none() && signature::is_signed(&image) {
            ctx.note("the image is signed; its signature is not verified without `--verify-certificate`");
        }
        let size = image.size();
        let meter = Meter::new(size);
        let bar = ctx.progress(&meter, format!("saving {}", self.image), self.progress.how);
        let saved = service
            .download(&image, WriteTo { target, meter, jobs }, verify, signature.as_ref(), &self.store_preference)
            .await;
        drop(bar);
        saved?;
        if verify == Verify::LengthOnly {
            ctx.note(&match size {
                Some(size) => format!("the digest was not verified: only the size, {size} bytes, was compared"),
                None => "the digest was not verified, and the service names no size to compare".to_owned(),
            });
        }
        Ok(())
    }
}
