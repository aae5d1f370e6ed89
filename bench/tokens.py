"""A signing key, its JWKS and tokens of the clients, made on the spot with openssl; nothing is kept.

`tuesday upstreams` hands out tokens of its own identity provider's; here all contestants have the same upstream, nginx.
"""

import base64
import json
import subprocess
import time
from pathlib import Path

from servers import tool


def make(jwks: Path, tokens: Path, count: int) -> None:
    """Writes a JWKS with one ES256 key, and `count` tokens, one a line."""
    openssl = tool("openssl", "apt-get install openssl")
    key = tokens.with_name("key.pem")
    run([openssl, "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", str(key)])
    # The last 64 bytes of the public key are the two coordinates of its point.
    point = run([openssl, "ec", "-in", str(key), "-pubout", "-outform", "DER"])[-64:]
    public = {"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": "bench",
              "x": text(point[:32]), "y": text(point[32:])}
    jwks.write_text(json.dumps({"keys": [public]}))
    now = int(time.time())
    with tokens.open("w", encoding="ascii") as file:
        for number in range(1, count + 1):
            claims = {"iss": "https://id.example", "aud": "shop", "sub": f"partner-{number}", "role": "customer",
                      "iat": now, "exp": now + 3600}
            header = {"alg": "ES256", "typ": "JWT", "kid": "bench"}
            signed = ".".join(text(json.dumps(part, separators=(",", ":")).encode()) for part in (header, claims))
            der = run([openssl, "dgst", "-sha256", "-sign", str(key)], signed.encode())
            file.write(f"{signed}.{text(raw_signature(der))}\n")
    key.unlink()


def raw_signature(der: bytes) -> bytes:
    """The two numbers of an ECDSA signature side by side, as tokens have them, from the sequence that openssl writes."""
    at, numbers = 2, b""
    for _ in range(2):
        length = der[at + 1]
        numbers += der[at + 2:at + 2 + length].lstrip(b"\0").rjust(32, b"\0")
        at += 2 + length
    return numbers


def text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def run(command: list[str], given: bytes = b"") -> bytes:
    return subprocess.run(command, input=given, capture_output=True, check=True, timeout=20).stdout
