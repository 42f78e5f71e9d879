//! What a configuration file says of who there is.

use std::collections::BTreeMap;

use serde_saphyr::Spanned;

use super::file::{File, Wrong};
use crate::error::Result;
use crate::local::identity::directory::{
    ApplicationCredential, DEFAULT_DOMAIN, Directory, Domain, Grant, Project, ROLES, Scope, User, id_of,
};
use crate::local::identity::password::Hash;

/// Who there is. The passwords that stand there in plain text get into `plain`,
/// by the user's ID.
pub fn read_directory(file: File, plain: &mut BTreeMap<String, String>, wrong: &Wrong) -> Result<Directory> {
    let mut directory =
        Directory { region: file.region.unwrap_or_else(|| "RegionOne".to_owned()), ..Directory::default() };
    directory.roles.extend(ROLES.map(str::to_owned));
    directory.domains.push(Domain { id: DEFAULT_DOMAIN.to_owned(), name: "Default".to_owned() });
    for entry in file.domains {
        let name = entry.name.value;
        let id = entry.id.unwrap_or_else(|| id_of(&["domain", &name]));
        if directory.domains.iter().any(|other| other.id == id || other.name == name) {
            return Err(wrong(entry.name.defined, format!("the domain `{name}` or its ID is there already")));
        }
        directory.domains.push(Domain { id, name });
    }
    for entry in file.projects {
        let domain_id = domain(&directory, entry.domain.as_ref(), wrong)?;
        let name = entry.name.value;
        let id = entry.id.unwrap_or_else(|| id_of(&["project", &domain_id, &name]));
        let same = |other: &Project| other.id == id || other.name == name && other.domain_id == domain_id;
        if directory.projects.iter().any(same) {
            return Err(wrong(entry.name.defined, format!("the project `{name}` or its ID is there already")));
        }
        let (description, enabled) = (entry.description, entry.enabled);
        directory.projects.push(Project { id, name, domain_id, description, enabled });
    }
    for entry in file.users {
        let domain_id = domain(&directory, entry.domain.as_ref(), wrong)?;
        let name = entry.name.value;
        let id = entry.id.unwrap_or_else(|| id_of(&["user", &domain_id, &name]));
        let same = |other: &User| other.id == id || other.name == name && other.domain_id == domain_id;
        if directory.users.iter().any(same) {
            return Err(wrong(entry.name.defined, format!("the user `{name}` or its ID is there already")));
        }
        let password = match &entry.password {
            Some(given) => {
                let (hash, is_plain) = secret(given, wrong)?;
                if is_plain {
                    plain.insert(id.clone(), given.value.clone());
                }
                Some(hash)
            }
            None => None,
        };
        let mut grants = Vec::new();
        for grant in entry.roles {
            let scope = match (&grant.project, &grant.domain, &grant.system) {
                (Some(name), None, None) => Scope::Project(project(&directory, name, &domain_id, wrong)?),
                (None, Some(_), None) => Scope::Domain(domain(&directory, grant.domain.as_ref(), wrong)?),
                (None, None, Some(system)) if system.value => Scope::System,
                _ => {
                    let what = "roles are held on one `project`, one `domain`, or with `system: true`".to_owned();
                    return Err(wrong(entry.name.defined, what));
                }
            };
            let roles = roles(&mut directory, grant.roles);
            grants.push(Grant { scope, roles });
        }
        let mut application_credentials: Vec<ApplicationCredential> = Vec::new();
        for entry in entry.application_credentials {
            let project_id = project(&directory, &entry.project, &domain_id, wrong)?;
            let name = entry.name.value;
            let key_id = entry.id.unwrap_or_else(|| id_of(&["application credential", &id, &name]));
            let earlier = directory.users.iter().flat_map(|user| &user.application_credentials);
            let own = application_credentials.iter();
            if own.clone().any(|other| other.name == name) || earlier.chain(own).any(|other| other.id == key_id) {
                let what = format!("the application credential `{name}` or its ID is there already");
                return Err(wrong(entry.name.defined, what));
            }
            let roles = roles(&mut directory, entry.roles);
            let (secret, _) = secret(&entry.secret, wrong)?;
            application_credentials.push(ApplicationCredential {
                id: key_id,
                name,
                secret,
                project_id,
                roles,
                description: None,
                expires: None,
                unrestricted: None,
            });
        }
        let enabled = entry.enabled;
        directory.users.push(User { id, name, domain_id, enabled, password, grants, application_credentials });
    }
    Ok(directory)
}

/// The hash of a secret that is given in plain text (`true`) or as a hash.
fn secret(given: &Spanned<String>, wrong: &Wrong) -> Result<(Hash, bool)> {
    if let Some(hash) = Hash::parse(&given.value) {
        return Ok((hash, false));
    }
    if Hash::is_meant(&given.value) {
        let what = "this looks like a hash of a kind that is not known: use `$pbkdf2-sha512$ROUNDS$SALT$KEY`";
        return Err(wrong(given.defined, what.to_owned()));
    }
    if given.value.is_empty() {
        return Err(wrong(given.defined, "a secret must not be empty".to_owned()));
    }
    Ok((Hash::of(&given.value)?, true))
}

/// The ID of the domain that is named so, by name or ID; the default one if none is.
fn domain(directory: &Directory, named: Option<&Spanned<String>>, wrong: &Wrong) -> Result<String> {
    let Some(named) = named else { return Ok(DEFAULT_DOMAIN.to_owned()) };
    let found = directory.domains.iter().find(|domain| domain.name == named.value || domain.id == named.value);
    found
        .map(|domain| domain.id.clone())
        .ok_or_else(|| wrong(named.defined, format!("there is no domain `{}`", named.value)))
}

/// The ID of the project that is named so, by ID or name, first in the domain of the user.
fn project(directory: &Directory, named: &Spanned<String>, domain_id: &str, wrong: &Wrong) -> Result<String> {
    let of_name = || directory.projects.iter().filter(|project| project.name == named.value);
    let found = directory
        .project(&named.value)
        .or_else(|| of_name().find(|project| project.domain_id == domain_id))
        .or_else(|| of_name().next());
    found
        .map(|project| project.id.clone())
        .ok_or_else(|| wrong(named.defined, format!("there is no project `{}`: add it to `projects`", named.value)))
}

/// The names of roles; those that are new become known.
fn roles(directory: &mut Directory, named: Vec<Spanned<String>>) -> Vec<String> {
    let names: Vec<String> = named.into_iter().map(|role| role.value).collect();
    for name in &names {
        if !directory.roles.contains(name) {
            directory.roles.push(name.clone());
        }
    }
    names
}
