//! The catalogue: Glance's documents of standard definitions, one namespace a
//! file (<https://docs.openstack.org/glance/latest/user/glancemetadefcatalogapi.html>).

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::namespaces::Document;
use crate::error::{Error, Kind, Result};
use crate::local::failure::Failure;
use crate::local::service::Service;
use crate::local::v2::schemas::NAMESPACE;

/// The most bytes that a document may have; the largest of Glance's has 40 KiB.
const LONGEST: u64 = 4 << 20;

/// What became of the documents.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Loaded {
    /// The namespaces that are new.
    pub added: Vec<String>,
    /// The namespaces that were there already, and stay as they are.
    pub skipped: Vec<String>,
}

/// Documents that were read and make sense, and where they came from.
pub struct MetadefFiles {
    from: PathBuf,
    documents: Vec<Document>,
}

impl MetadefFiles {
    /// Reads metadata definitions from a file, or from all `.json` files in a
    /// directory, in the form of Glance's catalogue. What makes no sense is an
    /// error that names the file.
    pub fn read(from: &Path) -> Result<Self> {
        let documents = files(from)?.iter().map(|file| document(file)).collect::<Result<Vec<_>>>()?;
        Ok(MetadefFiles { from: from.to_owned(), documents })
    }
}

impl Service {
    /// Loads metadata definitions, all of them or none. A namespace that there
    /// is already is left as it is; one without an owner becomes `admin`'s, as
    /// with `glance-manage db_load_metadefs`.
    pub fn load_metadefs(&self, documents: MetadefFiles) -> Result<Loaded> {
        let MetadefFiles { from, documents } = documents;
        let loaded = self.registry.write(|session| {
            let mut loaded = Loaded::default();
            for mut document in documents {
                let name = document.name().to_owned();
                if session.namespace(&name)?.is_some() {
                    loaded.skipped.push(name);
                } else {
                    document.add(session)?;
                    loaded.added.push(name);
                }
            }
            Ok::<_, Failure>(loaded)
        });
        loaded.map_err(|failure| Error::new(Kind::Io, format!("cannot load `{}`: {}", from.display(), failure.cause())))
    }
}

fn files(from: &Path) -> Result<Vec<PathBuf>> {
    let failed = |e: std::io::Error| Error::io(format!("cannot read `{}`", from.display()), &e);
    if !from.is_dir() {
        return Ok(vec![from.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(from).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|extension| extension == "json") && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    match files.is_empty() {
        false => Ok(files),
        true => Err(Error::config(format!("there are no `.json` files in `{}`", from.display()))),
    }
}

fn document(file: &Path) -> Result<Document> {
    let failed = |e: std::io::Error| Error::io(format!("cannot read `{}`", file.display()), &e);
    let invalid =
        |what: String| Error::config(format!("`{}` is not a document of metadata definitions: {what}", file.display()));
    let mut bytes = Vec::new();
    File::open(file).and_then(|opened| opened.take(LONGEST + 1).read_to_end(&mut bytes)).map_err(failed)?;
    if bytes.len() as u64 > LONGEST {
        return Err(invalid("it is too large".to_owned()));
    }
    // No content is quoted: only where it makes no sense.
    let value: Value = serde_json::from_slice(&bytes)
        .map_err(|e| invalid(format!("it is not JSON at line {} column {}", e.line(), e.column())))?;
    NAMESPACE.check(&value).map_err(|failure| invalid(failure.cause().to_owned()))?;
    let Value::Object(fields) = value else { return Err(invalid("it is not an object".to_owned())) };
    Document::read(&fields, Some("admin".to_owned()), None).map_err(|failure| invalid(failure.cause().to_owned()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::local::Settings;

    #[test]
    fn a_catalogue_is_loaded_once_and_whole() {
        let directory = tempfile::tempdir().unwrap();
        let (service, _) = Service::open(&directory.path().join("data"), Settings::default()).unwrap();
        let documents = directory.path().join("metadefs");
        std::fs::create_dir(&documents).unwrap();
        let write = |name: &str, text: &str| std::fs::write(documents.join(name), text).unwrap();
        assert!(MetadefFiles::read(&documents).and_then(|read| service.load_metadefs(read)).is_err());
        write("b.json", r#"{"namespace": "B", "visibility": "public", "tags": [{"name": "t"}]}"#);
        write("a.json", r#"{"namespace": "A", "resource_type_associations": [{"name": "OS::X", "prefix": "x_"}]}"#);
        write("readme.txt", "no document");
        let loaded = MetadefFiles::read(&documents).and_then(|read| service.load_metadefs(read)).unwrap();
        assert_eq!(loaded.added, ["A", "B"]);
        let again = MetadefFiles::read(&documents).and_then(|read| service.load_metadefs(read)).unwrap();
        assert_eq!((again.added.len(), again.skipped.len()), (0, 2));
        service
            .registry
            .read(|session| {
                let namespace = session.namespace("A")?.unwrap();
                assert_eq!((namespace.owner.as_deref(), namespace.updated_at), (Some("admin"), None));
                assert_eq!(session.resource_types()?[0].0, "OS::X");
                Ok::<_, Failure>(())
            })
            .unwrap();
        write("c.json", r#"{"namespace": "C"}"#);
        for bad in ["{", "[]", r#"{"namespace": 1}"#, r#"{"namespace": "D", "objects": [{}]}"#] {
            write("d.json", bad);
            let error = MetadefFiles::read(&documents).and_then(|read| service.load_metadefs(read)).unwrap_err();
            assert!(error.message.contains("d.json"), "{error:?}");
        }
        let known = service.registry.read(|session| session.namespace("C")).unwrap();
        assert!(known.is_none(), "a document of a failed load stayed");
    }
}
