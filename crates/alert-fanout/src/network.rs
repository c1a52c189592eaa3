//! The one way out: name resolution, the guard against addresses inside, connecting, encryption.
//!
//! An address of a webhook is a tenant's word, and whoever runs this function stands inside a network. So a name is
//! resolved once for each sending, every address of the answer is checked, and the connection goes to an address that
//! was checked, not to the name. A client of a library would resolve again, follow redirects and obey proxies of the
//! environment; this one does none of it, keeps no connection, and needs no crate that the AWS SDK does not bring.

mod address;
mod endpoint;
mod post;
mod tls;

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use url::Host;

pub use address::not_public;
pub use endpoint::{Endpoint, EndpointError, URL_BYTES_MAX};

pub(crate) use post::{Answer, Body};

use crate::channel::{CONNECT_TIMEOUT, SendError};
use tls::Tls;

/// Addresses of a name that are tried.
const TRIED_MAX: usize = 4;

/// A future in a box: both verbs of [`Network`] wait for the world, one allocation is nothing beside that.
pub type Waiting<'a, T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send + 'a>>;

/// What the outside is made of. Scripted in tests: a name that changes its address, a connection that never stands.
pub trait Network: Send + Sync {
    /// All addresses of a name.
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> Waiting<'a, Vec<SocketAddr>>;

    /// A connection to exactly this address.
    fn connect(&self, to: SocketAddr) -> Waiting<'_, TcpStream>;
}

/// The machine's network.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemNetwork;

impl Network for SystemNetwork {
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> Waiting<'a, Vec<SocketAddr>> {
        Box::pin(async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) })
    }

    fn connect(&self, to: SocketAddr) -> Waiting<'_, TcpStream> {
        Box::pin(TcpStream::connect(to))
    }
}

/// Which addresses may be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reach {
    /// Public ones, encrypted. What a tenant names.
    #[default]
    Public,
    /// Any, also without encryption. What the operator names (`allow_private`).
    Anywhere,
    /// This machine alone.
    ThisMachine,
}

/// A connection, encrypted or not.
pub(crate) trait Wire: AsyncRead + AsyncWrite + Send + Sync + Unpin + fmt::Debug {}

impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin + fmt::Debug> Wire for T {}

/// The way out. Clones share what is known of certificates; one serves all channels.
#[derive(Clone)]
pub struct Outbound {
    network: Arc<dyn Network>,
    tls: Arc<Tls>,
}

impl Outbound {
    /// The machine's network and root certificates; these are read when they are first needed.
    #[must_use]
    pub fn system() -> Self {
        Self { network: Arc::new(SystemNetwork), tls: Arc::new(Tls::native()) }
    }

    /// Another network, or other roots: those of a company's own certificates, or of a test.
    pub fn new(network: Arc<dyn Network>, roots: RootCertStore) -> Self {
        Self { network, tls: Arc::new(Tls::trusting(roots)) }
    }

    /// A connection to one of the host's addresses, after all of them were checked.
    pub(crate) async fn connect(&self, host: &Host<String>, port: u16, reach: Reach) -> Result<TcpStream, DialError> {
        let dialled = tokio::time::timeout(CONNECT_TIMEOUT, self.dial(host, port, reach)).await;
        dialled.unwrap_or_else(|_| Err(slow(host)))
    }

    /// The connection, encrypted, once the certificate was found to be the host's.
    pub(crate) async fn encrypt(&self, stream: TcpStream, host: &Host<String>) -> Result<Box<dyn Wire>, DialError> {
        let encrypted = tokio::time::timeout(CONNECT_TIMEOUT, self.tls.connect(server_name(host)?, stream)).await;
        match encrypted {
            Ok(Ok(stream)) => Ok(Box::new(stream)),
            Ok(Err(error)) => Err(tls_failure(host, &error)),
            Err(_) => Err(slow(host)),
        }
    }

    async fn dial(&self, host: &Host<String>, port: u16, reach: Reach) -> Result<TcpStream, DialError> {
        let addresses = self.checked(host, port, reach).await?;
        let patience = CONNECT_TIMEOUT / addresses.len().max(1) as u32;
        let mut last = slow(host);
        for address in addresses {
            match tokio::time::timeout(patience, self.network.connect(address)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => {
                    last = DialError::Unreachable { host: host.to_string(), why: error.kind().to_string() }
                }
                Err(_) => last = slow(host),
            }
        }
        Err(last)
    }

