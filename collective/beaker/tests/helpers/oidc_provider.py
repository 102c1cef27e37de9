"""A small OpenID Connect provider, with which one user is logged in."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from http.server import ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qsl
from urllib.parse import urlencode
from urllib.parse import urlsplit

from Cryptodome.PublicKey import RSA
from jwkest.jwk import RSAKey
from jwkest.jws import JWS


CLIENT = "plone"
SECRET = "a secret of the client"


class Provider(BaseHTTPRequestHandler):
    """Answers the requests of the authorization code flow."""

    user = "erika"
    key = RSAKey(key=RSA.generate(2048), kid="tests", alg="RS256", use="sig")
    nonces: dict[str, str] = {}

    @property
    def issuer(self) -> str:
        host, port = self.server.server_address[:2]
        return f"http://{host}:{port}"

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        form = dict(parse_qsl(address.query))
        match address.path:
            case "/.well-known/openid-configuration":
                self._answer(self._configuration())
            case "/jwks":
                self._answer({"keys": [self.key.serialize()]})
            case "/authorize":
                self._authorize(form)

    def do_POST(self) -> None:
        size = int(self.headers["Content-Length"])
        form = dict(parse_qsl(self.rfile.read(size).decode()))
        if self.path == "/userinfo":
            self._answer({"sub": self.user, "email": "e@example.org"})
            return
        self._answer(
            {
                "access_token": "token",
                "token_type": "Bearer",
                "id_token": self._id_token(self.nonces.pop(form["code"])),
            }
        )

    def _authorize(self, form: dict[str, str]) -> None:
        """Send the browser back, as if the user had logged in here."""
        code = f"code-{len(self.nonces)}"
        self.nonces[code] = form["nonce"]
        back = urlencode({"code": code, "state": form["state"]})
        self.send_response(302)
        self.send_header("Location", f"{form['redirect_uri']}?{back}")
        self.end_headers()

    def _configuration(self) -> dict[str, object]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
            "end_session_endpoint": f"{self.issuer}/logout",
            "jwks_uri": f"{self.issuer}/jwks",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
        }

    def _id_token(self, nonce: str) -> str:
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "sub": self.user,
            "aud": CLIENT,
            "nonce": nonce,
            "iat": now,
            "exp": now + 3600,
        }
        return JWS(claims, alg="RS256").sign_compact([self.key])

    def _answer(self, data: dict[str, object]) -> None:
        body = json.dumps(data).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        """Keep the output of the tests clean."""


@contextmanager
def oidc_provider() -> Iterator[str]:
    """Run a provider until the end of the block; yield its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Provider) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
