//! `image create`

use clap::Parser;
use clap::builder::NonEmptyStringValueParser;
use serde_json::Value;

use super::args::{self, Project, Protection, System, Visibility};
use super::import_args::{self, METHODS, Source, Target};
use super::{format, view};
use crate::context::Context;
use crate::error::{Error, Kind, Result};
use crate::image::{Draft, External, Import, ImportMethod, ImportTo, UseAs, VolumeImage};
use crate::manager::Command;
use crate::output::Record;
use crate::service::{Content, OnFailure, Wait};
use crate::signature::{HashMethod, KeyFile, Signer};
use crate::terminal::printable;
use crate::transfer::{Data, Given, Meter, Rehash};

/// Create an image, with its data or without
///
/// Data comes from --file, from --file - or from stdin when data is piped in.
/// It is looked into first: with no --disk-format the format found is used, a
/// contradiction is refused. The answer comes once the service has taken the
/// data and its size and digest agree with what was sent. What may pass (a
/// broken connection, a busy service) is tried again: a file is sent from its
/// first byte, once the image is known to be empty. If anything else fails, or
/// Ctrl-C is pressed, the unfinished image is deleted; --keep-on-failure leaves
/// it for `rimg image upload`.
///
/// With --import-method the service imports the data: what is staged
/// (glance-direct), or what it fetches from --uri (web-download) or from
/// another region (glance-download). What the cloud does not offer is said
/// before anything is created. An import that has not ended in time (--timeout)
/// goes on, and its image stays.
///
/// With --volume the block storage service makes the image, raw unless
/// --disk-format is given and private unless said otherwise; the answer comes
/// when it has begun.
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  rimg image create cirros --file cirros.qcow2 --public
  rimg image create web --file - --property os_distro=debian < web.img
  rimg image create placeholder --disk-format qcow2
  rimg image create web --import-method web-download --uri https://images.example.org/web.img
  rimg image create copies --file x.qcow2 --import-method glance-direct --store fast --store slow
  rimg image create snapshot --volume data --disk-format qcow2
  rimg image create signed --file x.qcow2 --sign-key-path key.pem --sign-cert-id UUID")]
pub struct Create {
    /// Name of the image
    #[arg(value_name = "IMAGE-NAME")]
    name: String,

    /// UUID to give the image
    #[arg(long)]
    id: Option<String>,

    /// Upload this file; `-` is stdin
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    file: Option<String>,

    /// Make the image of this volume (name or ID)
    #[arg(long, value_name = "VOLUME", conflicts_with = "file")]
    volume: Option<String>,

    /// Also when a server uses the volume (with --volume)
    #[arg(long)]
    force: bool,

    /// Format of the disk: raw, qcow2, vmdk, vhd, vhdx, vdi, iso, … [default: that of the data, else raw]
    #[arg(long, value_name = "FORMAT", add = crate::manager::words(&args::DISK_FORMATS))]
    disk_format: Option<String>,

    /// Format of the container: bare, ovf, ova, docker, ami, ari, aki
    #[arg(long, value_name = "FORMAT", default_value = "bare", add = crate::manager::words(&args::CONTAINER_FORMATS))]
    container_format: String,

    /// Send the data although it contradicts --disk-format or looks unsafe
    #[arg(long)]
    force_format: bool,

    /// Smallest disk that the image can boot from, in GB
    #[arg(long, value_name = "GB")]
    min_disk: Option<u64>,

    /// Smallest memory that the image can boot with, in MB
    #[arg(long, value_name = "MB")]
    min_ram: Option<u64>,

