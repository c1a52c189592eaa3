//! An address of the web that messages go to. Its path may be a key, as Slack's are: it is shown by its host alone.

use std::fmt;

use url::{Host, Url};

use super::{Reach, not_public};

/// Bound of an address.
pub const URL_BYTES_MAX: usize = 2_048;

/// An address that was checked as far as it can be without resolving its name.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    url: Url,
    host: Host<String>,
    reach: Reach,
}

/// An address that cannot be used. Says nothing of the address but, where it matters, its host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// Not an address at all.
    #[error("it is not an address such as https://host/path ({0})")]
    NotAnAddress(url::ParseError),
    /// Longer than any address needs to be.
    #[error("it has more than {URL_BYTES_MAX} bytes")]
    TooLong,
    /// Neither HTTPS nor, where that is allowed, HTTP.
    #[error("it does not begin with https:// (http:// only with `allow_private`)")]
    NotHttps,
    /// A name or password before the host.
    #[error("it has a user's name or password before the host; leave them out, the signature says who we are")]
    Credentials,
    /// A literal address that is not public.
    #[error(
        "its host is {0}, and only public addresses may be reached; use one, or have the operator set `allow_private`"
    )]
    NotPublic(&'static str),
}

impl Endpoint {
    /// Checks an address.
    ///
    /// # Errors
    /// Not HTTPS (HTTP is allowed with [`Reach::Anywhere`]), credentials in it, a literal address that is not public,
    /// more than [`URL_BYTES_MAX`] bytes.
    pub fn new(text: &str, reach: Reach) -> Result<Self, EndpointError> {
        if text.len() > URL_BYTES_MAX {
            return Err(EndpointError::TooLong);
        }
        let url = Url::parse(text.trim()).map_err(EndpointError::NotAnAddress)?;
        match (url.scheme(), reach) {
            ("https", _) | ("http", Reach::Anywhere | Reach::ThisMachine) => {}
            _ => return Err(EndpointError::NotHttps),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(EndpointError::Credentials);
        }
        let host = url.host().ok_or(EndpointError::NotAnAddress(url::ParseError::EmptyHost))?.to_owned();
        let literal = match &host {
            Host::Domain(_) => None,
            Host::Ipv4(address) => not_public((*address).into()),
            Host::Ipv6(address) => not_public((*address).into()),
        };
        match literal {
            Some(class) if reach == Reach::Public => Err(EndpointError::NotPublic(class)),
            _ => Ok(Self { url, host, reach }),
        }
    }

    pub(crate) fn host(&self) -> &Host<String> {
        &self.host
    }

    pub(super) fn port(&self) -> u16 {
        self.url.port_or_known_default().unwrap_or(443)
    }

    pub(super) fn reach(&self) -> Reach {
        self.reach
    }

    pub(super) fn is_encrypted(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// Path and query: what stands in the first line of a request.
    pub(super) fn target(&self) -> String {
        match self.url.query() {
            Some(query) => format!("{}?{query}", self.url.path()),
            None => self.url.path().to_owned(),
        }
    }

    /// Host, and port where it is not the usual one: what stands in the header `Host`.
    pub(super) fn authority(&self) -> String {
        match self.url.port() {
            Some(port) => format!("{}:{port}", self.host),
            None => self.host.to_string(),
        }
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({}, path not shown)", self.authority())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        Endpoint::new(text, Reach::Public).unwrap_err().to_string()
    }

    #[test]
    fn addresses_that_cannot_be_used_are_refused_without_being_told() {
        assert!(refusal("http://hooks.example/token-1").contains("https://"));
        assert!(refusal("file:///etc/token-1").contains("https://"));
        assert!(refusal("https://user:token-1@hooks.example/").contains("password"));
        assert!(refusal("token-1").contains("not an address"));
        assert!(refusal(&format!("https://a.example/{}", "token-1".repeat(400))).contains("2048 bytes"));
        for text in ["http://a/token-1", "https://u:token-1@a/", "token-1", "https://127.0.0.1/token-1"] {
            assert!(!refusal(text).contains("token-1"), "{text}");
        }
    }

    #[test]
    fn a_literal_address_inside_is_refused_however_it_is_written() {
        for host in [
            "127.0.0.1",
            "2130706433",
            "0x7f.1",
            "0177.0.0.1",
            "[::1]",
            "[::ffff:169.254.169.254]",
            "169.254.169.254",
            "[fd00:ec2::254]",
        ] {
            assert!(
                matches!(Endpoint::new(&format!("https://{host}/"), Reach::Public), Err(EndpointError::NotPublic(_))),
                "{host}"
            );
            assert!(Endpoint::new(&format!("http://{host}/"), Reach::Anywhere).is_ok(), "{host}");
        }
    }

    #[test]
    fn an_endpoint_is_shown_by_its_host() {
        let endpoint = Endpoint::new("https://hooks.example:8443/services/token-1?a=b#c", Reach::Public).unwrap();
        assert_eq!(format!("{endpoint:?}"), "Endpoint(hooks.example:8443, path not shown)");
        assert_eq!(endpoint.target(), "/services/token-1?a=b");
        assert_eq!((endpoint.port(), endpoint.authority().as_str()), (8443, "hooks.example:8443"));
    }
}
