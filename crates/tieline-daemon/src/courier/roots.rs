//! The authorities that servers outside are trusted by.

use std::path::Path;

use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;

/// Where Debian keeps the authorities that the system trusts.
const SYSTEM_CA_FILE: &str = "/etc/ssl/certs/ca-certificates.crt";

/// The certificates in a file, or in that of the system if none is named: those that can be used.
/// Without any, no server is trusted, and each attempt says so.
pub(super) fn certificates(file: &Path) -> Vec<CertificateDer<'static>> {
    let file = if file.as_os_str().is_empty() { Path::new(SYSTEM_CA_FILE) } else { file };
    let found: Vec<CertificateDer<'static>> = match CertificateDer::pem_file_iter(file) {
        Ok(found) => found.filter_map(Result::ok).collect(),
        Err(error) => {
            tracing::warn!(file = %file.display(), %error, "no authorities can be read: no TLS server outside is trusted");
            Vec::new()
        }
    };
    let usable =
        |certificate: &CertificateDer<'static>| RootCertStore::empty().add(certificate.clone()).is_ok();
    found.into_iter().filter(usable).collect()
}