    /// Size of the data in bytes, for a pipe; a file's own size must agree
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u64).range(1..))]
    size: Option<u64>,

    /// Compute no digest of the data: compare its size alone with what the service has
    #[arg(long)]
    no_verify: bool,

    /// Leave the image where it is when its data did not get there; the error says how to go on
    #[arg(long, conflicts_with = "volume")]
    keep_on_failure: bool,

    #[command(flatten)]
    progress: args::Progress,

    /// Sign the data with this key, a PEM file: RSA, or EC on P-384 or P-521
    #[arg(long, value_name = "FILE", requires = "sign_cert_id", value_hint = clap::ValueHint::FilePath)]
    sign_key_path: Option<String>,

    /// ID, in the key manager, of the certificate that verifies the signature
    #[arg(long, value_name = "UUID", requires = "sign_key_path", value_parser = NonEmptyStringValueParser::new())]
    sign_cert_id: Option<String>,

    /// The first line of this file is the key's passphrase [env: RIMG_SIGN_KEY_PASSPHRASE; else asked for]
    #[arg(long, value_name = "FILE", requires = "sign_key_path", value_hint = clap::ValueHint::FilePath)]
    sign_key_passphrase_file: Option<String>,

    /// Sign this digest of the data [default: SHA-256 for RSA, SHA-384 for P-384, SHA-512 for P-521]
    #[arg(long, value_name = "METHOD", requires = "sign_key_path", value_enum, ignore_case = true)]
    sign_hash_method: Option<HashMethod>,

    #[command(flatten)]
    protection: Protection,

    #[command(flatten)]
    visibility: Visibility,

    /// Property to set; may be repeated
    #[arg(long = "property", value_name = "KEY=VALUE", value_parser = args::key_value)]
    properties: Vec<(String, String)>,

    /// Tag to set; may be repeated
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,

    #[command(flatten)]
    project: Project,

    /// Leave the image out of lists
    #[arg(long)]
    hidden: bool,

    #[command(flatten)]
    system: System,

    /// Store to keep the data in; may be repeated with an import
    #[arg(long, value_name = "STORE")]
    store: Vec<String>,

    /// Hand the data to the service's import instead of storing it directly: --import-method glance-direct
    #[arg(long)]
    import: bool,

    /// Let the service import the data: it stages it (glance-direct) or fetches it itself
    #[arg(long, value_name = "METHOD", conflicts_with = "volume", value_parser = METHODS)]
    import_method: Option<String>,

    #[command(flatten)]
    source: Source,

    #[command(flatten)]
    target: Target,

    /// With an import: give up waiting after this time; the import goes on [default: four hours]
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u64>,

    /// The data is at this URL and stays there; --size saves the service from asking for its size
    #[arg(long, value_name = "URL", help_heading = "Images API v1")]
    location: Option<String>,

    /// The service copies the data from this URL; the answer comes when it has
    #[arg(long, value_name = "URL", help_heading = "Images API v1")]
    copy_from: Option<String>,

    /// The data must have this MD5: the service holds it to that, too
    #[arg(long, value_name = "MD5", help_heading = "Images API v1")]
    checksum: Option<String>,
}

impl Command for Create {
    type Answer = Record;

