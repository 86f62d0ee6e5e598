//! The TLS settings: trusted authorities and the client's certificate. PEM files are read when they are
//! configured, so that mistakes are found at the start.

use super::ConfigError;
use std::path::Path;
#[cfg(feature = "tls")]
use std::sync::Arc;

/// The authorities that a client trusts, and the certificate that it presents. The default trusts Mozilla's list, and presents none.
#[derive(Clone, Default)]
pub struct Tls {
    /// Certificates of the authorities, as DER; `None` stands for Mozilla's list.
    #[cfg(feature = "tls")]
    roots: Option<Arc<[Vec<u8>]>>,
    #[cfg(feature = "tls")]
    identity: Option<Arc<Identity>>,
}

/// The client's identity: its certificate, intermediate certificates and the private key.
#[cfg(feature = "tls")]
struct Identity {
    chain: Vec<Vec<u8>>,
    key: ureq::tls::PrivateKey<'static>,
}

/// Shows the number of authorities and whether there is an identity, but no keys.
impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut out = f.debug_struct("Tls");
        #[cfg(feature = "tls")]
        out.field("roots", &self.roots.as_ref().map(|roots| roots.len()))
            .field("identity", &self.identity.is_some());
        out.finish()
    }
}

#[cfg(not(feature = "tls"))]
impl Tls {
    /// Trusts only the authorities in this PEM file.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be used, or if TLS is not built in.
    pub fn trust_file(&mut self, path: &Path) -> Result<(), ConfigError> {
        Err(not_built(path))
    }

    /// Presents the certificate in this PEM file to servers that ask for one.
    ///
    /// # Errors
    ///
    /// Fails if one of the files cannot be used, or if TLS is not built in.
    pub fn identify(&mut self, certificate: &Path, _key: &Path) -> Result<(), ConfigError> {
        Err(not_built(certificate))
    }

    pub(crate) fn trust_system(&mut self) -> Result<(), ConfigError> {
        Err(ConfigError::NotBuilt { what: "the system's authorities".into(), feature: "system-roots" })
    }

    pub(super) fn trust_as(&mut self, _: &Tls) {}

    pub(super) fn identify_as(&mut self, _: &Tls) {}

    pub(super) fn has_identity(&self) -> bool {
        false
    }

    pub(super) fn is_same(&self, _: &Tls) -> bool {
        true
    }
}

#[cfg(not(feature = "tls"))]
fn not_built(path: &Path) -> ConfigError {
    ConfigError::NotBuilt { what: format!("the certificate `{}`", path.display()), feature: "tls" }
}

#[cfg(feature = "tls")]
impl Tls {
    /// Trusts only the authorities in this PEM file.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be used, or if TLS is not built in.
    pub fn trust_file(&mut self, path: &Path) -> Result<(), ConfigError> {
        self.roots = Some(certificates(path, ADVICE_ROOTS)?.into());
        Ok(())
    }

    /// Trusts the authorities that the operating system trusts.
    #[cfg(feature = "system-roots")]
    pub(crate) fn trust_system(&mut self) -> Result<(), ConfigError> {
        let found = rustls_native_certs::load_native_certs();
        if found.certs.is_empty() {
            let reason = found.errors.first().map_or_else(|| "there are none".into(), ToString::to_string);
            return Err(ConfigError::Certificate {
                path: "(the system's)".into(),
                reason,
                advice: "install the package ca-certificates, or name a file with SSL_CERT_FILE",
            });
        }
        self.roots = Some(found.certs.iter().map(|certificate| certificate.to_vec()).collect());
        Ok(())
    }

    #[cfg(not(feature = "system-roots"))]
    pub(crate) fn trust_system(&mut self) -> Result<(), ConfigError> {
        Err(ConfigError::NotBuilt { what: "the system's authorities".into(), feature: "system-roots" })
    }

    /// Presents the certificate in this PEM file to servers that ask for one. The key is its private key, as PEM without a passphrase.
    ///
    /// # Errors
    ///
    /// Fails if one of the files cannot be used, or if TLS is not built in.
    pub fn identify(&mut self, certificate: &Path, key_path: &Path) -> Result<(), ConfigError> {
        let chain = certificates(certificate, ADVICE_CLIENT)?;
        let pem = read(key_path, ADVICE_KEY)?;
        let key = ureq::tls::parse_pem(&pem).find_map(|item| match item {
            Ok(ureq::tls::PemItem::PrivateKey(key)) => Some(key),
            _ => None,
        });
        let Some(key) = key else {
            return Err(unusable(key_path, "there is no private key in it", ADVICE_KEY));
        };
        self.identity = Some(Arc::new(Identity { chain, key }));
        Ok(())
    }

