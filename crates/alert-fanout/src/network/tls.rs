//! Encryption of what leaves: TLS 1.2 or 1.3 with the provider that the AWS SDK uses, roots of the system or given ones.

use std::io;
use std::sync::{Arc, OnceLock};

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// A configuration that is made once, when it is first needed: reading the system's roots takes milliseconds, and a
/// function without a channel over TLS needs none.
pub(super) struct Tls {
    given: Option<RootCertStore>,
    made: OnceLock<Result<Arc<ClientConfig>, String>>,
}

impl Tls {
    /// Trusts the system's roots.
    pub(super) fn native() -> Self {
        Self { given: None, made: OnceLock::new() }
    }

    /// Trusts these roots alone.
    pub(super) fn trusting(roots: RootCertStore) -> Self {
        Self { given: Some(roots), made: OnceLock::new() }
    }

    pub(super) async fn connect(
        &self,
        name: ServerName<'static>,
        stream: TcpStream,
    ) -> io::Result<TlsStream<TcpStream>> {
        let made = self.made.get_or_init(|| configuration(self.given.clone().unwrap_or_else(native_roots)));
        let config = made.clone().map_err(|why| io::Error::other(rustls::Error::General(why)))?;
        TlsConnector::from(config).connect(name, stream).await
    }
}

/// The roots that can be read. Without any, each certificate is refused, which says so.
fn native_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}

fn configuration(roots: RootCertStore) -> Result<Arc<ClientConfig>, String> {
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}
