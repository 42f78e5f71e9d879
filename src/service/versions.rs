//! The versions of the API that a service offers.

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// `v2.9`
    pub id: String,
    /// `CURRENT`, `SUPPORTED`, `DEPRECATED`, `EXPERIMENTAL`
    pub status: String,
    /// Where it is.
    pub url: String,
}
