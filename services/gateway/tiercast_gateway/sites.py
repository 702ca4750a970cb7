"""Whether a request may use the cookies it brings: only pages of allowed origins, and programs, may.

A browser adds cookies to requests that any page makes. It also says where that page is from, in headers that the page cannot
change: `Origin` (RFC 6454) on all requests of other origins that it lets the page read, `Sec-Fetch-Site` (Fetch Metadata) on all.
"""

from starlette.datastructures import Headers

from tiercast_gateway.errors import CrossSite


def check_site(headers: Headers, allowed_origins: frozenset[str]) -> None:
    """Let pages of allowed origins pass, and what is no page's request.

    Raises:
        CrossSite: a page of another origin made the request, or one that will not say where it is from.
    """
    origins = headers.getlist("origin")
    if not allowed_origins.issuperset(origins):
        raise CrossSite("pages of this origin may not use the session cookie (GATEWAY_ALLOWED_ORIGINS)")
    if not origins and headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        raise CrossSite("pages of another site may not use the session cookie")
