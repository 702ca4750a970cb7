"""An issuer's published keys (JWKS, RFC 7517), fetched beside everything else and kept in memory.

Only the configured address is asked, without redirects, for at most 3 s and 256 KiB. A token that names an unknown key makes the
set be read again, at most once in 30 s, whoever sends how many of them.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

import httpx
import orjson
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, RSAKey

from tiercast_gateway.errors import KeysUnreadable
from tiercast_gateway.signatures import algorithm_of, import_key
from tiercast_shared.observability import get_logger

FETCH_SECONDS = 3.0
MAX_BYTES = 256 * 1024
MAX_KEYS = 100
REFETCH_SECONDS = 30.0
"""Between two fetches that tokens ask for."""

REFRESH_SECONDS = 300.0
"""Between two fetches that nobody asks for, so that a withdrawn key is soon unknown here too."""

FIRST_RETRY_SECONDS = 5.0
"""Until the set was read for the first time."""

KINDS: dict[str, type[RSAKey] | type[ECKey]] = {"RSA": RSAKey, "EC": ECKey}

log = get_logger()


class Jwks:
    """The keys at one address."""

    grows = True

    def __init__(self, url: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._url = url
        self._clock = clock
        self._http = httpx.AsyncClient(follow_redirects=False, timeout=FETCH_SECONDS)
        self._keys: list[tuple[str, str | None, Key]] = []
        self.generation = 0
        """How often the set was read."""
        self._loaded = False
        self._problem: str | None = "it has not been read yet"
        self._begun = float("-inf")
        self._fetching = False
        self._wanted = asyncio.Event()
        self._waiting: list[Callable[[], None]] = []

    async def close(self) -> None:
        """Close its connections."""
        await self._http.aclose()

    def candidates(self, algorithm: str, kid: str | None) -> Sequence[Key]:
        """The keys of this name and kind; without a name, the only one of the kind."""
        found = [key for known, name, key in self._keys if known == algorithm and kid in {None, name}]
        return found if kid is not None or len(found) == 1 else []

    def problem(self) -> str | None:
        """Why the last attempt to read the set failed; None if it did not."""
        return None if self._problem is None else f"{self._url}: {self._problem}"

    def never_read(self) -> str | None:
        """As `problem`, until the set was read once: what is known is used for as long as there is nothing newer."""
        return None if self._loaded else self.problem()

    def renew(self, then: Callable[[], None]) -> bool:
        """Read the set again and call `then`, whatever came of it; False if it was read too lately for that."""
        if not self._fetching and self._clock() - self._begun < REFETCH_SECONDS:
            return False
        self._waiting.append(then)
        self._wanted.set()
        return True

    async def run(self) -> None:
        """Keep the set until cancelled."""
        while True:
            self._fetching, self._begun = True, self._clock()
            self._wanted.clear()
            await self._read()
            self._fetching = False
            waiting, self._waiting = self._waiting, []
            for then in waiting:
                then()
            self._wanted.clear()  # those who asked meanwhile were just told
            with suppress(TimeoutError):
                async with asyncio.timeout(REFRESH_SECONDS if self._loaded else FIRST_RETRY_SECONDS):
                    await self._wanted.wait()

    async def _read(self) -> None:
        try:
            keys = parse(await self._fetch())
        except KeysUnreadable as error:
            self._problem = str(error)
            log.warning("a key set cannot be read, will try again", url=self._url, reason=str(error), once_in=60)
            return
        if not self._loaded or self._problem is not None:
            log.info("a key set was read", url=self._url, keys=len(keys))
        self._keys, self._loaded, self._problem = keys, True, None
        self.generation += 1

    async def _fetch(self) -> bytes:
        body = bytearray()
        plain = {"Accept": "application/json", "Accept-Encoding": "identity"}  # so that bytes counted are bytes kept
        try:
            async with asyncio.timeout(FETCH_SECONDS), self._http.stream("GET", self._url, headers=plain) as response:
                if response.status_code != httpx.codes.OK:
                    raise KeysUnreadable(f"it answers {response.status_code}")
                async for chunk in response.aiter_raw():
                    body += chunk
                    if len(body) > MAX_BYTES:
                        raise KeysUnreadable(f"it is larger than {MAX_BYTES} bytes")
        except (TimeoutError, httpx.TimeoutException):
            raise KeysUnreadable(f"it takes longer than {FETCH_SECONDS} s") from None
        except httpx.HTTPError as error:
            raise KeysUnreadable(f"{type(error).__name__} {error}") from error
        return bytes(body)


def parse(body: bytes) -> list[tuple[str, str | None, Key]]:
    """Algorithm, name and key of each usable entry of a JWKS; what is for encryption, too weak or strange is left out.

    Raises:
        KeysUnreadable: it is no JWKS.
    """
    try:
        entries = orjson.loads(body)["keys"]
    except (ValueError, TypeError, KeyError):
        raise KeysUnreadable("it is no JWKS") from None
    if not isinstance(entries, list) or len(entries) > MAX_KEYS:
        raise KeysUnreadable(f"its keys are no list of at most {MAX_KEYS}")
    return [usable for entry in entries if (usable := _usable(entry)) is not None]


def _usable(entry: object) -> tuple[str, str | None, Key] | None:
    if not isinstance(entry, dict) or entry.get("use", "sig") != "sig" or entry.get("kty") not in KINDS:
        return None
    name = entry.get("kid")
    public = {part: entry[part] for part in ("kty", "n", "e", "crv", "x", "y") if part in entry}
    try:
        key = import_key(KINDS[entry["kty"]], public)
        algorithm = algorithm_of(key)
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    if algorithm is None or entry.get("alg", algorithm) != algorithm or not isinstance(name, str | None):
        return None
    return algorithm, name, key
