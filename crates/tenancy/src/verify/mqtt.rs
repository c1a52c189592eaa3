//! MQTT 3.1.1 over TLS with a device's certificate: enough of it to see what a broker lets through.
//!
//! No client library's loop: those reconnect, and here every refusal is the thing to see. AWS `IoT` refuses by closing the
//! connection (Developer Guide, "MQTT"), so a close is an answer.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use rumqttc::mqttbytes::v4::{Connect, ConnectReturnCode, Packet, Publish};
use rumqttc::mqttbytes::{Error as MqttError, QoS};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{Answer, Line};
use crate::folder::{FileError, Files};

/// Until a connection stands, and until each answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Answers to what is sent here are a few bytes.
const PACKET_BYTES_MAX: usize = 4 << 10;
const PACKET_ID: u16 = 1;

/// A broker, and who speaks to it.
#[derive(Clone)]
pub struct Broker {
    host: String,
    port: u16,
    name: ServerName<'static>,
    connector: TlsConnector,
}

impl std::fmt::Debug for Broker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Broker({}:{})", self.host, self.port)
    }
}

/// Why a device cannot speak at all.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// A file is not there, or not what it should be.
    #[error(transparent)]
    File(#[from] FileError),
    /// The device's files are not here.
    #[error("{0} is not here: `millrace tenant add` makes it, or say where it is with --certificates DIR")]
    NoFile(String),
    /// It is not the name of a host.
    #[error("`{0}` is no host")]
    Host(String),
    /// There is nobody to trust.
    #[error("no root certificates were found on this machine: name a file of them with --ca")]
    NoRoots,
    /// A file does not hold what it should.
    #[error("{what} cannot be used: {why}")]
    Unusable {
        /// Which.
        what: String,
        /// Why.
        why: String,
    },
}

