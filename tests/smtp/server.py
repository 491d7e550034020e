"""An SMTP server for tests: says what it received as JSON, a line each.

    server.py PORT [CERTIFICATE KEY [USER PASSWORD]]

Recipients whose name begins with "refused" are refused for good, with "later" the first time only.
With a certificate it wants STARTTLS; with a user it wants a login after that.
"""

import asyncio
import email
import email.policy
import json
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult


def say(**what):
    print(json.dumps(what), flush=True)


class Handler:
    def __init__(self):
        self.put_off = set()

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("refused"):
            return "550 5.1.1 no such user here"
        if address.startswith("later") and address not in self.put_off:
            self.put_off.add(address)
            return "451 4.7.1 come again"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        text = mail.get_body(("plain",))
        html = mail.get_body(("html",))
        say(
            to=envelope.rcpt_tos,
            sender=envelope.mail_from,
            headers={name: str(value) for name, value in mail.items()},
            text=text.get_content() if text else "",
            html=html.get_content() if html else "",
            tls=session.ssl is not None,
            user=str(session.auth_data or ""),
        )
        return "250 OK"


def main():
    port, rest = int(sys.argv[1]), sys.argv[2:]
    options = {"hostname": "test.example"}
    if len(rest) >= 2:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(rest[0], rest[1])
        options |= {"tls_context": context, "require_starttls": True}
    if len(rest) >= 4:
        user, password = rest[2].encode(), rest[3].encode()

        def authenticate(server, session, envelope, mechanism, data):
            right = (data.login, data.password) == (user, password)
            return AuthResult(success=right, auth_data=data.login.decode())

        options |= {"authenticator": authenticate, "auth_required": True}
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    handler = Handler()
    loop.run_until_complete(loop.create_server(lambda: SMTP(handler, loop=loop, **options), "127.0.0.1", port))
    say(ready=port)
    loop.run_forever()


main()
