//! A registry of things and certificates that is cut off at any call: before it does anything, or after, so that its answer is
//! lost.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};

use account::{Kind, Trouble};
use tenancy::keys::certificate_id;
use tenancy::registry::{Certificate, Registry, Status, Thing};

/// Where a run is cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cut {
    /// Which call, counted from 0.
    pub(crate) call: u32,
    /// Whether it was done nevertheless.
    pub(crate) is_done: bool,
}

/// A certificate and what hangs on it.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    pub(crate) certificate: Certificate,
    pub(crate) things: BTreeSet<String>,
    pub(crate) policies: BTreeSet<String>,
}

/// The registry.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) things: RefCell<BTreeMap<String, Thing>>,
    pub(crate) certificates: RefCell<BTreeMap<String, Kept>>,
    pub(crate) policies: RefCell<BTreeMap<String, String>>,
    pub(crate) changes: Cell<u32>,
    calls: Cell<u32>,
    cut: Cell<Option<Cut>>,
}

fn trouble(action: &'static str, kind: Kind) -> Trouble {
    Trouble { action, subject: "test".to_owned(), kind, message: "as the test has it".to_owned() }
}

impl World {
    /// From now on, cut off there.
    pub(crate) fn cut(&self, cut: Option<Cut>) {
        self.calls.set(0);
        self.cut.set(cut);
    }

    /// A call that reads.
    fn look<T>(&self, action: &'static str, answer: impl FnOnce() -> Result<T, Trouble>) -> Result<T, Trouble> {
        let call = self.calls.replace(self.calls.get() + 1);
        match self.cut.get() {
            Some(cut) if cut.call <= call => {
                if cut.call == call && cut.is_done {
                    // Its answer is lost; what it did stays.
                    answer()?;
                }
                Err(trouble(action, Kind::Transient))
            }
            _ => answer(),
        }
    }

    /// A call that changes something.
    fn change<T>(&self, action: &'static str, answer: impl FnOnce() -> Result<T, Trouble>) -> Result<T, Trouble> {
        self.look(action, || {
            self.changes.set(self.changes.get() + 1);
            answer()
        })
    }

    fn by_arn<T>(&self, arn: &str, work: impl FnOnce(&mut Kept) -> T) -> Result<T, Trouble> {
        let mut all = self.certificates.borrow_mut();
        let found = all.values_mut().find(|kept| kept.certificate.arn == arn);
        found.map(work).ok_or_else(|| trouble("principal", Kind::Missing))
    }

    /// Certificates that let a device in, and those of a thing.
    pub(crate) fn usable(&self, thing: &str) -> Vec<Certificate> {
        let all = self.certificates.borrow();
        let usable =
            all.values().filter(|kept| kept.certificate.status == Status::Active && kept.things.contains(thing));
        usable.map(|kept| kept.certificate.clone()).collect()
    }
}

impl Registry for World {
    async fn thing(&self, name: &str) -> Result<Option<Thing>, Trouble> {
        self.look("DescribeThing", || Ok(self.things.borrow().get(name).cloned()))
    }

    async fn make_thing(&self, name: &str, attributes: &BTreeMap<String, String>) -> Result<(), Trouble> {
        self.change("CreateThing", || {
            let thing = Thing { arn: format!("arn:thing/{name}"), attributes: attributes.clone() };
            self.things.borrow_mut().insert(name.to_owned(), thing);
            Ok(())
        })
    }

    async fn delete_thing(&self, name: &str) -> Result<(), Trouble> {
        self.change("DeleteThing", || {
            let held = self.certificates.borrow().values().any(|kept| kept.things.contains(name));
            // AWS refuses to delete a thing with a principal.
            if held {
                return Err(trouble("DeleteThing", Kind::Refused));
            }
            self.things.borrow_mut().remove(name);
            Ok(())
        })
    }

    async fn things(&self, attribute: &str, value: &str) -> Result<Vec<String>, Trouble> {
        self.look("ListThings", || {
            let all = self.things.borrow();
            let own = all.iter().filter(|(_, thing)| thing.attributes.get(attribute).is_some_and(|one| one == value));
            Ok(own.map(|(name, _)| name.clone()).collect())
        })
    }

    async fn principals(&self, thing: &str) -> Result<Vec<String>, Trouble> {
        self.look("ListThingPrincipals", || {
            let all = self.certificates.borrow();
            Ok(all
                .values()
                .filter(|kept| kept.things.contains(thing))
                .map(|kept| kept.certificate.id.clone())
                .collect())
        })
    }

    async fn certificate(&self, id: &str) -> Result<Option<Certificate>, Trouble> {
        self.look("DescribeCertificate", || Ok(self.certificates.borrow().get(id).map(|kept| kept.certificate.clone())))
    }