    const COLUMNS: &'static [&'static str] = &view::COLUMNS;

    async fn run(self, ctx: &Context) -> anyhow::Result<Record> {
        let import = self.import(ctx)?;
        if let Some(volume) = &self.volume {
            return Ok(self.of_volume(ctx, volume).await?);
        }
        if self.force {
            ctx.warn("`--force` has no effect without `--volume`");
        }
        let mut draft = self.draft()?;
        draft.external = self.external(import.as_ref())?;
        let imported = import.as_ref().is_some_and(|import| import.method != ImportMethod::GlanceDirect);
        let fetched = imported || draft.external.is_some();
        let given = match fetched {
            true => Given::Nothing,
            false => ctx.input(self.file.as_deref(), NO_DATA).await?,
        };
        let was_empty = matches!(given, Given::Empty);
        let mut data = match given {
            Given::Data(data) => Some(data),
            Given::Empty | Given::Nothing => None,
        };
        if let Some(size) = self.size.filter(|_| draft.external.is_none()) {
            data.as_mut().ok_or_else(|| without_data("--size"))?.expect(size)?;
        }
        if self.checksum.is_some() && data.is_none() && draft.external.is_none() {
            return Err(without_data("--checksum").into());
        }
        if self.no_verify {
            data.as_mut().ok_or_else(|| without_data("--no-verify"))?.verify = false;
        }
        if self.keep_on_failure && data.is_none() && !fetched {
            return Err(without_data("--keep-on-failure").into());
        }
        match &data {
            Some(data) => {
                let container = &self.container_format;
                format::settle(ctx, data, None, &mut draft.disk_format, container, self.force_format)?;
            }
            None if fetched && draft.disk_format.is_none() => {
                ctx.note("the service fetches the data, so its disk format is taken as `raw`; `--disk-format` says otherwise");
            }
            None if !fetched && self.import_method.is_some() => return Err(without_data("--import-method").into()),
            None if !fetched && self.import => return Err(without_data("--import").into()),
            None if !fetched && !self.store.is_empty() => return Err(without_data("--store").into()),
            None if was_empty => {
                ctx.warn("stdin was empty: the image has no data; `rimg image upload` gives it some");
            }
            None => {}
        }
        let signing = self.signing(ctx, data.as_ref()).await?;
        draft.disk_format.get_or_insert_with(|| "raw".to_owned());
        args::check_format(ctx, "--disk-format", draft.disk_format.as_deref(), &args::DISK_FORMATS);
        args::check_format(ctx, "--container-format", draft.container_format.as_deref(), &args::CONTAINER_FORMATS);

        let images = ctx.images().await?;
        match &import {
            Some(import) => import_args::check(images, import).await?,
            None if !self.store.is_empty() => images.know_stores(&self.store).await?,
            None => {}
        }
        if let Some(owner) = self.project.id(ctx).await? {
            draft.owner = Some(owner);
        }
        if let Some(signing) = signing {
            let label = format!("hashing {}", self.file.as_deref().unwrap_or("stdin"));
            let bar = ctx.progress(&signing.data.meter, label, self.progress.how);
            let properties = ctx.aside(move || signing.properties()).await;
            drop(bar);
            draft.properties.extend(properties?);
        }
        let (meter, label) = match &data {
            Some(data) => (data.meter.clone(), format!("uploading {}", data.name)),
            None => (Meter::new(None), format!("importing {}", draft.name)),
        };
        let moves = data.is_some() || import.is_some();
        let bar = moves.then(|| ctx.progress(&meter, label, self.progress.how));
        let content = match (data, import) {
            (data, Some(import)) => Some(Content::Import { data, import, wait: Wait::new(self.timeout, meter) }),
            (Some(data), None) => Some(Content::Upload { data, store: self.store.first().cloned() }),
            (None, None) => draft.external.as_ref().map(|_| Content::External),
        };
        let on_failure = match self.keep_on_failure {
            true => OnFailure::Keep { options: self.said_of_data() },
            false => OnFailure::Delete,
        };
        let created = images.create(&draft, content, on_failure).await;
        drop(bar);
        Ok(view::record(&created?, false))
    }
}

impl Create {
    /// Where the service finds the data, if it is told so.
    fn external(&self, import: Option<&Import>) -> Result<Option<External>> {
        let (option, use_as, url) = match (&self.location, &self.copy_from) {
            (None, None) => return Ok(None),
            (Some(_), Some(_)) => {
                return Err(
                    Error::config("`--location` and `--copy-from` both say where the data is").next("choose one")
                );
            }
            (Some(url), None) => ("--location", UseAs::Location, url),
            (None, Some(url)) => ("--copy-from", UseAs::Source, url),
        };
        if let Some(file) = &self.file {
            return Err(Error::config(format!("`{option}` says where the data is, and `{file}` has some too"))
                .next(format!("leave out `--file` or `{option}`")));
        }
        if import.is_some() {
            return Err(
                Error::config(format!("`{option}` and an import both say where the data is")).next("choose one")
            );
        }
        if self.store.len() > 1 {
            return Err(Error::config(format!("with `{option}` the data is in one store")).next("name one `--store`"));
        }
        Ok(Some(External { use_as, url: url.clone(), store: self.store.first().cloned(), size: self.size }))
    }

