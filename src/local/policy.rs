//! Who may do what: Glance's rules by name, each a check in the language of
//! oslo.policy, with Glance 33's defaults.
//!
//! <https://docs.openstack.org/oslo.policy/latest/reference/api/oslo_policy.policy.html>,
//! <https://docs.openstack.org/glance/latest/configuration/glance_policy.html>

use std::collections::HashMap;

use super::caller::Caller;
use crate::error::{Error, Result};

/// What the caller wants to do something to. What is not known of it matches nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Target<'a> {
    /// The project that it belongs to: `%(project_id)s` and `%(owner)s`.
    pub owner: Option<&'a str>,
    /// The project that an image is shared with, when that is how the caller
    /// comes to see it: `%(member_id)s`.
    pub member: Option<&'a str>,
    /// Who may see it: `%(visibility)s`.
    pub visibility: Option<&'a str>,
}

/// Rules by name.
#[derive(Debug, Clone)]
pub struct Policy {
    rules: HashMap<String, Check>,
}

const ADMIN: &str = "rule:context_is_admin";
const SERVICE: &str = "rule:service_api";
const MEMBER: &str = "rule:context_is_admin or (role:member and project_id:%(project_id)s)";
const READER: &str = "rule:context_is_admin or (role:reader and project_id:%(project_id)s)";
const NAMESPACE: &str =
    "rule:context_is_admin or (role:reader and (project_id:%(project_id)s or 'public':%(visibility)s))";
const READER_OR_SHARED: &str =
    "rule:context_is_admin or role:reader and (project_id:%(project_id)s or project_id:%(member_id)s)";
const DOWNLOAD: &str = "rule:context_is_admin or (role:member and (project_id:%(project_id)s or \
     project_id:%(member_id)s or 'community':%(visibility)s or 'public':%(visibility)s or 'shared':%(visibility)s))";

/// Glance 33's defaults, with `enforce_new_defaults` as it ships.
const DEFAULTS: &[(&str, &str)] = &[
    ("default", ""),
    ("context_is_admin", "role:admin"),
    ("service_api", "role:service or role:admin"),
    ("add_image", "rule:context_is_admin or (role:member and project_id:%(project_id)s and project_id:%(owner)s)"),
    ("delete_image", MEMBER),
    (
        "get_image",
        "rule:context_is_admin or (role:reader and (project_id:%(project_id)s or project_id:%(member_id)s or \
         'community':%(visibility)s or 'public':%(visibility)s or 'shared':%(visibility)s))",
    ),
    ("get_images", READER),
    ("modify_image", MEMBER),
    ("publicize_image", ADMIN),
    ("communitize_image", MEMBER),
    ("download_image", DOWNLOAD),
    ("download_from_store", DOWNLOAD),
    ("upload_image", MEMBER),
    ("delete_image_location", ADMIN),
    ("get_image_location", READER),
    ("set_image_location", MEMBER),
    ("add_image_location", "rule:service_api or (role:member and project_id:%(project_id)s and project_id:%(owner)s)"),
    ("fetch_image_location", SERVICE),
    ("add_member", MEMBER),
    ("delete_member", MEMBER),
    ("get_member", READER_OR_SHARED),
    ("get_members", READER_OR_SHARED),
    ("modify_member", "rule:context_is_admin or (role:member and project_id:%(member_id)s)"),
    ("manage_image_cache", ADMIN),
    ("deactivate", MEMBER),
    ("reactivate", MEMBER),
    ("copy_image", ADMIN),
    // Of Images API v1.
    ("copy_from", MEMBER),
    ("list_cached_nodes", ADMIN),
    ("cache_image", ADMIN),
    ("cache_list", ADMIN),
    ("cache_delete", ADMIN),
    ("cache_clean", ADMIN),
    ("cache_prune", ADMIN),
    ("stores_info_detail", "rule:context_is_admin or rule:service_api"),
    ("get_task", "rule:default"),
    ("get_tasks", "rule:default"),
    ("add_task", "rule:default"),
    ("modify_task", "rule:default"),
    ("tasks_api_access", ADMIN),
    ("metadef_default", ""),
    ("metadef_admin", ADMIN),
    ("get_metadef_namespace", NAMESPACE),
    ("get_metadef_namespaces", READER),
    ("modify_metadef_namespace", "rule:metadef_admin"),
    ("add_metadef_namespace", "rule:metadef_admin"),
    ("delete_metadef_namespace", "rule:metadef_admin"),
    ("get_metadef_object", NAMESPACE),
    ("get_metadef_objects", NAMESPACE),
    ("modify_metadef_object", "rule:metadef_admin"),
    ("add_metadef_object", "rule:metadef_admin"),
    ("delete_metadef_object", "rule:metadef_admin"),
    ("list_metadef_resource_types", NAMESPACE),
    ("get_metadef_resource_type", NAMESPACE),
    ("add_metadef_resource_type_association", "rule:metadef_admin"),
    ("remove_metadef_resource_type_association", "rule:metadef_admin"),
    ("get_metadef_property", NAMESPACE),
    ("get_metadef_properties", NAMESPACE),
    ("modify_metadef_property", "rule:metadef_admin"),
    ("add_metadef_property", "rule:metadef_admin"),
    ("remove_metadef_property", "rule:metadef_admin"),
    ("get_metadef_tag", NAMESPACE),
    ("get_metadef_tags", NAMESPACE),
    ("modify_metadef_tag", "rule:metadef_admin"),
    ("add_metadef_tag", "rule:metadef_admin"),
    ("add_metadef_tags", "rule:metadef_admin"),
    ("delete_metadef_tag", "rule:metadef_admin"),
    ("delete_metadef_tags", "rule:metadef_admin"),
];

