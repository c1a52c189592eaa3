//! What the tests share: messages, receivers, a network by script.

pub(crate) mod http;
pub(crate) mod messages;
pub(crate) mod network;
pub(crate) mod relay;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use alert_fanout::channel::{Channel, Receipt, SendError};
use alert_fanout::message::Message;
use alert_fanout::secret::{Keyring, Secret, SecretError, SecretRef, Secrets};
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::TlsAcceptor;

/// Secrets in memory that a test can rotate.
#[derive(Clone, Default)]
pub(crate) struct Vault(Arc<Mutex<HashMap<String, String>>>);

impl Vault {
    pub(crate) fn with(name: &str, content: &str) -> Self {
        let vault = Self::default();
        vault.store(name, content);
        vault
    }

    pub(crate) fn store(&self, name: &str, content: &str) {
        self.0.lock().unwrap().insert(name.to_owned(), content.to_owned());
    }

    pub(crate) fn keyring(&self) -> Arc<Keyring<Self>> {
        Arc::new(Keyring::new(self.clone()))
    }
}

impl Secrets for Vault {
    async fn secret(&self, reference: &SecretRef) -> Result<Secret, SecretError> {
        match self.0.lock().unwrap().get(reference.as_str()) {
            Some(content) => Secret::new(reference, content.clone()),
            None => Err(SecretError::NotFound { reference: reference.clone(), remedy: "store it".to_owned() }),
        }
    }
}

pub(crate) fn reference(name: &str) -> SecretRef {
    SecretRef::new(name).unwrap()
}

/// Sends, and holds the channel to what it promises of every error: it names the channel, and shows none of `hidden`.
pub(crate) async fn send(channel: &impl Channel, message: &Message, hidden: &[&str]) -> Result<Receipt, SendError> {
    let outcome = channel.send(message).await;
    if let Err(error) = &outcome {
        for text in [error.to_string(), format!("{error:?}")] {
            assert!(text.contains(channel.name()), "{text}");
            for secret in hidden {
                assert!(!text.contains(secret), "an error shows `{secret}`: {text}");
            }
        }
        assert!(!error.remedy().is_empty() && error.to_string().contains(error.remedy()), "{error}");
    }
    outcome
}

/// A certificate for `names`, as a server needs it and as a client trusts it.
pub(crate) fn certificate(names: &[&str]) -> (TlsAcceptor, RootCertStore) {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    let der: CertificateDer<'static> = made.cert.der().clone();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![der.clone()], key)
        .unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(der).unwrap();
    (TlsAcceptor::from(Arc::new(config)), roots)
}