    async fn inactive_certificates(&self, count_max: usize) -> Result<Vec<String>, Trouble> {
        self.look("ListCertificates", || {
            let all = self.certificates.borrow();
            let inactive = all.values().filter(|kept| kept.certificate.status == Status::Inactive);
            Ok(inactive.map(|kept| kept.certificate.id.clone()).take(count_max).collect())
        })
    }

    async fn sign(&self, csr: &str) -> Result<Certificate, Trouble> {
        self.change("CreateCertificateFromCsr", || {
            let authority = rcgen::KeyPair::generate().unwrap();
            let issuer = rcgen::Issuer::new(rcgen::CertificateParams::default(), authority);
            let request = rcgen::CertificateSigningRequestParams::from_pem(csr).unwrap();
            let pem = request.signed_by(&issuer).unwrap().pem();
            let id = certificate_id(&pem).unwrap();
            let arn = format!("arn:cert/{id}");
            let certificate = Certificate { id: id.clone(), arn, status: Status::Inactive, pem, expires: None };
            let kept = Kept { certificate: certificate.clone(), things: BTreeSet::new(), policies: BTreeSet::new() };
            self.certificates.borrow_mut().insert(id, kept);
            Ok(certificate)
        })
    }

    async fn register(&self, pem: &str) -> Result<(), Trouble> {
        self.change("RegisterCertificateWithoutCA", || {
            let (id, pem) = (certificate_id(pem).unwrap(), pem.to_owned());
            let arn = format!("arn:cert/{id}");
            let certificate = Certificate { id: id.clone(), arn, status: Status::Inactive, pem, expires: None };
            let kept = Kept { certificate, things: BTreeSet::new(), policies: BTreeSet::new() };
            self.certificates.borrow_mut().entry(id).or_insert(kept);
            Ok(())
        })
    }

    async fn set_status(&self, id: &str, status: Status) -> Result<(), Trouble> {
        self.change("UpdateCertificate", || {
            let mut all = self.certificates.borrow_mut();
            let kept = all.get_mut(id).ok_or_else(|| trouble("UpdateCertificate", Kind::Missing))?;
            kept.certificate.status = status;
            Ok(())
        })
    }

    async fn delete_certificate(&self, id: &str) -> Result<(), Trouble> {
        self.change("DeleteCertificate", || {
            let mut all = self.certificates.borrow_mut();
            let in_use =
                all.get(id).is_some_and(|kept| kept.certificate.status == Status::Active || !kept.things.is_empty());
            if in_use {
                return Err(trouble("DeleteCertificate", Kind::Refused));
            }
            all.remove(id);
            Ok(())
        })
    }

    async fn attach_thing(&self, thing: &str, certificate: &str) -> Result<(), Trouble> {
        self.change("AttachThingPrincipal", || {
            self.by_arn(certificate, |kept| {
                kept.things.insert(thing.to_owned());
            })
        })
    }

    async fn detach_thing(&self, thing: &str, certificate: &str) -> Result<(), Trouble> {
        self.change("DetachThingPrincipal", || {
            self.by_arn(certificate, |kept| {
                kept.things.remove(thing);
            })
        })
    }

    async fn attach_policy(&self, policy: &str, certificate: &str) -> Result<(), Trouble> {
        self.change("AttachPolicy", || {
            self.by_arn(certificate, |kept| {
                kept.policies.insert(policy.to_owned());
            })
        })
    }

    async fn policies(&self, certificate: &str) -> Result<Vec<String>, Trouble> {
        self.look("ListAttachedPolicies", || self.by_arn(certificate, |kept| kept.policies.iter().cloned().collect()))
    }

    async fn policy_targets(&self, policy: &str) -> Result<Vec<String>, Trouble> {
        self.look("ListTargetsForPolicy", || {
            let all = self.certificates.borrow();
            let targets = all.values().filter(|kept| kept.policies.contains(policy));
            Ok(targets.map(|kept| kept.certificate.id.clone()).collect())
        })
    }

    async fn things_of(&self, certificate: &str) -> Result<Vec<String>, Trouble> {
        self.look("ListPrincipalThings", || self.by_arn(certificate, |kept| kept.things.iter().cloned().collect()))
    }

    async fn policy_document(&self, policy: &str) -> Result<Option<String>, Trouble> {
        self.look("GetPolicy", || Ok(self.policies.borrow().get(policy).cloned()))
    }

    async fn endpoint(&self) -> Result<String, Trouble> {
        self.look("DescribeEndpoint", || Ok("broker.example".to_owned()))
    }
}
