//! Protected properties: which roles may create, read, change and delete which
//! properties (<https://docs.openstack.org/glance/latest/admin/property-protections.html>).

use std::collections::BTreeMap;

use regex_lite::Regex;

use super::caller::Caller;
use super::failure::{Failure, Result};
use crate::error;

/// Whether the property is one that the service itself notes on an image.
pub fn is_own(name: &str) -> bool {
    name.starts_with("os_glance")
}

/// Who may do what to the properties whose names match a pattern. A list of
/// roles may hold `@`, everybody, or `!`, nobody, but not both.
#[derive(Debug, Clone, Default)]
pub struct ProtectedProperty {
    /// A regular expression, found anywhere in the name.
    pub pattern: String,
    /// Roles that may give an image such a property.
    pub create: Vec<String>,
    /// Roles that see it.
    pub read: Vec<String>,
    /// Roles that may change it.
    pub update: Vec<String>,
    /// Roles that may take it away.
    pub delete: Vec<String>,
}

/// What is done to a property.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    Create,
    Read,
    Update,
    Delete,
}

/// All rules: the first whose pattern matches decides. Without any, everybody
/// may do everything; with some, nobody may touch what none matches.
#[derive(Debug, Clone, Default)]
pub struct Protection {
    rules: Vec<(Regex, ProtectedProperty)>,
}

impl Protection {
    /// Reads the rules.
    pub fn new(rules: &[ProtectedProperty]) -> error::Result<Self> {
        let read = |rule: &ProtectedProperty| {
            let pattern = Regex::new(&rule.pattern).map_err(|_| {
                error::Error::config(format!("`{}` is not a pattern for protected properties", rule.pattern))
                    .next("write a regular expression, for instance `^x_billing_.*`")
            })?;
            for roles in [&rule.create, &rule.read, &rule.update, &rule.delete] {
                let holds = |sign: &str| roles.iter().any(|role| role == sign);
                if holds("@") && holds("!") {
                    let what = format!("the protected properties `{}` are for everybody and for nobody", rule.pattern);
                    return Err(error::Error::config(what).next("write either `@` or `!`, not both"));
                }
            }
            Ok((pattern, rule.clone()))
        };
        Ok(Protection { rules: rules.iter().map(read).collect::<error::Result<_>>()? })
    }

    /// Whether the caller may do this to the property.
    pub fn allows(&self, caller: &Caller, act: Act, name: &str) -> bool {
        // What the service itself notes on an image is never protected from it.
        if self.rules.is_empty() || is_own(name) {
            return true;
        }
        let Some((_, rule)) = self.rules.iter().find(|(pattern, _)| pattern.is_match(name)) else { return false };
        let roles = match act {
            Act::Create => &rule.create,
            Act::Read => &rule.read,
            Act::Update => &rule.update,
            Act::Delete => &rule.delete,
        };
        let holds = |role: &String| role == "@" || caller.has_role(&role.to_lowercase());
        !roles.iter().any(|role| role == "!") && roles.iter().any(holds)
    }

    /// Refuses (403) what the caller may not do to the property.
    pub fn check(&self, caller: &Caller, act: Act, name: &str) -> Result<()> {
        match self.allows(caller, act, name) {
            true => Ok(()),
            false => Err(Failure::forbidden(format!("Attribute '{name}' is reserved."))),
        }
    }

    /// Leaves out what the caller may not read.
    pub fn hide(&self, caller: &Caller, properties: &mut BTreeMap<String, String>) {
        if !self.rules.is_empty() {
            properties.retain(|name, _| self.allows(caller, Act::Read, name));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_first_rule_that_matches_decides() {
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let rules = [
            ProtectedProperty {
                pattern: "^x_billing".into(),
                create: words("admin"),
                read: words("@"),
                update: words("admin Billing"),
                delete: words("!"),
            },
            ProtectedProperty { pattern: "x_.*".into(), read: words("member"), ..ProtectedProperty::default() },
        ];
        let protection = Protection::new(&rules).unwrap();
        let member = Caller { roles: words("member"), ..Caller::default() };
        let billing = Caller { roles: words("billing"), ..Caller::default() };
        for (caller, act, name, may) in [
            (&member, Act::Create, "x_billing_code", false),
            (&member, Act::Read, "x_billing_code", true),
            (&billing, Act::Update, "x_billing_code", true),
            (&member, Act::Delete, "x_billing_code", false),
            (&member, Act::Read, "my_x_", true),
            (&billing, Act::Read, "x_other", false),
            (&member, Act::Read, "unruled", false),
            (&member, Act::Create, "os_glance_importing_to_stores", true),
        ] {
            assert_eq!(protection.allows(caller, act, name), may, "{act:?} {name}");
        }
        assert!(Protection::default().allows(&member, Act::Create, "anything"));
        assert!(Protection::new(&[ProtectedProperty { pattern: "(".into(), ..rules[0].clone() }]).is_err());
        // As Glance: one or the other.
        assert!(Protection::new(&[ProtectedProperty { read: words("@ !"), ..rules[0].clone() }]).is_err());
    }

    #[test]
    fn what_may_not_be_read_is_left_out() {
        let rules = [ProtectedProperty { pattern: "open".into(), read: vec!["@".into()], ..Default::default() }];
        let mut properties: BTreeMap<_, _> =
            [("open", "1"), ("closed", "2")].map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        Protection::new(&rules).unwrap().hide(&Caller::default(), &mut properties);
        assert_eq!(properties.into_keys().collect::<Vec<_>>(), ["open"]);
    }
}
