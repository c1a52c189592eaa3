//! A network by script: names answer what the test says, and every address leads to one server of the test.

use std::collections::VecDeque;
use std::future::pending;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use alert_fanout::network::{Network, Outbound, Waiting};
use rustls::RootCertStore;
use tokio::net::TcpStream;

pub(crate) struct Scripted {
    answers: Mutex<VecDeque<Vec<IpAddr>>>,
    server: Option<SocketAddr>,
    log: Mutex<Vec<String>>,
}

impl Scripted {
    /// One answer for each time a name is resolved; connections to any address reach `server`, or nothing ever.
    pub(crate) fn new(answers: &[&[&str]], server: Option<SocketAddr>) -> Arc<Self> {
        let answers = answers.iter().map(|answer| answer.iter().map(|ip| ip.parse().unwrap()).collect()).collect();
        Arc::new(Self { answers: Mutex::new(answers), server, log: Mutex::default() })
    }

    /// What was asked of the network, in order.
    pub(crate) fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    pub(crate) fn outbound(self: &Arc<Self>, roots: RootCertStore) -> Outbound {
        Outbound::new(Arc::clone(self) as Arc<dyn Network>, roots)
    }
}

impl Network for Scripted {
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> Waiting<'a, Vec<SocketAddr>> {
        Box::pin(async move {
            self.log.lock().unwrap().push(format!("resolve {host}"));
            let answer = self.answers.lock().unwrap().pop_front().ok_or(io::ErrorKind::NotFound)?;
            Ok(answer.into_iter().map(|ip| SocketAddr::from((ip, port))).collect())
        })
    }

    fn connect(&self, to: SocketAddr) -> Waiting<'_, TcpStream> {
        Box::pin(async move {
            self.log.lock().unwrap().push(format!("connect {to}"));
            match self.server {
                Some(server) => TcpStream::connect(server).await,
                None => pending().await,
            }
        })
    }
}

/// The machine's own network, trusting nobody: for servers without encryption.
pub(crate) fn plain() -> Outbound {
    Outbound::new(Arc::new(alert_fanout::network::SystemNetwork), RootCertStore::empty())
}
