#![allow(clippy::unwrap_used)]

use std::time::Duration;

use super::*;
use crate::local::identity::directory::Scope;

fn read(text: &str) -> Result<Config> {
    parse(Path::new("serve.yaml"), text)
}

const PEOPLE: &str = "
projects:
- name: demo
users:
- name: demo
  password: 0123
  roles:
  - {project: demo, roles: [member, auditor]}
  application_credentials:
  - {name: ci, secret: sesame, project: demo, roles: [reader]}
";

#[test]
fn users_have_passwords_roles_and_keys() {
    let config = read(PEOPLE).unwrap();
    let directory = config.directory.unwrap();
    let user = &directory.users[0];
    assert!(user.password.as_ref().unwrap().is_of("0123"));
    assert_eq!(config.plain[&user.id], "0123");
    let scope = Scope::Project(directory.projects[0].id.clone());
    assert_eq!(directory.roles_of(user, &scope), ["member", "reader", "auditor"]);
    assert!(user.application_credentials[0].secret.is_of("sesame"));
}

#[test]
fn the_image_service_is_set_up() {
    let text = "
policy: {publicize_image: 'role:member'}
stores: [{name: fast}, {name: slow, directory: /srv/slow}]
default_store: slow
quota: {tags: 3, user_storage: 5000}
limits: {stall: 5, grace: 0, sweep: 7, longest_page: 10}
token_lifetime: 60
";
    let config = read(text).unwrap();
    assert!(config.directory.is_none());
    assert_eq!(config.token_lifetime, SignedDuration::from_secs(60));
    let settings = config.settings;
    assert_eq!(settings.policy, [("publicize_image".to_owned(), "role:member".to_owned())]);
    assert_eq!((settings.stores.len(), settings.default_store.as_str()), (2, "slow"));
    assert_eq!((settings.quota.tags, settings.quota.user_storage), (3, Some(5000)));
    assert_eq!((settings.limits.stall, settings.limits.longest_page), (Duration::from_secs(5), 10));
    assert_eq!(settings.limits.sweep, Duration::from_secs(7));
    assert!(read("").is_ok() && read("# nothing\n").is_ok());
}

#[test]
fn what_is_wrong_is_told_with_its_line_and_no_secret() {
    for (text, message) in [
        ("users:\n- name: a\n  pasword: hunter2\n", "line 3: there is no setting `pasword` here, but name, id"),
        ("users:\n- password: hunter2\n", "line 2: `name` is missing"),
        ("users: hunter2\n", "line 1: `users` is not what belongs there, or not YAML"),
        ("quota:\n  tags: hunter2\n", "line 2: `quota.tags` is not what belongs there, or not YAML"),
        ("users:\n- name: a\n  password: $2b$12$hunter2\n", "line 3: this looks like a hash of a kind"),
        ("users:\n- name: a\n  roles:\n  - {project: p, roles: [x]}\n", "line 4: there is no project `p`"),
        ("users:\n- {name: a}\n- {name: a}\n", "line 3: the user `a` or its ID is there already"),
        ("policy:\n  add_image: role:x\n  get_image: rule:nope\n", "line 3: "),
        ("projects:\n- name: p\n", "line 2: `p` is of no use without `users`"),
        ("stores:\n- name: ../x\n", "line 2: `../x` is no name for a store"),
        ("default_store: x\n", "line 1: there is no store `x`"),
        ("limits:\n  sweep: 0\n", "line 2: `limits.sweep` must be 1 at least"),
        ("limits:\n  page: 0\n", "line 2: `limits.page` must be 1 at least"),
    ] {
        let error = read(text).err().unwrap();
        let wanted = format!("`serve.yaml`, {message}");
        assert!(error.message.starts_with(&wanted), "{}\n{wanted}", error.message);
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    }
}

#[test]
fn every_key_of_the_image_service_is_taken_over() {
    let text = "
import_methods: [copy-image]
web_download: {schemes: [https], hosts: [Mirror.Example., '::1', bücher.example], ports: [8080]}
metadefs: /srv/metadefs
protected_properties:
- {pattern: ^billing_, create: [admin], read: ['@'], update: ['!']}
- {pattern: ., create: [member], read: [member], update: [member], delete: [member]}
quota: {properties: -1, tags: 2, members: 3, locations: 4, image_size: 5, user_storage: 6}
policy: {publicize_image: 'rule:mine', mine: 'role:member'}
";
    let config = read(text).unwrap();
    assert_eq!(config.metadefs.as_deref(), Some(Path::new("/srv/metadefs")));
    let settings = config.settings;
    assert_eq!(settings.import_methods, ["copy-image"]);
    let web = settings.web_download;
    assert_eq!((web.schemes, web.ports), (vec!["https".to_owned()], vec![8080]));
    assert_eq!(web.hosts, ["mirror.example", "::1", "xn--bcher-kva.example"]);
    let [billing, rest] = &settings.protected_properties[..] else { panic!("two rules") };
    assert_eq!((&*billing.pattern, &billing.create[..]), ("^billing_", &["admin".to_owned()][..]));
    assert_eq!((&*billing.read[0], &*billing.update[0], billing.delete.len()), ("@", "!", 0));
    assert_eq!((&*rest.pattern, &*rest.delete[0]), (".", "member"));
    let quota = settings.quota;
    assert_eq!((quota.properties, quota.tags, quota.members, quota.locations), (-1, 2, 3, 4));
    assert_eq!((quota.image_size, quota.user_storage), (5, Some(6)));
    assert_eq!(settings.policy.len(), 2);
    assert!(read("web_download: {ports: []}\n").unwrap().settings.web_download.ports.is_empty());
}