impl Policy {
    /// Glance's defaults with `overrides`, pairs of a rule's name and its
    /// check, in their place. A check that cannot be read, or refers to a rule
    /// that there is not, is an error.
    pub fn new<'a>(overrides: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self> {
        let mut rules = HashMap::new();
        for (name, text) in DEFAULTS.iter().copied().chain(overrides) {
            let check = parse(text).map_err(|what| {
                Error::config(format!("the policy rule `{name}` cannot be read: {what}"))
                    .next("see oslo.policy for how checks are written, for instance `role:member or role:admin`")
            })?;
            rules.insert(name.to_owned(), check);
        }
        let policy = Policy { rules };
        for (name, check) in &policy.rules {
            policy.refers_well(name, check, &mut vec![name])?;
        }
        Ok(policy)
    }

    /// Whether `caller` may do what `rule` is about to `target`. A rule that
    /// there is not permits nothing.
    pub fn check(&self, rule: &str, caller: &Caller, target: &Target) -> bool {
        self.rules.get(rule).is_some_and(|check| self.holds(check, caller, target))
    }

    /// Whether anything asks for `rule`: Glance does, or another rule.
    pub fn is_used(&self, rule: &str) -> bool {
        fn refers(check: &Check, rule: &str) -> bool {
            match check {
                Check::Not(check) => refers(check, rule),
                Check::And(checks) | Check::Or(checks) => checks.iter().any(|check| refers(check, rule)),
                Check::Rule(name) => name == rule,
                _ => false,
            }
        }
        DEFAULTS.iter().any(|(name, _)| *name == rule) || self.rules.values().any(|check| refers(check, rule))
    }

    fn holds(&self, check: &Check, caller: &Caller, target: &Target) -> bool {
        match check {
            Check::Always => true,
            Check::Never => false,
            Check::Not(check) => !self.holds(check, caller, target),
            Check::And(checks) => checks.iter().all(|check| self.holds(check, caller, target)),
            Check::Or(checks) => checks.iter().any(|check| self.holds(check, caller, target)),
            Check::Rule(name) => self.check(name, caller, target),
            Check::Role(role) => caller.has_role(role),
            Check::Same(left, right) => {
                let left = left.value(caller, target);
                left.is_some() && left == right.value(caller, target)
            }
        }
    }

    /// Follows the references of a rule: each must exist and none may lead back.
    fn refers_well<'a>(&'a self, name: &str, check: &'a Check, seen: &mut Vec<&'a str>) -> Result<()> {
        match check {
            Check::Not(check) => self.refers_well(name, check, seen),
            Check::And(checks) | Check::Or(checks) => {
                checks.iter().try_for_each(|check| self.refers_well(name, check, seen))
            }
            Check::Rule(other) => {
                let next = self.rules.get(other).ok_or_else(|| {
                    Error::config(format!("the policy rule `{name}` refers to `{other}`, which does not exist"))
                })?;
                if seen.contains(&other.as_str()) {
                    return Err(Error::config(format!("the policy rule `{other}` refers to itself")));
                }
                seen.push(other);
                self.refers_well(name, next, seen)?;
                seen.pop();
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Check {
    Always,
    Never,
    Not(Box<Check>),
    And(Vec<Check>),
    Or(Vec<Check>),
    Rule(String),
    Role(String),
    Same(Word, Word),
}

/// One side of a comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Word {
    Text(String),
    UserId,
    ProjectId,
    Owner,
    Member,
    Visibility,
}

impl Word {
    fn value<'a>(&'a self, caller: &'a Caller, target: &Target<'a>) -> Option<&'a str> {
        match self {
            Word::Text(text) => Some(text),
            Word::UserId => Some(&caller.user_id),
            Word::ProjectId => caller.project_id.as_deref(),
            Word::Owner => target.owner,
            Word::Member => target.member,
            Word::Visibility => target.visibility,
        }
    }
}