    /// The import that was asked for.
    fn import(&self, ctx: &Context) -> Result<Option<Import>> {
        let (option, name) = match (&self.import_method, self.import) {
            (Some(name), _) => ("--import-method", name.as_str()),
            (None, true) => ("--import", "glance-direct"),
            (None, false) if self.source.is_given() || self.target.is_given() => {
                let message = "`--uri`, `--remote-…`, `--all-stores`, `--allow-failure` and `--disallow-failure` are for an import";
                return Err(Error::config(message).next("say how with `--import-method`"));
            }
            (None, false) if self.timeout.is_some() => {
                return Err(Error::config("`--timeout` is for an import")
                    .next("leave it out, or say how with `--import-method`"));
            }
            (None, false) if self.store.len() > 1 => {
                return Err(Error::config("an upload goes into one store")
                    .next("`--import-method glance-direct` puts the data into several"));
            }
            (None, false) => return Ok(None),
        };
        if self.import && name != "glance-direct" {
            return Err(Error::config(format!("`--import` is `--import-method glance-direct`, not `{name}`"))
                .next("leave out `--import`"));
        }
        if name == "copy-image" {
            return Err(Error::config("`copy-image` copies an image that is there already")
                .next("create the image first, then use `rimg image import`"));
        }
        let method = self.source.method(option, name)?;
        if let (Some(file), true) = (&self.file, method != ImportMethod::GlanceDirect) {
            return Err(Error::config(format!(
                "with `{name}` the service fetches the data, and `{file}` has some too"
            ))
            .next("leave out `--file`, or use `--import-method glance-direct`"));
        }
        let to = self.target.stores(self.store.clone())?;
        if to == ImportTo::Default {
            self.target.idle().into_iter().for_each(|idle| ctx.warn(idle));
        }
        Ok(Some(Import { method, to }))
    }

    fn draft(&self) -> Result<Draft> {
        let mut draft = Draft {
            name: self.name.clone(),
            id: self.id.clone(),
            container_format: Some(self.container_format.clone()),
            disk_format: self.disk_format.clone(),
            min_disk: self.min_disk,
            min_ram: self.min_ram,
            visibility: self.visibility.chosen(),
            protected: self.protection.chosen(),
            hidden: self.hidden.then_some(true),
            checksum: self.checksum.clone(),
            tags: self.tags.clone(),
            ..Draft::default()
        };
        for (key, value) in self.system.properties() {
            draft.properties.insert(key.to_owned(), value.clone());
        }
        for (key, text) in &self.properties {
            set_field(&mut draft, key, text)?;
        }
        Ok(draft)
    }

    /// The options given that say what the data is, as `image upload` and `image stage` take them.
    fn said_of_data(&self) -> String {
        let force = if self.force_format { " --force-format" } else { "" };
        let size = self.size.map(|size| format!(" --size {size}")).unwrap_or_default();
        format!("{force}{size}")
    }

    /// What is needed to sign: asked for and tried before anything is created.
    async fn signing(&self, ctx: &Context, data: Option<&Data>) -> Result<Option<Signing>> {
        let (Some(key), Some(certificate)) = (&self.sign_key_path, &self.sign_cert_id) else { return Ok(None) };
        let data = data.and_then(Data::rehash).ok_or_else(|| {
            Error::config("signing needs the image in a file: it is read twice, to sign it and to send it")
                .next("name the file with `--file`")
        })?;
        let path = key.clone();
        let file = ctx.aside(move || KeyFile::read(&path)).await?;
        let passphrase = match (file.is_encrypted(), self.sign_key_passphrase_file.as_deref()) {
            (true, given) => {
                let prompt = format!("Passphrase of {}: ", printable(key));
                let secret = ctx.secret(given, PASSPHRASE, prompt).await?.ok_or_else(|| {
                    Error::new(Kind::Auth, format!("the signing key `{key}` is encrypted and there is no passphrase"))
                        .next(format!("give it with `--sign-key-passphrase-file`, as {PASSPHRASE}, or on a terminal"))
                })?;
                Some(secret)
            }
            (false, Some(_)) => {
                ctx.note(&format!("the signing key `{key}` is not encrypted, so its passphrase is not used"));
                None
            }
            (false, None) => None,
        };
        let signer = file.unlock(passphrase.as_ref(), self.sign_hash_method)?;
        Ok(Some(Signing { signer, certificate: certificate.clone(), data }))
    }

