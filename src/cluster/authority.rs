//! The operator's own certificate authority and the certificate that executors see: made, kept and renewed without anybody's help.
//!
//! Pure apart from drawing keys: where it is kept is [`super::authority_store`]'s business. There is no parser of certificates here: what we sign has
//! fixed names, and when it ends is stored beside it.

use crate::cluster::limits::{AUTHORITY_DAYS, AUTHORITY_RENEW_DAYS, SERVING_DAYS, SERVING_RENEW_DAYS};
use jiff::{Timestamp, ToSpan, civil::Date, tz::TimeZone};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};
use std::collections::BTreeMap;

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// A key or certificate could not be made.
    #[error("cannot make {what} for the executor endpoint")]
    Make {
        /// What.
        what: &'static str,
        /// Why.
        #[source]
        source: rcgen::Error,
    },
    /// The machine's clock is outside of the calendar.
    #[error("the clock does not show a time that a certificate can hold")]
    Clock(#[from] jiff::Error),
}

/// The authority, and the certificate signed by it. No `Debug`: it holds keys.
#[derive(Clone, PartialEq, Eq)]
pub struct Authority {
    /// What executors trust: one or, around a renewal, two certificates. PEM.
    pub trusted: String,
    root_key: String,
    root_ends: i64,
    /// The serving certificate. PEM.
    pub certificate: String,
    /// Its key. PEM.
    pub key: String,
    certificate_ends: i64,
    names: String,
}

const TRUSTED: &str = "ca.crt";
const ROOT_KEY: &str = "ca.key";
const ROOT_ENDS: &str = "ca.ends";
const CERTIFICATE: &str = "tls.crt";
const KEY: &str = "tls.key";
const CERTIFICATE_ENDS: &str = "tls.ends";
const NAMES: &str = "tls.names";

impl Authority {
    /// Reads what [`Authority::fields`] wrote; `None` where something is missing or broken, in which case a new one is made.
    pub fn from_fields(fields: &BTreeMap<String, String>) -> Option<Self> {
        let text = |name: &str| fields.get(name).filter(|value| !value.is_empty()).cloned();
        let seconds = |name: &str| fields.get(name)?.parse().ok();
        let authority = Self {
            trusted: text(TRUSTED)?,
            root_key: text(ROOT_KEY)?,
            root_ends: seconds(ROOT_ENDS)?,
            certificate: text(CERTIFICATE)?,
            key: text(KEY)?,
            certificate_ends: seconds(CERTIFICATE_ENDS)?,
            names: text(NAMES)?,
        };
        KeyPair::from_pem(&authority.root_key).ok()?;
        KeyPair::from_pem(&authority.key).ok()?;
        Some(authority)
    }

    /// What is kept in the Secret.
    pub fn fields(&self) -> BTreeMap<String, String> {
        [
            (TRUSTED, self.trusted.clone()),
            (ROOT_KEY, self.root_key.clone()),
            (ROOT_ENDS, self.root_ends.to_string()),
            (CERTIFICATE, self.certificate.clone()),
            (KEY, self.key.clone()),
            (CERTIFICATE_ENDS, self.certificate_ends.to_string()),
            (NAMES, self.names.clone()),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
    }

    /// What should be in use now: `kept` where that is good for a while, else with what is due renewed.
    pub fn current(kept: Option<Self>, names: &[String], now: Timestamp) -> Result<Self, AuthorityError> {
        let kept = kept.filter(|kept| kept.root_ends > now.as_second());
        let authority_is_due = |kept: &Self| kept.root_ends < days_after(now, AUTHORITY_RENEW_DAYS);
        let certificate_is_due = |kept: &Self| kept.certificate_ends < days_after(now, SERVING_RENEW_DAYS);
        match kept {
            None => Self::new(None, names, now),
            Some(kept) if authority_is_due(&kept) => Self::new(Some(&kept), names, now),
            Some(kept) if certificate_is_due(&kept) || kept.names != names.join(",") => {
                kept.with_certificate(names, now)
            }
            Some(kept) => Ok(kept),
        }
    }

    /// When to look again: the certificate's renewal.
    pub fn renew_at(&self) -> Timestamp {
        Timestamp::from_second(self.certificate_ends - SERVING_RENEW_DAYS * DAY_SECONDS).unwrap_or(Timestamp::MIN)
    }

    fn new(before: Option<&Self>, names: &[String], now: Timestamp) -> Result<Self, AuthorityError> {
        let key = KeyPair::generate().map_err(|source| AuthorityError::Make { what: "a key", source })?;
        let mut params = authority_params();
        let ends = validity(&mut params, now, AUTHORITY_DAYS)?;
        let certificate =
            params.self_signed(&key).map_err(|source| AuthorityError::Make { what: "an authority", source })?;
        let first_old = before.and_then(|old| old.trusted.split_inclusive("-----END CERTIFICATE-----").next());
        let authority = Self {
            trusted: [certificate.pem().trim_end(), first_old.unwrap_or_default()].join("\n").trim_end().to_owned()
                + "\n",
            root_key: key.serialize_pem(),
            root_ends: ends,
            certificate: String::new(),
            key: String::new(),
            certificate_ends: 0,
            names: String::new(),
        };
        authority.with_certificate(names, now)
    }

    fn with_certificate(self, names: &[String], now: Timestamp) -> Result<Self, AuthorityError> {
        let fail = |source| AuthorityError::Make { what: "a serving certificate", source };
        let issuer = Issuer::new(authority_params(), KeyPair::from_pem(&self.root_key).map_err(fail)?);
        let key = KeyPair::generate().map_err(fail)?;
        let mut params = CertificateParams::new(names.to_vec()).map_err(fail)?;
        if let Some(name) = names.first() {
            params.distinguished_name.push(DnType::CommonName, name.chars().take(64).collect::<String>());
        }
        params.use_authority_key_identifier_extension = true;
        params.key_usages.push(KeyUsagePurpose::DigitalSignature);
        params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
        let ends = validity(&mut params, now, SERVING_DAYS)?;
        let certificate = params.signed_by(&key, &issuer).map_err(fail)?;
        Ok(Self {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
            certificate_ends: ends,
            names: names.join(","),
            ..self
        })
    }
}

const DAY_SECONDS: i64 = 86_400;

fn days_after(now: Timestamp, days: i64) -> i64 {
    now.as_second() + days * DAY_SECONDS
}

fn authority_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "homeostat executors");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// The day so many days from now, in UTC: certificates need no finer times.
fn day(now: Timestamp, days: i64) -> Result<Date, jiff::Error> {
    now.to_zoned(TimeZone::UTC).date().checked_add(days.days())
}