    pub(super) fn trust_as(&mut self, other: &Tls) {
        self.roots.clone_from(&other.roots);
    }

    pub(super) fn identify_as(&mut self, other: &Tls) {
        self.identity.clone_from(&other.identity);
    }

    pub(super) fn has_identity(&self) -> bool {
        self.identity.is_some()
    }

    /// Whether both are copies of the same settings.
    pub(super) fn is_same(&self, other: &Tls) -> bool {
        fn same<T: ?Sized>(one: Option<&Arc<T>>, other: Option<&Arc<T>>) -> bool {
            match (one, other) {
                (Some(one), Some(other)) => Arc::ptr_eq(one, other),
                (one, other) => one.is_none() && other.is_none(),
            }
        }
        same(self.roots.as_ref(), other.roots.as_ref())
            && same(self.identity.as_ref(), other.identity.as_ref())
    }

    /// Converts the settings for the HTTP library.
    pub(crate) fn of_ureq(&self) -> ureq::tls::TlsConfig {
        use ureq::tls::{Certificate, ClientCert, RootCerts, TlsConfig};
        let owned = |ders: &[Vec<u8>]| -> Vec<_> {
            ders.iter().map(|der| Certificate::from_der(der).to_owned()).collect()
        };
        let mut builder = TlsConfig::builder();
        if let Some(roots) = &self.roots {
            builder = builder.root_certs(RootCerts::new_with_certs(&owned(roots)));
        }
        if let Some(identity) = &self.identity {
            let client = ClientCert::new_with_certs(&owned(&identity.chain), identity.key.to_owned());
            builder = builder.client_cert(Some(client));
        }
        builder.build()
    }

    /// Converts the settings for rustls. `protocol` is the protocol on top of TLS, if it has a registered name.
    ///
    /// # Errors
    ///
    /// rustls does not take them, for example because the key does not fit the certificate.
    pub fn of_rustls(&self, protocol: Option<&[u8]>) -> Result<rustls::ClientConfig, String> {
        use rustls::pki_types::{CertificateDer, PrivateKeyDer};
        use rustls::{ClientConfig, RootCertStore, crypto::ring};
        let mut store = RootCertStore::empty();
        match &self.roots {
            // Skip certificates that cannot be parsed, because the system's list may contain some.
            Some(roots) => {
                store.add_parsable_certificates(roots.iter().map(|der| CertificateDer::from(&**der)));
            }
            None => store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        }
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let config = config.with_safe_default_protocol_versions().map_err(|error| error.to_string())?;
        let config = config.with_root_certificates(store);
        let mut config = match &self.identity {
            None => config.with_no_client_auth(),
            Some(identity) => {
                let chain = identity.chain.iter().map(|der| CertificateDer::from(der.clone())).collect();
                let key = PrivateKeyDer::try_from(identity.key.der().to_vec());
                let key = key.map_err(|error| error.to_string())?;
                config.with_client_auth_cert(chain, key).map_err(|error| error.to_string())?
            }
        };
        config.alpn_protocols = protocol.map(<[u8]>::to_vec).into_iter().collect();
        Ok(config)
    }
}

#[cfg(feature = "tls")]
const ADVICE_ROOTS: &str = "give a PEM file with the certificate of the authority that signed the server's";
#[cfg(feature = "tls")]
const ADVICE_CLIENT: &str = "give a PEM file with the certificate that this program is to show the collector";
#[cfg(feature = "tls")]
const ADVICE_KEY: &str =
    "give a PEM file with the private key of the client's certificate, without a passphrase";

/// Reads the certificates in a PEM file, as DER. There must be at least one.
#[cfg(feature = "tls")]
fn certificates(path: &Path, advice: &'static str) -> Result<Vec<Vec<u8>>, ConfigError> {
    let pem = read(path, advice)?;
    let mut certificates = Vec::new();
    for item in ureq::tls::parse_pem(&pem) {
        let item = item.map_err(|error| unusable(path, &error.to_string(), advice))?;
        if let ureq::tls::PemItem::Certificate(certificate) = item {
            certificates.push(certificate.der().to_vec());
        }
    }
    if certificates.is_empty() {
        return Err(unusable(path, "there is no certificate in it", advice));
    }
    Ok(certificates)
}

#[cfg(feature = "tls")]
fn read(path: &Path, advice: &'static str) -> Result<Vec<u8>, ConfigError> {
    std::fs::read(path).map_err(|error| unusable(path, &error.to_string(), advice))
}

#[cfg(feature = "tls")]
fn unusable(path: &Path, reason: &str, advice: &'static str) -> ConfigError {
    ConfigError::Certificate { path: path.display().to_string(), reason: reason.into(), advice }
}