impl Broker {
    /// Who speaks as the device with these files. `ca`: who is trusted in place of this machine's roots, in PEM.
    ///
    /// # Errors
    /// The files are not there or cannot be used.
    pub fn new(host: &str, port: u16, files: &Files, ca: Option<&str>) -> Result<Self, BrokerError> {
        let unusable = |what: &str, why: &dyn std::fmt::Display| BrokerError::Unusable {
            what: what.to_owned(),
            why: why.to_string(),
        };
        let missing = |path: std::path::PathBuf| BrokerError::NoFile(path.display().to_string());
        let certificate = files.certificate()?.ok_or_else(|| missing(files.certificate_path()))?;
        let key = files.key()?.ok_or_else(|| missing(files.key_path()))?;
        let chain = CertificateDer::pem_slice_iter(certificate.as_bytes()).collect::<Result<Vec<_>, _>>();
        let chain = chain.map_err(|error| unusable("the device's certificate", &error))?;
        let key = PrivateKeyDer::from_pem_slice(key.pem().as_bytes());
        let key = key.map_err(|error| unusable("the device's key", &error))?;
        let mut roots = RootCertStore::empty();
        if let Some(pem) = ca {
            for root in CertificateDer::pem_slice_iter(pem.as_bytes()) {
                let root = root.map_err(|error| unusable("the file of --ca", &error))?;
                roots.add(root).map_err(|error| unusable("the file of --ca", &error))?;
            }
        } else {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
        if roots.is_empty() {
            return Err(BrokerError::NoRoots);
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|config| config.with_root_certificates(roots).with_client_auth_cert(chain, key));
        let mut config = config.map_err(|error| unusable("the device's certificate and key", &error))?;
        // On the port of HTTPS the protocol is told by name (AWS IoT Developer Guide, "Device communication protocols").
        if port == 443 {
            config.alpn_protocols = vec![b"x-amzn-mqtt-ca".to_vec()];
        }
        let name = ServerName::try_from(host.to_owned()).map_err(|_| BrokerError::Host(host.to_owned()))?;
        Ok(Self { host: host.to_owned(), port, name, connector: TlsConnector::from(Arc::new(config)) })
    }

    async fn dial(&self) -> Result<TlsStream<TcpStream>, String> {
        let place = format!("{}:{}", self.host, self.port);
        let dial = async {
            let tcp = TcpStream::connect((self.host.as_str(), self.port)).await.map_err(|e| format!("{place}: {e}"))?;
            self.connector.connect(self.name.clone(), tcp).await.map_err(|error| format!("{place}: {error}"))
        };
        timeout(PATIENCE, dial).await.unwrap_or_else(|_| Err(format!("{place} did not answer within {PATIENCE:?}")))
    }

    async fn open(&self, client_id: &str) -> Result<Result<TlsStream<TcpStream>, String>, String> {
        let mut stream = self.dial().await?;
        let mut connect = Connect::new(client_id);
        connect.keep_alive = 60;
        Ok(match exchange(&mut stream, &Packet::Connect(connect)).await? {
            Some(Packet::ConnAck(ack)) if ack.code == ConnectReturnCode::Success => Ok(stream),
            Some(Packet::ConnAck(ack)) => Err(format!("answered {:?}", ack.code)),
            Some(other) => return Err(format!("the broker answered CONNECT with {other:?}")),
            None => Err("closed the connection".to_owned()),
        })
    }
}

/// Sends a packet and reads the answer; `None`: the far side closed the connection.
async fn exchange(stream: &mut TlsStream<TcpStream>, packet: &Packet) -> Result<Option<Packet>, String> {
    let mut out = BytesMut::default();
    packet.write(&mut out, PACKET_BYTES_MAX).map_err(|error| error.to_string())?;
    let sent = async {
        stream.write_all(&out).await?;
        stream.flush().await
    };
    match sent.await {
        Ok(()) => {}
        Err(error) if is_close(&error) => return Ok(None),
        Err(error) => return Err(error.to_string()),
    }
    out.clear();
    let answer = async {
        loop {
            match Packet::read(&mut out, PACKET_BYTES_MAX) {
                Ok(packet) => return Ok(Some(packet)),
                Err(MqttError::InsufficientBytes(_)) => {}
                Err(error) => return Err(error.to_string()),
            }
            match stream.read_buf(&mut out).await {
                Ok(0) => return Ok(None),
                Ok(_) => {}
                Err(error) if is_close(&error) => return Ok(None),
                // In TLS 1.3 the far side looks at the certificate when this side has already begun to speak.
                Err(error) => return Err(error.to_string()),
            }
        }
    };
    timeout(PATIENCE, answer).await.unwrap_or_else(|_| Err(format!("no answer within {PATIENCE:?}")))
}

fn is_close(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
}

async fn part(mut stream: TlsStream<TcpStream>) {
    let mut out = BytesMut::default();
    if Packet::Disconnect.write(&mut out, PACKET_BYTES_MAX).is_ok() {
        // Whether the broker still hears the good-bye changes nothing of what was seen.
        let _heard = stream.write_all(&out).await;
        let _closed = stream.shutdown().await;
    }
}

impl Line for Broker {
    async fn shake_hands(&self) -> Result<String, String> {
        let stream = self.dial().await?;
        let (_, session) = stream.get_ref();
        let chain = session.peer_certificates().map_or(0, <[_]>::len);
        let version = session.protocol_version().map(|version| format!("{version:?}")).unwrap_or_default();
        let seen = format!("{}:{} with {chain} certificates, {version}", self.host, self.port);
        part(stream).await;
        Ok(seen)
    }

    async fn connect(&self, client_id: &str) -> Result<Answer, String> {
        Ok(match self.open(client_id).await? {
            Ok(stream) => {
                part(stream).await;
                Answer::Granted(format!("let in as {client_id}"))
            }
            Err(how) => Answer::Refused(how),
        })
    }

    async fn publish(&self, client_id: &str, topic: &str, payload: &str) -> Result<Answer, String> {
        let mut stream = match self.open(client_id).await? {
            Ok(stream) => stream,
            Err(how) => return Err(format!("not even let in: the broker {how}")),
        };
        let mut publish = Publish::new(topic, QoS::AtLeastOnce, payload);
        publish.pkid = PACKET_ID;
        Ok(match exchange(&mut stream, &Packet::Publish(publish)).await? {
            Some(Packet::PubAck(ack)) if ack.pkid == PACKET_ID => {
                part(stream).await;
                Answer::Granted(format!("taken on {topic}"))
            }
            Some(other) => return Err(format!("the broker answered PUBLISH with {other:?}")),
            None => Answer::Refused("closed the connection".to_owned()),
        })
    }
}