/// How deep parentheses may go: a rule is written by hand.
const MAX_DEPTH: usize = 32;

type Read<T> = std::result::Result<T, String>;

fn parse(text: &str) -> Read<Check> {
    let words = words(text);
    if words.is_empty() {
        return Ok(Check::Always);
    }
    let mut words = words.into_iter().peekable();
    let check = either(&mut words, 0)?;
    match words.next() {
        None => Ok(check),
        Some(word) => Err(format!("`{word}` is one too many")),
    }
}

/// Parentheses and what is between them; those of `%(name)s` are part of a word.
fn words(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    for mut rest in text.split_whitespace() {
        while let Some(stripped) = rest.strip_prefix('(') {
            words.push("(");
            rest = stripped;
        }
        let closing = match rest.rfind(")s") {
            // `%(name)s` may be followed by what closes a group.
            Some(at) if rest.contains("%(") => at + 2,
            _ => rest.find(')').unwrap_or(rest.len()),
        };
        let (word, closing) = rest.split_at(closing);
        if !word.is_empty() {
            words.push(word);
        }
        words.extend(closing.split_inclusive(')'));
    }
    words
}

type Words<'a> = std::iter::Peekable<std::vec::IntoIter<&'a str>>;

fn either(words: &mut Words, depth: usize) -> Read<Check> {
    let mut checks = vec![both(words, depth)?];
    while words.next_if(|word| word.eq_ignore_ascii_case("or")).is_some() {
        checks.push(both(words, depth)?);
    }
    Ok(if checks.len() == 1 { checks.remove(0) } else { Check::Or(checks) })
}

fn both(words: &mut Words, depth: usize) -> Read<Check> {
    let mut checks = vec![one(words, depth)?];
    while words.next_if(|word| word.eq_ignore_ascii_case("and")).is_some() {
        checks.push(one(words, depth)?);
    }
    Ok(if checks.len() == 1 { checks.remove(0) } else { Check::And(checks) })
}

fn one(words: &mut Words, depth: usize) -> Read<Check> {
    if depth > MAX_DEPTH {
        return Err("it is nested too deep".to_owned());
    }
    let word = words.next().ok_or("it ends too soon")?;
    match word {
        "@" => Ok(Check::Always),
        "!" => Ok(Check::Never),
        "(" => {
            let check = either(words, depth + 1)?;
            match words.next() {
                Some(")") => Ok(check),
                _ => Err("a `(` is not closed".to_owned()),
            }
        }
        _ if word.eq_ignore_ascii_case("not") => Ok(Check::Not(Box::new(one(words, depth + 1)?))),
        _ => match word.split_once(':') {
            Some(("rule", name)) => Ok(Check::Rule(name.to_owned())),
            Some(("role", role)) => Ok(Check::Role(role.to_lowercase())),
            Some((left, right)) => Ok(Check::Same(of_caller(left)?, of_target(right)?)),
            None => Err(format!("`{word}` is not a check")),
        },
    }
}