    /// Lets the block storage service make the image.
    async fn of_volume(&self, ctx: &Context, volume: &str) -> Result<Record> {
        if let Some(options) = listed(&self.idle_with_volume()) {
            ctx.warn(&format!(
                "{options} no effect with `--volume`: the block storage service makes the image; `rimg image set` changes it afterwards"
            ));
        }
        let image = VolumeImage {
            name: self.name.clone(),
            disk_format: self.disk_format.clone().unwrap_or_else(|| "raw".to_owned()),
            container_format: self.container_format.clone(),
            visibility: self.visibility.chosen(),
            protected: self.protection.chosen(),
            force: self.force,
        };
        args::check_format(ctx, "--disk-format", Some(&image.disk_format), &args::DISK_FORMATS);
        args::check_format(ctx, "--container-format", Some(&image.container_format), &args::CONTAINER_FORMATS);
        let answer = ctx.volumes().await?.upload_to_image(volume, &image).await?;
        Ok(view::volume_image(answer))
    }

    /// The options given that mean nothing with `--volume`.
    fn idle_with_volume(&self) -> Vec<&'static str> {
        let options = [
            ("--location", self.location.is_some()),
            ("--copy-from", self.copy_from.is_some()),
            ("--checksum", self.checksum.is_some()),
            ("--id", self.id.is_some()),
            ("--min-disk", self.min_disk.is_some()),
            ("--min-ram", self.min_ram.is_some()),
            ("--size", self.size.is_some()),
            ("--force-format", self.force_format),
            ("--no-verify", self.no_verify),
            ("--sign-key-path", self.sign_key_path.is_some()),
            ("--sign-cert-id", self.sign_cert_id.is_some()),
            ("--sign-key-passphrase-file", self.sign_key_passphrase_file.is_some()),
            ("--sign-hash-method", self.sign_hash_method.is_some()),
            ("--property", !self.properties.is_empty()),
            ("--tag", !self.tags.is_empty()),
            ("--project", self.project.is_given()),
            ("--hidden", self.hidden),
            ("--store", !self.store.is_empty()),
            ("--import", self.import),
        ];
        let given = options.into_iter().filter(|(_, given)| *given).map(|(option, _)| option);
        given.chain(self.system.options()).collect()
    }
}

/// The variable that may hold the passphrase of the signing key.
const PASSPHRASE: &str = "RIMG_SIGN_KEY_PASSPHRASE";

/// All that a signature is made of.
struct Signing {
    signer: Signer,
    certificate: String,
    data: Rehash,
}