/// Sets both ends of the validity; says the later one, as Unix seconds.
fn validity(params: &mut CertificateParams, now: Timestamp, days: i64) -> Result<i64, AuthorityError> {
    let certificate_date =
        |day: Date| date_time_ymd(i32::from(day.year()), day.month().unsigned_abs(), day.day().unsigned_abs());
    let last = day(now, days)?;
    params.not_before = certificate_date(day(now, -1)?);
    params.not_after = certificate_date(last);
    Ok(last.to_zoned(TimeZone::UTC)?.timestamp().as_second())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::Authority;
    use jiff::{SignedDuration, Timestamp};
    use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject};
    use std::sync::Arc;

    const DAY: SignedDuration = SignedDuration::from_hours(24);

    fn names() -> Vec<String> {
        vec!["homeostat-executors.infra.svc".to_owned(), "homeostat-executors.infra.svc.cluster.local".to_owned()]
    }

    /// Whether a client that trusts `trusted` accepts what `server` shows.
    fn accepts(trusted: &Authority, server: &Authority, name: &str, now: Timestamp) -> bool {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut roots = rustls::RootCertStore::empty();
        for root in CertificateDer::pem_slice_iter(trusted.trusted.as_bytes()) {
            roots.add(root.unwrap()).unwrap();
        }
        let verifier =
            rustls::client::WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
        let shown = CertificateDer::from_pem_slice(server.certificate.as_bytes()).unwrap();
        PrivateKeyDer::from_pem_slice(server.key.as_bytes()).unwrap();
        let at = UnixTime::since_unix_epoch(std::time::Duration::from_secs(now.as_second().unsigned_abs()));
        let name = ServerName::try_from(name.to_owned()).unwrap();
        rustls::client::danger::ServerCertVerifier::verify_server_cert(&*verifier, &shown, &[], &name, &[], at).is_ok()
    }

    #[test]
    fn a_new_authority_is_trusted_for_its_names_and_its_time_only() {
        let now = Timestamp::now();
        let authority = Authority::current(None, &names(), now).unwrap();
        let (name, foreign) = ("homeostat-executors.infra.svc", "homeostat-executors.other.svc");
        assert!(accepts(&authority, &authority, name, now));
        assert!(!accepts(&authority, &authority, foreign, now));
        assert!(!accepts(&authority, &authority, name, now + DAY * 91));
        let other = Authority::current(None, &names(), now).unwrap();
        assert!(!accepts(&authority, &other, name, now));
    }

    #[test]
    fn what_is_kept_is_used_until_it_is_due() {
        let now = Timestamp::now();
        let first = Authority::current(None, &names(), now).unwrap();
        let kept = || Authority::from_fields(&first.fields());
        assert!(kept().unwrap() == first);
        assert!(Authority::current(kept(), &names(), now + DAY * 50).unwrap() == first, "nothing is due yet");

        let later = now + DAY * 61;
        assert!(first.renew_at() <= later);
        let renewed = Authority::current(kept(), &names(), later).unwrap();
        assert!(renewed.certificate != first.certificate && renewed.trusted == first.trusted);
        assert!(
            accepts(&first, &renewed, "homeostat-executors.infra.svc", later),
            "those who trust the authority go on"
        );

        let moved = Authority::current(kept(), &["other.svc".to_owned()], now).unwrap();
        assert!(accepts(&first, &moved, "other.svc", now), "a changed name signs a new certificate");
    }

    #[test]
    fn a_new_authority_keeps_the_old_one_trusted() {
        let now = Timestamp::now();
        let first = Authority::current(None, &names(), now).unwrap();
        let later = now + DAY * 3_000;
        let second = Authority::current(Some(first.clone()), &names(), later).unwrap();
        assert_eq!(second.trusted.matches("BEGIN CERTIFICATE").count(), 2);
        assert!(accepts(&second, &second, "homeostat-executors.infra.svc", later));
        assert!(
            accepts(&second, &first, "homeostat-executors.infra.svc", now),
            "what the old one signed is still good"
        );
        let third = Authority::current(Some(second), &names(), later + DAY * 3_000).unwrap();
        assert_eq!(third.trusted.matches("BEGIN CERTIFICATE").count(), 2, "but not for ever");
    }

    #[test]
    fn broken_fields_make_a_new_one() {
        let mut fields = Authority::current(None, &names(), Timestamp::now()).unwrap().fields();
        fields.insert("ca.key".to_owned(), "garbage".to_owned());
        assert!(Authority::from_fields(&fields).is_none());
    }
}