fn of_caller(word: &str) -> Read<Word> {
    let quoted = ['\'', '"'].into_iter().find_map(|quote| word.strip_prefix(quote)?.strip_suffix(quote));
    match (word, quoted) {
        (_, Some(text)) => Ok(Word::Text(text.to_owned())),
        ("user_id", _) => Ok(Word::UserId),
        ("project_id" | "tenant" | "tenant_id", _) => Ok(Word::ProjectId),
        _ => Err(format!("nothing is known of a caller's `{word}`")),
    }
}

fn of_target(word: &str) -> Read<Word> {
    match word.strip_prefix("%(").and_then(|word| word.strip_suffix(")s")) {
        None => Ok(Word::Text(word.to_owned())),
        Some("project_id" | "owner" | "tenant") => Ok(Word::Owner),
        Some("member_id") => Ok(Word::Member),
        Some("visibility") => Ok(Word::Visibility),
        Some(other) => Err(format!("nothing is known of a target's `{other}`")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn caller(project: &str, roles: &[&str]) -> Caller {
        Caller {
            project_id: Some(project.to_owned()),
            roles: roles.iter().map(|&role| role.to_owned()).collect(),
            ..Caller::default()
        }
    }

    fn image<'a>(owner: &'a str, member: Option<&'a str>, visibility: &'a str) -> Target<'a> {
        Target { owner: Some(owner), member, visibility: Some(visibility) }
    }

    #[test]
    fn who_may_do_what_by_default() {
        let policy = Policy::new([]).unwrap();
        let admin = caller("other", &["admin", "member", "reader"]);
        let member = caller("mine", &["member", "reader"]);
        let reader = caller("mine", &["reader"]);
        let nobody = caller("mine", &[]);
        let mine = image("mine", None, "private");
        let foreign = image("theirs", None, "private");
        let public = image("theirs", None, "public");
        let shared = image("theirs", Some("mine"), "shared");
        for (rule, who, target, may) in [
            ("add_image", &admin, &foreign, true),
            ("add_image", &member, &mine, true),
            ("add_image", &member, &foreign, false),
            ("add_image", &reader, &mine, false),
            ("get_image", &reader, &mine, true),
            ("get_image", &reader, &public, true),
            ("get_image", &reader, &shared, true),
            ("get_image", &reader, &foreign, false),
            ("get_image", &nobody, &public, false),
            ("download_image", &member, &public, true),
            ("download_image", &reader, &public, false),
            ("publicize_image", &member, &mine, false),
            ("publicize_image", &admin, &mine, true),
            ("communitize_image", &member, &mine, true),
            ("modify_member", &member, &shared, true),
            ("modify_member", &member, &mine, false),
            ("get_members", &reader, &shared, true),
            ("copy_image", &member, &mine, false),
            ("stores_info_detail", &member, &mine, false),
            ("tasks_api_access", &admin, &mine, true),
            ("no_such_rule", &admin, &mine, false),
        ] {
            assert_eq!(policy.check(rule, who, target), may, "{rule} {who:?} {target:?}");
        }
    }

    #[test]
    fn rules_are_read_word_by_word() {
        assert_eq!(
            words("role:a and ((project_id:%(owner)s) or (role:b))"),
            ["role:a", "and", "(", "(", "project_id:%(owner)s", ")", "or", "(", "role:b", ")", ")"]
        );
    }

    #[test]
    fn a_rule_can_be_replaced() {
        let policy = Policy::new([("publicize_image", "role:Publisher or not role:guest and !")]).unwrap();
        assert!(policy.check("publicize_image", &caller("p", &["publisher"]), &Target::default()));
        assert!(!policy.check("publicize_image", &caller("p", &["admin"]), &Target::default()));
    }

    #[test]
    fn a_rule_that_makes_no_sense_is_refused_at_the_start() {
        for bad in ["role:a or", "(role:a", "role:a role:b", "nonsense", "rule:missing", "rule:copy_image", "x:%(y)s"] {
            assert!(Policy::new([("copy_image", bad)]).is_err(), "{bad}");
        }
        assert!(Policy::new([("copy_image", "(".repeat(100).as_str())]).is_err());
    }
}
