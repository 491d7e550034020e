//! Mails, handed to the configured SMTP server one by one.

use lettre::address::AddressError;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart, SinglePart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{Address, AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use std::time::Duration;
use tieline_core::EffectId;
use tieline_core::effect::{CONNECTION_URL_MARK, Mail, one_line};

use super::{Failed, roots};
use crate::config::{self, MailTls};

/// How long each step of talking to the server may take.
const STEP_WITHIN: Duration = Duration::from_secs(20);

/// Hands mails to a server.
pub(super) struct Mailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Address,
}

impl Mailer {
    /// The mailer of a configuration.
    ///
    /// # Errors
    /// Why no mail can be sent, in words.
    pub(super) fn new(settings: &config::Mail) -> Result<Self, String> {
        if settings.host.is_empty() {
            return Err("no mail server is configured: set [mail] in tieline.toml".to_owned());
        }
        let from: Address =
            settings.from.parse().map_err(|error: AddressError| format!("mail.from: {error}"))?;
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(settings.host.clone())
            .port(settings.port)
            .timeout(Some(STEP_WITHIN))
            .hello_name(ClientId::Domain(from.domain().to_owned()));
        if settings.tls != MailTls::None {
            let mut tls =
                TlsParameters::builder(settings.host.clone()).certificate_store(CertificateStore::None);
            for certificate in roots::certificates(&settings.tls_ca) {
                let read = Certificate::from_der(certificate.to_vec());
                tls = tls.add_root_certificate(read.map_err(|error| format!("mail.tls_ca: {error}"))?);
            }
            let tls = tls.build_rustls().map_err(|error| format!("mail.tls: {error}"))?;
            builder = builder.tls(match settings.tls {
                MailTls::Tls => Tls::Wrapper(tls),
                MailTls::Starttls | MailTls::None => Tls::Required(tls),
            });
        }
        if !settings.user.is_empty() {
            let password = std::fs::read_to_string(&settings.password_file)
                .map_err(|error| format!("mail.password_file cannot be read: {error}"))?;
            let password = password.trim_end_matches(['\r', '\n']).to_owned();
            builder = builder.credentials(Credentials::new(settings.user.clone(), password));
        }
        Ok(Self { transport: builder.build(), from })
    }

    /// Sends a mail; its id is in Message-ID, so that a repeat is recognised.
    pub(super) async fn send(&self, id: EffectId, mail: &Mail, url: Option<&str>) -> Result<(), Failed> {
        let message = self.message(id, mail, url).map_err(Failed::for_good)?;
        match self.transport.send(message).await {
            Ok(_) => Ok(()),
            Err(error) => {
                let text = chain(&error);
                Err(if error.is_permanent() {
                    Failed::for_good(format!("the mail server refused it: {text}"))
                } else if error.is_transient() {
                    Failed::for_now(format!("the mail server put it off: {text}"))
                } else {
                    Failed::everything(format!("the mail server cannot be used: {text}"))
                })
            }
        }
    }

    fn message(&self, id: EffectId, mail: &Mail, url: Option<&str>) -> Result<Message, String> {
        let address = |text: &str| {
            text.parse::<Address>().map_err(|error| format!("{text:?} is no address for mail: {error}"))
        };
        // A line break in a name would end the process of writing it.
        let name = Some(one_line(&mail.from_name)).filter(|name| !name.is_empty());
        let mut builder = Message::builder()
            .message_id(Some(format!("<{id}@{}>", self.from.domain())))
            .from(Mailbox::new(name, self.from.clone()))
            .to(Mailbox::new(None, address(&mail.to)?))
            .subject(one_line(&mail.subject))
            .raw_header(header("Auto-Submitted", "auto-generated")?)
            .raw_header(header("X-Tieline-Effect", &id.to_string())?);
        if let Some(reply_to) = &mail.reply_to {
            builder = builder.reply_to(Mailbox::new(None, address(reply_to)?));
        }
        let filled = |text: &str, url: Option<&str>| match url {
            Some(url) => text.replace(CONNECTION_URL_MARK, url),
            None => text.to_owned(),
        };
        let plain = SinglePart::builder().header(ContentType::TEXT_PLAIN).body(filled(&mail.text, url));
        let built = match &mail.html {
            None => builder.singlepart(plain),
            Some(html) => {
                // A connection URL holds no character that HTML would want escaped but this one.
                let url = url.map(|url| url.replace('&', "&amp;"));
                let html = filled(html, url.as_deref());
                let html = SinglePart::builder().header(ContentType::TEXT_HTML).body(html);
                builder.multipart(MultiPart::alternative().singlepart(plain).singlepart(html))
            }
        };
        built.map_err(|error| format!("the mail cannot be written: {error}"))
    }
}

fn header(name: &'static str, value: &str) -> Result<HeaderValue, String> {
    let name = HeaderName::new_from_ascii(name.to_owned()).map_err(|error| error.to_string())?;
    Ok(HeaderValue::new(name, value.to_owned()))
}

/// An error with all its causes, in one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let more = cause.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        source = cause.source();
    }
    text.replace(['\r', '\n'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mailer() -> Mailer {
        let settings = config::Mail {
            host: "127.0.0.1".into(),
            port: 25,
            tls: MailTls::None,
            tls_ca: "".into(),
            user: String::new(),
            password_file: "".into(),
            from: "tieline@acme.example".into(),
        };
        Mailer::new(&settings).unwrap()
    }

    #[test]
    fn a_mail_has_its_id_and_both_forms_and_no_header_of_others() {
        let mail = Mail {
            to: "pat@globex.example".into(),
            from_name: "Ann, \"the\" boss\r\nBcc: eve@example.org".into(),
            subject: "Hi\r\nBcc: eve@example.org".into(),
            text: format!("go to {CONNECTION_URL_MARK}"),
            html: Some(format!("<a href=\"{CONNECTION_URL_MARK}\">go</a>")),
            ..Mail::default()
        };
        let id = EffectId(7);
        let message = mailer().message(id, &mail, Some("tieline://x?a=1&b=2#s")).unwrap();
        let text = String::from_utf8(message.formatted()).unwrap();
        let head = text.split("\r\n\r\n").next().unwrap();
        assert!(!head.lines().any(|line| line.to_lowercase().starts_with("bcc:")), "{head}");
        assert!(head.contains(&format!("Message-ID: <{id}@acme.example>")), "{head}");
        assert!(text.contains("multipart/alternative"), "{text}");
        let flat = text.replace("=\r\n", "");
        assert!(
            flat.contains("tieline://x?a=1&b=2#s") || flat.contains("tieline://x?a=3D1&b=3D2#s"),
            "{flat}"
        );
        assert!(flat.contains("&amp;b="), "{flat}");
    }

    #[test]
    fn without_a_server_it_says_so() {
        let settings = config::Mail { host: String::new(), ..config::Config::defaults().unwrap().mail };
        assert!(Mailer::new(&settings).err().unwrap().contains("[mail]"));
    }
}
