"""A mail server for one test: takes STARTTLS and a login, prints its port and then each mail, and ends with its standard input.

usage: mail_server.py FOLDER    (needs aiosmtpd, and openssl to make a certificate in the folder)
"""

import asyncio
import email.policy
import ssl
import subprocess
import sys

from aiosmtpd.smtp import SMTP, AuthResult

folder = sys.argv[1]
certificate, key = f"{folder}/certificate.pem", f"{folder}/key.pem"
# A certificate that is its own authority, which clients must be told of.
subprocess.run(
    ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
     "subjectAltName=DNS:localhost,IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE", "-keyout", key, "-out", certificate],
    check=True, stderr=subprocess.DEVNULL)


class Handler:
    async def handle_DATA(self, server, session, envelope):
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        print("tls", "yes" if session.ssl else "no")
        print("login", session.auth_data)
        print("from", envelope.mail_from)
        print("to", *envelope.rcpt_tos)
        print("Subject:", message["subject"])
        print(message.get_content())
        print("END", flush=True)
        return "250 OK"


def authenticated(server, session, envelope, mechanism, data):
    good = (data.login, data.password) == (b"shop", b"s3cret")
    return AuthResult(success=good, auth_data=data.login.decode(), handled=False)


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)


def session():
    return SMTP(Handler(), tls_context=context, require_starttls=True, authenticator=authenticated, auth_required=True)


async def main():
    loop = asyncio.get_running_loop()
    server = await loop.create_server(session, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


asyncio.run(main())