#[test]
fn each_malformed_shape_names_its_line_and_key() {
    let kind = "is not what belongs there, or not YAML";
    for (text, line, message) in [
        ("protected_properties: {}\n", 1, format!("`protected_properties` {kind}")),
        ("protected_properties:\n- create: [a]\n", 2, "`pattern` is missing".into()),
        ("protected_properties:\n- {pattern: a, creat: [b]}\n", 2, "there is no setting `creat` here".into()),
        ("protected_properties:\n- {pattern: [a]}\n", 2, format!("`protected_properties[0].pattern` {kind}")),
        ("protected_properties:\n- {pattern: a,\n   read: b}\n", 3, format!("`protected_properties[0].read` {kind}")),
        ("protected_properties:\n- {pattern: a}\n- {pattern: '('}\n", 3, "`(` is not a pattern".into()),
        ("protected_properties:\n- {pattern: a, read: ['@', '!']}\n", 2, "the protected properties `a` are".into()),
        ("web_download: http\n", 1, format!("`web_download` {kind}")),
        ("web_download:\n  host: [a]\n", 2, "there is no setting `host` here, but schemes, hosts, ports".into()),
        ("web_download:\n  schemes:\n  - http\n  - ftp\n", 4, "`web_download.schemes` may hold http, https".into()),
        ("web_download:\n  hosts: mirror\n", 2, format!("`web_download.hosts` {kind}")),
        ("web_download:\n  hosts: ['http://mirror']\n", 2, "`web_download.hosts` holds names and addresses".into()),
        ("web_download:\n  hosts: ['mirror:80']\n", 2, "`web_download.hosts` holds names and addresses".into()),
        ("web_download:\n  hosts: ['[::1]']\n", 2, "`web_download.hosts` holds names and addresses".into()),
        ("web_download:\n  ports: 80\n", 2, format!("`web_download.ports` {kind}")),
        ("web_download:\n  ports:\n  - 80\n  - 65536\n", 4, format!("`web_download.ports[1]` {kind}")),
        ("web_download:\n  ports: [0]\n", 2, "`web_download.ports` holds numbers from 1 to 65535".into()),
        ("import_methods: [glance-direkt]\n", 1, "`import_methods` may hold glance-direct, ".into()),
        ("metadefs: [a]\n", 1, format!("`metadefs` {kind}")),
        ("metadefs: a\nmetadefs: b\n", 2, "`metadefs` is there twice".into()),
        ("quota: 5\n", 1, format!("`quota` {kind}")),
        ("quota:\n  tag: 5\n", 2, "there is no setting `tag` here, but properties, tags".into()),
        ("quota:\n  members: many\n", 2, format!("`quota.members` {kind}")),
        ("quota:\n  tags: 1\n  image_size: -1\n", 3, format!("`quota.image_size` {kind}")),
        ("quota:\n  user_storage: 5 GB\n", 2, format!("`quota.user_storage` {kind}")),
        ("quota:\n  properties: 99999999999999999999\n", 2, format!("`quota.properties` {kind}")),
        ("policy: role:member\n", 1, format!("`policy` {kind}")),
        ("policy:\n  add_image: [role:member]\n", 2, format!("`policy.add_image` {kind}")),
        ("policy:\n  get_image: ''\n  add_image: role:a or\n", 3, "the policy rule `add_image` cannot be read".into()),
        ("policy:\n  add_image: rule:nope\n", 2, "the policy rule `add_image` refers to `nope`".into()),
        ("policy:\n  a: rule:b\n  b: rule:a\n", 3, "the policy rule `".into()),
        ("policy:\n  a: rule:x\n  b: 'role:'\n", 2, "the policy rule `a` refers to `x`".into()),
        ("policy:\n  publicise_image: role:member\n", 2, "`publicise_image` is no rule of Glance's".into()),
    ] {
        let error = read(text).err().unwrap_or_else(|| panic!("taken: {text}"));
        let wanted = format!("`serve.yaml`, line {line}: {message}");
        assert!(error.message.starts_with(&wanted), "{text}\n{}\n{wanted}", error.message);
    }
}
