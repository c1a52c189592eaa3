//! A device's key pair: made here, so that the private half is never anywhere but in its file.
//!
//! ECDSA on P-256, which AWS `IoT` takes (Developer Guide, "X.509 client certificates") and small devices can afford.

use std::fmt;

use rcgen::{CertificateParams, KeyPair, PublicKeyData as _};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// A key pair. It is never shown, and its text is wiped from memory when it goes.
pub struct PrivateKey {
    pair: KeyPair,
    pem: Zeroizing<String>,
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(…)")
    }
}

/// Why there is no key pair.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// None could be made.
    #[error("no key pair could be made: {0}")]
    NotMade(String),
    /// The text is none.
    #[error("it holds no private key in PKCS #8 PEM: {0}")]
    NotRead(String),
}

impl PrivateKey {
    /// A new one.
    ///
    /// # Errors
    /// The system has no randomness.
    pub fn generate() -> Result<Self, KeyError> {
        let pair = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)
            .map_err(|error| KeyError::NotMade(error.to_string()))?;
        let pem = Zeroizing::new(pair.serialize_pem());
        Ok(Self { pair, pem })
    }

    /// One that was written before.
    ///
    /// # Errors
    /// The text holds none.
    pub fn from_pem(pem: Zeroizing<String>) -> Result<Self, KeyError> {
        let pair = KeyPair::from_pem(&pem).map_err(|error| KeyError::NotRead(error.to_string()))?;
        Ok(Self { pair, pem })
    }

    /// For its file, and for nothing else.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// A request for a certificate, in PEM.
    ///
    /// # Errors
    /// It could not be signed.
    pub fn request(&self, device: &str) -> Result<String, KeyError> {
        let not_made = |error: rcgen::Error| KeyError::NotMade(error.to_string());
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(rcgen::DnType::CommonName, device);
        params.serialize_request(&self.pair).and_then(|request| request.pem()).map_err(not_made)
    }

    /// Whether a certificate is of this key: it has the public half in it, as the same bytes (RFC 5280, section 4.1.2.7).
    #[must_use]
    pub fn has(&self, certificate_pem: &str) -> bool {
        let public = self.pair.subject_public_key_info();
        CertificateDer::from_pem_slice(certificate_pem.as_bytes())
            .is_ok_and(|der| der.windows(public.len()).any(|window| window == public))
    }
}

/// The id of a certificate, which is the SHA-256 of its DER in hexadecimal digits; `None` for what is no certificate.
#[must_use]
pub fn certificate_id(pem: &str) -> Option<String> {
    use std::fmt::Write as _;
    let der = CertificateDer::from_pem_slice(pem.as_bytes()).ok()?;
    let mut id = String::with_capacity(64);
    for byte in Sha256::digest(&der) {
        let _written = write!(id, "{byte:02x}");
    }
    Some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_not_shown_and_knows_its_own_certificates() {
        let (ours, other) = (PrivateKey::generate().unwrap(), PrivateKey::generate().unwrap());
        assert_eq!(format!("{ours:?}"), "PrivateKey(…)");
        let again = PrivateKey::from_pem(Zeroizing::new(ours.pem().to_owned())).unwrap();
        let certificate = CertificateParams::default().self_signed(&ours.pair).unwrap().pem();
        assert!(ours.has(&certificate) && again.has(&certificate) && !other.has(&certificate));
        assert!(!ours.has("no certificate"));
        assert_eq!(certificate_id(&certificate).unwrap().len(), 64);
        assert!(ours.request("pump-7").unwrap().contains("BEGIN CERTIFICATE REQUEST"));
        let error = PrivateKey::from_pem(Zeroizing::new("nothing".to_owned())).unwrap_err().to_string();
        assert!(!error.contains("nothing"), "a key's text is not for messages: {error}");
    }
}