    /// The host's addresses; none if one of them may not be reached, for then somebody plays with the name.
    async fn checked(&self, host: &Host<String>, port: u16, reach: Reach) -> Result<Vec<SocketAddr>, DialError> {
        let mut addresses = match host {
            Host::Ipv4(address) => vec![SocketAddr::from((*address, port))],
            Host::Ipv6(address) => vec![SocketAddr::from((*address, port))],
            Host::Domain(name) => self.network.resolve(name, port).await.map_err(|error| DialError::Unreachable {
                host: name.clone(),
                why: format!("the name cannot be resolved ({})", error.kind()),
            })?,
        };
        for address in &mut addresses {
            // `::ffff:10.0.0.1` is 10.0.0.1, to the guard and to the connection.
            *address = SocketAddr::from((address.ip().to_canonical(), port));
        }
        if let Some(class) = addresses.iter().find_map(|address| objection(address.ip(), reach)) {
            return Err(DialError::OutOfReach { host: host.to_string(), class });
        }
        if addresses.is_empty() {
            return Err(DialError::Unreachable { host: host.to_string(), why: "the name has no address".to_owned() });
        }
        addresses.truncate(TRIED_MAX);
        Ok(addresses)
    }
}

impl fmt::Debug for Outbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbound").finish_non_exhaustive()
    }
}

/// No connection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DialError {
    #[error("{host} cannot be reached: {why}")]
    Unreachable { host: String, why: String },
    // The address itself stays untold: it would let a tenant ask for names of the inner network.
    #[error("{host} leads to {class}, which this channel may not reach")]
    OutOfReach { host: String, class: &'static str },
    #[error("{host} does not show a certificate that can be trusted: {why}")]
    Untrusted { host: String, why: String },
}

impl DialError {
    pub(crate) fn in_channel(self, channel: &str) -> SendError {
        let what = self.to_string();
        match self {
            Self::Unreachable { .. } => SendError::retry(
                channel,
                None,
                what,
                "nothing, unless it stays: then see the host's name and its firewall",
            ),
            Self::OutOfReach { .. } => SendError::misconfigured(
                channel,
                what,
                "use a public address with encryption, or have the operator set `allow_private` on the channel",
            ),
            Self::Untrusted { .. } => {
                SendError::misconfigured(channel, what, "renew the certificate there, or have its root trusted here")
            }
        }
    }
}

/// Why an address may not be reached.
fn objection(address: IpAddr, reach: Reach) -> Option<&'static str> {
    match reach {
        Reach::Public => not_public(address),
        Reach::Anywhere => None,
        Reach::ThisMachine => (!address.is_loopback()).then_some("another machine"),
    }
}

fn slow(host: &Host<String>) -> DialError {
    DialError::Unreachable {
        host: host.to_string(),
        why: format!("no connection within {} s", CONNECT_TIMEOUT.as_secs()),
    }
}

fn server_name(host: &Host<String>) -> Result<ServerName<'static>, DialError> {
    Ok(match host {
        Host::Ipv4(address) => ServerName::from(IpAddr::from(*address)),
        Host::Ipv6(address) => ServerName::from(IpAddr::from(*address)),
        Host::Domain(name) => ServerName::try_from(name.clone()).map_err(|_| DialError::Untrusted {
            host: name.clone(),
            why: "no certificate can have this name".to_owned(),
        })?,
    })
}

/// A handshake that failed: the certificate's fault, or the line's.
fn tls_failure(host: &Host<String>, error: &io::Error) -> DialError {
    let host = host.to_string();
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidCertificate(why)) => DialError::Untrusted { host, why: format!("{why}") },
        Some(rustls::Error::General(why)) => DialError::Untrusted { host, why: why.clone() },
        Some(_) => {
            DialError::Unreachable { host, why: "no agreement on encryption (TLS 1.2 or 1.3 is needed)".to_owned() }
        }
        None => DialError::Unreachable { host, why: format!("while encrypting: {}", error.kind()) },
    }
}