impl Signing {
    /// Hashes the data and signs the digest: the properties that say so.
    fn properties(self) -> Result<Vec<(String, String)>> {
        let digest = self.data.digest(self.signer.algorithm())?;
        let properties = self.signer.properties(&digest, &self.certificate)?;
        Ok(properties.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
    }
}

/// `` `a` has ``, `` `a` and `b` have ``, `` `a`, `b` and `c` have ``.
fn listed(options: &[&str]) -> Option<String> {
    let quoted: Vec<String> = options.iter().map(|option| format!("`{option}`")).collect();
    let (last, others) = quoted.split_last()?;
    Some(match others {
        [] => format!("{last} has"),
        others => format!("{} and {last} have", others.join(", ")),
    })
}

/// The step to take where a file or stdin that was named is empty.
const NO_DATA: &str = "to create an image without data, leave out `--file` and give no stdin";

fn without_data(option: &str) -> Error {
    Error::config(format!("`{option}` needs image data")).next("name a file with `--file`, or pipe the data in")
}

/// A `--property` of a new image: a custom property, or a field of the image itself.
fn set_field(draft: &mut Draft, key: &str, text: &str) -> Result<()> {
    let value = args::field_value(key, text)?;
    match (key, &value) {
        ("min_disk", Value::Number(number)) => draft.min_disk = number.as_u64(),
        ("min_ram", Value::Number(number)) => draft.min_ram = number.as_u64(),
        ("protected", Value::Bool(on)) => draft.protected = Some(*on),
        ("os_hidden", Value::Bool(on)) => draft.hidden = Some(*on),
        ("visibility", _) => draft.visibility = Some(text.to_owned()),
        ("owner", _) => draft.owner = Some(text.to_owned()),
        ("disk_format", _) => draft.disk_format = Some(text.to_owned()),
        ("container_format", _) => draft.container_format = Some(text.to_owned()),
        _ => {
            draft.properties.insert(key.to_owned(), text.to_owned());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    fn parse(line: &str) -> std::result::Result<Create, clap::Error> {
        Create::try_parse_from(["create", "x"].into_iter().chain(line.split_whitespace()))
    }

    #[test]
    fn options_that_mean_nothing_with_a_volume_are_named_as_typed() {
        let idle = |line: &str| listed(&parse(line).unwrap().idle_with_volume());
        assert_eq!(idle("--volume v --force --public --protected --disk-format qcow2"), None);
        assert_eq!(idle("--volume v --min-disk 1").as_deref(), Some("`--min-disk` has"));
        assert_eq!(
            idle("--volume v --import --tag a --property k=v").as_deref(),
            Some("`--property`, `--tag` and `--import` have")
        );
    }

    /// What the block storage service is told.
    const OF_A_VOLUME: [&str; 10] = [
        "volume",
        "force",
        "disk-format",
        "container-format",
        "protected",
        "unprotected",
        "public",
        "private",
        "community",
        "shared",
    ];

    #[test]
    fn no_option_is_silently_ignored_with_a_volume() {
        use clap::CommandFactory as _;
        let command = Create::command();
        let mut seen = 0;
        for arg in command.get_arguments() {
            // A domain is that of the project, which is named; how progress is shown may be a variable's word.
            let passed =
                |long: &&str| matches!(*long, "help" | "project-domain" | "progress") || OF_A_VOLUME.contains(long);
            let Some(long) = arg.get_long().filter(|long| !passed(long)) else {
                continue;
            };
            seen += 1;
            let value = match long {
                _ if !arg.get_action().takes_values() => "",
                "import-method" => "web-download",
                "sign-hash-method" => "SHA-256",
                "property" => "k=v",
                _ => "1",
            };
            let signing = match long {
                "sign-key-path" => "--sign-cert-id c",
                "sign-cert-id" => "--sign-key-path k",
                _ if long.starts_with("sign-") => "--sign-key-path k --sign-cert-id c",
                _ => "",
            };
            match parse(&format!("--volume v --{long} {value} {signing}")) {
                Err(error) => assert_eq!(error.kind(), clap::error::ErrorKind::ArgumentConflict, "--{long}: {error}"),
                Ok(create) => {
                    // What is for an import is refused without one.
                    let of_import = create.source.is_given() || create.target.is_given() || create.timeout.is_some();
                    let named = create.idle_with_volume().contains(&format!("--{long}").as_str());
                    assert!(of_import || named, "--{long} is parsed and ignored with `--volume`");
                }
            }
        }
        assert!(seen > 30, "{seen}");
    }

    #[test]
    fn contradictions_are_usage_errors() {
        let signing_alone = ["--sign-cert-id c", "--sign-key-passphrase-file p", "--sign-hash-method SHA-384"];
        for line in ["--file f --volume v", "--sign-key-path k"].into_iter().chain(signing_alone) {
            let error = parse(line).expect_err(line);
            assert_eq!(error.exit_code(), 2, "{line}");
        }
        assert!(parse("--file f --sign-key-path k --sign-cert-id c --sign-key-passphrase-file p").is_ok());
        assert!(parse("--file f --sign-key-path k --sign-cert-id c --sign-hash-method sha-512").is_ok());
    }
}
