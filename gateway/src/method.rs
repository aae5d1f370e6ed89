//! The methods of requests, as far as limits, retries and caches tell them apart.

/// The method of a request (RFC 9110, 9.3; PATCH of RFC 5789).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is called as on the wire")]
pub enum Method {
    #[default]
    Get,
    Head,
    Options,
    Put,
    Delete,
    Post,
    Patch,
    /// Any other, which no [`MethodSet`] has.
    Other,
}

/// A set of methods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MethodSet(u8);

impl MethodSet {
    /// These.
    pub fn of(methods: impl IntoIterator<Item = Method>) -> Self {
        let bit = |method| if method == Method::Other { 0 } else { 1 << method as u8 };
        Self(methods.into_iter().fold(0, |set, method| set | bit(method)))
    }

    /// Whether the set has that method.
    pub const fn includes(self, method: Method) -> bool {
        self.0 & (1 << method as u8) != 0
    }

    /// Those of the set.
    pub fn iter(self) -> impl Iterator<Item = Method> {
        Method::ALL.into_iter().filter(move |method| self.includes(*method))
    }
}

impl Method {
    /// Each that has a name.
    pub const ALL: [Self; 7] =
        [Self::Get, Self::Head, Self::Options, Self::Put, Self::Delete, Self::Post, Self::Patch];

    /// As on the wire; empty for [`Method::Other`].
    pub const fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Options => "OPTIONS",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
            Self::Post => "POST",
            Self::Patch => "PATCH",
            Self::Other => "",
        }
    }

    /// Whether a request may be sent twice and do no more than once (RFC 9110, 9.2.2).
    pub const fn is_idempotent(self) -> bool {
        !matches!(self, Self::Post | Self::Patch | Self::Other)
    }

    /// Whether a cache may answer a request. RFC 9110 (9.2.3) defines that of GET and HEAD; what caches do with POST differs.
    pub const fn is_cacheable(self) -> bool {
        matches!(self, Self::Get | Self::Head)
    }

    /// The method of that name, in which case counts.
    pub fn from_name(name: &str) -> Self {
        Self::ALL.into_iter().find(|method| method.name() == name).unwrap_or(Self::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_the_methods_that_it_is_of() {
        let set = MethodSet::of([Method::Post, Method::Patch, Method::Other]);
        assert_eq!(set.iter().map(Method::name).collect::<Vec<_>>(), ["POST", "PATCH"]);
        assert!(!set.includes(Method::Get) && !set.includes(Method::Other));
        assert_eq!(Method::ALL.map(|method| Method::from_name(method.name())), Method::ALL);
        assert_eq!([Method::from_name("get"), Method::from_name("PROPFIND")], [Method::Other; 2]);
    }
}
